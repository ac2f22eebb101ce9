// Package tier walks an exchange through the stages of a tier: request phases
// first to last, response phases last to first over what was passed.
//
// A tier is built once for a generation and then only read. What an exchange
// meets on its way is decided at the build: each use of a policy is a row of the
// phases it has, its failure rules and what must be kept to undo it, and a walk
// is a loop over these rows. The state of one exchange is a Walk, which its
// owner keeps in a pool. What outlives a generation comes from outside: the
// policies with their quarantine (Slot), the Bulkhead and the Breaker.
//
//	f := t.Enter(x)                   a place in the tier, or shed
//	answered, f := t.Request(&w, x)   to the upstream, or turned round
//	t.Response(&w, x)                 the response's way back
//	t.Done(&w, x)                     after the last byte
//	t.Leave(x)
package tier

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/telemetry"
)

// Spec is what a tier is made of.
type Spec struct {
	Name   string        // "edge" or "service"
	Config manifest.Tier // its Stages are not looked at
	Stages []StageSpec

	// Bulkhead and Breaker outlive the generation if their settings stay the
	// same (Fits). Nil: new ones by Config.
	Bulkhead *Bulkhead
	Breaker  *Breaker

	Metrics *telemetry.Metrics // nil records nothing
	Log     *slog.Logger
}

// StageSpec is a stage with the policies that its uses were loaded into.
type StageSpec struct {
	manifest.Stage           // its Uses are not looked at
	Uses           []UseSpec // in order
}

// UseSpec is a use of a policy.
type UseSpec struct {
	Slot *Slot
	// OnError is the use's own failure rule, nil if it has none: then the stage's
	// holds, but not for a policy of family auth, which is denied (Rules).
	OnError *manifest.OnError
}

// Tier is a chain of stages behind a bulkhead. It is immutable and safe for
// concurrent use.
type Tier struct {
	name     string
	timeout  time.Duration // until the response's head; 0: none
	stages   []stage
	bulkhead *Bulkhead
	breaker  *Breaker
	red      *telemetry.RED
	log      *slog.Logger
}

// New builds a tier. Close ends its metrics.
func New(spec Spec) (*Tier, error) {
	t := &Tier{
		name:     spec.Name,
		timeout:  spec.Config.Timeout.D(),
		stages:   make([]stage, len(spec.Stages)),
		bulkhead: spec.Bulkhead,
		breaker:  spec.Breaker,
		log:      spec.Log,
	}
	if t.bulkhead == nil {
		t.bulkhead = NewBulkhead(spec.Config)
	}
	if t.breaker == nil {
		t.breaker = NewBreaker(spec.Config.Breaker)
	}
	if t.log == nil {
		t.log = slog.New(slog.DiscardHandler)
	}
	var problems []error
	for i := range spec.Stages {
		if err := t.stages[i].build(t, i, &spec.Stages[i]); err != nil {
			problems = append(problems, fmt.Errorf("stage %q of %s: %w", spec.Stages[i].Name, t.name, err))
		}
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	t.openMetrics(spec.Metrics)
	return t, nil
}

func (t *Tier) openMetrics(m *telemetry.Metrics) {
	t.red = m.Tier(t.name)
	for i := range t.stages {
		s := &t.stages[i]
		s.red = m.Stage(t.name, s.name)
		for j := range s.uses {
			u := &s.uses[j]
			u.red = m.Policy(t.name, s.name, u.slot.Name, u.slot.Version)
		}
	}
}

// Close ends the tier's metrics. No exchange is in it any more. Policies,
// bulkhead and breaker are their owner's to close.
func (t *Tier) Close() {
	t.red.Close()
	for i := range t.stages {
		t.stages[i].red.Close()
		for j := range t.stages[i].uses {
			t.stages[i].uses[j].red.Close()
		}
	}
}

// Name returns "edge" or "service".
func (t *Tier) Name() string { return t.name }

// Status is the load of a tier at one moment.
type Status struct {
	Bulkhead    BulkheadStatus `json:"bulkhead"`
	BreakerOpen bool           `json:"breaker_open"`
}

// Status returns the tier's load now.
func (t *Tier) Status() Status {
	return Status{t.bulkhead.Status(), t.breaker.IsOpen()}
}

// Enter takes a place in the tier for the exchange, waiting for one within the
// bounds of the queue. Each Enter that returned nil is followed by one Leave. A
// failure means that the exchange was shed (503 with Retry-After), or gave up
// while it waited.
func (t *Tier) Enter(x *exchange.Exchange) *exchange.Failure {
	if wait, open := t.breaker.open(x.Now); open {
		return &exchange.Failure{Cause: exchange.CauseCircuitOpen, Status: 503, RetryAfter: atLeastSecond(wait), Tier: t.name}
	}
	if t.bulkhead.enterAtOnce() {
		return nil
	}
	err := t.bulkhead.wait(x.Life())
	x.Lap()
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errFull):
		return &exchange.Failure{
			Cause: exchange.CauseOverload, Status: 503, RetryAfter: atLeastSecond(t.bulkhead.timeout), Tier: t.name, Err: err,
		}
	}
	return t.ended(x.Life().Cause())
}

// Leave gives the exchange's place to the next one.
func (t *Tier) Leave(*exchange.Exchange) { t.bulkhead.leave() }

// Bulkhead returns what holds the tier's places, to be carried over.
func (t *Tier) Bulkhead() *Bulkhead { return t.bulkhead }

// Breaker returns the tier's circuit breaker, to be carried over; nil if it has
// none.
func (t *Tier) Breaker() *Breaker { return t.breaker }

func atLeastSecond(d time.Duration) time.Duration { return max(d, time.Second) }

// now reads the clock for those who have no exchange.
func now() time.Duration { return exchange.Clock() }
