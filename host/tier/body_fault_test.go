package tier

import (
	"errors"
	"io"
	"testing"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/policy"
)

// faulty is a policy that streams bodies and may fail on one that is on its way.
type faulty struct {
	*fake
	policy.RequestHead
	policy.ResponseHead
	policy.Done
	request, response bool // where it fails
	fault             error
}

func newFaulty() *faulty {
	f := &fake{name: "faulty", done: func(*exchange.Exchange) {}}
	f.needs.RequestBody.Mode, f.needs.ResponseBody.Mode = manifest.BodyStream, manifest.BodyStream
	p := &faulty{fake: f, ResponseHead: fakeBodies{f}, Done: fakeDone{f}, RequestHead: fakeHead{f}}
	f.acquire = func(*exchange.Exchange) error {
		p.fault = nil
		return nil
	}
	f.head = func(x *exchange.Exchange) (policy.Verdict, error) {
		if p.request {
			x.Request.Body = &faultyBody{p, false}
		}
		return policy.Continue, nil
	}
	f.responseHead = func(x *exchange.Exchange) error {
		if p.response {
			x.Response.Body = &faultyBody{p, true}
		}
		return nil
	}
	return p
}

func (p *faulty) BodyFault(policy.Instance) error { return p.fault }

// faultyBody is a body on which its policy fails.
type faultyBody struct {
	policy   *faulty
	response bool
}

func (b *faultyBody) Read([]byte) (int, error) {
	if b.policy.fault == nil {
		b.policy.fault = &policy.Error{Kind: policy.Trap, Policy: "faulty", Err: errBroken}
	}
	return 0, &exchange.BodyError{Response: b.response, Err: b.policy.fault}
}

func (b *faultyBody) Close() error { return nil }

func (p *faulty) stage(rule *manifest.OnError) StageSpec {
	s := StageSpec{Stage: manifest.Stage{Name: "only", Combine: "all"}}
	s.OnError = rule
	s.Uses = []UseSpec{{Slot: &Slot{Name: "faulty", Policy: p}}}
	return s
}

// sendsOn is an upstream that reads the request's body, and fails with it.
func sendsOn(x *exchange.Exchange) *exchange.Failure {
	if _, err := io.Copy(io.Discard, x.Request.Body); err != nil {
		return &exchange.Failure{Cause: exchange.CauseClient, Status: 400, Err: err}
	}
	return replies(200, "ok")(x)
}

// A policy that fails on the request's body, after its head went on, has its rule
// applied before the response; there is no going on without it any more.
func TestFaultInTheRequestsBody(t *testing.T) {
	for _, c := range []struct {
		action manifest.Action
		status int
	}{
		{manifest.Action{Kind: "deny"}, 500},
		{manifest.Action{Kind: "respond", Status: 418}, 418},
		{manifest.Action{Kind: "skip"}, 500},
	} {
		p := newFaulty()
		p.request = true
		stage := p.stage(everyKind(c.action))
		x := withBody("body")
		carry(t, x, sendsOn, newTier(t, stage))
		if x.Response.Status != c.status || x.Failure == nil || x.Failure.Policy != "faulty" || !errors.Is(x.Failure.Err, errBroken) {
			t.Errorf("%s: got status %d, %+v, want %d", c.action.Kind, x.Response.Status, x.Failure, c.status)
		}
		if s := stage.Uses[0].Slot.Status(); s.Failures != 1 {
			t.Errorf("%s: counted %d times", c.action.Kind, s.Failures)
		}
		checkReturned(t, p.fake)
	}
}

// What a policy breaks of the response's body is beyond its rule, but counts: its
// head having passed does not make it well.
func TestFaultInTheResponsesBodyQuarantines(t *testing.T) {
	p := newFaulty()
	p.response = true
	stage := p.stage(skipAll)
	tier := newTier(t, stage)
	slot := stage.Uses[0].Slot
	for n := range maxFailures {
		if s := slot.Status(); s.Failures != n || s.Quarantined {
			t.Fatalf("after %d exchanges: got %+v", n, s)
		}
		carry(t, newExchange(), replies(200, "ok"), tier)
	}
	if !slot.Status().Quarantined {
		t.Error("a policy that only breaks bodies is not in quarantine")
	}
	checkReturned(t, p.fake)
}

// An exchange without a fault makes a policy well, once it is over.
func TestBodyWithoutFaultBreaksRow(t *testing.T) {
	p := newFaulty()
	p.response = true
	stage := p.stage(nil)
	tier := newTier(t, stage)
	carry(t, newExchange(), replies(200, "ok"), tier)
	p.response = false
	carry(t, newExchange(), fails(exchange.Failure{Cause: exchange.CauseReset, Status: 502}), tier)
	if s := stage.Uses[0].Slot.Status(); s.Failures != 0 {
		t.Errorf("got %+v", s)
	}
	checkReturned(t, p.fake)
}

// A failure that took other exchanges along counts once, and their rules apply.
func TestSecondaryFailures(t *testing.T) {
	lost := &policy.Error{Kind: policy.Trap, Policy: "a", Err: errBroken, Secondary: true}
	for name, f := range map[string]*fake{
		"acquire": {name: "a", acquire: func(*exchange.Exchange) error { return lost }},
		"request": {name: "a", head: func(*exchange.Exchange) (policy.Verdict, error) {
			return policy.Continue, lost
		}},
		"response": {name: "a", responseHead: func(*exchange.Exchange) error { return lost }},
	} {
		stage := stageOf(f)
		stage.OnError = everyKind(manifest.Action{Kind: "respond", Status: 418})
		tier := newTier(t, stage)
		for range 10 * maxFailures {
			x := newExchange()
			carry(t, x, replies(200, "ok"), tier)
			if x.Response.Status != 418 {
				t.Fatalf("%s: got status %d", name, x.Response.Status)
			}
		}
		if s := stage.Uses[0].Slot.Status(); s.Failures != 0 || s.Quarantined {
			t.Errorf("%s: got %+v", name, s)
		}
		checkReturned(t, f)
	}
}

// A policy that is skipped because something that it needs was not there, in the
// midst of its work, leaves the exchange as it was.
func TestSkipAfterOverloadUndoes(t *testing.T) {
	over := &policy.Error{Kind: policy.Overload, Policy: "a", Err: errBroken}
	deny := manifest.Action{Kind: "deny"}
	f := &fake{name: "a", head: func(x *exchange.Exchange) (policy.Verdict, error) {
		x.Request.Header.Add("half", "done")
		return policy.Continue, over
	}}
	g := &fake{name: "b", responseHead: func(x *exchange.Exchange) error {
		x.Response.Header.Add("half", "done")
		return over
	}}
	stage := stageOf(f, g)
	stage.OnError = &manifest.OnError{Load: deny, Config: deny, Trap: deny, Timeout: deny, Overload: manifest.Action{Kind: "skip"}}
	x := newExchange()
	got := carry(t, x, replies(200, "ok"), newTier(t, stage))
	if x.Response.Status != 200 || got != "ok" || x.Response.Header.Len() != 0 {
		t.Errorf("got status %d, %q, %v", x.Response.Status, got, x.Response.Header.Fields())
	}
	if x.Request.Method != "GET" || x.Request.Header.Value("host-sent") != "yes" || x.Request.Header.Has("half") {
		t.Errorf("got request %s, %v", x.Request.Method, x.Request.Header.Fields())
	}
	checkReturned(t, f, g)
}

// Trailers that come with a response's body are as they came, if the policy that
// changed them is skipped.
func TestSkipRestoresResponseTrailers(t *testing.T) {
	f := &fake{name: "a", responseHead: func(x *exchange.Exchange) error {
		if _, err := io.ReadAll(x.Response.Body); err != nil {
			return err
		}
		x.Response.Trailer.Set("sum", "forged")
		return errBroken
	}}
	f.needs.ResponseBody.Mode = manifest.BodyStream
	stage := stageOf(f)
	stage.OnError = skipAll
	x := newExchange()
	got := carry(t, x, func(x *exchange.Exchange) *exchange.Failure {
		x.Response.Status, x.Response.Length = 200, exchange.UnknownLength
		x.Response.Body = &sealed{x: x, text: "body"}
		return nil
	}, newTier(t, stage))
	if sum := x.Response.Trailer.Value("sum"); got != "body" || sum != "true" {
		t.Errorf("got %q with %q", got, sum)
	}
}

// sealed is a body that ends with a trailer.
type sealed struct {
	x    *exchange.Exchange
	text string
}

func (b *sealed) Read(p []byte) (int, error) {
	if b.text == "" {
		b.x.Response.Trailer.Set("sum", "true")
		return 0, io.EOF
	}
	n := copy(p, b.text)
	b.text = b.text[n:]
	return n, nil
}

func (b *sealed) Close() error { return nil }
