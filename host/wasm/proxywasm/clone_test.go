package proxywasm

import (
	"strings"
	"sync/atomic"
	"testing"

	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/host/wasm"
)

// starts counts how often a guest is started and configured, while exchanges pass
// one after another, each in an instance of its own.
func starts(t *testing.T, grants ...string) (count int64, stats policy.Stats) {
	t.Helper()
	var started, streams atomic.Int64
	p := load(t, script{
		"vm_start":        func(*guest, []uint32) uint32 { started.Add(1); return 1 },
		"configure":       func(*guest, []uint32) uint32 { return 1 },
		"request_headers": func(*guest, []uint32) uint32 { streams.Add(1); return 0 },
		"done":            func(*guest, []uint32) uint32 { return 1 },
	}, func(s *policy.Spec) {
		s.Settings.ProxyWasm = settings("")
		s.Settings.Isolation = "exchange"
		s.Settings.Grants = append(s.Settings.Grants, grants...)
	})
	for range 3 {
		carry(p, newExchange("GET", "/"))
	}
	if got := streams.Load(); got != 3 {
		t.Errorf("%d streams of 3", got)
	}
	return started.Load(), p.Stats()
}

func TestInstancesAreClones(t *testing.T) {
	count, stats := starts(t)
	if stats.Plain != "" {
		t.Skipf("nothing is cloned here: %s", stats.Plain)
	}
	if count != 1 || stats.Created != 3 {
		t.Errorf("%d of %d instances were started", count, stats.Created)
	}
}

func TestInstancesToWhichChanceMattersStartOneByOne(t *testing.T) {
	count, stats := starts(t, wasm.Random)
	if count != 3 || !strings.Contains(stats.Plain, wasm.Random) {
		t.Errorf("%d instances were started: %+v", count, stats)
	}
}
