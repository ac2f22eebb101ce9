package policy

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"github.com/ergoproxy/ergo/host/manifest"
)

// Violation is one thing that is wrong in a configuration. It never shows a
// value, because that may be a secret.
type Violation struct {
	Path  []string // the unescaped tokens of a JSON pointer; a missing key is its last one
	Wrong string   // what is wrong
	Right string   // what would be right; may be empty
}

// String renders the violation as path: wrong: right.
func (v Violation) String() string {
	s := v.Wrong
	if len(v.Path) > 0 {
		s = strings.Join(v.Path, ".") + ": " + s
	}
	if v.Right != "" {
		s += ": " + v.Right
	}
	return s
}

// CheckConfig checks a configuration, as JSON, against the schema in the
// artifact's policy.toml, and returns everything that is wrong with it.
func (a *Artifact) CheckConfig(config []byte) []Violation {
	if a.schema == nil {
		return nil
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(config))
	if err != nil {
		return []Violation{{Wrong: "is not JSON"}}
	}
	var invalid *jsonschema.ValidationError
	if err := a.schema.compiled.Validate(value); errors.As(err, &invalid) {
		return a.schema.violations(nil, invalid)
	}
	return nil
}

// configSchema is the JSON Schema of a policy's configuration.
type configSchema struct {
	compiled *jsonschema.Schema
	document any
}

// schemaURL names the schema to its compiler.
const schemaURL = "policy:config"

var errForeignSchema = errors.New("a schema may refer only to itself")

// sealed keeps schemas from loading others: configuration is checked without
// files and network.
type sealed struct{}

func (sealed) Load(string) (any, error) { return nil, errForeignSchema }

// compileSchema returns nil if the policy takes any configuration.
func compileSchema(file *manifest.PolicyFile) (*configSchema, error) {
	text := file.ConfigSchema()
	if text == nil {
		return nil, nil
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("read schema: %w", err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.UseLoader(sealed{})
	c.AssertFormat()
	if err := c.AddResource(schemaURL, document); err != nil {
		return nil, fmt.Errorf("read schema: %w", err)
	}
	compiled, err := c.Compile(schemaURL)
	if err != nil {
		return nil, fmt.Errorf("compile schema: %w", err)
	}
	return &configSchema{compiled, document}, nil
}

// violations appends what err and its causes say. Of alternatives only the one
// that the configuration comes nearest to is told, or else that none fits.
func (s *configSchema) violations(list []Violation, err *jsonschema.ValidationError) []Violation {
	switch k := err.ErrorKind.(type) {
	case *kind.Schema, *kind.Group, *kind.AllOf, *kind.Reference:
		for _, cause := range err.Causes {
			list = s.violations(list, cause)
		}
		return list
	case *kind.AnyOf, *kind.OneOf:
		if best := nearest(err.Causes); best != nil && nearness(best) > 2*len(err.InstanceLocation) {
			return s.violations(list, best)
		}
		return append(list, Violation{Path: err.InstanceLocation, Wrong: "fits none of the forms that the policy takes"})
	case *kind.Required:
		for _, name := range k.Missing {
			list = append(list, Violation{Path: below(err, name), Wrong: "is missing"})
		}
		return list
	case *kind.AdditionalProperties:
		known := s.properties(err.SchemaURL)
		for _, name := range k.Properties {
			list = append(list, Violation{below(err, name), "is unknown to the policy", manifest.DidYouMean(name, known)})
		}
		return list
	default:
		wrong, right := describe(k)
		return append(list, Violation{err.InstanceLocation, wrong, right})
	}
}

func below(err *jsonschema.ValidationError, name string) []string {
	return append(slices.Clone(err.InstanceLocation), name)
}

// nearest returns the error of the alternative that the configuration comes
// nearest to.
func nearest(errs []*jsonschema.ValidationError) (found *jsonschema.ValidationError) {
	for _, err := range errs {
		if found == nil || nearness(err) > nearness(found) {
			found = err
		}
	}
	return found
}

// nearness grows with how far into the configuration an error leads; at one
// place, a value of the right type is nearer than one of another type.
func nearness(err *jsonschema.ValidationError) int {
	n := 2 * len(err.InstanceLocation)
	if _, ok := err.ErrorKind.(*kind.Type); !ok && len(err.Causes) == 0 {
		n++
	}
	for _, cause := range err.Causes {
		n = max(n, nearness(cause))
	}
	return n
}

// properties returns the names that the schema at a URL declares.
func (s *configSchema) properties(url string) []string {
	_, pointer, _ := strings.Cut(url, "#/")
	at := s.document
	for token := range strings.SplitSeq(pointer, "/") {
		if pointer == "" {
			break
		}
		token = strings.NewReplacer("~1", "/", "~0", "~").Replace(token)
		switch node := at.(type) {
		case map[string]any:
			at = node[token]
		case []any:
			i, err := strconv.Atoi(token)
			if err != nil || i < 0 || i >= len(node) {
				return nil
			}
			at = node[i]
		}
	}
	node, _ := at.(map[string]any)
	declared, _ := node["properties"].(map[string]any)
	return slices.Collect(maps.Keys(declared))
}
