package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestGoodPolicyFiles(t *testing.T) {
	cases(t, "policy/good", func(t *testing.T, file string, _ []byte) {
		f, err := LoadPolicyFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var compact, dumped bytes.Buffer
		dump(&compact, reflect.ValueOf(*f))
		if err := json.Indent(&dumped, compact.Bytes(), "", "  "); err != nil {
			t.Fatal(err)
		}
		golden(t, strings.TrimSuffix(file, ".toml")+".json", append(dumped.Bytes(), '\n'))
	})
}

func TestBadPolicyFiles(t *testing.T) {
	cases(t, "policy/bad", func(t *testing.T, file string, text []byte) {
		_, err := ParsePolicyFile("policy.toml", text)
		var problems Problems
		if !errors.As(err, &problems) {
			t.Fatalf("got error %v, want Problems", err)
		}
		golden(t, strings.TrimSuffix(file, ".toml")+".txt", []byte(err.Error()+"\n"))
	})
}

func TestPolicyFileJSON(t *testing.T) {
	f, err := LoadPolicyFile("testdata/policy/good/api-key.toml")
	if err != nil {
		t.Fatal(err)
	}
	const schema = `{"additionalProperties":false,"properties":{"keys":{"items":{"type":"string"},"minItems":1,"type":"array"},` +
		`"share":{"maximum":0.5,"type":"number"}},"required":["keys"],"type":"object"}`
	if got := string(f.ConfigSchema()); got != schema {
		t.Errorf("schema: got %s", got)
	}
	if got, want := string(f.ExampleConfig()), `{"keys":["env:API_KEY"],"share":0.25}`; got != want {
		t.Errorf("example: got %s, want %s", got, want)
	}
	if line, column := f.Source().Position("config.properties.share.maximum"); line != 26 || column != 1 {
		t.Errorf("position: got %d:%d, want 26:1", line, column)
	}
	bare, err := LoadPolicyFile("testdata/policy/good/minimal.toml")
	if err != nil {
		t.Fatal(err)
	}
	if bare.ConfigSchema() != nil || string(bare.ExampleConfig()) != "{}" {
		t.Errorf("without: got schema %s, example %s", bare.ConfigSchema(), bare.ExampleConfig())
	}
}

func TestLoadEndpoints(t *testing.T) {
	tests := []struct {
		name, text string
		want       []Endpoint
		problem    string
	}{
		{"both forms", `endpoints = ["http://a:1", { url = "https://b:2", weight = 3 }]`, []Endpoint{{"http://a:1", 1}, {"https://b:2", 3}}, ""},
		{"none", "endpoints = []", []Endpoint{}, ""},
		{"caught half written", "", nil, "FILE:1:1: endpoints: is missing: write endpoints = [...], empty if there are none"},
		{"problems", "endpoint = 1\nendpoints = [\"a\",\n { url = \"http://b:1\", weight = 0 }]", nil,
			"FILE:1:1: endpoint: unknown key: did you mean \"endpoints\"?\n" +
				"FILE:2:14: endpoints[0]: \"a\" is not an endpoint: write \"http://host:port\", \"https://host:port\" or \"ergo:echo\"\n" +
				"FILE:3:24: endpoints[1].weight: 0 is out of range: write an integer from 1 to 1000"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "endpoints.toml")
			if err := os.WriteFile(file, []byte(test.text), 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := LoadEndpoints(file)
			if test.problem == "" {
				if err != nil || !reflect.DeepEqual(got, test.want) {
					t.Errorf("got %v, %v, want %v", got, err, test.want)
				}
				return
			}
			var problems Problems
			if !errors.As(err, &problems) || got != nil {
				t.Fatalf("got %v and error %v, want Problems only", got, err)
			}
			if text := strings.ReplaceAll(err.Error(), file, "FILE"); text != test.problem {
				t.Errorf("got:\n%s\nwant:\n%s", text, test.problem)
			}
		})
	}
}
