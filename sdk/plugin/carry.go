package plugin

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/ergoproxy/ergo/sdk/plugin/pluginpb"
)

// link is one stream of exchanges.
type link struct {
	handlers
	stream grpc.BidiStreamingServer[pluginpb.HostBatch, pluginpb.PolicyBatch]
	ready  chan *pluginpb.PolicyEvent
	gone   <-chan struct{} // closed with the stream
	open   map[uint64]*visit
	tasks  chan task // for who is idle
}

// task is an event of an exchange that is to be handled.
type task struct {
	visit *visit
	what  *pluginpb.HostEvent
}

// visit is an exchange with its events. One goroutine at a time handles them.
type visit struct {
	Exchange
	ctx   context.Context
	spans spans
	busy  sync.Mutex // a host that has given up an event may send End while it is handled
}

// pending bounds the events that wait to be sent.
const pending = 1024

func newLink(h handlers, stream grpc.BidiStreamingServer[pluginpb.HostBatch, pluginpb.PolicyBatch]) *link {
	return &link{
		handlers: h, stream: stream, ready: make(chan *pluginpb.PolicyEvent, pending),
		gone: stream.Context().Done(), open: map[uint64]*visit{}, tasks: make(chan task),
	}
}

// run carries exchanges until the stream ends.
func (l *link) run() error {
	var sender sync.WaitGroup
	sender.Go(l.send)
	defer sender.Wait()
	defer l.end()
	if l.starter != nil {
		own := l.visitOf(0)
		go l.start(own)
	}
	for {
		batch, err := l.stream.Recv()
		if err != nil {
			return err
		}
		for _, number := range batch.Ended {
			if v := l.open[number]; v != nil {
				delete(l.open, number)
				v.end()
			}
		}
		for _, e := range batch.Events {
			l.take(e)
		}
	}
}

// end ends all exchanges, which the host has given up.
func (l *link) end() {
	for _, v := range l.open {
		v.end()
	}
}

// send sends what is ready, as much as there is in one batch.
func (l *link) send() {
	for {
		var batch pluginpb.PolicyBatch
		size := 0
		select {
		case e := <-l.ready:
			batch.Events = append(batch.Events, e)
			size = weight(e)
		case <-l.gone:
			return
		}
		runtime.Gosched() // handlers that can run have something to send in a moment
		for len(batch.Events) < maxBatch && size < maxBatchBytes {
			select {
			case e := <-l.ready:
				batch.Events = append(batch.Events, e)
				size += weight(e)
				continue
			default:
			}
			break
		}
		if l.stream.Send(&batch) != nil {
			return // and Recv fails
		}
	}
}

// What a batch has when nothing more is added to it. With the last event it fits what gRPC takes.
const (
	maxBatch      = 32
	maxBatchBytes = 2 << 20
)

// weight is about how many bytes an event takes that can be large.
func weight(e *pluginpb.PolicyEvent) int {
	switch e := e.Event.(type) {
	case *pluginpb.PolicyEvent_Done:
		return len(e.Done.Body) + len(e.Done.Answer.GetBody())
	case *pluginpb.PolicyEvent_Call:
		return proto.Size(e.Call)
	}
	return 0
}

func (l *link) put(e *pluginpb.PolicyEvent) {
	select {
	case l.ready <- e:
	case <-l.gone:
	}
}

// start has the policy prepare, and says when it has.
func (l *link) start(own *visit) {
	done := new(pluginpb.Done)
	if err := l.starter.Start(own.ctx, &own.Host); err != nil {
		done.Error = err.Error()
	}
	l.put(&pluginpb.PolicyEvent{Exchange: own.number, Event: &pluginpb.PolicyEvent_Done{Done: done}})
}

// visitOf returns the visit of an exchange; its first event makes it.
func (l *link) visitOf(number uint64) *visit {
	v := l.open[number]
	if v == nil {
		v = new(visit)
		v.link, v.number, v.results = l, number, make(chan *pluginpb.Result, 1)
		// A parent would keep a list of its children, which all exchanges would share.
		v.ctx, v.end = context.WithCancel(context.Background())
		l.open[number] = v
	}
	return v
}

// take begins the handling of an event.
func (l *link) take(e *pluginpb.HostEvent) {
	if r := e.GetResult(); r != nil {
		if v := l.open[e.Exchange]; v != nil { // else it is over
			v.receive(r)
		}
		return
	}
	v := l.visitOf(e.Exchange)
	switch event := e.Event.(type) {
	case *pluginpb.HostEvent_End:
		delete(l.open, e.Exchange)
		v.end()
		if l.done != nil {
			go l.finish(v, event.End)
		}
	case *pluginpb.HostEvent_Key:
		go l.tellKey(v.ctx, event.Key)
	default:
		l.hand(task{v, e})
	}
}

// hand has a goroutine handle an event: an idle one, whose stack has grown to what the policy
// needs, or a new one. There are as many as events were at hand at once, which the host bounds.
func (l *link) hand(e task) {
	select {
	case l.tasks <- e:
	default:
		go l.work(e)
	}
}

func (l *link) work(e task) {
	for {
		l.handle(e.visit, e.what)
		e = task{} // so that nothing is held meanwhile
		select {
		case e = <-l.tasks:
		case <-l.gone:
			return
		}
	}
}

func (l *link) finish(v *visit, e *pluginpb.End) {
	v.busy.Lock()
	defer v.busy.Unlock()
	l.done.OnDone(&v.Exchange, int(e.Status), time.Duration(e.Microseconds)*time.Microsecond)
}

// handle has the policy handle an event and says what came of it.
func (l *link) handle(v *visit, e *pluginpb.HostEvent) {
	v.busy.Lock()
	defer v.busy.Unlock()
	r := new(reply)
	v.done = &r.done
	if err := v.dispatch(e); err != nil {
		v.done = &pluginpb.Done{Error: err.Error()}
	}
	v.done.Spans = v.spans.take()
	r.one.Done = v.done
	r.event.Exchange, r.event.Event = v.number, &r.one
	l.put(&r.event)
}

// reply is a Done and what it travels in, as one allocation.
type reply struct {
	event pluginpb.PolicyEvent
	one   pluginpb.PolicyEvent_Done
	done  pluginpb.Done
}

func (v *visit) dispatch(e *pluginpb.HostEvent) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("panic: %v\n%s", cause, debug.Stack())
		}
	}()
	x, h := &v.Exchange, &v.link.handlers
	switch event := e.Event.(type) {
	case *pluginpb.HostEvent_Request:
		x.begin(event.Request)
		v.trace(event.Request.Traceparent)
		return v.onRequest(h, event.Request.Body)
	case *pluginpb.HostEvent_RequestBody:
		return v.onRequestBody(h, event.RequestBody)
	case *pluginpb.HostEvent_Response:
		r := event.Response
		x.Response = Response{
			Status: int(r.Status), Header: Header{fields: decode(r.Fields)}, HasBody: r.Body, sent: int(r.Status),
		}
		return v.onResponse(h, r)
	case *pluginpb.HostEvent_ResponseBody:
		return v.onResponseBody(h, event.ResponseBody)
	case *pluginpb.HostEvent_Trailers:
		x.Trailers = Header{fields: decode(event.Trailers)}
		if h.trailers == nil {
			return nil
		}
		err := h.trailers.OnTrailers(v.ctx, x)
		x.changesOf(&x.Trailers)
		return err
	}
	return fmt.Errorf("an event that this version of the SDK does not know: %T", e.Event)
}

func (v *visit) onRequest(h *handlers, body bool) error {
	if h.request != nil {
		if err := h.request.OnRequest(v.ctx, &v.Exchange); err != nil {
			return err
		}
	}
	v.transform = nil
	if h.requestStream != nil && body && v.done.Answer == nil {
		var err error
		if v.transform, err = h.requestStream.StreamRequest(v.ctx, &v.Exchange); err != nil {
			return err
		}
		v.done.Stream = v.transform != nil
	}
	v.requestChanges()
	return nil
}

func (v *visit) onResponse(h *handlers, r *pluginpb.Response) error {
	x := &v.Exchange
	var err error
	switch {
	case r.Failure && h.failure != nil:
		err = h.failure.OnFailure(v.ctx, x)
	case h.response != nil:
		err = h.response.OnResponse(v.ctx, x)
	}
	if err != nil {
		return err
	}
	x.transform = nil
	if h.responseStream != nil && r.Body && x.done.Answer == nil {
		if x.transform, err = h.responseStream.StreamResponse(v.ctx, x); err != nil {
			return err
		}
		x.done.Stream = x.transform != nil
	}
	x.responseChanges()
	return nil
}

func (v *visit) onRequestBody(h *handlers, c *pluginpb.Chunk) error {
	if v.transform != nil {
		return v.pass(c)
	}
	whole := v.gather(c)
	if whole == nil || h.requestBody == nil {
		return nil
	}
	err := h.requestBody.OnRequestBody(v.ctx, &v.Exchange, whole)
	v.requestChanges()
	return err
}

func (v *visit) onResponseBody(h *handlers, c *pluginpb.Chunk) error {
	if v.transform != nil {
		return v.pass(c)
	}
	whole := v.gather(c)
	if whole == nil || h.responseBody == nil {
		return nil
	}
	err := h.responseBody.OnResponseBody(v.ctx, &v.Exchange, whole)
	v.responseChanges()
	return err
}

// gather puts the chunks of a held body together, and returns it when it is whole.
func (v *visit) gather(c *pluginpb.Chunk) []byte {
	v.body = append(v.body, c.Data...)
	if !c.Last {
		return nil
	}
	whole := v.body
	v.body = nil
	if whole == nil {
		whole = []byte{}
	}
	return whole
}

// maxPiece is the largest part of a body in one event.
const maxPiece = 64 << 10

// pass has a chunk of a streamed body transformed.
func (v *visit) pass(c *pluginpb.Chunk) error {
	out, err := v.transform(c.Data, c.Last)
	for len(out) > 0 && err == nil {
		n := min(len(out), maxPiece)
		v.link.put(&pluginpb.PolicyEvent{Exchange: v.number, Event: &pluginpb.PolicyEvent_Piece{Piece: out[:n]}})
		out = out[n:]
	}
	return err
}
