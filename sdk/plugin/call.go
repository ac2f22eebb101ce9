package plugin

import (
	"context"
	"errors"
	"time"

	"github.com/ergoproxy/ergo/sdk/plugin/pluginpb"
)

// ErrNotFound says that there is no such key.
var ErrNotFound = errors.New("not found")

// Why the host does not do what a policy asks for, where a policy may want to know; a
// HostError is one of them, or of none.
var (
	ErrNotGranted error = &reason{pluginpb.Reason_NOT_GRANTED, "the manifest does not grant it"}
	ErrUnknown    error = &reason{pluginpb.Reason_UNKNOWN, "the key has no such version, or there is no such handle"}
	ErrMalformed  error = &reason{pluginpb.Reason_MALFORMED, "it is malformed, or too much"}
	ErrMismatch   error = &reason{pluginpb.Reason_MISMATCH, "a tag or a signature is wrong"}
	ErrTooLarge   error = &reason{pluginpb.Reason_TOO_LARGE, "it is too large"}
	ErrBusy       error = &reason{pluginpb.Reason_BUSY, "too much is under way"}
	ErrLate       error = &reason{pluginpb.Reason_LATE, "there was no time left"}
)

// reason is one that the host gives, as an error.
type reason struct {
	kind  pluginpb.Reason
	words string
}

func (r *reason) Error() string { return r.words }

// HostError is why the host did not do what a policy asked for: not granted, not allowed by the
// manifest, unavailable, too large, not in time.
type HostError struct {
	Reason string // in words, for the log
	kind   pluginpb.Reason
}

func (e *HostError) Error() string { return "host: " + e.Reason }

// Is reports whether the error is one of the package's.
func (e *HostError) Is(target error) bool {
	r, known := target.(*reason)
	return known && r.kind == e.kind
}

// Host does what the manifest grants: for an Exchange, or for the policy itself, as Starter
// is given it. It is used by one goroutine at a time.
type Host struct {
	link    *link
	number  uint64 // of the exchange; 0: none
	results chan *pluginpb.Result
	calls   uint32
}

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
func (h *Host) Fetch(ctx context.Context, c Call) (*Reply, error) {
	r, err := h.ask(ctx, &pluginpb.Call{Call: &pluginpb.Call_Fetch{Fetch: &pluginpb.Fetch{
		Method: c.Method, Url: c.URL, Fields: encode(c.Header), Body: c.Body, TimeoutMs: uint32(c.Timeout.Milliseconds()),
		Span: ownSpan(ctx),
	}}})
	if err != nil {
		return nil, err
	}
	return &Reply{Status: int(r.Status), Header: Header{fields: decode(r.Fields)}, Body: r.Value}, nil
}

// Secret returns the secret that the manifest calls name. It takes the grant
// ergo_secret; the error may be ErrNotFound.
func (h *Host) Secret(ctx context.Context, name string) ([]byte, error) {
	return h.lookup(ctx, &pluginpb.Call{Call: &pluginpb.Call_Secret{Secret: name}})
}

// Get returns what the policy remembers under key. It takes the grant ergo_kv, as
// Set and Add do; the error may be ErrNotFound.
func (h *Host) Get(ctx context.Context, key string) ([]byte, error) {
	return h.lookup(ctx, &pluginpb.Call{Call: &pluginpb.Call_Get{Get: key}})
}

// Set remembers value under key for ttl; 0 is for ever.
func (h *Host) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	_, err := h.ask(ctx, &pluginpb.Call{Call: &pluginpb.Call_Set{Set: &pluginpb.Set{
		Key: key, Value: value, TtlMs: uint64(ttl.Milliseconds()),
	}}})
	return err
}

// Add adds to the counter under key, which begins at 0 and ends after the ttl of its first Add, and
// returns what it comes to. It is atomic among all that share the store.
func (h *Host) Add(ctx context.Context, key string, delta int64, ttl time.Duration) (int64, error) {
	r, err := h.ask(ctx, &pluginpb.Call{Call: &pluginpb.Call_Add{Add: &pluginpb.Add{
		Key: key, Delta: delta, TtlMs: uint64(ttl.Milliseconds()),
	}}})
	if err != nil {
		return 0, err
	}
	return r.Count, nil
}

func (h *Host) lookup(ctx context.Context, c *pluginpb.Call) ([]byte, error) {
	r, err := h.ask(ctx, c)
	if err == nil && !r.Found {
		err = ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	return r.Value, nil
}

// receive takes a result in. One that nobody waits for any more gives way.
func (h *Host) receive(r *pluginpb.Result) {
	for {
		select {
		case h.results <- r:
			return
		default:
		}
		select {
		case <-h.results:
		default:
		}
	}
}

// ask has the host do one thing, and waits. A call whose context ends is given up; its
// result is dropped when it comes.
func (h *Host) ask(ctx context.Context, c *pluginpb.Call) (*pluginpb.Result, error) {
	h.calls++
	c.Number = h.calls
	h.link.put(&pluginpb.PolicyEvent{Exchange: h.number, Event: &pluginpb.PolicyEvent_Call{Call: c}})
	for {
		select {
		case r := <-h.results:
			if r.Number != c.Number {
				continue
			}
			if r.Error != "" {
				return nil, &HostError{r.Error, r.Reason}
			}
			return r, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
