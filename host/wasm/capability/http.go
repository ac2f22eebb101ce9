package capability

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/tetratelabs/wazero/api"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/outbound"
	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/host/wasm"
)

// HTTP is the module ergo_http: a guest calls what [policy.NAME.http] allows.
//
//	start(method, method_len, url, url_len, fields, fields_len, body, body_len, timeout, handle) -> status
//	await(handle, timeout) -> status                    until the response is there, whole
//	get_status(handle) -> code                          of the response, 200 to 599; 0: there is none
//	get_fields(handle, kind, buf, buf_limit) -> len     kind 0: header, 1: trailer
//	get_body_length(handle) -> len
//	read_body(handle, offset, buf, buf_limit) -> len    what was written to buf; 0 at the end
//	close(handle) -> status
//	send(method, method_len, url, url_len, fields, fields_len, body, body_len, timeout) -> status
//
// start begins a call and writes its handle, 4 bytes in little-endian order; it
// does not wait, so that several calls can be under way, at most 16 in an
// instance. url is "https://host/path", "http://host:port/path", or
// "upstream://name/path" for an upstream of the manifest. fields are a sequence
// "name\0value\0...", of at most 64 KiB; those of the connection and of framing
// are the host's own and are dropped, "host" is heeded for upstreams alone. A
// timeout is in milliseconds; 0, or more than the manifest's, is the manifest's.
// Redirects are not followed.
//
// await waits as long as its own timeout says, 0: not at all, -1: until the call
// or the exchange at hand ends. While it waits for an exchange the guest's clock
// stands still: what bounds it are the call's timeout and the exchange's. Without an
// exchange, in a timer or at the start, its time is the guest's own.
//
// A call ends by close, with the exchange that it was begun for, or when the
// instance is given back, whichever is first; its handle is unknown from then on,
// and no later one is the same. get_fields writes only what fits buf_limit and
// returns the length in either case. What has no response yet has no fields and
// no body.
//
// send is start for who wants no response: the call has no handle, does not end with
// the exchange or the instance, and what is answered is read, up to the bound, and
// dropped. It ends by its timeout, or with the policy; it takes one of the places that
// the manifest gives the policy for calls, and none is waited for.
//
// The status is 0 for done, 1 for an unknown handle, 2 for a method, URL, field or
// timeout that cannot be sent, 4 if the response is still to come, 5 if the
// manifest does not grant the host, the upstream or the method, 6 if the host's
// address is a special one, 7 if there was no whole response in time, 8 if the
// request or the response is too large, 9 if too many calls are under way, and 10
// if the host was not reached or broke off.
func HTTP() wasm.HostModule {
	return wasm.HostModule{Name: "ergo_http", Functions: []wasm.HostFunction{
		function("start", 10, one, startCall),
		function("await", 2, one, awaitCall),
		function("get_status", 1, one, getCallStatus),
		function("get_fields", 4, one, getCallFields),
		function("get_body_length", 1, one, getCallBodyLength),
		function("read_body", 4, one, readCallBody),
		function("close", 1, one, closeCall),
		function("send", 9, one, sendCall),
	}}
}

const (
	maxCalls      = 16
	maxMethod     = 32
	maxURL        = 8 << 10
	maxCallFields = 64 << 10
)

// callStatuses are what guests are told of failures.
var callStatuses = [...]status{
	outbound.NotGranted: notGranted,
	outbound.BadRequest: badArgument,
	outbound.Refused:    refused,
	outbound.Busy:       busy,
	outbound.TimedOut:   timedOut,
	outbound.TooLarge:   tooLarge,
	outbound.Failed:     failed,
}

func statusOfCall(err error) status {
	var failure *outbound.Error
	switch {
	case err == nil:
		return ok
	case errors.As(err, &failure):
		return callStatuses[failure.Kind]
	}
	return failed
}

// calls are those that an instance has begun and not closed.
type calls struct{ open []*outwardCall }

var _ wasm.Keeper = (*calls)(nil)

// outwardCall is one call. Its response is there once done is closed.
type outwardCall struct {
	handle   uint32
	x        *exchange.Exchange // for which it was begun; may be nil
	cancel   context.CancelFunc
	done     chan struct{}
	response *outbound.Response
	err      error
}

// callsOf returns the calls of an instance.
func callsOf(call *wasm.Call) *calls {
	if c, ok := wasm.Kept[*calls](call); ok {
		return c
	}
	c := new(calls)
	call.Keep(c)
	return c
}

// Leave follows wasm.Keeper.
func (c *calls) Leave(x *exchange.Exchange) {
	kept := c.open[:0]
	for _, o := range c.open {
		if x == nil || o.x == x {
			o.cancel()
		} else {
			kept = append(kept, o)
		}
	}
	clear(c.open[len(kept):])
	c.open = kept
}

// find returns the call of a handle, nil if there is none.
func (c *calls) find(handle uint64) *outwardCall {
	for _, o := range c.open {
		if o.handle == uint32(handle) {
			return o
		}
	}
	return nil
}

// answered returns the response of a call, nil as long as there is none.
func (c *calls) answered(handle uint64) *outbound.Response {
	o := c.find(handle)
	if o == nil || !o.isDone() {
		return nil
	}
	return o.response
}

func (o *outwardCall) isDone() bool {
	select {
	case <-o.done:
		return true
	default:
		return false
	}
}

// begin starts a call and returns it.
func (c *calls) begin(client *outbound.Client, x *exchange.Exchange, r *outbound.Request) (*outwardCall, error) {
	ctx := context.Background() // the client ends it, if nobody else does
	if x != nil {
		ctx = x.Context()
	}
	o := &outwardCall{handle: client.Number(), x: x, done: make(chan struct{})}
	ctx, o.cancel = context.WithCancel(ctx)
	err := client.Go(ctx, r, func(response *outbound.Response, err error) {
		o.response, o.err = response, err
		close(o.done)
	})
	if err != nil {
		o.cancel()
		return nil, err
	}
	c.open = append(c.open, o)
	return o, nil
}

func startCall(ctx context.Context, mod api.Module, stack []uint64) {
	call := wasm.CallOf(ctx)
	handle := read(mod, stack[9], 4)
	open := callsOf(call)
	client, r, refusal := requestOf(call, mod, stack)
	switch {
	case refusal == ok && len(open.open) == maxCalls:
		stack[0] = busy
		return
	case refusal != ok:
		stack[0] = refusal
		return
	}
	o, err := open.begin(client, call.Exchange, r)
	if err == nil {
		binary.LittleEndian.PutUint32(handle, o.handle)
	}
	stack[0] = statusOfCall(err)
}

func sendCall(ctx context.Context, mod api.Module, stack []uint64) {
	call := wasm.CallOf(ctx)
	client, r, refusal := requestOf(call, mod, stack)
	if stack[0] = refusal; refusal != ok {
		return
	}
	from := context.Background()
	if x := call.Exchange; x != nil {
		from = x.Context()
	}
	stack[0] = statusOfCall(client.Send(from, r))
}

// requestOf reads what a guest asks, with memory of its own, and returns who is to
// send it, or why nobody is.
func requestOf(call *wasm.Call, mod api.Module, stack []uint64) (*outbound.Client, *outbound.Request, status) {
	method, url := read(mod, stack[0], stack[1]), read(mod, stack[2], stack[3])
	list, body := read(mod, stack[4], stack[5]), read(mod, stack[6], stack[7])
	granted, _ := call.Granted.(*policy.Granted)
	switch {
	case granted == nil || granted.HTTP == nil:
		return nil, nil, notGranted
	case len(method) > maxMethod || len(url) > maxURL || int32(uint32(stack[8])) < 0:
		return nil, nil, badArgument
	case len(list) > maxCallFields || int64(len(body)) > granted.HTTP.MaxRequest():
		return nil, nil, tooLarge
	}
	r := &outbound.Request{Method: string(method), URL: string(url), Timeout: time.Duration(uint32(stack[8])) * time.Millisecond}
	addFields(&r.Header, list)
	r.Authority = r.Header.Value("host")
	r.Body = bytes.Clone(body)
	return granted.HTTP, r, ok
}

// addFields parses "name\0value\0..."; a last value may lack its NUL.
func addFields(h *exchange.Header, list []byte) {
	for len(list) > 0 {
		var name, value []byte
		name, list, _ = bytes.Cut(list, []byte{0})
		value, list, _ = bytes.Cut(list, []byte{0})
		h.Add(string(name), string(value))
	}
}

func awaitCall(ctx context.Context, _ api.Module, stack []uint64) {
	call := wasm.CallOf(ctx)
	o := callsOf(call).find(stack[0])
	if o == nil {
		stack[0] = notFound
		return
	}
	if !o.isDone() && uint32(stack[1]) != 0 {
		o.wait(call, int32(uint32(stack[1])))
	}
	stack[0] = pending
	if o.isDone() {
		stack[0] = statusOfCall(o.err)
	}
}

// wait waits until the call is done, or for some milliseconds; less than 0 are no
// bound.
func (o *outwardCall) wait(call *wasm.Call, milliseconds int32) {
	if call.Exchange != nil {
		call.Pause()
		defer call.Resume()
	} else {
		call.Check() // its clock runs from here on
		defer call.Check()
	}
	var over <-chan struct{}
	if x := call.Exchange; x != nil && x != o.x { // the end of o.x ends the call
		over = x.Context().Done()
	}
	var late <-chan time.Time
	if milliseconds > 0 {
		timer := time.NewTimer(time.Duration(milliseconds) * time.Millisecond)
		defer timer.Stop()
		late = timer.C
	}
	select {
	case <-o.done:
	case <-over:
	case <-late:
	}
}

func getCallStatus(ctx context.Context, _ api.Module, stack []uint64) {
	r := callsOf(wasm.CallOf(ctx)).answered(stack[0])
	if stack[0] = 0; r != nil {
		stack[0] = uint64(r.Status)
	}
}

func getCallFields(ctx context.Context, mod api.Module, stack []uint64) {
	r := callsOf(wasm.CallOf(ctx)).answered(stack[0])
	var list []byte
	switch {
	case r == nil:
	case uint32(stack[1]) == 0:
		list = appendFields(list, &r.Header)
	case uint32(stack[1]) == 1:
		list = appendFields(list, &r.Trailer)
	}
	stack[0] = give(mod, stack[2], stack[3], string(list))
}

func appendFields(dst []byte, h *exchange.Header) []byte {
	for _, f := range h.Fields() {
		dst = append(append(dst, f.Name...), 0)
		dst = append(append(dst, f.Value...), 0)
	}
	return dst
}

func getCallBodyLength(ctx context.Context, _ api.Module, stack []uint64) {
	r := callsOf(wasm.CallOf(ctx)).answered(stack[0])
	if stack[0] = 0; r != nil {
		stack[0] = uint64(len(r.Body))
	}
}

func readCallBody(ctx context.Context, mod api.Module, stack []uint64) {
	r := callsOf(wasm.CallOf(ctx)).answered(stack[0])
	buf := read(mod, stack[2], stack[3])
	offset := uint64(uint32(stack[1]))
	if stack[0] = 0; r != nil && offset < uint64(len(r.Body)) {
		stack[0] = uint64(copy(buf, r.Body[offset:]))
	}
}

func closeCall(ctx context.Context, _ api.Module, stack []uint64) {
	c := callsOf(wasm.CallOf(ctx))
	o := c.find(stack[0])
	if stack[0] = notFound; o != nil {
		c.drop(o)
		stack[0] = ok
	}
}

func (c *calls) drop(gone *outwardCall) {
	gone.cancel()
	for i, o := range c.open {
		if o == gone {
			last := len(c.open) - 1
			c.open[i], c.open[last] = c.open[last], nil
			c.open = c.open[:last]
			return
		}
	}
}
