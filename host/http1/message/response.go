package message

import "github.com/ergoproxy/ergo/host/exchange"

// ResponseHead is the head of a response: what ResponseParser reads and what
// AppendResponseHead writes. Its text lives as long as the buffer it was read from.
type ResponseHead struct {
	Version exchange.Version
	Status  int    // 100 to 599
	Reason  string // not written: it has no meaning (RFC 9112, 4)
	// Header and Trailer are as in RequestHead. A Content-Length in Header is what
	// the response tells, whether it has a body or not.
	Header  *exchange.Header
	Trailer *exchange.Header
	// Framing of a response without a body (to HEAD, 1xx, 204, 304) has the length
	// that is told, UnknownLength if none is.
	Framing Framing
	NoBody  bool // see HasBody
	Close   bool // the connection ends after this response
	// Upgrade is the protocol that a 101 switches to.
	Upgrade string
}

// HasBody reports whether any bytes of a body may follow the head.
func (r *ResponseHead) HasBody() bool { return !r.NoBody && r.Framing.HasBody() }

// ResponseParser parses the head of a response as its bytes come. The zero value
// is ready for the first one. It is not safe for concurrent use.
type ResponseParser struct {
	fields    section
	reasonEnd int // 0 before it was seen
	version   exchange.Version
	status    int // 0 before the line was complete
}

// Reset makes the parser ready for the next response.
func (p *ResponseParser) Reset() { *p = ResponseParser{} }

// Parse is for responses what RequestParser.Parse is for requests. The method is
// that of the request.
func (p *ResponseParser) Parse(buf []byte, l *Limits, method string, r *ResponseHead) (size int, err error) {
	within, full := l.cut(buf)
	size, bad := p.parse(within, l, method, r)
	switch {
	case bad != nil:
		return 0, bad
	case size == 0 && full:
		return 0, ErrTooLarge
	}
	return size, nil
}

func (p *ResponseParser) parse(buf []byte, l *Limits, method string, r *ResponseHead) (size int, err *Error) {
	if p.status == 0 {
		if ok, err := p.line(buf); !ok {
			return 0, err
		}
		r.Header.Reset()
	}
	size, err = p.fields.parse(buf, l, r.Header)
	if size == 0 || err != nil {
		return 0, err
	}
	return size, p.finish(buf, method, r)
}

// statusEnd is where the status ends in a status line.
const statusEnd = len("HTTP/1.1 200")

// line parses the status line (RFC 9112, 4) and reports whether it was there.
// Many servers leave out the space before an empty reason.
func (p *ResponseParser) line(buf []byte) (ok bool, err *Error) {
	s := &p.fields
	if s.pos == 0 {
		if ok, err := p.start(buf); !ok {
			return false, err
		}
		s.pos = statusEnd
	}
	i := skipText(buf, s.pos)
	s.pos = i
	if i == len(buf) {
		return false, nil
	}
	if i > statusEnd && buf[statusEnd] != ' ' {
		return false, ErrStatusLine
	}
	if buf[i] != '\r' {
		return false, lineError(buf[i], ErrStatusLine)
	}
	if i+1 == len(buf) {
		return false, nil
	}
	if buf[i+1] != '\n' {
		return false, ErrBareCR
	}
	p.reasonEnd = i
	p.status = int(buf[9]-'0')*100 + int(buf[10]-'0')*10 + int(buf[11]-'0')
	if p.status < 100 || p.status > 599 {
		return false, ErrStatus
	}
	s.begin(i + 2)
	return true, nil
}

// start looks at what has a fixed size: version and status.
func (p *ResponseParser) start(buf []byte) (ok bool, err *Error) {
	version, err := parseVersion(buf)
	if err != nil {
		return false, err
	}
	for i := versionSize; i < statusEnd && i < len(buf); i++ {
		if c := buf[i]; i == versionSize && c != ' ' || i > versionSize && (c < '0' || c > '9') {
			return false, lineError(c, ErrStatusLine)
		}
	}
	p.version = version
	return len(buf) >= statusEnd, nil
}

// finish fills r from a head that is complete.
func (p *ResponseParser) finish(buf []byte, method string, r *ResponseHead) *Error {
	s := &p.fields
	r.Version, r.Status, r.Reason = p.version, p.status, ""
	if p.reasonEnd > statusEnd {
		r.Reason = view(buf[statusEnd+1 : p.reasonEnd])
	}
	if err := p.frame(method, r); err != nil {
		return err
	}
	r.Close = s.close || r.Framing.UntilClose || p.version == exchange.HTTP10 && !s.keepAlive
	r.Upgrade = ""
	if p.status == 101 {
		r.Upgrade = s.protocol(r.Header)
	}
	s.finish(r.Header, r.Trailer)
	return nil
}

// frame decides how the body ends (RFC 9112, 6.3).
func (p *ResponseParser) frame(method string, r *ResponseHead) *Error {
	s := &p.fields
	switch {
	case s.chunked && p.version == exchange.HTTP10:
		return ErrOldCoding
	case s.chunked && s.hasLength:
		return ErrBothFramed
	}
	r.Framing = Framing{Length: exchange.UnknownLength, Chunked: s.chunked}
	if s.hasLength {
		r.Framing.Length = s.length
	}
	r.NoBody = method == "HEAD" || p.status == 304
	if p.status < 200 || p.status == 204 {
		r.NoBody = true
		if s.chunked || s.length > 0 {
			return ErrNoContent
		}
		r.Framing.Length = exchange.UnknownLength
		r.Header.Del("Content-Length") // of 0: not theirs to send (RFC 9110, 8.6)
	}
	if r.NoBody {
		r.Framing.Chunked = false
		return nil
	}
	r.Framing.UntilClose = !s.chunked && !s.hasLength
	return nil
}
