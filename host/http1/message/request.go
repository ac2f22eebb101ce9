package message

import "github.com/ergoproxy/ergo/host/exchange"

// RequestHead is the head of a request: what RequestParser reads and what
// AppendRequestHead writes. Its text lives as long as the buffer it was read from.
type RequestHead struct {
	Method    string
	Scheme    string // "http" or "https" if the target was in absolute form, else ""
	Authority string // from the target or Host; "" only for HTTP/1.0 without Host
	Target    string // begins with "/", or is "*"
	Version   exchange.Version
	// Header has the end-to-end fields in order and in their spelling, without
	// Host. The caller provides it; the parser empties it first.
	Header *exchange.Header
	// Trailer becomes the names of the announced trailers that may be some, with
	// empty values. It may be nil.
	Trailer *exchange.Header
	Framing Framing
	Close   bool // the connection ends after this exchange
	// Continue: the client waits for 100 before it sends the body. The field stays
	// in Header as well.
	Continue bool
	// Upgrade is what the client asks to switch to, "" if nothing. A request with a
	// body asks for nothing, since the two together are how requests are smuggled;
	// nor does h2c, which RFC 9113 has withdrawn.
	Upgrade string
}

// RequestParser parses the head of a request as its bytes come. The zero value
// is ready for the first one. It is not safe for concurrent use.
type RequestParser struct {
	fields    section
	start     int // of the method: 2 after an empty line
	methodEnd int // 0 before it was seen
	targetEnd int // 0 before it was seen
	version   exchange.Version
}

// Reset makes the parser ready for the next request.
func (p *RequestParser) Reset() { *p = RequestParser{} }

// Parse looks at buf, which begins with the head's first byte and has all bytes
// of the call before; it may be another buffer. It returns the size of the head
// once that is complete, with r filled, and 0 while bytes are missing. Meanwhile
// r's headers are the parser's. An error is an *Error, and the end of the parser's
// work on that connection.
func (p *RequestParser) Parse(buf []byte, l *Limits, r *RequestHead) (size int, err error) {
	within, full := l.cut(buf)
	size, bad := p.parse(within, l, r)
	switch {
	case bad != nil:
		return 0, bad
	case size == 0 && full:
		return 0, p.tooLarge()
	}
	return size, nil
}

func (p *RequestParser) tooLarge() *Error {
	switch {
	case p.methodEnd == 0:
		return ErrMethodTooLong
	case p.version == 0:
		return ErrTargetTooLong
	}
	return ErrTooLarge
}

func (p *RequestParser) parse(buf []byte, l *Limits, r *RequestHead) (size int, err *Error) {
	if p.version == 0 {
		if ok, err := p.line(buf, r); !ok {
			return 0, err
		}
		r.Header.Reset()
	}
	size, err = p.fields.parse(buf, l, r.Header)
	if size == 0 || err != nil {
		return 0, err
	}
	return size, p.finish(buf, r)
}

// line parses the request line (RFC 9112, 3) and reports whether it was there.
func (p *RequestParser) line(buf []byte, r *RequestHead) (ok bool, err *Error) {
	s := &p.fields
	if p.methodEnd == 0 {
		if ok, err := p.method(buf); !ok {
			return false, err
		}
	}
	if p.targetEnd == 0 {
		i := skipTarget(buf, s.pos)
		if s.pos = i; i == len(buf) {
			return false, nil
		}
		if buf[i] != ' ' || i == p.methodEnd+1 {
			return false, lineError(buf[i], ErrTarget)
		}
		p.targetEnd = i
	}
	rest := buf[p.targetEnd+1:]
	version, err := parseVersion(rest)
	if err != nil && err != ErrUnknownVersion {
		return false, err
	}
	if len(rest) > versionSize && rest[versionSize] != '\r' {
		return false, lineError(rest[versionSize], ErrVersion)
	}
	if len(rest) < versionSize+2 {
		return false, nil
	}
	if rest[versionSize+1] != '\n' {
		return false, ErrBareCR
	}
	if err != nil {
		return false, err
	}
	s.begin(p.targetEnd + 1 + versionSize + 2)
	p.version = version
	return true, nil
}

// method parses the method and what may stand before it: one empty line (RFC
// 9112, 2.2).
func (p *RequestParser) method(buf []byte) (ok bool, err *Error) {
	s := &p.fields
	if s.pos == 0 && len(buf) > 0 && buf[0] == '\r' {
		if len(buf) < 2 {
			return false, nil
		}
		if buf[1] != '\n' {
			return false, ErrBareCR
		}
		p.start, s.pos = 2, 2
	}
	i := skip(buf, s.pos, inToken)
	if s.pos = i; i == len(buf) {
		return false, nil
	}
	if buf[i] != ' ' || i == p.start {
		return false, lineError(buf[i], ErrMethod)
	}
	if string(buf[p.start:i]) == "CONNECT" {
		return false, ErrConnect
	}
	p.methodEnd, s.pos = i, i+1
	return true, nil
}

// lineError says what is wrong with a byte of the first line.
func lineError(c byte, err *Error) *Error {
	if c == '\n' {
		return ErrBareLF
	}
	return err
}

// finish fills r from a head that is complete.
func (p *RequestParser) finish(buf []byte, r *RequestHead) *Error {
	s := &p.fields
	r.Version = p.version
	r.Method = view(buf[p.start:p.methodEnd])
	if err := p.target(buf, r); err != nil {
		return err
	}
	if err := p.frame(r); err != nil {
		return err
	}
	r.Close = s.close || p.version == exchange.HTTP10 && !s.keepAlive
	r.Continue = false
	if p.version == exchange.HTTP10 {
		r.Header.Del("Expect") // no meaning there (RFC 9110, 10.1.1)
	} else if s.unmet {
		return ErrExpect
	} else {
		r.Continue = s.expects && r.Framing.HasBody()
	}
	r.Upgrade = p.upgrade(r)
	s.finish(r.Header, r.Trailer)
	return nil
}

// frame decides how the body ends (RFC 9112, 6.3).
func (p *RequestParser) frame(r *RequestHead) *Error {
	s := &p.fields
	r.Framing = Framing{Length: s.length}
	if !s.chunked {
		return nil
	}
	if p.version == exchange.HTTP10 {
		return ErrOldCoding
	}
	if s.hasLength {
		return ErrBothFramed
	}
	r.Framing = Framing{Length: exchange.UnknownLength, Chunked: true}
	return nil
}

func (p *RequestParser) upgrade(r *RequestHead) string {
	s := &p.fields
	if !s.upgrade || p.version != exchange.HTTP11 || r.Framing.HasBody() {
		return ""
	}
	protocol := s.protocol(r.Header)
	if exchange.HasToken(protocol, "h2c") {
		return ""
	}
	return protocol
}
