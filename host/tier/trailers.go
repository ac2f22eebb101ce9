package tier

import (
	"errors"
	"io"

	"github.com/ergoproxy/ergo/host/exchange"
)

// watchTrailers has the Trailers phases run when the response's body ends, if a
// policy has one and there is a body.
func (w *Walk) watchTrailers(x *exchange.Exchange) {
	if x.Response.Body == nil {
		return
	}
	for i := range w.passed {
		if w.passed[i].trails {
			w.trailers = trailerBody{w: w, x: x, body: x.Response.Body}
			x.Response.Body = &w.trailers
			return
		}
	}
}

// trailerBody is a response's body at whose end the Trailers phases run, before
// anyone sees io.EOF. It is read by the goroutine that carries the exchange.
type trailerBody struct {
	w    *Walk
	x    *exchange.Exchange
	body io.ReadCloser
	err  error // after the end
}

// Read follows io.Reader.
func (b *trailerBody) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.body.Read(p)
	if err == nil {
		return n, nil
	}
	if errors.Is(err, io.EOF) {
		if f := b.w.meetTrailers(b.x); f != nil {
			err = f
		}
	}
	b.err = err
	return n, err
}

// Close closes the body.
func (b *trailerBody) Close() error {
	if b.body == nil {
		return nil
	}
	return b.body.Close()
}

// end lets go of the exchange: a body that is used after Done is closed.
func (b *trailerBody) end() {
	if b.w != nil {
		*b = trailerBody{err: io.ErrClosedPipe}
	}
}

// meetTrailers runs the Trailers phases, last to first. A failure means that the
// response must be broken off, because its head is out and nothing else can be
// said; a policy that may be skipped leaves the trailers as they were.
func (w *Walk) meetTrailers(x *exchange.Exchange) *exchange.Failure {
	x.Lap() // the body has come
	for i := len(w.passed) - 1; i >= 0; i-- {
		p := &w.passed[i]
		if !p.trails {
			continue
		}
		w.response.used = true
		w.response.header.CopyFrom(&x.Response.Trailer)
		err := p.use.trailers.OnTrailers(p.inst, x)
		w.lap(p)
		if err == nil {
			continue
		}
		if j := w.blame(p.use, p, err); j.failure != nil {
			return j.failure
		}
		x.Response.Trailer.CopyFrom(&w.response.header)
	}
	return nil
}
