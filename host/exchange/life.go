package exchange

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Clock counts up monotonically and is far from 0, which stands for "never",
// also in a test whose time began in the year 2000.
func Clock() time.Duration { return time.Since(clockStart) + century }

const century = 100 * 365 * 24 * time.Hour

var clockStart = time.Now()

// Interruptible is something that waits and can be told not to.
type Interruptible interface {
	// Interrupt makes the wait that is in progress, and later ones, fail soon. It
	// must not block nor call back.
	Interrupt()
}

// Life is the context of an exchange: it ends when End is called, as the client
// goes away, or when its deadline passes. It costs neither memory nor a timer
// until somebody asks for its channel; who waits for a socket says so by Hold and
// keeps the deadline, Until, itself.
//
// Its methods are safe for concurrent use, but for those that change what it is
// the life of: Next, Narrow and Widen belong to who carries the exchange. The zero
// value goes on until End.
type Life struct {
	values context.Context // asked for values, and followed to its end; nil: none

	ended atomic.Bool // by End or with values, not by until: to be seen without mu

	mu    sync.Mutex
	until time.Duration // on Clock; 0: no deadline
	err   error         // as of context.Context
	cause error         // why exactly
	held  []Interruptible

	done  chan struct{} // nil until asked for
	timer *time.Timer   // of until, once done is there
	after map[int]func()
	key   int // the last one in after

	telling int        // functions of after that run
	told    *sync.Cond // nil until somebody waits for them
}

var _ context.Context = (*Life)(nil)

// NewLife returns a life that ends with ctx, if not before, and has its values.
func NewLife(ctx context.Context) *Life {
	l := &Life{values: ctx}
	if ctx.Done() != nil {
		context.AfterFunc(ctx, func() { l.end(ctx.Err(), CauseOf(ctx)) })
		if err := ctx.Err(); err != nil {
			l.end(err, CauseOf(ctx))
		}
	}
	return l
}

// Next returns a life for the next exchange, made like this one: l itself, unless
// somebody may still hold on to its channel.
func (l *Life) Next() *Life {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.done != nil || l.values != nil {
		if l.timer != nil {
			l.timer.Stop()
		}
		if l.values == nil {
			return new(Life)
		}
		return NewLife(l.values)
	}
	l.until, l.err, l.cause = 0, nil, nil
	if l.ended.Load() { // to write it costs more than to look
		l.ended.Store(false)
	}
	if len(l.held) > 0 {
		clear(l.held)
		l.held = l.held[:0]
	}
	return l
}

// End ends the life, for a cause that is told to who asks. It is
// context.Canceled, or wraps it, if nobody in the host decided so.
func (l *Life) End(cause error) { l.end(context.Canceled, cause) }

func (l *Life) end(err, cause error) {
	l.mu.Lock()
	var after map[int]func()
	if l.err == nil {
		after = l.close()
	}
	if !l.ended.Load() {
		l.err, l.cause = err, cause
		l.ended.Store(true)
	}
	for _, i := range l.held {
		i.Interrupt()
	}
	l.tell(after)
	l.mu.Unlock()
}

// tell calls functions of AfterFunc, aside. It is called with mu held.
func (l *Life) tell(after map[int]func()) {
	for _, f := range after {
		l.tellOne(f)
	}
}

func (l *Life) tellOne(f func()) {
	l.telling++
	go func() {
		f()
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.telling--; l.told != nil {
			l.told.Signal()
		}
	}()
}

// awaitTold waits for them: they ask why the life has ended, and a child without
// an answer panics. It is called with mu held.
func (l *Life) awaitTold() {
	for l.telling > 0 {
		if l.told == nil {
			l.told = sync.NewCond(&l.mu)
		}
		l.told.Wait()
	}
}

// close closes the channel and returns what is to be called for it. It is called
// with mu held.
func (l *Life) close() (after map[int]func()) {
	if l.done != nil {
		close(l.done)
	}
	if l.timer != nil {
		l.timer.Stop()
	}
	after, l.after = l.after, nil
	return after
}

// Hold has i interrupted when the life ends, until Release. If it has ended, it
// returns the cause and holds nothing. A deadline interrupts nobody: who waits
// keeps Until itself.
func (l *Life) Hold(i Interruptible) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.look() != nil {
		return l.cause
	}
	l.held = append(l.held, i)
	return nil
}

// Release takes Hold back. i is not interrupted any more once it has returned.
func (l *Life) Release(i Interruptible) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if at := slices.Index(l.held, i); at >= 0 {
		l.held = slices.Delete(l.held, at, at+1)
	}
}

// Until returns the deadline on Clock, 0 if there is none.
func (l *Life) Until() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.until
}

// Narrow sets the deadline to until, on Clock, unless there is an earlier one. It
// returns the deadline of before, for Widen.
func (l *Life) Narrow(until time.Duration) (before time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before = l.until
	if before == 0 || until < before {
		l.until = until
		l.rearm()
	}
	return before
}

// Widen sets the deadline back to what it was before Narrow. A life that has
// ended by the narrower one goes on; contexts that were derived from it and the
// channel that Done returned meanwhile stay ended.
func (l *Life) Widen(before time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.awaitTold()
	l.until = before
	if l.err != nil && !l.ended.Load() && (before == 0 || Clock() < before) {
		l.err, l.cause, l.done, l.timer = nil, nil, nil, nil
	}
	l.rearm()
}

// rearm sets the timer for until, if somebody waits for it.
func (l *Life) rearm() {
	if l.done == nil || l.err != nil {
		return
	}
	switch {
	case l.until == 0:
		if l.timer != nil {
			l.timer.Stop()
		}
	case l.timer == nil:
		l.timer = time.AfterFunc(l.until-Clock(), l.expire)
	default:
		l.timer.Reset(l.until - Clock())
	}
}

func (l *Life) expire() {
	l.mu.Lock()
	var after map[int]func()
	if l.err == nil && l.until != 0 && Clock() >= l.until {
		l.err, l.cause = context.DeadlineExceeded, context.DeadlineExceeded
		after = l.close()
	}
	l.tell(after)
	l.mu.Unlock()
}

// look returns why the life has ended, nil if it goes on. It is called with mu
// held. Nobody needs to wait for a timer or another goroutine to be told.
func (l *Life) look() error {
	switch {
	case l.err != nil:
		return l.err
	case l.values != nil && l.values.Err() != nil:
		l.err, l.cause = l.values.Err(), CauseOf(l.values)
		l.ended.Store(true)
	case l.until != 0 && Clock() >= l.until:
		l.err, l.cause = context.DeadlineExceeded, context.DeadlineExceeded
	default:
		return nil
	}
	l.tell(l.close())
	return l.err
}

// Ended reports whether the life was ended, by End or with the context that it
// follows. Its own deadline does not count: who knows the time looks at Until.
func (l *Life) Ended() bool {
	return l.ended.Load() || l.values != nil && l.values.Err() != nil
}

// Err follows context.Context.
func (l *Life) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.look()
}

// Cause returns what End was given, or context.DeadlineExceeded; nil while life
// goes on.
func (l *Life) Cause() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.look()
	return l.cause
}

// Deadline follows context.Context.
func (l *Life) Deadline() (time.Time, bool) {
	if until := l.Until(); until != 0 {
		return time.Now().Add(until - Clock()), true
	}
	return time.Time{}, false
}

// Done follows context.Context.
func (l *Life) Done() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.done == nil {
		ended := l.look() != nil
		l.done = make(chan struct{})
		if ended {
			close(l.done)
		} else {
			l.rearm()
		}
	}
	return l.done
}

type lifeKey struct{}

// Value follows context.Context.
func (l *Life) Value(key any) any {
	if key == (lifeKey{}) {
		return l
	}
	if l.values == nil {
		return nil
	}
	return l.values.Value(key)
}

// AfterFunc is what package context looks for in a parent of another package, so
// that a child costs no goroutine.
func (l *Life) AfterFunc(f func()) (stop func() bool) {
	l.Done()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.look() != nil {
		l.tellOne(f)
		return func() bool { return false }
	}
	if l.after == nil {
		l.after = map[int]func(){}
	}
	l.key++
	key := l.key
	l.after[key] = f
	return func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		_, waiting := l.after[key]
		delete(l.after, key)
		return waiting
	}
}

// LifeOf returns the life that ctx is, or was derived from; nil if there is none.
func LifeOf(ctx context.Context) *Life {
	l, _ := ctx.Value(lifeKey{}).(*Life)
	return l
}

// CauseOf returns why ctx has ended, as context.Cause does, and what a life was
// ended for where that knows only that it was. It is nil while ctx goes on.
func CauseOf(ctx context.Context) error {
	cause := context.Cause(ctx)
	if errors.Is(cause, context.Canceled) {
		if l := LifeOf(ctx); l != nil {
			if c := l.Cause(); c != nil {
				return c
			}
		}
	}
	return cause
}
