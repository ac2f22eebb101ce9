package httpwasm

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/host/wasm"
)

// pass carries an exchange through both phases.
func pass(t testing.TB, p *Policy) {
	t.Helper()
	x := newExchange()
	i, err := p.Acquire(x)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Release(i)
	if _, err := p.OnRequestHead(i, x); err != nil {
		t.Fatal(err)
	}
	answered(x, 200, "text")
	if err := p.OnResponseHead(i, x); err != nil {
		t.Fatal(err)
	}
}

func TestFeaturesOfTheStartHoldForEveryExchange(t *testing.T) {
	s := script{
		start:   []step{do("enable_features", 2)},
		request: []step{do("enable_features", 1), do("enable_features", 8)},
	}
	p := load(t, s)
	for n := range 2 {
		c := carryWith(t, p, s, newExchange())
		c.request(policy.Continue)
		if got := c.result(0); got != 3 {
			t.Errorf("exchange %d: features %b, want those of the start and those of the exchange", n, got)
		}
		if got := c.result(1); got != 3 {
			t.Errorf("exchange %d: an unknown feature was enabled: %b", n, got)
		}
	}
}

func TestFeaturesOfAnExchangeEndWithIt(t *testing.T) {
	s := script{request: []step{do("enable_features", 0), do("enable_features", 7)}}
	p := load(t, s)
	pass(t, p)
	c := carryWith(t, p, s, newExchange())
	c.request(policy.Continue)
	if got := c.result(0); got != 0 {
		t.Errorf("features %b are left of another exchange", got)
	}
	if got := p.Stats().Created; got != 1 {
		t.Fatalf("%d instances, want the same one twice", got)
	}
}

func TestInstanceIsPinnedOrReleased(t *testing.T) {
	for _, stateless := range []bool{false, true} {
		s := script{request: []step{do("result", 1, 77)}, response: []step{do("get_status_code")}}
		spec := specOf(s)
		spec.Artifact.File.Needs.Stateless = stateless
		p := loadSpec(t, openEngine(t), spec)
		x := newExchange()
		c := carryWith(t, p, s, x)
		c.request(policy.Continue)
		busy := 1
		if stateless {
			busy = 0
		}
		if got := p.Stats().Busy; got != busy {
			t.Errorf("stateless %v: %d instances are busy while the upstream works, want %d", stateless, got, busy)
		}
		answered(x, 202, "")
		c.response()
		if got := p.Stats().Busy; got != 0 {
			t.Errorf("stateless %v: %d instances are busy while the client takes the body", stateless, got)
		}
		if got := c.memory(4080, 1)[0]; got != 77 {
			t.Errorf("stateless %v: handle_response got ctx %d, want 77", stateless, got)
		}
		if got := c.result(1); got != 202 {
			t.Errorf("stateless %v: status %d, want 202", stateless, got)
		}
	}
}

// A policy that says it has nothing to do with responses is not asked, but what
// it set for the response in advance is there.
func TestRequestOnly(t *testing.T) {
	s := script{
		request: []step{
			do("enable_features", 4),
			do("set_header_value", responseFields, "x-early", "1"),
			do("set_header_value", responseTrailers, "x-end", "1"),
		},
		response: []step{do("trap")},
	}
	spec := specOf(s)
	spec.Artifact.File.Needs.RequestOnly = true
	p := loadSpec(t, openEngine(t), spec)
	x := newExchange()
	c := carryWith(t, p, s, x)
	c.request(policy.Continue)
	if got := p.Stats().Busy; got != 0 {
		t.Errorf("%d instances are busy while the upstream works", got)
	}
	answered(x, 200, "text")
	c.response()
	if got := readAll(t, x.Response.Body); got != "text" || x.Response.Header.Value("x-early") != "1" || x.Response.Trailer.Value("x-end") != "1" {
		t.Errorf("got %q, %s, %s", got, fieldsText(&x.Response.Header), fieldsText(&x.Response.Trailer))
	}

	x = newExchange()
	c = carryWith(t, p, s, x)
	c.request(policy.Continue)
	x.Fail(&exchange.Failure{Cause: exchange.CauseRefused, Status: 502})
	verdict, err := p.OnFailure(c.session, x)
	if verdict != policy.Continue || err != nil || x.Response.Status != 502 {
		t.Errorf("a failure: verdict %d, %v, status %d", verdict, err, x.Response.Status)
	}
}

func TestEndlessGuestIsStopped(t *testing.T) {
	spec := specOf(script{request: []step{do("spin")}})
	spec.Settings.Limits.Time = manifest.Duration(20 * time.Millisecond)
	p := loadSpec(t, openEngine(t), spec)
	for range 2 {
		x := newExchange()
		i, err := p.Acquire(x)
		if err != nil {
			t.Fatal(err)
		}
		_, err = p.OnRequestHead(i, x)
		wantKind(t, err, policy.Timeout)
		p.Release(i)
	}
	if got := p.Stats(); got.Discarded != 2 || got.Busy != 0 || got.Instances != 0 {
		t.Errorf("got %+v, want both instances gone", got)
	}
}

// gate is a body that waits for the test.
type gate struct {
	asked, open chan struct{}
	once        sync.Once
}

func (g *gate) Read([]byte) (int, error) {
	g.once.Do(func() { close(g.asked) })
	<-g.open
	return 0, io.EOF
}

func (g *gate) Close() error { return nil }

// The time that a guest waits for the client's bytes is not its own.
func TestWaitingForABodyIsNotTheGuestsTime(t *testing.T) {
	const limit = 250 * time.Millisecond
	spec := specOf(script{request: []step{do("read_body", requestBody, out(0), 8)}})
	spec.Settings.Limits.Time = manifest.Duration(limit)
	p := loadSpec(t, openEngine(t), spec)
	x := newExchange()
	slow := &gate{asked: make(chan struct{}), open: make(chan struct{})}
	x.Request.Body, x.Request.Length = slow, exchange.UnknownLength
	c := carryWith(t, p, script{}, x)
	go func() {
		<-slow.asked
		time.AfterFunc(2*limit, func() { close(slow.open) })
	}()
	c.request(policy.Continue)
}

// What a policy's calls cost is known, and the same for the same exchange.
func TestTicksAreCounted(t *testing.T) {
	p := load(t, headerOnly)
	pass(t, p)
	once := p.Stats().Ticks
	if least := uint64(6 * 256); once < least {
		t.Errorf("%d ticks for six calls of the host, want %d at least", once, least)
	}
	pass(t, p)
	if got := p.Stats().Ticks; got != 2*once {
		t.Errorf("%d ticks for two exchanges, %d for the first", got, once)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	s := script{request: []step{do("grow", 14), do("grow", 1000), do("grow", 1)}}
	spec := specOf(s)
	spec.Settings.Limits.Memory = 1 << 20
	for _, onHeap := range []bool{false, true} {
		p := loadSpec(t, openEngineWith(t, wasm.Options{HeapMemory: onHeap}), spec)
		testMemoryBound(t, p, s)
		if got := p.Stats().MemoryBytes; onHeap && got != 1<<20 {
			t.Errorf("%d bytes held, want %d", got, 1<<20)
		} else if !onHeap && got >= 1<<17 {
			t.Errorf("%d bytes held, of which only some were touched", got)
		}
	}
}

func testMemoryBound(t *testing.T, p *Policy, s script) {
	t.Helper()
	c := carryWith(t, p, s, newExchange())
	c.request(policy.Continue)
	if got := int64(c.result(0)); got != 2 {
		t.Errorf("growing to the limit returned %d, want the 2 pages of before", got)
	}
	for n := 1; n <= 2; n++ {
		if got := int64(c.result(n)); got != -1 {
			t.Errorf("growing beyond the limit returned %d, want -1", got)
		}
	}
}

func TestMemoryIsCountedUntilItIsFreed(t *testing.T) {
	p := load(t, script{request: []step{do("grow", 14), do("trap")}})
	x := newExchange()
	image := p.Stats().MemoryBytes // and the first clone, which has written nothing
	c := carryWith(t, p, script{}, x)
	_, err := p.OnRequestHead(c.session, x)
	wantKind(t, err, policy.Trap)
	if got := p.Stats().MemoryBytes; got != image {
		t.Errorf("%d bytes are held by an image of %d", got, image)
	}
}

func TestOverload(t *testing.T) {
	spec := specOf(script{})
	spec.Settings.Limits.Instances = 2
	spec.Settings.Limits.Wait = manifest.Duration(10 * time.Millisecond)
	p := loadSpec(t, openEngine(t), spec)
	carryWith(t, p, script{}, newExchange())
	carryWith(t, p, script{}, newExchange())
	_, err := p.Acquire(newExchange())
	wantKind(t, err, policy.Overload)
	if got := p.Stats(); got.Instances != 2 || got.Busy != 2 || got.Waits != 1 || got.Overloads != 1 {
		t.Errorf("got %+v", got)
	}
}

// Who waits while the client goes away stops waiting.
func TestWaitingEndsWithTheExchange(t *testing.T) {
	spec := specOf(script{})
	spec.Settings.Limits.Instances = 1
	p := loadSpec(t, openEngine(t), spec)
	carryWith(t, p, script{}, newExchange())
	x := newExchange()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	x.SetContext(ctx)
	_, err := p.Acquire(x)
	wantKind(t, err, policy.Overload)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want %v", err, context.Canceled)
	}
}

func TestGuestLog(t *testing.T) {
	var log bytes.Buffer
	s := script{request: []step{
		do("log", 0, "hello"),
		do("log", 2, "trouble"),
		do("log", -1, "detail"),
		do("log_enabled", -1),
		do("log_enabled", 0),
		do("print", 1, "printed\n"),
		do("print", 2, "in two "),
		do("print", 2, "pieces\n"),
	}}
	spec := specOf(s)
	spec.Log = logTo(&log)
	c := carryWith(t, loadSpec(t, openEngine(t), spec), s, newExchange())
	c.request(policy.Continue)
	want := strings.Join([]string{
		`level=INFO msg=hello request_id=x-1`,
		`level=ERROR msg=trouble request_id=x-1`,
		`level=INFO msg=printed stream=stdout request_id=x-1`,
		`level=WARN msg="in two pieces" stream=stderr request_id=x-1`,
	}, "\n") + "\n"
	if got := log.String(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if c.result(3) != 0 || c.result(4) != 1 {
		t.Errorf("log_enabled says %d for debug and %d for info", c.result(3), c.result(4))
	}
}

// Two instances must not draw the same random numbers.
func TestRandomnessIsReal(t *testing.T) {
	s := script{request: []step{do("random", out(0), 16)}}
	p := load(t, s)
	var drawn [2]string
	for n := range drawn {
		c := carryWith(t, p, s, newExchange())
		c.request(policy.Continue)
		drawn[n] = string(c.memory(out(0), 16))
	}
	if drawn[0] == drawn[1] {
		t.Errorf("both instances drew %x", drawn[0])
	}
}
