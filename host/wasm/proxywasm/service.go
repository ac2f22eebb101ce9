package proxywasm

import (
	"context"
	"sync"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/policy"
)

// service is a policy with a root context only: its timers and queues are what it
// is for. A vm that is lost is replaced, after a pause that doubles with each loss.
type service struct {
	*fleet

	mu      sync.Mutex
	pause   time.Duration // before the next vm is started
	started time.Time     // the last one
	timer   *time.Timer
	stopped bool
	running sync.WaitGroup
}

var _ policy.Policy = (*service)(nil)

// The pauses before a service is started again. One that was well for maxPause is
// forgiven what was before.
const (
	firstPause = time.Second
	maxPause   = time.Minute
)

func newService(f *fleet) *service {
	s := &service{fleet: f, pause: firstPause, started: time.Now()}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.onLoss = s.lost
	if f.alive == 0 { // since it was opened
		s.lost()
	}
	return s
}

// lost has the service started again after a pause.
func (s *service) lost() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return
	}
	if time.Since(s.started) > maxPause {
		s.pause = firstPause
	}
	s.running.Add(1)
	s.timer = time.AfterFunc(s.pause, s.restart)
	s.pause = min(2*s.pause, maxPause)
}

func (s *service) restart() {
	defer s.running.Done()
	s.mu.Lock()
	s.started = time.Now()
	s.mu.Unlock()
	f := s.fleet
	f.mu.Lock()
	f.expect()
	f.mu.Unlock()
	v, err := f.start(context.Background())
	if err != nil {
		f.background.Add(1)
		f.logger.Error("start of the policy failed", "err", f.startError(err))
		return // its loss has set the timer again
	}
	f.mu.Lock()
	f.add(v)
	f.mu.Unlock()
}

// Needs follows policy.Policy.
func (s *service) Needs() policy.Needs {
	none := manifest.BodyNeed{Mode: manifest.BodyNone}
	return policy.Needs{RequestBody: none, ResponseBody: none}
}

// Acquire follows policy.Policy. There is nothing to lend: exchanges pass it by.
func (s *service) Acquire(*exchange.Exchange) (policy.Instance, error) { return nil, nil }

// Release follows policy.Policy.
func (s *service) Release(policy.Instance) {}

// Stats follows policy.Policy.
func (s *service) Stats() policy.Stats { return s.stats() }

// Close follows policy.Policy.
func (s *service) Close(ctx context.Context) error {
	s.mu.Lock()
	s.stopped = true
	if s.timer != nil && s.timer.Stop() {
		s.running.Done()
	}
	s.mu.Unlock()
	s.running.Wait()
	return s.close(ctx)
}
