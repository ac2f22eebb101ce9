package process

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/sdk/plugin/pluginpb"
)

// What a process can set at most.
const (
	maxTarget    = 64 << 10
	maxFields    = 64 << 10
	maxUpstream  = 1 << 10
	maxAnnotated = 1 << 10
)

// invalid is the error of something that can't be part of a message.
func (p *Policy) invalid(format string, args ...any) error {
	return p.failure(policy.Trap, fmt.Errorf(format, args...))
}

// answer makes what the policy answered the response.
func (p *Policy) answer(x *exchange.Exchange, done *pluginpb.Done) error {
	a, r := done.Answer, &x.Response
	if a.Status < 200 || a.Status > 599 {
		return p.invalid("%d is not the status of a final response", a.Status)
	}
	if r.Body != nil {
		_ = r.Body.Close()
	}
	r.Reset()
	r.Status = int(a.Status)
	if err := p.addFields(&r.Header, a.Fields); err != nil {
		return err
	}
	r.Length = int64(len(a.Body))
	if len(a.Body) > 0 && x.Request.Method != "HEAD" {
		r.Body = exchange.NewBuffered(a.Body)
	}
	return p.besides(x, done)
}

// changeRequest applies what the policy changed in the request.
func (p *Policy) changeRequest(x *exchange.Exchange, done *pluginpb.Done) error {
	r := &x.Request
	if m := done.Method; m != nil {
		if !exchange.ValidName(*m) || *m == "CONNECT" {
			return p.invalid("%q can't be a request's method", *m)
		}
		r.Method = strings.Clone(*m)
	}
	if a := done.Authority; a != nil {
		if !exchange.ValidAuthority(*a) {
			return p.invalid("%q can't be a request's authority", *a)
		}
		r.Authority = *a
	}
	if t := done.Target; t != nil {
		if len(*t) > maxTarget || !exchange.ValidTarget(r.Method, *t) {
			return p.invalid("a request can't have the target that it was given")
		}
		r.Target = *t
	}
	if err := p.changeFields(&r.Header, done); err != nil {
		return err
	}
	return p.besides(x, done)
}

// changeResponse applies what the policy changed in the response.
func (p *Policy) changeResponse(x *exchange.Exchange, done *pluginpb.Done) error {
	r := &x.Response
	if s := done.Status; s != 0 && r.Status != 101 {
		if s < 200 || s > 599 {
			return p.invalid("%d is not the status of a final response", s)
		}
		r.Status = int(s)
	}
	if err := p.changeFields(&r.Header, done); err != nil {
		return err
	}
	return p.besides(x, done)
}

// changeFields applies what the policy changed in a header. Fields that frame a message are
// the host's.
func (p *Policy) changeFields(h *exchange.Header, done *pluginpb.Done) error {
	for _, name := range done.Remove {
		if !exchange.FramesMessage(name) {
			h.Del(name)
		}
	}
	return p.addFields(h, done.Add)
}

func (p *Policy) addFields(h *exchange.Header, packed []byte) error {
	if len(packed) > maxFields {
		return p.invalid("it sets more than %d bytes of fields", maxFields)
	}
	rest := string(packed)
	for rest != "" {
		name, behind, named := strings.Cut(rest, "\x00")
		value, after, ended := strings.Cut(behind, "\x00")
		if !named || !ended || !exchange.ValidName(name) || !exchange.ValidValue(value) {
			return p.invalid("field %q can't be sent", name)
		}
		if rest = after; !exchange.FramesMessage(name) {
			h.Add(name, value)
		}
	}
	return nil
}

// replace puts another body in the place of one that was held.
func (p *Policy) replace(done *pluginpb.Done, held *exchange.Buffered, body *io.ReadCloser, h *exchange.Header, length *int64) error {
	if done.Body == nil {
		return nil
	}
	if !held.Whole() {
		return p.invalid("it replaces a body of which it has seen the beginning")
	}
	*body = exchange.NewBuffered(done.Body)
	setLength(h, length, int64(len(done.Body)))
	return nil
}

func setLength(h *exchange.Header, length *int64, n int64) {
	*length = n
	if n == exchange.UnknownLength {
		h.DelKnown(exchange.ContentLength)
	} else if h.HasKnown(exchange.ContentLength) {
		h.Set("Content-Length", strconv.FormatInt(n, 10))
	}
}

// besides applies what is decided beside the message, each by its grant.
func (p *Policy) besides(x *exchange.Exchange, done *pluginpb.Done) error {
	if r := done.Route; r != nil {
		if err := p.route(x, r); err != nil {
			return err
		}
	}
	if i := done.Identity; i != nil {
		if err := p.identify(x, i); err != nil {
			return err
		}
	}
	if err := p.measure(done.Measures); err != nil {
		return p.failure(policy.Trap, err)
	}
	if len(done.Notes) > 0 && !p.grants[grantLog] {
		return p.notGranted(grantLog)
	}
	for _, n := range done.Notes {
		if len(n.Name)+len(n.Value) > maxAnnotated {
			return p.invalid("a note has more than %d bytes", maxAnnotated)
		}
		x.Annotate(n.Name, n.Value)
	}
	return nil
}

func (p *Policy) route(x *exchange.Exchange, r *pluginpb.Route) error {
	switch {
	case !p.grants[grantRoute]:
		return p.notGranted(grantRoute)
	case x.Route.Sent:
		return p.invalid("the request went on before it was routed")
	case len(r.HashKey) > maxUpstream:
		return p.invalid("a hash key has more than %d bytes", maxUpstream)
	case r.Upstream != "" && (x.Upstreams == nil || !x.Upstreams.HasUpstream(r.Upstream)):
		return p.invalid("there is no upstream %q", r.Upstream)
	}
	if r.Upstream != "" {
		x.Route.Upstream = r.Upstream
	}
	if r.HashKey != "" {
		x.Route.HashKey = r.HashKey
	}
	return nil
}

func (p *Policy) identify(x *exchange.Exchange, i *pluginpb.Identity) error {
	if !p.grants[grantIdentify] {
		return p.notGranted(grantIdentify)
	}
	if x.Route.Sent {
		return p.invalid("the request went on before its client was identified")
	}
	method := i.Method
	if method == "" {
		method = p.name
	}
	if err := x.Identify(i.Subject, method); err != nil {
		return p.failure(policy.Trap, err)
	}
	for _, a := range i.Attributes {
		if err := x.AddAttribute(a.Name, a.Value); err != nil {
			return p.failure(policy.Trap, err)
		}
	}
	return nil
}
