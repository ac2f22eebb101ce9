package process

import (
	"context"
	"errors"
	"sync"

	"github.com/ergoproxy/ergo/sdk/plugin/pluginpb"
)

// maxOwn bounds the calls of a process's own that wait.
const maxOwn = 16

// own is what a process does on its own account, beside exchanges: it makes calls, and says
// once when it is ready.
type own struct {
	call  ownCall
	calls chan *pluginpb.Call
	ready chan *pluginpb.Done
	said  bool // that it is ready; receive's

	mu      sync.Mutex
	queries uint32                             // how many there were
	replies map[uint32]chan *pluginpb.KeyReply // to those that wait
}

// ownCall does what a process asks for on its own account.
type ownCall func(context.Context, *contentKeys, *pluginpb.Call) *pluginpb.Result

func newOwn(call ownCall) *own {
	return &own{call: call, calls: make(chan *pluginpb.Call, maxOwn), ready: make(chan *pluginpb.Done, 1), replies: map[uint32]chan *pluginpb.KeyReply{}}
}

// receive takes an event in. It reports false for what must not come.
func (o *own) receive(e *pluginpb.PolicyEvent) bool {
	switch e := e.Event.(type) {
	case *pluginpb.PolicyEvent_Done:
		if o.said {
			return false
		}
		o.said = true
		o.ready <- e.Done
		return true
	case *pluginpb.PolicyEvent_Call:
		select {
		case o.calls <- e.Call:
			return true
		default:
		}
	case *pluginpb.PolicyEvent_Key:
		return o.deliver(e.Key)
	}
	return false
}

// serve makes the calls, one after the other, until the stream breaks.
func (o *own) serve(s *stream) {
	for {
		select {
		case c := <-o.calls:
			result := o.call(s.carry.Context(), nil, c)
			select {
			case s.out <- resultOf(0, result):
			case <-s.broken:
				return
			}
		case <-s.broken:
			return
		}
	}
}

// await waits until the process is ready.
func (o *own) await(ctx context.Context, s *stream) error {
	select {
	case done := <-o.ready:
		if done.Error != "" {
			return errors.New(done.Error)
		}
		return nil
	case <-s.broken:
		return s.cause()
	case <-ctx.Done():
		return ctx.Err()
	}
}
