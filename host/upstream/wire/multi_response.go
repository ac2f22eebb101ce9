package wire

import (
	"io"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
)

// responseBody is a body over HTTP/2. It gives its connection back when the body was read to its end, and
// closes it if it was not.
type responseBody struct {
	resp *http.Response
	conn *conn
	x    *exchange.Exchange
	err  error // how it ended; nil before

	silence time.Duration // the longest there may be; 0: any
	timer   *time.Timer   // of silence
	silent  atomic.Bool   // it has passed
}

// bound ends the try when nothing has come for t.Silence while somebody reads,
// unless it is the client that is waited for.
func (b *responseBody) bound(t *Try) {
	if b.silence = t.Silence; b.silence == 0 {
		return
	}
	cancel, replay := t.cancel, t.Replay
	b.timer = time.AfterFunc(b.silence, func() {
		if replay != nil && replay.waiting.Load() {
			b.timer.Reset(b.silence)
			return
		}
		b.silent.Store(true)
		cancel(os.ErrDeadlineExceeded)
	})
	b.timer.Stop()
}

// Read follows io.Reader. With io.EOF the exchange's trailers are complete.
func (b *responseBody) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err // whoever kept what was read reads on to the end again
	}
	if b.timer != nil {
		b.timer.Reset(b.silence)
		defer b.timer.Stop()
	}
	n, err := b.resp.Body.Read(p)
	if err == nil {
		return n, nil
	}
	if b.silent.Load() {
		err = os.ErrDeadlineExceeded
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
