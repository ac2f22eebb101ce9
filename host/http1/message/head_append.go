package message

import (
	"strconv"
	"unsafe"

	"github.com/ergoproxy/ergo/host/exchange"
)

const crlf = "\r\n"

// AppendRequestHead appends the head of an HTTP/1.1 request in origin form. What
// frames the message is r.Framing alone, what the connection does r.Close and
// r.Upgrade; fields of such kinds in r.Header are left out. With r.Trailer and a
// chunked body the trailers are announced. It is ErrUnwritable if anything could
// mean more than it should to whoever reads it; dst is returned as it was then.
func AppendRequestHead(dst []byte, r *RequestHead) ([]byte, error) {
	start := len(dst)
	if !exchange.ValidName(r.Method) || !validTarget(r.Method, r.Target) || !validAuthority(r.Authority) ||
		r.Method == "CONNECT" || r.Framing.UntilClose {
		return dst, ErrUnwritable
	}
	dst = append(dst, r.Method...)
	dst = append(dst, ' ')
	dst = append(dst, r.Target...)
	dst = append(dst, " HTTP/1.1\r\nHost: "...)
	dst = append(dst, r.Authority...)
	dst = append(dst, crlf...)
	dst, ok := appendFields(dst, r.Header)
	if !ok {
		return dst[:start], ErrUnwritable
	}
	framing := r.Framing
	if framing.Length == 0 && !expectsContent(r.Method) {
		framing.Length = exchange.UnknownLength
	}
	dst = appendFraming(dst, framing, r.Trailer)
	dst, ok = appendConnection(dst, connection{close: r.Close, upgrade: r.Upgrade, te: r.Header.HasKnown(exchange.TE)})
	if !ok {
		return dst[:start], ErrUnwritable
	}
	return append(dst, crlf...), nil
}

// expectsContent reports whether requests of that method say that they have no
// content (RFC 9110, 8.6).
func expectsContent(method string) bool {
	return method == "POST" || method == "PUT" || method == "PATCH"
}

// AppendResponseHead appends the head of an HTTP/1.1 response, as
// AppendRequestHead does for requests. r.Version is the client's: one of HTTP/1.0
// is told if the connection stays, and gets nothing in chunks.
func AppendResponseHead(dst []byte, r *ResponseHead) ([]byte, error) {
	start := len(dst)
	old := r.Version == exchange.HTTP10
	framing := r.Framing
	if r.Status < 100 || r.Status > 599 || old && framing.Chunked {
		return dst, ErrUnwritable
	}
	dst = appendStatusLine(dst, r.Status)
	dst, ok := appendFields(dst, r.Header)
	if !ok {
		return dst[:start], ErrUnwritable
	}
	if r.Status >= 200 && r.Status != 204 {
		dst = appendFraming(dst, framing, r.Trailer)
	}
	final := r.Status >= 200
	dst, ok = appendConnection(dst, connection{
		close:     final && (r.Close || framing.UntilClose),
		keepAlive: final && old,
		upgrade:   r.Upgrade,
	})
	if !ok {
		return dst[:start], ErrUnwritable
	}
	return append(dst, crlf...), nil
}

// appendFields appends the fields that are the message's own.
func appendFields(dst []byte, h *exchange.Header) (out []byte, ok bool) {
	fields := h.Fields()
	for i := range fields {
		f := &fields[i]
		id := h.KnownAt(i)
		if id != exchange.Unknown {
			if ofConnection>>id&1 == 1 {
				continue
			}
		} else if f.Name == "" || skip(bytesOf(f.Name), 0, inToken) != len(f.Name) {
			return dst, false
		}
		if !validValue(f.Value) {
			return dst, false
		}
		dst = appendField(dst, f.Name, f.Value)
	}
	return dst, true
}

func appendField(dst []byte, name, value string) []byte {
	dst = append(dst, name...)
	dst = append(dst, ": "...)
	dst = append(dst, value...)
	return append(dst, crlf...)
}

// validValue is exchange.ValidValue, but that white space may surround it, since
// that does no harm.
func validValue(s string) bool { return skipText(bytesOf(s), 0) == len(s) }

// bytesOf returns the bytes of s, not to be written to.
func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }

// ofConnection are the fields that the rest of the head says, or nobody.
const ofConnection uint64 = 1<<exchange.Host | 1<<exchange.ContentLength | 1<<exchange.TransferEncoding | 1<<exchange.Trailer |
	1<<exchange.Connection | 1<<exchange.KeepAlive | 1<<exchange.ProxyConnection | 1<<exchange.Upgrade | 1<<exchange.HTTP2Settings |
	1<<exchange.UnderscoredContentLength | 1<<exchange.UnderscoredTransferEncoding

// appendFraming appends what says how the body ends.
func appendFraming(dst []byte, f Framing, trailer *exchange.Header) []byte {
	switch {
	case f.Chunked:
		dst = append(dst, "Transfer-Encoding: chunked\r\n"...)
		return appendAnnounced(dst, trailer)
	case f.Length >= 0:
		dst = append(dst, "Content-Length: "...)
		dst = strconv.AppendInt(dst, f.Length, 10)
		return append(dst, crlf...)
	}
	return dst
}

// appendAnnounced appends Trailer (RFC 9110, 6.6.2).
func appendAnnounced(dst []byte, trailer *exchange.Header) []byte {
	if trailer == nil {
		return dst
	}
	separator := "Trailer: "
	for _, f := range trailer.Fields() {
		if exchange.TrailerAllowed(f.Name) {
			dst = append(dst, separator...)
			dst = append(dst, f.Name...)
			separator = ", "
		}
	}
	if separator == ", " {
		dst = append(dst, crlf...)
	}
	return dst
}

// connection is what Connection says.
type connection struct {
	close, keepAlive, te bool
	upgrade              string
}

func appendConnection(dst []byte, c connection) (out []byte, ok bool) {
	if !c.close && !c.keepAlive && !c.te && c.upgrade == "" {
		return dst, true
	}
	dst = append(dst, "Connection: "...)
	start := len(dst)
	if c.close {
		dst = append(dst, "close, "...)
	} else if c.keepAlive {
		dst = append(dst, "keep-alive, "...)
	}
	if c.te {
		dst = append(dst, "TE, "...)
	}
	if c.upgrade != "" {
		dst = append(dst, "Upgrade, "...)
	}
	if len(dst) > start {
		dst = dst[:len(dst)-len(", ")]
	}
	dst = append(dst, crlf...)
	if c.upgrade == "" {
		return dst, true
	}
	dst = append(dst, "Upgrade: "...)
	dst = append(dst, c.upgrade...)
	return append(dst, crlf...), validValue(c.upgrade)
}
