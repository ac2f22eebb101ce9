package policies

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/hosttest"
	"github.com/ergoproxy/ergo/host/hosttest/cases"
	"github.com/ergoproxy/ergo/host/wasm"
)

// decider is a service that lets "good" pass.
type decider struct {
	*hosttest.Backend
	asked atomic.Int32
	down  atomic.Bool
}

func newDecider(t testing.TB) *decider {
	d := new(decider)
	d.Backend = hosttest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.asked.Add(1)
		path := r.Header.Get("X-Forwarded-Uri")
		switch {
		case d.down.Load():
			w.WriteHeader(http.StatusBadGateway)
		case path == "/login":
			w.Header().Set("Location", "https://login.example.com/")
			w.Header().Add("Set-Cookie", "a=1")
			w.Header().Add("Set-Cookie", "b=2")
			w.Header().Set("X-Internal", "secret")
			w.WriteHeader(http.StatusFound)
		case r.Header.Get("Authorization") != "good":
			w.Header().Set("WWW-Authenticate", "Bearer")
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusUnauthorized)
			io.WriteString(w, `{"who":"are you"}`+strings.Repeat(" ", len(path)))
		default:
			if path == "/private" {
				w.Header().Set("Cache-Control", "private")
			}
			w.Header().Set("X-User", "alice")
			w.Header().Add("X-Group", "dev")
			w.Header().Add("X-Group", "ops")
			w.Header().Set("X-Internal", "secret")
			if path == "/two" {
				w.Header().Add("X-User", "bob")
			}
		}
	}))
	return d
}

func (d *decider) suite(t testing.TB, isolation string) *cases.Suite {
	t.Helper()
	s := openSuite(t, wasm.Options{}, "ext-auth", fmt.Sprintf("[policy.ext-auth.http]\nhosts = [%q]\ninternal = [\"127.0.0.0/8\"]\n", d.URL))
	s.Settings.Isolation = isolation
	return s
}

func (d *decider) config(more map[string]any) map[string]any {
	config := map[string]any{"url": d.URL + "/decide", "upstream_headers": []string{"x-user", "x-group"}, "subject_header": "x-user"}
	for key, value := range more {
		config[key] = value
	}
	return config
}

// asks is a request for a path with an Authorization field, and fields that only the
// policy may set.
func asks(t testing.TB, path, authorization string) *exchange.Exchange {
	c := cases.Case{Request: cases.Request{Target: path, Header: map[string]cases.Values{
		"X-User": {"root"}, "x_group": {"wheel"}, "X-Forwarded-Uri": {"/public"},
	}}}
	if authorization != "" {
		c.Request.Header["Authorization"] = cases.Values{authorization}
	}
	return c.Exchange(t)
}

func TestExtAuthDecides(t *testing.T) {
	d := newDecider(t)
	s := d.suite(t, "shared")
	line := s.Alone(t, s.Load(t, "made", d.config(nil)))
	x := asks(t, "/a", "good")
	if got := send(t, line, x); got != 0 {
		t.Fatalf("got %d, want it to pass", got)
	}
	for name, want := range map[string]string{"x-user": "alice", "x-group": "dev, ops", "x_group": "", "authorization": "", "x-internal": ""} {
		var got []string
		for _, f := range x.Request.Header.Fields() {
			if strings.EqualFold(f.Name, name) {
				got = append(got, f.Value)
			}
		}
		if strings.Join(got, ", ") != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	for _, authorization := range []string{"", "bad", "goods"} {
		x := asks(t, "/a", authorization)
		if got := send(t, line, x); got != 401 || x.Response.Header.Value("www-authenticate") != "Bearer" ||
			x.Response.Header.Value("content-type") != "application/json" || !strings.HasPrefix(cases.Body(t, x.Response.Body), `{"who"`) {
			t.Errorf("%q: got %d %v, want the service's 401", authorization, got, x.Response.Header.Fields())
		}
		if got := x.Request.Header.Value("x-user"); got != "" {
			t.Errorf("%q: the client's own x-user %q is left", authorization, got)
		}
	}
	x = asks(t, "/login", "good")
	if got := send(t, line, x); got != 302 || x.Response.Header.Value("location") == "" || x.Response.Header.Value("x-internal") != "" {
		t.Errorf("got %d %v, want the service's 302", got, x.Response.Header.Fields())
	}
	x = asks(t, "/"+strings.Repeat("a", 9000), "bad")
	if got := send(t, line, x); got != 401 || cases.Body(t, x.Response.Body) != "" {
		t.Errorf("got %d, want 401 without the long body", got)
	}
	if got := send(t, line, asks(t, "/two", "good")); got != 503 {
		t.Errorf("with two subjects: got %d, want 503", got)
	}
	d.down.Store(true)
	if got := send(t, line, asks(t, "/a", "good")); got != 503 {
		t.Errorf("with the service out of order: got %d, want 503", got)
	}
}

// Decisions to let pass are remembered for all instances, and nothing else is.
func TestExtAuthRemembers(t *testing.T) {
	for _, isolation := range []string{"shared", "exchange"} {
		d := newDecider(t)
		s := d.suite(t, isolation)
		line := s.Alone(t, s.Load(t, "made", d.config(map[string]any{"cache_ttl": "1h", "cache_key": []string{"path", "header:authorization"}})))
		expect := func(what, path, authorization string, status, asked int) {
			t.Helper()
			before := d.asked.Load()
			x := asks(t, path, authorization)
			if got := send(t, line, x); got != status {
				t.Errorf("%s, %s: got %d, want %d", isolation, what, got, status)
			}
			if status == 0 && x.Request.Header.Value("x-user") != "alice" {
				t.Errorf("%s, %s: got user %q", isolation, what, x.Request.Header.Value("x-user"))
			}
			if got := int(d.asked.Load() - before); got != asked {
				t.Errorf("%s, %s: the service was asked %d times, want %d", isolation, what, got, asked)
			}
		}
		expect("at first", "/a", "good", 0, 1)
		expect("known", "/a", "good", 0, 0)
		expect("known with another query", "/a?b", "good", 0, 0)
		expect("another path", "/b", "good", 0, 1)
		expect("others", "/a", "bad", 401, 1)
		expect("others again", "/a", "bad", 401, 1)
		expect("nobody", "/a", "", 401, 1)
		expect("private", "/private", "good", 0, 1)
		expect("private again", "/private", "good", 0, 1)
		d.down.Store(true)
		expect("out of order", "/c", "good", 503, 1)
		expect("out of order again", "/c", "good", 503, 1)
		expect("out of order, and known", "/a", "good", 0, 0)
		d.down.Store(false)
		expect("in order again", "/c", "good", 0, 1)
	}
}

// A service that does not answer is not waited for longer than is said, and when it is
// gone nobody passes.
func TestExtAuthTimesOut(t *testing.T) {
	open := make(chan struct{})
	gate := &decider{Backend: hosttest.Serve(t, hosttest.Gate(open))}
	t.Cleanup(func() { close(open) })
	s := gate.suite(t, "shared")
	for action, want := range map[string]int{"deny": 503, "allow": 0} {
		line := s.Alone(t, s.Load(t, action, gate.config(map[string]any{"timeout": "20ms", "on_failure": action})))
		x := asks(t, "/a", "good")
		if got := send(t, line, x); got != want || x.Request.Header.Value("x-user") != "" {
			t.Errorf("%s: got %d and user %q, want %d and nobody", action, got, x.Request.Header.Value("x-user"), want)
		}
	}
}

// BenchmarkExtAuth is what an exchange costs that the service is asked about, and one
// that is known.
func BenchmarkExtAuth(b *testing.B) {
	d := newDecider(b)
	s := d.suite(b, "shared")
	c := cases.Case{Request: cases.Request{Header: map[string]cases.Values{"Authorization": {"good"}}}}
	for _, ttl := range []string{"0s", "1h"} {
		p := s.Load(b, ttl, d.config(map[string]any{"cache_ttl": ttl}))
		b.Run("cache_ttl="+ttl, func(b *testing.B) { s.Visit(b, &c, p) })
	}
}
