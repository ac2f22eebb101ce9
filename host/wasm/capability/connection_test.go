package capability

import (
	"testing"

	"github.com/ergoproxy/ergo/host/policy"
)

func newConnection(t testing.TB) *relay { return newRelay(t, Connection(), new(policy.Granted)) }

func TestScheme(t *testing.T) {
	r := newConnection(t)
	r.x.Request.Scheme = "http"
	for _, c := range []struct{ client, want string }{{"https", "https"}, {"http", "http"}, {"", "http"}} {
		r.x.ClientScheme = c.client
		r.want(uint64(len(c.want)), "scheme", 512, 100)
		if got := r.memory(512, uint32(len(c.want))); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
	r.x.ClientScheme = "https"
	r.want(5, "scheme", 600, 4)
	if got := r.memory(600, 5); got != "\x00\x00\x00\x00\x00" {
		t.Errorf("a scheme that does not fit was written: %q", got)
	}
}

func FuzzConnection(f *testing.F) {
	f.Add(uint64(512), uint64(100))
	f.Add(uint64(outside-1), uint64(100))
	f.Add(uint64(65535), uint64(1<<32-1))
	f.Fuzz(func(t *testing.T, at, limit uint64) {
		r := newConnection(t)
		r.x.ClientScheme = "https"
		r.fuzz(0, [4]uint64{at, limit}, nil)
	})
}
