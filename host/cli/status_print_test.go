package cli

import (
	"strings"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/engine"
	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/host/tier"
)

func TestHealth(t *testing.T) {
	for _, tc := range []struct {
		health tier.SlotStatus
		want   string
	}{
		{tier.SlotStatus{}, "well"},
		{tier.SlotStatus{LoadError: "no such file"}, "not loaded"},
		{tier.SlotStatus{Quarantined: true, Kind: "trap", Retry: time.Second}, "quarantined (trap, probe in 1s)"},
		{tier.SlotStatus{Failures: 2, Kind: "timeout"}, "failing (timeout, 2 in a row)"},
		{tier.SlotStatus{Failures: 2, Stats: policy.Stats{Down: 2, Retry: 3 * time.Second}}, "2 down (next in 3s)"},
	} {
		if got := health(new(printer), engine.PolicyStatus{Health: tc.health}); !strings.Contains(got, tc.want) {
			t.Errorf("%+v: got %q, want %q", tc.health, got, tc.want)
		}
	}
}
