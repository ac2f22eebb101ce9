package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/ergoproxy/ergo/host/keyring"
	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/policy"
)

// vault is a marker that is a source of keys.
type vault struct {
	*marker
	version atomic.Int64
	sealed  atomic.Bool
	asked   atomic.Int64
}

func (v *vault) Keys(context.Context, string) ([]policy.KeyVersion, error) {
	v.asked.Add(1)
	if v.sealed.Load() {
		return nil, errors.New("the vault is sealed")
	}
	id := fmt.Sprint("v", v.version.Load())
	return []policy.KeyVersion{{ID: id, Material: []byte(strings.Repeat("0123456789abcdef-"+id, 4))[:32]}}, nil
}

// vaults loads vaults, which count as the fake loader's markers.
type vaults struct {
	*fakeLoader
	current atomic.Pointer[vault]
	sealed  bool
}

func (l *vaults) Load(ctx context.Context, spec policy.Spec) (policy.Policy, error) {
	made, err := l.fakeLoader.Load(ctx, spec)
	if err != nil {
		return nil, err
	}
	v := &vault{marker: made.(*marker)}
	v.sealed.Store(l.sealed)
	l.current.Store(v)
	return v, nil
}

// newVaultBench has a policy "vault" beside the marker.
func newVaultBench(t *testing.T) (*bench, *vaults) {
	b := newBench(t)
	l := &vaults{fakeLoader: b.loader}
	b.e.opts.Loaders[policy.Plugin], b.e.opts.Grants = l, []string{"ergo_crypto"}
	if err := os.Mkdir(filepath.Join(b.folder, "vault"), 0o700); err != nil {
		t.Fatal(err)
	}
	b.write("vault/policy.toml", `name = "vault"
version = "1.0.0"
family = "encryption"
summary = "keeps keys"
license = "Apache-2.0"
abi = "plugin"
module = "vault"
[config]
type = "object"
additionalProperties = false
properties.mark = { type = "string" }
`)
	b.write("vault/vault", "a program")
	return b, l
}

const source = `{ policy = "vault", refresh = "1s", config = { mark = "safe" } }`

// vaulted is a manifest with a key from a source, that the marker is granted.
func (b *bench) vaulted(mark, source string) Source {
	from := b.manifest([]string{fmt.Sprintf("{ mark = %q }", mark)}, nil)
	from.Data = []byte(strings.Replace(string(from.Data), "source = \"marker\"\n", `source = "marker"
grants = ["ergo_crypto"]
keys = { data = { key = "orders", use = ["seal"] } }
[policy.vault]
source = "vault"
[key.orders]
algorithm = "XAES-256-GCM"
encoding = "raw"
source = `+source+"\n", 1))
	return from
}

// keyID is the version that the running generation seals with.
func (b *bench) keyID() string {
	b.e.turn <- struct{}{} // no other takes its place meanwhile
	defer func() { <-b.e.turn }()
	grant := keyring.NewGrant(map[string]keyring.Granted{"k": {Key: b.e.current.Load().fed[0].key, May: keyring.Seal}}, keyring.NewGate())
	defer grant.Close()
	id, _ := grant.KeyID([]byte("k"))
	return id
}

// When a source has another version, what uses the key is made anew; what its source said last
// holds while it cannot be asked, through swaps and rollbacks.
func TestSourcedKey(t *testing.T) {
	b, l := newVaultBench(t)
	b.swap(b.vaulted("a", source))
	v := l.current.Load()
	if got := b.keyID(); got != "v0" {
		t.Errorf("it seals with %s, want v0", got)
	}
	v.version.Store(1)
	eventually(t, "the new version is used", func() bool { return b.keyID() == "v1" })
	if got := b.get().header.Value("x-seen"); got != "a" {
		t.Errorf("exchanges see %q, want a", got)
	}
	history := b.e.History()
	if last := history[len(history)-1]; last.Cause != "key orders" || !slices.Contains(last.Changes, "key.orders: its source has other versions") {
		t.Errorf("history ends with %+v", last)
	}
	if n := len(b.e.reachable()); n != 1 {
		t.Errorf("%d generations are kept: a rollback would bring back the old key", n)
	}

	v.sealed.Store(true)
	b.swap(b.vaulted("b", source))
	asked := v.asked.Load()
	eventually(t, "it is asked again", func() bool { return v.asked.Load() > asked })
	if got := b.keyID(); got != "v1" || l.current.Load() != v {
		t.Errorf("while the vault is sealed it seals with %s, want v1 of the same process", got)
	}
	v.version.Store(2)
	v.sealed.Store(false)
	eventually(t, "the next version is used", func() bool { return b.keyID() == "v2" })
	if _, err := b.e.Rollback(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a rollback does not keep an old key", func() bool { return b.keyID() == "v2" })
	if got := b.get().header.Value("x-seen"); got != "a" {
		t.Errorf("exchanges see %q after the rollback, want a", got)
	}
	b.swap(b.manifest([]string{mark("c")}, nil, "keep_generations = 0"))
	eventually(t, "a source that no generation needs ends", v.closed.Load)
}

func TestSourceRefused(t *testing.T) {
	b, l := newVaultBench(t)
	l.sealed = true
	for _, c := range []struct{ source, says string }{
		{source, "key.orders.source: the key cannot be had: the vault is sealed"},
		{`{ policy = "vault", config = { mark = 1 } }`, "key.orders.source.config.mark: "},
		{`{ policy = "vault", config = { mark = "x", refuse = true } }`, "key.orders.source.config.refuse: "},
	} {
		_, err := b.e.Swap(t.Context(), "swap", b.vaulted("a", c.source))
		var problems manifest.Problems
		if !errors.As(err, &problems) || len(problems) != 1 || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v, want only %q", c.source, err, c.says)
		}
	}
	b.e.opts.Loaders[policy.Plugin] = l.fakeLoader
	if _, err := b.e.Swap(t.Context(), "swap", b.vaulted("a", source)); err == nil || !strings.Contains(err.Error(), policy.ErrNoKeys.Error()) {
		t.Errorf("got %v, want %v", err, policy.ErrNoKeys)
	}
	b.write("vault/vault", "\x00asm")
	if _, err := b.e.Swap(t.Context(), "swap", b.vaulted("a", source)); err == nil || !strings.Contains(err.Error(), "policy.vault.source: ") {
		t.Errorf("got %v, want a problem of the source", err)
	}
}

// Keys change while the manifest is swapped and the engine ends.
func TestSourcedKeyHammer(t *testing.T) {
	b, l := newVaultBench(t)
	b.swap(b.vaulted("a", source))
	v := l.current.Load()
	spring := b.e.current.Load().fed[0].spring
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for range 50 {
				v.version.Add(1)
				b.e.follow(t.Context(), spring)
			}
		})
	}
	for i := range 20 {
		b.swap(b.vaulted(fmt.Sprint("m", i), source))
		b.get()
	}
	group.Wait()
}
