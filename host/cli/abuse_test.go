package cli

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/keyring"
	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/host/wasm"
	"github.com/ergoproxy/ergo/host/wasm/httpwasm"
	"github.com/ergoproxy/ergo/host/wasm/proxywasm"
	"github.com/ergoproxy/ergo/host/wasm/wasmtest"
)

// TestHostFunctionsAreSafe has guests of both ABIs call every function that there
// is for them, with every kind of bad pointer and length, in both phases of an
// exchange and at the start, when there is none. A guest may be trapped for it; what
// must not happen is that the host trips: that is a bug of its own, and not only this
// guest's end.
func TestHostFunctionsAreSafe(t *testing.T) {
	for _, host := range []wasm.HostModule{httpwasm.Host(), proxywasm.Host()} {
		t.Run(host.Name, func(t *testing.T) {
			modules := append([]wasm.HostModule{host}, capabilities()...)
			a := newAbuser(t, modules)
			sound := a.load(t)
			n := 0
			for _, module := range modules {
				for _, f := range module.Functions {
					a.name = module.Name + "." + f.Name
					a.call = wasmtest.Call{Function: n, Params: make([]uint64, len(f.Params))}
					a.start(t)
					for params := range wasmtest.Abuse(len(f.Params), uint64(n)) {
						a.call.Params = params
						a.abuse(t, sound)
					}
					n++
				}
			}
			if a.traps == 0 || a.traps == a.calls {
				t.Errorf("%d of %d calls trapped", a.traps, a.calls)
			}
		})
	}
}

// abuser has a guest make one call for each phase of an exchange.
type abuser struct {
	*sandbox
	name         string // of the function
	call         wasmtest.Call
	left         int // calls to make, the next time that the guest is called
	calls, traps int
}

func newAbuser(t *testing.T, modules []wasm.HostModule) *abuser {
	t.Helper()
	a := &abuser{}
	driver := wasmtest.Driver(func() (wasmtest.Call, bool) {
		a.left--
		return a.call, a.left >= 0
	})
	a.sandbox = newSandbox(t, modules, driver, nil)
	return a
}

// sandbox is what a wasmtest.Caller is loaded with as a policy that has everything.
type sandbox struct {
	loader policy.Loader
	spec   policy.Spec
}

// newSandbox makes one for a guest that imports modules, the first of which is an
// ABI, and does what driver says; change may be nil.
func newSandbox(t *testing.T, modules []wasm.HostModule, driver wasm.HostModule, change func(*manifest.Policy)) *sandbox {
	t.Helper()
	return newSandboxWith(t, modules, driver, nil, change)
}

// newSandboxWith is newSandbox for a guest that may use keys.
func newSandboxWith(t *testing.T, modules []wasm.HostModule, driver wasm.HostModule, keys map[string]keyring.Granted,
	change func(*manifest.Policy)) *sandbox {
	t.Helper()
	a, log := new(sandbox), slog.New(slog.DiscardHandler)
	p, err := newParts(wiring{log: log})
	if err != nil {
		t.Fatal(err)
	}
	guests, err := wasm.Open(wasm.Options{Capabilities: append(capabilities(), driver)})
	if err != nil {
		t.Fatal(err)
	}
	module := wasmtest.Caller(modules...)
	a.spec = policy.Spec{
		Name: "abuser", Log: log, Keys: keys,
		Artifact: &policy.Artifact{Digest: fmt.Sprintf("sha256:%x", sha256.Sum256(module)), Module: module},
		Settings: manifest.Policy{
			Grants: append(grants(), wasmtest.DriverName),
			HTTP:   &manifest.Outbound{Hosts: []string{"https://nowhere.test"}, Concurrent: 4},
			Limits: manifest.Limits{
				Memory: 1 << 20, Time: manifest.Duration(time.Minute), Instances: 4, Wait: manifest.Duration(time.Minute),
				RequestBody: 1 << 20, ResponseBody: 1 << 20, LogLines: 10,
			},
		},
	}
	if change != nil {
		change(&a.spec.Settings)
	}
	a.spec.Granted = p.grant(a.spec)
	t.Cleanup(func() {
		ctx := context.Background()
		if err := errors.Join(a.spec.Granted.Close(), guests.Close(ctx), p.close(ctx)); err != nil {
			t.Error(err)
		}
	})
	abi := "http-wasm"
	if modules[0].Name == proxywasm.Host().Name {
		abi = "proxy-wasm"
	}
	a.loader = loaders(guests)[abi]
	return a
}

// load makes a policy whose guest starts well.
func (a *sandbox) load(t *testing.T) policy.Policy {
	t.Helper()
	p, err := a.loader.Load(t.Context(), a.spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return p
}

// start has a guest make the call as it starts.
func (a *abuser) start(t *testing.T) {
	t.Helper()
	a.left = 1
	p, err := a.loader.Load(t.Context(), a.spec)
	a.check(t, err)
	if err == nil {
		err = p.Close(context.Background())
		a.check(t, err)
	}
	a.left = 0
}

// abuse takes an exchange through the policy.
func (a *abuser) abuse(t *testing.T, p policy.Policy) {
	t.Helper()
	x := abused()
	began := time.Now()
	i, err := p.Acquire(x)
	if err != nil {
		t.Fatalf("%s%x: %v", a.name, a.call.Params, err)
	}
	defer p.Release(i)
	a.left = 1
	_, err = p.(policy.RequestHead).OnRequestHead(i, x)
	a.check(t, err)
	x.Route.Sent = true
	x.Response.Status = 200
	x.Response.Header.Add("Content-Type", "text/plain")
	a.left = 1
	a.check(t, p.(policy.ResponseHead).OnResponseHead(i, x))
	a.left = 0
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("%s%x: it took %v", a.name, a.call.Params, took)
	}
}

// check counts how a call ended, which must not be for a mistake of the host's.
func (a *abuser) check(t *testing.T, err error) {
	t.Helper()
	a.calls++
	if err != nil {
		a.traps++
	}
	var bug runtime.Error
	if errors.As(err, &bug) {
		t.Errorf("%s%x: %v", a.name, a.call.Params, err)
	}
}

func abused() *exchange.Exchange {
	x := &exchange.Exchange{
		ID:       "x-1",
		Request:  exchange.Request{Method: "POST", Scheme: "https", Authority: "site.test", Target: "/a?b=c", Version: exchange.HTTP2},
		Conn:     &exchange.Conn{Remote: netip.MustParseAddrPort("192.0.2.7:4711")},
		ClientIP: netip.MustParseAddr("192.0.2.7"),
	}
	x.Request.Header.Add("Accept", "text/html")
	x.Request.Body, x.Request.Length = io.NopCloser(strings.NewReader("body")), 4
	return x
}
