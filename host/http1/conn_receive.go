package http1

import (
	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/http1/message"
	"github.com/ergoproxy/ergo/host/http1/socket"
)

// What a request is refused with that its head alone does not say.
const (
	statusTimeout     = 408 // RFC 9110, 15.5.9
	statusMisdirected = 421 // RFC 9110, 15.5.20
)

// receive reads a request's head and makes the exchange's request of it. A status
// other than 0 is the answer to one that is not let in. If it is not complete,
// the client has left before there was a request.
func (k *call) receive() (status int, complete bool) {
	size, err := k.readHead()
	if err == nil {
		k.in.keepHead(size)
		return k.take(), true
	}
	if refused, ok := err.(*message.Error); ok {
		status = refused.Status
	} else if socket.IsTimeout(err) && !k.conn.socket.Interrupted() {
		status = statusTimeout
	}
	k.unreadable()
	return status, status != 0
}

// readHead reads up to the end of the head and returns its size.
func (k *call) readHead() (size int, err error) {
	c, s, in := k.conn, k.conn.server, &k.in
	for limited := false; ; limited = true {
		size, err = k.parser.Parse(in.fresh(), &s.Limits, &k.head)
		if size > 0 || err != nil {
			return size, err
		}
		if in.end == len(in.buf) {
			in.grow(&s.inputs, s.Limits.HeaderBytes)
		}
		if !limited {
			now := exchange.Clock()
			c.socket.ReadBy(after(now, s.HeaderTimeout), now)
		}
		n, err := c.socket.Read(in.buf[in.end:])
		in.end += n
		if err != nil {
			return 0, err
		}
	}
}

// unreadable leaves in the request what its refusal is to be written by.
func (k *call) unreadable() {
	const head = "HEAD "
	req := &k.x.Request
	req.Header.Reset()
	req.Trailer.Reset()
	if in := k.in.fresh(); len(in) >= len(head) && string(in[:len(head)]) == head {
		req.Method, k.bare = "HEAD", true // no body: it would be taken for the next response
	}
	req.Scheme, req.Version = k.scheme(), exchange.HTTP11
}

func (k *call) scheme() string {
	if k.conn.server.Secure {
		return "https"
	}
	return "http"
}

// take makes the exchange's request of the head.
func (k *call) take() (status int) {
	req, head := &k.x.Request, &k.head
	req.Method, req.Authority, req.Target = head.Method, head.Authority, head.Target
	req.Version, req.Upgrade = head.Version, head.Upgrade
	req.Scheme = k.scheme()
	k.bare = req.Method == "HEAD"
	if head.Framing.HasBody() {
		req.Length = head.Framing.Length
		if k.body, k.spare = k.spare, nil; k.body == nil {
			k.body = new(requestBody)
		}
		k.body.begin(k)
		req.Body = k.body
	}
	if head.Scheme == "https" && !k.conn.server.Secure {
		return statusMisdirected
	}
	return 0
}
