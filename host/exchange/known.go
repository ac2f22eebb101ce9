package exchange

// Known is the id of a field name that HTTP or the host itself often asks for.
// A header keeps it beside each field, so that looking one up compares bytes and
// not strings. Unknown is every other name.
type Known uint8

// The names that have an id, in alphabetical order. There may be at most 63: a
// header has a bit for each.
const (
	Unknown Known = iota
	Accept
	AcceptEncoding
	AcceptLanguage
	Age
	AltSvc
	Authorization
	CacheControl
	Connection
	ContentEncoding
	ContentLength
	ContentRange
	ContentType
	Cookie
	Date
	ErgoLink
	ErgoLinkAnsweredBy
	ErgoLinkFailure
	ETag
	Expect
	Expires
	Forwarded
	Host
	HTTP2Settings
	IfModifiedSince
	IfNoneMatch
	KeepAlive
	LastModified
	Location
	Origin
	Pragma
	ProxyAuthenticate
	ProxyAuthenticationInfo
	ProxyAuthorization
	ProxyConnection
	Range
	Referer
	RetryAfter
	Server
	SetCookie
	TE
	Traceparent
	Tracestate
	Trailer
	TransferEncoding
	UnderscoredContentLength
	UnderscoredTransferEncoding
	Upgrade
	UserAgent
	Vary
	Via
	XAPIKey
	XForwardedFor
	XForwardedHost
	XForwardedProto
	XRealIP
	XRequestID
	knownCount
)

// knownNames are the names in lower case.
var knownNames = [knownCount]string{
	Accept:                      "accept",
	AcceptEncoding:              "accept-encoding",
	AcceptLanguage:              "accept-language",
	Age:                         "age",
	AltSvc:                      "alt-svc",
	Authorization:               "authorization",
	CacheControl:                "cache-control",
	Connection:                  "connection",
	ContentEncoding:             "content-encoding",
	ContentLength:               "content-length",
	ContentRange:                "content-range",
	ContentType:                 "content-type",
	Cookie:                      "cookie",
	Date:                        "date",
	ErgoLink:                    "ergo-link",
	ErgoLinkAnsweredBy:          "ergo-link-answered-by",
	ErgoLinkFailure:             "ergo-link-failure",
	ETag:                        "etag",
	Expect:                      "expect",
	Expires:                     "expires",
	Forwarded:                   "forwarded",
	Host:                        "host",
	HTTP2Settings:               "http2-settings",
	IfModifiedSince:             "if-modified-since",
	IfNoneMatch:                 "if-none-match",
	KeepAlive:                   "keep-alive",
	LastModified:                "last-modified",
	Location:                    "location",
	Origin:                      "origin",
	Pragma:                      "pragma",
	ProxyAuthenticate:           "proxy-authenticate",
	ProxyAuthenticationInfo:     "proxy-authentication-info",
	ProxyAuthorization:          "proxy-authorization",
	ProxyConnection:             "proxy-connection",
	Range:                       "range",
	Referer:                     "referer",
	RetryAfter:                  "retry-after",
	Server:                      "server",
	SetCookie:                   "set-cookie",
	TE:                          "te",
	Traceparent:                 "traceparent",
	Tracestate:                  "tracestate",
	Trailer:                     "trailer",
	TransferEncoding:            "transfer-encoding",
	UnderscoredContentLength:    "content_length",
	UnderscoredTransferEncoding: "transfer_encoding",
	Upgrade:                     "upgrade",
	UserAgent:                   "user-agent",
	Vary:                        "vary",
	Via:                         "via",
	XAPIKey:                     "x-api-key",
	XForwardedFor:               "x-forwarded-for",
	XForwardedHost:              "x-forwarded-host",
	XForwardedProto:             "x-forwarded-proto",
	XRealIP:                     "x-real-ip",
	XRequestID:                  "x-request-id",
}

// longestKnown is the length of the longest name.
const longestKnown = len("proxy-authentication-info")

// word is some bytes of a name, and the bits in which its other spellings may
// differ: those that tell the case of its letters.
type word struct{ bytes, cases uint64 }

// is reports whether w spells the same.
func (known word) is(w uint64) bool { return (known.bytes^w)&^known.cases == 0 }

func wordOf(bytes uint64) word {
	w := word{bytes: bytes}
	for i := 0; i < 64; i += 8 {
		if c := byte(bytes >> i); 'a' <= c && c <= 'z' {
			w.cases |= 0x20 << i
		}
	}
	return w
}

// words returns the first and the last eight bytes of a name, which overlap if it
// has less than 16. Of one that has less than eight all are in the first.
func words(name string) (first, last uint64) {
	if n := len(name); n >= 8 {
		return load(name), load(name[n-8:])
	}
	for i := len(name) - 1; i >= 0; i-- {
		first = first<<8 | uint64(name[i])
	}
	return first, 0
}

// load returns the first eight bytes of s: one instruction to the compiler.
func load(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// place is where a name is looked for first, whatever the case of its letters.
func place(n int, first, last uint64) uint8 {
	const noCase = 0xdfdfdfdfdfdfdfdf
	return uint8(((first&noCase)*0x9e3779b97f4a7c15 ^ (last&noCase)*0xc2b2ae3d27d4eb4f + uint64(n)*0x165667b19e3779f9) >> 56)
}

// entry is a name in the table.
type entry struct {
	first, last word
	length      uint8
	id          Known
}

// knownTable has the names by their places, each in its own or the next that is
// free.
var knownTable = func() (table [256]entry) {
	for id := Unknown + 1; id < knownCount; id++ {
		name := knownNames[id]
		first, last := words(name)
		at := place(len(name), first, last)
		for table[at].id != Unknown {
			at++
		}
		table[at] = entry{wordOf(first), wordOf(last), uint8(len(name)), id}
	}
	return table
}()

// KnownName returns the id of a name in any spelling.
func KnownName(name string) Known {
	if len(name) > longestKnown {
		return Unknown
	}
	first, last := words(name)
	for at := place(len(name), first, last); ; at++ {
		e := &knownTable[at]
		if e.id == Unknown {
			return Unknown
		}
		if int(e.length) == len(name) && e.first.is(first) && e.last.is(last) {
			if len(name) <= 16 || EqualFold(knownNames[e.id][8:], name[8:]) {
				return e.id
			}
		}
	}
}

// Name returns the name in lower case, "" for Unknown.
func (k Known) Name() string { return knownNames[k] }

// names is a set of ids.
type names uint64

func setOf(ids ...Known) (s names) {
	for _, id := range ids {
		s |= 1 << id
	}
	return s
}

func (s names) has(id Known) bool { return s>>id&1 == 1 }
