package cache

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
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

// shared is what a Store has in common with those of other hosts: a log of purges,
// which every host follows, and copies of what was stored, each with the place in
// the log that its host had reached when it began to store it. Who takes a copy asks
// the log what was purged since. So no host has to be trusted to have heard of a
// purge before it stores, and a copy is never removed, but expires.
//
// A place is known to be good as long as its record is in the log: records leave it
// in their order. A host whose place is gone has missed something, and drops all it has.
type shared struct {
	store *Store
	redis Redis
	base  string        // of the names of keys
	host  string        // tells its own records from others
	tail  *redis.Client // a connection of its own, because it waits
	end   context.CancelFunc
	work  sync.WaitGroup

	copies chan sharedCopy
	queued atomic.Int64 // bytes of bodies in copies

	telling sync.RWMutex // held for reading from before a purge is told until it is done here

	hits, misses, sent, unsent, gaps atomic.Uint64

	// Store.mu guards these.
	place  string        // in the log; "": none yet
	joined bool          // the log is being followed, and knows all that was purged here
	untold []purgeRecord // what was purged here and is not in the log yet
}

const (
	// SharedEntryBytes bounds the bodies that hosts share.
	SharedEntryBytes = 1 << 20
	sharedTTL        = time.Hour // a copy is as useful as its policy says, and this long at most
	maxCopies        = 256       // that wait to be sent
	maxCopyBytes     = 8 << 20   // bodies of them
	maxUntold        = 256
	tailWait         = time.Second // for news; the connection is known to be sound as often
	tailPause        = 250 * time.Millisecond
	tailBatch        = 100
)

// ErrUntold says that a purge was done here, and that other hosts will hear of it
// when the server they share is back.
var ErrUntold = errors.New("other hosts could not be told of the purge yet")

func newShared(s *Store, r Redis, host string) *shared {
	own := *r.Client().Options()
	own.PoolSize, own.MaxActiveConns = 1, 1
	ctx, end := context.WithCancel(context.Background())
	sh := &shared{
		store: s, redis: r, host: host, tail: redis.NewClient(&own), end: end,
		// No policy is named "", so nothing that one remembers has this name.
		base: r.Prefix() + ":cache:", copies: make(chan sharedCopy, maxCopies),
	}
	sh.work.Go(func() { sh.follow(ctx) })
	sh.work.Go(func() { sh.send(ctx) })
	return sh
}

func (sh *shared) close() error {
	sh.end()
	err := sh.tail.Close() // ends a wait
	sh.work.Wait()
	return err
}

func (sh *shared) log() string { return sh.base + "purges" }

func (sh *shared) key(space, key string) string { return sh.base + "of:" + space + ":" + key }

// here returns the place in the log; "" while it is not followed. Store.mu is held.
func (sh *shared) here() string {
	if sh == nil || !sh.joined {
		return ""
	}
	return sh.place
}

// follow keeps up with the log until ctx ends.
func (sh *shared) follow(ctx context.Context) {
	s, gone := sh.store, false
	for ctx.Err() == nil {
		err := sh.step(ctx)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			if gone {
				s.options.Log.Info("the cache is shared again")
			}
			gone = false
			continue
		}
		if !gone {
			s.options.Log.Error("the cache is not shared at the moment", "err", err)
		}
		gone = true
		s.mu.Lock()
		sh.joined = false
		s.mu.Unlock()
		select {
		case <-ctx.Done():
		case <-time.After(tailPause):
		}
	}
}

// step waits for news once. Only follow changes the place.
func (sh *shared) step(ctx context.Context) error {
	s := sh.store
	s.mu.Lock()
	place, joined := sh.place, sh.joined
	s.mu.Unlock()
	if place == "" {
		return sh.enter(ctx)
	}
	wait := tailWait
	if !joined {
		wait = -1 // the caller has something to say
	}
	records, err := sh.read(ctx, place, wait)
	if err != nil {
		return err
	}
	// What was read follows the place without a gap if its record is still there.
	there, err := sh.tail.XRangeN(ctx, sh.log(), place, place, 1).Result()
	if err != nil {
		return fmt.Errorf("look at the log of purges: %w", err)
	}
	if len(there) == 0 {
		return sh.enter(ctx)
	}
	for _, r := range records {
		sh.hear(r)
		s.mu.Lock()
		sh.place = r.ID
		s.mu.Unlock()
	}
	if joined || len(records) == tailBatch {
		return nil
	}
	return sh.join(ctx)
}

// read returns what follows a place, once there is something.
func (sh *shared) read(ctx context.Context, place string, wait time.Duration) ([]redis.XMessage, error) {
	within, cancel := context.WithTimeout(ctx, max(wait, 0)+sh.tail.Options().ReadTimeout)
	defer cancel()
	streams, err := sh.tail.XRead(within, &redis.XReadArgs{Streams: []string{sh.log(), place}, Count: tailBatch, Block: wait}).Result()
	if errors.Is(err, redis.Nil) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the log of purges: %w", err)
	}
	var records []redis.XMessage
	for _, s := range streams {
		records = append(records, s.Messages...)
	}
	return records, nil
}

// enter takes the end of the log for the place, because none is known that is good,
// and drops what is here: it may have been purged.
func (sh *shared) enter(ctx context.Context) error {
	last, err := sh.tail.XRevRangeN(ctx, sh.log(), "+", "-", 1).Result()
	if err != nil {
		return fmt.Errorf("enter the log of purges: %w", err)
	}
	var place string
	if len(last) > 0 {
		place = last[0].ID
	} else if place, err = sh.tail.XAdd(ctx, sh.record(purgeRecord{})).Result(); err != nil {
		return fmt.Errorf("begin the log of purges: %w", err)
	}
	s := sh.store
	s.mu.Lock()
	missed := sh.place != "" || s.entries > 0
	sh.place, sh.joined = place, false
	s.mu.Unlock()
	if missed {
		sh.gaps.Add(1)
		s.options.Log.Warn("the cache begins anew: it may have missed purges of other hosts")
	}
	s.dropAll()
	return sh.join(ctx)
}

// join tells what was purged while the log was not followed. From then on what is
// stored here is shared.
func (sh *shared) join(ctx context.Context) error {
	s := sh.store
	for {
		s.mu.Lock()
		if len(sh.untold) == 0 {
			sh.joined = true
			s.mu.Unlock()
			return nil
		}
		p := sh.untold[0]
		s.mu.Unlock()
		if err := sh.tail.XAdd(ctx, sh.record(p)).Err(); err != nil {
			return fmt.Errorf("write to the log of purges: %w", err)
		}
		s.mu.Lock()
		sh.untold = sh.untold[1:]
		s.mu.Unlock()
	}
}

// tell writes a purge to the log, before it is done here.
func (sh *shared) tell(p purgeRecord) error {
	s := sh.store
	s.mu.Lock()
	joined := sh.joined
	s.mu.Unlock()
	err := ErrUntold
	if joined {
		err = sh.redis.Do(context.Background(), func(ctx context.Context) error {
			return sh.redis.Client().XAdd(ctx, sh.record(p)).Err()
		})
	}
	if err == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	sh.joined = false
	if len(sh.untold) == maxUntold { // join may be sending the first
		sh.untold = append(sh.untold[:1:1], purgeRecord{all: true})
	}
	sh.untold = append(sh.untold, p)
	return fmt.Errorf("%w: %w", ErrUntold, err)
}

// hear does what another host has purged.
func (sh *shared) hear(m redis.XMessage) {
	p, ok := purgeOf(m)
	if !ok {
		sh.store.dropAll() // whatever it says, nothing may be missed
		return
	}
	if p.host == sh.host {
		// What is stored with this place must have been stored after the purge.
		sh.telling.Lock()
		//lint:ignore SA2001 it waits for those that tell
		sh.telling.Unlock()
		return
	}
	if p.idle() {
		return
	}
	if p.all {
		sh.store.dropAll()
		return
	}
	sh.store.mu.Lock()
	sp := sh.store.spaces[p.space]
	sh.store.mu.Unlock()
	if sp != nil {
		sp.purge(p.Selector, p.soft)
	}
}

// dropAll removes all there is.
func (s *Store) dropAll() {
	s.mu.Lock()
	spaces := make([]*Space, 0, len(s.spaces))
	for _, sp := range s.spaces {
		spaces = append(spaces, sp)
	}
	s.mu.Unlock()
	for _, sp := range spaces {
		sp.purge(Selector{Kind: Prefix}, false)
	}
}

// purgeRecord is a purge as the log has it. The zero value purges nothing, and
// begins a log.
type purgeRecord struct {
	Selector
	space string
	soft  bool
	all   bool // everything, of all policies
	host  string
}

func (p *purgeRecord) idle() bool { return p.space == "" && !p.all }

const (
	logRecords = 4096 // that the log keeps
	// maxSince is how many purges a copy may be behind: who takes it reads all of them.
	maxSince = 1024
)

func (sh *shared) record(p purgeRecord) *redis.XAddArgs {
	flags := 0
	if p.soft {
		flags |= 1
	}
	if p.all {
		flags |= 2
	}
	return &redis.XAddArgs{
		Stream: sh.log(), MaxLen: logRecords, Approx: true,
		Values: []any{"host", sh.host, "space", p.space, "kind", int(p.Kind), "text", p.Text, "flags", flags},
	}
}

// purgeOf reads what record wrote.
func purgeOf(m redis.XMessage) (p purgeRecord, ok bool) {
	text := func(name string) string {
		s, there := m.Values[name].(string)
		ok = ok && there
		return s
	}
	ok = true
	p.host, p.space, p.Text = text("host"), text("space"), text("text")
	kind, kindErr := strconv.ParseUint(text("kind"), 10, 8)
	flags, flagsErr := strconv.ParseUint(text("flags"), 10, 8)
	p.Kind, p.soft, p.all = Kind(kind), flags&1 != 0, flags&2 != 0
	ok = ok && kindErr == nil && flagsErr == nil && flags < 4
	return p, ok && (p.idle() || p.all || p.sound())
}
