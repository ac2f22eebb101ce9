package proxywasm

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/host/wasm"
)

// crowd makes a fleet of n vms that nobody is in.
func crowd(t *testing.T, p *Policy, n int) {
	t.Helper()
	var lent []policy.Instance
	for len(lent) < n {
		i, err := p.Acquire(newExchange("GET", "/"))
		if err != nil {
			t.Fatal(err)
		}
		lent = append(lent, i)
		i.(*stream).vm.held <- struct{}{} // so that the next one gets another
	}
	for _, i := range lent {
		<-i.(*stream).vm.held
		p.Release(i)
	}
	if s := p.Stats(); s.Instances != n {
		t.Fatalf("got %+v", s)
	}
}

// slowRoots are root contexts that are not done until finish is closed.
func slowRoots() (s script, finish chan struct{}, asked *atomic.Int32) {
	finish, asked = make(chan struct{}), new(atomic.Int32)
	return script{
		"done": func(g *guest, args []uint32) uint32 {
			if args[0] != rootID {
				return 1
			}
			asked.Add(1)
			g.call("proxy_set_tick_period_milliseconds", 1)
			return 0
		},
		"tick": func(g *guest, _ []uint32) uint32 {
			select {
			case <-finish:
				g.call("proxy_done")
			default:
			}
			return 0
		},
	}, finish, asked
}

// A vm that is on its way out ends once, however long it takes, and is none of those
// that stay.
func TestTrimWhileRootsEnd(t *testing.T) {
	s, finish, asked := slowRoots()
	p := load(t, s)
	crowd(t, p, 3)
	for range 6 {
		p.Trim()
	}
	waitFor(t, "ends", func() bool { return asked.Load() == 2 })
	if c := carry(p, newExchange("GET", "/"), "a"); c.received != "a" {
		t.Errorf("got %+v", c)
	}
	for range 3 {
		p.Trim()
	}
	close(finish)
	waitFor(t, "smaller fleet", func() bool { return p.Stats().Instances == 1 })
	if n := asked.Load(); n != 2 {
		t.Errorf("%d root contexts were asked to be done", n)
	}
}

// A close ends all vms at once, and waits no longer than it is told to.
func TestCloseDoesNotWaitForRoots(t *testing.T) {
	s, finish, asked := slowRoots()
	p, err := tryLoad(t, s)
	if err != nil {
		t.Fatal(err)
	}
	crowd(t, p.(*Policy), 3)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := p.Close(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	waitFor(t, "ends", func() bool { return asked.Load() == 3 })
	close(finish)
	waitFor(t, "end", func() bool { return p.Stats().Instances == 0 })
}

// A root context that fails in its end counts among what nobody waited for.
func TestTrapWhenARootEnds(t *testing.T) {
	for _, callback := range []string{"done", "delete"} {
		p, err := tryLoad(t, in(callback, func(*guest, []uint32) uint32 { return trap }))
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if s := p.Stats(); s.BackgroundFailures != 1 || s.Discarded != 1 || s.Instances != 0 {
			t.Errorf("%s: got %+v", callback, s)
		}
	}
}

// A tick that could not be stopped, because it waits for the vm, is none any more.
func TestTicksAreNotDoubled(t *testing.T) {
	var ticks atomic.Int32
	p := load(t, in("tick", func(*guest, []uint32) uint32 {
		ticks.Add(1)
		return 0
	}))
	v := p.vms[0]
	v.hold()
	for range 100 {
		v.setTicks(time.Microsecond)
		for deadline := time.Now().Add(time.Millisecond); time.Now().Before(deadline); {
		}
	}
	v.setTicks(time.Hour)
	v.release()
	v.hold() // after those that have waited
	v.release()
	if n := ticks.Load(); n != 0 {
		t.Errorf("%d ticks", n)
	}
} // and the close does not wait for an hour

// What is not there is no reason to lose a vm, with all its streams, at each tick.
func TestTickThatLacksSomething(t *testing.T) {
	var ticks atomic.Int32
	p := load(t, script{
		"configure": func(g *guest, _ []uint32) uint32 {
			g.call("proxy_set_tick_period_milliseconds", 1)
			return 1
		},
		"tick": func(g *guest, _ []uint32) uint32 {
			if ticks.Add(1) < 4 {
				wasm.CallOf(g.ctx).Fail(errors.New("the server is down"))
			}
			return 0
		},
	})
	waitFor(t, "ticks", func() bool { return ticks.Load() > 4 })
	if s := p.Stats(); s.BackgroundFailures != 3 || s.Discarded != 0 {
		t.Errorf("got %+v", s)
	}
}

// A vm that is lost before it serves is never given to an exchange.
func TestLossBeforeService(t *testing.T) {
	p := load(t, script{})
	p.mu.Lock()
	p.expect()
	p.mu.Unlock()
	v, err := p.start(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	v.hold()
	v.die(errors.New("its tick trapped"))
	v.release()
	p.mu.Lock()
	p.add(v)
	p.mu.Unlock()
	if s := p.Stats(); s.Instances != 1 || len(p.vms) != 1 {
		t.Errorf("got %+v", s)
	}
}

// A service that is lost before anybody looks after it is started again.
func TestServiceThatIsLostAtOnce(t *testing.T) {
	p := load(t, script{})
	v := p.vms[0]
	v.hold()
	v.die(errors.New("its tick trapped"))
	v.release()
	s := newService(p.fleet)
	s.mu.Lock()
	if s.timer == nil {
		t.Error("nothing starts it again")
	} else if s.timer.Stop() {
		s.running.Done()
	}
	s.stopped = true
	s.mu.Unlock()
}

// A vm that asked to be replaced serves on while a stream keeps its place.
func TestWornInstanceServesIfThereIsNoOther(t *testing.T) {
	p := load(t, script{}, func(s *policy.Spec) {
		s.Settings.Limits.Instances, s.Settings.Limits.Wait = 1, manifest.Duration(time.Millisecond)
	})
	long, err := p.Acquire(newExchange("GET", "/"))
	if err != nil {
		t.Fatal(err)
	}
	p.replace(p.vms[0])
	if c := carry(p, newExchange("GET", "/"), "a"); c.received != "a" {
		t.Errorf("got %+v", c)
	}
	p.Release(long)
	waitFor(t, "end", func() bool { return p.Stats().Instances == 0 })
	if c := carry(p, newExchange("GET", "/"), "a"); c.received != "a" || p.Stats().Created != 2 {
		t.Errorf("got %+v, %+v", c, p.Stats())
	}
}

// A root context on its way out takes no queue from the generation after it.
func TestQueueAfterClose(t *testing.T) {
	spec := specOf(puppetModule)
	shared := spec.Granted.Shared
	old, err := tryLoad(t, in("delete", func(g *guest, args []uint32) uint32 {
		if st := g.call("proxy_register_shared_queue", "q", out(0)); st != statusOK {
			t.Errorf("status %d", st)
		}
		return 0
	}), func(s *policy.Spec) { s.Granted.Shared = shared })
	if err != nil {
		t.Fatal(err)
	}
	told := make(chan struct{}, 1)
	next := load(t, script{
		"configure": func(g *guest, _ []uint32) uint32 {
			g.call("proxy_register_shared_queue", "q", out(0))
			return 1
		},
		"queue_ready": func(*guest, []uint32) uint32 {
			told <- struct{}{}
			return 0
		},
	}, func(s *policy.Spec) { s.Granted.Shared = shared })
	if err := old.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	id, _ := next.granted.Shared.Resolve("q")
	if err := next.granted.Shared.Enqueue(id, []byte("a")); err != nil {
		t.Fatal(err)
	}
	select {
	case <-told:
	case <-time.After(10 * time.Second):
		t.Error("nobody was told")
	}
}

// An event for a vm that is lost meanwhile goes to another one.
func TestQueueEventOutlivesItsInstance(t *testing.T) {
	told := make(chan struct{}, 1)
	p := load(t, in("queue_ready", func(*guest, []uint32) uint32 {
		told <- struct{}{}
		return 0
	}))
	crowd(t, p, 2)
	for _, v := range p.vms {
		v.hold()
	}
	first, second := p.vms[0], p.vms[1]
	p.events.QueueReady(1)
	waitFor(t, "who waits for the vm", func() bool {
		p.events.mu.Lock()
		defer p.events.mu.Unlock()
		return len(p.events.waiting) == 0
	})
	first.die(errors.New("trap"))
	first.release()
	second.release()
	select {
	case <-told:
	case <-time.After(10 * time.Second):
		t.Error("nobody was told")
	}
}
