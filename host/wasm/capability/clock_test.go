package capability

import (
	"errors"
	"math"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/host/wasm"
)

func newClock(t testing.TB, now *time.Duration) *relay {
	return newRelay(t, Clock(Time{
		Wall:      func() time.Time { return time.Unix(1_700_000_000, 123) },
		Monotonic: func() time.Duration { return *now },
	}), new(policy.Granted))
}

func TestClock(t *testing.T) {
	now := 100 * time.Second
	r := newClock(t, &now)
	r.x.Began = 99 * time.Second
	r.want(1_700_000_000_000_000_123, "wall")
	r.want(uint64(100*time.Second), "monotonic")
	r.want(uint64(99*time.Second), "began")
	r.want(math.MaxInt64, "remaining")
	r.x.Life().Narrow(102 * time.Second)
	r.want(uint64(2*time.Second), "remaining")
	now = 103 * time.Second
	r.want(0, "remaining")
	r.want(uint64(103*time.Second), "monotonic")
}

func TestSystemTime(t *testing.T) {
	r := newRelay(t, Clock(SystemTime()), new(policy.Granted))
	before := time.Now().UnixNano()
	wall, err := r.call("wall")
	if err != nil || int64(wall) < before || int64(wall) > time.Now().UnixNano() {
		t.Errorf("got %d, %v, want from %d on", wall, err, before)
	}
	r.x.Began = r.x.Lap()
	if now, err := r.call("monotonic"); err != nil || time.Duration(now) < r.x.Began {
		t.Errorf("got %d, %v, want from %d on", now, err, r.x.Began)
	}
}

func TestClockWithoutExchange(t *testing.T) {
	now := time.Second
	r := newClock(t, &now)
	r.instance.Call().Exchange = nil
	r.want(uint64(time.Second), "monotonic")
	for _, name := range []string{"began", "remaining"} {
		r := newClock(t, &now)
		r.instance.Call().Exchange = nil
		if _, err := r.call(name); !errors.Is(err, wasm.ErrNoExchange) {
			t.Errorf("%s: got %v, want %v", name, err, wasm.ErrNoExchange)
		}
	}
}
