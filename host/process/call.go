package process

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ergoproxy/ergo/host/keyring"
	"github.com/ergoproxy/ergo/host/outbound"
	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/host/state"
	"github.com/ergoproxy/ergo/sdk/plugin/pluginpb"
)

// The capabilities that a process can be granted.
const (
	grantRoute    = "ergo_route"
	grantIdentity = "ergo_identity"
	grantIdentify = "ergo_identify"
	grantLog      = "ergo_log"
	grantHTTP     = "ergo_http"
	grantSecret   = "ergo_secret"
	grantKV       = "ergo_kv"
	grantCrypto   = "ergo_crypto"
	grantMetric   = "ergo_metric"
)

// Capabilities are the names of those that processes know.
func Capabilities() []string {
	return []string{
		grantRoute, grantIdentity, grantIdentify, grantLog, grantHTTP, grantSecret, grantKV, grantCrypto, grantMetric,
	}
}

// unknown says why processes do not know a capability.
func unknown(name string) string {
	switch name {
	case "ergo_clock", "ergo_random":
		return "which a process does not need: it has the system's own"
	case "ergo_cache":
		return "which only Wasm policies have: the host moves the bodies of a cache, and no process sees them"
	}
	return "which processes do not know: they know " + strings.Join(Capabilities(), ", ")
}

// maxValue bounds what comes of a call.
const maxValue = 8 << 20

// call does what a process asks for, if it may. It waits as long as the capability does,
// and not beyond ctx: that of the exchange, or of the process. Keys for content are the
// exchange's; nil: there is none.
func (p *Policy) call(ctx context.Context, keys *contentKeys, c *pluginpb.Call) *pluginpb.Result {
	r := &pluginpb.Result{Number: c.Number}
	err := p.do(ctx, keys, c, r)
	if err == nil && len(r.Value) > maxValue {
		err = fmt.Errorf("%w: more than %d bytes", keyring.ErrTooLarge, maxValue)
	}
	if err != nil {
		*r = pluginpb.Result{Number: c.Number, Error: err.Error(), Reason: reasonOf(err)}
	}
	return r
}

func (p *Policy) do(ctx context.Context, keys *contentKeys, c *pluginpb.Call, r *pluginpb.Result) error {
	switch c := c.Call.(type) {
	case *pluginpb.Call_Fetch:
		return p.fetch(ctx, c.Fetch, r)
	case *pluginpb.Call_Secret:
		return p.secret(c.Secret, r)
	case *pluginpb.Call_Get:
		return p.get(ctx, c.Get, r)
	case *pluginpb.Call_Set:
		return p.set(ctx, c.Set)
	case *pluginpb.Call_Add:
		return p.add(ctx, c.Add, r)
	case *pluginpb.Call_Measures:
		return p.measure(c.Measures.GetMeasures())
	case nil:
		return errors.ErrUnsupported
	}
	if !p.grants[grantCrypto] || p.granted.Keys == nil {
		return p.notGranted(grantCrypto)
	}
	return p.crypto(ctx, keys, c, r)
}

// reasons are what a policy may want to know of why it was not done.
var reasons = []struct {
	err    error
	reason pluginpb.Reason
}{
	{errNotGranted, pluginpb.Reason_NOT_GRANTED},
	{keyring.ErrNotGranted, pluginpb.Reason_NOT_GRANTED},
	{keyring.ErrUnknown, pluginpb.Reason_UNKNOWN},
	{keyring.ErrMalformed, pluginpb.Reason_MALFORMED},
	{keyring.ErrMismatch, pluginpb.Reason_MISMATCH},
	{keyring.ErrTooLarge, pluginpb.Reason_TOO_LARGE},
	{keyring.ErrBusy, pluginpb.Reason_BUSY},
	{keyring.ErrTimeout, pluginpb.Reason_LATE},
}

func reasonOf(err error) pluginpb.Reason {
	for _, r := range reasons {
		if errors.Is(err, r.err) {
			return r.reason
		}
	}
	return pluginpb.Reason_OTHER
}

// errNotGranted says that the manifest does not grant a capability.
var errNotGranted = errors.New("not granted")

// withheld is the error of a capability that is not granted.
type withheld struct{ capability, policy string }

func (w *withheld) Error() string {
	return fmt.Sprintf("it uses %s, which [policy.%s] does not grant", w.capability, w.policy)
}

// Is reports whether the target is errNotGranted.
func (w *withheld) Is(target error) bool { return target == errNotGranted }

func (p *Policy) notGranted(name string) error {
	return p.failure(policy.Trap, &withheld{name, p.name})
}

func (p *Policy) fetch(ctx context.Context, f *pluginpb.Fetch, r *pluginpb.Result) error {
	if !p.grants[grantHTTP] || p.granted.HTTP == nil {
		return p.notGranted(grantHTTP)
	}
	request := &outbound.Request{
		Method: f.Method, URL: f.Url, Body: f.Body, Timeout: time.Duration(f.TimeoutMs) * time.Millisecond,
	}
	if err := p.addFields(&request.Header, f.Fields); err != nil {
		return err
	}
	response, err := p.granted.HTTP.Do(under(ctx, f.Span), request)
	if err != nil {
		return err
	}
	r.Status, r.Value = uint32(response.Status), response.Body
	r.Fields = pack(&response.Header)
	return nil
}

func (p *Policy) secret(name string, r *pluginpb.Result) error {
	if !p.grants[grantSecret] {
		return p.notGranted(grantSecret)
	}
	secret, found := p.granted.Secrets[name]
	if r.Found = found; found {
		r.Value = []byte(secret.Reveal())
	}
	return nil
}

// kv returns what the policy remembers by.
func (p *Policy) kv() (*state.Store, error) {
	if !p.grants[grantKV] || p.granted.KV == nil {
		return nil, p.notGranted(grantKV)
	}
	return p.granted.KV.Store, nil
}

func (p *Policy) get(ctx context.Context, key string, r *pluginpb.Result) error {
	store, err := p.kv()
	if err != nil {
		return err
	}
	value, _, err := store.Get(ctx, []byte(key))
	if errors.Is(err, state.ErrNotFound) {
		return nil
	}
	r.Found, r.Value = err == nil, value
	return err
}

func (p *Policy) set(ctx context.Context, s *pluginpb.Set) error {
	store, err := p.kv()
	if err != nil {
		return err
	}
	_, err = store.Set(ctx, []byte(s.Key), s.Value, millis(s.TtlMs))
	return err
}

func (p *Policy) add(ctx context.Context, a *pluginpb.Add, r *pluginpb.Result) error {
	store, err := p.kv()
	if err != nil {
		return err
	}
	r.Count, err = store.Add(ctx, []byte(a.Key), a.Delta, millis(a.TtlMs))
	return err
}

// millis is a duration of so many milliseconds; what no store would take stays such.
func millis(n uint64) time.Duration {
	return time.Duration(min(n, uint64(2*state.MaxTTL/time.Millisecond))) * time.Millisecond
}
