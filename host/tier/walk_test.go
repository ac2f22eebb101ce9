package tier

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/policy"
)

func nothing(*exchange.Exchange) {}

// three returns fakes a, b and c that have a done phase and write to one journal.
func three() (a, b, c *fake, j *journal) {
	j = &journal{}
	made := [3]*fake{}
	for i := range made {
		made[i] = &fake{name: string(rune('a' + i)), journal: j, done: nothing}
	}
	return made[0], made[1], made[2], j
}

func TestOrder(t *testing.T) {
	a, b, c, j := three()
	x := newExchange()
	carry(t, x, replies(200, ""), newTier(t, stageOf(a, b), stageOf(c)))
	want := "a.head b.head c.head c.response b.response a.response " +
		"c.done c.release b.done b.release a.done a.release"
	if got := j.String(); got != want {
		t.Errorf("phases ran\n%s, want\n%s", got, want)
	}
	checkReturned(t, a, b, c)
}

func TestTiersNest(t *testing.T) {
	a, b, _, j := three()
	a.done, b.done = nil, nil
	carry(t, newExchange(), replies(200, ""), newTier(t, stageOf(a)), newTier(t, stageOf(b)))
	want := "a.head b.head b.response b.release a.response a.release"
	if got := j.String(); got != want {
		t.Errorf("phases ran\n%s, want\n%s", got, want)
	}
}

func TestAnswerTurnsRound(t *testing.T) {
	a, b, c, j := three()
	b.head = answers(403)
	x := newExchange()
	carry(t, x, func(*exchange.Exchange) *exchange.Failure {
		t.Error("an answered exchange reached the upstream")
		return nil
	}, newTier(t, stageOf(a, b, c)))
	want := "a.head b.head a.response b.done b.release a.done a.release"
	if got := j.String(); got != want {
		t.Errorf("phases ran\n%s, want\n%s", got, want)
	}
	if x.Response.Status != 403 || x.AnsweredBy != "b" || x.Failure != nil {
		t.Errorf("got status %d, answered by %q, failure %v; want 403 by b", x.Response.Status, x.AnsweredBy, x.Failure)
	}
	checkReturned(t, a, b, c)
}

func TestConditionSkipsStage(t *testing.T) {
	a, b, _, j := three()
	guarded := stageOf(a)
	guarded.When = &manifest.When{Path: []string{"/api/*"}}
	tier := newTier(t, guarded, stageOf(b))
	carry(t, newExchange(), replies(200, ""), tier)
	if got := j.String(); strings.Contains(got, "a.") {
		t.Errorf("a policy of a stage whose condition is not met ran: %s", got)
	}
}

func TestInstanceIsReturnedEarly(t *testing.T) {
	j := &journal{}
	a := &fake{name: "a", journal: j, headOnly: true}
	b := &fake{name: "b", journal: j}
	carry(t, newExchange(), func(x *exchange.Exchange) *exchange.Failure {
		j.add("upstream")
		x.Response.Status = 200
		return nil
	}, newTier(t, stageOf(a, b)))
	want := "a.head a.release b.head upstream b.response b.release"
	if got := j.String(); got != want {
		t.Errorf("got\n%s, want\n%s", got, want)
	}
}

func TestStreamKeepsInstance(t *testing.T) {
	j := &journal{}
	a := &fake{name: "a", journal: j, headOnly: true}
	a.needs.RequestBody.Mode = manifest.BodyStream
	carry(t, withBody("x"), func(x *exchange.Exchange) *exchange.Failure {
		j.add("upstream")
		x.Response.Status = 200
		return nil
	}, newTier(t, stageOf(a)))
	if got, want := j.String(), "a.head upstream a.release"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestFailurePhase(t *testing.T) {
	down := fails(exchange.Failure{Cause: exchange.CauseRefused, Status: 502})
	stays := func(*exchange.Exchange) (policy.Verdict, error) { return policy.Continue, nil }

	t.Run("without it the response head sees the error", func(t *testing.T) {
		a, _, _, j := three()
		var status int
		var failure *exchange.Failure
		a.responseHead = func(x *exchange.Exchange) error {
			status, failure = x.Response.Status, x.Failure
			return nil
		}
		carry(t, newExchange(), down, newTier(t, stageOf(a)))
		if status != 502 || failure == nil || failure.Cause != exchange.CauseRefused {
			t.Errorf("the policy saw status %d and failure %v, want 502 and refused (%s)", status, failure, j)
		}
	})

	t.Run("an answer makes it an ordinary response", func(t *testing.T) {
		a, b, c, j := three()
		a.failure, c.failure = stays, stays
		b.failure = func(x *exchange.Exchange) (policy.Verdict, error) {
			x.Response = exchange.Response{Status: 200}
			x.Response.Header.Add("warning", "stale")
			return policy.Answer, nil
		}
		x := newExchange()
		carry(t, x, down, newTier(t, stageOf(a, b, c)))
		want := "a.head b.head c.head c.failure b.failure a.response c.done"
		if got := j.String(); !strings.HasPrefix(got, want) {
			t.Errorf("phases ran\n%s, want\n%s ...", got, want)
		}
		if x.Failure != nil || x.Response.Status != 200 || x.AnsweredBy != "b" {
			t.Errorf("got failure %v, status %d, answered by %q", x.Failure, x.Response.Status, x.AnsweredBy)
		}
		checkReturned(t, a, b, c)
	})

	t.Run("only what the request passed sees it", func(t *testing.T) {
		a, b, c, j := three()
		a.failure, b.failure, c.failure = stays, stays, stays
		b.head = breaks(policy.Trap)
		x := newExchange()
		carry(t, x, replies(200, ""), newTier(t, stageOf(a, b, c)))
		want := "a.head b.head b.release a.failure a.done a.release"
		if got := j.String(); got != want {
			t.Errorf("phases ran\n%s, want\n%s", got, want)
		}
		if x.Response.Status != 500 {
			t.Errorf("got status %d, want 500", x.Response.Status)
		}
	})

	t.Run("one that breaks changes nothing", func(t *testing.T) {
		a, _, _, _ := three()
		a.failure = func(x *exchange.Exchange) (policy.Verdict, error) {
			x.Response.Status = 200
			x.Response.Header.Add("half", "written")
			return policy.Answer, errBroken
		}
		x := newExchange()
		carry(t, x, down, newTier(t, stageOf(a)))
		if x.Response.Status != 502 || x.Response.Header.Has("half") || x.Failure.Cause != exchange.CauseRefused {
			t.Errorf("got status %d, fields %v, failure %v", x.Response.Status, x.Response.Header.Fields(), x.Failure)
		}
		checkReturned(t, a)
	})

	t.Run("a tier answers for the one behind it", func(t *testing.T) {
		a, b, _, _ := three()
		b.head = breaks(policy.Trap)
		a.failure = func(x *exchange.Exchange) (policy.Verdict, error) {
			x.Response = exchange.Response{Status: 203}
			return policy.Answer, nil
		}
		x := newExchange()
		carry(t, x, replies(200, ""), newTier(t, stageOf(a)), newTier(t, stageOf(b)))
		if x.Response.Status != 203 || x.Failure != nil {
			t.Errorf("got status %d, failure %v; want 203", x.Response.Status, x.Failure)
		}
	})
}

func TestInstancesReturnAfterPanic(t *testing.T) {
	phases := map[string]func(*fake){
		"head":     func(f *fake) { f.head = func(*exchange.Exchange) (policy.Verdict, error) { panic("head") } },
		"response": func(f *fake) { f.responseHead = func(*exchange.Exchange) error { panic("response") } },
		"done":     func(f *fake) { f.done = func(*exchange.Exchange) { panic("done") } },
		"acquire":  func(f *fake) { f.acquire = func(*exchange.Exchange) error { panic("acquire") } },
	}
	for name, sabotage := range phases {
		t.Run(name, func(t *testing.T) {
			a, b, c, _ := three()
			sabotage(b)
			tier := newTier(t, stageOf(a, b, c))
			func() {
				defer func() {
					if recover() == nil {
						t.Error("the panic is gone")
					}
				}()
				carry(t, newExchange(), replies(200, ""), tier)
			}()
			checkReturned(t, a, b, c)
		})
	}
}

func TestWalkIsReusable(t *testing.T) {
	a, b, _, j := three()
	tier := newTier(t, stageOf(a), stageOf(b))
	var w Walk
	for range 3 {
		x := newExchange()
		tier.Request(&w, x)
		x.Response.Status = 200
		tier.Response(&w, x)
		tier.Done(&w, x)
	}
	once := "a.head b.head b.response a.response b.done b.release a.done a.release"
	if got, want := j.String(), strings.Join([]string{once, once, once}, " "); got != want {
		t.Errorf("phases ran\n%s, want\n%s", got, want)
	}
	checkReturned(t, a, b)
}

func TestDoneWithoutRequest(t *testing.T) {
	var w Walk
	tier := newTier(t)
	x := newExchange()
	tier.Response(&w, x)
	tier.Done(&w, x)
	if x.Response.Status != 0 || x.Failure != nil {
		t.Errorf("got status %d and failure %v of nothing", x.Response.Status, x.Failure)
	}
}

func TestClientGone(t *testing.T) {
	errDrained := errors.New("drained")
	cases := []struct {
		name   string
		cause  error
		want   exchange.Cause
		status int
	}{
		{"client", nil, exchange.CauseClient, 499},
		{"deadline", context.DeadlineExceeded, exchange.CauseTimeout, 504},
		{"host", errDrained, exchange.CauseTimeout, 503},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(context.Background())
			a, b, _, j := three()
			a.head = func(*exchange.Exchange) (policy.Verdict, error) {
				cancel(c.cause)
				return policy.Continue, nil
			}
			x := newExchange()
			x.SetContext(ctx)
			carry(t, x, replies(200, ""), newTier(t, stageOf(a), stageOf(b)))
			if strings.Contains(j.String(), "b.") {
				t.Errorf("the exchange went on: %s", j)
			}
			if x.Failure == nil || x.Failure.Cause != c.want || x.Failure.Status != c.status {
				t.Errorf("got failure %+v, want %s %d", x.Failure, c.want, c.status)
			}
		})
	}
}

func TestPolicyErrorOfGoneClient(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	a := &fake{name: "a", head: func(x *exchange.Exchange) (policy.Verdict, error) {
		cancel()
		return policy.Continue, &policy.Error{Kind: policy.Timeout, Policy: "a", Err: x.Context().Err()}
	}}
	stage := stageOf(a)
	stage.Uses[0].OnError = skipAll
	tier := newTier(t, stage)
	x := newExchange()
	x.SetContext(ctx)
	carry(t, x, replies(200, ""), tier)
	if x.Failure == nil || x.Failure.Status != 499 {
		t.Errorf("got failure %v, want 499", x.Failure)
	}
	if s := stage.Uses[0].Slot.Status(); s.Failures != 0 {
		t.Errorf("the policy is blamed for %d failures", s.Failures)
	}
}

func TestNewRefuses(t *testing.T) {
	_, err := New(Spec{Name: "edge", Stages: []StageSpec{
		{Stage: manifest.Stage{Name: "odd", Combine: "some"}},
		{Stage: manifest.Stage{Name: "hollow"}, Uses: []UseSpec{{}}},
	}})
	if err == nil {
		t.Fatal("it was built")
	}
	for _, want := range []string{"odd", "hollow"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not name stage %s", err, want)
		}
	}
}
