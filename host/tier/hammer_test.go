package tier

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/host/telemetry"
)

// moody lets pass, answers or breaks by chance, with a body in memory.
func moody(name string) *fake {
	mood := func(*exchange.Exchange) (policy.Verdict, error) {
		switch n := rand.IntN(20); {
		case n == 0:
			return policy.Continue, &policy.Error{Kind: policy.Trap, Policy: name, Err: errBroken}
		case n == 1:
			return policy.Continue, &policy.Error{Kind: policy.Timeout, Policy: name, Err: errBroken}
		case n == 2:
			return policy.Answer, nil
		}
		return policy.Continue, nil
	}
	f := &fake{name: name, failure: mood, done: nothing}
	f.needs = policy.Needs{RequestBody: buffer(100), ResponseBody: peek(4)}
	f.head, f.body = mood, mood
	f.acquire = func(*exchange.Exchange) error {
		if rand.IntN(50) == 0 {
			return &policy.Error{Kind: policy.Overload, Policy: name, Err: errBroken}
		}
		return nil
	}
	f.responseHead = func(x *exchange.Exchange) error {
		_, err := mood(x)
		return err
	}
	f.responseBody = f.responseHead
	return f
}

func TestHammer(t *testing.T) {
	var fakes []*fake
	three := func(stage string) []*fake {
		made := []*fake{moody(stage + "a"), moody(stage + "b"), moody(stage + "c")}
		fakes = append(fakes, made...)
		return made
	}
	all, either, skipped := stageOf(three("all-")...), anyOf(three("any-")...), stageOf(three("skip-")...)
	skipped.OnError = skipAll
	skipped.Timeout = manifest.Duration(time.Second)
	tier, err := New(Spec{
		Name: "service", Stages: []StageSpec{all, either, skipped}, Metrics: telemetry.NewMetrics("test"),
		Config: manifest.Tier{MaxInFlight: 4, Queue: 4, QueueTimeout: manifest.Duration(time.Millisecond), Timeout: manifest.Duration(time.Second),
			Breaker: manifest.TierBreaker{FailureRate: 99, MinRequests: 100, Window: manifest.Duration(time.Second), Open: 1}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer tier.Close()

	const text = "what the client sent"
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 500 {
				ctx, cancel := context.WithCancel(context.Background())
				x := withBody(text)
				x.SetContext(ctx)
				if rand.IntN(20) == 0 {
					cancel()
				}
				body := carry(t, x, echoes, tier)
				switch {
				case x.Failure == nil && x.AnsweredBy == "" && body != text:
					t.Errorf("the body became %q", body)
				case x.Failure != nil && !strings.HasPrefix(body, fmt.Sprint(x.Failure.Status)):
					t.Errorf("a failure with status %d was told as %q", x.Failure.Status, body)
				}
				cancel()
			}
		})
	}
	group.Wait()
	checkReturned(t, fakes...)
	if s := tier.Status().Bulkhead; s.InFlight != 0 || s.Queued != 0 {
		t.Errorf("at the end the bulkhead is %+v", s)
	}
}
