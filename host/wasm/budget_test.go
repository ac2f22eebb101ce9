package wasm

import (
	"errors"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/wasm/meter"
)

// A guest is stopped within a millisecond and a tenth of its deadline, on a
// machine that takes ten times longer for a tick than any does.
func TestDeadline(t *testing.T) {
	const (
		deadline = 20 * time.Millisecond
		tick     = 10 * time.Nanosecond
		latest   = deadline + deadline/10 + time.Millisecond
	)
	for _, function := range []string{"spin", "tree", "storm"} {
		i := guest(t, deadline, nil)
		b := &i.call.budget
		b.now = func() time.Duration { return time.Duration(b.ticks) * tick }
		_, err := invoke(i, function)
		wantFault(t, err, TimedOut)
		if !errors.Is(err, ErrTime) {
			t.Errorf("%s: %v, want %v", function, err, ErrTime)
		}
		if took := time.Duration(i.Ticks()) * tick; took < deadline || took > latest {
			t.Errorf("%s: stopped after %v, want %v to %v", function, took, deadline, latest)
		}
	}
}

// A bound in ticks ends a call at the same place each time, whatever the clock
// says, and leaves alone what needs fewer.
func TestTickLimit(t *testing.T) {
	for _, limit := range []uint64{1, 1000, meter.Chunk, 3*meter.Chunk + 7} {
		var costs [2]uint64
		for n := range costs {
			i := tickGuest(t, limit)
			_, err := invoke(i, "spin")
			wantFault(t, err, TimedOut)
			if !errors.Is(err, ErrTicks) {
				t.Errorf("%v, want %v", err, ErrTicks)
			}
			costs[n] = i.Ticks()
		}
		if costs[0] != costs[1] || costs[0] <= limit || costs[0] > limit+10 {
			t.Errorf("a limit of %d ticks: stopped after %d and %d", limit, costs[0], costs[1])
		}
	}
	i := tickGuest(t, 40*meter.Chunk)
	for range 100 {
		if _, err := invoke(i, "flood", 100); err != nil {
			t.Fatal(err)
		}
	}
}

func tickGuest(t *testing.T, limit uint64) *Instance {
	t.Helper()
	config := configFor(ample)
	config.CallTicks = limit
	return start(t, compile(t, openEngine(t, Options{}), guestModule, testABI(startWell, nil)), config)
}

// Calls of the same cost each add the same to what the policy has spent.
func TestTicksAddUp(t *testing.T) {
	config := configFor(ample)
	config.Ticks = new(atomic.Uint64)
	i := start(t, compile(t, openEngine(t, Options{}), guestModule, testABI(startWell, nil)), config)
	var cost uint64
	for n := range uint64(50) {
		if _, err := invoke(i, "flood", 30); err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			cost = i.Ticks()
		}
		if got := i.Ticks(); got != cost || got < 30*256 {
			t.Fatalf("call %d costs %d ticks, the first one %d", n, got, cost)
		}
	}
	if got := config.Ticks.Load(); got != 50*cost {
		t.Errorf("%d ticks in all, want %d", got, 50*cost)
	}
}

// While a guest is endless, the collector runs.
func TestEndlessGuestDoesNotHoldTheCollector(t *testing.T) {
	i := guest(t, 200*time.Millisecond, nil)
	ended := make(chan error, 1)
	go func() {
		_, err := invoke(i, "spin")
		ended <- err
	}()
	collections := 0
	for {
		select {
		case err := <-ended:
			wantFault(t, err, TimedOut)
			if collections < 3 {
				t.Errorf("%d collections while a guest was endless", collections)
			}
			return
		default:
			runtime.GC()
			collections++
		}
	}
}
