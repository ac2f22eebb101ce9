package tier

import (
	"context"
	"sync"
	"time"
)

// deadline is a context with a deadline that can be taken back, for what must
// end in time only up to the response's head. It costs nothing until somebody
// asks for its channel: only then there is a timer, and it cannot be used again
// by another exchange. It is safe for concurrent use.
type deadline struct {
	parent context.Context

	mu    sync.Mutex
	at    time.Duration // on the package's clock
	armed bool
	err   error

	done  chan struct{} // nil until asked for
	timer *time.Timer
	after map[int]func() // to be called at the end
	next  int            // key in after
}

// arm returns a deadline after timeout within parent: d itself, if it is not nil
// and nobody can hold on to it.
func arm(d *deadline, parent context.Context, timeout time.Duration) *deadline {
	if d == nil || !d.rearm(parent, timeout) {
		d = &deadline{parent: parent, at: now() + timeout, armed: true}
	}
	return d
}

func (d *deadline) rearm(parent context.Context, timeout time.Duration) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.done != nil {
		return false
	}
	d.parent, d.at, d.armed, d.err = parent, now()+timeout, true, nil
	return true
}

// disarm takes the deadline back, unless it has passed. The context still ends
// with its parent.
func (d *deadline) disarm() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.armed = false
	if d.timer != nil {
		d.timer.Stop()
	}
}

// Deadline follows context.Context.
func (d *deadline) Deadline() (time.Time, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	outer, ok := d.parent.Deadline()
	if !d.armed {
		return outer, ok
	}
	own := time.Now().Add(d.at - now())
	if ok && outer.Before(own) {
		return outer, true
	}
	return own, true
}

// Err follows context.Context.
func (d *deadline) Err() error {
	d.mu.Lock()
	if d.err == nil {
		d.look()
	}
	err, ended := d.err, d.takeAfter()
	d.mu.Unlock()
	call(ended)
	return err
}

// look ends d if its time has come and no timer has said so yet.
func (d *deadline) look() {
	if err := d.parent.Err(); err != nil {
		d.end(err)
	} else if d.armed && now() >= d.at {
		d.end(context.DeadlineExceeded)
	}
}

// end is called with mu held and err nil; the caller calls takeAfter's.
func (d *deadline) end(err error) {
	d.err = err
	if d.done != nil {
		close(d.done)
	}
	if d.timer != nil {
		d.timer.Stop()
	}
}

// takeAfter returns the functions to call now that d has ended.
func (d *deadline) takeAfter() map[int]func() {
	if d.err == nil || d.after == nil {
		return nil
	}
	after := d.after
	d.after = nil
	return after
}

func call(functions map[int]func()) {
	for _, f := range functions {
		f()
	}
}

// Done follows context.Context.
func (d *deadline) Done() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.done != nil {
		return d.done
	}
	d.done = make(chan struct{})
	if d.err != nil {
		close(d.done)
		return d.done
	}
	d.timer = time.AfterFunc(d.at-now(), d.expire)
	context.AfterFunc(d.parent, d.parentEnded)
	return d.done
}

func (d *deadline) expire() {
	d.mu.Lock()
	if d.err == nil && d.armed {
		d.end(context.DeadlineExceeded)
	}
	ended := d.takeAfter()
	d.mu.Unlock()
	call(ended)
}

func (d *deadline) parentEnded() {
	d.mu.Lock()
	if d.err == nil {
		d.end(d.parent.Err())
	}
	ended := d.takeAfter()
	d.mu.Unlock()
	call(ended)
}

// Value follows context.Context.
func (d *deadline) Value(key any) any { return d.within().Value(key) }

// within returns the parent.
func (d *deadline) within() context.Context {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.parent
}

// AfterFunc is what package context looks for in a parent of another package, so
// that a child costs no goroutine.
func (d *deadline) AfterFunc(f func()) (stop func() bool) {
	d.Done()
	d.mu.Lock()
	if d.err != nil {
		d.mu.Unlock()
		go f()
		return func() bool { return false }
	}
	if d.after == nil {
		d.after = make(map[int]func())
	}
	key := d.next
	d.next++
	d.after[key] = f
	d.mu.Unlock()
	return func() bool {
		d.mu.Lock()
		defer d.mu.Unlock()
		_, waiting := d.after[key]
		delete(d.after, key)
		return waiting
	}
}
