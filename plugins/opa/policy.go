package main

import (
	"context"
	"errors"
	"io"
	"log"
	"strings"
	"sync/atomic"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/ergoproxy/ergo/sdk/plugin"
)

// policy decides on requests by the rules that it has at the time.
type policy struct {
	config *config
	input  *inputMaker
	log    *decisionLog
	source *source // nil: the rules stand in the configuration
	now    func() time.Time

	rules     atomic.Pointer[rules] // nil: there are none yet
	confirmed atomic.Int64          // when the source last said that they are current, in Unix nanoseconds
}

var (
	_ plugin.RequestHandler     = (*policy)(nil)
	_ plugin.Starter            = (*policy)(nil)
	_ plugin.RequestBodyHandler = (*bodyDecider)(nil)
	_ plugin.ResponseHandler    = (*responder)(nil)
)

func newPolicy(c *config, l *decisionLog, out io.Writer) (*policy, error) {
	input, err := newInputMaker(&c.Input)
	if err != nil {
		return nil, err
	}
	p := &policy{config: c, input: input, log: l, now: time.Now}
	if c.Bundle != nil {
		p.source = &source{config: c.Bundle, decision: c.decision, use: p.use, tell: log.New(out, "", 0).Printf, now: time.Now}
		return p, nil
	}
	r, err := inline(c.Policy, c.Data, c.decision)
	if err != nil {
		return nil, err
	}
	p.rules.Store(r)
	return p, nil
}

// Start follows plugin.Starter: it brings the bundle, and keeps it current.
func (p *policy) Start(ctx context.Context, h *plugin.Host) error {
	if p.source == nil {
		return nil
	}
	p.source.fetch, p.source.count = h.Fetch, h.Measure
	return p.source.start(ctx)
}

// use takes rules up, or keeps those it has if r is nil, which were current at a time.
func (p *policy) use(r *rules, current time.Time) {
	if r != nil {
		p.rules.Store(r)
	}
	p.confirmed.Store(current.UnixNano())
}

// inForce returns the rules that decide now, nil if there are none.
func (p *policy) inForce() *rules {
	r := p.rules.Load()
	if p.source == nil || p.source.config.MaxAge == 0 {
		return r
	}
	if p.now().Sub(time.Unix(0, p.confirmed.Load())) > p.source.config.MaxAge.D() {
		return nil
	}
	return r
}

// OnRequest follows plugin.RequestHandler.
func (p *policy) OnRequest(ctx context.Context, x *plugin.Exchange) error {
	x.Hold(0)
	p.judge(ctx, x, nil)
	return nil
}

// bodyDecider decides when it has the body, which there always is, if only an empty one.
type bodyDecider struct{ *policy }

// OnRequest follows plugin.RequestHandler.
func (b *bodyDecider) OnRequest(context.Context, *plugin.Exchange) error { return nil }

// OnRequestBody follows plugin.RequestBodyHandler.
func (b *bodyDecider) OnRequestBody(ctx context.Context, x *plugin.Exchange, body []byte) error {
	document, err := readBody(x.Request.Header.Get("content-type"), body)
	if err != nil {
		refuse(x, 400, errBody.Error())
		return nil
	}
	b.judge(ctx, x, document)
	return nil
}

// responder also sets fields of the response.
type responder struct{ *policy }

// OnResponse follows plugin.ResponseHandler.
func (r *responder) OnResponse(_ context.Context, x *plugin.Exchange) error {
	d, decided := x.Value.(*decision)
	if !decided {
		return nil
	}
	for _, f := range d.response {
		x.Response.Header.Del(f.Name)
	}
	for _, f := range d.response {
		x.Response.Header.Add(f.Name, f.Value)
	}
	return nil
}

// bodyResponder is both.
type bodyResponder struct {
	*bodyDecider
	answers *responder
}

// OnResponse follows plugin.ResponseHandler.
func (b *bodyResponder) OnResponse(ctx context.Context, x *plugin.Exchange) error {
	return b.answers.OnResponse(ctx, x)
}

// judge has the rules decide on a request, and does what they say. Whatever is in their way
// refuses it.
func (p *policy) judge(ctx context.Context, x *plugin.Exchange, body *ast.Term) {
	p.strip(&x.Request.Header)
	r := p.inForce()
	if r == nil {
		unavailable(x)
		return
	}
	input, err := p.input.input(&x.Request, body)
	if err != nil {
		refuse(x, 400, err.Error())
		return
	}
	entry := &record{path: p.config.decision, revision: r.revision, request: x.Request.ID, input: input, began: p.now()}
	d, err := p.decide(ctx, r, entry)
	entry.allow, entry.err = d.allow && err == nil, err
	if id := p.log.write(entry); id != "" {
		x.Annotate("decision", id)
	}
	x.Measure(plugin.Count(outcome(&d, err), 1), plugin.Observe("evaluation_microseconds", entry.took.Microseconds()))
	switch {
	case errors.Is(err, errUndefined):
		refuse(x, 403, "forbidden")
	case errors.Is(err, context.DeadlineExceeded):
		unavailable(x)
	case err != nil:
		refuse(x, 500, "it can't be decided whether this is allowed")
	case d.allow:
		pass(x, &d)
	default:
		d.answer(x)
	}
}

// outcome names the metric that counts a decision.
func outcome(d *decision, err error) string {
	switch {
	case err != nil && !errors.Is(err, errUndefined):
		return "decisions_failed"
	case d.allow:
		return "decisions_allowed"
	}
	return "decisions_refused"
}

// decide evaluates the rules and reads what they decide.
func (p *policy) decide(ctx context.Context, r *rules, entry *record) (decision, error) {
	ctx, cancel := context.WithTimeout(ctx, p.config.Timeout.D())
	defer cancel()
	began := time.Now()
	v, err := r.decide(ctx, entry.input)
	entry.took = time.Since(began)
	if err != nil {
		return decision{}, err
	}
	entry.result = v
	d, err := readDecision(v)
	if err == nil && d.allow {
		err = p.mayPass(&d)
	}
	return d, err
}

// mayPass refuses decisions that set what the configuration does not foresee.
func (p *policy) mayPass(d *decision) error {
	for _, f := range d.headers {
		if !owns(p.config.UpstreamHeaders, f.Name) {
			return badDecision("headers.%s: it is not among upstream_headers", f.Name)
		}
	}
	if len(d.response) > 0 && !p.config.ResponseHeaders {
		return badDecision("response_headers: the configuration has response_headers = false")
	}
	return nil
}

// strip removes what clients say in fields that only decisions may set, also by names that
// applications take for them.
func (p *policy) strip(h *plugin.Header) {
	var remove []string
	for _, f := range h.Fields() {
		if owns(p.config.UpstreamHeaders, f.Name) {
			remove = append(remove, f.Name)
		}
	}
	for _, name := range remove {
		h.Del(name)
	}
}

// owns reports whether a name is one of the list; "_" counts as "-".
func owns(list []string, name string) bool {
	for _, owned := range list {
		if len(owned) == len(name) && strings.EqualFold(strings.ReplaceAll(owned, "_", "-"), strings.ReplaceAll(name, "_", "-")) {
			return true
		}
	}
	return false
}

func pass(x *plugin.Exchange, d *decision) {
	for _, name := range d.remove {
		x.Request.Header.Del(name)
	}
	for _, f := range d.headers {
		x.Request.Header.Add(f.Name, f.Value) // what the client had is gone
	}
	if d.subject != "" {
		x.Identify(d.subject, "opa", d.facts...)
	}
	x.Value = d
}

// answer refuses a request as the rules say.
func (d *decision) answer(x *plugin.Exchange) {
	body, kind := d.body, "text/plain; charset=utf-8"
	if d.isJSON {
		kind = "application/json"
	}
	if body == nil && d.status >= 400 {
		body = []byte("forbidden\n")
	}
	fields := d.headers
	if len(body) > 0 {
		fields = orElse(fields, "content-type", kind)
	}
	x.Answer(d.status, orElse(fields, "cache-control", "no-store"), body)
}

func orElse(fields []plugin.Field, name, value string) []plugin.Field {
	for _, f := range fields {
		if strings.EqualFold(f.Name, name) {
			return fields
		}
	}
	return append(fields, plugin.Field{Name: name, Value: value})
}

// refuse answers in the policy's own words.
func refuse(x *plugin.Exchange, status int, why string, fields ...plugin.Field) {
	fields = orElse(orElse(fields, "content-type", "text/plain; charset=utf-8"), "cache-control", "no-store")
	x.Answer(status, fields, []byte(why+"\n"))
}

func unavailable(x *plugin.Exchange) {
	refuse(x, 503, "nobody can say now whether this is allowed", plugin.Field{Name: "retry-after", Value: "5"})
}
