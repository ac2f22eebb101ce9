package capability

import (
	"strings"
	"testing"

	"github.com/ergoproxy/ergo/host/policy"
)

func TestRandom(t *testing.T) {
	r := newRelay(t, Random(), new(policy.Granted))
	seen := map[string]bool{}
	for range 4 {
		r.instance.Memory().WriteString(100, strings.Repeat("\x00", 40))
		if _, err := r.call("get", 104, 32); err != nil {
			t.Fatal(err)
		}
		around := r.memory(100, 40)
		if around[:4]+around[36:] != strings.Repeat("\x00", 8) {
			t.Errorf("more than asked for was written: %x", around)
		}
		seen[around[4:36]] = true
	}
	if len(seen) != 4 {
		t.Errorf("%d different draws of 4", len(seen))
	}
}

// It needs no exchange: a guest may draw while it starts.
func TestRandomBounds(t *testing.T) {
	r := newRelay(t, Random(), new(policy.Granted))
	r.instance.Call().Exchange = nil
	for _, length := range []int{0, 1, 65536} {
		if _, err := r.call("get", 0, length); err != nil {
			t.Errorf("%d bytes: %v", length, err)
		}
	}
	if got := r.memory(65500, 36); got == strings.Repeat("\x00", 36) {
		t.Error("the last bytes were not drawn")
	}
	if _, err := r.call("get", 1, 65536); err == nil || !isOutside(err) {
		t.Errorf("a range outside of memory: %v", err)
	}
}

func FuzzRandom(f *testing.F) {
	f.Add(uint32(0), uint32(65536))
	f.Add(uint32(65535), uint32(1))
	f.Add(uint32(65536), uint32(0))
	f.Add(^uint32(0), ^uint32(0))
	f.Fuzz(func(t *testing.T, at, length uint32) {
		newRelay(t, Random(), new(policy.Granted)).fuzz(0, [4]uint64{uint64(at), uint64(length)}, nil)
	})
}
