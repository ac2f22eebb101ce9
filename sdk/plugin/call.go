package plugin

import (
	"context"
	"errors"
	"time"

	"github.com/ergoproxy/ergo/sdk/plugin/pluginpb"
)

// ErrNotFound says that there is no such key.
var ErrNotFound = errors.New("not found")

// HostError is why the host did not do what a policy asked for: not granted, not allowed by the
// manifest, unavailable, too large, not in time.
type HostError struct{ Reason string }

func (e *HostError) Error() string { return "host: " + e.Reason }

// Call is a request that a policy makes of its own.
type Call struct {
	Method, URL string // "https://host/path", or "upstream://name/path" for an upstream of the manifest
	Header      []Field
	Body        []byte
	Timeout     time.Duration // 0, or more than the manifest's, is the manifest's
}

// Reply is the response to a Call, whatever its status.
type Reply struct {
	Status int
	Header Header
	Body   []byte
}

// Fetch makes a call that [policy.NAME.http] allows. It takes the grant ergo_http.
func (x *Exchange) Fetch(ctx context.Context, c Call) (*Reply, error) {
	r, err := x.ask(ctx, &pluginpb.Call{Call: &pluginpb.Call_Fetch{Fetch: &pluginpb.Fetch{
		Method: c.Method, Url: c.URL, Fields: encode(c.Header), Body: c.Body, TimeoutMs: uint32(c.Timeout.Milliseconds()),
	}}})
	if err != nil {
		return nil, err
	}
	return &Reply{Status: int(r.Status), Header: Header{fields: decode(r.Fields)}, Body: r.Value}, nil
}

// Secret returns the secret that the manifest calls name. It takes the grant
// ergo_secret; the error may be ErrNotFound.
func (x *Exchange) Secret(ctx context.Context, name string) ([]byte, error) {
	return x.lookup(ctx, &pluginpb.Call{Call: &pluginpb.Call_Secret{Secret: name}})
}

// Get returns what the policy remembers under key. It takes the grant ergo_kv, as
// Set and Add do; the error may be ErrNotFound.
func (x *Exchange) Get(ctx context.Context, key string) ([]byte, error) {
	return x.lookup(ctx, &pluginpb.Call{Call: &pluginpb.Call_Get{Get: key}})
}

// Set remembers value under key for ttl; 0 is for ever.
func (x *Exchange) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	_, err := x.ask(ctx, &pluginpb.Call{Call: &pluginpb.Call_Set{Set: &pluginpb.Set{
		Key: key, Value: value, TtlMs: uint64(ttl.Milliseconds()),
	}}})
	return err
}

// Add adds to the counter under key, which begins at 0 and ends after the ttl of its first Add, and
// returns what it comes to. It is atomic among all that share the store.
func (x *Exchange) Add(ctx context.Context, key string, delta int64, ttl time.Duration) (int64, error) {
	r, err := x.ask(ctx, &pluginpb.Call{Call: &pluginpb.Call_Add{Add: &pluginpb.Add{
		Key: key, Delta: delta, TtlMs: uint64(ttl.Milliseconds()),
	}}})
	if err != nil {
		return 0, err
	}
	return r.Count, nil
}

func (x *Exchange) lookup(ctx context.Context, c *pluginpb.Call) ([]byte, error) {
	r, err := x.ask(ctx, c)
	if err == nil && !r.Found {
		err = ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	return r.Value, nil
}

// ask has the host do one thing, and waits. A call whose context ends is given up; its
// result is dropped when it comes.
func (x *Exchange) ask(ctx context.Context, c *pluginpb.Call) (*pluginpb.Result, error) {
	x.calls++
	c.Number = x.calls
	x.link.put(&pluginpb.PolicyEvent{Exchange: x.number, Event: &pluginpb.PolicyEvent_Call{Call: c}})
	for {
		select {
		case r := <-x.results:
			if r.Number != c.Number {
				continue
			}
			if r.Error != "" {
				return nil, &HostError{r.Error}
			}
			return r, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
