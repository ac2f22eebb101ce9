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

// A fakeCache stores nothing, whatever it says: one answer's Cache-Status after the other, the last for all others.
type fakeCache struct {
	origin http.Handler
	says   []string
	asked  int
}

func (c *fakeCache) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != probePath {
		w.Header().Set("Cache-Status", c.says[min(c.asked, len(c.says)-1)])
		c.asked++
	}
	c.origin.ServeHTTP(w, r)
}

func TestVerifyCache(t *testing.T) {
	scenarios := []scenario{{name: "1KiB", path: "/1KiB", bytes: 1 << 10}}
	miss, hit := "ergo; fwd=uri-miss; stored", "ergo; hit; ttl=9"
	for _, c := range []struct {
		does caching
		says []string
		want string
	}{
		{hits, []string{miss, hit}, ""},
		{hits, []string{miss, miss}, "GET /1KiB for the 2. time"},
		{hits, []string{hit, hit}, "GET /1KiB for the 1. time"},
		{passes, []string{miss}, ""},
		{passes, []string{miss, hit}, "GET /unstored/1KiB for the 2. time"},
	} {
		server := httptest.NewServer(&fakeCache{origin: newOriginHandler(scenarios), says: c.says})
		err := verify(t.Context(), server.Listener.Addr().String(), job{Cache: c.does}, scenarios)
		server.Close()
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s, %q: error %v, want one with %q", c.does, c.says, err, c.want)
		}
	}
}
