package upstream

import (
	"io"
	"net/http"
	"testing"
)

func TestForwardPassesRequestAndResponse(t *testing.T) {
	s := origin(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Saw", r.Method+" "+r.RequestURI+" "+r.Host+" "+r.Header.Get("X-One")+" "+string(body))
		w.Header()["X-Two"] = []string{"a", "b"}
		w.WriteHeader(201)
		io.WriteString(w, "made")
	})
	set := build(t, registry(t), settings(s.URL))
	x := ask("POST", "/a%2Fb//c?q=%20", "hello")
	x.Request.Header.Add("x-one", "1")
	if f := set.Forward(x, "up"); f != nil {
		t.Fatal(f)
	}
	if got, want := x.Response.Header.Value("x-saw"), "POST /a%2Fb//c?q=%20 site.example 1 hello"; got != want {
		t.Errorf("origin saw %q, want %q", got, want)
	}
	if got := x.Response.Header.AppendValues(nil, "x-two"); len(got) != 2 || got[0] != "a" || got[1] != "b" {
		t.Errorf("x-two: got %q, want [a b]", got)
	}
	if x.Response.Status != 201 || x.Response.Length != 4 || !x.Route.Sent {
		t.Errorf("got status %d, length %d, sent %v", x.Response.Status, x.Response.Length, x.Route.Sent)
	}
	if got := read(t, x); got != "made" {
		t.Errorf("body: got %q", got)
	}
	if n, err := x.Response.Body.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("after the end: got %d bytes, %v, want EOF again", n, err)
	}
}
