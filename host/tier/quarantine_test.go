package tier

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/policy"
)

// sick is a policy that traps while it is told to.
type sick struct {
	fake
	ill    bool
	calls  int
	slot   *Slot
	tier   *Tier
	states []bool
	log    bytes.Buffer
}

func newSick(t *testing.T, kind policy.Kind) *sick {
	s := &sick{ill: true}
	s.name = "sick"
	s.headOnly = true
	s.head = func(*exchange.Exchange) (policy.Verdict, error) {
		s.calls++
		if s.ill {
			return breaks(kind)(nil)
		}
		return policy.Continue, nil
	}
	stage := stageOf(&s.fake)
	s.slot = stage.Uses[0].Slot
	s.slot.Log = slog.New(slog.NewTextHandler(&s.log, nil))
	s.slot.OnQuarantine = func(open bool) { s.states = append(s.states, open) }
	s.tier = newTier(t, stage)
	return s
}

// try carries n exchanges and returns the last one's status and Retry-After.
func (s *sick) try(t *testing.T, n int) (status int, retryAfter string) {
	for range n {
		x := newExchange()
		carry(t, x, replies(200, ""), s.tier)
		status, retryAfter = x.Response.Status, x.Response.Header.Value("retry-after")
	}
	return status, retryAfter
}

func TestQuarantineLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSick(t, policy.Trap)
		if status, _ := s.try(t, maxFailures); status != 500 {
			t.Fatalf("got status %d before quarantine, want 500", status)
		}
		status, retry := s.try(t, 10)
		if status != 503 || retry != "1" || s.calls != maxFailures {
			t.Fatalf("in quarantine: status %d, retry after %q, %d calls; want 503, 1, %d", status, retry, s.calls, maxFailures)
		}
		if got := s.slot.Status(); !got.Quarantined || got.Kind != "trap" || got.Trips != 1 || got.Retry != firstBackoff {
			t.Errorf("status is %+v", got)
		}

		for want, backoff := maxFailures, firstBackoff; backoff < 2*maxBackoff; backoff *= 2 {
			time.Sleep(min(backoff, maxBackoff) - time.Nanosecond)
			s.try(t, 1)
			if s.calls != want {
				t.Fatalf("called before its backoff of %v was over", backoff)
			}
			time.Sleep(time.Nanosecond)
			s.try(t, 3)
			if want++; s.calls != want {
				t.Fatalf("%d calls after backoff %v, want one probe more: %d", s.calls, backoff, want)
			}
		}

		s.ill = false
		time.Sleep(maxBackoff)
		if status, _ := s.try(t, 1); status != 200 {
			t.Fatalf("got status %d of a probe that is well, want 200", status)
		}
		if status, _ := s.try(t, 1); status != 200 || s.slot.Status().Quarantined {
			t.Errorf("it is still in quarantine: status %d", status)
		}
		if got, want := s.states, []bool{true, false}; len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
			t.Errorf("told of changes %v, want %v", got, want)
		}
		for _, line := range []string{"policy quarantined", "policy released from quarantine"} {
			if n := strings.Count(s.log.String(), line); n != 1 {
				t.Errorf("logged %q %d times, want once", line, n)
			}
		}
		checkReturned(t, &s.fake)
	})
}

func TestQuarantineCountsARow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSick(t, policy.Timeout)
		for range 3 {
			s.try(t, maxFailures-1)
			s.ill = false
			s.try(t, 1)
			s.ill = true
		}
		if s.slot.Status().Quarantined {
			t.Error("a success did not break the row")
		}
		s.try(t, maxFailures-1)
		time.Sleep(failureWindow + time.Nanosecond)
		s.try(t, 1)
		if got := s.slot.Status(); got.Quarantined || got.Failures != 1 {
			t.Errorf("failures count beyond their window: %+v", got)
		}
	})
}

// What counts as a success, by the phases that a policy has.
func TestSuccessBreaksRow(t *testing.T) {
	healthy := map[string]func(*fake){
		"passed, no response phase": func(f *fake) { f.headOnly = true },
		"passed both ways":          func(*fake) {},
		"answered":                  func(f *fake) { f.head = answers(403) },
		"answered a failure":        func(f *fake) { f.failure = answers(200) },
	}
	for name, behave := range healthy {
		t.Run(name, func(t *testing.T) {
			f := &fake{name: "a"}
			behave(f)
			well := f.head
			stage := stageOf(f)
			tier := newTier(t, stage)
			for i := range 3 * maxFailures {
				f.head = breaks(policy.Trap)
				if i%maxFailures == maxFailures-1 {
					f.head = well
				}
				next := replies(200, "")
				if f.failure != nil {
					next = fails(exchange.Failure{Cause: exchange.CauseReset, Status: 502})
				}
				carry(t, newExchange(), next, tier)
			}
			if s := stage.Uses[0].Slot.Status(); s.Trips != 0 || s.Failures != 0 {
				t.Errorf("a success did not break the row: %+v", s)
			}
		})
	}
}

func TestQuarantineIgnoresOverload(t *testing.T) {
	s := newSick(t, policy.Overload)
	s.try(t, 3*maxFailures)
	if s.slot.Status().Quarantined || s.calls != 3*maxFailures {
		t.Errorf("a policy whose pool is full was put in quarantine after %d calls", s.calls)
	}
}

func TestQuarantineAppliesRule(t *testing.T) {
	s := newSick(t, policy.Trap)
	stage := StageSpec{Uses: []UseSpec{{Slot: s.slot, OnError: skipAll}}}
	s.tier = newTier(t, stage)
	if status, _ := s.try(t, maxFailures+5); status != 200 || s.calls != maxFailures {
		t.Errorf("got status %d after %d calls, want 200 after %d", status, s.calls, maxFailures)
	}
}

func TestQuarantineOfResponsePhase(t *testing.T) {
	f := &fake{name: "a", responseHead: func(*exchange.Exchange) error { return errBroken }}
	stage := stageOf(f)
	tier := newTier(t, stage)
	for range maxFailures {
		carry(t, newExchange(), replies(200, ""), tier)
	}
	if !stage.Uses[0].Slot.Status().Quarantined {
		t.Error("a policy that only breaks on responses is not in quarantine")
	}
	checkReturned(t, f)
}

func TestLateResultsDoNotMoveQuarantine(t *testing.T) {
	var q quarantine
	for i := range maxFailures {
		q.failed(time.Duration(i), policy.Trap, false)
	}
	before := q.status(0)
	q.failed(10, policy.Trap, false) // went in before
	if q.passed(false) {
		t.Error("what went in before ended the quarantine")
	}
	if got := q.status(0); got != before {
		t.Errorf("got %+v, want %+v", got, before)
	}
}

func TestSlowProbeIsFollowedByAnother(t *testing.T) {
	var q quarantine
	for range maxFailures {
		q.failed(0, policy.Trap, false)
	}
	if a := q.admit(firstBackoff); a.refused || !a.probe {
		t.Fatalf("no probe after the backoff: %+v", a)
	}
	if a := q.admit(firstBackoff + 1); !a.refused {
		t.Error("a second probe at once")
	}
	if a := q.admit(2 * firstBackoff); a.refused || !a.probe {
		t.Errorf("no second probe after the first one took its time: %+v", a)
	}
}

func TestFailureLogIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSick(t, policy.Overload)
		s.try(t, 100)
		time.Sleep(time.Second)
		s.try(t, 1)
		if n := strings.Count(s.log.String(), "policy failed"); n != 2 {
			t.Errorf("%d lines for failures in two seconds, want 2", n)
		}
		if !strings.Contains(s.log.String(), "unlogged=99") {
			t.Errorf("the log does not say what it left out:\n%s", s.log.String())
		}
	})
}

func TestQuarantineHammer(t *testing.T) {
	var q quarantine
	var group sync.WaitGroup
	for g := range 8 {
		group.Go(func() {
			for i := range 2000 {
				a := q.admit(time.Duration(i) * time.Millisecond)
				if a.refused {
					continue
				}
				if (g+i)%3 == 0 {
					q.passed(a.probe)
				} else {
					q.failed(time.Duration(i)*time.Millisecond, policy.Trap, a.probe)
				}
				q.status(0)
			}
		})
	}
	group.Wait()
	q.passed(true)
	if s := q.status(0); s.Quarantined || s.Failures != 0 {
		t.Errorf("a success of a probe left %+v", s)
	}
}
