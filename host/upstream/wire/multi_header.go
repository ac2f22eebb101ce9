package wire

import (
	"maps"
	"net/http"
	"net/textproto"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/ergoproxy/ergo/host/exchange"
)

// copied is text that nobody writes to, whatever becomes of what it was copied from.
type copied struct{ strings.Builder }

func (c *copied) copy(s string) string {
	start := c.Len()
	c.WriteString(s)
	return c.String()[start:]
}

// textSize is how much text h has.
func textSize(h *exchange.Header) (n int) {
	for _, f := range h.Fields() {
		n += len(f.Name) + len(f.Value)
	}
	return n
}

// toHTTP renders fields for net/http, which knows them by canonical name and
// keeps no order among names. Framing is its own affair and left out. What could
// not stand in a message is errBadRequest.
func toHTTP(h *exchange.Header, own *copied) (http.Header, error) {
	out := make(http.Header, h.Len()+3)
	values := make([]string, h.Len()) // one allocation for all single values
	for i, f := range h.Fields() {
		if !validField(f.Name, f.Value) {
			return nil, errBadRequest
		}
		name := textproto.CanonicalMIMEHeaderKey(own.copy(f.Name))
		switch name {
		case "Host", "Content-Length", "Transfer-Encoding", "Trailer":
			continue
		}
		if old, ok := out[name]; ok {
			out[name] = append(old, own.copy(f.Value))
			continue
		}
		values[i] = own.copy(f.Value)
		out[name] = values[i : i+1 : i+1]
	}
	if _, ok := out["User-Agent"]; !ok {
		out["User-Agent"] = nil // else net/http adds its own
	}
	return out, nil
}

func validField(name, value string) bool {
	return httpguts.ValidHeaderFieldName(name) && httpguts.ValidHeaderFieldValue(value)
}

// fromHTTP appends net/http's fields in an order of their names, so that equal
// answers stay equal. A byte that could end a field is refused: what we pass on
// must not mean more than what we read (response splitting).
func fromHTTP(dst *exchange.Header, fields map[string][]string) error {
	var buffer [32]string
	names := buffer[:0]
	for name := range fields {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		for _, value := range fields[name] {
			if !validField(name, value) {
				return errBadField
			}
			dst.Add(name, value)
		}
	}
	return nil
}

// trailerFromHTTP makes dst what may stand in a trailer.
func trailerFromHTTP(dst *exchange.Header, fields http.Header) error {
	for name := range fields {
		if !exchange.TrailerAllowed(name) {
			delete(fields, name)
		}
	}
	dst.Reset() // of names that were announced
	return fromHTTP(dst, fields)
}

// announce makes dst the names of trailers that are to come.
func announce(dst *exchange.Header, fields http.Header) {
	if len(fields) == 0 {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if exchange.TrailerAllowed(name) {
			dst.Add(name, "")
		}
	}
}

// validRequest reports whether a request can be written as HTTP, but for its
// fields.
func validRequest(r *exchange.Request, authority string) bool {
	return exchange.ValidName(r.Method) && r.Method != "CONNECT" && validTarget(r.Target) &&
		httpguts.ValidHostHeader(authority)
}

// validTarget reports whether a request-target can stand in a request line.
func validTarget(target string) bool {
	if target == "*" {
		return true
	}
	if !strings.HasPrefix(target, "/") {
		return false
	}
	for i := 0; i < len(target); i++ {
		if c := target[i]; c <= ' ' || c == 0x7f {
			return false
		}
	}
	return true
}
