package proxywasm

import (
	"cmp"
	"errors"
	"fmt"
	"io"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/policy"
)

// body is a message's body on its way past a guest. Who reads it may be another
// goroutine than the exchange's.
//
// The guest sees a piece at a time. One that pauses is shown the same piece grown
// by the next, until it lets all of it go on, or the bound of what is held is
// reached.
type body struct {
	stream  *stream
	way     int
	from    io.ReadCloser
	trailer *exchange.Header

	piece  []byte // what the guest was not asked about yet, or holds
	ready  []byte // what it let go on
	passed []byte // that, from its first byte on: memory for what comes
	holds  bool   // it holds the piece
	let    bool   // it let the latest piece go on
	whole  bool   // the head waits for the body
	ended  bool   // from has
	unread int64  // of from; UnknownLength
	owed   int64  // what the message's length still asks for; UnknownLength: anything
	err    error  // why nothing comes any more
}

// pieceBytes is the most that is read at once.
const pieceBytes = 16 << 10

// errAnswered ends a request's body whose exchange the guest has answered.
var errAnswered = errors.New("the policy has answered")

// begin takes up a message's body, of size bytes.
func (b *body) begin(s *stream, way int, m message, size int64) {
	if b.stream == nil {
		*b = body{stream: s, way: way, from: *m.body, trailer: m.trailer, unread: size}
	}
}

// follow has the body stand in for the message's, whose head goes on with what was
// gathered of it.
func (b *body) follow(m message) {
	if b.whole && b.ended && (m.trailer.Len() == 0 || m.header.Has("content-length")) { // else trailers need chunks
		setLength(m, int64(len(b.ready)))
	}
	b.whole, b.owed = false, *m.length
	b.err = b.account()
	*m.body = b
}

// setLength makes n the length of a message whose body is in memory as a whole.
func setLength(m message, n int64) {
	*m.length = n
	if m.header.Has("content-length") {
		m.header.Set("content-length", fmt.Sprint(n))
	}
}

// Read follows io.Reader.
func (b *body) Read(p []byte) (int, error) {
	for len(b.ready) == 0 {
		if b.err == nil {
			b.err = b.next()
		}
		if b.err != nil && len(b.ready) == 0 {
			return 0, b.err
		}
	}
	n := copy(p, b.ready)
	b.ready = b.ready[n:]
	return n, nil
}

// Close follows io.Closer.
func (b *body) Close() error { return b.from.Close() }

// next brings the body one step on. io.EOF says that all of it has gone past.
func (b *body) next() error {
	if b.ended && b.let {
		return b.settle()
	}
	s := b.stream
	if err := s.enter(); err != nil {
		return b.broken(err)
	}
	err := b.step(atBody)
	if err == nil && s.answered() {
		err = cmp.Or(s.lacked, errAnswered)
	}
	s.vm.release()
	if err != nil {
		return b.broken(err)
	}
	return b.account()
}

// broken is the error by which a message ends that broke here.
func (b *body) broken(err error) error {
	var (
		sender *exchange.BodyError
		fault  *policy.Error
	)
	if errors.As(err, &sender) || errors.Is(err, exchange.ErrBodyTooLarge) {
		return err
	}
	if errors.As(err, &fault) {
		b.stream.fault.Store(fault)
	}
	return &exchange.BodyError{Response: b.way == response, Err: err}
}

// account keeps a message to the length that it was announced with.
func (b *body) account() error {
	if b.owed == exchange.UnknownLength {
		return nil
	}
	if b.owed -= int64(len(b.ready)); b.owed < 0 {
		b.ready = nil
		return b.broken(b.misfit())
	}
	return nil
}

// settle is the end of the body.
func (b *body) settle() error {
	if b.owed > 0 {
		return b.broken(b.misfit())
	}
	return io.EOF
}

// misfit says that a guest changed a body's size after its length was told.
func (b *body) misfit() error {
	return &policy.Error{Kind: policy.Trap, Policy: b.stream.fleet.name,
		Err: errors.New("it changed the size of a body whose content-length is sent: remove that field with the head")}
}

// step reads a piece and has the guest say what becomes of it. The vm is held, but
// not while the piece is awaited.
func (b *body) step(at place) error {
	s := b.stream
	if s.over {
		return errOver
	}
	b.let = false
	if s.ways[b.way].resumed && b.holds { // meanwhile
		b.pass()
		return nil
	}
	v := s.vm
	v.release()
	err := b.read()
	v.held <- struct{}{}
	switch {
	case v.isDead():
		return s.fleet.failure(v.describe())
	case s.over:
		return errOver
	case err != nil:
		return err
	case b.holds && int64(len(b.piece)) > s.mostHeld(b.way):
		return exchange.ErrBodyTooLarge
	case s.answered():
		return nil
	}
	return b.show(at)
}

// read appends the next piece to what the guest holds.
func (b *body) read() error {
	if b.whole && b.way == request {
		defer b.stream.x.ReadWithin()()
	}
	if b.piece == nil && len(b.ready) == 0 && cap(b.passed) <= 4*pieceBytes {
		b.piece = b.passed[:0]
	}
	b.passed = nil
	at := len(b.piece)
	b.piece = append(b.piece, make([]byte, pieceBytes)...)
	n, err := b.from.Read(b.piece[at:])
	if b.unread != exchange.UnknownLength {
		b.unread -= int64(n)
		if b.unread == 0 && err == nil {
			err = b.readEnd()
		}
	}
	b.piece = b.piece[:at+n]
	switch {
	case err == io.EOF && b.unread > 0:
		return io.ErrUnexpectedEOF
	case err == io.EOF:
		b.ended = true
	case err != nil:
		return err
	}
	return nil
}

// mostHeld bounds what is held of a body: the guest may ask for another bound,
// within what the manifest allows.
func (s *stream) mostHeld(way int) int64 {
	rule := &s.fleet.bodies[way]
	if asked := s.ways[way].asked; asked > 0 {
		return min(asked, rule.most)
	}
	return rule.max
}

// readEnd looks for the end behind the last byte of a body whose length is known,
// so that the guest is told with that byte.
func (b *body) readEnd() error {
	var beyond [1]byte
	for {
		if n, err := b.from.Read(beyond[:]); n > 0 || err != nil {
			return err
		}
	}
}

// show asks the guest about the piece at hand and, at the end, about the trailers.
func (b *body) show(at place) error {
	s, d := b.stream, &b.stream.ways[b.way]
	if len(b.piece) == 0 && !b.ended {
		return nil
	}
	d.piece = &b.piece
	defer func() { d.piece = nil }()
	trails := b.ended && b.trailer.Len() > 0
	d.resumed, d.ended = false, b.ended
	next, err := b.ask(at, bodyCallbacks[b.way], len(b.piece), flag(b.ended && !trails))
	if err == nil && trails && !s.answered() {
		next, err = b.ask(at, trailerCallbacks[b.way], b.trailer.Len(), 0)
	}
	if err != nil || s.answered() {
		return err
	}
	if next == actionContinue {
		b.pass()
		return nil
	}
	b.holds = true
	if next == actionStopDrop {
		b.piece = b.piece[:0]
	}
	if !b.ended && !d.resumed {
		return nil
	}
	if err := s.await(b.way, at); err != nil || s.answered() {
		return err
	}
	b.pass()
	return nil
}

var (
	bodyCallbacks    = [2]callback{onRequestBody, onResponseBody}
	trailerCallbacks = [2]callback{onRequestTrailers, onResponseTrailers}
)

// ask calls a callback of the body. That of trailers has no third parameter.
func (b *body) ask(at place, cb callback, size int, end uint64) (next action, err error) {
	s := b.stream
	err = s.touch(b.way, at, func() error {
		result, err := s.vm.invoke(cb, uint64(s.id), uint64(size), end)
		next = action(result)
		return err
	})
	return next, err
}

// pass lets go on what the guest saw.
func (b *body) pass() {
	b.ready, b.passed, b.piece = b.piece, b.piece, nil
	b.holds, b.let = false, true
}
