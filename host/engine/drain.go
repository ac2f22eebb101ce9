package engine

import (
	"context"
	"time"
)

// expireAfter gives what is left of a generation that no longer runs a deadline;
// 0 gives none. It is called with mu held.
func (e *Engine) expireAfter(g *generation, timeout time.Duration) {
	e.unexpire(g)
	if timeout == 0 {
		return
	}
	var own *time.Timer
	own = time.AfterFunc(timeout, func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		if g.expiry == own { // else the generation runs again, or is closed
			g.abort(errDrained)
		}
	})
	g.expiry = own
}

// unexpire takes the deadline back. It is called with mu held.
func (e *Engine) unexpire(g *generation) {
	if g.expiry != nil {
		g.expiry.Stop()
		g.expiry = nil
	}
}

// retire closes a generation that no exchange can begin in any more, once those
// in flight have ended.
func (e *Engine) retire(g *generation) {
	e.mu.Lock()
	e.draining[g] = struct{}{}
	e.mu.Unlock()
	g.retired.Store(true)
	e.retirers.Go(func() {
		for g.inFlight() > 0 {
			<-g.empty
		}
		e.closeGeneration(g)
		e.mu.Lock()
		delete(e.draining, g)
		e.unexpire(g)
		e.mu.Unlock()
		e.opts.Log.Debug("generation closed", "generation", g.id)
	})
}

// closeGeneration lets go of everything that a generation holds. Nobody asks for
// its errors: they are for the log.
func (e *Engine) closeGeneration(g *generation) {
	if err := g.close(context.Background(), &e.slots, &e.springs); err != nil {
		e.opts.Log.Warn("close generation", "generation", g.id, "err", err)
	}
}
