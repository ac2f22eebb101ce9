package tier

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/policy"
)

func timed(timeout time.Duration) manifest.Tier {
	return manifest.Tier{MaxInFlight: 10, Timeout: manifest.Duration(timeout)}
}

// waits blocks until the exchange's context ends.
func waits(x *exchange.Exchange) (policy.Verdict, error) {
	<-x.Context().Done()
	return policy.Continue, &policy.Error{Kind: policy.Timeout, Policy: "slow", Err: context.Cause(x.Context())}
}

func TestTierDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := &fake{name: "slow", head: waits}
		stage := stageOf(slow)
		stage.OnError = skipAll // the tier's own time is over: no rule helps
		began := time.Now()
		x := newExchange()
		carry(t, x, replies(200, ""), newTierWith(t, timed(2*time.Second), stage))
		if x.Response.Status != 504 || x.Failure.Cause != exchange.CauseTimeout || time.Since(began) != 2*time.Second {
			t.Errorf("got status %d, failure %v after %v; want 504, timeout after 2s", x.Response.Status, x.Failure, time.Since(began))
		}
		checkReturned(t, slow)
	})
}

func TestTierDeadlineBetweenPolicies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		late := &fake{name: "late", head: func(*exchange.Exchange) (policy.Verdict, error) {
			time.Sleep(3 * time.Second)
			return policy.Continue, nil
		}}
		next := &fake{name: "next"}
		x := newExchange()
		carry(t, x, replies(200, ""), newTierWith(t, timed(2*time.Second), stageOf(late), stageOf(next)))
		if x.Response.Status != 504 || next.lent.Load() != 0 {
			t.Errorf("got status %d, and the next policy met %d exchanges; want 504 and none", x.Response.Status, next.lent.Load())
		}
	})
}

func TestTierDeadlineEndsWithHead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newExchange()
		text := carry(t, x, func(x *exchange.Exchange) *exchange.Failure {
			ctx, cancel := context.WithTimeout(x.Context(), time.Minute)
			_ = ctx.Done()
			x.Response.Status = 200
			x.Response.Body = readerFunc{cancel, func(p []byte) (int, error) {
				time.Sleep(10 * time.Second) // far beyond the deadline
				if err := ctx.Err(); err != nil {
					return 0, err
				}
				return copy(p, "late"), io.EOF
			}}
			return nil
		}, newTierWith(t, timed(2*time.Second)), newTierWith(t, timed(time.Second)))
		if text != "late" {
			t.Errorf("got body %q: a deadline cut a body after its head", text)
		}
		if _, ok := x.Context().Deadline(); ok {
			t.Error("the exchange's context still has a deadline")
		}
	})
}

// readerFunc is a body from functions.
type readerFunc struct {
	close func()
	read  func([]byte) (int, error)
}

func (r readerFunc) Read(p []byte) (int, error) { return r.read(p) }
func (r readerFunc) Close() error               { r.close(); return nil }

func TestTierDeadlineWhileUpstreamWorks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newExchange()
		var cause error
		carry(t, x, func(x *exchange.Exchange) *exchange.Failure {
			ctx, cancel := context.WithCancel(x.Context())
			defer cancel()
			<-ctx.Done()
			cause = context.Cause(ctx)
			return &exchange.Failure{Cause: exchange.CauseTimeout, Status: 504, Err: cause}
		}, newTierWith(t, timed(2*time.Second)))
		if !errors.Is(cause, context.DeadlineExceeded) {
			t.Errorf("a child of the exchange's context ended with %v, want %v", cause, context.DeadlineExceeded)
		}
	})
}

func TestStageDeadline(t *testing.T) {
	cases := []struct {
		name   string
		rule   *manifest.OnError
		status int
		cause  exchange.Cause
	}{
		{"deny", nil, 504, exchange.CausePolicy},
		{"skip", skipAll, 200, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				slow, next, other := &fake{name: "slow", head: waits}, &fake{name: "next"}, &fake{name: "other"}
				stage := stageOf(slow, next)
				stage.Timeout = manifest.Duration(time.Second)
				stage.OnError = c.rule
				x := newExchange()
				began := time.Now()
				carry(t, x, replies(200, ""), newTierWith(t, timed(time.Minute), stage, stageOf(other)))
				if x.Response.Status != c.status || x.Failure != nil && x.Failure.Cause != c.cause {
					t.Errorf("got status %d, failure %v; want %d, %s", x.Response.Status, x.Failure, c.status, c.cause)
				}
				if took := time.Since(began); took != time.Second || next.lent.Load() != 0 {
					t.Errorf("took %v with %d calls of the next policy, want 1s and none", took, next.lent.Load())
				}
				checkReturned(t, slow, next, other)
			})
		})
	}
}

func TestStageDeadlineOfLaterPolicy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		late := &fake{name: "late", head: func(*exchange.Exchange) (policy.Verdict, error) {
			time.Sleep(time.Second)
			return policy.Continue, nil
		}}
		stage := stageOf(late, &fake{name: "next"})
		stage.Timeout = manifest.Duration(time.Second)
		x := newExchange()
		carry(t, x, replies(200, ""), newTier(t, stage))
		f := x.Failure
		if x.Response.Status != 504 || f.Cause != exchange.CauseTimeout || f.Policy != "next" || !errors.Is(f, errStageDeadline) {
			t.Errorf("got status %d, failure %+v", x.Response.Status, f)
		}
		if n := stage.Uses[1].Slot.Status().Failures; n != 0 {
			t.Errorf("a policy that was not called is blamed for %d failures", n)
		}
	})
}

func TestStageDeadlineEndsWithStage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var left []time.Duration
		look := func(x *exchange.Exchange) (policy.Verdict, error) {
			until, _ := x.Context().Deadline()
			left = append(left, time.Until(until))
			return policy.Continue, x.Context().Err()
		}
		a, b, c := &fake{name: "a", head: look}, &fake{name: "b", head: look}, &fake{name: "c", head: look}
		first, second := stageOf(a), stageOf(b)
		first.Timeout, second.Timeout = manifest.Duration(time.Second), manifest.Duration(2*time.Second)
		x := newExchange()
		carry(t, x, replies(200, ""), newTierWith(t, timed(time.Minute), first, second, stageOf(c)))
		if x.Response.Status != 200 || len(left) != 3 || left[0] != time.Second || left[1] != 2*time.Second || left[2] != time.Minute {
			t.Errorf("got status %d with %v left in the stages, want 1s, 2s, 1m", x.Response.Status, left)
		}
	})
}
