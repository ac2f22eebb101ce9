package cli

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tetratelabs/wazero/api"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/hosttest"
	"github.com/ergoproxy/ergo/host/keyring"
	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/host/wasm"
	"github.com/ergoproxy/ergo/host/wasm/httpwasm"
	"github.com/ergoproxy/ergo/host/wasm/proxywasm"
	"github.com/ergoproxy/ergo/host/wasm/wasmtest"
)

// use is one call of a capability by a guest. Strings in args lie in its memory and
// become a pointer and a length; seen looks at what came of it.
type use struct {
	module, name string
	args         []any
	seen         func(mod api.Memory) bool
}

// Places in the guest's memory.
const (
	argumentsAt = 4096
	resultsAt   = 16384
)

func holds(text string) func(api.Memory) bool {
	return func(m api.Memory) bool {
		b, _ := m.Read(resultsAt, uint32(len(text)))
		return string(b) == text
	}
}

// user has a guest use capabilities, one after another, when the host calls it.
type user struct {
	t       *testing.T
	modules []wasm.HostModule
	uses    []use // what is left of them
	last    *use
}

// driver is wasmtest.Driver with arguments in memory.
func (u *user) driver() wasm.HostModule {
	return wasm.HostModule{Name: wasmtest.DriverName, Functions: []wasm.HostFunction{{
		Name: "next", Results: []api.ValueType{wasm.I32},
		Call: func(_ context.Context, mod api.Module, stack []uint64) {
			if last := u.last; last != nil && last.seen != nil && !last.seen(mod.Memory()) {
				u.t.Errorf("%s.%s%v did not do what it should", last.module, last.name, last.args)
			}
			u.last, stack[0] = nil, 0
			if len(u.uses) > 0 {
				u.last, u.uses = &u.uses[0], u.uses[1:]
				u.pass(mod.Memory(), u.last.args)
				stack[0] = u.index(u.last)
			}
		},
	}}}
}

// pass writes the arguments where the guest takes them from.
func (u *user) pass(m api.Memory, args []any) {
	at, text := uint32(0), uint32(argumentsAt)
	next := func(v uint64) { m.WriteUint64Le(at, v); at += 8 }
	for _, arg := range args {
		switch v := arg.(type) {
		case int:
			next(uint64(v))
		case string:
			m.WriteString(text, v)
			next(uint64(text))
			next(uint64(len(v)))
			text += uint32(len(v))
		}
	}
}

// index is the number of a function among those that the guest imports, from 1 on.
func (u *user) index(wanted *use) uint64 {
	n := uint64(0)
	for _, module := range u.modules {
		for _, f := range module.Functions {
			if n++; module.Name == wanted.module && f.Name == wanted.name {
				return n
			}
		}
	}
	u.t.Fatalf("there is no %s.%s", wanted.module, wanted.name)
	return 0
}

type anyUpstream struct{}

func (anyUpstream) HasUpstream(string) bool { return true }

// Guests of both ABIs use every capability, with what the manifest grants.
func TestGuestsOfBothABIsUseWhatIsGranted(t *testing.T) {
	for _, host := range []wasm.HostModule{httpwasm.Host(), proxywasm.Host()} {
		t.Run(host.Name, func(t *testing.T) {
			backend := hosttest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "answered") }))
			u := &user{t: t, modules: append([]wasm.HostModule{host}, capabilities()...)}
			version, err := keyring.Parse("XAES-256-GCM", "raw", "one", []byte("a key that is no secret, of tests"[:32]))
			if err != nil {
				t.Fatal(err)
			}
			key := keyring.NewKey("XAES-256-GCM", version)
			defer key.Release()
			granted := map[string]keyring.Granted{"data": {Key: key, May: keyring.Seal}}
			a := newSandboxWith(t, u.modules, u.driver(), granted, func(s *manifest.Policy) {
				s.Secrets = map[string]manifest.Secret{"token": manifest.NewSecret("hush")}
				s.KV = manifest.KV{Keys: 10, Bytes: 1 << 20, ValueBytes: 100}
				s.HTTP.Hosts, s.HTTP.Internal = []string{backend.URL}, []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
				s.HTTP.Methods, s.HTTP.Timeout, s.HTTP.ResponseBody = []string{"GET"}, manifest.Duration(10*time.Second), 100
			})
			anywhere := []use{
				{"ergo_secret", "get", []any{"token", resultsAt, 100}, holds("hush")},
				{"ergo_metric", "define", []any{0, "hits", resultsAt}, holds("\x00\x00\x00\x00")},
				{"ergo_metric", "add", []any{0, 1}, nil},
				{"ergo_metric", "value", []any{0, resultsAt}, func(m api.Memory) bool { n, _ := m.ReadUint64Le(resultsAt); return n > 0 }},
				{"ergo_kv", "set", []any{"k", "remembered", 0, resultsAt + 64}, nil},
				{"ergo_kv", "get", []any{"k", resultsAt, 100, resultsAt + 512}, holds("remembered")},
				{"ergo_random", "get", []any{resultsAt, 32}, func(m api.Memory) bool { return !holds("remembered")(m) }},
				{"ergo_crypto", "digest", []any{1, "", resultsAt}, holds("\xe3\xb0\xc4\x42")},
				{"ergo_crypto", "key_id", []any{"data", resultsAt, 100}, holds("one")},
				{"ergo_crypto", "seal", []any{"data", "text", "context", resultsAt, 100, resultsAt + 512}, holds("\x01\x03one")},
				{"ergo_clock", "wall", nil, nil},
				{"ergo_log", "emit", []any{0, "message", "key\x00value\x00"}, nil},
				{"ergo_http", "start", []any{"GET", backend.URL, "", "", 0, resultsAt}, nil},
			}
			u.uses = slices.Clone(anywhere)
			p := a.load(t)
			x := abused()
			x.Upstreams = anyUpstream{}
			u.uses = append(slices.Clone(anywhere),
				use{"ergo_route", "set_upstream", []any{"blue"}, nil},
				use{"ergo_log", "annotate", []any{"key", "value"}, nil},
				use{"ergo_identify", "identify", []any{"ann"}, nil},
				use{"ergo_identity", "subject", []any{resultsAt, 100}, holds("ann")},
				use{"ergo_clock", "remaining", nil, nil})
			carryThrough(t, p, x, func() {
				u.uses = []use{
					{"ergo_http", "await", []any{2, -1}, nil}, // the start's is 1
					{"ergo_http", "read_body", []any{2, 0, resultsAt, 100}, holds("answered")},
					{"ergo_identify", "forget", nil, nil}, // too late
				}
			})
			if len(u.uses) != 0 || u.last != nil {
				t.Errorf("%d uses are left", len(u.uses))
			}
			if x.Route.Upstream != "blue" || x.Identity.Subject != "ann" || x.Identity.Method != "abuser" {
				t.Errorf("got upstream %q, client %q by %q", x.Route.Upstream, x.Identity.Subject, x.Identity.Method)
			}
		})
	}
}

// What acts on an exchange traps while there is none, and says why.
func TestWhatActsOnAnExchangeNeedsOne(t *testing.T) {
	for _, host := range []wasm.HostModule{httpwasm.Host(), proxywasm.Host()} {
		u := &user{t: t, modules: append([]wasm.HostModule{host}, capabilities()...)}
		a := newSandbox(t, u.modules, u.driver(), nil)
		for _, acts := range []string{
			"ergo_route.set_upstream", "ergo_route.add_fallback", "ergo_route.get_upstream", "ergo_route.set_hash_key", "ergo_route.set_timeout", "ergo_route.set_retries",
			"ergo_log.annotate", "ergo_clock.began", "ergo_clock.remaining",
			"ergo_identity.subject", "ergo_identity.method", "ergo_identity.attribute", "ergo_identity.attribute_names",
			"ergo_crypto.random",
			"ergo_identify.identify", "ergo_identify.set_attribute", "ergo_identify.forget",
		} {
			module, name, _ := strings.Cut(acts, ".")
			u.uses = []use{{module: module, name: name}}
			if _, err := a.loader.Load(t.Context(), a.spec); !errors.Is(err, wasm.ErrNoExchange) {
				t.Errorf("%s of %s: got %v, want ErrNoExchange", acts, host.Name, err)
			}
			u.last = nil
		}
	}
}

// carryThrough takes an exchange through a policy; between is called before the
// response.
func carryThrough(t *testing.T, p policy.Policy, x *exchange.Exchange, between func()) {
	t.Helper()
	i, err := p.Acquire(x)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Release(i)
	if _, err := p.(policy.RequestHead).OnRequestHead(i, x); err != nil {
		t.Fatal(err)
	}
	between()
	x.Route.Sent, x.Response.Status = true, 200
	if err := p.(policy.ResponseHead).OnResponseHead(i, x); err != nil {
		t.Fatal(err)
	}
}
