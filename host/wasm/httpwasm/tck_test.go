package httpwasm_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/http-wasm/http-wasm-host-go/tck"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/host/wasm"
	"github.com/ergoproxy/ergo/host/wasm/httpwasm"
)

// The ABI's own conformance kit, over both versions of HTTP that it knows.
func TestConformanceKit(t *testing.T) {
	for _, version := range []string{"HTTP/1.1", "HTTP/2.0"} {
		t.Run(version, func(t *testing.T) {
			p := loadKit(t)
			server := httptest.NewUnstartedServer(&kitHandler{policy: p, backend: tck.BackendHandler()})
			server.EnableHTTP2 = version == "HTTP/2.0"
			server.StartTLS()
			t.Cleanup(server.Close)
			tck.Run(t, server.Client(), server.URL)
		})
	}
}

func loadKit(t *testing.T) policy.Policy {
	t.Helper()
	engine, err := wasm.Open(wasm.Options{CacheDir: filepath.Join(t.TempDir(), "cache")})
	if err != nil {
		t.Fatal(err)
	}
	p, err := httpwasm.NewLoader(engine).Load(t.Context(), policy.Spec{
		Name: "tck",
		Artifact: &policy.Artifact{
			Digest: fmt.Sprintf("sha256:%x", sha256.Sum256(tck.GuestWASM)),
			Module: tck.GuestWASM,
		},
		Granted: new(policy.Granted),
		Settings: manifest.Policy{Limits: manifest.Limits{
			Memory: 64 << 20, Time: manifest.Duration(time.Second), Instances: 8,
			Wait: manifest.Duration(5 * time.Second), RequestBody: 1 << 20, ResponseBody: 1 << 20, LogLines: 100,
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if err := engine.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return p
}

// kitHandler is the least host that can carry the kit: one policy before the
// kit's backend.
type kitHandler struct {
	policy  policy.Policy
	backend http.Handler
}

func (h *kitHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := exchangeOf(r)
	instance, err := h.policy.Acquire(x)
	if err == nil {
		defer h.policy.Release(instance)
		err = h.carry(instance, x, r)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	for _, f := range x.Response.Header.Fields() {
		w.Header().Add(f.Name, f.Value)
	}
	w.WriteHeader(x.Response.Status)
	if x.Response.Body != nil {
		_, _ = io.Copy(w, x.Response.Body)
	}
}

func (h *kitHandler) carry(instance policy.Instance, x *exchange.Exchange, r *http.Request) error {
	verdict, err := h.policy.(policy.RequestHead).OnRequestHead(instance, x)
	if err != nil || verdict == policy.Answer {
		return err
	}
	answer := httptest.NewRecorder()
	h.backend.ServeHTTP(answer, requestOf(r, x))
	x.Response.Status = answer.Code
	for name, values := range answer.Header() {
		for _, v := range values {
			x.Response.Header.Add(name, v)
		}
	}
	x.Response.Body = io.NopCloser(answer.Body)
	x.Response.Length = int64(answer.Body.Len())
	return h.policy.(policy.ResponseHead).OnResponseHead(instance, x)
}

func exchangeOf(r *http.Request) *exchange.Exchange {
	version := exchange.Version(r.ProtoMajor*10 + r.ProtoMinor)
	remote := netip.MustParseAddrPort(r.RemoteAddr)
	x := &exchange.Exchange{
		Request: exchange.Request{
			Method: r.Method, Scheme: "https", Authority: r.Host, Target: r.RequestURI, Version: version,
			Body: r.Body, Length: r.ContentLength,
		},
		Conn:     &exchange.Conn{Remote: remote},
		ClientIP: remote.Addr(),
	}
	for name, values := range r.Header {
		for _, v := range values {
			x.Request.Header.Add(name, v)
		}
	}
	x.SetContext(r.Context())
	return x
}

func requestOf(r *http.Request, x *exchange.Exchange) *http.Request {
	out := r.Clone(r.Context())
	out.Method, out.RequestURI, out.Host, out.Body = x.Request.Method, x.Request.Target, x.Request.Authority, x.Request.Body
	out.Header = make(http.Header)
	for _, f := range x.Request.Header.Fields() {
		name := strings.ToLower(f.Name)
		out.Header[name] = append(out.Header[name], f.Value)
	}
	return out
}
