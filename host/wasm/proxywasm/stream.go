package proxywasm

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/host/wasm"
)

// place is where a message of an exchange stands in a stream's eyes: what a guest
// may touch of it. It is shut while whoever carries the message is elsewhere.
type place uint8

const (
	shut   place = iota
	atHead       // its head is here, and maybe its body with it
	atBody       // the head went on; a piece of the body is here
	atEnd        // the exchange is over: everything can be read
)

// stream is one exchange in the eyes of a guest. It is guarded by its vm, but for
// what its bodies keep for whoever reads them.
type stream struct {
	fleet *fleet
	vm    *vm
	x     *exchange.Exchange
	life  *exchange.Life // of x, for who carries a body beside it
	id    uint32

	created bool         // its context; the exchange's carrier may look
	over    bool         // its context, too
	final   bool         // the exchange's last byte was sent
	aside   *aside       // nil: there is none
	local   *localReply  // that the guest sent; nil: none
	closed  bool         // proxy_close_stream was called
	lacked  error        // what a callback of the root did not get on its behalf
	ways    [2]direction // of request and response

	fault atomic.Pointer[policy.Error] // that broke off a body; nil: none
}

// direction is the state of one message. A request's body may be carried by
// another goroutine than the rest.
type direction struct {
	at      place
	resumed bool          // proxy_continue_stream was called
	waits   bool          // who carries the message waits for that
	wake    chan struct{} // full when it is to look again
	piece   *[]byte       // of the body, that the guest sees; nil: none
	ended   bool          // the body has: its trailers are here
	asked   int64         // how much of the body the guest wants to hold; 0: it did not say
	body    body
}

func newStream(f *fleet, v *vm, x *exchange.Exchange) *stream {
	s, _ := f.streams.Get().(*stream)
	if s == nil {
		s = new(stream)
	}
	s.fleet, s.vm, s.x, s.life = f, v, x, x.Life()
	return s
}

// recycle gives a stream that is over to the next exchange, unless a body was read by
// it: whoever carries that may still hold on to it.
func (s *stream) recycle() {
	if f := s.fleet; s.ways[request].body.stream == nil && s.ways[response].body.stream == nil {
		*s = stream{}
		f.streams.Put(s)
	}
}

// reachable returns the exchange if a guest may touch it now: not while only its
// request's body is at hand, because that may be carried beside the rest.
func (s *stream) reachable() *exchange.Exchange {
	if s == nil || s.ways[request].at != atHead && s.ways[response].at == shut {
		return nil
	}
	return s.x
}

// enter waits for the vm, for as long as the exchange may go on. The error is a
// *policy.Error.
func (s *stream) enter() error {
	v := s.vm
	select {
	case v.held <- struct{}{}:
	default:
		select {
		case v.held <- struct{}{}:
		case <-s.life.Done():
			return s.fleet.failure(exchange.CauseOf(s.life))
		}
	}
	if v.isDead() {
		v.release()
		return s.fleet.failure(v.describe())
	}
	return nil
}

// touch has the guest called on the stream's context, with a message at a place.
// The vm is held. The error is a *policy.Error, and the vm is lost then.
func (s *stream) touch(way int, at place, call func() error) error {
	v, d := s.vm, &s.ways[way]
	before := d.at
	d.at = at
	v.on(s)
	err := call()
	if err == nil {
		err = v.bury()
	}
	v.off()
	d.at = before
	if err == nil {
		return nil
	}
	if !spared(err) || v.instance.Spent() {
		v.die(err)
	}
	return s.fleet.failure(err)
}

// spared reports whether a guest may go on after an error: it was not its own.
func spared(err error) bool {
	var fault *wasm.Fault
	return errors.As(err, &fault) && fault.Kind == wasm.Unavailable
}

// create makes the stream's context. The vm is held and on the stream.
func (s *stream) create() error {
	if s.created {
		return nil
	}
	s.id = s.fleet.newID(s.vm)
	s.created = true
	s.vm.streams[s.id], s.vm.effective = s, s.id
	_, err := s.vm.invoke(onContextCreate, uint64(s.id), rootID)
	return err
}

// newID returns an id that no context of the vm has.
func (f *fleet) newID(v *vm) uint32 {
	for {
		id := f.nextID.Add(1)
		if id > rootID && v.streams[id] == nil && !v.ending[id] {
			return id
		}
	}
}

// maxBodyPause bounds a pause at the end of a body, where no deadline of the
// exchange may be left.
const maxBodyPause = time.Minute

// errOver ends a body that somebody still carries when the exchange is over.
var errOver = errors.New("the exchange is over")

// await waits until the guest resumes a message, answers or closes the stream, or
// until the exchange ends. Meanwhile others may have the guest touch it. The vm is
// held, also when it returns.
func (s *stream) await(way int, at place) error {
	v, d := s.vm, &s.ways[way]
	var limit <-chan time.Time
	if at == atBody {
		timer := time.NewTimer(s.fleet.bodyPause)
		defer timer.Stop()
		limit = timer.C
	}
	for !d.resumed && !s.answered() {
		if d.wake == nil {
			d.wake = make(chan struct{}, 1)
		}
		before := d.at
		d.at, d.waits = at, true
		v.release()
		var err error
		select {
		case <-d.wake:
		case <-v.dead:
		case <-s.life.Done():
			err = s.fleet.outOfTime(exchange.CauseOf(s.life))
		case <-limit:
			err = s.fleet.outOfTime(context.DeadlineExceeded)
		}
		v.held <- struct{}{}
		d.at, d.waits = before, false
		switch {
		case v.isDead():
			err = s.fleet.failure(v.describe())
		case s.over:
			err = errOver
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// outOfTime is the error of a stream whose exchange ended while it was paused. Why
// it ended is the tier's to find out; if a stage's time is up, the policy has used
// it up.
func (f *fleet) outOfTime(cause error) error {
	return &policy.Error{Kind: policy.Timeout, Policy: f.name, Err: &pausedError{cause}}
}

// pausedError says that a pause was not ended in time.
type pausedError struct{ err error }

func (e *pausedError) Error() string {
	return "it paused the stream and did not resume: " + e.err.Error()
}
func (e *pausedError) Unwrap() error { return e.err }

// notify has who waits for the stream look again. The vm is held.
func (s *stream) notify() {
	for i := range s.ways {
		if d := &s.ways[i]; d.waits {
			select {
			case d.wake <- struct{}{}:
			default:
			}
		}
	}
}

// answered reports whether the guest has ended the exchange, or failed it.
func (s *stream) answered() bool { return s.local != nil || s.closed || s.lacked != nil }

// failure makes the error of a call, or of the loss of a vm, what the contract says.
func (f *fleet) failure(err error) error {
	var (
		fault *wasm.Fault
		known *policy.Error
	)
	if errors.As(err, &known) {
		return err
	}
	failure := &policy.Error{Kind: policy.Overload, Policy: f.name, Err: err}
	if errors.As(err, &fault) {
		switch fault.Kind {
		case wasm.TimedOut:
			failure.Kind = policy.Timeout
		case wasm.Unavailable: // an overload
		default:
			failure.Kind = policy.Trap
		}
	}
	if errors.Is(err, errLost) {
		failure.Kind, failure.Secondary = policy.Trap, true
	}
	return failure
}

// finish takes the stream's context to its end: done, log, delete. It is called
// once the exchange has nothing left for the guest, and does nothing twice.
func (s *stream) finish(final bool) {
	v := s.vm
	if !s.created || !v.hold() {
		return
	}
	defer v.release()
	if s.over {
		return
	}
	s.over, s.final = true, final
	s.notify() // a request's body may still be paused
	s.ways[request].at = atEnd
	s.rejoin()
	err := s.touch(response, atEnd, s.conclude)
	s.ways[request].at = shut
	if !v.isDead() {
		v.instance.Call().Leave(s.x)
	}
	if err != nil {
		s.fleet.background.Add(1)
		s.fleet.logger.Error("end of a stream failed", "err", err)
	}
}

// conclude takes the context through its last callbacks. What the guest needs in one
// of them and does not get ends none of the others, or contexts would be left.
func (s *stream) conclude() error {
	v := s.vm
	done, err := v.ask(onDone, uint64(s.id))
	waits := !done && err == nil
	if !v.instance.Spent() {
		_, lacked := v.invoke(onLog, uint64(s.id))
		err = errors.Join(err, lacked)
	}
	delete(v.streams, s.id)
	switch {
	case v.instance.Spent():
	case waits && len(v.ending) < maxStreams:
		v.ending[s.id] = true // proxy_done deletes it
	default:
		_, lacked := v.invoke(onDelete, uint64(s.id))
		err = errors.Join(err, lacked)
	}
	return err
}
