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

// knownByLength are the ids by the length of their names: a handful each.
var knownByLength = func() (table [longestKnown + 1][]Known) {
	for id := Unknown + 1; id < knownCount; id++ {
		n := len(knownNames[id])
		table[n] = append(table[n], id)
	}
	return table
}()

// KnownName returns the id of a name in any spelling.
func KnownName(name string) Known {
	if len(name) > longestKnown || len(name) == 0 {
		return Unknown
	}
	first, last := lower(name[0]), lower(name[len(name)-1])
	for _, id := range knownByLength[len(name)] {
		known := knownNames[id]
		if known[0] == first && known[len(known)-1] == last && equalFold(known, name) {
			return id
		}
	}
	return Unknown
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
