package engine

import (
	"sync"

	"go.opentelemetry.io/otel/trace"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/tier"
	"github.com/ergoproxy/ergo/host/upstream"
)

// ride is an exchange with its place in a generation.
type ride struct {
	x       *exchange.Exchange
	life    *exchange.Life // of x
	g       *generation
	walks   [2]tier.Walk
	first   int        // the tier that it begins with: not the first one if the request is repeated
	from    tier.Place // in that tier
	entered int        // tiers that are behind it, or whose place it holds, counted from the first of the generation
	call    *upstream.Call
	span    trace.Span // nil: not sampled
	carried bool       // to its end

	seat  uint32 // which of a generation's lanes it takes
	place int    // in that lane
}

// lane holds some of a generation's exchanges: those that are in flight, for a
// drain deadline to end. A generation has several, so that cores that begin and
// end exchanges do not wait for each other: a ride keeps its seat, and sync.Pool
// gives a core the rides that it had before.
type lane struct {
	mu    sync.Mutex
	rides []*ride // by place; nil: free
	free  []int   // places
	ended error   // why exchanges are ended; nil: they are not

	_ [64]byte // what cores write to is apart
}

func (g *generation) laneOf(r *ride) *lane { return &g.lanes[r.seat%uint32(len(g.lanes))] }

// board adds a ride to the generation's. It returns why they are ended, if they
// are.
func (g *generation) board(r *ride) error {
	l := g.laneOf(r)
	l.mu.Lock()
	if last := len(l.free) - 1; last >= 0 {
		r.place, l.free = l.free[last], l.free[:last]
		l.rides[r.place] = r
	} else {
		r.place = len(l.rides)
		l.rides = append(l.rides, r)
	}
	ended := l.ended
	l.mu.Unlock()
	return ended
}

// alight takes a ride off again. Nobody ends it any more.
func (g *generation) alight(r *ride) {
	l := g.laneOf(r)
	l.mu.Lock()
	l.rides[r.place] = nil
	l.free = append(l.free, r.place)
	l.mu.Unlock()
	if g.retired.Load() {
		select {
		case g.empty <- struct{}{}:
		default:
		}
	}
}

// inFlight counts the exchanges. It is 0 only if there is none, once none can
// begin any more.
func (g *generation) inFlight() int64 {
	n := 0
	for i := range g.lanes {
		l := &g.lanes[i]
		l.mu.Lock()
		n += len(l.rides) - len(l.free)
		l.mu.Unlock()
	}
	return int64(n)
}

// abort ends all exchanges in flight; nil has those that begin from now on go on.
func (g *generation) abort(cause error) {
	for i := range g.lanes {
		l := &g.lanes[i]
		l.mu.Lock()
		l.ended = cause
		for _, r := range l.rides {
			if r != nil && cause != nil {
				r.life.End(cause)
			}
		}
		l.mu.Unlock()
	}
}

// revive takes the end of exchanges back, for a generation that runs again.
func (g *generation) revive() { g.abort(nil) }
