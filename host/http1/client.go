package http1

import (
	"errors"
	"io"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/http1/message"
	"github.com/ergoproxy/ergo/host/http1/socket"
)

// Client is what trips to servers have in common. It is not changed while there
// are any, and safe for concurrent use.
type Client struct {
	Buffers      *socket.Buffers // of 1 KiB or more
	Limits       message.Limits  // of a response's head
	MaxInforms   int             // informational responses before the final one
	ContinueWait time.Duration   // for 100 before a body is sent without it
}

// Informer is told of the informational responses other than 100 and 101. The
// header is valid during the call.
type Informer interface {
	Inform(status int, h *exchange.Header) error
}

// Errors of a Trip that are neither an *Error nor the connection's own.
var (
	ErrTooManyInforms = errors.New("too many informational responses")
	ErrSwitched       = errors.New("switched to another protocol than asked")
	ErrBodyLength     = errors.New("request body is not as long as its head says")
	ErrClosedBody     = errors.New("read of a closed body")
)

// Trip is one request and its response on a connection to a server. Do sends the
// one and reads the head of the other; then Trip is the response's body, or Tunnel
// if the protocol was switched. All text of the response is valid until Release.
//
// Usually one goroutine does it all. Only a request's body that has to be waited
// for is sent by a second one, so that a response that comes early is noticed.
type Trip struct {
	// What is sent, and how. Set it before Do.
	Client *Client
	Conn   *socket.Conn   // with nothing to be read; belongs to the trip until it is over
	Life   *exchange.Life // its end interrupts the connection
	Until  time.Duration  // when the response's head must be there, on exchange.Clock; 0: no bound
	// Request needs a Header. Its Trailer has the names to announce; what is sent of
	// trailers is in Trailers once Body has ended, if the body is chunked.
	Request  message.RequestHead
	Body     io.Reader // of the request; nil: Whole is all there is
	Whole    []byte
	Trailers *exchange.Header
	Informer Informer // may be nil

	// Response is what Do received. Header and Trailer are the user's.
	Response message.ResponseHead
	// Silence bounds how long nothing may come of the response's body; 0: no bound.
	// It may be set after Do.
	Silence time.Duration

	held     bool // by Life
	over     bool
	wrote    bool // something was sent
	heard    bool // something was received
	tried    bool // to send
	broken   bool // sending failed on the way
	sent     bool // the request was, to its end
	answered bool // the final head is there
	surplus  bool // bytes came that belong to no response

	by      time.Duration // what the connection was told of when reads are to fail
	pump    *pump         // sends the request's body
	parser  message.ResponseParser
	informs int

	out        []byte // from Client.Buffers: the request's head, until it is sent
	buf        []byte // from Client.Buffers, or larger: the head, and what came with it
	more       []byte // from Client.Buffers: for the body, if the head left too little room
	mem        []byte // of one of them: where bytes are received now
	start, end int    // of mem: what was received and not consumed

	left    int64 // of a body with a length
	decoder message.ChunkDecoder
	data    []byte // of mem: what the decoder has found and nobody read
	starved bool   // the decoder needs more than there is
	lent    int    // bytes of mem that SpliceSource has lent
	bodyErr error  // how the body ended
}

// Do sends the request and waits for the head of the response. With an error the
// trip is over. It is Body's, if that broke; os.ErrDeadlineExceeded is of Until, of
// Life's deadline, or of an interruption: who wants to know looks. A response
// without a body, and a connection that switched protocols, leave nothing to be
// read.
func (t *Trip) Do() error {
	if cause := t.Life.Hold(t.Conn); cause != nil {
		t.over = true
		return cause
	}
	t.held = true
	now := exchange.Clock()
	t.by = earlier(t.Until, t.Life.Until())
	t.Conn.ReadBy(t.by, now)
	err := t.send(now)
	if err == nil || t.broken {
		// A server that does not want the rest of a request may say why.
		if e := t.receive(); err == nil || t.heard {
			err = e
		}
	}
	if err != nil {
		t.finish(false)
		if t.pump != nil {
			err = t.pump.failed(err)
		}
	}
	return err
}

// earlier returns the earlier one of two deadlines, of which 0 is none.
func earlier(a, b time.Duration) time.Duration {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// Wrote reports whether any byte of the request was sent.
func (t *Trip) Wrote() bool { return t.wrote }

// Heard reports whether any byte of a response was received.
func (t *Trip) Heard() bool { return t.heard }

// Untouched reports whether the connection is as it was before: the trip ended
// before it used it.
func (t *Trip) Untouched() bool {
	return t.over && !t.tried && !t.Conn.Interrupted()
}

// Pumped reports whether the request's body was sent by a goroutine of its own,
// which may outlive the trip.
func (t *Trip) Pumped() bool { return t.pump != nil }

// Over reports whether the trip has ended: the connection is its user's again.
func (t *Trip) Over() bool { return t.over }

// Reusable reports whether the connection may carry another trip, once this one
// is over: all was sent, all was read, nothing more came, and neither side wants
// to close.
func (t *Trip) Reusable() bool {
	return t.over && t.sent && t.bodyErr == io.EOF && !t.surplus && !t.Response.Close && !t.Conn.Interrupted()
}

// finish ends the trip. whole says that the response was read to its end.
func (t *Trip) finish(whole bool) {
	if t.over {
		return
	}
	t.over = true
	if t.bodyErr == nil {
		t.bodyErr = ErrClosedBody
	}
	if t.pump != nil {
		t.sent = t.pump.stop(whole)
	}
	if t.held {
		t.Life.Release(t.Conn)
	}
}

// Release gives the memory back that the response is a view of, and empties t.
// Of a trip that is not over the connection is lost.
func (t *Trip) Release() {
	if t.Client == nil {
		return
	}
	if !t.over {
		t.finish(false)
		t.Conn.Close()
	}
	t.Client.Buffers.Give(t.buf)
	t.Client.Buffers.Give(t.more)
	decoder := t.decoder
	decoder.Reset(nil)
	*t = Trip{decoder: decoder}
}
