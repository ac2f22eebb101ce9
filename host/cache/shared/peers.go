// Package shared lets the stores of several hosts share what they store, and purges,
// by a Redis server.
package shared

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/ergoproxy/ergo/host/cache"
)

// Redis is a server that several hosts share, as this package uses it.
type Redis interface {
	// Client returns the server's client.
	Client() *redis.Client
	// Do runs an operation on it, within ctx and the server's timeout. While the server
	// is known to be gone it returns an error at once.
	Do(ctx context.Context, operation func(context.Context) error) error
	// Prefix begins the names of keys, with a colon at its end.
	Prefix() string
}

// Peers are what a store has in common with those of other hosts: a log of purges,
// which every host follows, and copies of what was stored, each with the place in
// the log that its host had reached when it asked for it. Who takes a copy asks
// the log what was purged since. So no host has to be trusted to have heard of a
// purge before it stores, and a copy is never removed, but expires.
//
// A place is known to be good as long as its record is in the log: records leave it
// in their order. A host whose place is gone has missed something, and drops all it has.
type Peers struct {
	store *cache.Store
	redis Redis
	log   *slog.Logger
	base  string        // of the names of keys
	host  string        // tells its own records from others
	tail  *redis.Client // a connection of its own, because it waits
	end   context.CancelFunc
	work  sync.WaitGroup

	copies chan offered
	queued atomic.Int64 // bytes of bodies in copies

	telling sync.RWMutex // held for reading from before a purge is told until it is done here

	hits, misses, sent, unsent, gaps atomic.Uint64

	mu     sync.Mutex
	place  string   // in the log; "": none yet
	joined bool     // the log is being followed, and knows all that was purged here
	untold []record // what was purged here and is not in the log yet
}

var _ cache.Peers = (*Peers)(nil)

const (
	// EntryBytes bounds the bodies that hosts share.
	EntryBytes   = 1 << 20
	copyTTL      = time.Hour // a copy is as useful as its policy says, and this long at most
	maxCopies    = 256       // that wait to be sent
	maxCopyBytes = 8 << 20   // bodies of them
	maxUntold    = 256
	tailWait     = time.Second // for news; the connection is known to be sound as often
	tailPause    = 250 * time.Millisecond
	tailBatch    = 100
)

// Join has a store share what it stores with the hosts that use the same server, and
// prefix. What it has on disk is dropped: what was purged meanwhile is not known. The
// Peers are closed before the store and the server.
func Join(store *cache.Store, server Redis, log *slog.Logger) *Peers {
	own := *server.Client().Options()
	own.PoolSize, own.MaxActiveConns = 1, 1
	ctx, end := context.WithCancel(context.Background())
	p := &Peers{
		store: store, redis: server, log: log, host: rand.Text(), tail: redis.NewClient(&own), end: end,
		// No policy is named "", so nothing that one remembers has this name.
		base: server.Prefix() + ":cache:", copies: make(chan offered, maxCopies),
	}
	store.Share(p)
	p.work.Go(func() { p.follow(ctx) })
	p.work.Go(func() { p.send(ctx) })
	return p
}

// Close ends what they do.
func (p *Peers) Close() error {
	p.end()
	err := p.tail.Close() // ends a wait
	p.work.Wait()
	return err
}

// Stats are Peers at one moment; counts begin when they are joined.
type Stats struct {
	Joined       bool   // the log of purges is followed at the moment
	Hits, Misses uint64 // of Fetch
	Sent, Unsent uint64 // entries that were to be shared
	Gaps         uint64 // how often all was dropped, because purges may have been missed
	Untold       int    // purges that other hosts are still to be told of
}

// Stats returns what there is.
func (p *Peers) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	return Stats{
		Joined: p.joined, Hits: p.hits.Load(), Misses: p.misses.Load(),
		Sent: p.sent.Load(), Unsent: p.unsent.Load(), Gaps: p.gaps.Load(), Untold: len(p.untold),
	}
}

// Tell follows cache.Peers: it writes the purge to the log.
func (p *Peers) Tell(purge cache.Purge) (done func(), err error) {
	p.telling.RLock()
	return p.telling.RUnlock, p.tell(record{Purge: purge})
}

func (p *Peers) tell(r record) error {
	p.mu.Lock()
	joined := p.joined
	p.mu.Unlock()
	err := cache.ErrUntold
	if joined {
		err = p.redis.Do(context.Background(), func(ctx context.Context) error {
			return p.redis.Client().XAdd(ctx, p.entry(r)).Err()
		})
		if err == nil {
			return nil
		}
		err = fmt.Errorf("%w: %w", cache.ErrUntold, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.joined = false
	if len(p.untold) == maxUntold { // join may be sending the first
		p.untold = append(p.untold[:1:1], record{all: true})
	}
	p.untold = append(p.untold, r)
	return err
}
