package plugin

import (
	"strings"

	"github.com/ergoproxy/ergo/sdk/plugin/pluginpb"
)

// Exchange is one request and its response. It is used by one goroutine at a time,
// and ends with its context.
type Exchange struct {
	Host     // makes calls
	Request  Request
	Response Response // from the response phase on
	Trailers Header   // in OnTrailers
	// Value is the policy's own.
	Value any

	end       func() // ends the context
	done      *pluginpb.Done
	body      []byte    // what has come of one that is held
	transform Transform // of a body that streams
}

// Request is the message from the client. What is set in it is sent on.
type Request struct {
	Method, Scheme, Authority string
	Target                    string // path and query
	Header                    Header
	ID                        string  // of the exchange in logs
	Client                    string  // address, without port
	Subject                   string  // who the client is, as an earlier policy established it; "" if none did; takes ergo_identity
	IdentifiedBy              string  // that policy
	Attributes                []Field // what else is known of the subject
	TraceParent               string  // W3C Trace Context; "" if the exchange is not sampled
	Protocol                  string  // of the client's message, such as "HTTP/1.1"
	HasBody                   bool    // one follows, of which policy.toml asks for some

	sent line
}

// line is what the host has of a request's first line.
type line struct{ method, authority, target string }

// Path is Target without its query.
func (r *Request) Path() string {
	path, _, _ := strings.Cut(r.Target, "?")
	return path
}

// Response is the message to the client.
type Response struct {
	Status int
	Header Header
	// HasBody says that a body follows of which policy.toml asks for some. One that is to be
	// held and may have no end, such as an event stream, is none.
	HasBody bool

	sent int
}

// Answer makes a response in place of what would come, at the end of the method at hand. The
// status is from 200 to 599.
func (x *Exchange) Answer(status int, header []Field, body []byte) {
	x.done.Answer = &pluginpb.Answer{Status: uint32(status), Fields: encode(header), Body: body}
}

// ReplaceBody puts another body in the place of the one at hand, in a method that sees it whole.
func (x *Exchange) ReplaceBody(body []byte) {
	if body == nil {
		body = []byte{}
	}
	x.done.Body = body
}

// Hold bounds what is held and shown of the body that follows the head at hand, below what policy.toml
// asks for: with 0 nothing is, and OnRequestBody or OnResponseBody is not called.
func (x *Exchange) Hold(bytes int) {
	bound := uint64(max(0, bytes))
	x.done.Hold = &bound
}

// Route sends the request to an upstream of the manifest, and gives a hashing balancer
// what to hash; "" leaves either to others. It takes the grant ergo_route.
func (x *Exchange) Route(upstream, hashKey string) {
	x.done.Route = &pluginpb.Route{Upstream: upstream, HashKey: hashKey}
}

// Identify establishes who the client is, for later policies and the log. It takes the
// grant ergo_identify.
func (x *Exchange) Identify(subject, method string, attributes ...Field) {
	x.done.Identity = &pluginpb.Identity{Subject: subject, Method: method, Attributes: notes(attributes)}
}

// Annotate adds a field to the exchange's line in the access log. It takes the grant ergo_log.
func (x *Exchange) Annotate(name, value string) {
	x.done.Notes = append(x.done.Notes, &pluginpb.Note{Name: name, Value: value})
}

func notes(fields []Field) []*pluginpb.Note {
	list := make([]*pluginpb.Note, len(fields))
	for i, f := range fields {
		list[i] = &pluginpb.Note{Name: f.Name, Value: f.Value}
	}
	return list
}

func known(notes []*pluginpb.Note) []Field {
	list := make([]Field, len(notes))
	for i, n := range notes {
		list[i] = Field{n.Name, n.Value}
	}
	return list
}

// begin takes what came of a request.
func (x *Exchange) begin(r *pluginpb.Request) {
	x.Request = Request{
		Method: r.Method, Scheme: r.Scheme, Authority: r.Authority, Target: r.Target, Header: Header{fields: decode(r.Fields)},
		ID: r.Id, Client: r.Client, TraceParent: r.Traceparent,
		Subject: r.Subject, IdentifiedBy: r.IdentifiedBy, Attributes: known(r.Attributes),
		Protocol: r.Protocol, HasBody: r.Body,
		sent: line{r.Method, r.Authority, r.Target},
	}
}

// changesOf notes what a policy has changed in a header.
func (x *Exchange) changesOf(h *Header) {
	x.done.Remove, x.done.Add = h.removed, encode(h.added)
	h.settle()
}

// requestChanges notes what a policy has changed in the request.
func (x *Exchange) requestChanges() {
	r := &x.Request
	x.done.Method = differs(r.Method, &r.sent.method)
	x.done.Authority = differs(r.Authority, &r.sent.authority)
	x.done.Target = differs(r.Target, &r.sent.target)
	x.changesOf(&r.Header)
}

func differs(now string, sent *string) *string {
	if now == *sent {
		return nil
	}
	*sent = now
	return &now
}

// responseChanges notes what a policy has changed in the response.
func (x *Exchange) responseChanges() {
	r := &x.Response
	if r.Status != r.sent {
		x.done.Status, r.sent = uint32(r.Status), r.Status
	}
	x.changesOf(&r.Header)
}
