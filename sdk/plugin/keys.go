package plugin

import (
	"context"
	"fmt"

	"github.com/ergoproxy/ergo/sdk/plugin/pluginpb"
)

// tellKey has a source of keys say what it knows of one.
func (l *link) tellKey(ctx context.Context, q *pluginpb.KeyQuery) {
	reply := &pluginpb.KeyReply{Number: q.Number}
	versions, err := l.keysOf(ctx, q.Name)
	if err != nil {
		reply.Error = err.Error()
	}
	for _, v := range versions {
		reply.Versions = append(reply.Versions, &pluginpb.KeyVersion{Id: v.ID, Material: v.Material})
	}
	l.put(&pluginpb.PolicyEvent{Event: &pluginpb.PolicyEvent_Key{Key: reply}})
}

// keysOf asks the policy. A panic is an error without what it says: that may be a key.
func (l *link) keysOf(ctx context.Context, name string) (versions []KeyVersion, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			versions, err = nil, fmt.Errorf("panic of type %T", cause)
		}
	}()
	return l.keys.Keys(ctx, name)
}
