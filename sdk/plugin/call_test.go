package plugin

import (
	"errors"
	"testing"

	"github.com/ergoproxy/ergo/sdk/plugin/pluginpb"
)

// Each reason that the host can give is one error of the package, and the one without a name is none.
func TestReasons(t *testing.T) {
	all := map[string]error{
		"NOT_GRANTED": ErrNotGranted, "UNKNOWN": ErrUnknown, "MALFORMED": ErrMalformed, "MISMATCH": ErrMismatch,
		"TOO_LARGE": ErrTooLarge, "BUSY": ErrBusy, "LATE": ErrLate,
	}
	for name, kind := range pluginpb.Reason_value {
		if _, known := all[name]; !known && name != "OTHER" {
			t.Errorf("%s is no error of the package", name)
		}
		for other, err := range all {
			if got, want := errors.Is(&HostError{"", pluginpb.Reason(kind)}, err), other == name; got != want {
				t.Errorf("%s is %s: got %v, want %v", name, other, got, want)
			}
		}
	}
}
