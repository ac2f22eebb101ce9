package http1

import (
	"context"
	"errors"
	"fmt"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/http1/message"
)

const (
	statusSwitching   = 101
	statusNoContent   = 204
	statusNotModified = 304
	statusBadGateway  = 502
)

var errSentTwice = errors.New("the response was sent already")

// Inform follows exchange.Sink.
func (k *call) Inform(status int, h *exchange.Header) error {
	if k.sent || status <= 100 || status > 199 || status == statusSwitching || k.x.Request.Version == exchange.HTTP10 {
		return nil
	}
	k.response = message.ResponseHead{
		Version: exchange.HTTP11, Status: status, Header: h, Framing: message.Framing{Length: exchange.UnknownLength},
	}
	k.takeOut()
	defer k.giveOut()
	var err error
	if k.out, err = message.AppendResponseHead(k.out, &k.response); err != nil {
		return err
	}
	k.writing.Lock()
	defer k.writing.Unlock()
	if err = k.flush(); err != nil && k.Gone() {
		k.x.Life().End(context.Canceled) // who looks for clients that leave takes this one for known
	}
	return err
}

// Send follows exchange.Sink.
func (k *call) Send(x *exchange.Exchange) error {
	if k.sent {
		return &exchange.SendError{Err: errSentTwice}
	}
	k.sent = true
	k.respond()
	k.takeOut()
	if err := k.writeHead(); err != nil {
		x.Fail(&exchange.Failure{Cause: exchange.CauseProtocol, Status: statusBadGateway, Err: err})
		if err = k.writeHead(); err != nil {
			panic(err) // the host's own answer
		}
	}
	var err *exchange.SendError
	if x.Response.Status == statusSwitching {
		err = k.join()
	} else {
		err = k.sendBody()
	}
	k.giveOut()
	if body := x.Response.Body; body != nil {
		body.Close()
	}
	if k.body != nil {
		x.RequestBytes = k.body.count.Load()
	}
	if err != nil {
		k.broken = true
		return err
	}
	return nil
}

// respond tells the body's reader that the response begins.
func (k *call) respond() {
	if k.body == nil {
		return
	}
	k.writing.Lock()
	k.responding.Store(true)
	k.writing.Unlock()
}

var (
	errNoUpgrade = errors.New("status 101 to a request that did not ask for it, or without a tunnel")
	errStatus    = errors.New("no status of a response")
)

// sendable tells why a response can't be written as it is.
func (k *call) sendable() error {
	resp := &k.x.Response
	switch {
	case resp.Status == statusSwitching:
		if resp.Tunnel == nil || k.x.Request.Upgrade == "" {
			return errNoUpgrade
		}
	case resp.Status < 200 || resp.Status > 599:
		return fmt.Errorf("%d: %w", resp.Status, errStatus)
	}
	return nil
}

// writeHead puts the response's head into what is to be written.
func (k *call) writeHead() (err error) {
	if err := k.sendable(); err != nil {
		return err
	}
	resp := &k.x.Response
	s := k.conn.server
	k.response = message.ResponseHead{
		Version: k.x.Request.Version, Status: resp.Status, Header: &resp.Header, Trailer: &resp.Trailer, Framing: k.framing(),
	}
	if resp.Status == statusSwitching {
		k.response.Upgrade = k.protocol()
	} else {
		k.closing = k.closing || s.draining.Load() || k.body != nil && k.body.tooLong() || k.response.Framing.UntilClose
		k.response.Close = k.closing
		if !resp.Header.HasKnown(exchange.Date) {
			resp.Header.AddKnown(exchange.Date, "Date", s.date.at(exchange.Clock()))
		}
		if s.AltSvc != "" && !resp.Header.HasKnown(exchange.AltSvc) {
			resp.Header.AddKnown(exchange.AltSvc, "Alt-Svc", s.AltSvc)
		}
	}
	k.out, err = message.AppendResponseHead(k.out, &k.response)
	return err
}

// protocol is what the connection switches to.
func (k *call) protocol() string {
	if protocol, _ := k.x.Response.Header.GetKnown(exchange.Upgrade); protocol != "" {
		return protocol
	}
	return k.x.Request.Upgrade
}

// framing decides how the client finds the response's end (RFC 9112, 6.3).
func (k *call) framing() message.Framing {
	resp := &k.x.Response
	old := k.x.Request.Version == exchange.HTTP10
	switch {
	case resp.Status == statusSwitching || resp.Status == statusNoContent || resp.Status == statusNotModified && resp.Length <= 0:
		return message.Framing{Length: exchange.UnknownLength}
	case resp.Length >= 0 && (resp.Trailer.Len() == 0 || old || resp.Status == statusNotModified):
		return message.Framing{Length: resp.Length} // not to HEAD where GET gets chunks
	case !k.hasContent():
		return message.Framing{Length: exchange.UnknownLength}
	case old:
		return message.Framing{Length: exchange.UnknownLength, UntilClose: true}
	}
	return message.Framing{Length: exchange.UnknownLength, Chunked: true} // trailers need it too
}

// hasContent reports whether the response may have some (RFC 9110, 6.4.1).
func (k *call) hasContent() bool {
	status := k.x.Response.Status
	return !k.bare && status != statusNoContent && status != statusNotModified
}
