package outbound

import (
	"context"
	"errors"
	"io"
	"sync/atomic"

	"github.com/ergoproxy/ergo/host/exchange"
)

// Event is what comes of a stream: first Header, then messages, Trailer and at
// last Closed. A stream that fails has only some of them, but always Closed.
type Event interface{ event() }

// The events.
type (
	// Header is the initial metadata.
	Header struct{ Fields *exchange.Header }
	// Message is one message, without its prefix.
	Message struct{ Bytes []byte }
	// Trailer is the trailing metadata.
	Trailer struct{ Fields *exchange.Header }
	// Closed is the end of the stream. Err is the *Error if it was not the peer
	// that ended it.
	Closed struct {
		Status Status
		Err    error
	}
)

func (Header) event()  {}
func (Message) event() {}
func (Trailer) event() {}
func (Closed) event()  {}

// Stream is a gRPC call that has begun: messages in both directions. It is safe
// for concurrent use.
type Stream struct {
	call     *call
	cancel   context.CancelFunc
	out      *queue
	receive  func(Event)
	canceled atomic.Bool
}

// Stream begins a gRPC call: the URL's path is "/package.Service/Method", the
// header is the initial metadata, Method and Body are not used. Without a Timeout
// it lasts as long as ctx and the client.
//
// receive gets the events, in order, one at a time, from a goroutine of the
// stream's; nothing more is read of the peer's messages until it returns.
func (c *Client) Stream(ctx context.Context, r *Request, receive func(Event)) (*Stream, error) {
	request := &Request{Method: "POST", URL: r.URL, Authority: r.Authority, Timeout: r.Timeout}
	request.Header.CopyFrom(&r.Header)
	ctx, cancel := context.WithCancel(ctx)
	k, failure := c.begin(ctx, request, r.Timeout)
	if failure != nil {
		cancel()
		return nil, failure
	}
	k.grpc = true
	callFields(&k.header, r.Timeout)
	s := &Stream{call: k, cancel: cancel, out: newQueue(c.config.RequestBytes), receive: receive}
	go s.run()
	return s, nil
}

// Send queues a message; end says that none follows, and a nil message ends the
// sending alone. It does not wait: the *Error is of kind Busy if too much is
// queued, TooLarge if the message can never be sent.
func (s *Stream) Send(message []byte, end bool) error {
	k := s.call
	if int64(len(message)) > k.client.config.RequestBytes-prefixBytes {
		return k.client.failure(&k.target, TooLarge, errRequestSize)
	}
	if err := s.out.put(message, end); errors.Is(err, errBusy) {
		return k.client.failure(&k.target, Busy, err)
	} else if err != nil {
		return k.client.failure(&k.target, Failed, err)
	}
	return nil
}

// Cancel ends the stream at once. An event that is on its way may still arrive;
// none follows it.
func (s *Stream) Cancel() {
	s.canceled.Store(true)
	s.cancel()
}

func (s *Stream) deliver(e Event) {
	if !s.canceled.Load() {
		s.receive(e)
	}
}

// run carries the stream to its end.
func (s *Stream) run() {
	k := s.call
	defer k.client.leave()
	stop := context.AfterFunc(k.ctx, func() { s.out.Close() }) // who reads it waits for nothing else
	status, err := s.carry()
	stop()
	s.out.Close()
	s.cancel()
	closed := Closed{Status: status}
	if failure := k.end(err); failure != nil {
		closed.Status, closed.Err = statusOfFailure(failure), failure
	}
	s.deliver(closed)
}

// carry has the peer's side of the stream delivered, up to its status.
func (s *Stream) carry() (Status, error) {
	k := s.call
	a, err := k.send(content{stream: s.out})
	if err != nil {
		return Status{}, err
	}
	defer a.body.Close()
	if status, refused := refusal(a); refused {
		s.deliver(Header{&a.header})
		return status, nil
	}
	trailer := &a.header // of a response that has nothing else
	if !a.header.Has("grpc-status") {
		s.deliver(Header{&a.header})
		if err := s.messages(a.body); err != nil {
			return Status{}, err
		}
		trailer = a.trailer()
	}
	s.deliver(Trailer{trailer})
	return statusOf(trailer)
}

func (s *Stream) messages(body io.Reader) error {
	for {
		message, err := readMessage(body, s.call.client.config.ResponseBytes)
		if err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		s.deliver(Message{message})
	}
}
