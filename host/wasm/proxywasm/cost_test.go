package proxywasm

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"fmt"
	"io"
	"testing"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/host/wasm/httpwasm"
)

var (
	//go:embed testdata/wat/visit.wasm
	visitModule []byte
	//go:embed testdata/wat/visit_http.wasm
	httpVisitModule []byte // the same for http-wasm
)

// headerPolicy is what a visit of heads alone needs.
type headerPolicy interface {
	policy.Policy
	policy.RequestHead
	policy.ResponseHead
}

func loadVisit(t testing.TB, module []byte, abi string) headerPolicy {
	t.Helper()
	spec := specOf(module)
	spec.Artifact.Digest, spec.Artifact.File.ABI = fmt.Sprintf("sha256:%x", sha256.Sum256(module)), abi
	engine := openEngine(t, true)
	loader := policy.Loader(NewLoader(engine))
	if abi == "http-wasm" {
		spec.Settings.Grants = nil
		loader = httpwasm.NewLoader(engine)
	}
	spec.Settings.Limits.Time = manifest.Duration(1e10)
	p, err := loader.Load(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return p.(headerPolicy)
}

// visit carries the same exchange once more: the guest reads a field and sets one of
// the request, and sees the response's head. Of proxy-wasm these are six callbacks
// and three calls between guest and host, of http-wasm two and two.
func visit(t testing.TB, p headerPolicy, x *exchange.Exchange) {
	i, err := p.Acquire(x)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.OnRequestHead(i, x); err != nil {
		t.Fatal(err)
	}
	if err := p.OnResponseHead(i, x); err != nil {
		t.Fatal(err)
	}
	if done, ok := p.(policy.Done); ok {
		done.OnDone(i, x)
	}
	p.Release(i)
}

func visited() *exchange.Exchange {
	x := newExchange("GET", "/", exchange.Field{Name: "X-Api-Key", Value: "secret"})
	x.Response.Status = 200
	return x
}

// A visit of heads alone allocates nothing.
func TestAllocations(t *testing.T) {
	p, x := loadVisit(t, visitModule, "proxy-wasm"), visited()
	visit(t, p, x)
	if got := x.Request.Header.Value("x-seen"); got != "secret" {
		t.Fatalf("got %q", got)
	}
	if got := testing.AllocsPerRun(200, func() { visit(t, p, x) }); got != 0 {
		t.Errorf("%v allocations for an exchange, want none", got)
	}
}

func BenchmarkHeaderOnlyExchange(b *testing.B) {
	for _, bench := range []struct {
		abi    string
		module []byte
	}{{"proxy-wasm", visitModule}, {"http-wasm", httpVisitModule}} {
		b.Run(bench.abi, func(b *testing.B) {
			p, x := loadVisit(b, bench.module, bench.abi), visited()
			b.ReportAllocs()
			for b.Loop() {
				visit(b, p, x)
			}
		})
	}
}

// endless is a body of n bytes.
type endless struct{ left int }

func (e *endless) Read(b []byte) (int, error) {
	n := min(len(b), e.left)
	if e.left -= n; n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

func (e *endless) Close() error { return nil }

// A body that passes by costs no memory for each piece.
func TestAllocationsOfABody(t *testing.T) {
	p := load(t, script{})
	carryBody := func(pieces int) float64 {
		buffer := make([]byte, pieceBytes)
		return testing.AllocsPerRun(20, func() {
			x := newExchange("POST", "/")
			x.Request.Body, x.Request.Length = &endless{pieces * pieceBytes}, exchange.UnknownLength
			i, err := p.Acquire(x)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := p.OnRequestHead(i, x); err != nil {
				t.Fatal(err)
			}
			for err == nil {
				_, err = x.Request.Body.Read(buffer)
			}
			p.Release(i)
		})
	}
	// What the puppet allocates for each callback is its script's.
	few, many := carryBody(10), carryBody(110)
	if each := (many - few) / 100; each > 1 {
		t.Errorf("%v allocations for a piece", each)
	}
}
