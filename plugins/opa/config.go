package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/bundle"
)

// config is that of a use, with the defaults of policy.toml.
type config struct {
	Policy          string         `json:"policy"` // a Rego module
	Data            map[string]any `json:"data"`
	Bundle          *bundleConfig  `json:"bundle"`
	Decision        string         `json:"decision"`
	Timeout         duration       `json:"timeout"`
	Input           inputConfig    `json:"input"`
	UpstreamHeaders []string       `json:"upstream_headers"`
	ResponseHeaders bool           `json:"response_headers"`
	Log             logConfig      `json:"decision_log"`

	decision ast.Ref
}

// bundleConfig says where a bundle is, and when it is to be believed.
type bundleConfig struct {
	File          string               `json:"file"`
	URL           string               `json:"url"`
	Authorization string               `json:"authorization"`
	Interval      duration             `json:"interval"`
	Timeout       duration             `json:"timeout"`
	MaxBytes      int64                `json:"max_bytes"` // of all files together
	MaxAge        duration             `json:"max_age"`   // 0: no bound
	Copy          string               `json:"copy"`
	OnUnavailable string               `json:"on_unavailable"`
	Keys          map[string]keyConfig `json:"keys"`
	Scope         string               `json:"scope"`
}

// keyConfig is a key that bundles are signed with.
type keyConfig struct {
	Algorithm string `json:"algorithm"`
	Key       string `json:"key"`
}

type inputConfig struct {
	Headers []string       `json:"headers"` // nil: all
	Body    bool           `json:"body"`
	Context map[string]any `json:"context"`
}

type logConfig struct {
	Decisions string   `json:"decisions"` // "all", "refused" or "none"
	Mask      []string `json:"mask"`
}

// duration is written as "1m30s".
type duration time.Duration

// UnmarshalText follows encoding.TextUnmarshaler.
func (d *duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	*d = duration(parsed)
	return err
}

// D is the duration in Go's terms.
func (d duration) D() time.Duration { return time.Duration(d) }

// Bounds of a configuration.
const (
	maxTimeout  = 10 * time.Second
	minInterval = 100 * time.Millisecond
	maxInterval = 24 * time.Hour
)

func parseConfig(text []byte) (*config, error) {
	c := &config{Decision: "data.ergo.authz", Timeout: duration(100 * time.Millisecond)}
	c.Log.Decisions = "all"
	if err := unmarshal(text, c); err != nil {
		return nil, err
	}
	if b := c.Bundle; b != nil {
		b.Interval, b.Timeout = duration(time.Minute), duration(5*time.Second)
		b.MaxBytes, b.OnUnavailable = 64<<20, "refuse"
		if err := unmarshal(text, c); err != nil { // again, over the bundle's defaults
			return nil, err
		}
	}
	var err error
	if c.decision, err = parseDecision(c.Decision); err != nil {
		return nil, err
	}
	return c, errors.Join(c.check()...)
}

func unmarshal(text []byte, c *config) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber() // in data and context
	if err := decoder.Decode(c); err != nil {
		return fmt.Errorf("config: %w", err)
	}
	return nil
}

// parseDecision reads the path of a document, "data.a.b".
func parseDecision(text string) (ast.Ref, error) {
	ref, err := ast.ParseRef(text)
	if err != nil || !ref.HasPrefix(ast.DefaultRootRef) || len(ref) < 2 || !ref.IsGround() {
		return nil, fmt.Errorf("config.decision: expected the path of a document, such as data.ergo.authz, got %q", text)
	}
	return ref, nil
}

// check returns all that is wrong beyond what the schema says.
func (c *config) check() (problems []error) {
	wrong := func(format string, args ...any) { problems = append(problems, fmt.Errorf("config."+format, args...)) }
	if (c.Policy == "") == (c.Bundle == nil) {
		wrong("policy: expected one of policy and bundle")
	}
	if c.Data != nil && c.Policy == "" {
		wrong("data: expected none with a bundle, which has its own")
	}
	if c.Timeout <= 0 || c.Timeout.D() > maxTimeout {
		wrong("timeout: expected a duration of up to %v", maxTimeout)
	}
	for i, name := range c.UpstreamHeaders {
		if isFraming(name) {
			wrong("upstream_headers[%d]: expected a field that does not frame the message, got %s", i, name)
		}
	}
	for i, pointer := range c.Log.Mask {
		if !strings.HasPrefix(pointer, "/input/") && !strings.HasPrefix(pointer, "/result/") && pointer != "/result" && pointer != "/input" {
			wrong("decision_log.mask[%d]: expected a JSON pointer that begins with /input or /result, got %s", i, pointer)
		}
	}
	if c.Bundle != nil {
		problems = append(problems, c.Bundle.check()...)
	}
	return problems
}

func (b *bundleConfig) check() (problems []error) {
	wrong := func(format string, args ...any) {
		problems = append(problems, fmt.Errorf("config.bundle."+format, args...))
	}
	switch {
	case (b.File == "") == (b.URL == ""):
		wrong("url: expected one of file and url")
	case b.File != "" && !filepath.IsAbs(b.File):
		wrong("file: expected an absolute path, because the policy's process runs in a folder of its own, got %s", b.File)
	}
	if b.Copy != "" && (b.URL == "" || !filepath.IsAbs(b.Copy)) {
		wrong("copy: expected an absolute path, of a bundle that comes from a url")
	}
	if b.Interval.D() < minInterval || b.Interval.D() > maxInterval {
		wrong("interval: expected a duration from %v to %v", minInterval, maxInterval)
	}
	if b.Timeout <= 0 {
		wrong("timeout: expected a duration above 0")
	}
	if b.MaxAge != 0 && b.MaxAge < b.Interval {
		wrong("max_age: expected none, or one that is longer than interval")
	}
	if b.Scope != "" && len(b.Keys) == 0 {
		wrong("scope: expected keys that sign it")
	}
	return problems
}

// verification is how bundles are verified; nil: they are not.
func (b *bundleConfig) verification() *bundle.VerificationConfig {
	if len(b.Keys) == 0 {
		return nil
	}
	keys := map[string]*bundle.KeyConfig{}
	for id, k := range b.Keys {
		keys[id] = &bundle.KeyConfig{Key: k.Key, Algorithm: k.Algorithm}
	}
	return bundle.NewVerificationConfig(keys, "", b.Scope, nil)
}
