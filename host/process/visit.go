package process

import (
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/host/process/child"
	"github.com/ergoproxy/ergo/sdk/plugin/pluginpb"
)

// visit is one exchange at the policy: the instance that a Policy lends. It belongs
// to one process, from the first event on.
type visit struct {
	policy  *Policy
	x       *exchange.Exchange
	process *process // nil until there is an event
	number  uint64
	fault   error // of a body that was on its way
	keys    contentKeys
	// What it wants of the bodies.
	requestBound, responseBound int64
	timer                       *time.Timer // of the event at hand
	batch                       []*pluginpb.PolicyEvent

	mu    sync.Mutex
	asked bool // an event is with the process
	inbox []*pluginpb.PolicyEvent
	bytes int
	ready chan struct{} // has one element while inbox may have some
}

// unbound is the bound of a body of which a policy takes what policy.toml says.
const unbound = math.MaxInt64

// maxInbox bounds what a process can send in answer to one event, beside pieces of a body.
const maxInbox = 1024

// receive takes an event in. It reports false for what must not come.
func (v *visit) receive(e *pluginpb.PolicyEvent) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.asked || len(v.inbox) == maxInbox {
		return false
	}
	switch e := e.Event.(type) {
	case *pluginpb.PolicyEvent_Done:
		v.asked = false
	case *pluginpb.PolicyEvent_Piece:
		if v.bytes += len(e.Piece); v.bytes > v.policy.maxStep {
			return false
		}
	case *pluginpb.PolicyEvent_Call:
	default:
		return false
	}
	v.inbox = append(v.inbox, e)
	select {
	case v.ready <- struct{}{}:
	default:
	}
	return true
}

// takeAll empties the inbox, into a slice that is used again.
func (v *visit) takeAll() []*pluginpb.PolicyEvent {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.inbox, v.batch = v.batch[:0], v.inbox
	return v.batch
}

func (v *visit) isAsked() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.asked
}

// ask shows the process an event and waits until it is done with it. Pieces of a body
// are appended to pieces. The error is as policy.Instance phases return it.
func (v *visit) ask(e *pluginpb.HostEvent, pieces *[]byte) (*pluginpb.Done, error) {
	release, err := v.policy.enter(v.x)
	if err != nil {
		return nil, err
	}
	defer release()
	if err := v.join(); err != nil {
		return nil, err
	}
	v.mu.Lock()
	v.asked, v.bytes = true, 0
	v.mu.Unlock()
	began := exchange.Clock()
	until := began + v.policy.limits.Time.D()
	e.Exchange = v.number
	if err := v.process.stream.put(e, until); err != nil {
		return nil, v.failed(err, began)
	}
	done, err := v.await(began, until, pieces)
	if err != nil {
		return nil, err
	}
	if len(done.Spans) > 0 && v.x.Sampled {
		v.policy.record(v.x, done.Spans)
	}
	if done.Error != "" {
		return nil, v.policy.failure(policy.Trap, errors.New(done.Error))
	}
	return done, nil
}

// join finds a process for the exchange; later events go to the same one.
func (v *visit) join() error {
	if v.process != nil {
		return nil
	}
	p, err := v.policy.pick(v.x)
	if err != nil {
		return err
	}
	v.process = p
	p.stream.enter(v)
	return nil
}

// await handles what the process sends until it is done. What the host does for it in
// between does not count against its time.
func (v *visit) await(began, until time.Duration, pieces *[]byte) (*pluginpb.Done, error) {
	if v.timer == nil {
		v.timer = time.NewTimer(until - exchange.Clock())
	} else {
		v.timer.Reset(until - exchange.Clock())
	}
	defer v.timer.Stop()
	for {
		select {
		case <-v.ready:
		case <-v.process.stream.broken:
			return nil, v.failed(v.process.stream.cause(), began)
		case <-v.x.Context().Done():
			return nil, v.policy.failure(policy.Timeout, v.x.Context().Err())
		case <-v.timer.C:
			return nil, v.failed(child.ErrHangs, began)
		}
		for _, e := range v.takeAll() {
			switch e := e.Event.(type) {
			case *pluginpb.PolicyEvent_Done:
				return e.Done, nil
			case *pluginpb.PolicyEvent_Piece:
				if pieces == nil {
					return nil, v.policy.failure(policy.Trap, fmt.Errorf("%w: it streams a body that it does not have", errProtocol))
				}
				*pieces = append(*pieces, e.Piece...)
			case *pluginpb.PolicyEvent_Call:
				before := exchange.Clock()
				result := v.policy.call(v.x.Context(), &v.keys, e.Call)
				until += exchange.Clock() - before
				v.timer.Reset(until - exchange.Clock())
				if err := v.process.stream.put(resultOf(v.number, result), until); err != nil {
					return nil, v.failed(err, began)
				}
			}
		}
	}
}

func resultOf(number uint64, r *pluginpb.Result) *pluginpb.HostEvent {
	return &pluginpb.HostEvent{Exchange: number, Event: &pluginpb.HostEvent_Result{Result: r}}
}

// failed makes the error of an event that the process did not finish. One from which nothing
// at all has come since the event began is no use to others either.
func (v *visit) failed(err error, began time.Duration) error {
	if !errors.Is(err, child.ErrHangs) {
		return v.policy.failure(policy.Trap, err)
	}
	if time.Duration(v.process.stream.heard.Load()) < began {
		v.process.stream.fail(child.ErrHangs)
	}
	return v.policy.failure(policy.Timeout, fmt.Errorf("%w within limits.time (%v)", err, v.policy.limits.Time.D()))
}

// end tells the process that the exchange is over. A process that does not take that in
// is one that hangs, or is gone.
func (v *visit) end() {
	p := v.process
	if p == nil {
		if !v.policy.contract.Done {
			return
		}
		if p = v.policy.least(); p == nil {
			return
		}
		v.process = p
		p.stream.enter(v)
	}
	// The end of one that was given up must not overtake its event.
	apart := v.policy.contract.Done || v.isAsked()
	if !p.stream.leave(v, !apart) {
		p.stream.fail(child.ErrHangs)
	}
	if !apart {
		return
	}
	e := &pluginpb.HostEvent{Exchange: v.number, Event: &pluginpb.HostEvent_End{End: new(pluginpb.End)}}
	if v.policy.contract.Done {
		end := e.GetEnd()
		end.Status = uint32(v.x.Response.Status)
		end.Microseconds = uint64(max(0, (v.x.Now - v.x.Began).Microseconds()))
	}
	if err := p.stream.put(e, exchange.Clock()+v.policy.limits.Time.D()); err != nil {
		p.stream.fail(err)
	}
}

// reset makes the visit ready for another exchange.
func (v *visit) reset() {
	select {
	case <-v.ready:
	default:
	}
	v.keys.wipe()
	clear(v.inbox)
	clear(v.batch)
	v.inbox, v.batch = v.inbox[:0], v.batch[:0]
	v.asked, v.bytes = false, 0
	v.x, v.process, v.number, v.fault = nil, nil, 0, nil
	v.requestBound, v.responseBound = unbound, unbound
}
