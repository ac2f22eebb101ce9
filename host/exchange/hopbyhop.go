package exchange

import "strings"

// RemoveHopByHop removes the fields that are meant for one connection only
// (RFC 9110, 7.6.1): those that Connection names, and those that are of that
// kind whether named or not. TE stays as "trailers" if it offered that, because
// the host passes trailers on (10.1.4).
func RemoveHopByHop(h *Header) {
	if h.present&hopByHopNames == 0 {
		return
	}
	trailers := h.present.has(TE) && h.hasToken(TE, "trailers")
	if h.present.has(Connection) {
		removeNamed(h)
	}
	h.removeKnown(hopByHopNames)
	if trailers {
		h.AddKnown(TE, "TE", "trailers")
	}
}

// hasToken reports whether a field of that name has the token in its list.
func (h *Header) hasToken(id Known, token string) bool {
	for i := h.find(0, id, ""); i >= 0; i = h.find(i+1, id, "") {
		if HasToken(h.fields[i].Value, token) {
			return true
		}
	}
	return false
}

// removeNamed removes the fields that Connection lists. Fields that only look
// like an option and that the message can't do without are left alone, as
// naming them is an error of the sender (7.6.1).
func removeNamed(h *Header) {
	var store [fewOptions]string
	names := store[:0]
	var present map[string]bool // and not in names yet; only for long lists
	for i := range h.fields {
		if h.ids[i] != Connection {
			continue
		}
		for option := range strings.SplitSeq(h.fields[i].Value, ",") {
			if option = trimSpace(option); option == "" || noField(option) {
				continue
			}
			if len(names) == fewOptions && present == nil {
				present = h.names()
			}
			if present != nil {
				if option = strings.ToLower(option); !present[option] {
					continue
				}
				present[option] = false
			}
			names = append(names, option)
		}
	}
	for _, name := range names {
		h.Del(name)
	}
}

// fewOptions is more than any honest client lists. A list that fills a whole
// head must not be held against each field.
const fewOptions = 16

// names returns the fields' names in lower case.
func (h *Header) names() map[string]bool {
	names := make(map[string]bool, len(h.fields))
	for i := range h.fields {
		names[strings.ToLower(h.fields[i].Name)] = true
	}
	return names
}

// noField reports whether an option of Connection names no field that is to be
// removed for it: "close", what a message can't do without, and what goes anyway.
func noField(option string) bool {
	id := KnownName(option)
	return id != Unknown && (neverOptions|hopByHopNames).has(id) || EqualFold(option, "close")
}

var neverOptions = setOf(Host, CacheControl, ContentLength)

// hopByHopNames are the fields that never travel further than one connection.
// Trailer is one of them: the side that writes announces the trailers that it
// writes. What only servers that take "_" for "-" would read as the framing of
// the message (RFC 3875, 4.1.18) goes no further either.
var hopByHopNames = setOf(TE, Trailer, Upgrade, Connection, KeepAlive, HTTP2Settings, UnderscoredContentLength,
	ProxyConnection, TransferEncoding, UnderscoredTransferEncoding, ProxyAuthenticate, ProxyAuthorization,
	ProxyAuthenticationInfo)

// framingNames are of those that belong to the connection what a policy can't
// mean anything by, and the length.
var framingNames = hopByHopNames&^setOf(ProxyAuthenticate, ProxyAuthorization, ProxyAuthenticationInfo) | setOf(ContentLength)

// FramesMessage reports whether a field says how a message lies on its connection,
// its length included. That is the host's matter: a policy can read such a field,
// and a change to it has no effect.
func FramesMessage(name string) bool {
	return framingNames.has(KnownName(name))
}

// HasToken reports whether a comma-separated list has that token, without case
// and without parameters ("trailers;q=0.5" has "trailers").
func HasToken(list, token string) bool {
	for item := range strings.SplitSeq(list, ",") {
		item, _, _ = strings.Cut(item, ";")
		if EqualFold(trimSpace(item), token) {
			return true
		}
	}
	return false
}

// TrailerAllowed reports whether a field of that name may stand in a trailer:
// not if it frames or routes the message, controls or authenticates it, or
// says how its content is to be read (RFC 9110, 6.5.1). A name with "_" counts
// as the one with "-" that many servers make of it.
func TrailerAllowed(name string) bool {
	if !ValidName(name) {
		return false
	}
	name = strings.ReplaceAll(name, "_", "-")
	if hopByHopNames.has(KnownName(name)) || hasPrefixFold(name, "if-") || hasPrefixFold(name, "content-") || hasPrefixFold(name, "x-forwarded-") {
		return false
	}
	for _, forbidden := range forbiddenTrailers {
		if EqualFold(name, forbidden) {
			return false
		}
	}
	return true
}

var forbiddenTrailers = [...]string{
	"host", "max-forwards", "expect", "range", "accept-ranges",
	"authorization", "www-authenticate", "authentication-info", "cookie", "set-cookie",
	"age", "cache-control", "pragma", "expires", "date", "vary", "warning", "location", "retry-after",
	"forwarded", "x-real-ip", "via",
	"ergo-link", "ergo-link-failure", "ergo-link-answered-by", // what hosts tell one another
}

func hasPrefixFold(name, prefix string) bool {
	return len(name) >= len(prefix) && EqualFold(name[:len(prefix)], prefix)
}

// trimSpace cuts the white space that may surround a list's member: space and
// tab only (RFC 9110, 5.6.3).
func trimSpace(s string) string { return strings.Trim(s, " \t") }
