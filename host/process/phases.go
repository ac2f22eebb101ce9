package process

import (
	"io"
	"strings"

	"go.opentelemetry.io/otel/propagation"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/sdk/plugin/pluginpb"
)

// OnRequestHead follows policy.RequestHead.
func (p *Policy) OnRequestHead(i policy.Instance, x *exchange.Exchange) (policy.Verdict, error) {
	if !p.contract.Request {
		return policy.Continue, nil
	}
	v := i.(*visit)
	done, err := v.ask(p.request(x), nil)
	if err != nil {
		return policy.Continue, err
	}
	if done.Answer != nil {
		return policy.Answer, p.answer(x, done)
	}
	if err := p.changeRequest(x, done); err != nil {
		return policy.Continue, err
	}
	v.requestBound = boundOf(done)
	if r := &x.Request; done.Stream && p.needs.RequestBody.Mode == manifest.BodyStream && r.Body != nil {
		r.Body = &passingBody{visit: v, from: r.Body, event: requestChunk}
		setLength(&r.Header, &r.Length, exchange.UnknownLength)
	}
	return policy.Continue, nil
}

// OnRequestBody follows policy.RequestBody.
func (p *Policy) OnRequestBody(i policy.Instance, x *exchange.Exchange) (policy.Verdict, error) {
	if !p.contract.Request {
		return policy.Continue, nil
	}
	held := x.Request.Body.(*exchange.Buffered)
	v := i.(*visit)
	done, err := v.show(held.Bytes(), v.requestBound, requestChunk)
	if err != nil {
		return policy.Continue, err
	}
	if done.Answer != nil {
		return policy.Answer, p.answer(x, done)
	}
	if err := p.changeRequest(x, done); err != nil {
		return policy.Continue, err
	}
	return policy.Continue, p.replace(done, held, &x.Request.Body, &x.Request.Header, &x.Request.Length)
}

// OnResponseHead follows policy.ResponseHead.
func (p *Policy) OnResponseHead(i policy.Instance, x *exchange.Exchange) error {
	_, err := p.onResponse(i.(*visit), x)
	return err
}

// OnFailure follows policy.Failure.
func (p *Policy) OnFailure(i policy.Instance, x *exchange.Exchange) (policy.Verdict, error) {
	answered, err := p.onResponse(i.(*visit), x)
	if answered && err == nil {
		return policy.Answer, nil
	}
	return policy.Continue, err
}

// onResponse shows the head of the response, or of the host's own in a failed exchange.
func (p *Policy) onResponse(v *visit, x *exchange.Exchange) (answered bool, err error) {
	failure := x.Failure != nil && p.contract.Failure
	if !p.contract.Response && !failure {
		return false, nil
	}
	r := &x.Response
	streams := p.needs.ResponseBody.Mode == manifest.BodyStream && r.Body != nil && r.Status != 101
	event := &pluginpb.Response{
		Status: uint32(r.Status), Fields: p.fields(&r.Header), Failure: failure,
		Body: streams || held(p.needs.ResponseBody.Mode) && r.Body != nil && !r.Endless(),
	}
	done, err := v.ask(&pluginpb.HostEvent{Event: &pluginpb.HostEvent_Response{Response: event}}, nil)
	if err != nil {
		return false, err
	}
	if done.Answer != nil && r.Status != 101 {
		return true, p.answer(x, done)
	}
	if err := p.changeResponse(x, done); err != nil {
		return false, err
	}
	v.responseBound = boundOf(done)
	if done.Stream && streams && x.Request.Method != "HEAD" {
		r.Body = &passingBody{visit: v, from: r.Body, event: responseChunk, response: true}
		setLength(&r.Header, &r.Length, exchange.UnknownLength)
	}
	return false, nil
}

// OnResponseBody follows policy.ResponseBody.
func (p *Policy) OnResponseBody(i policy.Instance, x *exchange.Exchange) error {
	r := &x.Response
	if !p.contract.Response {
		return nil
	}
	held := r.Body.(*exchange.Buffered)
	v := i.(*visit)
	done, err := v.show(held.Bytes(), v.responseBound, responseChunk)
	if err != nil {
		return err
	}
	if done.Answer != nil {
		return p.answer(x, done)
	}
	if err := p.changeResponse(x, done); err != nil {
		return err
	}
	return p.replace(done, held, &r.Body, &r.Header, &r.Length)
}

// RequestBound follows policy.BodyBound.
func (p *Policy) RequestBound(i policy.Instance) int64 { return i.(*visit).requestBound }

// ResponseBound follows policy.BodyBound.
func (p *Policy) ResponseBound(i policy.Instance) int64 { return i.(*visit).responseBound }

// boundOf is what a policy that has seen a head wants of the body.
func boundOf(done *pluginpb.Done) int64 {
	if done.Hold == nil {
		return unbound
	}
	return int64(min(*done.Hold, unbound))
}

// held reports whether bodies of a mode are brought into memory.
func held(mode manifest.BodyMode) bool {
	return mode == manifest.BodyPeek || mode == manifest.BodyBuffer
}

// BodyFault follows policy.BodyFault.
func (p *Policy) BodyFault(i policy.Instance) error { return i.(*visit).fault }

// trailing is a policy that sees trailers: for others nobody watches a body's end.
type trailing struct{ *Policy }

var _ policy.Trailers = trailing{}

// OnTrailers follows policy.Trailers.
func (t trailing) OnTrailers(i policy.Instance, x *exchange.Exchange) error {
	fields := t.fields(&x.Response.Trailer)
	done, err := i.(*visit).ask(&pluginpb.HostEvent{Event: &pluginpb.HostEvent_Trailers{Trailers: fields}}, nil)
	if err != nil {
		return err
	}
	if err := t.changeFields(&x.Response.Trailer, done); err != nil {
		return err
	}
	return t.besides(x, done)
}

// head is the head of a request as it travels, as one allocation.
type head struct {
	event   pluginpb.HostEvent
	one     pluginpb.HostEvent_Request
	request pluginpb.Request
}

// request makes the event of a request. It holds nothing of the exchange's, which may be over, given up,
// before it is sent.
func (p *Policy) request(x *exchange.Exchange) *pluginpb.HostEvent {
	r, head := &x.Request, new(head)
	head.event.Event, head.one.Request = &head.one, &head.request
	event := &head.request
	event.Fields = p.fields(&r.Header)
	event.Body = r.Body != nil && p.needs.RequestBody.Mode != manifest.BodyNone
	event.Protocol = r.Version.String()
	if p.grants[grantIdentity] {
		addIdentity(event, x)
	}
	if x.Sampled {
		carrier := propagation.MapCarrier{}
		propagation.TraceContext{}.Inject(x.Context(), carrier)
		event.Traceparent = carrier["traceparent"]
	}
	var address [maxAddress]byte
	client := address[:0]
	if x.ClientIP.IsValid() {
		client = x.ClientIP.Unmap().AppendTo(client)
	}
	parts := [...]string{r.Method, r.Scheme, r.Authority, r.Target, x.ID}
	var text strings.Builder
	size := len(client)
	for _, part := range parts {
		size += len(part)
	}
	text.Grow(size)
	for _, part := range parts {
		text.WriteString(part)
	}
	text.Write(client)
	rest := text.String()
	for n, to := range [...]*string{&event.Method, &event.Scheme, &event.Authority, &event.Target, &event.Id} {
		*to, rest = rest[:len(parts[n])], rest[len(parts[n]):]
	}
	event.Client = rest
	return &head.event
}

// addIdentity tells who the client is, as earlier policies established it.
func addIdentity(event *pluginpb.Request, x *exchange.Exchange) {
	event.Subject, event.IdentifiedBy = strings.Clone(x.Identity.Subject), strings.Clone(x.Identity.Method)
	for _, a := range x.Identity.Attributes {
		event.Attributes = append(event.Attributes, &pluginpb.Note{Name: strings.Clone(a.Name), Value: strings.Clone(a.Value)})
	}
}

// maxAddress is the length of the longest address in text, with a short zone.
const maxAddress = 64

// fields packs those that the policy asks for.
func (p *Policy) fields(h *exchange.Header) []byte {
	to := make([]byte, 0, h.Size())
	for _, f := range h.Fields() {
		if p.wants(f.Name) {
			to = appendField(to, f)
		}
	}
	return to
}

// pack packs all fields.
func pack(h *exchange.Header) []byte {
	packed := make([]byte, 0, h.Size())
	for _, f := range h.Fields() {
		packed = appendField(packed, f)
	}
	return packed
}

func appendField(to []byte, f exchange.Field) []byte {
	to = append(append(to, f.Name...), 0)
	return append(append(to, f.Value...), 0)
}

func (p *Policy) wants(name string) bool {
	if len(p.contract.Fields) == 0 {
		return true
	}
	for _, wanted := range p.contract.Fields {
		if exchange.EqualFold(wanted, name) {
			return true
		}
	}
	return false
}

// maxChunk is the largest part of a body in one event.
const maxChunk = 64 << 10

// chunkEvent makes the event of a part of a body.
type chunkEvent func(*pluginpb.Chunk) *pluginpb.HostEvent

func requestChunk(c *pluginpb.Chunk) *pluginpb.HostEvent {
	return &pluginpb.HostEvent{Event: &pluginpb.HostEvent_RequestBody{RequestBody: c}}
}

func responseChunk(c *pluginpb.Chunk) *pluginpb.HostEvent {
	return &pluginpb.HostEvent{Event: &pluginpb.HostEvent_ResponseBody{ResponseBody: c}}
}

// show shows the process what it wants of a body that is held, a part when it is done with
// the one before.
func (v *visit) show(body []byte, bound int64, event chunkEvent) (*pluginpb.Done, error) {
	body = body[:min(int64(len(body)), bound)]
	for {
		n := min(len(body), maxChunk)
		c := &pluginpb.Chunk{Data: body[:n], Last: n == len(body)}
		done, err := v.ask(event(c), nil)
		if err != nil || c.Last {
			return done, err
		}
		body = body[n:]
	}
}

// passingBody has a body pass through the process while it is read. A part goes there when
// what came of the one before has been read.
type passingBody struct {
	visit    *visit
	from     io.ReadCloser
	event    chunkEvent
	response bool
	in, out  []byte
	ended    bool
	err      error
}

// Read follows io.Reader.
func (b *passingBody) Read(into []byte) (int, error) {
	for len(b.out) == 0 && b.err == nil && len(into) > 0 {
		if b.ended {
			b.err = io.EOF
			break
		}
		b.err = b.step()
	}
	n := copy(into, b.out)
	b.out = b.out[n:]
	if n > 0 {
		return n, nil
	}
	return 0, b.err
}

// step has the next part transformed.
func (b *passingBody) step() error {
	if b.in == nil {
		b.in = make([]byte, maxChunk)
	}
	n, err := b.from.Read(b.in)
	if err != nil && err != io.EOF {
		return err
	}
	b.ended = err == io.EOF
	if n == 0 && !b.ended {
		return nil
	}
	b.out = b.out[:0]
	c := &pluginpb.Chunk{Data: b.in[:n], Last: b.ended}
	done, err := b.visit.ask(b.event(c), &b.out)
	if err == nil {
		err = b.visit.policy.besides(b.visit.x, done)
	}
	if err != nil {
		b.visit.fault = err
		return &exchange.BodyError{Response: b.response, Err: err}
	}
	return nil
}

// Close follows io.Closer.
func (b *passingBody) Close() error { return b.from.Close() }
