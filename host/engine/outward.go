package engine

import (
	"errors"
	"io"
	"sync"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/outbound"
)

var _ outbound.Upstreams = (*Engine)(nil)

// Why a policy's call reaches no upstream.
var (
	errNotRunning = errors.New("no generation runs")
	errUnknown    = errors.New("the running generation has no upstream of the name")
	errNotHere    = errors.New("the upstream is not opened by this process, which runs one tier alone")
)

// Forward follows outbound.Upstreams. The generation that runs now is pinned until
// the response's body has ended: a policy that is carried over from generation to
// generation always calls the upstreams of the newest. It passes no policies.
//
// A policy that calls while the generation is built that it is for waits until that
// runs.
func (e *Engine) Forward(x *exchange.Exchange, name string) *exchange.Failure {
	changing := e.changing.Load()
	f := e.forwardNow(x, name)
	if f == nil || changing == nil || !errors.Is(f, errNotRunning) && !errors.Is(f, errUnknown) {
		return f
	}
	select {
	case <-*changing:
		return e.forwardNow(x, name)
	case <-x.Life().Done():
		return f
	}
}

func (e *Engine) forwardNow(x *exchange.Exchange, name string) *exchange.Failure {
	r := &ride{x: x, life: x.Life(), seat: e.seats.Add(1)}
	if !e.pinIfRunning(r) {
		return &exchange.Failure{Cause: exchange.CauseNoEndpoint, Status: 503, Err: errNotRunning}
	}
	x.Generation = r.g.id
	if !r.g.upstreams.HasUpstream(name) {
		defer r.leave()
		err := errUnknown
		if r.g.HasUpstream(name) {
			err = errNotHere
		}
		return &exchange.Failure{Cause: exchange.CauseNoRoute, Status: 404, Err: err}
	}
	removeLinkFields(&x.Request.Header) // no guest speaks for an edge host
	if f := r.forward(name); f != nil {
		r.leave()
		return f
	}
	if x.Response.Body == nil {
		r.leave()
	} else {
		x.Response.Body = &outwardBody{ReadCloser: x.Response.Body, ride: r}
	}
	return nil
}

// pinIfRunning is pin for who may come before the first generation and after the
// last. It reports false if there is none.
func (e *Engine) pinIfRunning(r *ride) bool {
	if e.current.Load() == nil {
		return false
	}
	e.pin(r)
	if r.g.retired.Load() { // and perhaps found empty before r got in
		r.leave()
		return false
	}
	return true
}

// outwardBody keeps the generation of a policy's call for as long as its answer
// is read.
type outwardBody struct {
	io.ReadCloser
	ride *ride
	once sync.Once
}

// Read follows io.Reader.
func (b *outwardBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.once.Do(b.ride.leave)
	}
	return n, err
}

// Close follows io.Closer.
func (b *outwardBody) Close() error {
	err := b.ReadCloser.Close()
	b.once.Do(b.ride.leave)
	return err
}
