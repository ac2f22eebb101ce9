package tier

import (
	"context"
	"errors"
	"io"
	"sync"
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

func TestDeadlineIsUsedAgain(t *testing.T) {
	d := arm(nil, context.Background(), time.Hour)
	if arm(d, context.Background(), time.Hour) != d {
		t.Error("a deadline that nobody waits for is not used again")
	}
	d.Done()
	if arm(d, context.Background(), time.Hour) == d {
		t.Error("a deadline whose channel is out is used again")
	}
	d.disarm()
}

func TestDeadlineContext(t *testing.T) {
	type key struct{}
	parent, cancel := context.WithCancelCause(context.WithValue(context.Background(), key{}, "v"))
	defer cancel(nil)
	d := arm(nil, parent, time.Hour)
	if got := d.Value(key{}); got != "v" {
		t.Errorf("got value %v, want v", got)
	}
	until, ok := d.Deadline()
	if left := time.Until(until); !ok || left > time.Hour || left < 50*time.Minute {
		t.Errorf("got deadline in %v, %v", left, ok)
	}
	child, stop := context.WithCancel(d)
	defer stop()
	cancel(errBroken)
	<-child.Done()
	if d.Err() != context.Canceled || context.Cause(child) != errBroken || context.Cause(d) != errBroken {
		t.Errorf("got error %v, causes %v and %v", d.Err(), context.Cause(child), context.Cause(d))
	}
	select {
	case <-d.Done():
	case <-time.After(10 * time.Second):
		t.Error("its channel is open after its parent ended")
	}
}

func TestDeadlineTakenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		before, after := arm(nil, t.Context(), time.Second), arm(nil, t.Context(), time.Second)
		before.Done()
		before.disarm()
		after.disarm()
		after.Done()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if before.Err() != nil || after.Err() != nil {
			t.Errorf("ended with %v and %v after the deadline was taken back", before.Err(), after.Err())
		}
	})
}

func TestDeadlineAfterFunc(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := arm(nil, t.Context(), time.Second)
		var first, second, late bool
		d.AfterFunc(func() { first = true })
		if stop := d.AfterFunc(func() { second = true }); !stop() || stop() {
			t.Error("stop does not tell whether it stopped")
		}
		time.Sleep(time.Second)
		synctest.Wait()
		d.AfterFunc(func() { late = true })
		synctest.Wait()
		if !first || second || !late {
			t.Errorf("ran: first %v, stopped %v, late %v", first, second, late)
		}
	})
}

func TestDeadlineHammer(t *testing.T) {
	for range 200 {
		parent, cancel := context.WithCancel(context.Background())
		defer cancel()
		d := arm(nil, parent, 100*time.Microsecond)
		var group sync.WaitGroup
		for i := range 6 {
			group.Go(func() {
				switch i {
				case 0:
					d.disarm()
				case 1:
					cancel()
				case 2:
					d.Deadline()
				default:
					child, stop := context.WithTimeout(d, time.Hour)
					defer stop()
					<-child.Done()
				}
			})
		}
		group.Wait()
		if d.Err() == nil {
			t.Fatal("it goes on after its parent")
		}
	}
}
