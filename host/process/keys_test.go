package process

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/host/process/child"
	"github.com/ergoproxy/ergo/sdk/plugin/pluginpb"
)

func TestKeys(t *testing.T) {
	source := newAsking(t, `{"do": "keys"}`).load(t).(policy.KeySource)
	for n := 1; n <= 2; n++ {
		versions, err := source.Keys(t.Context(), "orders")
		if err != nil {
			t.Fatal(err)
		}
		var said []string
		for _, v := range versions {
			said = append(said, v.ID+": "+string(v.Material))
		}
		want := []string{"v2: orders 2 s3cret", "v1: orders 1 s3cret"}[2-n:]
		if got := strings.Join(said, ", "); got != strings.Join(want, ", ") {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestKeysRefused(t *testing.T) {
	p := newAsking(t, `{"do": "keys"}`).load(t)
	source := p.(policy.KeySource)
	for name, says := range map[string]string{"none": "there is no such key", "panic": "panic of type string"} {
		if _, err := source.Keys(t.Context(), name); err == nil || err.Error() != says {
			t.Errorf("%s: got %v, want %q", name, err, says)
		}
	}
	ungranted := newBench(t, policyFile, `{"do": "keys"}`).load(t).(policy.KeySource)
	if _, err := ungranted.Keys(t.Context(), "orders"); err == nil || !strings.Contains(err.Error(), "ergo_secret") {
		t.Errorf("without the grant: got %v", err)
	}
	none := load(t, `{}`).(policy.KeySource)
	if _, err := none.Keys(t.Context(), "orders"); !errors.Is(err, policy.ErrNoKeys) {
		t.Errorf("got %v, want %v", err, policy.ErrNoKeys)
	}
}

// A source that does not reply is given up, and when queries pile up it is started again.
func TestKeysHang(t *testing.T) {
	p := newAsking(t, `{"do": "keys"}`).load(t)
	source := p.(policy.KeySource)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for range maxOwn + 1 {
		if _, err := source.Keys(ended, "hang"); !errors.Is(err, child.ErrHangs) {
			t.Fatalf("got %v, want %v", err, child.ErrHangs)
		}
	}
	eventually(t, "another process takes its place", func() bool {
		bounded, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		_, err := source.Keys(bounded, "orders")
		return err == nil && p.Stats().Discarded == 1
	})
}

// A reply that comes too late is zeroed, and one that nobody asked for breaks the protocol.
func TestLateKeyReply(t *testing.T) {
	o := newOwn(nil)
	o.replies[7] = make(chan *pluginpb.KeyReply, 1)
	if err := o.giveUp(7); !errors.Is(err, child.ErrHangs) {
		t.Errorf("got %v, want %v", err, child.ErrHangs)
	}
	version := &pluginpb.KeyVersion{Material: []byte("secret")}
	reply := &pluginpb.KeyReply{Number: 7, Versions: []*pluginpb.KeyVersion{version}}
	if !o.deliver(reply) || string(version.Material) != strings.Repeat("\x00", 6) {
		t.Errorf("it was refused, or is still there: %q", version.Material)
	}
	if o.deliver(reply) {
		t.Error("a second reply was taken")
	}
}
