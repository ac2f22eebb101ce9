package admin

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/ergoproxy/ergo/host/manifest"
)

// description is the served OpenAPI document, with its schemas ready to use.
type description struct {
	doc      map[string]any
	compiler *jsonschema.Compiler
}

const descriptionURL = "http://host/openapi.json"

func describe(t *testing.T) *description {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(openAPI))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft2020) // as OpenAPI 3.1 says
	compiler.AssertFormat()
	if err := compiler.AddResource(descriptionURL, doc); err != nil {
		t.Fatal(err)
	}
	return &description{doc.(map[string]any), compiler}
}

// check holds a body against the schema of an operation's answer.
func (d *description) check(t *testing.T, method, path, status, body string) {
	t.Helper()
	operation := d.doc["paths"].(map[string]any)[path].(map[string]any)[strings.ToLower(method)].(map[string]any)
	answer, ok := operation["responses"].(map[string]any)[status].(map[string]any)
	if !ok {
		t.Errorf("%s %s: status %s is not described", method, path, status)
		return
	}
	for kind := range answer["content"].(map[string]any) {
		if !strings.HasSuffix(kind, "json") {
			return
		}
		escape := strings.NewReplacer("~", "~0", "/", "~1")
		at := descriptionURL + "#/paths/" + escape.Replace(path) + "/" + strings.ToLower(method) +
			"/responses/" + status + "/content/" + escape.Replace(kind) + "/schema"
		schema, err := d.compiler.Compile(at)
		if err != nil {
			t.Fatal(err)
		}
		value, err := jsonschema.UnmarshalJSON(strings.NewReader(body))
		if err != nil {
			t.Fatalf("%v: %s", err, body)
		}
		if err := schema.Validate(value); err != nil {
			t.Errorf("%s %s, %s: %v", method, path, status, err)
		}
	}
}

func TestEveryRouteIsDescribed(t *testing.T) {
	s := serve(t, Options{Address: unixAddress(t), Metrics: http.NotFoundHandler()})
	routed := make(map[string]bool)
	for _, r := range s.routes() {
		routed[strings.ToLower(r.method)+" "+r.path] = true
	}
	described := make(map[string]bool)
	for path, item := range describe(t).doc["paths"].(map[string]any) {
		for method, operation := range item.(map[string]any) {
			described[method+" "+path] = true
			_, open := operation.(map[string]any)["security"]
			for _, r := range s.routes() {
				if strings.ToLower(r.method) == method && r.path == path && r.public != open {
					t.Errorf("%s %s: public is %v, described %v", method, path, r.public, open)
				}
			}
		}
	}
	for name := range routed {
		if !described[name] {
			t.Errorf("%s is not described", name)
		}
	}
	for name := range described {
		if !routed[name] {
			t.Errorf("%s is described and not there", name)
		}
	}
}

func TestAnswersAreAsDescribed(t *testing.T) {
	d := describe(t)
	well := serve(t, Options{Address: unixAddress(t)})
	starting := serve(t, Options{Address: unixAddress(t), Host: &fakeHost{starting: true}})
	problems := manifest.Problems{{File: "a", Line: 1, Column: 1, Wrong: "is wrong"}}
	refusing := serve(t, Options{Address: unixAddress(t), Host: &fakeHost{err: problems}})
	locked := serve(t, Options{Address: "127.0.0.1:0", Token: manifest.NewSecret("t")})
	for _, c := range []struct {
		server       *Server
		method, path string
		status       string
	}{
		{well, "GET", "/healthz", "200"},
		{well, "GET", "/readyz", "200"},
		{starting, "GET", "/readyz", "503"},
		{well, "GET", "/v1/status", "200"},
		{locked, "GET", "/v1/status", "401"},
		{well, "GET", "/v1/history", "200"},
		{well, "GET", "/v1/manifest", "503"},
		{well, "GET", "/v1/cache", "200"},
		{well, "POST", "/v1/cache/purge", "400"},
		{well, "POST", "/v1/swap", "200"},
		{well, "POST", "/v1/check", "200"},
		{well, "POST", "/v1/rollback", "200"},
		{refusing, "POST", "/v1/swap", "422"},
		{refusing, "POST", "/v1/check", "422"},
		{refusing, "POST", "/v1/rollback", "422"},
		{well, "GET", "/openapi.json", "200"},
	} {
		resp, body := send(t, c.server, c.method, c.path, "", "content-type", jsonField)
		if got := resp.Status[:3]; got != c.status {
			t.Errorf("%s %s: got %s, want %s", c.method, c.path, got, c.status)
			continue
		}
		d.check(t, c.method, c.path, c.status, body)
	}
}
