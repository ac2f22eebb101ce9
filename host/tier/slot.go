package tier

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/ergoproxy/ergo/host/policy"
)

// Slot is a policy as generations carry it over: with its quarantine. Its
// fields are set before its first use and not changed. It is safe for concurrent
// use.
type Slot struct {
	Name    string        // of the policy in the manifest
	Version string        // of its artifact
	Family  string        // of its artifact
	Policy  policy.Policy // nil if it could not be loaded and its failure rule lets it
	Granted *policy.Granted

	// Failed is Load or Config, and Err the reason, if Policy is nil.
	Failed policy.Kind
	Err    error

	Log          *slog.Logger    // nil: says nothing
	OnQuarantine func(open bool) // told of each change; nil: nobody

	quarantine quarantine
	loggedAt   atomic.Int64 // when a failure was last logged, by now()
	unlogged   atomic.Int64 // failures since then
}

var errNotLoaded = errors.New("not loaded")

// Close closes the policy. No instance is lent any more.
func (s *Slot) Close(ctx context.Context) error {
	if s.Policy == nil {
		return nil
	}
	err := s.Policy.Close(ctx)
	if s.Granted != nil {
		err = errors.Join(err, s.Granted.Close())
	}
	if err != nil {
		return fmt.Errorf("close policy %s: %w", s.Name, err)
	}
	return nil
}

// SlotStatus is the health of a policy.
type SlotStatus struct {
	Quarantined bool          `json:"quarantined"`
	Kind        string        `json:"kind,omitempty"`        // of the last failure, if there is one since the last success
	Failures    int           `json:"failures"`              // in a row
	Retry       time.Duration `json:"retry_in_ns,omitempty"` // until the next probe
	Trips       uint64        `json:"trips"`                 // how often it was quarantined
	LoadError   string        `json:"load_error,omitempty"`  // why there is no policy
	Stats       policy.Stats  `json:"stats"`
}

// Status returns the policy's health now.
func (s *Slot) Status() SlotStatus {
	status := s.quarantine.status(now())
	if s.Policy == nil {
		status.Kind = s.Failed.String()
		if s.Err != nil {
			status.LoadError = s.Err.Error()
		}
		return status
	}
	status.Stats = s.Policy.Stats()
	return status
}

// failed counts a failure of the policy in the exchange's way.
func (s *Slot) failed(at time.Duration, kind policy.Kind, err error, probe bool) {
	s.logFailure(at, err)
	if kind != policy.Trap && kind != policy.Timeout {
		return // a full pool says nothing about the policy's health
	}
	if backoff, opened := s.quarantine.failed(at, kind, probe); opened {
		s.changed(true)
		if s.Log != nil {
			s.Log.Error("policy quarantined",
				"kind", kind.String(), "probe_in", backoff, "err", err)
		}
	}
}

// passed counts an exchange that the policy took without failing.
func (s *Slot) passed(probe bool) {
	if s.quarantine.passed(probe) {
		s.changed(false)
		if s.Log != nil {
			s.Log.Info("policy released from quarantine")
		}
	}
}

func (s *Slot) changed(open bool) {
	if s.OnQuarantine != nil {
		s.OnQuarantine(open)
	}
}

// logFailure logs at most one failure a second, and how many it left out.
func (s *Slot) logFailure(at time.Duration, err error) {
	if s.Log == nil {
		return
	}
	last := s.loggedAt.Load()
	if last != 0 && at-time.Duration(last) < time.Second || !s.loggedAt.CompareAndSwap(last, int64(at)) {
		s.unlogged.Add(1)
		return
	}
	s.Log.Warn("policy failed", "err", err, "unlogged", s.unlogged.Swap(0))
}

// loadError says why there is no policy.
func (s *Slot) loadError() error {
	if s.Err != nil {
		return s.Err
	}
	return errNotLoaded
}
