package manifest

import (
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/ergoproxy/ergo/host/manifest/internal/place"
)

// PolicyFile is one policy.toml: what an artifact says of itself.
type PolicyFile struct {
	Name    string `toml:"name" required:"true"`
	Version string `toml:"version" required:"true"` // semantic version
	// Family is what the policy is for: auth, routing, traffic, transform,
	// caching, encryption or observe.
	Family  string `toml:"family" required:"true" enum:"auth routing traffic transform caching encryption observe"`
	Summary string `toml:"summary" required:"true"`
	License string `toml:"license" required:"true"` // SPDX expression
	ABI     string `toml:"abi" required:"true" enum:"http-wasm proxy-wasm plugin"`
	Module  string `toml:"module" default:"policy.wasm"` // file beside policy.toml, a program if abi is "plugin"; default "policy.wasm"
	// Capabilities are the capability modules that the module imports; a manifest
	// grants them.
	Capabilities []string       `toml:"capabilities"`
	Needs        PolicyNeeds    `toml:"needs"`
	ProxyWasm    *ProxyWasm     `toml:"proxy_wasm"` // how it is run, unless the manifest says; nil: the defaults
	Config       map[string]any `toml:"config"`     // JSON Schema 2020-12 of a use's configuration; nil: any
	Example      map[string]any `toml:"example"`    // a valid configuration

	source *Source
}

// PolicyNeeds is what a policy asks of the host in each direction.
type PolicyNeeds struct {
	RequestBody  BodyNeed `toml:"request_body"` // default: what the module's imports suggest
	ResponseBody BodyNeed `toml:"response_body"`
	// Stateless: an instance keeps nothing between the request and the response
	// phase, so it is released while the upstream works. Default false.
	Stateless bool `toml:"stateless"`
	// RequestOnly: the policy is never asked about a response or a failure; it
	// is done when the request went on. Default false.
	RequestOnly bool `toml:"request_only"`
}

// BodyMode is how much of a body a policy asks for.
type BodyMode uint8

// Body modes, from nothing to everything.
const (
	BodyUnset  BodyMode = iota // not said
	BodyNone                   // never looks at it
	BodyPeek                   // the first Max bytes
	BodyBuffer                 // the whole of it, at most Max bytes
	BodyStream                 // piece by piece as it passes
)

// BodyNeed is a mode with its bound. In TOML: "none", "peek(4KiB)",
// "buffer(1MiB)" or "stream".
type BodyNeed struct {
	Mode BodyMode
	Max  Size // of BodyPeek and BodyBuffer
}

// UnmarshalText accepts "none", "stream", "peek(SIZE)" and "buffer(SIZE)".
func (n *BodyNeed) UnmarshalText(text []byte) error {
	form := string(text)
	switch form {
	case "none":
		*n = BodyNeed{Mode: BodyNone}
		return nil
	case "stream":
		*n = BodyNeed{Mode: BodyStream}
		return nil
	}
	need := BodyNeed{Mode: BodyPeek}
	inner, ok := strings.CutPrefix(form, "peek(")
	if !ok {
		need.Mode = BodyBuffer
		inner, ok = strings.CutPrefix(form, "buffer(")
	}
	size, closed := strings.CutSuffix(inner, ")")
	if !ok || !closed || need.Max.UnmarshalText([]byte(size)) != nil || need.Max == 0 {
		return fmt.Errorf("%q is not a body need", text)
	}
	*n = need
	return nil
}

// MarshalText returns the form that UnmarshalText accepts; of BodyUnset, "".
func (n BodyNeed) MarshalText() ([]byte, error) {
	switch n.Mode {
	case BodyNone:
		return []byte("none"), nil
	case BodyStream:
		return []byte("stream"), nil
	case BodyUnset:
		return nil, nil
	}
	size, err := n.Max.MarshalText()
	if n.Mode == BodyPeek {
		return fmt.Appendf(nil, "peek(%s)", size), err
	}
	return fmt.Appendf(nil, "buffer(%s)", size), err
}

// LoadPolicyFile reads and checks the policy.toml at path. What is wrong in it
// is a Problems; any other error says why the file could not be read.
func LoadPolicyFile(path string) (*PolicyFile, error) {
	data, err := ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read policy file %s: %w", path, err)
	}
	return ParsePolicyFile(path, data)
}

// ParsePolicyFile is LoadPolicyFile for a file that was read already.
func ParsePolicyFile(path string, data []byte) (*PolicyFile, error) {
	source, raw, problems := read(path, data)
	if problems != nil {
		return nil, problems
	}
	f := &PolicyFile{source: source}
	v := validator{decoder: newDecoder(source, newSettings(nil))}
	v.structure("", raw, reflect.ValueOf(f).Elem())
	v.policyFile(f)
	v.problems.Sort()
	if err := v.problems.Err(); err != nil {
		return nil, err
	}
	return f, nil
}

// Source returns where the file's keys stand, for problems that are found later.
func (f *PolicyFile) Source() *Source { return f.source }

// ConfigSchema returns the JSON Schema of a use's configuration, or nil if any
// is accepted.
func (f *PolicyFile) ConfigSchema() []byte {
	if f.Config == nil {
		return nil
	}
	return canonicalJSON(f.Config)
}

// ExampleConfig returns the example configuration as JSON; without one it is {}.
func (f *PolicyFile) ExampleConfig() []byte { return canonicalJSON(f.Example) }

func (v *validator) policyFile(f *PolicyFile) {
	v.name("name", f.Name)
	if !isSemanticVersion(f.Version) {
		v.problem("version", fmt.Sprintf("%q is not a semantic version", f.Version), `write one such as "1.4.0"`)
	}
	if !filepath.IsLocal(f.Module) {
		v.problem("module", fmt.Sprintf("%q is not beside policy.toml", f.Module), `write a file name such as "policy.wasm"`)
	}
	v.grants("capabilities", f.Capabilities)
}

// isSemanticVersion reports whether s is a version as https://semver.org 2.0.0
// has it.
func isSemanticVersion(s string) bool {
	s, build, hasBuild := strings.Cut(s, "+")
	core, pre, hasPre := strings.Cut(s, "-")
	numbers := strings.Split(core, ".")
	return len(numbers) == 3 && !slices.ContainsFunc(numbers, func(n string) bool { return !isVersionNumber(n) }) &&
		(!hasPre || areIdentifiers(pre, false)) && (!hasBuild || areIdentifiers(build, true))
}

// areIdentifiers checks what follows - or + in a version; zeros may lead a
// number only after +.
func areIdentifiers(s string, leadingZeros bool) bool {
	for id := range strings.SplitSeq(s, ".") {
		numeric := strings.Trim(id, "0123456789") == ""
		if !place.IsBareKey(id) || strings.Contains(id, "_") || numeric && !leadingZeros && !isVersionNumber(id) {
			return false
		}
	}
	return true
}

func isVersionNumber(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == "" && (s == "0" || s[0] != '0')
}
