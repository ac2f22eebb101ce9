package engine

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
)

func take[T any](t *testing.T, what string, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(10 * time.Second):
		t.Fatalf("waited in vain for %s", what)
		panic("unreachable")
	}
}

const repeats = `{ mark = "r", repeat = true }`

// TestRepeatBeginsAtThePolicy has policies of both tiers repeat a request: those before
// them see nothing of it, those behind and the upstream do.
func TestRepeatBeginsAtThePolicy(t *testing.T) {
	for name, tc := range map[string]struct {
		edge, service []string
		want          string // the marks of the request, and of the response
	}{
		"edge":    {[]string{mark("a"), repeats, mark("b")}, []string{mark("c")}, "a,r,r,b,c c,b,r"},
		"service": {[]string{mark("a")}, []string{mark("b"), repeats, mark("c")}, "a,b,r,r,c c,r"},
	} {
		b := newBench(t)
		b.swap(b.manifest(tc.edge, tc.service))
		if got := b.get(); got.status != 200 {
			t.Fatalf("%s: status %d", name, got.status)
		}
		if !take(t, "Repeat", b.loader.repeated) {
			t.Fatalf("%s: it was refused", name)
		}
		if got := take(t, "the response", b.loader.seen); got != tc.want {
			t.Errorf("%s: it passed %q, want %q", name, got, tc.want)
		}
		take(t, "the end", b.loader.ended)
		b.isIdle()
	}
}

func TestRepeatEndsWhateverHappens(t *testing.T) {
	for name, behind := range map[string]string{
		"trap":   `{ mark = "t", trap = true }`,
		"answer": `{ mark = "t", answer = 403 }`,
		"panic":  `{ mark = "t", panic = "response" }`,
	} {
		b := newBench(t)
		b.swap(b.manifest([]string{repeats}, []string{behind}))
		func() {
			defer func() { _ = recover() }() // of the client's own exchange
			b.get()
		}()
		if !take(t, "Repeat", b.loader.repeated) {
			t.Fatalf("%s: it was refused", name)
		}
		take(t, "the end", b.loader.ended)
		b.isIdle()
	}
}

// isIdle waits until the generation carries nothing.
func (b *bench) isIdle() {
	b.t.Helper()
	g := b.e.current.Load()
	eventually(b.t, "the generation is empty", func() bool { return g.inFlight() == 0 && g.repeats.Load() == 0 })
}

// TestRepeatKeepsItsGeneration swaps manifests while a repetition is at a policy that is
// not in the next one.
func TestRepeatKeepsItsGeneration(t *testing.T) {
	b := newBench(t)
	gate := make(chan struct{})
	b.loader.gates["g"] = gate
	b.swap(b.manifest([]string{repeats, `{ mark = "w", gate = "g" }`}, nil, "keep_generations = 0"))
	before := b.e.current.Load()
	served := make(chan *answer, 1)
	go func() { served <- b.get() }()
	take(t, "Repeat", b.loader.repeated)
	eventually(t, "both are under way", func() bool { return before.inFlight() == 2 })
	b.swap(b.manifest([]string{mark("x")}, nil, "keep_generations = 0"))
	gate <- struct{}{} // one of the two, the other stays
	eventually(t, "one has ended", func() bool { return before.inFlight() == 1 })
	for _, m := range b.loader.all() {
		if m.closed.Load() {
			t.Errorf("policy %s is closed while an exchange needs it", m.Mark)
		}
	}
	gate <- struct{}{}
	take(t, "the end", b.loader.ended)
	if got := take(t, "the client's response", served); got.status != 200 {
		t.Errorf("status %d", got.status)
	}
	eventually(t, "the old generation is closed", func() bool { return b.loader.open() == 1 })
}

func TestWhatIsNotRepeated(t *testing.T) {
	b := newBench(t)
	b.swap(b.manifest([]string{repeats}, nil))
	refused := func(what string, edit func(*exchange.Exchange)) {
		t.Helper()
		b.get(edit)
		if take(t, "Repeat", b.loader.repeated) {
			t.Errorf("%s: it is repeated", what)
		}
	}
	refused("with a body", func(x *exchange.Exchange) {
		x.Request.Method, x.Request.Body, x.Request.Length = "POST", io.NopCloser(strings.NewReader("b")), 1
	})
	refused("an upgrade", func(x *exchange.Exchange) { x.Request.Upgrade = "websocket" })
	g := b.e.current.Load()
	g.repeats.Add(maxRepeats)
	refused("beyond the bound", func(*exchange.Exchange) {})
	g.repeats.Add(-maxRepeats)
	b.get()
	if !take(t, "Repeat", b.loader.repeated) {
		t.Error("below the bound again: it is refused")
	}
	take(t, "the end", b.loader.ended)
}

// TestCopyIsApart ends the exchange, with its memory, while the copy goes on.
func TestCopyIsApart(t *testing.T) {
	x := &exchange.Exchange{ID: "id"}
	x.Request = exchange.Request{Method: "GET", Authority: "a", Target: "/t"}
	x.Request.Header.Add("name", "value")
	_ = x.SetProperty(exchange.Property{Name: "p", Value: "v", Text: true})
	_ = x.Identify("alice", "key")
	x.Route.Upstream = "u"
	y := copyOf(x)
	x.Request.Header.Set("name", "other")
	x.Reset()
	if y.Request.Header.Value("name") != "value" || y.Route.Upstream != "u" || y.Identity.Subject != "alice" || y.ID != "id" {
		t.Errorf("got %+v", y)
	}
	if len(y.Properties) != 1 || y.Properties[0] != (exchange.Property{Name: "p", Value: "v", Text: true}) {
		t.Errorf("got properties %v", y.Properties)
	}
	if !y.Repeated {
		t.Error("it does not say that it is a copy")
	}
}
