// Package exchange holds the message that every policy acts on: one request
// and its response on their way through the host, with nothing in it of the
// wire they came by.
//
// An Exchange belongs to one goroutine at a time. The only part that another
// goroutine may use meanwhile is the request's body, which a transport may read
// while the response is already on its way.
package exchange

import (
	"context"
	"io"
	"net/netip"
	"slices"
	"time"
)

// Version is the HTTP version of a message: major times ten plus minor.
type Version uint8

// The versions that the host speaks.
const (
	HTTP10 Version = 10
	HTTP11 Version = 11
	HTTP2  Version = 20
	HTTP3  Version = 30
)

// String returns the name as it stands on the wire, such as "HTTP/1.1".
func (v Version) String() string {
	switch v {
	case HTTP10:
		return "HTTP/1.0"
	case HTTP11:
		return "HTTP/1.1"
	case HTTP2:
		return "HTTP/2.0"
	case HTTP3:
		return "HTTP/3.0"
	}
	return "HTTP/?"
}

// UnknownLength says that a body's length is known only at its end.
const UnknownLength int64 = -1

// Request is the message from the client, as policies may change it before it
// is sent on.
type Request struct {
	Method    string  // case-sensitive token (RFC 9110, 9.1)
	Scheme    string  // "http" or "https": how the client reached the host
	Authority string  // host and optional port (Host or :authority); not in Header
	Target    string  // encoded path and query, beginning with "/", or "*"
	Version   Version // of the client's message
	// Header has the end-to-end fields in the client's order. A Content-Length
	// among them is there to be read: what frames the message is Length alone.
	Header Header
	// Trailer is complete once Body has returned io.EOF. Before, it holds the
	// names that were announced, with empty values.
	Trailer Header

	// Body is nil when the request has none. Length is its size in bytes,
	// UnknownLength when it is not told in advance, 0 when Body is nil.
	Body   io.ReadCloser
	Length int64

	// Upgrade is the protocol that the client asks to switch to (RFC 9110, 7.8),
	// such as "websocket"; empty for an ordinary request.
	Upgrade string
}

// RequestLine is the part of a request that says what is wanted.
type RequestLine struct{ Method, Authority, Target string }

// Line returns the request's line.
func (r *Request) Line() RequestLine { return RequestLine{r.Method, r.Authority, r.Target} }

// Response is the message to the client: from the upstream, or from the policy
// or host that answered.
type Response struct {
	Status  int     // 0 while there is no response; then 200 to 599, or 101
	Version Version // of the upstream's message; 0 if it was made here
	Header  Header  // as in Request
	Trailer Header  // as in Request

	// Body is nil when the response has none; Length as in Request. A response
	// to HEAD keeps the Length that GET would have had.
	Body   io.ReadCloser
	Length int64

	// Tunnel is the upstream's side of a connection that switched protocols
	// (Status 101); nil otherwise. Whoever sends the response joins it to the
	// client's connection and closes it.
	Tunnel io.ReadWriteCloser
}

// Endpoint says where an exchange has been sent.
type Endpoint struct {
	// Conn is the connection of the last try; nil if there was none: no try has come
	// so far, or the endpoint is not reached by one.
	Conn  *Conn
	Tries int // so far, at all endpoints
}

// MaxFallbacks is how many upstreams may stand in for another.
const MaxFallbacks = 4

// Route says where an exchange goes. Policies set it by way of ergo_route;
// zero fields leave the choice to the manifest.
type Route struct {
	Upstream string // name of an upstream in the manifest
	// Fallbacks are upstreams to take in its place, the first that can, while it has
	// no endpoint that could; those that are not given are at the end, and empty.
	Fallbacks [MaxFallbacks]string
	HashKey   string        // what a hashing balancer hashes
	Timeout   time.Duration // for the whole stay at the upstream
	Retries   int           // how many further tries; meaningful if RetriesSet
	// RetriesSet tells Retries 0, "no retry", from "not chosen".
	RetriesSet bool
	Sent       bool // the request went on; the route is decided
}

// Upstreams tells which upstreams a route may name.
type Upstreams interface{ HasUpstream(name string) bool }

// Sink is the client's side of an exchange. A server implements it for its
// wire; calls come from the goroutine that carries the exchange.
type Sink interface {
	// Inform passes on an informational response (1xx but 101) at once. Status
	// 100 is sent by the server itself when the body is first read.
	Inform(status int, h *Header) error
	// Send writes the exchange's response to the last byte of its body, trailers
	// included, or, for status 101, joins both connections until both directions
	// have ended. It closes the body and the tunnel. The error says who broke:
	// *SendError with Upstream set if the response's body could not be read.
	Send(x *Exchange) error
}

// Interrupter is a Sink that can end a read of the request's body that another
// goroutine is in the middle of. It fails with a BodyError of
// os.ErrDeadlineExceeded then, and so do later ones.
type Interrupter interface{ InterruptBody() }

// SendError says that a response could not be sent to its last byte.
type SendError struct {
	Upstream bool // reading the response failed, not writing it
	Err      error
}

func (e *SendError) Error() string {
	if e.Upstream {
		return "read response body: " + e.Err.Error()
	}
	return "write response: " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *SendError) Unwrap() error { return e.Err }

// Note is a field that the host or a policy adds to an exchange's access-log
// line.
type Note struct{ Key, Value string }

// Exchange is one request and its response on their way through the host.
type Exchange struct {
	Request  Request
	Response Response
	Conn     *Conn
	Sink     Sink

	// Received is what the client asked for, before policies changed anything: for
	// logs, and for what the upstream is told of the client.
	Received RequestLine

	ID       string     // request id: the client's if trusted and sound, else made here
	ClientIP netip.Addr // behind trusted proxies the client that they name, else Conn.Remote
	// ClientScheme is "http" or "https": what the client came by. Behind trusted proxies it
	// is what they tell, else Request.Scheme as it was before policies.
	ClientScheme string
	Began        time.Duration // when the request's head was complete, on Clock
	Route        Route
	Endpoint     Endpoint // that Route led to
	Notes        []Note   // at most MaxNotes

	Properties []Property // that policies have set; see SetProperty
	Identity   Identity   // of the client, as policies established it; see Identify

	Generation uint64    // that carries the exchange
	Upstreams  Upstreams // of that generation; nil before it is pinned
	Failure    *Failure  // why Response is the host's own error; nil otherwise
	AnsweredBy string    // the policy that answered; empty if the upstream did
	Sampled    bool      // a trace is recorded: Context carries the span to begin others under

	// Repeater repeats the request; nil where nobody can. Repeated says that this is such
	// a repetition, whose response nobody gets.
	Repeater Repeater
	Repeated bool

	// RequestBytes and ResponseBytes count body bytes received from and sent to
	// the client; final after Send.
	RequestBytes, ResponseBytes int64

	// Arena has the text that was made for the exchange. Fields, targets and other
	// text of an exchange may be views of it or of what was received: all of that
	// ends with the exchange, and who keeps some longer clones it.
	Arena Arena

	// Now is what Clock said when the exchange's carrier last came back from where
	// time passes: the client, a policy, an upstream. Who comes from there calls
	// Lap, and what is timed in between reads no clock.
	Now time.Duration

	life *Life
	ctx  context.Context // life with values, such as a span; nil: life itself

	atReset []Releaser
}

// Repeater is who carries an exchange, and can do so once more.
type Repeater interface {
	// Repeat has a copy of the request, as it is now, carried in the background: by the same generation, from the policy on that has the exchange at hand
	// in a request phase, that one included. Nobody gets the response, which passes back
	// through the same policies to its last byte. done is called at the end, whatever that
	// was. It reports false, and does nothing, if there are too many already, if no policy
	// has the request at hand, or if it has a body or wants another protocol.
	Repeat(done func()) bool
}

// Releaser holds what an exchange's text and bodies may be views of: memory that
// is to be used again once nobody looks at the exchange any more.
type Releaser interface{ Release() }

// MaxNotes bounds Notes, so that a policy can't grow a log line without end.
const MaxNotes = 32

// Lap reads the clock.
func (x *Exchange) Lap() time.Duration {
	x.Now = Clock()
	return x.Now
}

// Begun returns when the request's head was complete, to be shown to people.
func (x *Exchange) Begun() time.Time {
	return time.Now().Add(x.Began - Clock())
}

// Life returns how long the exchange may go on. It is never nil.
func (x *Exchange) Life() *Life {
	if x.life == nil {
		x.life = new(Life)
	}
	return x.life
}

// Begin makes l the life of the exchange.
func (x *Exchange) Begin(l *Life) { x.life, x.ctx = l, nil }

// Context is Life, with the values that SetContext added: it ends when the
// client goes away or a deadline of the exchange passes. It is never nil.
func (x *Exchange) Context() context.Context {
	if x.ctx == nil {
		return x.Life()
	}
	return x.ctx
}

// SetContext replaces the context, which should be derived from the one there
// is. Of any other one the exchange gets a new life.
func (x *Exchange) SetContext(ctx context.Context) {
	switch l := LifeOf(ctx); {
	case l == nil || l != x.life:
		x.Begin(NewLife(ctx))
	case ctx == context.Context(l):
		x.ctx = nil
	default:
		x.ctx = ctx
	}
}

// OnReset has Reset call r.Release first, once, the latest addition before earlier
// ones. An exchange that is never reset leaves its memory to the collector.
func (x *Exchange) OnReset(r Releaser) { x.atReset = append(x.atReset, r) }

// Reset makes the exchange ready for the next one of the same connection, with
// the memory that it has. Its text, and whatever reads its bodies, must not be
// used any more.
func (x *Exchange) Reset() {
	for _, r := range slices.Backward(x.atReset) {
		r.Release()
	}
	clear(x.atReset)
	x.atReset = x.atReset[:0]
	clear(x.Notes)
	x.Notes = x.Notes[:0]
	clear(x.Properties)
	x.Properties = x.Properties[:0]
	x.Identity.Reset()
	x.Request.reset()
	x.Response.Reset()
	x.Received = RequestLine{}
	x.ID, x.ClientIP, x.ClientScheme = "", netip.Addr{}, ""
	x.Began, x.Now, x.Route, x.Endpoint = 0, 0, Route{}, Endpoint{}
	x.Generation, x.Upstreams, x.Failure, x.AnsweredBy, x.Sampled = 0, nil, nil, "", false
	x.Repeater, x.Repeated = nil, false
	x.RequestBytes, x.ResponseBytes = 0, 0
	x.Arena.Reset()
	if x.ctx = nil; x.life != nil {
		x.life = x.life.Next()
	}
}

func (r *Request) reset() {
	r.Method, r.Scheme, r.Authority, r.Target, r.Version = "", "", "", "", 0
	r.Header.Reset()
	r.Trailer.Reset()
	r.Body, r.Length, r.Upgrade = nil, 0, ""
}

// Reset makes it no response, with the memory that it has.
func (r *Response) Reset() {
	r.Status, r.Version = 0, 0
	r.Header.Reset()
	r.Trailer.Reset()
	r.Body, r.Length, r.Tunnel = nil, 0, nil
}

// ReadWithin has reads of the request's body fail once the context ends, until
// stop is called: for those who wait for the client before there is an upstream.
func (x *Exchange) ReadWithin() (stop func() bool) {
	if sink, ok := x.Sink.(Interrupter); ok {
		return context.AfterFunc(x.Context(), sink.InterruptBody)
	}
	return func() bool { return true }
}

// Annotate adds a note; past MaxNotes it does nothing.
func (x *Exchange) Annotate(key, value string) {
	if len(x.Notes) < MaxNotes {
		x.Notes = append(x.Notes, Note{key, value})
	}
}
