package proxywasm

import (
	"io"
	"strconv"

	"github.com/ergoproxy/ergo/host/exchange"
)

// message is a request or response as both are treated here.
type message struct {
	header, trailer *exchange.Header
	body            *io.ReadCloser
	length          *int64
}

func (s *stream) message(way int) message {
	if way == request {
		r := &s.x.Request
		return message{&r.Header, &r.Trailer, &r.Body, &r.Length}
	}
	r := &s.x.Response
	return message{&r.Header, &r.Trailer, &r.Body, &r.Length}
}

// onRequest takes the stream through the request's head. It reports whether the
// guest has answered. What it sends later is for onResponse.
func (s *stream) onRequest() (answered bool, err error) {
	if err := s.enter(); err != nil {
		return false, err
	}
	defer s.vm.release()
	err = s.through(request, onRequestHeaders, s.x.Request.Body == nil)
	if err != nil || s.local == nil {
		return false, err
	}
	s.answer()
	return true, nil
}

// onResponse takes the stream through the response's head. It reports whether the
// response is the guest's own now.
func (s *stream) onResponse() (answered bool, err error) {
	if err := s.enter(); err != nil {
		return false, err
	}
	defer s.vm.release()
	s.rejoin()
	if !s.answered() && !s.fleet.oneway { // else: while the request's body was on its way
		r := &s.x.Response
		err = s.through(response, onResponseHeaders, r.Body == nil && r.Tunnel == nil)
	} else {
		err = s.closure()
	}
	if err != nil || s.local == nil {
		return false, err
	}
	s.answer()
	return true, nil
}

// through takes a message past the guest: its head, and as much of its body as
// belongs to that.
func (s *stream) through(way int, cb callback, ends bool) error {
	m := s.message(way)
	size := *m.length
	if way == response && size > 0 && s.shows(way, m) && !m.header.Has("content-length") {
		// What another policy answered has a length that no field tells. Who changes
		// the body removes that field, so it has to be there.
		m.header.Add("content-length", strconv.FormatInt(size, 10))
	}
	before, told := m.header.Get("content-length")
	next, err := s.head(way, cb, ends)
	if err == nil && way == request && s.shows(way, m) {
		s.setAside()
	}
	switch {
	case err != nil || s.answered():
	case next == actionContinue:
	case s.holdsHead(next) && s.shows(way, m):
		err = s.gather(way, m, size)
	default:
		err = s.await(way, atHead)
	}
	s.x.Lap()
	if err == nil {
		err = s.closure()
	}
	if err != nil || s.local != nil {
		return err
	}
	after, tells := m.header.Get("content-length")
	changed := tells != told || after != before
	if !s.shows(way, m) {
		switch {
		case changed && !tells && s.isOfAbsent(way): // that would be changed where it is sent
			*m.length = exchange.UnknownLength
		case changed: // of what the guest can't change, it can't tell the length
			setField(m.header, "content-length", before, told)
		}
		return nil
	}
	if changed {
		*m.length = lengthOf(after, tells)
	}
	b := &s.ways[way].body
	b.begin(s, way, m, size)
	b.follow(m)
	return nil
}

// setField makes a field what Get told of it.
func setField(h *exchange.Header, name, value string, there bool) {
	if there {
		h.Set(name, value)
	} else {
		h.Del(name)
	}
}

// head calls the callback of a head.
func (s *stream) head(way int, cb callback, ends bool) (next action, err error) {
	d := &s.ways[way]
	d.resumed, d.ended = false, ends
	err = s.touch(way, atHead, func() error {
		if err := s.create(); err != nil {
			return err
		}
		m := s.headOf(way)
		result, err := s.vm.invoke(cb, uint64(s.id), uint64(m.len()), flag(ends))
		next = action(result)
		return err
	})
	return next, err
}

func flag(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

// holdsHead reports whether a guest that stops at a head wants to see the body
// before the head goes on. 1 is StopIteration; what Envoy has beside it stops
// everything.
func (s *stream) holdsHead(a action) bool {
	return a == actionPause && s.fleet.settings.Pause == "headers"
}

// shows reports whether a message has a body that the guest is to see.
func (s *stream) shows(way int, m message) bool {
	return *m.body != nil && s.fleet.bodies[way].shown
}

// isOfAbsent reports whether a message is the head of a body that is not sent with it.
func (s *stream) isOfAbsent(way int) bool {
	return way == response && s.x.Response.Body == nil && (s.x.Request.Method == "HEAD" || s.x.Response.Status == 304)
}

// gather shows the guest the body while its head is held, until the guest lets both
// go on. The vm is held, but not while the body is awaited.
func (s *stream) gather(way int, m message, size int64) error {
	b := &s.ways[way].body
	b.begin(s, way, m, size)
	b.whole = true
	for !b.let {
		if err := b.step(atHead); err != nil || s.answered() {
			return err
		}
	}
	return nil
}

// closure is what becomes of an exchange whose stream the guest has closed, or lacked
// something for.
func (s *stream) closure() error {
	if s.lacked != nil || !s.closed {
		return s.lacked
	}
	return &exchange.Failure{Cause: exchange.CausePolicy, Status: 502, Policy: s.fleet.name, Err: errClosedStream}
}

// lengthOf is the length that a Content-Length tells which a guest has changed, or
// removed because it changes the body.
func lengthOf(text string, told bool) int64 {
	if n, err := strconv.ParseUint(text, 10, 63); told && err == nil {
		return int64(n)
	}
	return exchange.UnknownLength
}
