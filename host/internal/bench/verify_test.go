package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// A fakeProxy does the full job, apart from its fault.
type fakeProxy struct {
	origin http.Handler
	fault  string
}

func (p fakeProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	key := r.Header.Get("x-api-key")
	if key != apiKey && !(p.fault == "no key passes" && key == "") && !(p.fault == "any key passes" && key != "") {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if p.fault == "denies all" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if p.fault != "request unmarked" {
		r.Header.Set(markName(0), "1")
	}
	if p.fault == "request marked too often" {
		r.Header.Set(markName(1), "1")
	}
	if p.fault != "response unmarked" {
		w.Header().Set(markName(0), "1")
	}
	if p.fault == "response marked twice" {
		w.Header().Add(markName(0), "1")
	}
	if p.fault == "another body" && r.URL.Path != probePath {
		_, _ = w.Write(scenario{bytes: 1023}.body())
		return
	}
	p.origin.ServeHTTP(w, r)
}

func TestVerify(t *testing.T) {
	scenarios := []scenario{{name: "1KiB", path: "/1KiB", bytes: 1 << 10}}
	for fault, want := range map[string]string{
		"":                         "",
		"no key passes":            `key "": status 200`,
		"any key passes":           `key "wrong": status 200`,
		"denies all":               "status 401, want 200",
		"request unmarked":         "want x-policy=1 among it",
		"request marked too often": "want x-policy-2= among it",
		"response unmarked":        "response header x-policy",
		"response marked twice":    "response header x-policy",
		"another body":             "not the origin's 1024",
	} {
		server := httptest.NewServer(fakeProxy{origin: newOriginHandler(scenarios), fault: fault})
		err := verify(t.Context(), server.Listener.Addr().String(), job{Keyed: true, Marks: 1}, scenarios)
		server.Close()
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want one with %q", fault, err, want)
		}
	}
}
