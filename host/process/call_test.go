package process

import (
	"testing"

	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/policy"
)

const asking = policyFile + `
capabilities = ["ergo_route", "ergo_identify", "ergo_log", "ergo_secret", "ergo_kv", "ergo_http"]
`

func TestCapabilities(t *testing.T) {
	b := newBench(t, asking, `{}`)
	b.spec.Granted.Secrets = map[string]manifest.Secret{"token": manifest.NewSecret("s3cret")}
	p := b.load(t)
	x := newExchange("x-do", "route")
	if _, err := visitOnce(t, p, x); err != nil {
		t.Fatal(err)
	}
	role, _ := x.Identity.Attribute("role")
	if x.Route.Upstream != "blue" || x.Route.HashKey != "key" || x.Identity.Subject != "somebody" || role != "cook" || len(x.Notes) != 1 {
		t.Errorf("got %+v %+v %v", x.Route, x.Identity, x.Notes)
	}
	if got := answerOf(t, p, "x-do", "secret"); got != "s3cret <nil> not found" {
		t.Errorf("got %q", got)
	}
	if got := answerOf(t, p, "x-do", "count") + " " + answerOf(t, p, "x-do", "count"); got != "/a?b 1 /a?b 2" {
		t.Errorf("got %q", got)
	}
}

// What is not granted is refused, and what decides by it fails.
func TestCapabilitiesNotGranted(t *testing.T) {
	p := load(t, `{}`)
	for _, do := range []string{"route", "count"} {
		if _, err := visitOnce(t, p, newExchange("x-do", do)); kindOf(t, err) != policy.Trap {
			t.Errorf("%s: got %v, want a trap", do, err)
		}
	}
	want := " host: policy subject: trap: it uses ergo_secret, which [policy.subject] does not grant"
	if got := answerOf(t, p, "x-do", "secret"); got != want+want {
		t.Errorf("got %q, want %q", got, want+want)
	}
	if got := answerOf(t, p, "x-do", "fetch", "x-url", "http://127.0.0.1/"); got == "" {
		t.Error("it fetched")
	}
}
