package feed

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ergoproxy/ergo/host/keyring"
	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/policy"
)

// safe is a source of keys that says what the test puts into it.
type safe struct {
	mu    sync.Mutex
	ids   []string
	err   error
	asked int
	told  [][]byte // the material, as it was told
}

func (s *safe) put(err error, ids ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ids, s.err = ids, err
}

func (s *safe) Keys(_ context.Context, name string) ([]policy.KeyVersion, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	if s.err != nil {
		return nil, s.err
	}
	var versions []policy.KeyVersion
	for _, id := range s.ids {
		material := []byte(strings.Repeat("0123456789abcdef-"+id+name, 4))[:32]
		s.told = append(s.told, material)
		versions = append(versions, policy.KeyVersion{ID: id, Material: material})
	}
	return versions, nil
}

func config(refresh time.Duration) manifest.Key {
	return manifest.Key{Algorithm: "XAES-256-GCM", Encoding: "raw", Source: &manifest.KeySource{
		Name: "orders", Refresh: manifest.Duration(refresh), Timeout: manifest.Duration(time.Minute),
	}}
}

// primary is the id of the version that a key seals with.
func primary(key *keyring.Key) string {
	g := keyring.NewGrant(map[string]keyring.Granted{"k": {Key: key, May: keyring.Seal}}, keyring.NewGate())
	defer g.Close()
	id, _ := g.KeyID([]byte("k"))
	return id
}

func TestFeed(t *testing.T) {
	source := &safe{ids: []string{"v1"}}
	f, err := Open(t.Context(), source, config(time.Millisecond), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	asked := make(chan struct{})
	f.Watch(func(ctx context.Context) {
		select {
		case asked <- struct{}{}:
		case <-ctx.Done():
		}
	})
	held := f.Current()
	defer held.Release()
	if got := primary(held); got != "v1" {
		t.Errorf("primary is %s, want v1", got)
	}
	for _, step := range []struct {
		err  error
		ids  []string
		want string
	}{
		{nil, []string{"v1"}, "v1"},
		{nil, []string{"v2", "v1"}, "v2"},
		{errors.New("sealed"), nil, "v2"}, // what it said last holds
		{nil, nil, "v2"},
		{nil, []string{"v3"}, "v3"},
	} {
		source.put(step.err, step.ids...)
		for range 2 { // the first may have begun before
			<-asked
		}
		key := f.Current()
		if got := primary(key); got != step.want {
			t.Errorf("after %v: primary is %s, want %s", step, got, step.want)
		}
		key.Release()
	}
	f.Close()
	source.mu.Lock()
	defer source.mu.Unlock()
	for i, material := range source.told {
		if !bytes.Equal(material, make([]byte, len(material))) {
			t.Fatalf("what the source told in its time %d was not zeroed", i)
		}
	}
}

// A source that cannot be asked is asked again after longer and longer pauses, up to the
// interval.
func TestBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &safe{ids: []string{"v1"}}
		f, err := Open(t.Context(), source, config(10*time.Second), slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		source.put(errors.New("sealed"))
		asked := make(chan time.Time)
		f.Watch(func(context.Context) { asked <- time.Now() })
		last := time.Now()
		for i, want := range []time.Duration{10, 1, 2, 4, 8, 10, 10, 10, 1, 2} {
			now := <-asked
			if got := now.Sub(last); got > want*time.Second || got < want*time.Second*9/10 {
				t.Errorf("asked for the time %d after %v, want %v less at most a tenth", i+1, got, want*time.Second)
			}
			last = now
			if i == 5 {
				source.put(nil, "v1")
			} else {
				source.put(errors.New("sealed"))
			}
		}
		f.Close()
	})
}

func TestBadVersions(t *testing.T) {
	many := make([]string, keyring.MaxVersions+1)
	for i := range many {
		many[i] = fmt.Sprint("v", i)
	}
	for says, ids := range map[string][]string{
		"0 versions": nil, "17 versions": many, "that of two": {"v1", "v1"}, "cannot be the id": {"v 1"}, `"" cannot be`: {""},
	} {
		if _, err := Open(t.Context(), &safe{ids: ids}, config(time.Hour), slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v: got %v, want %q in it", ids, err, says)
		}
	}
	weak := config(time.Hour)
	weak.Algorithm = "AES-256-SIV"
	_, err := Open(t.Context(), &safe{ids: []string{"v1"}}, weak, slog.New(slog.DiscardHandler))
	if err == nil || err.Error() != "version v1: the key has 32 bytes: AES-256-SIV takes 64" {
		t.Errorf("got %v", err)
	}
}

// Many take the key while it changes: none is zeroed in somebody's hands.
func TestFeedHammer(t *testing.T) {
	source := &safe{ids: []string{"v0"}}
	f, err := Open(t.Context(), source, config(time.Microsecond), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	f.Watch(func(context.Context) {
		n++
		source.put(nil, fmt.Sprint("v", n))
	})
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 200 {
				key := f.Current()
				g := keyring.NewGrant(map[string]keyring.Granted{"k": {Key: key, May: keyring.Seal | keyring.Open}}, keyring.NewGate())
				key.Release()
				sealed, err := g.Seal([]byte("k"), []byte("text"), nil)
				if err == nil {
					_, err = g.Open([]byte("k"), sealed, nil)
				}
				if err != nil {
					t.Error(err)
				}
				g.Close()
			}
		})
	}
	group.Wait()
	f.Close()
	if source.asked < 2 {
		t.Error("nothing has changed meanwhile")
	}
}
