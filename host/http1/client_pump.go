package http1

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/ergoproxy/ergo/host/http1/socket"
)

// pump sends a request's body while somebody else waits for the response. It may
// outlive the trip: stuck in a read of the body, of which nothing is used then.
type pump struct {
	conn    *socket.Conn
	buffers *socket.Buffers
	feed    feed
	done    chan struct{}
	reading atomic.Bool // the body is waited for

	mu       sync.Mutex
	detached bool // by the trip: nothing of the exchange may be looked at any more
	ending   bool // nothing is left to be read
	sent     bool
	err      error // why the request will never be complete
}

// lastWords is how long a response that is complete waits for the last bytes of
// its request to be sent, so that the connection can be kept.
const lastWords = 50 * time.Millisecond

func startPump(c *socket.Conn, buffers *socket.Buffers, f feed) *pump {
	p := &pump{conn: c, buffers: buffers, feed: f, done: make(chan struct{})}
	go p.run()
	return p
}

// stop ends the pump's work for the trip. It reports whether all was sent. whole
// says that the response is complete, so that it is worth a moment's wait.
func (p *pump) stop(whole bool) (sent bool) {
	p.mu.Lock()
	p.detached = true
	wait := whole && p.ending && !p.sent
	sent = p.sent
	p.mu.Unlock()
	if !wait {
		return sent
	}
	timer := time.NewTimer(lastWords)
	defer timer.Stop()
	select {
	case <-p.done:
	case <-timer.C:
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sent
}

// waits reports whether it is the body that keeps the request from its end.
func (p *pump) waits() bool { return p.reading.Load() }

func (p *pump) run() {
	defer close(p.done)
	buffer := p.buffers.Take()
	defer p.buffers.Give(buffer)
	for {
		message, err := p.next(buffer[:0])
		if err != nil {
			// The request will never be complete: the server must not take what it
			// has for all there is, and nobody should wait for its answer.
			p.interrupt(err)
			return
		}
		// The other one finds out why, if this fails.
		if _, err := p.conn.Write(message); err != nil {
			return
		}
		if p.feed.ended {
			if err := p.feed.surplus(buffer); err != nil {
				p.interrupt(err)
				return
			}
			p.mu.Lock()
			p.sent = true
			p.mu.Unlock()
			return
		}
	}
}

// next reads the next part of the body, with what ends it if that is next.
func (p *pump) next(dst []byte) ([]byte, error) {
	p.reading.Store(true)
	message, err := p.feed.read(dst)
	p.reading.Store(false)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.detached {
		return nil, ErrClosedBody
	}
	if p.feed.eof {
		if message, err = p.feed.end(message); err != nil {
			return nil, err
		}
	}
	p.ending = p.feed.ended
	return message, nil
}

// interrupt makes whoever waits for the response give up, for a reason.
func (p *pump) interrupt(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.detached {
		p.err = err
		p.conn.Interrupt()
	}
}

// failed returns why the request will never be complete, err if it may.
func (p *pump) failed(err error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return p.err
	}
	return err
}
