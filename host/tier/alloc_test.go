package tier

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/host/telemetry"
)

// light is a policy that costs nothing: what is measured is the walk.
type light struct{ answers bool }

var lent policy.Instance = new(int)

func (light) Needs() policy.Needs {
	none := manifest.BodyNeed{Mode: manifest.BodyNone}
	return policy.Needs{RequestBody: none, ResponseBody: none}
}
func (light) Acquire(*exchange.Exchange) (policy.Instance, error) { return lent, nil }
func (light) Release(policy.Instance)                             {}
func (light) Stats() policy.Stats                                 { return policy.Stats{} }
func (light) Close(context.Context) error                         { return nil }
func (l light) OnRequestHead(_ policy.Instance, x *exchange.Exchange) (policy.Verdict, error) {
	if l.answers {
		x.Response.Status = 401
		return policy.Answer, nil
	}
	return policy.Continue, nil
}
func (light) OnResponseHead(policy.Instance, *exchange.Exchange) error { return nil }

// lightTier has all that a walk can have without a cost: metrics, deadlines, a
// condition, an undoable policy, a stage of kind any.
func lightTier(t testing.TB, policies int, answers bool) *Tier {
	t.Helper()
	slot := func(answers bool) *Slot { return &Slot{Name: "light", Version: "1", Policy: light{answers}} }
	all := StageSpec{Stage: manifest.Stage{
		Name: "all", Timeout: manifest.Duration(time.Minute), OnError: skipAll, MaxRequestBody: 1000,
		When: &manifest.When{Path: []string{"/api/*"}, Host: []string{"*.example.com"}},
	}}
	for range policies {
		all.Uses = append(all.Uses, UseSpec{Slot: slot(false)})
	}
	either := StageSpec{Stage: manifest.Stage{Name: "any", Combine: "any"}}
	if answers {
		either.Uses = []UseSpec{{Slot: slot(true)}, {Slot: slot(true)}}
	}
	made, err := New(Spec{
		Name: "edge", Stages: []StageSpec{all, either}, Metrics: telemetry.NewMetrics("test"),
		Config: manifest.Tier{MaxInFlight: 10, Timeout: manifest.Duration(time.Minute)},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(made.Close)
	return made
}

// lightly carries an exchange the way that costs least.
func lightly(t testing.TB, tier *Tier, w *Walk, x *exchange.Exchange) {
	x.Lap()
	if f := tier.Enter(x); f != nil {
		t.Fatal(f)
	}
	answered, f := tier.Request(w, x)
	if f != nil {
		t.Fatal(f)
	}
	if !answered {
		x.Response.Status = 200
	}
	tier.Response(w, x)
	tier.Done(w, x)
	tier.Leave(x)
	x.Response.Status, x.AnsweredBy = 0, ""
}

func lightExchange() *exchange.Exchange {
	x := newExchange()
	x.Request.Authority, x.Request.Target = "www.example.com:8080", "/api/things?all"
	for i := range 10 {
		x.Request.Header.Add(fmt.Sprintf("field-%d", i), "value")
	}
	return x
}

func TestWalkDoesNotAllocate(t *testing.T) {
	for _, c := range []struct {
		policies int
		answers  bool
	}{{0, false}, {1, false}, {10, false}, {1, true}} {
		tier, x, w := lightTier(t, c.policies, c.answers), lightExchange(), new(Walk)
		lightly(t, tier, w, x)
		if n := testing.AllocsPerRun(100, func() { lightly(t, tier, w, x) }); n != 0 {
			t.Errorf("%d policies, answered %v: %v allocations for an exchange, want 0", c.policies, c.answers, n)
		}
	}
}

func BenchmarkWalk(b *testing.B) {
	for _, policies := range []int{0, 1, 5, 10} {
		b.Run(fmt.Sprintf("policies=%d", policies), func(b *testing.B) {
			tier, x, w := lightTier(b, policies, false), lightExchange(), new(Walk)
			b.ReportAllocs()
			for b.Loop() {
				lightly(b, tier, w, x)
			}
		})
	}
}

func BenchmarkAnswer(b *testing.B) {
	tier, x, w := lightTier(b, 1, true), lightExchange(), new(Walk)
	b.ReportAllocs()
	for b.Loop() {
		lightly(b, tier, w, x)
	}
}

func BenchmarkBulkhead(b *testing.B) {
	bulkhead := newBulkhead(1000, 10, time.Second)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if bulkhead.enter(context.Background()) == nil {
				bulkhead.leave()
			}
		}
	})
}
