package manifest

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// compiledSchema is JSONSchema, ready to check manifests.
func compiledSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	text, err := JSONSchema()
	if err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource(SchemaID, document); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile(SchemaID)
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// document is a TOML text as an editor hands it to a validator.
func document(t *testing.T, text []byte) any {
	t.Helper()
	raw := make(map[string]any)
	if err := toml.Unmarshal(text, &raw); err != nil {
		t.Fatal(err)
	}
	d := newDecoder(&Source{}, newSettings(nil))
	return d.toJSON("", plain(raw))
}

func TestSchemaGolden(t *testing.T) {
	got, err := JSONSchema()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/schema.json", append(got, '\n'))
}

func TestSchemaAcceptsWhatLoadAccepts(t *testing.T) {
	schema := compiledSchema(t)
	cases(t, "good", func(t *testing.T, _ string, text []byte) {
		if err := schema.Validate(document(t, text)); err != nil {
			t.Error(err)
		}
	})
}

// TestSchemaRefuses shows that an editor sees each kind of mistake that a schema
// can know. Each case is appended to a good manifest.
func TestSchemaRefuses(t *testing.T) {
	schema := compiledSchema(t)
	good, err := os.ReadFile("testdata/good/minimal.toml")
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct{ name, text string }{
		{"unknown key", "colour = 1"},
		{"unknown key below", "host.wach = true"},
		{"type", "host.watch = 1"},
		{"enum", `host.log.level = "loud"`},
		{"range", "host.keep_generations = 101"},
		{"duration", `edge.timeout = "30"`},
		{"size", `policy.a = { source = "a", limits.memory = "16MB" }`},
		{"missing key", "policy.a = {}"},
		{"empty string", `policy.a.source = ""`},
		{"no use", `edge.stage = [{ name = "a", use = [] }]`},
		{"endpoint", `upstream.b.endpoints = [{ weight = 1 }]`},
		{"action", `edge.stage = [{ name = "a", on_error = "deney", use = [{ policy = "a" }] }]`},
		{"action by kind", `edge.stage = [{ name = "a", on_error = { trap = { respond = 200 } }, use = [{ policy = "a" }] }]`},
		{"condition", `edge.stage = [{ name = "a", when = { path = 1 }, use = [{ policy = "a" }] }]`},
		{"header", `edge.stage = [{ name = "a", when = { header = { a = 1 } }, use = [{ policy = "a" }] }]`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			text := []byte(string(good) + test.text + "\n")
			if err := schema.Validate(document(t, text)); err == nil {
				t.Error("the schema accepts it")
			}
			if _, err := parseInWorld(t, text); err == nil {
				t.Error("Load accepts it")
			}
		})
	}
}

// TestSchemaDescribesEverything finds keys that tell an editor's user nothing.
func TestSchemaDescribesEverything(t *testing.T) {
	comments, err := typeComments(typesText)
	if err != nil {
		t.Fatal(err)
	}
	for name, comment := range comments {
		if strings.HasSuffix(name, ".") && comment == "" {
			t.Errorf("type %s has no comment", name)
		}
	}
	if got := comments["Host.Watch"]; !strings.Contains(got, "swaps when the manifest") {
		t.Errorf("Host.Watch: got comment %q", got)
	}
}
