package wire

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/manifest"
)

// pool holds the connections to one endpoint. Everything about it is
// bounded: connections, those that are idle, how long connecting may take, and
// who may wait for one.
//
// No method of a conn that net/http implements is called while mu is held:
// net/http closes sockets under locks of its own, and a closed socket takes mu.
type pool struct {
	connect func(context.Context) (*conn, error)
	limits  manifest.Connections

	ctx    context.Context // of connecting; ends with the pool
	cancel context.CancelFunc
	dials  sync.WaitGroup

	shared atomic.Pointer[[]*conn] // HTTP/2, copy on write

	mu      sync.Mutex
	idle    []*conn // HTTP/1.1, the last one used last
	open    int     // connections, those being made included
	dialing int
	// single says that the endpoint speaks HTTP/1.1: every waiter then needs a
	// connection of its own. Until that is known, the first one is waited for.
	single  bool
	waiters []*waiter // in the order they came
	closed  bool
}

// waiter is a request that waits for a connection.
type waiter struct{ ready chan grant }

// grant ends a wait: with a connection, an error, or neither if the shared
// connections are to be looked at again.
type grant struct {
	conn *conn
	err  error
}

// Room bounds the requests that wait for connections, be it to one endpoint or
// to several. It is safe for concurrent use.
type Room struct {
	Count  *atomic.Int64 // of those that wait
	Max    int64
	Waited func(time.Duration) // told how long each waited
}

func (r *Room) enter() bool {
	if r.Count.Add(1) <= r.Max {
		return true
	}
	r.Count.Add(-1)
	return false
}

func (r *Room) leave(since time.Duration) {
	r.Count.Add(-1)
	r.Waited(exchange.Clock() - since)
}

func newPool(limits manifest.Connections, single bool, connect func(context.Context) (*conn, error)) *pool {
	p := &pool{connect: connect, limits: limits, single: single}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.shared.Store(new([]*conn))
	return p
}

// patience ends a wait. Only who waits asks for its context.
type patience interface{ Context() context.Context }

// acquire returns a connection that may carry a request now. It waits for one
// until t's context ends. inOneGo says that the request is sent so (conn.quiet).
// The caller calls finish on it, once.
func (p *pool) acquire(t patience, r *Room, inOneGo bool) (*conn, error) {
	for {
		if c := p.reserveShared(); c != nil {
			return c, nil
		}
		w, c, err := p.take(r)
		if w != nil {
			c, err = p.await(t.Context(), w, r)
		}
		if err != nil || c.multi != nil || c.quiet(inOneGo) {
			return c, err
		}
		c.close()
	}
}

// await waits until w is told something.
func (p *pool) await(ctx context.Context, w *waiter, r *Room) (*conn, error) {
	defer r.leave(exchange.Clock())
	for {
		select {
		case g := <-w.ready:
			if g.conn != nil || g.err != nil {
				return g.conn, g.err
			}
			if !p.requeue(w) {
				return nil, errClosed
			}
		case <-ctx.Done():
			p.abandon(w)
			return nil, context.Cause(ctx)
		}
		// Only now that w is seen by those who free a stream.
		if c := p.reserveShared(); c != nil {
			p.abandon(w)
			return c, nil
		}
		p.dialMore()
	}
}

func (p *pool) reserveShared() *conn {
	for _, c := range *p.shared.Load() {
		if c.reserve() {
			return c
		}
	}
	return nil
}

// take returns an idle connection, or a place among the waiters.
func (p *pool) take(r *Room) (*waiter, *conn, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, nil, errClosed
	}
	if last := len(p.idle) - 1; last >= 0 {
		c := p.idle[last]
		p.idle[last] = nil
		p.idle = p.idle[:last]
		return nil, c, nil
	}
	if !r.enter() {
		return nil, nil, &Error{Cause: exchange.CauseOverload, Blame: BlameHost, RetryAfter: time.Second, Err: errTooManyPending}
	}
	w := &waiter{ready: make(chan grant, 1)}
	p.waiters = append(p.waiters, w)
	p.dialAsNeeded()
	return w, nil, nil
}

// requeue puts a waiter that was told to look again back in front.
func (p *pool) requeue(w *waiter) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.waiters = slices.Insert(p.waiters, 0, w)
	return true
}

func (p *pool) dialMore() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dialAsNeeded()
}

// abandon gives up a wait, and passes on what was granted meanwhile.
func (p *pool) abandon(w *waiter) {
	p.mu.Lock()
	i := slices.Index(p.waiters, w)
	if i >= 0 {
		p.waiters = slices.Delete(p.waiters, i, i+1)
	}
	p.mu.Unlock()
	if i >= 0 {
		return
	}
	switch g := <-w.ready; {
	case g.conn != nil:
		if !p.put(g.conn) {
			g.conn.close()
		}
	case g.err == nil:
		p.streamFreed()
	}
}

// dialAsNeeded connects for the waiters that nobody connects for yet.
func (p *pool) dialAsNeeded() {
	for p.dialing < len(p.waiters) && p.open < p.limits.Max && !p.closed && (p.single || p.dialing == 0) {
		p.open++
		p.dialing++
		p.dials.Add(1)
		go p.dial()
	}
}

// dial connects. The connection goes to whoever waits longest, which may not be
// who caused it; the request that did may be over meanwhile.
func (p *pool) dial() {
	defer p.dials.Done()
	ctx, cancel := context.WithTimeout(p.ctx, p.limits.ConnectTimeout.D())
	defer cancel()
	c, err := p.connect(ctx)
	if err != nil {
		p.dialFailed(err)
		return
	}
	c.pool = p
	p.mu.Lock()
	p.dialing--
	p.single = c.multi == nil
	p.mu.Unlock()
	if c.multi != nil {
		p.share(c)
	} else if !p.put(c) {
		c.close()
	}
}

// dialFailed tells the waiter that is first, or all of them if they waited for
// that one connection.
func (p *pool) dialFailed(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dialing--
	p.open--
	told := len(p.waiters)
	if p.single {
		told = min(told, 1)
	}
	for _, w := range p.waiters[:told] {
		w.ready <- grant{err: err}
	}
	p.waiters = slices.Delete(p.waiters, 0, told)
	p.dialAsNeeded()
}

// put hands an HTTP/1.1 connection to who waits longest, or keeps it idle. It
// reports false if the connection is to be closed.
func (p *pool) put(c *conn) bool {
	now := exchange.Clock()
	p.mu.Lock()
	if p.closed || c.gone || c.used.Load() && p.tooOld(c, now) {
		p.mu.Unlock()
		return false
	}
	if len(p.waiters) > 0 {
		p.waiters[0].ready <- grant{conn: c}
		p.waiters = slices.Delete(p.waiters, 0, 1)
		p.dialAsNeeded()
		p.mu.Unlock()
		return true
	}
	c.idleSince = now
	p.idle = append(p.idle, c)
	var surplus *conn
	if len(p.idle) > p.limits.Idle {
		surplus = p.idle[0]
		p.idle = slices.Delete(p.idle, 0, 1)
	}
	p.mu.Unlock()
	if surplus != nil {
		surplus.close()
	}
	return true
}

// share lets everyone use an HTTP/2 connection.
func (p *pool) share(c *conn) {
	c.lastUsed.Store(int64(exchange.Clock()))
	c.below.conn.Store(c)
	p.mu.Lock()
	closed := p.closed
	if !closed {
		p.shared.Store(new(append(slices.Clone(*p.shared.Load()), c)))
	}
	p.mu.Unlock()
	if closed {
		c.multi.Close()
		return
	}
	select {
	case <-c.below.closed: // before it knew c
		p.drop(c)
	default:
	}
	c.multi.SetStateHook(func(*http.ClientConn) { p.streamFreed() })
	p.streamFreed()
}

// streamFreed lets those who wait look at the shared connections again.
func (p *pool) streamFreed() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.single {
		return
	}
	for _, w := range p.waiters {
		w.ready <- grant{}
	}
	p.waiters = p.waiters[:0]
}

// drop forgets a connection that is closed.
func (p *pool) drop(c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.gone {
		return
	}
	c.gone = true
	p.open--
	if i := slices.Index(p.idle, c); i >= 0 {
		p.idle = slices.Delete(p.idle, i, i+1)
	}
	p.unshareLocked(c)
	p.dialAsNeeded()
}

func (p *pool) unshareLocked(c *conn) {
	shared := *p.shared.Load()
	if i := slices.Index(shared, c); i >= 0 {
		p.shared.Store(new(slices.Delete(slices.Clone(shared), i, i+1)))
	}
}

func (p *pool) tooOld(c *conn, now time.Duration) bool {
	return p.limits.MaxAge > 0 && now-c.born > p.limits.MaxAge.D()
}

// sweep closes what was idle for too long, is too old, or was left by its
// endpoint.
func (p *pool) sweep(now time.Duration) {
	expired := func(c *conn, since time.Duration) bool {
		return now-since > p.limits.IdleTimeout.D() || p.tooOld(c, now)
	}
	var surplus, retiring []*conn
	p.closeUnquiet(now)
	p.mu.Lock()
	p.idle = slices.DeleteFunc(p.idle, func(c *conn) bool {
		if expired(c, c.idleSince) {
			surplus = append(surplus, c)
			return true
		}
		return false
	})
	for _, c := range *p.shared.Load() {
		if p.tooOld(c, now) || c.users.Load() == 0 && expired(c, time.Duration(c.lastUsed.Load())) {
			retiring = append(retiring, c)
			p.unshareLocked(c)
		}
	}
	p.mu.Unlock()
	for _, c := range surplus {
		c.close()
	}
	for _, c := range retiring {
		c.retire()
	}
	p.streamFreed()
}

// lookAfter is how long a connection is idle before it is looked at without being
// needed.
const lookAfter = time.Second

// closeUnquiet closes what was idle for a while and left by its endpoint. It looks
// without holding up requests, so that it asks again who is idle.
func (p *pool) closeUnquiet(now time.Duration) {
	type idler struct {
		*conn
		since time.Duration
	}
	var unquiet []idler
	p.mu.Lock()
	for _, c := range p.idle { // in the order in which they became so
		if now-c.idleSince < lookAfter {
			break
		}
		unquiet = append(unquiet, idler{c, c.idleSince})
	}
	p.mu.Unlock()
	unquiet = slices.DeleteFunc(unquiet, func(c idler) bool { return c.quiet(false) })
	if len(unquiet) == 0 {
		return
	}
	p.mu.Lock()
	unquiet = slices.DeleteFunc(unquiet, func(c idler) bool {
		i := slices.Index(p.idle, c.conn)
		if i < 0 || c.idleSince != c.since {
			return true
		}
		p.idle = slices.Delete(p.idle, i, i+1)
		return false
	})
	p.mu.Unlock()
	for _, c := range unquiet {
		c.close()
	}
}

// close refuses new requests, closes what is idle, and lets requests that are on
// their way end.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	idle, shared := p.idle, *p.shared.Load()
	p.idle = nil
	p.shared.Store(new([]*conn))
	for _, w := range p.waiters {
		w.ready <- grant{err: errClosed}
	}
	p.waiters = nil
	p.mu.Unlock()
	p.cancel()
	for _, c := range idle {
		c.close()
	}
	for _, c := range shared {
		c.retire()
	}
	p.dials.Wait()
}
