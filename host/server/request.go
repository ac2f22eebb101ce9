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
	req.Method, req.Version = r.Method, exchange.HTTP2
	if r.ProtoMajor == 3 {
		req.Version = exchange.HTTP3
	}
	req.Scheme = "http"
	if c.conn.front.certs != nil {
		req.Scheme = "https"
	}
	if r.Method == "CONNECT" {
		if status := c.receiveConnect(); status != 0 {
			return status
		}
	}
	if status := c.receiveTarget(); status != 0 {
		return status
	}
	if !validLength(r.Header["Content-Length"]) {
		return http.StatusBadRequest
	}
	return c.receiveHeader()
}

// validLength reports whether the length is told once and as a number, or not at
// all. The library looks at the first field only, and takes what is no
// number for 0, although a body follows.
func validLength(values []string) bool {
	if len(values) == 0 {
		return true
	}
	_, err := strconv.ParseUint(values[0], 10, 63)
	return len(values) == 1 && err == nil
}

// receiveTarget checks authority and target (RFC 9113, 8.3.1; RFC 9114, 4.3.1).
func (c *call) receiveTarget() (status int) {
	r, req := c.r, &c.x.Request
	req.Authority, req.Target = r.Host, r.RequestURI
	if !exchange.ValidName(req.Method) || !exchange.ValidTarget(req.Method, req.Target) || !exchange.ValidAuthority(req.Authority) {
		return http.StatusBadRequest
	}
	for _, host := range r.Header["Host"] { // beside :authority
		if !strings.EqualFold(host, req.Authority) {
			return http.StatusBadRequest
		}
	}
	return 0
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
	exchange.RemoveHopByHop(&req.Header)
	return 0
}

// takeBody takes the body over, and the names of announced trailers.
func (c *call) takeBody() {
	r, req := c.r, &c.x.Request
	if r.ContentLength == 0 || r.Method == "CONNECT" {
		return
	}
	req.Length = r.ContentLength
	if req.Length < 0 {
		req.Length = exchange.UnknownLength
	}
	c.body.init(c, r.Body)
	req.Body = &c.body
	c.expects = r.ProtoMajor == 3 && exchange.HasToken(r.Header.Get("Expect"), "100-continue")
	c.takeTrailer()
}

// lookForBody finds out whether there is a body where HTTP/3 does not say so with
// the head: a request that usually has none would be one of unknown length to the
// upstream. Others don't wait for their client.
func (c *call) lookForBody() {
	req := &c.x.Request
	if req.Version != exchange.HTTP3 || req.Length != exchange.UnknownLength || c.expects {
		return
	}
	switch req.Method {
	case "GET", "HEAD", "DELETE", "OPTIONS", "TRACE":
		if !c.body.look() {
			req.Body, req.Length = nil, 0
			req.Trailer.Reset()
		}
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
