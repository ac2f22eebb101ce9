package process

import (
	"context"
	"errors"

	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/host/process/child"
	"github.com/ergoproxy/ergo/sdk/plugin/pluginpb"
)

var _ policy.KeySource = (*Policy)(nil)

// Keys follows policy.KeySource.
func (p *Policy) Keys(ctx context.Context, name string) ([]policy.KeyVersion, error) {
	if !p.contract.Keys {
		return nil, policy.ErrNoKeys
	}
	q := p.least()
	if q == nil {
		return nil, errNoProcess
	}
	reply, err := q.stream.own.query(ctx, q.stream, name)
	if err != nil {
		return nil, err
	}
	if reply.Error != "" {
		return nil, errors.New(reply.Error)
	}
	versions := make([]policy.KeyVersion, len(reply.Versions))
	for i, v := range reply.Versions {
		versions[i] = policy.KeyVersion{ID: v.Id, Material: v.Material}
	}
	return versions, nil
}

// query asks the process for a key, and waits until ctx ends. A process that has not replied
// for so long that queries pile up is of no use.
func (o *own) query(ctx context.Context, s *stream, name string) (*pluginpb.KeyReply, error) {
	came := make(chan *pluginpb.KeyReply, 1)
	o.mu.Lock()
	if len(o.replies) == maxOwn {
		o.mu.Unlock()
		s.fail(child.ErrHangs)
		return nil, child.ErrHangs
	}
	o.queries++
	number := o.queries
	o.replies[number] = came
	o.mu.Unlock()
	e := &pluginpb.HostEvent{Event: &pluginpb.HostEvent_Key{Key: &pluginpb.KeyQuery{Number: number, Name: name}}}
	select {
	case s.out <- e:
	case <-s.broken:
		return nil, s.cause()
	case <-ctx.Done():
		return nil, o.giveUp(number)
	}
	select {
	case reply := <-came:
		return reply, nil
	case <-s.broken:
		return nil, s.cause()
	case <-ctx.Done():
		return nil, o.giveUp(number)
	}
}

// giveUp has a reply that comes too late be zeroed.
func (o *own) giveUp(number uint32) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.replies[number] = nil
	return child.ErrHangs
}

// deliver gives a query its reply. It reports false if there was none that wants one.
func (o *own) deliver(reply *pluginpb.KeyReply) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	came, asked := o.replies[reply.Number]
	delete(o.replies, reply.Number)
	if came != nil {
		came <- reply
		return true
	}
	for _, v := range reply.Versions {
		clear(v.Material)
	}
	return asked
}
