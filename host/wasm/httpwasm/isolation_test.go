package httpwasm

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/host/wasm"
)

// leavesMark is a guest that keeps what it is told in its memory.
var leavesMark = script{
	request:  []step{do("get_header_values", requestFields, "x-mark", out(0), room)},
	response: []step{do("get_header_values", requestFields, "x-mark", out(1), room)},
}

func isolatedPolicy(t testing.TB, options wasm.Options, stateless bool) *Policy {
	spec := specOf(leavesMark)
	spec.Settings.Isolation = "exchange"
	spec.Artifact.File.Needs.Stateless = stateless
	return loadSpec(t, openEngineWith(t, options), spec)
}

// wantBlank wants a guest that no exchange has used.
func wantBlank(t *testing.T, c *carried) {
	t.Helper()
	if got := string(c.memory(out(0), 2*room)); strings.Trim(got, "\x00") != "" {
		t.Errorf("a guest of another exchange is lent: it holds %q", strings.Trim(got, "\x00"))
	}
}

// With isolation "exchange" nobody finds what an earlier exchange left, whether
// guests are clones or not.
func TestExchangesAreIsolated(t *testing.T) {
	for _, options := range []wasm.Options{{}, {HeapMemory: true}} {
		p := isolatedPolicy(t, options, false)
		for range 3 {
			x := newExchange()
			x.Request.Header.Set("x-mark", "secret")
			i, err := p.Acquire(x)
			if err != nil {
				t.Fatal(err)
			}
			c := &carried{t, p, leavesMark, i.(*session), i.(*session).guest, x}
			wantBlank(t, c)
			c.request(policy.Continue)
			if got := c.text(0); got != "secret\x00" {
				t.Errorf("the guest holds %q of its own exchange", got)
			}
			p.Release(i)
		}
		if got := p.Stats(); options.HeapMemory != (got.Discarded == 3) || got.Busy != 0 {
			t.Errorf("got %+v", got)
		}
	}
}

// A stateless policy has a second guest for the response, as fresh as the first.
func TestPhasesOfStatelessPoliciesAreIsolated(t *testing.T) {
	p := isolatedPolicy(t, wasm.Options{}, true)
	x := newExchange()
	x.Request.Header.Set("x-mark", "secret")
	c := carryWith(t, p, leavesMark, x)
	c.request(policy.Continue)
	if c.session.guest != nil {
		t.Fatal("a stateless policy keeps its guest")
	}
	wantBlank(t, c) // it was reset where it is
	other := carryWith(t, p, leavesMark, newExchange())
	wantBlank(t, other)
	answered(x, 200, "")
	c.response()
}

// Without isolation a guest keeps what it has: the mark is seen by the next one.
func TestSharedGuestsKeepTheirState(t *testing.T) {
	p := load(t, leavesMark)
	x := newExchange()
	x.Request.Header.Set("x-mark", "kept")
	i, err := p.Acquire(x)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.OnRequestHead(i, x); err != nil {
		t.Fatal(err)
	}
	p.Release(i)
	if c := carryWith(t, p, leavesMark, newExchange()); !strings.HasPrefix(string(c.memory(out(0), 5)), "kept") {
		t.Error("the guest was reset")
	}
}

// A feature that was enabled while the guest started holds in its clones.
func TestClonesHaveTheFeaturesOfTheStart(t *testing.T) {
	s := script{start: []step{do("enable_features", 3)}}
	for range 2 {
		p := load(t, s)
		if p.image == nil {
			t.Skipf("nothing is cloned here: %s", p.plain)
		}
		for range 2 {
			if c := carryWith(t, p, s, newExchange()); c.session.features != bufferRequest|bufferResponse {
				t.Errorf("features %b", c.session.features)
			}
		}
	}
}

func TestGuestsToWhichChanceMattersStartOneByOne(t *testing.T) {
	spec := specOf(leavesMark)
	spec.Settings.Grants = append(spec.Settings.Grants, wasm.Random)
	p := loadSpec(t, openEngine(t), spec)
	if got := p.Stats().Plain; p.image != nil || !strings.Contains(got, wasm.Reseed) {
		t.Errorf("got %q", got)
	}
}

// Isolated exchanges on many sides, of which some break their guest.
func TestHammerIsolation(t *testing.T) {
	spec := specOf(script{request: []step{
		do("get_header_values", requestFields, "x-mark", out(0), room),
		do("read_body", requestBody, out(1), 10),
	}})
	spec.Settings.Isolation = "exchange"
	p := loadSpec(t, openEngine(t), spec)
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for range 50 {
				hammerIsolated(t, p, worker%4 == 0)
			}
		})
	}
	wg.Wait()
	if got := p.Stats(); got.Busy != 0 || got.Discarded != 100 {
		t.Errorf("got %+v", got)
	}
}

func hammerIsolated(t *testing.T, p *Policy, breaks bool) {
	x := newExchange()
	x.Request.Header.Set("x-mark", "secret")
	i, err := p.Acquire(x)
	if err != nil {
		t.Error(err)
		return
	}
	defer p.Release(i)
	wantBlank(t, &carried{t: t, guest: i.(*session).guest})
	if breaks {
		x.Request.Body = &failing{}
	}
	if _, err := p.OnRequestHead(i, x); breaks != (err != nil) {
		t.Error(errors.Join(errors.New("the guest does otherwise"), err))
	}
}
