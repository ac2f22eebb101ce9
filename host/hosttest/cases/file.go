package cases

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"

	"github.com/ergoproxy/ergo/host/exchange"
)

// File is a cases.toml; README.md describes it.
type File struct {
	Manifest string                    `toml:"manifest"` // what stands in the manifest beside the policy and its grants
	Configs  map[string]map[string]any `toml:"configs"`
	Refuse   []Refusal                 `toml:"refuse"`
	Cases    []Case                    `toml:"case"`
}

// Refusal is a configuration that must not load.
type Refusal struct {
	Name   string         `toml:"name"`
	Config map[string]any `toml:"config"`
	By     string         `toml:"by"`   // "schema" or "policy"
	Says   string         `toml:"says"` // part of the reason
}

// Case is one exchange: what the policy sees and what must come of it, and
// those that follow.
type Case struct {
	Name      string          `toml:"name"`
	Config    string          `toml:"config"` // default "example"
	Upstreams []string        `toml:"upstreams"`
	Request   Request         `toml:"request"`
	Answer    *ResponseWanted `toml:"answer"`
	Forward   *RequestWanted  `toml:"forward"`
	Upstream  *Response       `toml:"upstream"`
	Response  *ResponseWanted `toml:"response"`
	Then      []Case          `toml:"then"` // one after another; name and config are the first one's
}

// Request is one that a client sends.
type Request struct {
	Method string            `toml:"method"` // default "GET"
	Target string            `toml:"target"` // default "/"
	Host   string            `toml:"host"`   // default "example.com"
	Client string            `toml:"client"` // default "192.0.2.7"
	Scheme string            `toml:"scheme"` // what the client came by; default "https"
	Header map[string]Values `toml:"header"`
	Body   string            `toml:"body"`

	Subject   string            `toml:"subject"`   // who the client is; default nobody
	Attribute map[string]string `toml:"attribute"` // what else is Upstreams of it
}

// Response is one that the upstream sends.
type Response struct {
	Status int               `toml:"status"` // default 200
	Header map[string]Values `toml:"header"`
	Body   string            `toml:"body"`
	Fails  bool              `toml:"fails"` // it can't be reached
}

// RequestWanted is what is to be forwarded.
type RequestWanted struct {
	Method   *string              `toml:"method"`
	Target   *string              `toml:"target"`
	Host     *string              `toml:"host"`
	Header   map[string]wantField `toml:"header"`
	Upstream *string              `toml:"upstream"` // one of these alternatives, separated by |
	Fallback []string             `toml:"fallback"` // upstreams that stand in for it
	HashKey  *string              `toml:"hash_key"`
	Timeout  *string              `toml:"timeout"`
	Retries  *int                 `toml:"retries"`
	Body     *string              `toml:"body"` // a part of it
}

// ResponseWanted is what the client is to be answered.
type ResponseWanted struct {
	Status int                  `toml:"status"`
	Header map[string]wantField `toml:"header"`
	Body   *string              `toml:"body"` // a part of it
}

// Values are those of one field: a string or a list of them.
type Values []string

func (v *Values) UnmarshalTOML(value any) error {
	switch value := value.(type) {
	case string:
		*v = Values{value}
		return nil
	case []any:
		for _, element := range value {
			text, ok := element.(string)
			if !ok {
				return fmt.Errorf("expected strings, found %T", element)
			}
			*v = append(*v, text)
		}
		return nil
	}
	return fmt.Errorf("expected a string or a list, found %T", value)
}

// wantField is what a field must be: values, or just present or absent.
type wantField struct {
	values  Values
	present bool
	exact   bool
}

func (w *wantField) UnmarshalTOML(value any) error {
	if present, ok := value.(bool); ok {
		w.present = present
		return nil
	}
	w.exact = true
	return w.values.UnmarshalTOML(value)
}

func (w wantField) check(t *testing.T, where, name string, header *exchange.Header) {
	t.Helper()
	got := header.AppendValues(nil, name)
	switch {
	case w.exact && !slices.Equal(got, w.values):
		t.Errorf("%s: %s: got %q, want %q", where, name, got, []string(w.values))
	case !w.exact && w.present != (len(got) > 0):
		t.Errorf("%s: %s: got %q, want present %v", where, name, got, w.present)
	}
}

// Read reads a cases.toml, puts the policy's example among its configurations,
// and refuses keys that it does not know.
func Read(t testing.TB, file string, example map[string]any) *File {
	t.Helper()
	var cases File
	meta, err := toml.DecodeFile(file, &cases)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range meta.Undecoded() {
		// What is free in form, or decodes itself, is listed although it was read.
		path := key.String()
		free := strings.HasPrefix(path, "configs.") || strings.HasPrefix(path, "refuse.config.") || strings.Contains(path, ".attribute.")
		if !free && !strings.Contains(path, "header.") {
			t.Errorf("%s: %s is not a Upstreams key", file, path)
		}
	}
	if len(cases.Cases) == 0 {
		t.Fatalf("%s has no cases", file)
	}
	if cases.Configs == nil {
		cases.Configs = map[string]map[string]any{}
	}
	cases.Configs["example"] = example
	return &cases
}
