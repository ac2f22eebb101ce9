package proxywasm

import (
	"context"
	"log/slog"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/outbound"
)

// outward is a call to another host that a guest has begun. It belongs to the root
// context, as in Envoy: it goes on when the stream that made it has ended, and is
// answered in a callback of the root, from where SDKs choose the stream that waits.
// It is guarded by its vm.
type outward struct {
	vm     *vm
	token  uint32
	kind   outwardKind
	ctx    context.Context
	cancel context.CancelFunc
	stream *outbound.Stream // of grpcStream
}

// outwardKind is the function that a call was begun with.
type outwardKind uint8

const (
	httpOutward outwardKind = iota
	grpcOutward
	streamOutward
)

// arrival is what a guest can read while it is called back about a call, and not
// afterwards: maps and buffers from those of gRPC's on, by their numbers in the ABI.
type arrival struct {
	maps    [mapCallResponseTrailers - mapGRPCInitialMetadata + 1]*fields
	buffers [bufferGRPCMessage - bufferCallResponseBody + 1]*[]byte
	status  callStatus
	last    bool // nothing follows: the token is known no more
}

// callStatus is what proxy_get_status tells.
type callStatus struct {
	code    uint32
	message string
}

func (a *arrival) show(kind int, m fields) { a.maps[kind-mapGRPCInitialMetadata] = &m }

// metadata shows fields, if there are any.
func (a *arrival) metadata(kind int, h *exchange.Header) {
	if h != nil {
		a.show(kind, fields{header: h, readOnly: true})
	}
}

func (a *arrival) put(kind int, b *[]byte) { a.buffers[kind-bufferCallResponseBody] = b }

// fieldsOf returns a map of a kind from mapGRPCInitialMetadata on.
func (a *arrival) fieldsOf(kind uint32) (m fields, ok bool) {
	i := kind - mapGRPCInitialMetadata
	if a == nil || i >= uint32(len(a.maps)) || a.maps[i] == nil {
		return fields{}, false
	}
	return *a.maps[i], true
}

func (a *arrival) bufferOf(kind uint32) *[]byte {
	if a == nil {
		return nil
	}
	return a.buffers[kind-bufferCallResponseBody]
}

// client makes the policy's calls; nil: none was granted.
func (v *vm) client() *outbound.Client { return v.fleet.granted.HTTP }

// newOutward makes a call that is to be begun; track or abandon follows. Its trace
// is that of the exchange at hand.
func (v *vm) newOutward(kind outwardKind) *outward {
	ctx := context.Background()
	if x := v.current.reachable(); x != nil && x.Sampled {
		ctx = context.WithoutCancel(x.Context())
	}
	o := &outward{vm: v, kind: kind, token: v.client().Number()}
	o.ctx, o.cancel = context.WithCancel(ctx)
	return o
}

// track adds a call that has begun. What comes of it waits for the vm, which who
// calls this holds.
func (v *vm) track(o *outward) {
	v.calls[o.token] = o
	v.underWay.Add(1)
}

// forget ends a call: the guest hears no more of it.
func (v *vm) forget(o *outward) {
	if o.stream != nil {
		o.stream.Cancel()
	}
	o.cancel()
	delete(v.calls, o.token)
	v.underWay.Add(-1)
}

func (v *vm) forgetAll() {
	for _, o := range v.calls {
		v.forget(o)
	}
}

// deliver calls the guest back about a call, unless it has been forgotten. It is
// called on a goroutine of the client's.
func (o *outward) deliver(a *arrival, cb callback, args ...uint64) {
	v := o.vm
	if !v.hold() {
		return
	}
	defer v.release()
	if v.calls[o.token] != o {
		return
	}
	if a.last {
		v.forget(o)
	}
	v.arrived, v.status = a, a.status
	v.root(cb, append([]uint64{rootID, uint64(o.token)}, args...)...)
	v.arrived = nil
}

// complain tells the operator why a guest was refused.
func (v *vm) complain(message string) {
	of := v.instance.Call()
	of.Log.Emit(of, slog.LevelWarn, []byte(message))
}
