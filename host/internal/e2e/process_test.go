package e2e

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/ergoproxy/ergo/host/hosttest"
)

// process is a kind of policies that looks at heads in a process of its own, between two that are Wasm.
var process = kind{"process", "X-Request"}

// throughProcesses is a manifest that takes exchanges through processes and modules in one stage of each tier.
const throughProcesses = `
[[listener]]
name = "plain"
address = "127.0.0.1:0"

[[listener]]
name = "secure"
address = "127.0.0.1:0"
tls.certificates = [{ cert = %q, key = %q }]

[upstream.origin]
endpoints = [%q]
tls.ca = %q

[policy]
headers.source = %q
subject = { source = "plugin:%s", limits = { time = "10s" } }

[[edge.stage]]
name = "mixed"
use = [
  { policy = "headers", config = { request.set = { x-edge = "1" } } },
  { policy = "subject", config = {} },
  { policy = "headers", config = { response.add = { x-policy = "edge" } } },
]

[service]
upstream = "origin"

[[service.stage]]
name = "mixed"
use = [{ policy = "headers", config = {} }, { policy = "subject", config = {} }]
`

// subject builds the plugin of host/process's tests.
func subject(t testing.TB) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "subject")
	if out, err := exec.Command("go", "build", "-o", program, "../../process/testdata/subject").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return program
}

// TestEverythingThroughProcesses takes all traffic over all wires through policies that are processes, mixed with
// Wasm: WebSocket, server-sent events and gRPC pass as they do through Wasm alone.
func TestEverythingThroughProcesses(t *testing.T) {
	ca := hosttest.NewCA(t)
	o := startSecureOrigin(t, ca)
	o.grpc = newService(t)
	cert, key := hosttest.NewCA(t).Write(t, t.TempDir(), "site", "127.0.0.1")
	h := start(t, fmt.Sprintf(throughProcesses, cert, key, o.URL, ca.WriteCA(t, t.TempDir()), shipped(t, "headers"), subject(t)))
	for _, w := range wires {
		t.Run(w.name, func(t *testing.T) {
			p := newPassage(t, h, o, process, w)
			testTraffic(t, p)
			if w.h2 {
				testGRPC(t, p)
			}
		})
	}
}
