package proxywasm

import (
	"context"
	"errors"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/policy"
)

// Policy is a proxy-wasm module with one configuration.
type Policy struct{ *fleet }

var (
	_ policy.Policy       = (*Policy)(nil)
	_ policy.RequestHead  = (*Policy)(nil)
	_ policy.ResponseHead = (*Policy)(nil)
	_ policy.Failure      = (*Policy)(nil)
	_ policy.BodyFault    = (*Policy)(nil)
	_ policy.Done         = (*Policy)(nil)
)

// Needs follows policy.Policy.
func (p *Policy) Needs() policy.Needs {
	return policy.Needs{RequestBody: p.bodies[request].need(), ResponseBody: p.bodies[response].need()}
}

func (r bodyRule) need() manifest.BodyNeed {
	if r.shown {
		return manifest.BodyNeed{Mode: manifest.BodyStream}
	}
	return manifest.BodyNeed{Mode: manifest.BodyNone}
}

// Acquire follows policy.Policy: it lends a stream in one of the vms.
func (p *Policy) Acquire(x *exchange.Exchange) (policy.Instance, error) {
	v, err := p.assign(x)
	if err != nil {
		return nil, p.failure(err)
	}
	return newStream(p.fleet, v, x), nil
}

// Release follows policy.Policy.
func (p *Policy) Release(i policy.Instance) {
	s := i.(*stream)
	s.finish(false)
	v := s.vm
	s.recycle()
	p.unassign(v)
}

// Stats follows policy.Policy.
func (p *Policy) Stats() policy.Stats { return p.stats() }

// Close follows policy.Policy. When ctx ends while instances are still lent, it
// says so, and they end when they come back.
func (p *Policy) Close(ctx context.Context) error { return p.close(ctx) }

// OnRequestHead follows policy.RequestHead.
func (p *Policy) OnRequestHead(i policy.Instance, x *exchange.Exchange) (policy.Verdict, error) {
	answered, err := i.(*stream).onRequest()
	if answered {
		return policy.Answer, nil
	}
	return policy.Continue, err
}

// OnResponseHead follows policy.ResponseHead.
func (p *Policy) OnResponseHead(i policy.Instance, x *exchange.Exchange) error {
	_, err := i.(*stream).onResponse()
	return err
}

// OnFailure follows policy.Failure: the guest sees the host's error as the
// response. It has answered if it sent a local response, be it while the request's
// body was on its way.
func (p *Policy) OnFailure(i policy.Instance, x *exchange.Exchange) (policy.Verdict, error) {
	answered, err := i.(*stream).onResponse()
	if answered && err == nil {
		return policy.Answer, nil
	}
	return policy.Continue, err
}

// BodyFault follows policy.BodyFault.
func (p *Policy) BodyFault(i policy.Instance) error {
	if fault := i.(*stream).fault.Load(); fault != nil {
		return fault
	}
	return nil
}

// OnDone follows policy.Done.
func (p *Policy) OnDone(i policy.Instance, _ *exchange.Exchange) {
	i.(*stream).finish(true)
}

var errClosedStream = errors.New("the policy closed the stream")
