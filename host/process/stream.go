package process

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/process/child"
	"github.com/ergoproxy/ergo/sdk/plugin/pluginpb"
)

// Why a process is of no use any more.
var (
	errGone     = errors.New("the process has ended")
	errProtocol = errors.New("the process broke the protocol")
)

const (
	pending  = 1024    // events that may wait to be sent
	maxOver  = 1 << 16 // exchanges whose end may wait to be sent
	maxBatch = 64      // events of a batch

	// maxBatchBytes is what a batch has of results when nothing more is added to it. With the last of
	// them, and other events of 64 KiB at most, it fits what gRPC takes.
	maxBatchBytes = 2 << 20
)

// stream carries exchanges to one process and back, told apart by number.
type stream struct {
	carry  pluginpb.Policy_CarryClient
	cancel context.CancelFunc // of carry
	out    chan *pluginpb.HostEvent
	broken chan struct{} // closed when the stream is of no use
	ended  chan struct{} // closed when run returns
	heard  atomic.Int64  // exchange.Clock when something came last
	own    *own          // nil for a process that has nothing to prepare
	wake   chan struct{} // has one element while over may have some

	mu   sync.Mutex
	open map[uint64]*visit
	over []uint64 // exchanges whose end the process is to be told of
	last uint64   // number given
	err  error    // why it broke
}

func newStream(carry pluginpb.Policy_CarryClient, cancel context.CancelFunc, o *own) *stream {
	s := &stream{
		carry: carry, cancel: cancel, own: o, out: make(chan *pluginpb.HostEvent, pending), open: map[uint64]*visit{},
		broken: make(chan struct{}), ended: make(chan struct{}), wake: make(chan struct{}, 1),
	}
	s.heard.Store(int64(exchange.Clock()))
	return s
}

// run sends and receives until the stream breaks; cause says why it did.
func (s *stream) run() {
	defer close(s.ended)
	var others sync.WaitGroup
	others.Go(s.send)
	if s.own != nil {
		others.Go(func() { s.own.serve(s) })
	}
	for {
		batch, err := s.carry.Recv()
		if err != nil {
			s.fail(fmt.Errorf("%w: %w", errGone, err))
			break
		}
		s.heard.Store(int64(exchange.Clock()))
		if err := s.deliver(batch.Events); err != nil {
			s.fail(err)
			break
		}
	}
	others.Wait()
}

// send sends what is ready, as much as there is in one batch.
func (s *stream) send() {
	for {
		var batch pluginpb.HostBatch
		size := 0
		select {
		case e := <-s.out:
			batch.Events = append(batch.Events, e)
			size = len(e.GetResult().GetValue())
		case <-s.wake:
		case <-s.broken:
			return
		}
		runtime.Gosched() // exchanges that can run have something to send in a moment
		batch.Ended = s.takeOver()
		for more := true; more && len(batch.Events) < maxBatch && size < maxBatchBytes; {
			select {
			case e := <-s.out:
				batch.Events = append(batch.Events, e)
				size += len(e.GetResult().GetValue())
			default:
				more = false
			}
		}
		if len(batch.Events)+len(batch.Ended) > 0 && s.carry.Send(&batch) != nil {
			return // and Recv says why
		}
	}
}

func (s *stream) takeOver() []uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	over := s.over
	s.over = nil
	return over
}

// fail breaks the stream: whoever waits is told.
func (s *stream) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = err
		close(s.broken)
		s.cancel()
	}
}

func (s *stream) cause() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// enter gives a visit its number.
func (s *stream) enter(v *visit) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	v.number = s.last
	s.open[v.number] = v
}

// leave ends a visit: what still comes for it is dropped. The process learns of it here if
// tell, which no event of the visit that is still to be sent may outlast. It reports false of a process
// that takes nothing in.
func (s *stream) leave(v *visit, tell bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, v.number)
	if !tell || s.err != nil {
		return true
	}
	if len(s.over) == maxOver {
		return false
	}
	s.over = append(s.over, v.number)
	select {
	case s.wake <- struct{}{}:
	default:
	}
	return true
}

// put hands an event over to be sent, until a deadline on exchange.Clock.
func (s *stream) put(e *pluginpb.HostEvent, until time.Duration) error {
	select {
	case s.out <- e:
		return nil
	case <-s.broken:
		return s.cause()
	default:
	}
	timer := time.NewTimer(until - exchange.Clock())
	defer timer.Stop()
	select {
	case s.out <- e:
		return nil
	case <-s.broken:
		return s.cause()
	case <-timer.C:
		return child.ErrHangs
	}
}

// deliver gives visits what came for them.
func (s *stream) deliver(events []*pluginpb.PolicyEvent) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range events {
		v := s.open[e.Exchange]
		switch {
		case e.Exchange == 0 && s.own != nil:
			if !s.own.receive(e) {
				return fmt.Errorf("%w: it sends more of its own than it may", errProtocol)
			}
		case e.Exchange == 0 || e.Exchange > s.last:
			return fmt.Errorf("%w: it speaks of exchange %d, which there never was", errProtocol, e.Exchange)
		case v == nil: // given up
		case !v.receive(e):
			return fmt.Errorf("%w: it sends more than it was asked for", errProtocol)
		}
	}
	return nil
}

// visits is how many exchanges the stream carries; not alive: none, any more.
func (s *stream) visits() (n int, alive bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open), s.err == nil
}
