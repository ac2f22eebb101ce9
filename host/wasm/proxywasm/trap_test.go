package proxywasm

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/host/wasm"
)

// A trap in whatever callback costs one instance and nobody else's exchange, and the
// next one is served.
func TestTrapInEachCallback(t *testing.T) {
	for _, callback := range []string{"context_create", "request_headers", "response_headers", "done", "log", "delete"} {
		t.Run(callback, func(t *testing.T) {
			for _, isolation := range []string{"shared", "exchange"} {
				testTrap(t, callback, isolation)
			}
		})
	}
}

func testTrap(t *testing.T, callback, isolation string) {
	t.Helper()
	traps := false
	p := load(t, in(callback, func(*guest, []uint32) uint32 {
		switch {
		case traps:
			return trap
		case callback == "done":
			return 1
		}
		return 0
	}), func(s *policy.Spec) { s.Settings.Isolation = isolation })
	traps = true
	c := carry(p, newExchange("GET", "/"), "a")
	switch failed := errors.Join(c.requestErr, c.responseErr); callback {
	case "done", "log", "delete":
		if failed != nil || c.received != "a" {
			t.Errorf("%s: got %+v", isolation, c)
		}
	default:
		wantKind(t, failed, policy.Trap)
	}
	if s := p.Stats(); s.Instances != 0 || s.Discarded != 1 || s.Busy != 0 {
		t.Errorf("%s: got %+v", isolation, s)
	}
	traps = false
	if c := carry(p, newExchange("GET", "/"), "a"); c.requestErr != nil || c.responseErr != nil || c.received != "a" {
		t.Errorf("%s: the next one: got %+v", isolation, c)
	}
}

// Of all the streams that a trap takes along, one has failed; the others lost their
// instance, wherever they are.
func TestOneTrapTakesOthersAlong(t *testing.T) {
	p := load(t, in("response_headers", func(*guest, []uint32) uint32 { return trap }))
	const others = 50
	var lent []policy.Instance
	for range others {
		x := withBody(newExchange("POST", "/"), "body")
		i, err := p.Acquire(x)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.OnRequestHead(i, x); err != nil {
			t.Fatal(err)
		}
		lent = append(lent, i)
	}
	c := carry(p, newExchange("GET", "/"), "a")
	secondary := func(err error) bool {
		var failure *policy.Error
		return errors.As(err, &failure) && failure.Kind == policy.Trap && failure.Secondary
	}
	if wantKind(t, c.responseErr, policy.Trap); secondary(c.responseErr) {
		t.Errorf("got %v", c.responseErr)
	}
	for n, i := range lent {
		x := i.(*stream).x
		if n%2 == 0 {
			_, err := readAll(x.Request.Body)
			if !secondary(err) || !secondary(p.BodyFault(i)) {
				t.Fatalf("body: got %v", err)
			}
		} else if err := p.OnResponseHead(i, x); !secondary(err) {
			t.Fatalf("got %v", err)
		}
		p.OnDone(i, x)
		p.Release(i)
	}
	if s := p.Stats(); s.Discarded != 1 || s.BackgroundFailures != 0 || s.Busy != 0 || s.Instances != 0 {
		t.Errorf("got %+v", s)
	}
}

// A close waits for an instance that is being made for an exchange, and that exchange
// is served.
func TestCloseWhileTheFleetGrows(t *testing.T) {
	var started atomic.Int32
	starting, goOn := make(chan struct{}), make(chan struct{})
	p, err := tryLoad(t, in("vm_start", func(*guest, []uint32) uint32 {
		if started.Add(1) > 1 {
			close(starting)
			<-goOn
		}
		return 1
	}), func(s *policy.Spec) {
		s.Settings.Grants = append(s.Settings.Grants, wasm.Random) // so that none is a clone
	})
	if err != nil {
		t.Fatal(err)
	}
	f := p.(*Policy)
	f.vms[0].hold()
	served := make(chan carried)
	go func() { served <- carry(f, newExchange("GET", "/"), "a") }()
	<-starting
	f.vms[0].release()
	closed := make(chan error)
	go func() { closed <- p.Close(context.Background()) }()
	waitFor(t, "end of the idle one", func() bool { return f.Stats().Instances == 1 })
	select {
	case err := <-closed:
		t.Fatalf("closed, %v", err)
	default:
	}
	close(goOn)
	if c := <-served; c.received != "a" || c.responseErr != nil {
		t.Errorf("got %+v", c)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if s := f.Stats(); s.Instances != 0 {
		t.Errorf("got %+v", s)
	}
}
