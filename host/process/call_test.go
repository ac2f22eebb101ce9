package process

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/ergoproxy/ergo/host/keyring"
	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/host/telemetry"
	"github.com/ergoproxy/ergo/sdk/plugin/pluginpb"
)

const asking = policyFile + `
capabilities = [
  "ergo_route", "ergo_identity", "ergo_identify", "ergo_log", "ergo_secret", "ergo_kv", "ergo_http", "ergo_crypto", "ergo_metric",
]
`

// newAsking makes a bench of a policy that is granted all that a process can be.
func newAsking(t testing.TB, config string) *bench {
	t.Helper()
	b := newBench(t, asking, config)
	var metrics *telemetry.Metrics
	b.spec.Granted.Metrics = metrics.Guest("subject", "1.0.0")
	b.spec.Granted.Secrets = map[string]manifest.Secret{"token": manifest.NewSecret("s3cret")}
	b.spec.Granted.Keys = newKeys(t)
	t.Cleanup(func() { _ = b.spec.Granted.Close() })
	return b
}

// newKeys grants "data" to seal and open, "mac" to sign and verify, and "kw" to wrap and unwrap.
func newKeys(t testing.TB) *keyring.Grant {
	t.Helper()
	granted := map[string]keyring.Granted{}
	for name, algorithm := range map[string]string{"data": "XAES-256-GCM", "mac": "HS256", "kw": "A256KW"} {
		version, err := keyring.Parse(algorithm, "raw", "v1", []byte(strings.Repeat("0123456789abcdef-"+name, 4))[:32])
		if err != nil {
			t.Fatal(err)
		}
		key := keyring.NewKey(algorithm, version)
		defer key.Release()
		granted[name] = keyring.Granted{Key: key, May: key.Can()}
	}
	return keyring.NewGrant(granted, keyring.NewGate())
}

// testRoute has the policy say where an exchange goes, whose it is, and what is to be noted.
func testRoute(t *testing.T, p policy.Policy) {
	t.Helper()
	x := newExchange("x-do", "route")
	if _, err := visitOnce(t, p, x); err != nil {
		t.Fatal(err)
	}
	role, _ := x.Identity.Attribute("role")
	if x.Route.Upstream != "blue" || x.Route.HashKey != "key" || x.Identity.Subject != "somebody" || role != "cook" || len(x.Notes) != 1 {
		t.Errorf("got %+v %+v %v", x.Route, x.Identity, x.Notes)
	}
}

func TestCapabilities(t *testing.T) {
	b := newAsking(t, `{}`)
	p := b.load(t)
	testRoute(t, p)
	for _, c := range []struct{ do, want string }{
		{"secret", "s3cret <nil> not found"},
		{"count", "/a?b 1"},
		{"count", "/a?b 2"},
		{"seal", "text <nil> true true true {v1 XAES-256-GCM} <nil> false"},
		{"sign", "32 <nil> true true"},
		{"wrap", "content <nil> true <nil> true true"},
		{"hoard", "16 host: there are as many keys for content as there may be"},
		{"hoard", "16 host: there are as many keys for content as there may be"}, // those of the exchange before are gone
	} {
		if got := answerOf(t, p, "x-do", c.do); got != c.want {
			t.Errorf("%s: got %q, want %q", c.do, got, c.want)
		}
	}
}

func TestIdentityRead(t *testing.T) {
	ask := func(p policy.Policy) string {
		x := newExchange("x-do", "who")
		if err := x.Identify("somebody", "jwt"); err != nil {
			t.Fatal(err)
		}
		if err := x.AddAttribute("role", "cook"); err != nil {
			t.Fatal(err)
		}
		if verdict, err := visitOnce(t, p, x); err != nil || verdict != policy.Answer {
			t.Fatalf("got verdict %v, error %v", verdict, err)
		}
		return bodyOf(t, x.Response.Body)
	}
	if got, want := ask(newAsking(t, `{}`).load(t)), "somebody jwt [{role cook}]"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := ask(load(t, `{}`)), "[]"; got != want {
		t.Errorf("without the grant: got %q, want %q", got, want)
	}
}

func TestMetrics(t *testing.T) {
	b := newAsking(t, `{}`)
	p := b.load(t)
	for range 2 {
		if _, err := visitOnce(t, p, newExchange("x-do", "measure")); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]struct {
		kind  telemetry.MetricKind
		value uint64
	}{"seen": {telemetry.MetricCounter, 4}, "open": {telemetry.MetricGauge, 6}, "level": {telemetry.MetricGauge, 5}} {
		if got := measured(t, b, want.kind, name); got != want.value {
			t.Errorf("%s: got %d, want %d", name, got, want.value)
		}
	}
	_, err := visitOnce(t, p, newExchange("x-do", "mis-measure"))
	if kindOf(t, err) != policy.Trap || !strings.Contains(err.Error(), `metric "seen"`) {
		t.Errorf("a metric of two kinds: got %v, want a trap", err)
	}
}

func measured(t testing.TB, b *bench, kind telemetry.MetricKind, name string) uint64 {
	t.Helper()
	metrics := b.spec.Granted.Metrics
	id, err := metrics.Define(kind, name)
	if err != nil {
		t.Fatal(err)
	}
	value, err := metrics.Value(id)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// What is not granted is refused, and what decides by it fails.
func TestCapabilitiesNotGranted(t *testing.T) {
	p := load(t, `{}`)
	for _, do := range []string{"route", "count", "measure"} {
		if _, err := visitOnce(t, p, newExchange("x-do", do)); kindOf(t, err) != policy.Trap {
			t.Errorf("%s: got %v, want a trap", do, err)
		}
	}
	want := " host: policy subject: trap: it uses ergo_secret, which [policy.subject] does not grant"
	if got := answerOf(t, p, "x-do", "secret"); got != want+want {
		t.Errorf("got %q, want %q", got, want+want)
	}
	for _, do := range []string{"seal", "sign", "wrap"} {
		want := "host: policy subject: trap: it uses ergo_crypto, which [policy.subject] does not grant"
		if got := answerOf(t, p, "x-do", do); got != want {
			t.Errorf("%s: got %q, want %q", do, got, want)
		}
	}
	if got := answerOf(t, p, "x-do", "fetch", "x-url", "http://127.0.0.1/"); got == "" {
		t.Error("it fetched")
	}
}

// Of each reason that a policy can be told there is something that it is told for.
func TestReasons(t *testing.T) {
	told := map[pluginpb.Reason]bool{reasonOf(errors.New("another")): true}
	for _, r := range reasons {
		if told[r.reason] = true; reasonOf(fmt.Errorf("do it: %w", r.err)) != r.reason {
			t.Errorf("%v is told as %v, want %v", r.err, reasonOf(r.err), r.reason)
		}
	}
	for number, name := range pluginpb.Reason_name {
		if !told[pluginpb.Reason(number)] {
			t.Errorf("nothing is told as %s", name)
		}
	}
}

// What several exchanges ask for at once does not make a batch that is too large.
func TestLargeResults(t *testing.T) {
	p := newAsking(t, `{}`).load(t)
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() {
			x := newExchange("x-do", "large")
			if verdict, err := visitOnce(t, p, x); err != nil || verdict != policy.Answer {
				t.Errorf("got verdict %v, error %v", verdict, err)
				return
			}
			if got := bodyOf(t, x.Response.Body); got != "4194348 <nil>" {
				t.Errorf("got %q", got)
			}
		})
	}
	group.Wait()
	if discarded := p.Stats().Discarded; discarded != 0 {
		t.Errorf("%d processes were discarded", discarded)
	}
}

// The handles of an exchange end with it.
func TestContentKeysAreWiped(t *testing.T) {
	grant := newKeys(t)
	defer grant.Close()
	key, _, err := grant.Wrap([]byte("kw"), []byte("A256GCM"), nil)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := key.Encrypt([]byte("text"), nil)
	if err != nil {
		t.Fatal(err)
	}
	v := &visit{ready: make(chan struct{}, 1)}
	handle := v.keys.add(key)
	v.reset()
	if v.keys.find(handle) != nil {
		t.Error("the handle is still there")
	}
	if _, err := key.Decrypt(sealed[:12], sealed[12:16], sealed[16:], nil); !errors.Is(err, keyring.ErrMismatch) {
		t.Errorf("the key still decrypts: %v", err)
	}
}
