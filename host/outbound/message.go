package outbound

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
)

// Request is what a policy asks. The client changes nothing of it and keeps
// nothing of it beyond the call.
type Request struct {
	Method string
	// URL is "https://host[:port]/path?query", "http://..." or, to an upstream of
	// the manifest, "upstream://name/path?query".
	URL string
	// Authority is what an upstream's endpoint is asked for, unless the manifest
	// says it (host); default the upstream's name. An origin is asked for as what
	// it was granted.
	Authority string
	// Header and Trailer are the end-to-end fields: those of the connection, of
	// framing and Host are the client's own, and dropped, as is what may not stand in
	// a trailer.
	Header, Trailer exchange.Header
	Body            []byte
	Timeout         time.Duration // for all of it; 0, or more than the client's: the client's
}

// Response is what was answered, whole.
type Response struct {
	Status          int
	Header, Trailer exchange.Header // end-to-end fields
	Body            []byte          // within the client's bound
}

// maxFieldBytes bounds a message's fields, as exchange.Header.Size counts them.
const maxFieldBytes = 64 << 10

var (
	errField  = errors.New("a field's name or value cannot be sent")
	errMethod = errors.New("the method is no token")
)

// ownFields are the fields that the client writes itself, besides those of one
// connection.
var ownFields = []string{"host", "content-length", "transfer-encoding", "trailer", "expect", "te", "proxy-authorization"}

func isOwn(name string) bool {
	return slices.ContainsFunc(ownFields, func(own string) bool { return exchange.EqualFold(own, name) })
}

// endToEnd appends the fields that are sent on, which are not those to drop, and
// reports what cannot be sent.
func endToEnd(to, from *exchange.Header, drop func(name string) bool) error {
	if from.Size() > maxFieldBytes {
		return errFieldsSize
	}
	var all exchange.Header
	all.CopyFrom(from)
	exchange.RemoveHopByHop(&all)
	for _, f := range all.Fields() {
		if !exchange.ValidName(f.Name) || !exchange.ValidValue(f.Value) {
			return errField
		}
		if !drop(f.Name) {
			to.Add(f.Name, f.Value)
		}
	}
	return nil
}

// toHTTP renders fields for net/http.
func toHTTP(h *exchange.Header) http.Header {
	fields := make(http.Header, h.Len())
	for _, f := range h.Fields() {
		fields.Add(f.Name, f.Value)
	}
	return fields
}

// fromHTTP reads fields of net/http, which has lost their order: by name.
func fromHTTP(h *exchange.Header, fields http.Header) {
	names := make([]string, 0, len(fields))
	for name := range fields {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		for _, value := range fields[name] {
			h.Add(strings.ToLower(name), value)
		}
	}
	exchange.RemoveHopByHop(h)
}
