//go:build !wasip1

package main

import (
	"slices"
	"strings"
	"testing"

	guest "github.com/ergoproxy/ergo/sdk/go"
)

func made(t *testing.T, text string) *extAuth {
	t.Helper()
	e, err := newExtAuth([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// TestQuestion: the service is told of the request by the host, not by the client.
func TestQuestion(t *testing.T) {
	host := guest.NewFake("POST", "/a?b", guest.Field{Name: "Host", Value: "example.com"}, guest.Field{Name: "Cookie", Value: "c=1"},
		guest.Field{Name: "Cookie", Value: "d=2"}, guest.Field{Name: "X-Forwarded-Uri", Value: "/public"}, guest.Field{Name: "X-Other", Value: "x"})
	host.Source = "[2001:db8::1]:1234"
	var asked []guest.Call
	host.Fetch = func(c guest.Call) (guest.Answered, error) {
		asked = append(asked, c)
		return guest.Answered{Status: 204}, nil
	}
	for _, text := range []string{
		`{"url":"https://a.example/check"}`, `{"url":"https://a.example/check/","append_target":true,"method":"same"}`,
	} {
		e := made(t, text)
		host.Run(func() {
			if got := e.request(guest.Request{}); got != guest.Continue {
				t.Errorf("%s: got %d, want it to pass", text, got)
			}
		})
	}
	want := []string{
		"x-forwarded-method", "POST", "x-forwarded-proto", "https", "x-forwarded-host", "example.com", "x-forwarded-uri", "/a?b",
		"x-forwarded-for", "2001:db8::1", "cookie", "c=1", "cookie", "d=2",
	}
	for i, url := range []string{"https://a.example/check", "https://a.example/check/a?b"} {
		if c := asked[i]; c.URL != url || c.Method != []string{"GET", "POST"}[i] || !slices.Equal(c.Fields, want) {
			t.Errorf("got %s %s %q, want %s %q", c.Method, c.URL, c.Fields, url, want)
		}
	}
	star := service{url: "http://a.example", appendTarget: true}
	host.Run(func() { _, _ = star.ask(question{target: "*"}) })
	if got := asked[2].URL; got != "http://a.example/*" {
		t.Errorf("got %s: a target became a part of the host's name", got)
	}
}

func answered(fields ...string) *guest.Answered {
	a := guest.NewAnswered(200, "", fields...)
	return &a
}

func TestLifetime(t *testing.T) {
	const otherwise = 60_000
	for value, want := range map[string]uint64{
		"": otherwise, "public": otherwise, "max-age=5": 5000, "MAX-AGE=5": 5000, `max-age="5"`: 5000, "max-age=0": 0, "no-store": 0,
		"no-cache": 0, "private": 0, "max-age=5, private": 0, "max-age=5, s-maxage=7": 7000, "s-maxage=7, max-age=5": 7000,
		"max-age=x": 0, "max-age=-1": 0, "max-age": 0, "max-age=99999999999": 0, "max-age=100000": 100_000_000,
	} {
		if got := lifetimeMS(answered("Cache-Control", value), otherwise); got != want {
			t.Errorf("%q: got %d ms, want %d", value, got, want)
		}
	}
	for age, want := range map[string]uint64{"3": 2000, "5": 0, "9": 0, "x": 0} {
		if got := lifetimeMS(answered("Cache-Control", "max-age=5", "Age", age), otherwise); got != want {
			t.Errorf("age %s: got %d ms, want %d", age, got, want)
		}
	}
}

// TestFailuresOfTheServiceAloneOpen: a client that makes a call fail does not pass.
func TestFailuresOfTheServiceAloneOpen(t *testing.T) {
	e := made(t, `{"url":"https://a.example/","method":"same","append_target":true,"on_failure":"allow"}`)
	for failure, want := range map[error]guest.Flow{
		guest.ErrFailed: guest.Continue, guest.ErrTimeout: guest.Continue, guest.ErrBusy: guest.Continue, nil: guest.Continue,
		guest.ErrBadArgument: guest.Answer, guest.ErrNotGranted: guest.Answer, guest.ErrTooLarge: guest.Answer,
	} {
		host := guest.NewFake("PURGE", "/")
		host.Fetch = func(guest.Call) (guest.Answered, error) { return guest.Answered{Status: 500}, failure }
		host.Run(func() {
			if got := e.request(guest.Request{}); got != want {
				t.Errorf("%v: got %d, want %d", failure, got, want)
			}
		})
	}
}

// TestTargetsStayBelowTheURL: no path leads to another place of the service.
func TestTargetsStayBelowTheURL(t *testing.T) {
	e := made(t, `{"url":"https://a.example/check","append_target":true}`)
	for target, want := range map[string]guest.Flow{
		"/a?../b": guest.Continue, "/a..b/...": guest.Continue, "/.well-known/a": guest.Continue, "/%2ea": guest.Continue, "*": guest.Continue,
		"/..": guest.Answer, "/../healthz": guest.Answer, "/a/../../healthz": guest.Answer, "/.%2E/healthz": guest.Answer,
		"/%2e%2e%2Fhealthz": guest.Answer, "/..;a/healthz": guest.Answer, `/..\healthz`: guest.Answer, "/./a": guest.Answer, "/%": guest.Answer,
	} {
		host := guest.NewFake("GET", target)
		host.Fetch = func(guest.Call) (guest.Answered, error) { return guest.Answered{Status: 200}, nil }
		host.Run(func() {
			if got := e.request(guest.Request{}); got != want {
				t.Errorf("%s: got %d, want %d", target, got, want)
			}
		})
	}
}

// TestKeys: requests that differ in what counts have other decisions.
func TestKeys(t *testing.T) {
	base := question{method: "GET", host: "a", target: "/p?q", client: "192.0.2.1", headers: []string{"cookie", "c"}}
	others := map[string]question{
		"method": {"PUT", "a", "/p?q", "192.0.2.1", base.headers}, "host": {"GET", "b", "/p?q", "192.0.2.1", base.headers},
		"path": {"GET", "a", "/o?q", "192.0.2.1", base.headers}, "target": {"GET", "a", "/p?r", "192.0.2.1", base.headers},
		"client": {"GET", "a", "/p?q", "192.0.2.2", base.headers}, "header:cookie": {"GET", "a", "/p?q", "192.0.2.1", []string{"cookie", "d"}},
		"two cookies": {"GET", "a", "/p?q", "192.0.2.1", []string{"cookie", "c", "cookie", "c"}}, "none": {"GET", "a", "/p?q", "192.0.2.1", nil},
		"borders": {"GET", "a/", "p?q", "192.0.2.1", base.headers},
	}
	whole := made(t, `{"url":"https://a.example/","cache_ttl":"1s"}`).cache
	for name, other := range others {
		if whole.key(base) == whole.key(other) {
			t.Errorf("%s does not count", name)
		}
	}
	by := made(t, `{"url":"https://a.example/","cache_ttl":"1s","cache_key":["path","header:Cookie"]}`).cache
	for name, other := range others {
		if got, want := by.key(base) == by.key(other), name == "method" || name == "host" || name == "target" || name == "client"; got != want {
			t.Errorf("%s by path and cookie: got the same decision %v, want %v", name, got, want)
		}
	}
	if whole.key(base) == by.key(base) || (&cache{}).key(base) != "" {
		t.Error("another configuration has the same decisions")
	}
}

func TestConfigurationsThatCannotBeMeant(t *testing.T) {
	for text, want := range map[string]string{
		`{}`:                                  "config.url: expected https://",
		`{"url":"https://a/","method":"PUT"}`: "config.method: expected GET or same",
		`{"url":"https://a/","on_failure":"skip"}`:      "config.on_failure: expected deny or allow",
		`{"url":"https://a/","timeout":"2"}`:            "config.timeout: expected a duration",
		`{"url":"https://a/","strip":["Host"]}`:         "config.strip[0]: expected a field",
		`{"url":"https://a/","strip":["a","A"]}`:        "config.strip[1]: expected a field",
		`{"url":"https://a/","cache_key":["header:"]}`:  "config.cache_key[0]: expected method",
		`{"url":"https://a/","cache_key":["referrer"]}`: "config.cache_key[0]: expected method",
		`{"url":"https://a/","headers":[]}`:             "config.headers: is not a known key",
	} {
		if _, err := newExtAuth([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
}
