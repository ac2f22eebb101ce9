package main

import (
	"context"
	"errors"
	"mime"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/corazawaf/coraza/v3"
	"github.com/corazawaf/coraza/v3/types"

	"github.com/ergoproxy/ergo/sdk/plugin"
)

// firewall is the policy. It is safe for concurrent use.
type firewall struct {
	*config
	engine coraza.WAF
	turns  chan struct{} // taken while a large body is inspected
}

var (
	_ plugin.RequestHandler      = (*firewall)(nil)
	_ plugin.RequestBodyHandler  = (*firewall)(nil)
	_ plugin.ResponseHandler     = (*firewall)(nil)
	_ plugin.ResponseBodyHandler = (*firewall)(nil)
	_ plugin.FailureHandler      = (*firewall)(nil)
	_ plugin.DoneHandler         = (*firewall)(nil)
)

func newFirewall(text []byte) (*firewall, error) {
	c, err := newConfig(text)
	if err != nil {
		return nil, err
	}
	engine, err := newEngine(c)
	if err != nil {
		return nil, err
	}
	return &firewall{c, engine, make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2))}, nil
}

// errNoRequest says that the host has shown no request, without which there is nothing to
// judge a response by.
var errNoRequest = errors.New("its request was not inspected")

// OnRequest follows plugin.RequestHandler. A request without a body is done with here.
func (f *firewall) OnRequest(ctx context.Context, x *plugin.Exchange) error {
	i := f.begin(&x.Request)
	x.Value = i
	if stop := i.tx.ProcessRequestHeaders(); stop != nil {
		f.refuse(x, i, stop)
		return nil
	}
	if x.Request.HasBody && !f.isGRPC(&x.Request) {
		x.Hold(f.RequestBody.Limit + 1) // one more tells that it is larger
		return nil
	}
	x.Hold(0)
	return f.judge(ctx, x, i, i.requestBody, nil)
}

// OnRequestBody follows plugin.RequestBodyHandler.
func (f *firewall) OnRequestBody(ctx context.Context, x *plugin.Exchange, body []byte) error {
	i, ok := x.Value.(*inspection)
	if !ok {
		return errNoRequest
	}
	if len(body) > f.RequestBody.Limit {
		if f.blocks() && f.RequestBody.Over == "refuse" {
			f.note(x, i, tooLarge)
			answer(x, 413)
			return nil
		}
		x.Measure(plugin.Count("bodies_passed", 1))
		body = nil
	}
	return f.judge(ctx, x, i, i.requestBody, body)
}

// OnResponse follows plugin.ResponseHandler.
func (f *firewall) OnResponse(ctx context.Context, x *plugin.Exchange) error {
	i, ok := x.Value.(*inspection)
	if !ok {
		return errNoRequest
	}
	if stop := i.responseHead(&x.Response); stop != nil {
		f.refuse(x, i, stop)
		return nil
	}
	if x.Response.HasBody && f.looksAt(&x.Response) {
		x.Hold(f.ResponseBody.Limit)
		return nil
	}
	x.Hold(0)
	return f.conclude(ctx, x, i, nil)
}

// OnResponseBody follows plugin.ResponseBodyHandler. What others had held may be more.
func (f *firewall) OnResponseBody(ctx context.Context, x *plugin.Exchange, body []byte) error {
	i, ok := x.Value.(*inspection)
	if !ok {
		return errNoRequest
	}
	return f.conclude(ctx, x, i, body[:min(len(body), f.ResponseBody.Limit)])
}

// OnFailure follows plugin.FailureHandler: the host's own responses leak nothing.
func (f *firewall) OnFailure(_ context.Context, x *plugin.Exchange) error {
	if i, ok := x.Value.(*inspection); ok {
		f.note(x, i, let)
	}
	return nil
}

// OnDone follows plugin.DoneHandler.
func (f *firewall) OnDone(x *plugin.Exchange, _ int, _ time.Duration) {
	if i, ok := x.Value.(*inspection); ok {
		x.Value = nil
		_ = i.end() // what is left of uploads goes with the process's folder
	}
}

// conclude has the rules see the last of an exchange.
func (f *firewall) conclude(ctx context.Context, x *plugin.Exchange, i *inspection, body []byte) error {
	if err := f.judge(ctx, x, i, i.responseBody, body); err != nil {
		return err
	}
	f.note(x, i, let)
	return nil
}

// largeBytes take so long to inspect, up to seconds, that they wait for their turn.
const largeBytes = 4 << 10

// judge has the rules see a body, and does as they say. Large ones take turns, on half of the processors, so
// that whoever sends many of them does not keep the rest waiting; one that the host has given up by then is not
// inspected at all.
func (f *firewall) judge(ctx context.Context, x *plugin.Exchange, i *inspection, see func([]byte) (*types.Interruption, error), body []byte) error {
	if len(body) >= largeBytes {
		select {
		case f.turns <- struct{}{}:
			defer func() { <-f.turns }()
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	stop, err := see(body)
	if stop != nil {
		f.refuse(x, i, stop)
	}
	return err
}

// refuse answers for a rule that stops an exchange. A rule that has a status of its own, as those
// for what can't be parsed have 400, keeps it.
func (f *firewall) refuse(x *plugin.Exchange, i *inspection, stop *types.Interruption) {
	f.note(x, i, refused)
	status := stop.Status
	if status < 400 || status > 599 || status == 403 {
		status = f.Status
	}
	answer(x, status)
}

// answer tells a client no more than it has to know.
func answer(x *plugin.Exchange, status int) {
	x.Answer(status, []plugin.Field{
		{Name: "content-type", Value: "text/plain; charset=utf-8"},
		{Name: "cache-control", Value: "no-store"},
	}, []byte("the request was refused\n"))
}

// isGRPC reports whether a request is a call whose body is a stream of messages: to hold it could
// be to wait for ever, and there is nothing in it that the rules could read.
func (f *firewall) isGRPC(r *plugin.Request) bool {
	if !f.GRPC || r.Method != "POST" || !strings.HasPrefix(r.Protocol, "HTTP/2") {
		return false
	}
	kind, _, _ := mime.ParseMediaType(r.Header.Get("content-type"))
	return kind == "application/grpc" || strings.HasPrefix(kind, "application/grpc+")
}

// looksAt reports whether a response is of a type that is inspected, and to be read as it is.
func (f *firewall) looksAt(r *plugin.Response) bool {
	if len(f.ResponseBody.Types) == 0 {
		return false
	}
	if coding := r.Header.Get("content-encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		return false
	}
	kind, _, _ := strings.Cut(r.Header.Get("content-type"), ";")
	return slices.Contains(f.ResponseBody.Types, strings.ToLower(strings.TrimSpace(kind)))
}
