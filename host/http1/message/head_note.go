package message

import "github.com/ergoproxy/ergo/host/exchange"

// said is what the fields of a head say of its framing and connection.
type said struct {
	host      span
	hosts     int
	length    int64
	hasLength bool
	chunked   bool
	close     bool
	keepAlive bool
	upgrade   bool // asked for by Connection
	expects   bool // 100-continue
	unmet     bool // expects something else
}

// noted are the names that note looks at.
const noted uint64 = 1<<exchange.Host | 1<<exchange.Connection | 1<<exchange.ContentLength | 1<<exchange.TransferEncoding |
	1<<exchange.Expect

// note takes what a field says of the message's framing and connection. It
// reports whether the field is to be kept, at least until the head's end.
func (s *said) note(id exchange.Known, value string, at span) (kept bool, err *Error) {
	switch id {
	case exchange.Host:
		s.host = at
		s.hosts++
		return false, nil
	case exchange.Connection:
		return s.options(value), nil
	case exchange.ContentLength:
		if s.hasLength {
			return false, ErrLengths
		}
		n, ok := parseLength(value)
		if !ok {
			return false, ErrLength
		}
		s.length, s.hasLength = n, true
	case exchange.TransferEncoding:
		if s.chunked {
			return false, ErrNotChunked
		}
		s.chunked = true
		return false, checkCoding(value)
	case exchange.Expect:
		if exchange.EqualFold(value, "100-continue") {
			s.expects = true
		} else {
			s.unmet = true
		}
	}
	return true, nil
}

// options notes the options of Connection. It reports whether there are some
// that may name fields.
func (s *said) options(list string) (more bool) {
	if list == "keep-alive" {
		s.keepAlive = true
		return false
	}
	for list != "" {
		var option string
		option, list = member(list)
		switch {
		case exchange.EqualFold(option, "keep-alive"):
			s.keepAlive = true
		case exchange.EqualFold(option, "close"):
			s.close = true
		case exchange.EqualFold(option, "upgrade"):
			s.upgrade = true
		case option != "":
			more = true
		}
	}
	return more
}

// finish removes the fields that end with this connection, and makes trailer, if
// that is wanted, the names that the message announces.
func (s *said) finish(h, trailer *exchange.Header) {
	if trailer != nil {
		trailer.Reset()
		if s.chunked && h.HasKnown(exchange.Trailer) {
			announce(h, trailer)
		}
	}
	exchange.RemoveHopByHop(h)
}

// maxAnnounced is more than anybody announces. What is beyond comes unannounced.
const maxAnnounced = 32

// announce adds the names that Trailer fields list to trailer, without values.
func announce(h, trailer *exchange.Header) {
	for i, f := range h.Fields() {
		if h.KnownAt(i) != exchange.Trailer {
			continue
		}
		for list := f.Value; list != "" && trailer.Len() < maxAnnounced; {
			var name string
			name, list = member(list)
			if exchange.TrailerAllowed(name) && !trailer.Has(name) {
				trailer.Add(name, "")
			}
		}
	}
}

// protocol returns what Upgrade asks for, or names, if Connection has it. Lists
// in several fields are nobody's habit and count for nothing.
func (s *said) protocol(h *exchange.Header) string {
	if !s.upgrade {
		return ""
	}
	protocol := ""
	for i, f := range h.Fields() {
		if h.KnownAt(i) != exchange.Upgrade {
			continue
		}
		if protocol != "" {
			return ""
		}
		protocol = f.Value
	}
	return protocol
}
