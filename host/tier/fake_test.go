package tier

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/policy"
)

// journal is what happened, in order.
type journal struct {
	mu     sync.Mutex
	events []string
}

func (j *journal) add(event string) {
	j.mu.Lock()
	j.events = append(j.events, event)
	j.mu.Unlock()
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Join(j.events, " ")
}

// fake is a policy that does as the test says, and counts its instances. Nil
// behaviours let pass.
type fake struct {
	name    string
	family  string
	needs   policy.Needs
	journal *journal

	acquire      func(*exchange.Exchange) error
	head         func(*exchange.Exchange) (policy.Verdict, error)
	body         func(*exchange.Exchange) (policy.Verdict, error)
	responseHead func(*exchange.Exchange) error
	responseBody func(*exchange.Exchange) error
	failure      func(*exchange.Exchange) (policy.Verdict, error) // nil: no such phase
	trailers     func(*exchange.Exchange) error                   // nil: no such phase
	done         func(*exchange.Exchange)                         // nil: no such phase
	headOnly     bool                                             // no phase but the request's head

	lent, returned, twice atomic.Int64
}

type fakeInstance struct{ returned atomic.Bool }

func (f *fake) Needs() policy.Needs {
	if f.needs.RequestBody.Mode == manifest.BodyUnset {
		f.needs.RequestBody.Mode = manifest.BodyNone
	}
	if f.needs.ResponseBody.Mode == manifest.BodyUnset {
		f.needs.ResponseBody.Mode = manifest.BodyNone
	}
	return f.needs
}

func (f *fake) Acquire(x *exchange.Exchange) (policy.Instance, error) {
	if f.acquire != nil {
		if err := f.acquire(x); err != nil {
			return nil, err
		}
	}
	f.lent.Add(1)
	return &fakeInstance{}, nil
}

func (f *fake) Release(i policy.Instance) {
	f.note("release")
	f.returned.Add(1)
	if i.(*fakeInstance).returned.Swap(true) {
		f.twice.Add(1)
	}
}

func (f *fake) Stats() policy.Stats {
	return policy.Stats{Busy: int(f.lent.Load() - f.returned.Load())}
}
func (f *fake) Close(ctx context.Context) error { return nil }

func (f *fake) note(event string) {
	if f.journal != nil {
		f.journal.add(f.name + "." + event)
	}
}

// The phases, each a type of its own so that a policy can lack it.
type (
	fakeHead     struct{ *fake }
	fakeBodies   struct{ *fake }
	fakeFailure  struct{ *fake }
	fakeTrailers struct{ *fake }
	fakeDone     struct{ *fake }
)

func (p fakeHead) OnRequestHead(i policy.Instance, x *exchange.Exchange) (policy.Verdict, error) {
	p.note("head")
	if p.head == nil {
		return policy.Continue, nil
	}
	return p.head(x)
}

func (p fakeBodies) OnRequestBody(i policy.Instance, x *exchange.Exchange) (policy.Verdict, error) {
	p.note("body")
	if p.body == nil {
		return policy.Continue, nil
	}
	return p.body(x)
}

func (p fakeBodies) OnResponseHead(i policy.Instance, x *exchange.Exchange) error {
	p.note("response")
	if p.responseHead == nil {
		return nil
	}
	return p.responseHead(x)
}

func (p fakeBodies) OnResponseBody(i policy.Instance, x *exchange.Exchange) error {
	p.note("response-body")
	if p.responseBody == nil {
		return nil
	}
	return p.responseBody(x)
}

func (p fakeFailure) OnFailure(i policy.Instance, x *exchange.Exchange) (policy.Verdict, error) {
	p.note("failure")
	return p.failure(x)
}

func (p fakeTrailers) OnTrailers(i policy.Instance, x *exchange.Exchange) error {
	p.note("trailers")
	return p.trailers(x)
}

func (p fakeDone) OnDone(i policy.Instance, x *exchange.Exchange) {
	p.note("done")
	p.done(x)
}

// policy returns f with the phases it has.
func (f *fake) policy() policy.Policy {
	head, bodies := fakeHead{f}, fakeBodies{f}
	switch {
	case f.headOnly:
		return head
	case f.failure != nil && f.done != nil:
		return struct {
			*fake
			policy.RequestHead
			policy.RequestBody
			policy.ResponseHead
			policy.ResponseBody
			policy.Failure
			policy.Done
		}{f, head, bodies, bodies, bodies, fakeFailure{f}, fakeDone{f}}
	case f.failure != nil:
		return struct {
			*fake
			policy.RequestHead
			policy.RequestBody
			policy.ResponseHead
			policy.ResponseBody
			policy.Failure
		}{f, head, bodies, bodies, bodies, fakeFailure{f}}
	case f.trailers != nil:
		return struct {
			*fake
			policy.RequestHead
			policy.RequestBody
			policy.ResponseHead
			policy.ResponseBody
			policy.Trailers
		}{f, head, bodies, bodies, bodies, fakeTrailers{f}}
	case f.done != nil:
		return struct {
			*fake
			policy.RequestHead
			policy.RequestBody
			policy.ResponseHead
			policy.ResponseBody
			policy.Done
		}{f, head, bodies, bodies, bodies, fakeDone{f}}
	}
	return struct {
		*fake
		policy.RequestHead
		policy.RequestBody
		policy.ResponseHead
		policy.ResponseBody
	}{f, head, bodies, bodies, bodies}
}

func (f *fake) slot() *Slot {
	return &Slot{Name: f.name, Version: "1.0.0", Family: f.family, Policy: f.policy()}
}

// checkReturned tells whether every instance came back exactly once.
func checkReturned(t *testing.T, fakes ...*fake) {
	t.Helper()
	for _, f := range fakes {
		if lent, returned := f.lent.Load(), f.returned.Load(); lent != returned || f.twice.Load() > 0 {
			t.Errorf("policy %s: %d instances lent, %d returned, %d of them twice", f.name, lent, returned, f.twice.Load())
		}
	}
}

// Behaviours.

func answers(status int) func(*exchange.Exchange) (policy.Verdict, error) {
	return func(x *exchange.Exchange) (policy.Verdict, error) {
		x.Response.Status = status
		return policy.Answer, nil
	}
}

func breaks(kind policy.Kind) func(*exchange.Exchange) (policy.Verdict, error) {
	return func(*exchange.Exchange) (policy.Verdict, error) {
		return policy.Continue, &policy.Error{Kind: kind, Policy: "x", Err: errBroken}
	}
}

var errBroken = errors.New("broken on purpose")

// Parts of specs.

func newTier(t testing.TB, stages ...StageSpec) *Tier {
	t.Helper()
	return newTierWith(t, manifest.Tier{MaxInFlight: 1000, Queue: 10}, stages...)
}

func newTierWith(t testing.TB, config manifest.Tier, stages ...StageSpec) *Tier {
	t.Helper()
	made, err := New(Spec{Name: "service", Config: config, Stages: stages})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(made.Close)
	return made
}

func stageOf(fakes ...*fake) StageSpec {
	s := StageSpec{Stage: manifest.Stage{Name: "only", Combine: "all"}}
	for _, f := range fakes {
		s.Uses = append(s.Uses, UseSpec{Slot: f.slot()})
	}
	return s
}

func everyKind(a manifest.Action) *manifest.OnError {
	return &manifest.OnError{Load: a, Config: a, Trap: a, Timeout: a, Overload: a}
}

var skipAll = everyKind(manifest.Action{Kind: "skip"})

func newExchange() *exchange.Exchange {
	x := &exchange.Exchange{Request: exchange.Request{
		Method: "GET", Scheme: "http", Authority: "example.com", Target: "/", Version: exchange.HTTP11,
	}}
	x.Request.Header.Add("host-sent", "yes")
	return x
}

func withBody(text string) *exchange.Exchange {
	x := newExchange()
	x.Request.Method = "POST"
	x.Request.Body = io.NopCloser(strings.NewReader(text))
	x.Request.Length = int64(len(text))
	return x
}

// upstream stands for what follows a tier.
type upstream func(*exchange.Exchange) *exchange.Failure

func replies(status int, body string) upstream {
	return func(x *exchange.Exchange) *exchange.Failure {
		x.Response.Status = status
		if body != "" {
			x.Response.Body = io.NopCloser(strings.NewReader(body))
			x.Response.Length = int64(len(body))
		}
		return nil
	}
}

func fails(f exchange.Failure) upstream {
	return func(*exchange.Exchange) *exchange.Failure { return &f }
}

// carry takes x through the tiers and back as the engine does, and returns the
// response's body as it was sent.
func carry(t testing.TB, x *exchange.Exchange, next upstream, tiers ...*Tier) string {
	t.Helper()
	x.Lap()
	walks := make([]Walk, len(tiers))
	entered := 0
	defer func() {
		for i := entered - 1; i >= 0; i-- {
			tiers[i].Done(&walks[i], x)
			tiers[i].Leave(x)
		}
	}()
	if f := forward(x, next, tiers, walks, &entered); f != nil {
		x.Fail(f)
	}
	for i := entered - 1; i >= 0; i-- {
		tiers[i].Response(&walks[i], x)
	}
	if x.Response.Body == nil {
		return ""
	}
	defer x.Response.Body.Close()
	text, err := io.ReadAll(x.Response.Body)
	if err != nil {
		return "error: " + err.Error()
	}
	return string(text)
}

func forward(x *exchange.Exchange, next upstream, tiers []*Tier, walks []Walk, entered *int) *exchange.Failure {
	for i, tier := range tiers {
		if f := tier.Enter(x); f != nil {
			return f
		}
		*entered = i + 1
		if answered, f := tier.Request(&walks[i], x); answered || f != nil {
			return f
		}
	}
	defer x.Lap()
	return next(x)
}
