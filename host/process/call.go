package process

import (
	"context"
	"errors"
	"time"

	"github.com/ergoproxy/ergo/host/outbound"
	"github.com/ergoproxy/ergo/host/state"
	"github.com/ergoproxy/ergo/sdk/plugin/pluginpb"
)

// The capabilities that a process can be granted.
const (
	grantRoute    = "ergo_route"
	grantIdentify = "ergo_identify"
	grantLog      = "ergo_log"
	grantHTTP     = "ergo_http"
	grantSecret   = "ergo_secret"
	grantKV       = "ergo_kv"
)

// Capabilities are the names of those that processes know.
func Capabilities() []string {
	return []string{grantRoute, grantIdentify, grantLog, grantHTTP, grantSecret, grantKV}
}

// call does what a process asks for, if it may. It waits as long as the capability does,
// and not beyond ctx: that of the exchange, or of the process.
func (p *Policy) call(ctx context.Context, c *pluginpb.Call) *pluginpb.Result {
	r := &pluginpb.Result{Number: c.Number}
	var err error
	switch c := c.Call.(type) {
	case *pluginpb.Call_Fetch:
		err = p.fetch(ctx, c.Fetch, r)
	case *pluginpb.Call_Secret:
		err = p.secret(c.Secret, r)
	case *pluginpb.Call_Get:
		err = p.get(ctx, c.Get, r)
	case *pluginpb.Call_Set:
		err = p.set(ctx, c.Set)
	case *pluginpb.Call_Add:
		err = p.add(ctx, c.Add, r)
	default:
		err = errors.ErrUnsupported
	}
	if err != nil {
		r.Error = err.Error()
	}
	return r
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
	response, err := p.granted.HTTP.Do(ctx, request)
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
