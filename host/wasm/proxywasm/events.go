package proxywasm

import (
	"sync"

	"github.com/ergoproxy/ergo/host/state"
)

// maxEvents bounds what waits to be told to a root context. Beyond it nothing is
// lost but the call: what is in a queue stays there for the next one.
const maxEvents = 1024

// events tell the root contexts of a fleet, one after another and aside from
// whoever caused it, that a queue has something. The goroutine that does so begins
// with the first event and ends when there is none.
type events struct {
	fleet *fleet

	mu      sync.Mutex
	waiting []uint32 // ids of queues
	running sync.WaitGroup
	active  bool
	closed  bool
}

// QueueReady follows state.Reader.
func (e *events) QueueReady(id uint32) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed || len(e.waiting) >= maxEvents {
		return
	}
	e.waiting = append(e.waiting, id)
	if !e.active {
		e.active = true
		e.running.Go(e.run)
	}
}

func (e *events) run() {
	for {
		e.mu.Lock()
		if len(e.waiting) == 0 {
			e.active = false
			e.mu.Unlock()
			return
		}
		id := e.waiting[0]
		e.waiting = e.waiting[1:]
		e.mu.Unlock()
		for v := e.fleet.any(); v != nil && !v.queueReady(id); v = e.fleet.any() {
		}
	}
}

// close drops what waits, and waits for what is under way.
func (e *events) close() {
	e.fleet.unregister(e)
	e.mu.Lock()
	e.closed, e.waiting = true, nil
	e.mu.Unlock()
	e.running.Wait()
}

// register has the fleet told of a queue, unless it is closed: then it is the next
// generation's to be told.
func (f *fleet) register(name string) (id uint32, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.deaf {
		id, there := f.granted.Shared.Resolve(name)
		if !there {
			return 0, state.ErrNoQueue
		}
		return id, nil
	}
	id, err = f.granted.Shared.Register(name, &f.events)
	if err == nil {
		f.queues[id] = true
	}
	return id, err
}

func (f *fleet) unregister(r state.Reader) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.deaf = true
	for id := range f.queues {
		f.granted.Shared.Unregister(id, r)
	}
}

// any returns a vm of the fleet that is not on its way out, nil if there is none: one
// that nobody is in, if there is such.
func (f *fleet) any() *vm {
	f.mu.Lock()
	defer f.mu.Unlock()
	var some *vm
	for _, v := range f.vms {
		if !v.seen && (some == nil || len(v.held) < len(some.held)) {
			some = v
		}
	}
	return some
}
