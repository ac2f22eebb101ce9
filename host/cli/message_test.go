package cli

import (
	"net"
	"strings"
	"testing"

	"github.com/ergoproxy/ergo/host/hosttest"
)

// on returns a manifest whose admin API has an address of TCP.
func on(t *testing.T, address, host string) string {
	t.Helper()
	return replaceOnce(t, manifestText(t, "1", host), `"unix:admin.sock"`, `"`+address+`"`)
}

func TestAdminAddressInUse(t *testing.T) {
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	manifest := folder(t, on(t, other.Addr().String(), ""))
	status, _, errs := ergo(t, "run", "-c", manifest)
	if want := "proxy.toml:3:1: host.admin: listen tcp " + other.Addr().String(); status != exitFailed || !strings.Contains(errs, want) {
		t.Errorf("got %d, %q, want %q", status, errs, want)
	}
}

func TestWrongAdminToken(t *testing.T) {
	r := runHost(t, folder(t, on(t, "127.0.0.1:0", `admin_token = "right"`)))
	address, _ := r.err.line("admin API")["address"].(string)
	t.Setenv(tokenVariable, "wrong")
	if status, _, errs := ergo(t, "status", "--admin", address); status != exitFailed || !strings.Contains(errs, "set "+tokenVariable) {
		t.Errorf("got %d, %q", status, errs)
	}
	t.Setenv(tokenVariable, "right")
	mustErgo(t, "status", "--admin", address)
}

// TestWarningsAreLogged: who starts a host, or saves its manifest, is told what
// 'ergo check' tells.
func TestWarningsAreLogged(t *testing.T) {
	r := runHost(t, folder(t, manifestText(t, "1", "")+"[policy.idle]\nsource = \"headers\"\n"))
	if line := r.err.line("manifest"); line == nil || !strings.Contains(line["warning"].(string), "policy.idle: no stage uses it") {
		t.Errorf("got %v", line)
	}
}

// TestStuckCollectorIsNoFailure: a collector that takes what it is sent and
// answers nothing keeps no host from ending well.
func TestStuckCollectorIsNoFailure(t *testing.T) {
	collector, err := net.Listen("tcp", "127.0.0.1:0") // nobody accepts
	if err != nil {
		t.Fatal(err)
	}
	defer collector.Close()
	text := manifestText(t, "1", "") + "[telemetry]\notlp = \"http://" + collector.Addr().String() + "\"\nsample = 1\n"
	r := runHost(t, folder(t, text))
	r.eventually("1")
	if status := r.stop(); status != exitDone {
		t.Errorf("got exit status %d", status)
	}
	hosttest.Eventually(t, func() bool { return r.err.line("the last spans and metrics are lost") != nil }, "the loss is told")
	if r.err.line("exchanges were cut off") != nil {
		t.Errorf("no exchange was:\n%s", r.err.String())
	}
}
