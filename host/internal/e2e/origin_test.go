package e2e

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/ergoproxy/ergo/host/hosttest"
)

// origin is a backend that each test adds its own handlers to.
type origin struct {
	*hosttest.Backend

	mu       sync.Mutex
	handlers map[string]http.Handler
	grpc     *service // for calls of gRPC; nil: none
}

// startOrigin speaks HTTP/1.1 and HTTP/2 with prior knowledge.
func startOrigin(t testing.TB) *origin {
	o := &origin{handlers: map[string]http.Handler{}}
	o.Backend = hosttest.Serve(t, o)
	return o
}

// startSecureOrigin speaks HTTP/1.1 and HTTP/2 by ALPN.
func startSecureOrigin(t testing.TB, ca *hosttest.CA) *origin {
	o := &origin{handlers: map[string]http.Handler{}}
	o.Backend = hosttest.ServeTLS(t, &tls.Config{Certificates: []tls.Certificate{ca.KeyPair(t, "127.0.0.1")}}, o)
	return o
}

// ServeHTTP follows http.Handler.
func (o *origin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if o.grpc != nil && strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc") {
		o.grpc.server.ServeHTTP(w, r)
		return
	}
	o.mu.Lock()
	h := o.handlers[r.URL.Path]
	o.mu.Unlock()
	if h == nil {
		hosttest.Echo(w, r)
		return
	}
	h.ServeHTTP(w, r)
}

// at adds a handler and returns its path; all other paths are hosttest.Echo.
func (o *origin) at(h http.HandlerFunc) (path string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	path = fmt.Sprintf("/handler/%d", len(o.handlers))
	o.handlers[path] = h
	return path
}
