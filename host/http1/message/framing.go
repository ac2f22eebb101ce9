package message

import (
	"math"
	"strings"

	"github.com/ergoproxy/ergo/host/exchange"
)

// Framing is how a message's body ends (RFC 9112, 6.3).
type Framing struct {
	// Length is the body's size in bytes. exchange.UnknownLength: as Chunked or
	// UntilClose says; if neither does, the message has no body and tells no length.
	Length     int64
	Chunked    bool
	UntilClose bool // of a response: with the connection
}

// HasBody reports whether any bytes of a body may follow a head, unless it is of
// a response that has none.
func (f Framing) HasBody() bool { return f.Length > 0 || f.Chunked || f.UntilClose }

// parseLength reads a Content-Length: digits alone (RFC 9110, 8.6).
func parseLength(s string) (n int64, ok bool) {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c < '0' || c > '9' || n > (math.MaxInt64-9)/10 {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, len(s) > 0
}

// checkCoding looks at the value of a Transfer-Encoding. One that is not
// chunked alone is refused in any case: the rest is about how.
func checkCoding(value string) *Error {
	if exchange.EqualFold(value, "chunked") {
		return nil
	}
	chunked := false
	for coding := range strings.SplitSeq(value, ",") {
		coding = trim(coding)
		if !exchange.ValidName(coding) || chunked { // with parameters, or none, or chunked was not the last
			return ErrNotChunked
		}
		chunked = exchange.EqualFold(coding, "chunked")
	}
	return ErrCoding
}
