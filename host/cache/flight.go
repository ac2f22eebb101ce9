package cache

import (
	"context"
	"sync"
	"sync/atomic"
)

// Flights are fetches that are under way, by the key of what they fetch: one fetches,
// others wait for it. The zero value is ready for use; it is safe for concurrent use.
type Flights struct {
	mu      sync.Mutex
	flights map[string]*Flight
	waiting atomic.Int64
	waits   atomic.Uint64
}

// Flight is a fetch. Whoever leads it ends it, once.
type Flight struct {
	flights *Flights
	key     string
	over    chan struct{}
	alone   bool // those that wait go on by themselves; written before over is closed
}

// Join begins the fetch of a key, if there is none, and reports that the caller leads it;
// otherwise it returns the one that there is.
func (f *Flights) Join(key string) (flight *Flight, leads bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if there := f.flights[key]; there != nil {
		return there, false
	}
	if f.flights == nil {
		f.flights = map[string]*Flight{}
	}
	flight = &Flight{flights: f, key: key, over: make(chan struct{})}
	f.flights[key] = flight
	return flight, true
}

// End ends the fetch. With alone those that wait are told to go on by themselves, because
// nothing is stored that they could share; else they are to look again.
func (f *Flight) End(alone bool) {
	fs := f.flights
	fs.mu.Lock()
	delete(fs.flights, f.key)
	fs.mu.Unlock()
	f.alone = alone
	close(f.over)
}

// Outcome is how a wait for a fetch ended.
type Outcome uint8

// The outcomes.
const (
	Look    Outcome = iota // something was stored, or the fetch failed: look again
	Alone                  // go on without waiting any more
	Expired                // ctx ended
)

// Wait waits until the fetch ends, or ctx does.
func (f *Flight) Wait(ctx context.Context) Outcome {
	f.flights.waits.Add(1)
	f.flights.waiting.Add(1)
	defer f.flights.waiting.Add(-1)
	select {
	case <-f.over:
		if f.alone {
			return Alone
		}
		return Look
	case <-ctx.Done():
		return Expired
	}
}

// FlightStats are the state of Flights, and what they counted.
type FlightStats struct {
	Flights int    // under way
	Waiting int64  // for one of them
	Waits   uint64 // ever
}

// Stats returns what there is.
func (f *Flights) Stats() FlightStats {
	f.mu.Lock()
	defer f.mu.Unlock()
	return FlightStats{Flights: len(f.flights), Waiting: f.waiting.Load(), Waits: f.waits.Load()}
}
