package httpwasm

import (
	"context"
	"errors"
	"io"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/policy"
)

// crowd is what many exchanges wait for, once each.
type crowd struct {
	came, over chan struct{}
	asked      atomic.Int64 // woken ones that are at a guest
	most       atomic.Int64 // of them, ever
}

type crowdKey struct{}

func (c *crowd) wait() {
	c.came <- struct{}{}
	<-c.over
}

// goOn is called by the guest that a woken exchange is at.
func (c *crowd) goOn() {
	n := c.asked.Add(1)
	defer c.asked.Add(-1)
	for most := c.most.Load(); n > most && !c.most.CompareAndSwap(most, n); most = c.most.Load() {
	}
	runtime.Gosched()
}

func newCrowd() *crowd { return &crowd{came: make(chan struct{}), over: make(chan struct{})} }

// specOfWaiter is of a stateless policy that routeDouble has wait.
func specOfWaiter() policy.Spec {
	spec := specOfModule(routeModule)
	spec.Artifact.File.Capabilities, spec.Settings.Grants = []string{"ergo_route"}, []string{"ergo_route"}
	spec.Artifact.File.Needs.Stateless = true
	return spec
}

// send has an exchange handled, and returns when it waits.
func (c *crowd) send(t *testing.T, p *Policy, ctx context.Context, done chan<- error) {
	t.Helper()
	x := newExchange()
	x.SetContext(context.WithValue(ctx, crowdKey{}, c))
	i, err := p.Acquire(x)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		defer p.Release(i)
		_, err := p.OnRequestHead(i, x)
		done <- err
	}()
	<-c.came
}

// TestManyAreWoken wakes 2,000 exchanges that hold none of four guests, of which nobody
// waits longer than a millisecond for one.
func TestManyAreWoken(t *testing.T) {
	const many = 2000
	spec := specOfWaiter()
	spec.Settings.Limits.Wait = manifest.Duration(time.Millisecond)
	p := loadSpec(t, openEngine(t), spec)
	c, done := newCrowd(), make(chan error, many)
	for range many {
		c.send(t, p, t.Context(), done)
	}
	if got := p.Stats(); got.Busy != 0 || got.Instances > 4 {
		t.Errorf("while all wait: got %+v", got)
	}
	close(c.over)
	refused := 0
	for range many {
		if err := <-done; err != nil {
			refused++
		}
	}
	if got := p.Stats(); refused != 0 || got.Overloads != 0 {
		t.Errorf("%d of %d were refused; %+v", refused, many, got)
	}
	if got := c.most.Load(); got > 2 {
		t.Errorf("%d of four guests were with woken exchanges at once, want two at most", got)
	}
}

// TestWokenExchangeThatEnds ends one that waits for others that were woken.
func TestWokenExchangeThatEnds(t *testing.T) {
	p := loadSpec(t, openEngine(t), specOfWaiter())
	c, done := newCrowd(), make(chan error, 1)
	gone := errors.New("the client is gone")
	ctx, leave := context.WithCancelCause(t.Context())
	for range cap(p.again) {
		p.again <- struct{}{}
	}
	c.send(t, p, ctx, done)
	close(c.over)
	leave(gone)
	err := <-done
	wantKind(t, err, policy.Overload)
	if !errors.Is(err, gone) {
		t.Errorf("got %v, want %v", err, gone)
	}
	if got := p.Stats(); got.Busy != 0 {
		t.Errorf("got %+v", got)
	}
}

// closable is a body that tells whether it was closed.
type closable struct {
	io.Reader
	closed int
}

func (c *closable) Close() error {
	c.closed++
	return nil
}

// TestServedResponseIsUndone has a guest fail after a capability made the response, twice:
// who goes on without the policy has the body that came from upstream.
func TestServedResponseIsUndone(t *testing.T) {
	for name, request := range map[string]script{
		"fails":   {response: []step{do("trap")}},
		"is well": {},
	} {
		p := load(t, request)
		x := newExchange()
		c := carryWith(t, p, request, x)
		c.request(policy.Continue)
		upstream, first, second := &closable{Reader: strings.NewReader("upstream")}, &closable{}, &closable{Reader: strings.NewReader("served")}
		x.Response = exchange.Response{Status: 200, Length: 8, Body: upstream}
		s := c.session
		asks := func() { // as the guest does in its phase
			s.Respond(&exchange.Response{Status: 200, Length: 6, Body: first})
			s.Respond(&exchange.Response{Status: 200, Length: 6, Body: second})
		}
		s.phase = responsePhase
		asks()
		if upstream.closed != 0 || first.closed != 1 || x.Response.Body != second {
			t.Errorf("%s: upstream closed %d times, the first one %d times", name, upstream.closed, first.closed)
		}
		s.phase = requestPhase
		err := p.OnResponseHead(s, x)
		want, dropped := second, upstream
		if err != nil {
			want, dropped = upstream, second
		}
		if (err != nil) != (name == "fails") || x.Response.Body != want || want.closed != 0 || dropped.closed != 1 {
			t.Errorf("%s: error %v, body %v, closed %d and %d times", name, err, x.Response.Body, want.closed, dropped.closed)
		}
	}
}
