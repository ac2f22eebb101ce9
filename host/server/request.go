package server

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/ergoproxy/ergo/host/exchange"
)

// receive makes the exchange's request of net/http's. A status other than 0 is
// the answer to a request that is not let in.
func (c *call) receive() (status int) {
	r, req := c.r, &c.x.Request
	req.Method = r.Method
	req.Scheme = "http"
	if c.conn.secured != nil {
		req.Scheme = "https"
	}
	switch {
	case r.ProtoMajor == 2 && !c.http1():
		req.Version = exchange.HTTP2
	case r.ProtoMajor == 1 && r.ProtoMinor == 0:
		req.Version = exchange.HTTP10
	case r.ProtoMajor == 1:
		req.Version = exchange.HTTP11
	default:
		return http.StatusHTTPVersionNotSupported
	}
	if r.Method == "CONNECT" {
		return http.StatusNotImplemented
	}
	if status := c.receiveTarget(); status != 0 {
		return status
	}
	if req.Version == exchange.HTTP2 && !validLength(r.Header["Content-Length"]) {
		return http.StatusBadRequest
	}
	if status := c.receiveHeader(); status != 0 {
		return status
	}
	return 0
}

// validLength reports whether the length is told once and as a number, or not at
// all. Over HTTP/2 net/http looks at the first field only, and takes what is no
// number for 0, although a body follows.
func validLength(values []string) bool {
	if len(values) == 0 {
		return true
	}
	_, err := strconv.ParseUint(values[0], 10, 63)
	return len(values) == 1 && err == nil
}

// receiveTarget finds authority and target in the request line and Host (RFC
// 9112, 3.2 and 3.3; RFC 9113, 8.3.1).
func (c *call) receiveTarget() (status int) {
	r, req := c.r, &c.x.Request
	req.Authority, req.Target = r.Host, r.RequestURI
	if req.Version != exchange.HTTP2 && !strings.HasPrefix(req.Target, "/") && req.Target != "*" {
		scheme, authority, target, ok := cutAbsolute(req.Target)
		if !ok || authority != r.Host {
			return http.StatusBadRequest
		}
		if strings.EqualFold(scheme, "https") && req.Scheme != "https" {
			return http.StatusMisdirectedRequest
		}
		req.Target = target
	}
	if !exchange.ValidName(req.Method) || !exchange.ValidTarget(req.Method, req.Target) {
		return http.StatusBadRequest
	}
	if req.Authority == "" && req.Version == exchange.HTTP10 {
		return 0
	}
	if !exchange.ValidAuthority(req.Authority) {
		return http.StatusBadRequest
	}
	for _, host := range r.Header["Host"] { // beside :authority
		if !strings.EqualFold(host, req.Authority) {
			return http.StatusBadRequest
		}
	}
	return 0
}

// cutAbsolute takes an absolute form apart.
func cutAbsolute(uri string) (scheme, authority, target string, ok bool) {
	scheme, rest, ok := strings.Cut(uri, "://")
	if !ok || !strings.EqualFold(scheme, "http") && !strings.EqualFold(scheme, "https") {
		return "", "", "", false
	}
	start := strings.IndexAny(rest, "/?")
	switch {
	case start < 0:
		return scheme, rest, "/", true
	case rest[start] == '?':
		return scheme, rest[:start], "/" + rest[start:], true
	}
	return scheme, rest[:start], rest[start:], true
}

// receiveHeader takes the fields over, sorted by name, within the bounds of the
// listener, and removes those of the connection.
func (c *call) receiveHeader() (status int) {
	r, req := c.r, &c.x.Request
	var store [64]string
	names := store[:0]
	count, size := 1, len(r.Method)+len(r.RequestURI)+len(r.Host)
	for name, values := range r.Header {
		if name == "Host" {
			continue
		}
		names = append(names, name)
		count += len(values)
		for _, value := range values {
			size += len(name) + len(value) + len(": \r\n")
		}
	}
	limits := &c.conn.front.settings.Limits
	if limits.HeaderCount > 0 && count > limits.HeaderCount || limits.HeaderBytes > 0 && size > int(limits.HeaderBytes) {
		return http.StatusRequestHeaderFieldsTooLarge
	}
	slices.Sort(names)
	req.Header.Grow(count + 4) // forwarding adds some
	for _, name := range names {
		for _, value := range r.Header[name] {
			req.Header.Add(name, value)
		}
	}
	req.Upgrade = c.upgrade()
	exchange.RemoveHopByHop(&req.Header)
	if req.Version == exchange.HTTP10 {
		req.Header.Del("Expect") // no meaning there (RFC 9110, 10.1.1)
	}
	return 0
}

// upgrade returns the protocol that the client asks for. A request with a body
// is taken as an ordinary one, since the two together are how requests are
// smuggled; so is h2c, which RFC 9113 has withdrawn.
func (c *call) upgrade() string {
	r := c.r
	protocol := r.Header.Get("Upgrade")
	if protocol == "" || c.x.Request.Version != exchange.HTTP11 || r.ContentLength != 0 || exchange.HasToken(protocol, "h2c") {
		return ""
	}
	for _, options := range r.Header["Connection"] {
		if exchange.HasToken(options, "upgrade") {
			return protocol
		}
	}
	return ""
}

// takeBody takes the body over, and the names of announced trailers.
func (c *call) takeBody() {
	r, req := c.r, &c.x.Request
	if r.ContentLength == 0 {
		return
	}
	req.Length = r.ContentLength
	if req.Length < 0 {
		req.Length = exchange.UnknownLength
	}
	c.body.init(c, r.Body)
	req.Body = &c.body
	c.takeTrailer()
	if c.http1() {
		c.control.EnableFullDuplex()
	}
}

// takeTrailer takes over what net/http knows of the trailer: names without
// values before the body's end.
func (c *call) takeTrailer() {
	if len(c.r.Trailer) == 0 {
		return
	}
	trailer := &c.x.Request.Trailer
	trailer.Reset()
	names := make([]string, 0, len(c.r.Trailer))
	for name := range c.r.Trailer {
		if exchange.TrailerAllowed(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		values := c.r.Trailer[name]
		for _, value := range values {
			trailer.Add(name, value)
		}
		if values == nil {
			trailer.Add(name, "")
		}
	}
}
