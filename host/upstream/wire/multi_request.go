package wire

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/ergoproxy/ergo/host/exchange"
)

// request renders the head of the exchange's request for net/http, with text of its
// own: the table that HTTP/2 packs fields by keeps it for as long as the connection.
func (c *Client) request(t *Try) (*http.Request, error) {
	r := &t.X.Request
	if !validRequest(r, t.Authority) {
		return nil, errBadRequest
	}
	var own copied
	own.Grow(len(r.Method) + len(r.Target) + len(t.Authority) + textSize(&r.Header))
	header, err := toHTTP(&r.Header, &own)
	if err != nil {
		return nil, err
	}
	target, err := c.target(own.copy(r.Target))
	if err != nil {
		return nil, err
	}
	return &http.Request{
		Method:     own.copy(r.Method),
		URL:        target,
		Proto:      "HTTP/2.0",
		ProtoMajor: 2,
		Header:     header,
		Host:       own.copy(t.Authority),
	}, nil
}

// target makes net/http send a request-target byte for byte.
func (c *Client) target(target string) (*url.URL, error) {
	if !strings.HasPrefix(target, "//") {
		return &url.URL{Scheme: c.scheme, Host: c.host, Opaque: target}, nil
	}
	// An opaque one would be sent in absolute form.
	path, query, hasQuery := strings.Cut(target, "?")
	decoded, err := url.PathUnescape(path)
	if err != nil {
		return nil, errBadRequest
	}
	u := &url.URL{
		Scheme: c.scheme, Host: c.host,
		Path: decoded, RawPath: path, RawQuery: query, ForceQuery: hasQuery && query == "",
	}
	if u.RequestURI() != target { // net/http would encode it anew, "%2F" as "/"
		return nil, errBadRequest
	}
	return u, nil
}

// newBody gives req this try's reader of the client's body; nil if there is
// none. Trailers are complete only at its end, and sent as over HTTP/1.1: only if
// the length is not told.
func (t *Try) newBody(req *http.Request) *bodyReader {
	if t.Replay == nil {
		return nil
	}
	body := &bodyReader{from: t.Replay}
	t.body = body
	req.Body, req.ContentLength = body, t.X.Request.Length
	if t.X.Request.Length != exchange.UnknownLength {
		return body
	}
	trailer := make(http.Header)
	for _, name := range t.Announced {
		trailer[http.CanonicalHeaderKey(strings.Clone(name))] = nil
	}
	req.Trailer = trailer
	body.atEnd = func() {
		for _, f := range t.X.Request.Trailer.Fields() {
			if exchange.TrailerAllowed(f.Name) && validField(f.Name, f.Value) {
				trailer.Add(strings.Clone(f.Name), strings.Clone(f.Value))
			}
		}
	}
	return body
}
