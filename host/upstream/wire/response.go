package wire

import (
	"io"
	"net/http"

	"github.com/ergoproxy/ergo/host/exchange"
)

// responseBody gives its connection back when the body was read to its end, and
// closes it if it was not.
type responseBody struct {
	resp *http.Response
	conn *conn
	x    *exchange.Exchange
	err  error // how it ended; nil before
}

// Read follows io.Reader. With io.EOF the exchange's trailers are complete.
func (b *responseBody) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err // whoever kept what was read reads on to the end again
	}
	n, err := b.resp.Body.Read(p)
	if err == nil {
		return n, nil
	}
	if err == io.EOF {
		if bad := trailerFromHTTP(&b.x.Response.Trailer, b.resp.Trailer); bad != nil {
			err = bad
		}
	}
	b.err = err
	b.resp.Body.Close()
	b.conn.finish(err == io.EOF)
	return n, err
}

// Close follows io.Closer.
func (b *responseBody) Close() error {
	if b.err != nil {
		return nil
	}
	b.err = http.ErrBodyReadAfterClose
	err := b.resp.Body.Close()
	b.conn.finish(false)
	return err
}

// tunnel is a connection that switched protocols.
type tunnel struct {
	io.ReadWriteCloser
	conn *conn
}

// CloseWrite tells the endpoint that no more will come.
func (t *tunnel) CloseWrite() error {
	if half, ok := t.ReadWriteCloser.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return t.Close()
}

// Close ends both directions.
func (t *tunnel) Close() error {
	err := t.ReadWriteCloser.Close()
	t.conn.sock.Close()
	return err
}
