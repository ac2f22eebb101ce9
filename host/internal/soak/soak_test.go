package main

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/cli"
	"github.com/ergoproxy/ergo/host/hosttest"
	"github.com/ergoproxy/ergo/host/hosttest/race"
)

// TestSwapsLoseNothing runs the soak inside this process, so that the race
// detector watches the host.
func TestSwapsLoseNothing(t *testing.T) {
	swaps := 2000
	if race.Enabled {
		swaps = 500 // 2,000 take four minutes
	}
	if testing.Short() {
		swaps = 100
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	p := plan{
		policies: "../../../policies", swaps: swaps,
		memory: "go_memstats_heap_alloc_bytes", collect: runtime.GC, // what the race detector holds is not the host's
	}
	r, err := p.run(ctx, t.TempDir(), startInside)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(r)
}

// TestHostileGuestsHarmNobody is the soak of guests, for some seconds.
func TestHostileGuestsHarmNobody(t *testing.T) {
	length := 10 * time.Second
	if testing.Short() {
		length = 2 * time.Second
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	r, err := guestPlan{
		policies: "../../../policies", hostile: "../../wasm/testdata/hostile", sound: "testdata/sound.wasm",
		length: length, memory: "go_memstats_heap_alloc_bytes", collect: runtime.GC,
	}.run(ctx, t.TempDir(), startInside)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(r)
}

// startInside runs the command in this process.
func startInside(ctx context.Context, manifest string) (func() error, func() string, error) {
	ctx, cancel := context.WithCancel(ctx)
	log := &hosttest.Buffer{}
	status := make(chan int, 1)
	go func() {
		status <- cli.Execute(ctx, []string{"run", "-c", manifest}, cli.Streams{Out: log, Err: log})
	}()
	stop := func() error {
		cancel()
		if s := <-status; s != 0 {
			return fmt.Errorf("ergo run ended with %d", s)
		}
		return nil
	}
	return stop, log.String, nil
}
