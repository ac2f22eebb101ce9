package proxywasm

import (
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/ergoproxy/ergo/host/outbound"
)

// grpcCall begins a call of one message in each direction. Its answer is
// proxy_on_grpc_receive if it succeeds, proxy_on_grpc_close if not.
func grpcCall(c *call) status {
	message, ok := c.bytes(8)
	if !ok || !c.places(11) {
		return statusInvalidMemory
	}
	r, st := c.grpcRequest()
	if st != statusOK {
		return st
	}
	r.Body = slices.Clone(message)
	r.Timeout = time.Duration(max(0, int32(c.arg(10)))) * time.Millisecond
	o := c.vm.newOutward(grpcOutward)
	err := c.vm.client().Unary(o.ctx, r, o.replied)
	return c.began(o, 11, err, statusParseFailure)
}

// grpcStream begins a call of many messages.
func grpcStream(c *call) status {
	if !c.places(8) {
		return statusInvalidMemory
	}
	r, st := c.grpcRequest()
	if st != statusOK {
		return st
	}
	o := c.vm.newOutward(streamOutward)
	var err error
	o.stream, err = c.vm.client().Stream(o.ctx, r, o.event)
	return c.began(o, 8, err, statusParseFailure)
}

// grpcRequest reads what both have in common: the service's place, its name, the
// method and the initial metadata.
func (c *call) grpcRequest() (*outbound.Request, status) {
	place, placeOK := c.text(0)
	service, serviceOK := c.text(2)
	method, methodOK := c.text(4)
	metadata, metadataOK := c.bytes(6)
	if !placeOK || !serviceOK || !methodOK || !metadataOK {
		return nil, statusInvalidMemory
	}
	if service == "" || method == "" || strings.ContainsAny(service+method, "/?#%") {
		return nil, statusParseFailure
	}
	r := new(outbound.Request)
	if client := c.vm.client(); client != nil {
		if _, isName := client.Resolve(place); !isName { // many a name is a message, too
			if target, authority, ok := grpcService([]byte(place)); ok {
				place, r.Authority = target, authority
			}
		}
	}
	base, ok := c.resolve(place)
	if !ok {
		return nil, statusParseFailure
	}
	r.URL = base + "/" + service + "/" + method
	for _, f := range parsePairs(metadata) {
		if !strings.HasPrefix(f.Name, ":") {
			r.Header.Add(f.Name, f.Value)
		}
	}
	return r, statusOK
}

// grpcService reads what Envoy's GrpcService names, the cluster of envoy_grpc or the
// target of google_grpc.
func grpcService(b []byte) (target, authority string, ok bool) {
	ok = eachMessage(b, func(number protowire.Number, inner []byte) bool {
		const envoyGRPC, googleGRPC = 1, 2
		switch number {
		case envoyGRPC:
			return eachMessage(inner, func(number protowire.Number, value []byte) bool {
				const clusterName, authorityName = 1, 2
				switch number {
				case clusterName:
					target = string(value)
				case authorityName:
					authority = string(value)
				}
				return true
			})
		case googleGRPC:
			return eachMessage(inner, func(number protowire.Number, value []byte) bool {
				const targetURI = 1
				if number == targetURI {
					target = string(value)
				}
				return true
			})
		}
		return true
	})
	return target, authority, ok && target != ""
}

// eachMessage calls do with each field that is a message, string or bytes, until it
// returns false. It reports false if b is no message.
func eachMessage(b []byte, do func(number protowire.Number, value []byte) bool) bool {
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return false
		}
		b = b[n:]
		if kind != protowire.BytesType {
			if n = protowire.ConsumeFieldValue(number, kind, b); n < 0 {
				return false
			}
			b = b[n:]
			continue
		}
		value, n := protowire.ConsumeBytes(b)
		if n < 0 || !do(number, value) {
			return false
		}
		b = b[n:]
	}
	return true
}

// grpcSend sends a message on a stream. An empty one is a message too.
func grpcSend(c *call) status {
	message, ok := c.bytes(1)
	if !ok {
		return statusInvalidMemory
	}
	o := c.vm.calls[c.arg(0)]
	switch {
	case o == nil:
		return statusNotFound
	case o.kind != streamOutward:
		return statusBadArgument
	case message == nil:
		message = []byte{}
	}
	if err := o.stream.Send(message, c.arg(3) != 0); err != nil {
		c.vm.complain(err.Error())
		return statusBadArgument
	}
	return statusOK
}

// grpcCancel ends a call at once; the guest hears no more of it.
func grpcCancel(c *call) status {
	o := c.vm.calls[c.arg(0)]
	switch {
	case o == nil:
		return statusNotFound
	case o.kind == httpOutward:
		return statusBadArgument
	}
	c.vm.forget(o)
	return statusOK
}

// grpcClose says that no more messages are sent on a stream. A call of one message
// it ends.
func grpcClose(c *call) status {
	o := c.vm.calls[c.arg(0)]
	if o == nil || o.kind != streamOutward {
		return grpcCancel(c)
	}
	_ = o.stream.Send(nil, true) // it was closed before, or the peer was faster
	return statusOK
}

// replied tells the guest what a call of one message came to.
func (o *outward) replied(r *outbound.Reply) {
	a := &arrival{last: true, status: callStatus{uint32(r.Status.Code), r.Status.Message}}
	a.metadata(mapGRPCInitialMetadata, r.Header)
	a.metadata(mapGRPCTrailingMetadata, r.Trailer)
	if r.Status.Code != 0 {
		o.deliver(a, onGRPCClose, uint64(r.Status.Code))
		return
	}
	a.put(bufferGRPCMessage, &r.Message)
	o.deliver(a, onGRPCReceive, uint64(len(r.Message)))
}

// event tells the guest what comes of a stream.
func (o *outward) event(e outbound.Event) {
	a := new(arrival)
	switch e := e.(type) {
	case outbound.Header:
		a.metadata(mapGRPCInitialMetadata, e.Fields)
		o.deliver(a, onGRPCInitialMetadata, uint64(e.Fields.Len()))
	case outbound.Message:
		a.put(bufferGRPCMessage, &e.Bytes)
		o.deliver(a, onGRPCReceive, uint64(len(e.Bytes)))
	case outbound.Trailer:
		a.metadata(mapGRPCTrailingMetadata, e.Fields)
		o.deliver(a, o.vm.fleet.onTrailingMetadata(), uint64(e.Fields.Len()))
	case outbound.Closed:
		a.last, a.status = true, callStatus{uint32(e.Status.Code), e.Status.Message}
		o.deliver(a, onGRPCClose, uint64(e.Status.Code))
	}
}

// onTrailingMetadata is the callback by the name that the guest has for it.
func (f *fleet) onTrailingMetadata() callback {
	if f.shapes[onGRPCTrailingMetadata].exported {
		return onGRPCTrailingMetadata
	}
	return onGRPCTrailingMetadataShort
}
