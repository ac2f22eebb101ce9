// Package flight has one of many fetch what all of them want.
package flight

import (
	"context"
	"sync"
	"sync/atomic"
)

// Group is fetches that are under way, by the key of what they fetch: one fetches,
// others wait for it. The zero value is ready for use; it is safe for concurrent use.
type Group struct {
	mu      sync.Mutex
	flights map[string]*Flight
	waiting atomic.Int64
	waits   atomic.Uint64
}

// Flight is a fetch. Whoever leads it ends it, or hands it over, once.
type Flight struct {
	flights *Group
	key     string
	waiting int           // guarded by flights.mu
	lead    chan struct{} // has the right to lead while nobody does
	over    chan struct{}
	alone   bool // those that wait go on by themselves; written before over is closed
}

// Join begins the fetch of a key, if there is none, and reports that the caller leads it;
// otherwise it returns the one that there is.
func (f *Group) Join(key string) (flight *Flight, leads bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if there := f.flights[key]; there != nil {
		return there, false
	}
	if f.flights == nil {
		f.flights = map[string]*Flight{}
	}
	flight = &Flight{flights: f, key: key, lead: make(chan struct{}, 1), over: make(chan struct{})}
	f.flights[key] = flight
	return flight, true
}

// End ends the fetch. With alone those that wait are told to go on by themselves, because
// nothing is stored that they could share; else they are to look again.
func (f *Flight) End(alone bool) {
	f.flights.mu.Lock()
	defer f.flights.mu.Unlock()
	f.end(alone)
}

func (f *Flight) end(alone bool) {
	delete(f.flights.flights, f.key)
	f.alone = alone
	close(f.over)
}

// HandOver has one of those that wait lead in place of one that failed; the others go on
// waiting. It ends the fetch if nobody waits.
func (f *Flight) HandOver() {
	f.flights.mu.Lock()
	defer f.flights.mu.Unlock()
	if f.waiting == 0 {
		f.end(false)
		return
	}
	f.lead <- struct{}{}
}

// Outcome is how a wait for a fetch ended.
type Outcome uint8

// The outcomes.
const (
	Look    Outcome = iota // something was stored: look again
	Alone                  // go on without waiting any more
	Expired                // ctx ended
	Leads                  // the caller leads now
)

// Wait waits until the fetch ends or is handed over, or ctx ends.
func (f *Flight) Wait(ctx context.Context) Outcome {
	f.flights.waits.Add(1)
	f.flights.waiting.Add(1)
	f.count(1)
	defer f.flights.waiting.Add(-1)
	defer f.count(-1)
	select {
	case <-f.lead:
		return Leads
	case <-f.over:
		if f.alone {
			return Alone
		}
		return Look
	case <-ctx.Done():
		return Expired
	}
}

// count counts those that wait. What was handed over to the last one, which left in the
// same moment, has ended.
func (f *Flight) count(n int) {
	f.flights.mu.Lock()
	defer f.flights.mu.Unlock()
	if f.waiting += n; f.waiting > 0 {
		return
	}
	select {
	case <-f.lead:
		f.end(false)
	default:
	}
}

// Stats are the state of a Group, and what it counted.
type Stats struct {
	Flights int    // under way
	Waiting int64  // for one of them
	Waits   uint64 // ever
}

// Stats returns what there is.
func (f *Group) Stats() Stats {
	f.mu.Lock()
	defer f.mu.Unlock()
	return Stats{Flights: len(f.flights), Waiting: f.waiting.Load(), Waits: f.waits.Load()}
}
