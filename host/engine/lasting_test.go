package engine

import (
	"context"
	"testing"

	"github.com/ergoproxy/ergo/host/exchange"
)

func TestTrafficGoesOnWhileAGenerationIsBuilt(t *testing.T) {
	b := newBench(t)
	b.swap(b.manifest([]string{mark("old")}, nil))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = b.e.Swap(ctx, "swap", b.manifest([]string{mark("new"), `{ stall = true }`}, nil))
	}()
	<-b.loader.stalling
	for range 5 {
		if got := b.get().header.Value("x-seen"); got != "old" {
			t.Errorf("an exchange saw %q while the next generation is being built, want old", got)
		}
	}
	cancel()
	<-done
}

// quarantined reports whether the first policy of the edge is.
func (b *bench) quarantined() bool {
	return b.e.Status().Tiers[0].Stages[0].Policies[0].Health.Quarantined
}

func TestStateSurvivesSwaps(t *testing.T) {
	b := newBench(t)
	const breaker = "[edge.breaker]\nfailure_rate = 50\nmin_requests = 5\nwindow = \"1h\"\nopen = \"1h\"\n"
	withBreaker := func(from Source) Source { return edited(t, from, "[service]\n", breaker+"[service]\n") }
	const ill = `{ mark = "ill", trap = true }`
	b.swap(withBreaker(b.manifest([]string{ill}, []string{mark("a")})))
	for range 8 {
		b.get()
	}
	if !b.quarantined() || !b.e.Status().Tiers[0].Status.BreakerOpen {
		t.Fatal("a policy that keeps failing is neither quarantined nor opens the tier's breaker")
	}
	b.swap(withBreaker(b.manifest([]string{ill, mark("more")}, []string{mark("b")})))
	if !b.quarantined() || !b.e.Status().Tiers[0].Status.BreakerOpen {
		t.Error("a swap of something else forgot how ill the policy or the tier is")
	}
	if _, err := b.e.Rollback(context.Background(), 1); err != nil {
		t.Fatal(err)
	}
	if !b.quarantined() {
		t.Error("a rollback forgot how ill the policy is")
	}
	b.swap(withBreaker(b.manifest([]string{`{ mark = "mended" }`}, nil)))
	if b.quarantined() {
		t.Error("another configuration is another policy: it starts in good health")
	}
	b.swap(b.manifest([]string{mark("no breaker")}, nil))
	if got := b.get().status; got != 200 {
		t.Errorf("without the breaker: got %d, want 200", got)
	}
}

func TestPlacesAreCountedOverSwaps(t *testing.T) {
	b := newBench(t)
	bounded := func(from Source) Source { return edited(t, from, "[edge]\n", "[edge]\nmax_in_flight = 1\nqueue = 0\n") }
	b.swap(bounded(b.manifest([]string{mark("a")}, nil)))
	held := &answer{hold: make(chan struct{}), sending: make(chan struct{})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.get(func(x *exchange.Exchange) { x.Sink = held })
	}()
	<-held.sending
	b.swap(bounded(b.manifest([]string{mark("b")}, nil)))
	if got := b.get().status; got != 503 {
		t.Errorf("got %d, want 503: the exchange of the old generation holds the tier's only place", got)
	}
	close(held.hold)
	<-done
	if got := b.get().status; got != 200 {
		t.Errorf("got %d, want 200: the place is free", got)
	}
}
