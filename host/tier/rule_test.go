package tier

import (
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/policy"
)

// failing returns a stage of one policy that fails in one way before or while it
// is called.
func failing(kind policy.Kind) (StageSpec, *fake) {
	f := &fake{name: "weak"}
	stage := stageOf(f)
	switch kind {
	case policy.Load, policy.Config:
		stage.Uses[0].Slot = &Slot{Name: "weak", Failed: kind, Err: errBroken}
	case policy.Overload:
		f.acquire = func(*exchange.Exchange) error {
			return &policy.Error{Kind: policy.Overload, Policy: "weak", Err: errBroken}
		}
	default:
		f.head = func(x *exchange.Exchange) (policy.Verdict, error) {
			x.Request.Target = "/changed"
			x.Request.Header.Add("half", "done")
			x.Route.Upstream = "elsewhere"
			x.Annotate("half", "done")
			_ = x.SetProperty(exchange.Property{Name: "half", Value: "done"})
			_ = x.Identify("half", "weak")
			x.Response.Status = 201
			return policy.Answer, &policy.Error{Kind: kind, Policy: "weak", Err: errBroken}
		}
	}
	return stage, f
}

func TestFailureRules(t *testing.T) {
	const passed = 200
	deny := map[policy.Kind]struct {
		status int
		cause  exchange.Cause
		retry  bool
	}{
		policy.Load:     {500, exchange.CausePolicy, false},
		policy.Config:   {500, exchange.CausePolicy, false},
		policy.Trap:     {500, exchange.CausePolicy, false},
		policy.Timeout:  {504, exchange.CausePolicy, false},
		policy.Overload: {503, exchange.CauseOverload, true},
	}
	for kind, denied := range deny {
		for _, combine := range []string{"all", "any"} {
			rules := []struct {
				action manifest.Action
				status int
			}{
				{manifest.Action{}, denied.status},
				{manifest.Action{Kind: "deny"}, denied.status},
				{manifest.Action{Kind: "respond", Status: 418}, 418},
				{manifest.Action{Kind: "skip"}, passed},
			}
			if combine == "any" {
				rules[3].status = denied.status // no fail-open
			}
			for _, rule := range rules {
				name := strings.Join([]string{kind.String(), combine, rule.action.Kind, strconv.Itoa(rule.status)}, " ")
				t.Run(name, func(t *testing.T) {
					stage, f := failing(kind)
					stage.Combine = combine
					stage.OnError = everyKind(rule.action)
					x := newExchange()
					carry(t, x, replies(passed, ""), newTier(t, stage))
					checkReturned(t, f)
					if x.Response.Status != rule.status {
						t.Fatalf("got status %d, want %d", x.Response.Status, rule.status)
					}
					if rule.status == passed {
						checkUntouched(t, x)
						return
					}
					checkDenied(t, x.Failure, denied.cause)
					if retry := x.Response.Header.Has("retry-after"); retry != denied.retry {
						t.Errorf("Retry-After is there: %v, want %v", retry, denied.retry)
					}
				})
			}
		}
	}
}

func checkUntouched(t *testing.T, x *exchange.Exchange) {
	t.Helper()
	r := &x.Request
	if r.Target != "/" || r.Header.Len() != 1 || x.Route.Upstream != "" || len(x.Notes) != 0 || len(x.Properties) != 0 || x.Identity.Subject != "" || x.AnsweredBy != "" {
		t.Errorf("the skipped policy left traces: %+v route %+v notes %v properties %v identity %+v", r, x.Route, x.Notes, x.Properties, x.Identity)
	}
}

func checkDenied(t *testing.T, f *exchange.Failure, cause exchange.Cause) {
	t.Helper()
	if f == nil {
		t.Fatal("there is no failure")
	}
	if f.Cause != cause || f.Tier != "service" || f.Stage != "only" || f.Policy != "weak" || f.Err == nil {
		t.Errorf("got failure %+v, want cause %s in weak", f, cause)
	}
}

func TestRuleIsByKind(t *testing.T) {
	stage, _ := failing(policy.Trap)
	stage.OnError = &manifest.OnError{Timeout: manifest.Action{Kind: "skip"}}
	x := newExchange()
	carry(t, x, replies(200, ""), newTier(t, stage))
	if x.Response.Status != 500 {
		t.Errorf("got status %d of a trap where only timeouts are skipped, want 500", x.Response.Status)
	}
}

func TestPlainErrorIsTrap(t *testing.T) {
	f := &fake{name: "weak", head: func(*exchange.Exchange) (policy.Verdict, error) { return 0, errBroken }}
	x := newExchange()
	carry(t, x, replies(200, ""), newTier(t, stageOf(f)))
	if x.Response.Status != 500 {
		t.Errorf("got status %d, want 500", x.Response.Status)
	}
}

func TestRules(t *testing.T) {
	skip, respond := skipAll, everyKind(manifest.Action{Kind: "respond", Status: 418})
	cases := []struct {
		name       string
		stage, own *manifest.OnError
		family     string
		want       manifest.OnError
	}{
		{"none", nil, nil, "traffic", manifest.OnError{}},
		{"the stage's", skip, nil, "traffic", *skip},
		{"its own", skip, respond, "traffic", *respond},
		{"auth ignores the stage's", skip, nil, "auth", manifest.OnError{}},
		{"auth has its own", respond, skip, "auth", *skip},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := Rules(c.stage, c.own, c.family); got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

func TestAuthFailsClosed(t *testing.T) {
	f := &fake{name: "key", family: "auth", head: breaks(policy.Trap)}
	stage := stageOf(f)
	stage.OnError = skipAll
	x := newExchange()
	carry(t, x, replies(200, ""), newTier(t, stage))
	if x.Response.Status != 500 {
		t.Errorf("got status %d of a broken auth policy in a stage that may be skipped, want 500", x.Response.Status)
	}
}

func TestResponseRules(t *testing.T) {
	cases := []struct {
		name   string
		action manifest.Action
		status int
		body   string
		seen   string // by the policy before it
	}{
		{"deny", manifest.Action{Kind: "deny"}, 500, "500 Internal Server Error\n", "500 failed"},
		{"respond", manifest.Action{Kind: "respond", Status: 418}, 418, "418 Error\n", "418 failed"},
		{"skip", manifest.Action{Kind: "skip"}, 200, "secret", "200"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var seen string
			a := &fake{name: "a", responseHead: func(x *exchange.Exchange) error {
				seen = strconv.Itoa(x.Response.Status)
				if x.Failure != nil {
					seen += " failed"
				}
				return nil
			}}
			b := &fake{name: "b", responseHead: func(x *exchange.Exchange) error {
				x.Response.Status = 299
				x.Response.Header.Add("half", "done")
				return errBroken
			}}
			stage := stageOf(a, b)
			stage.OnError = everyKind(c.action)
			x := newExchange()
			var body closing
			got := carry(t, x, func(x *exchange.Exchange) *exchange.Failure {
				x.Response.Status = 200
				body = closing{Reader: strings.NewReader("secret")}
				x.Response.Body = &body
				return nil
			}, newTier(t, stage))
			if x.Response.Status != c.status || got != c.body || seen != c.seen {
				t.Errorf("got status %d, body %q, and the policy before saw %q; want %d, %q, %q",
					x.Response.Status, got, seen, c.status, c.body, c.seen)
			}
			if x.Response.Header.Has("half") {
				t.Error("what the broken policy changed is still there")
			}
			if !body.closed {
				t.Error("the upstream's body is still open")
			}
			checkReturned(t, a, b)
		})
	}
}

// closing is a body that knows whether it was closed.
type closing struct {
	*strings.Reader
	closed bool
}

func (c *closing) Close() error {
	c.closed = true
	return nil
}

func TestStatusOfUnloadedPolicy(t *testing.T) {
	s := &Slot{Name: "gone", Failed: policy.Config, Err: errBroken}
	got := s.Status()
	if got.Kind != "config" || got.LoadError != errBroken.Error() {
		t.Errorf("got %+v", got)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Errorf("close: %v", err)
	}
}

func TestRetryAfterIsAtLeastASecond(t *testing.T) {
	tier := newTierWith(t, manifest.Tier{MaxInFlight: 1, Queue: 0, QueueTimeout: manifest.Duration(time.Millisecond)})
	if f := tier.Enter(newExchange()); f != nil {
		t.Fatal(f)
	}
	f := tier.Enter(newExchange())
	if f == nil || f.Cause != exchange.CauseOverload || f.Status != 503 || f.RetryAfter != time.Second {
		t.Errorf("got %+v, want overload, 503, 1s", f)
	}
	tier.Leave(nil)
	if f := tier.Enter(newExchange()); f != nil {
		t.Errorf("after one left: %v", f)
	}
}

// What a policy gave the exchange for others is undone with it, in either
// direction.
func TestSkippedPolicyLeavesNothingForOthers(t *testing.T) {
	set := func(x *exchange.Exchange, value string) {
		if err := x.SetProperty(exchange.Property{Name: "k", Value: value}); err != nil {
			t.Error(err)
		}
		if err := errors.Join(x.Identify(value, "first"), x.AddAttribute("k", value)); err != nil {
			t.Error(err)
		}
	}
	first := &fake{name: "first", head: func(x *exchange.Exchange) (policy.Verdict, error) {
		set(x, "first's")
		return policy.Continue, nil
	}}
	weak := &fake{name: "weak", responseHead: func(x *exchange.Exchange) error {
		set(x, "weak's")
		return errBroken
	}}
	stage := stageOf(first, weak)
	stage.OnError = skipAll
	x := newExchange()
	carry(t, x, replies(200, ""), newTier(t, stage))
	if p, _ := x.Property("k"); p.Value != "first's" || len(x.Properties) != 1 {
		t.Errorf("got %+v, want what the first policy set", x.Properties)
	}
	if value, _ := x.Identity.Attribute("k"); x.Identity.Subject != "first's" || value != "first's" {
		t.Errorf("got %+v, want what the first policy set", x.Identity)
	}
}
