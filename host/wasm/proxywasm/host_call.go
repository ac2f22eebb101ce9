package proxywasm

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/outbound"
	"github.com/ergoproxy/ergo/host/wasm"
)

// callFunctions are those by which a guest calls other hosts. What it may call
// [policy.NAME.http] says, and what it names, a cluster of Envoy's, is an upstream
// of the manifest or an origin (outbound.Client.Resolve).
func callFunctions() []wasm.HostFunction {
	return []wasm.HostFunction{
		function("proxy_http_call", "iiiiiiiiii", httpCall),
		function("proxy_grpc_call", "iiiiiiiiiiii", grpcCall),
		function("proxy_grpc_stream", "iiiiiiiii", grpcStream),
		function("proxy_grpc_send", "iiii", grpcSend),
		function("proxy_grpc_cancel", "i", grpcCancel),
		function("proxy_grpc_close", "i", grpcClose),
		function("proxy_get_status", "iii", getStatus),
	}
}

// httpCall begins a call; its answer is proxy_on_http_call_response.
func httpCall(c *call) status {
	target, targetOK := c.text(0)
	head, headOK := c.bytes(2)
	body, bodyOK := c.bytes(4)
	trailers, trailersOK := c.bytes(6)
	if !targetOK || !headOK || !bodyOK || !trailersOK || !c.places(9) {
		return statusInvalidMemory
	}
	base, ok := c.resolve(target)
	if !ok {
		return statusBadArgument
	}
	r := new(outbound.Request)
	if !fill(r, base, parsePairs(head)) || int32(c.arg(8)) < 0 {
		return statusBadArgument
	}
	for _, f := range parsePairs(trailers) {
		r.Trailer.Add(f.Name, f.Value)
	}
	r.Timeout = time.Duration(c.arg(8)) * time.Millisecond
	r.Body = slices.Clone(body)
	o := c.vm.newOutward(httpOutward)
	err := c.vm.client().Go(o.ctx, r, o.responded)
	return c.began(o, 9, err, statusBadArgument)
}

// fill makes a request of the fields that HTTP/2 would have. It reports false if
// one lacks that no request is without.
func fill(r *outbound.Request, base string, head []exchange.Field) bool {
	path := ""
	for _, f := range head {
		switch f.Name {
		case pseudoMethod:
			r.Method = f.Value
		case pseudoPath:
			path = f.Value
		case pseudoAuthority:
			r.Authority = f.Value
		case pseudoScheme: // is the origin's or the endpoint's
		default:
			r.Header.Add(f.Name, f.Value)
		}
	}
	r.URL = base + path
	return r.Method != "" && r.Authority != "" && strings.HasPrefix(path, "/")
}

// resolve returns the URL of what a guest names, and says in the log if it may not
// be called.
func (c *call) resolve(target string) (base string, ok bool) {
	client := c.vm.client()
	if client != nil {
		base, ok = client.Resolve(target)
	}
	if !ok {
		c.vm.complain(fmt.Sprintf("the call of %q is refused: neither http.upstreams nor http.hosts of [policy.%s] has it", target[:min(len(target), 256)], c.vm.fleet.name))
	}
	return base, ok
}

// began returns the token of a call that has begun by parameter i. One that has not
// is refused, unless it is for what is none of the guest's doing.
func (c *call) began(o *outward, i int, err error, refused status) status {
	var failure *outbound.Error
	if err != nil {
		o.cancel()
		c.vm.complain(err.Error())
		if errors.As(err, &failure) && failure.Kind != outbound.Busy && failure.Kind != outbound.Failed {
			return refused
		}
		return statusInternal
	}
	c.vm.track(o)
	return c.putU32(i, o.token)
}

// places reports whether a number can be written to where parameter i points.
func (c *call) places(i int) bool {
	_, ok := c.mem.ReadUint32Le(c.arg(i))
	return ok
}

// brokenConnection is the status that Envoy gives a call that failed, whatever the
// reason was.
const brokenConnection = 9

// responded tells the guest of a response. A call that failed has no headers, no
// body and no trailers.
func (o *outward) responded(r *outbound.Response, err error) {
	a := &arrival{last: true}
	if err != nil {
		a.status = callStatus{brokenConnection, "reset"}
		o.deliver(a, onHTTPCallResponse, 0, 0, 0)
		return
	}
	a.show(mapCallResponseHeaders, fields{header: &r.Header, response: &exchange.Response{Status: r.Status}, readOnly: true})
	a.show(mapCallResponseTrailers, fields{header: &r.Trailer, readOnly: true})
	a.put(bufferCallResponseBody, &r.Body)
	o.deliver(a, onHTTPCallResponse, uint64(r.Header.Len()+1), uint64(len(r.Body)), uint64(r.Trailer.Len()))
}

// getStatus tells how the last call of the root context ended.
func getStatus(c *call) status {
	last := &c.vm.status
	if st := c.putU32(0, last.code); st != statusOK {
		return st
	}
	return c.give(1, []byte(last.message))
}
