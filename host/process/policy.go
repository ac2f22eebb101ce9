package process

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/host/process/child"
	"github.com/ergoproxy/ergo/sdk/plugin/pluginpb"
)

// Policy is a plugin with one configuration, run by processes of its own.
type Policy struct {
	name     string
	limits   manifest.Limits
	needs    policy.Needs
	granted  *policy.Granted
	grants   map[string]bool
	contract *pluginpb.Contract
	maxStep  int // bytes that may come of a part of a streamed body
	lines    *child.Lines

	places  chan struct{} // taken by events that are with a process
	workers []*worker
	running sync.WaitGroup
	stop    context.CancelFunc
	visits  sync.Pool

	mu sync.Mutex
	up chan struct{} // closed when the next process comes up, or none will soon

	created, discarded, waits, overloads atomic.Uint64
}

var (
	_ policy.Policy       = (*Policy)(nil)
	_ policy.RequestHead  = (*Policy)(nil)
	_ policy.RequestBody  = (*Policy)(nil)
	_ policy.ResponseHead = (*Policy)(nil)
	_ policy.ResponseBody = (*Policy)(nil)
	_ policy.Failure      = (*Policy)(nil)
	_ policy.BodyFault    = (*Policy)(nil)
	_ policy.BodyBound    = (*Policy)(nil)
)

// errNoProcess says that all processes of a policy are down.
var errNoProcess = errors.New("its processes are down")

// Needs follows policy.Policy.
func (p *Policy) Needs() policy.Needs { return p.needs }

// Acquire follows policy.Policy. An exchange takes a place only while an event of it is
// with a process, so it is never refused here.
func (p *Policy) Acquire(x *exchange.Exchange) (policy.Instance, error) {
	v := p.visits.Get().(*visit)
	v.x = x
	return v, nil
}

// Release follows policy.Policy.
func (p *Policy) Release(i policy.Instance) {
	v := i.(*visit)
	v.end()
	v.reset()
	p.visits.Put(v)
}

// Stats follows policy.Policy: instances are processes.
func (p *Policy) Stats() policy.Stats {
	s := policy.Stats{
		Busy: len(p.places), Created: p.created.Load(), Discarded: p.discarded.Load(),
		Waits: p.waits.Load(), Overloads: p.overloads.Load(), LinesLost: p.lines.Lost(),
	}
	for _, w := range p.workers {
		if q := w.current.Load(); q != nil {
			s.Instances++
			s.MemoryBytes += q.Memory()
			continue
		}
		if wait := w.retry(); s.Down == 0 || wait < s.Retry {
			s.Retry = wait
		}
		s.Down++
	}
	return s
}

// Close follows policy.Policy.
func (p *Policy) Close(context.Context) error {
	p.stop()
	p.running.Wait()
	p.lines.Close()
	return nil
}

// enter takes a place for an event, of which limits.instances are there.
func (p *Policy) enter(x *exchange.Exchange) (release func(), err error) {
	select {
	case p.places <- struct{}{}:
		return p.leave, nil
	default:
	}
	p.waits.Add(1)
	timer := time.NewTimer(p.limits.Wait.D())
	defer timer.Stop()
	select {
	case p.places <- struct{}{}:
		return p.leave, nil
	case <-x.Context().Done():
		return nil, p.failure(policy.Overload, x.Context().Err())
	case <-timer.C:
		p.overloads.Add(1)
		return nil, p.failure(policy.Overload, errors.New("too many exchanges are with its processes"))
	}
}

func (p *Policy) leave() { <-p.places }

// pick chooses the process that has the fewest exchanges, and waits if there is none.
func (p *Policy) pick(x *exchange.Exchange) (*process, error) {
	if q := p.least(); q != nil {
		return q, nil
	}
	p.waits.Add(1)
	timer := time.NewTimer(p.limits.Wait.D())
	defer timer.Stop()
	for {
		up := p.nextUp()
		if q := p.least(); q != nil {
			return q, nil
		}
		if err := p.quarantined(); err != nil {
			// The exchanges that were with the processes count against the policy; this one need not.
			return nil, &policy.Error{Kind: policy.Trap, Policy: p.name, Err: err, Secondary: true}
		}
		select {
		case <-up:
		case <-x.Context().Done():
			return nil, p.failure(policy.Overload, x.Context().Err())
		case <-timer.C:
			p.overloads.Add(1)
			return nil, p.failure(policy.Overload, errNoProcess)
		}
	}
}

// nextUp is closed when a process comes up, or none will soon.
func (p *Policy) nextUp() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.up
}

func (p *Policy) announce() {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.up)
	p.up = make(chan struct{})
}

func (p *Policy) least() *process {
	var best *process
	fewest := 0
	for _, w := range p.workers {
		if q := w.current.Load(); q != nil {
			if n, alive := q.stream.visits(); alive && (best == nil || n < fewest) {
				best, fewest = q, n
			}
		}
	}
	return best
}

func (p *Policy) failure(kind policy.Kind, err error) error {
	return &policy.Error{Kind: kind, Policy: p.name, Err: err}
}
