package engine

import (
	"errors"
	"time"

	"github.com/ergoproxy/ergo/host/engine/disk"
	"github.com/ergoproxy/ergo/host/manifest"
)

// Record is one attempt to change the running generation.
type Record = disk.Record

// History returns what was tried with the running generation, oldest first, also
// before the last restart.
func (e *Engine) History() []Record {
	records := e.history.List()
	running := e.current.Load()
	reachable := map[uint64]bool{}
	e.mu.Lock()
	for _, g := range e.stack {
		reachable[g.id] = true
	}
	for _, id := range e.archived {
		reachable[id] = true
	}
	e.mu.Unlock()
	for i := range records {
		records[i].Reachable = !records[i].Refused && reachable[records[i].To]
		records[i].Running = running != nil && !records[i].Refused && records[i].To == running.id
	}
	return records
}

// remember writes a swap's outcome to history, log and metrics.
func (e *Engine) remember(cause string, started time.Time, change *Change, err error) {
	r := Record{Time: started, Cause: cause, Took: time.Since(started)}
	if g := e.current.Load(); g != nil {
		r.From, r.To, r.Digest = g.id, g.id, g.digest
	}
	switch {
	case err != nil:
		r.Refused, r.Problems = true, problemLines(err)
		e.opts.Telemetry.Swap(cause, "refused")
		if r.To != 0 { // else whoever starts the host says so
			e.opts.Log.Error("swap refused: the running generation goes on", "cause", cause, "generation", r.To, "problems", r.Problems)
		}
	case change.From == change.To:
		change.Took = r.Took
		e.opts.Telemetry.Swap(cause, "unchanged")
		return
	default:
		change.Took = r.Took
		r.From, r.Changes = change.From, change.Changes
		e.opts.Telemetry.Swap(cause, "done")
		e.opts.Log.Info("generation running", "cause", cause, "generation", r.To, "from", r.From,
			"took", r.Took, "policies_loaded", change.Loaded, "policies_kept", change.Kept, "changes", change.Changes)
	}
	if err := e.history.Add(r); err != nil {
		e.opts.Log.Warn("history stays in memory", "err", err)
	}
}

// problemLines returns one line for each thing that is wrong.
func problemLines(err error) []string {
	var problems manifest.Problems
	if !errors.As(err, &problems) {
		return []string{err.Error()}
	}
	lines := make([]string, len(problems))
	for i, p := range problems {
		lines[i] = p.String()
	}
	return lines
}
