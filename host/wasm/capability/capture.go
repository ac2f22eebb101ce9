package capability

import (
	"io"

	"github.com/ergoproxy/ergo/host/cache"
	"github.com/ergoproxy/ergo/host/exchange"
)

// capture is a response's body that is stored as it passes.
type capture struct {
	body    io.ReadCloser
	writer  *cache.Writer    // nil: it is over, or it took no more
	trailer *exchange.Header // complete at the body's end
	flight  *cache.Flight    // that waits for it; nil: none
}

// Read follows io.Reader.
func (c *capture) Read(p []byte) (int, error) {
	n, err := c.body.Read(p)
	if c.writer != nil && n > 0 {
		if _, refused := c.writer.Write(p[:n]); refused != nil {
			c.commit() // which fails as well
		}
	}
	switch {
	case err == io.EOF:
		c.commit()
	case err != nil:
		c.breakOff()
	}
	return n, err
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
		c.end(false)
	}
}

// commit stores the response, if it can be: else those that wait need not wait again.
func (c *capture) commit() {
	if c.writer != nil {
		err := c.writer.Commit(c.trailer.Fields()...)
		c.end(err != nil)
	}
}

func (c *capture) end(alone bool) {
	c.writer = nil
	if c.flight != nil {
		c.flight.End(alone)
		c.flight = nil
	}
}
