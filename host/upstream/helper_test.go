package upstream

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/manifest"
)

// settings returns an upstream with defaults as the manifest has them.
func settings(urls ...string) manifest.Upstream {
	up := manifest.Upstream{
		Protocol: "auto",
		Balance:  "round-robin",
		Host:     "client",
		Timeout:  manifest.Duration(10 * time.Second),
		Outlier:  manifest.Outlier{Failures: 5, Ejection: manifest.Duration(10 * time.Second), MaxEjected: 50, Status5xx: true},
		Breaker:  manifest.UpstreamBreaker{MaxRequests: 4096, MaxPending: 1024, MinRequests: 20, Window: manifest.Duration(10 * time.Second), Open: manifest.Duration(5 * time.Second)},
		Retry:    manifest.Retry{Attempts: 2, Backoff: manifest.Duration(time.Millisecond), Budget: 20, MinRetries: 100, Body: 64 << 10},
		Connections: manifest.Connections{Max: 64, Idle: 16,
			IdleTimeout: manifest.Duration(time.Minute), ConnectTimeout: manifest.Duration(2 * time.Second)},
	}
	for _, u := range urls {
		up.Endpoints = append(up.Endpoints, manifest.Endpoint{URL: u, Weight: 1})
	}
	return up
}

// build makes a set of one upstream, named "up".
func build(t testing.TB, r *Registry, up manifest.Upstream) *Set {
	t.Helper()
	s, err := r.Build(map[string]manifest.Upstream{"up": up})
	if err != nil {
		t.Fatalf("Build: %v", err)
	}
	t.Cleanup(s.Close)
	return s
}

// registry makes one that ends with the test.
func registry(t testing.TB) *Registry {
	t.Helper()
	r := NewRegistry(Options{})
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := r.Close(ctx); err != nil {
			t.Errorf("close registry: %v", err)
		}
	})
	return r
}

// origin starts a server.
func origin(t testing.TB, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return s
}

// ask makes an exchange with a request.
func ask(method, target, body string) *exchange.Exchange {
	x := &exchange.Exchange{Request: exchange.Request{
		Method: method, Scheme: "http", Authority: "site.example", Target: target, Version: exchange.HTTP11,
	}}
	if body != "" {
		x.Request.Body = io.NopCloser(strings.NewReader(body))
		x.Request.Length = int64(len(body))
	}
	return x
}

// read returns the response's body and closes it.
func read(t testing.TB, x *exchange.Exchange) string {
	t.Helper()
	if x.Response.Body == nil {
		return ""
	}
	text, err := io.ReadAll(x.Response.Body)
	if err != nil {
		t.Fatalf("read body: %v", err)
	}
	x.Response.Body.Close()
	return string(text)
}

// forward sends a GET and returns status and body.
func get(t testing.TB, s *Set, target string) (int, string) {
	t.Helper()
	x := ask("GET", target, "")
	if f := s.Forward(x, "up"); f != nil {
		t.Fatalf("Forward: %v", f)
	}
	return x.Response.Status, read(t, x)
}

// eventually waits for a condition.
func eventually(t testing.TB, what string, met func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !met(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("no %s in time", what)
		}
	}
}

// plain starts a server without TLS, for HTTP/1.1 or for HTTP/2 with prior
// knowledge.
func plain(t testing.TB, multi bool, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(handler)
	if multi {
		s.Config.Protocols = new(http.Protocols)
		s.Config.Protocols.SetUnencryptedHTTP2(true)
	}
	s.Start()
	t.Cleanup(s.Close)
	return s
}

// counted starts a server that counts the connections it gets.
func counted(t testing.TB, handler http.HandlerFunc) (*httptest.Server, *atomic.Int32) {
	t.Helper()
	s, conns := httptest.NewUnstartedServer(handler), new(atomic.Int32)
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			conns.Add(1)
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	return s, conns
}

// stateful starts a server that tells when a connection is closed, and returns
// settings for it.
func stateful(t testing.TB, multi bool, closed chan<- struct{}) (*httptest.Server, manifest.Upstream) {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateClosed {
			closed <- struct{}{}
		}
	}
	if multi {
		s.Config.Protocols = new(http.Protocols)
		s.Config.Protocols.SetUnencryptedHTTP2(true)
	}
	s.Start()
	t.Cleanup(s.Close)
	up := settings(s.URL)
	if multi {
		up.Protocol = "h2"
	}
	return s, up
}

// countedHTTP2 starts a server of HTTP/2 with a limit of streams that counts its
// connections.
func countedHTTP2(t testing.TB, streams int, handler http.HandlerFunc) (url string, conns *atomic.Int32) {
	t.Helper()
	s := httptest.NewUnstartedServer(handler)
	conns = new(atomic.Int32)
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			conns.Add(1)
		}
	}
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Config.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: streams}
	s.Start()
	t.Cleanup(s.Close)
	return s.URL, conns
}
