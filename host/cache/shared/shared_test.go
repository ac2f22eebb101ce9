package shared_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/cache"
	"github.com/ergoproxy/ergo/host/cache/shared"
	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/hosttest"
	"github.com/ergoproxy/ergo/host/state"
)

// host is one of several that share a server.
type host struct {
	t testing.TB
	*cache.Store
	*cache.Space
	peers *shared.Peers
}

func newHost(t testing.TB, server *hosttest.Redis) host {
	t.Helper()
	r := state.NewRegistry(state.Options{Redis: &state.RedisOptions{
		Address: server.Address, Timeout: time.Second, Connections: 4, Prefix: "ergo",
	}})
	s, err := cache.Open(cache.Options{})
	if err != nil {
		t.Fatal(err)
	}
	h := host{t: t, Store: s, Space: s.Space("p"), peers: shared.Join(s, r.Server(), slog.New(slog.DiscardHandler))}
	t.Cleanup(func() {
		if err := errors.Join(h.peers.Close(), s.Close(), r.Close()); err != nil {
			t.Error(err)
		}
	})
	h.joins()
	return h
}

func (h host) joins() {
	h.t.Helper()
	hosttest.Eventually(h.t, func() bool { return h.peers.Stats().Joined }, "the log of purges is followed")
}

func (h host) store(key, variant, body string, tags ...string) {
	h.t.Helper()
	sent := h.peers.Stats().Sent
	h.commit(h.create(key, variant, tags...), body)
	hosttest.Eventually(h.t, func() bool { return h.peers.Stats().Sent > sent }, "what was stored is sent")
}

func (h host) create(key, variant string, tags ...string) *cache.Writer {
	h.t.Helper()
	w, err := h.Create(key, cache.Head{
		Status: 203, Variant: variant, Tags: tags, Meta: []byte("meta"),
		Fields: []exchange.Field{{Name: "ETag", Value: `"1"`}, {Name: "Age", Value: "3"}},
	}, h.Now())
	if err != nil {
		h.t.Fatal(err)
	}
	return w
}

func (h host) commit(w *cache.Writer, body string) {
	h.t.Helper()
	if _, err := io.WriteString(w, body); err != nil {
		h.t.Fatal(err)
	}
	if err := w.Commit(exchange.Field{Name: "Digest", Value: "d"}); err != nil {
		h.t.Fatal(err)
	}
}

// local and found are the bodies under a key here, and with those of other hosts;
// softly purged ones with a mark.
func (h host) local(key string) []string { h.t.Helper(); return h.bodies(h.Lookup(key)) }

func (h host) found(key string) []string {
	h.t.Helper()
	set := h.Lookup(key)
	if set.Len() == 0 {
		set = h.Fetch(context.Background(), key)
	}
	return h.bodies(set)
}

func (h host) bodies(set cache.Set) []string {
	h.t.Helper()
	defer set.Close()
	var all []string
	for i := range set.Len() {
		r, err := set.At(i).Open(0, -1)
		if err != nil {
			h.t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		_ = r.Close()
		if err != nil {
			h.t.Fatal(err)
		}
		if set.At(i).Purged {
			b = append(b, " (purged)"...)
		}
		all = append(all, string(b))
	}
	slices.Sort(all)
	return all
}

func (h host) want(what string, got []string, want ...string) {
	h.t.Helper()
	if !slices.Equal(got, want) {
		h.t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

func (h host) purge(sel cache.Selector, soft bool) {
	h.t.Helper()
	if _, err := h.Purge(sel, soft); err != nil {
		h.t.Fatal(err)
	}
}

func TestHostsShareEntries(t *testing.T) {
	server := hosttest.StartRedis(t)
	a, b := newHost(t, server), newHost(t, server)
	a.store("k", "one", "1")
	a.store("k", "two", "2")
	a.want("not here", b.local("k"))
	a.want("found", b.found("k"), "1", "2")
	a.want("kept", b.local("k"), "1", "2")
	a.want("of another key", b.found("l"))
	set := b.Lookup("k")
	defer set.Close()
	e := set.At(0)
	tag, _ := e.Header.Get("etag")
	if e.Status != 203 || string(e.Meta) != "meta" || tag != `"1"` || len(e.Trailer) != 1 || e.Trailer[0].Value != "d" || e.Stored.IsZero() {
		t.Errorf("got %+v, want what was stored", e)
	}
	if other := b.Store.Space("q"); func() int { s := other.Fetch(t.Context(), "k"); return s.Len() }() != 0 {
		t.Error("another policy has found it")
	}
	// What is here is newer than what is found.
	b.store("m", "", "new")
	a.store("m", "", "old")
	a.want("not replaced", b.found("m"), "new")
}

func TestPurgesReachOtherHosts(t *testing.T) {
	server := hosttest.StartRedis(t)
	a, b := newHost(t, server), newHost(t, server)
	for i, sel := range []cache.Selector{{Kind: cache.Exact, Text: "k1"}, {Kind: cache.Prefix, Text: "k"}, {Kind: cache.Tag, Text: "t"}} {
		for _, soft := range []bool{false, true} {
			name := fmt.Sprint(i, soft)
			// What is stored before a has noted the last purge is not found elsewhere.
			hosttest.Eventually(t, func() bool {
				a.store("k1", "", "a", "t")
				return slices.Equal(b.found("k1"), []string{"a"})
			}, name+": found elsewhere")
			a.store("other", "", "stays", "u")
			late := newHost(t, server) // has taken nothing yet
			a.purge(sel, soft)
			var left []string
			if soft {
				left = []string{"a (purged)"}
			}
			hosttest.Eventually(t, func() bool { return slices.Equal(b.local("k1"), left) }, name+": the purge arrives")
			a.want(name+" at a host that comes later", late.found("k1"), left...)
			a.want(name+" of another", late.found("other"), "stays")
			b.purge(cache.Selector{Kind: cache.Prefix}, false)
			hosttest.Eventually(t, func() bool { return len(a.local("other")) == 0 }, name+": all is gone")
		}
	}
}

// A purge on one host and a store on the other, at any moment, leave no old content.
func TestPurgeDuringStoreOfAnotherHost(t *testing.T) {
	server := hosttest.StartRedis(t)
	a, b := newHost(t, server), newHost(t, server)
	w := a.create("k", "")
	a.store("marker", "", "m")
	b.purge(cache.Selector{Kind: cache.Exact, Text: "k"}, false)
	if _, err := io.WriteString(w, "old"); err != nil {
		t.Fatal(err)
	}
	_ = w.Commit() // whether a has heard of it yet or not
	a.store("marker", "", "m")
	a.want("found after the purge", b.found("k"))
	hosttest.Eventually(t, func() bool { return len(a.local("k")) == 0 }, "it is gone where it was stored")

	// Nor does a purge while somebody takes a copy.
	var work sync.WaitGroup
	for n := range 60 {
		a.store("race", "", "old")
		work.Go(func() { _ = b.bodies(b.Fetch(context.Background(), "race")) })
		work.Go(func() { b.purge(cache.Selector{Kind: cache.Exact, Text: "race"}, false) })
		work.Wait()
		if got := b.found("race"); len(got) != 0 {
			t.Fatalf("round %d: got %q after the purge, want nothing", n, got)
		}
		hosttest.Eventually(t, func() bool { return len(a.local("race")) == 0 }, "it is gone where it was stored")
	}
	t.Logf("%+v", b.peers.Stats())
}

func TestServerGoes(t *testing.T) {
	server := hosttest.StartRedis(t)
	a, b := newHost(t, server), newHost(t, server)
	a.store("k", "", "1")
	a.want("before", b.found("k"), "1")
	server.Kill()
	for _, h := range []host{a, b} {
		hosttest.Eventually(t, func() bool { return !h.peers.Stats().Joined }, "it is noticed")
	}
	a.want("here", b.found("k"), "1")
	a.want("elsewhere", b.found("l"))
	a.commit(a.create("l", ""), "2")
	a.want("stored here", a.found("l"), "2")
	if n, err := a.Purge(cache.Selector{Kind: cache.Exact, Text: "l"}, false); n != 1 || !errors.Is(err, cache.ErrUntold) {
		t.Errorf("purge: got %d, %v, want 1, %v", n, err, cache.ErrUntold)
	}
	server.Start() // with an empty log: what it had is not known
	a.joins()
	b.joins()
	a.want("after", b.local("k"))
	if got := b.peers.Stats(); got.Gaps != 1 || a.peers.Stats().Untold != 0 {
		t.Errorf("got %+v, want one gap and nothing untold", got)
	}
	a.store("k", "", "3")
	a.want("shared again", b.found("k"), "3")
}

// A host whose connection is cut catches up without a loss, and tells what it has
// purged meanwhile.
func TestConnectionIsCut(t *testing.T) {
	server := hosttest.StartRedis(t)
	a, b := newHost(t, server), newHost(t, server)
	a.store("k", "", "1")
	a.store("l", "", "2")
	a.want("k", b.found("k"), "1")
	a.want("l", b.found("l"), "2")
	for range 5 {
		if _, err := server.Do("CLIENT", "KILL", "TYPE", "normal"); err != nil {
			t.Fatal(err)
		}
		if _, err := a.Purge(cache.Selector{Kind: cache.Exact, Text: "k"}, false); err != nil && !errors.Is(err, cache.ErrUntold) {
			t.Fatal(err)
		}
	}
	hosttest.Eventually(t, func() bool { return len(b.local("k")) == 0 }, "the purge arrives")
	a.joins()
	b.joins()
	a.want("what was not purged", b.local("l"), "2")
	if got := b.peers.Stats().Gaps; got != 0 {
		t.Errorf("got %d gaps, want none", got)
	}
}

func TestGarbageIsAMiss(t *testing.T) {
	server := hosttest.StartRedis(t)
	a, b := newHost(t, server), newHost(t, server)
	for _, command := range [][]string{
		{"SET", "ergo::cache:of:p:k", "no hash"},
		{"HSET", "ergo::cache:of:p:l", "", "no record"},
	} {
		if reply, err := server.Do(command...); err != nil || reply[0] == '-' {
			t.Fatal(reply, err)
		}
	}
	b.want("no hash", b.found("k"))
	b.want("no record", b.found("l"))
	// What the log says and nobody understands may be a purge.
	a.store("m", "", "1")
	b.want("m", b.found("m"), "1")
	if reply, err := server.Do("XADD", "ergo::cache:purges", "*", "no", "purge"); err != nil || reply[0] == '-' {
		t.Fatal(reply, err)
	}
	hosttest.Eventually(t, func() bool { return len(b.local("m")) == 0 }, "all is dropped")
	b.want("found", b.found("m"))
}

func BenchmarkFetch(b *testing.B) {
	server := hosttest.StartRedis(b)
	from, to := newHost(b, server), newHost(b, server)
	from.store("k", "", string(make([]byte, 10<<10)))
	for b.Loop() {
		set := to.Fetch(context.Background(), "k")
		if set.Len() != 1 {
			b.Fatal("not found")
		}
		set.Close()
	}
}
