// Package outbound makes the calls that policies make of themselves, to what the
// manifest grants them and nothing else.
//
// A Client belongs to one policy. It calls origins over connections of its own,
// whose addresses are checked at the moment they are dialled, and upstreams of
// the manifest by way of whoever runs them. Do asks for one response; Stream
// speaks gRPC in both directions. All of it is bounded: bytes, time, how many
// calls are under way.
package outbound

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/ergoproxy/ergo/host/exchange"
)

// Config says what one policy may call, and how much.
type Config struct {
	Policy    string   // its name, for errors and traces
	Hosts     []string // origins: "https://idp.example.com", "http://127.0.0.1:9000", "https://*.example.com"
	Upstreams []string // by their names in the manifest
	Methods   []string
	Internal  []netip.Prefix // networks that may be called although they are special

	CA string // PEM file of authorities; empty: the system's

	RequestBytes, ResponseBytes int64         // bounds of bodies; of a stream, of what waits to be sent and of one message
	Timeout                     time.Duration // of a call, all of it; of a stream only if its request asks for one
	Concurrent                  int           // calls and streams under way; one more is Busy
}

// Options are what a client works with. All may be zero.
type Options struct {
	Upstreams Upstreams     // nil: there are none
	Meter     Meter         // nil: nothing is counted
	Resolver  *net.Resolver // nil: net.DefaultResolver
}

// Upstreams has exchanges answered by the upstreams of whatever generation runs.
type Upstreams interface {
	// Forward sends x.Request to the upstream of that name and makes its answer
	// x.Response, whose body ends the stay when it is read to its end or closed. On
	// a failure there is nothing to close.
	Forward(x *exchange.Exchange, name string) *exchange.Failure
}

// Meter counts calls. It is safe for concurrent use.
type Meter interface {
	Begin()
	// End is told of each call that began; failure is nil if there was a response.
	End(elapsed time.Duration, failure *Error)
	Close()
}

// Client makes the calls of one policy. It is safe for concurrent use.
type Client struct {
	config    Config
	allowed   allowed
	addresses addresses
	upstreams Upstreams
	meter     Meter
	places    chan struct{} // taken by calls under way
	numbered  atomic.Uint32

	roots    *x509.CertPool  // nil: the system's
	rootsErr error           // they cannot be read: no origin is called
	secure   *http.Transport // HTTP/2 by ALPN on https, HTTP/1.1 on http
	plain2   *http.Transport // HTTP/2 with prior knowledge, for gRPC on http

	mu      sync.Mutex // guards closed against running.Add
	closed  bool
	running sync.WaitGroup
	ended   context.Context // once the client is closed
	end     context.CancelCauseFunc
}

// New returns a client; its user closes it.
func New(config Config, options Options) *Client {
	c := &Client{
		config:    config,
		allowed:   allow(&config),
		addresses: addresses{config.Internal},
		upstreams: options.Upstreams,
		meter:     options.Meter,
		places:    make(chan struct{}, config.Concurrent),
	}
	if c.meter == nil {
		c.meter = noMeter{}
	}
	c.ended, c.end = context.WithCancelCause(context.Background())
	c.roots, c.rootsErr = readCA(config.CA)
	c.secure = newTransport(c, options.Resolver)
	c.secure.Protocols.SetHTTP1(true)
	c.secure.Protocols.SetHTTP2(true)
	c.plain2 = newTransport(c, options.Resolver)
	c.plain2.Protocols.SetUnencryptedHTTP2(true)
	return c
}

type noMeter struct{}

func (noMeter) Begin()                    {}
func (noMeter) End(time.Duration, *Error) {}
func (noMeter) Close()                    {}

// Check returns why a request cannot be made, as far as it is known without
// making it: an *Error of kind NotGranted, BadRequest or Refused; else nil.
func (c *Client) Check(method, url string) error {
	_, err := c.check(method, url)
	if err != nil {
		return err
	}
	return nil
}

// Number returns a number, never 0, that no call of the policy has been given: what
// a guest knows it by. Instances are clones of each other, so that numbers of their
// own would be known to others, too.
func (c *Client) Number() uint32 {
	for {
		if n := c.numbered.Add(1); n != 0 {
			return n
		}
	}
}

// MaxRequest is how many bytes a request's body may have.
func (c *Client) MaxRequest() int64 { return c.config.RequestBytes }

func (c *Client) check(method, url string) (target, *Error) {
	t, err := parseTarget(url)
	if err != nil {
		return t, c.failure(&t, BadRequest, err)
	}
	if !exchange.ValidName(method) {
		return t, c.failure(&t, BadRequest, errMethod)
	}
	if err := c.allowed.check(&t, method); err != nil {
		return t, c.failure(&t, NotGranted, err)
	}
	if addr, err := netip.ParseAddr(t.url.Hostname()); err == nil && t.upstream == "" {
		if err := c.addresses.check(addr); err != nil {
			return t, c.failure(&t, Refused, err)
		}
	}
	return t, nil
}

func (c *Client) failure(t *target, kind Kind, err error) *Error {
	return &Error{Kind: kind, Policy: c.config.Policy, Target: t.name(), Err: err}
}

// Close ends all calls and waits until they have; later ones fail.
func (c *Client) Close() error {
	c.mu.Lock()
	again := c.closed
	c.closed = true
	c.mu.Unlock()
	if again {
		return nil
	}
	c.end(errClosed)
	c.running.Wait()
	c.secure.CloseIdleConnections()
	c.plain2.CloseIdleConnections()
	c.meter.Close()
	return nil
}

// enter takes a place for a call; leave gives it back.
func (c *Client) enter() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return errClosed
	}
	select {
	case c.places <- struct{}{}:
		c.running.Add(1)
		return nil
	default:
		return errBusy
	}
}

func (c *Client) leave() {
	<-c.places
	c.running.Done()
}

// Do makes a call and returns its response, of whatever status. Redirects are
// not followed. The error is an *Error.
func (c *Client) Do(ctx context.Context, r *Request) (*Response, error) {
	call, failure := c.begin(ctx, r, c.timeout(r))
	if failure != nil {
		return nil, failure
	}
	defer c.leave()
	return call.do()
}

// Go is Do for who does not wait: done is told of the response, once, on a
// goroutine of the client's. What is wrong with the request, and that too many
// calls are under way, Go returns instead. ctx ends the call.
func (c *Client) Go(ctx context.Context, r *Request, done func(*Response, error)) error {
	call, failure := c.begin(ctx, r, c.timeout(r))
	if failure != nil {
		return failure
	}
	go func() {
		defer c.leave()
		done(call.do())
	}()
	return nil
}

// Send is Go for who wants no response: what is answered is read up to the client's
// bound, and dropped. Nothing of ctx counts but the trace that it carries; the call
// ends by its timeout, or with the client.
func (c *Client) Send(ctx context.Context, r *Request) error {
	apart := trace.ContextWithSpan(context.Background(), trace.SpanFromContext(ctx))
	call, failure := c.begin(apart, r, c.timeout(r))
	if failure != nil {
		return failure
	}
	go func() {
		defer c.leave()
		call.end(call.drop())
	}()
	return nil
}

// timeout is the bound of a whole call.
func (c *Client) timeout(r *Request) time.Duration {
	if r.Timeout > 0 && r.Timeout < c.config.Timeout {
		return r.Timeout
	}
	return c.config.Timeout
}

var errNoUpstreams = errors.New("there are no upstreams here")
