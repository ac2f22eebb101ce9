package upstream

import (
	"context"
	"errors"
	"io"
	"testing"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/http1"
	"github.com/ergoproxy/ergo/host/http1/socket"
	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/upstream/wire"
)

// near is an endpoint without a wire: what is measured is ours alone.
type near struct{ body nearBody }

func (n *near) Carry(t *wire.Try) *wire.Error {
	n.body.left = "hello"
	r := &t.Response
	r.Status, r.Length, r.Body = 200, int64(len(n.body.left)), &n.body
	r.Header.AddKnown(exchange.ContentType, "Content-Type", "text/plain")
	return nil
}

func (*near) Check(context.Context, *manifest.Health, string) error { return nil }
func (*near) Sweep()                                                {}
func (*near) Close()                                                {}

// nearBody lends its bytes.
type nearBody struct {
	left   string
	broken error // what lending failed with
}

func (b *nearBody) Read(p []byte) (int, error) {
	if b.broken != nil {
		return 0, b.broken
	}
	n := copy(p, b.left)
	if b.left = b.left[n:]; b.left == "" {
		return n, io.EOF
	}
	return n, nil
}

func (b *nearBody) SpliceSource() (*socket.Conn, []byte, int64, bool) {
	return nil, []byte(b.left), 0, b.left != ""
}

func (b *nearBody) Spliced(n int64, err error) { b.left, b.broken = b.left[n:], err }
func (b *nearBody) Close() error               { return nil }

// nearby returns an upstream of such an endpoint.
func nearby(t testing.TB) (*Set, *endpoint) {
	set := build(t, registry(t), settings("ergo:echo"))
	m := set.pools["up"].members.Load().all[0]
	m.via = &near{}
	return set, m.endpoint
}

func TestLentBytesEndTheStay(t *testing.T) {
	set, e := nearby(t)
	for _, broken := range []error{nil, errors.New("told to break")} {
		x := ask("GET", "/", "")
		if f := set.Forward(x, "up"); f != nil {
			t.Fatal(f)
		}
		lender := x.Response.Body.(http1.Spliceable)
		_, waiting, _, ok := lender.SpliceSource()
		if string(waiting) != "hello" || !ok {
			t.Errorf("lent %q, %v", waiting, ok)
		}
		if n := e.inFlight.Load(); n != 1 {
			t.Errorf("%d in flight while bytes are lent, want 1", n)
		}
		lender.Spliced(int64(len(waiting)), broken)
		if rest, err := io.ReadAll(x.Response.Body); len(rest) != 0 || err != broken {
			t.Errorf("after all was lent: %q, %v", rest, err)
		}
		if n := e.inFlight.Load(); n != 0 {
			t.Errorf("%d in flight at the end", n)
		}
		x.Response.Body.Close()
	}
	if n := e.failed.Load(); n != 1 {
		t.Errorf("%d failures counted, want that of the body that broke", n)
	}
}

func TestBodyWithoutBytesToLend(t *testing.T) {
	set := build(t, registry(t), settings("ergo:echo"))
	x := ask("GET", "/bytes/10", "")
	if f := set.Forward(x, "up"); f != nil {
		t.Fatal(f)
	}
	if _, _, _, ok := x.Response.Body.(http1.Spliceable).SpliceSource(); ok {
		t.Error("bytes were lent that nobody has")
	}
	if got := read(t, x); got != "0123456789" {
		t.Errorf("got %q", got)
	}
}

func TestForwardDoesNotAllocate(t *testing.T) {
	set, _ := nearby(t)
	x, c, buffer := ask("GET", "/", ""), new(Call), make([]byte, 64)
	forward := func() {
		x.Response.Header.Reset()
		x.Lap()
		if f := set.ForwardBy(c, x, "up"); f != nil {
			t.Fatal(f)
		}
		if n, err := x.Response.Body.Read(buffer); n != 5 || err != io.EOF {
			t.Fatal(n, err)
		}
		x.Response.Body.Close()
		c = c.Reset()
	}
	forward()
	if n := testing.AllocsPerRun(100, forward); n != 0 {
		t.Errorf("%v allocations for an exchange, want 0", n)
	}
}

func BenchmarkCall(b *testing.B) {
	set, _ := nearby(b)
	b.ReportAllocs()
	x, c := ask("GET", "/", ""), new(Call)
	x.Lap()
	for b.Loop() {
		x.Response.Header.Reset()
		if f := set.ForwardBy(c, x, "up"); f != nil {
			b.Fatal(f)
		}
		x.Response.Body.Close()
		c = c.Reset()
	}
}
