package capability

import (
	"io"

	"github.com/ergoproxy/ergo/host/cache"
	"github.com/ergoproxy/ergo/host/cache/flight"
	"github.com/ergoproxy/ergo/host/exchange"
)

// capture is a response's body that is stored as it passes. It can be looked up once it
// is whole: of a body whose length is known, before whoever reads it has its last byte,
// so that nobody who has got it all looks it up in vain.
type capture struct {
	body    io.ReadCloser
	left    int64            // of the body; exchange.UnknownLength if nobody knows
	writer  *cache.Writer    // nil: it is over, or it took no more
	trailer *exchange.Header // complete at the body's end
	flight  *flight.Flight   // that waits for it; nil: none
}

// Read follows io.Reader.
func (c *capture) Read(p []byte) (int, error) {
	n, err := c.body.Read(p)
	if c.writer != nil && n > 0 {
		if _, refused := c.writer.Write(p[:n]); refused != nil {
			c.commit() // which fails as well
		}
	}
	c.count(int64(n))
	switch {
	case err == io.EOF && c.left <= 0:
		c.commit()
	case err != nil:
		c.breakOff()
	}
	return n, err
}

// count counts what was read. A body that is longer than it said has no end to believe.
func (c *capture) count(n int64) {
	if c.left == exchange.UnknownLength {
		return
	}
	c.left -= n
	switch {
	case c.left < 0:
		c.left = 0
		c.breakOff()
	case c.left == 0 && c.trailer.Len() == 0:
		c.commit()
	}
}

// Ready follows http1.Ready.
func (c *capture) Ready() bool {
	r, tells := c.body.(interface{ Ready() bool })
	return tells && r.Ready()
}

// Close follows io.Closer. A body of which the end was not seen is not stored.
func (c *capture) Close() error {
	c.breakOff()
	return c.body.Close()
}

// breakOff drops a response that does not come to its end: who waits for it fetches it.
func (c *capture) breakOff() {
	if c.writer != nil {
		c.writer.Abort()
		c.end((*flight.Flight).HandOver)
	}
}

// commit stores the response, if it can be: else those that wait need not wait again.
func (c *capture) commit() {
	if c.writer != nil {
		err := c.writer.Commit(c.trailer.Fields()...)
		c.end(func(f *flight.Flight) { f.End(err != nil) })
	}
}

func (c *capture) end(by func(*flight.Flight)) {
	c.writer = nil
	if c.flight != nil {
		by(c.flight)
		c.flight = nil
	}
}
