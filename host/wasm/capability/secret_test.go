package capability

import (
	"strings"
	"testing"

	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/policy"
)

const token = "correct horse"

func newSecrets(t testing.TB) *relay {
	r := newRelay(t, Secret(), &policy.Granted{Secrets: map[string]manifest.Secret{"token": manifest.NewSecret(token)}})
	r.instance.Call().Exchange = nil // it is told while it starts
	return r
}

func TestSecret(t *testing.T) {
	r := newSecrets(t)
	for _, name := range []string{"", "Token", "token\x00", "other"} {
		r.want(none, "get", name, 512, 100)
	}
	r.want(uint64(len(token)), "get", "token", 512, len(token)-1)
	if got := r.memory(512, 16); got != strings.Repeat("\x00", 16) {
		t.Errorf("a secret that does not fit was written: %q", got)
	}
	r.want(uint64(len(token)), "get", "token", 512, len(token))
	if got := r.memory(512, uint32(len(token))); got != token {
		t.Errorf("got %q, want %q", got, token)
	}
}

func TestPolicyWithoutSecrets(t *testing.T) {
	newRelay(t, Secret(), new(policy.Granted)).want(none, "get", "token", 512, 100)
}

func FuzzSecret(f *testing.F) {
	f.Add(uint64(1024), uint64(5), uint64(512), uint64(100), []byte("token"))
	f.Add(uint64(1024), uint64(5), uint64(1022), uint64(100), []byte("token"))
	f.Add(uint64(1024), uint64(5), uint64(outside-1), uint64(100), []byte("token"))
	f.Add(uint64(outside), uint64(1), uint64(0), uint64(1<<32-1), []byte{})
	f.Fuzz(func(t *testing.T, name, nameLength, buf, limit uint64, memory []byte) {
		r := newSecrets(t)
		r.fuzz(0, [4]uint64{name, nameLength, buf, limit}, memory)
	})
}
