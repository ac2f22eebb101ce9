package capability

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/cache"
	"github.com/ergoproxy/ergo/host/cache/flight"
	"github.com/ergoproxy/ergo/host/cache/shared"
	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/hosttest"
	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/host/state"
	"github.com/ergoproxy/ergo/host/wasm"
)

// stay is an exchange's visit as an ABI has it.
type stay struct {
	response *exchange.Response
	header   exchange.Header // of it, its own
	wait     func()
	kept     wasm.Ender
	passed   bool
}

var _ wasm.Visit = (*stay)(nil)

// Respond follows wasm.Visit.
func (s *stay) Respond(r *exchange.Response) *exchange.Header {
	s.header.CopyFrom(&r.Header)
	r.Header = s.header
	s.response = r
	return &r.Header
}

// Await follows wasm.Visit.
func (s *stay) Await(wait func()) bool {
	s.wait = wait
	return !s.passed
}

// Keep follows wasm.Visit.
func (s *stay) Keep(k wasm.Ender) { s.kept = k }

// Kept follows wasm.Visit.
func (s *stay) Kept() wasm.Ender { return s.kept }

func (s *stay) end() {
	if s.kept != nil {
		s.kept.End()
	}
	*s = stay{header: s.header}
}

// cacher is a guest with a cache, and an exchange of which it has a response.
type cacher struct {
	*relay
	stay  *stay
	cache *policy.Cache
}

func newPolicyCache(t testing.TB) *policy.Cache {
	t.Helper()
	store, err := cache.Open(cache.Options{MemoryBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return &policy.Cache{Space: store.Space("p")}
}

func newCacher(t testing.TB, responses *policy.Cache) *cacher {
	t.Helper()
	c := &cacher{relay: newRelay(t, Cache(), &policy.Granted{Policy: "p", Cache: responses}), stay: new(stay), cache: responses}
	c.instance.Call().Visit = c.stay
	c.x.Request.Method, c.x.Request.Scheme = "GET", "https"
	return c
}

// respond gives the exchange a response from upstream.
func (c *cacher) respond(status int, body string, fields ...string) {
	r := &c.x.Response
	r.Reset()
	r.Status, r.Length = status, int64(len(body))
	for i := 0; i < len(fields); i += 2 {
		r.Header.Add(fields[i], fields[i+1])
	}
	if body != "" {
		r.Body = io.NopCloser(strings.NewReader(body))
	}
	c.x.Route.Sent = true
}

// next ends the exchange and begins another one.
func (c *cacher) next() {
	c.stay.end()
	c.x.Response.Reset()
	c.x.Route.Sent = false
}

// put stores a response under key as a whole exchange does.
func (c *cacher) put(key, body string, fields ...string) {
	c.t.Helper()
	c.respond(200, body, fields...)
	c.want(0, "store", key, "v", "meta", "tag\x00other\x00", "x-private\x00")
	if c.x.Response.Body != nil {
		if _, err := io.Copy(io.Discard, c.x.Response.Body); err != nil {
			c.t.Fatal(err)
		}
	}
	c.next()
}

func TestCacheStoresAndServes(t *testing.T) {
	c := newCacher(t, newPolicyCache(t))
	c.want(0, "lookup", "key")
	c.put("key", "0123456789", "Content-Type", "text/plain", "X-Private", "1", "Connection", "close", "Content-Length", "10")
	c.want(1, "lookup", "key")
	n, err := c.call("get_entry", 0, 8192, 1024)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := c.memory(8192, uint32(n)), "\xc8\x00\x00\x00\x0a\x00\x00\x00\x00\x00\x00\x00\x04\x00\x00\x00meta\x01\x00\x00\x00v"; got != want {
		t.Errorf("got entry %q, want %q", got, want)
	}
	n, err = c.call("get_fields", 0, 8192, 1024)
	if err != nil || n>>32 != 1 || c.memory(8192, uint32(n)) != "content-type\x00text/plain\x00" {
		t.Errorf("got %d fields %q, %v", n>>32, c.memory(8192, uint32(n)), err)
	}
	for _, tc := range []struct {
		method         string
		status         int
		offset, length int64
		want           string
		wantLength     int64
	}{
		{"GET", 200, 0, -1, "0123456789", 10},
		{"GET", 206, 2, 3, "234", 3},
		{"GET", 206, 8, 30, "89", 2},
		{"GET", 200, 10, -1, "", 0},
		{"HEAD", 200, 0, -1, "", 10},
		{"GET", 304, 0, -1, "", 0},
	} {
		c.x.Request.Method = tc.method
		c.want(0, "serve", 0, tc.status, tc.offset, tc.length)
		r := c.stay.response
		got := ""
		if r.Body != nil {
			read, err := io.ReadAll(r.Body)
			if err != nil {
				t.Fatal(err)
			}
			got = string(read)
		}
		if got != tc.want || r.Status != tc.status || r.Length != tc.wantLength || r.Header.Value("content-type") != "text/plain" {
			t.Errorf("%+v: got %d %q, length %d, %v", tc, r.Status, got, r.Length, r.Header.Fields())
		}
	}
	c.want(1, "serve", 1, 200, int64(0), int64(-1))
	c.want(2, "serve", 0, 200, int64(11), int64(-1))
	c.want(2, "serve", 0, 199, int64(0), int64(-1))
}

// What does not arrive whole, or is too large, is not stored.
func TestCacheDropsWhatIsNotWhole(t *testing.T) {
	c := newCacher(t, newPolicyCache(t))
	for name, body := range map[string]io.Reader{
		"broken off": io.MultiReader(strings.NewReader("half"), failing{}),
		"too large":  strings.NewReader(strings.Repeat("x", 2<<20)),
		"shorter":    strings.NewReader("who"),
		"longer":     strings.NewReader("whole and more"),
		"closed":     nil,
	} {
		c.respond(200, "whole")
		if body != nil {
			c.x.Response.Body = io.NopCloser(body)
		}
		c.want(0, "store", "key", "v", "", "", "")
		if body != nil {
			_, _ = io.Copy(io.Discard, c.x.Response.Body)
		}
		_ = c.x.Response.Body.Close()
		c.next()
		if got, err := c.call("lookup", "key"); err != nil || got != 0 {
			t.Errorf("%s: got %d entries, %v", name, got, err)
		}
	}
	c.want(3, "store", "key", "v", "", "", "") // there is no response
	c.respond(200, "")
	c.want(2, "store", "", "v", "", "", "")
	c.want(2, "store", "key", strings.Repeat("v", maxVariant+1), "", "", "")
}

// TestCacheFindsWhatAClientHasWhole reads a body of known length to its last byte and
// no further, as clients do.
func TestCacheFindsWhatAClientHasWhole(t *testing.T) {
	c := newCacher(t, newPolicyCache(t))
	c.respond(200, "whole")
	c.want(0, "store", "key", "v", "", "", "")
	if _, err := io.ReadFull(c.x.Response.Body, make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	c.want(1, "lookup", "key")
}

// TestCacheForgetsWhatAFailedPhaseStored has a guest fail that asked for a response to
// be stored: nobody reads the body that would end the fetch.
func TestCacheForgetsWhatAFailedPhaseStored(t *testing.T) {
	responses := newPolicyCache(t)
	c := newCacher(t, responses)
	c.want(0, "join", "key", 1000)
	c.respond(200, "whole")
	c.want(0, "store", "key", "v", "", "", "")
	c.stay.kept.Fail()
	body := c.x.Response.Body
	c.next()
	if got := responses.Fetches.Stats(); got.Flights != 0 {
		t.Errorf("%d fetches are under way after it", got.Flights)
	}
	if text, err := io.ReadAll(body); string(text) != "whole" || err != nil {
		t.Errorf("the body is %q, %v", text, err)
	}
	c.want(0, "lookup", "key")
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("gone") }

func TestCacheUpdates(t *testing.T) {
	c := newCacher(t, newPolicyCache(t))
	c.put("key", "body", "ETag", "1")
	c.want(1, "lookup", "key")
	c.want(0, "update", 0, "ETag\x002\x00Content-Length\x009\x00", "new")
	c.want(0, "serve", 0, 200, int64(0), int64(-1))
	if r := c.stay.response; r.Header.Value("etag") != "2" || r.Header.Has("content-length") || r.Length != 4 {
		t.Errorf("got %v, length %d", r.Header.Fields(), r.Length)
	}
	c.want(2, "update", 0, "bad name\x002\x00", "")
	c.want(1, "update", 7, "", "")
}

func TestCachePurges(t *testing.T) {
	c := newCacher(t, newPolicyCache(t))
	for kind, text := range []string{"key", "k", "other"} {
		c.put("key", "body")
		c.want(1, "purge", kind, text, 1)
		c.want(1, "lookup", "key")
		if n, err := c.call("get_entry", 0, 8192, 1024); err != nil || c.memory(8192, uint32(n))[2] != 1 {
			t.Errorf("kind %d: it is not marked: %v", kind, err)
		}
		c.want(1, "purge", kind, text, 0)
		c.want(0, "lookup", "key")
	}
	c.want(none, "purge", 3, "key", 0)
}

// What was asked for before a purge is from before, also if it comes after it.
func TestCacheForgetsWhatWasAskedForBeforeAPurge(t *testing.T) {
	c := newCacher(t, newPolicyCache(t))
	c.want(0, "lookup", "k")
	c.want(0, "purge", 0, "k", 0)
	c.put("k", "old")
	c.want(0, "lookup", "k")
	c.next()
	c.want(0, "purge", 0, "k", 0)
	c.want(0, "lookup", "k")
	c.put("k", "new")
	c.want(1, "lookup", "k")
	c.next()
	// What purges because of the response that it stores means others.
	c.respond(200, "")
	c.want(1, "purge", 0, "k", 0)
	c.put("k", "newer")
	c.want(1, "lookup", "k")
}

// What another host has stored is looked up as if it were here. While the server is
// gone a lookup finds nothing, and a purge says that it was done here alone.
func TestCacheOfOtherHosts(t *testing.T) {
	server := hosttest.StartRedis(t)
	var hosts [2]*cacher
	var peers [2]*shared.Peers
	for i := range hosts {
		registry := state.NewRegistry(state.Options{Redis: &state.RedisOptions{Address: server.Address, Timeout: time.Second, Connections: 2, Prefix: "ergo"}})
		store, err := cache.Open(cache.Options{})
		if err != nil {
			t.Fatal(err)
		}
		peers[i] = shared.Join(store, registry.Server(), slog.New(slog.DiscardHandler))
		t.Cleanup(func() { _ = errors.Join(peers[i].Close(), store.Close(), registry.Close()) })
		hosttest.Eventually(t, func() bool { return peers[i].Stats().Joined }, "the log of purges is followed")
		hosts[i] = newCacher(t, &policy.Cache{Space: store.Space("p")})
	}
	a, b := hosts[0], hosts[1]
	a.put("k", "body")
	hosttest.Eventually(t, func() bool { return peers[0].Stats().Sent == 1 }, "what was stored is sent")
	b.want(1, "lookup", "k")
	b.want(0, "lookup", "l")
	b.want(1, "purge", 0, "k", 0)
	b.want(0, "lookup", "k")
	server.Kill()
	hosttest.Eventually(t, func() bool { return !peers[1].Stats().Joined }, "it is noticed that the server is gone")
	b.want(0, "lookup", "k")
	b.want(untold, "purge", 0, "k", 0)
}

func TestCacheRemembers(t *testing.T) {
	c := newCacher(t, newPolicyCache(t))
	c.want(0, "remember", "this")
	c.want(4, "recall", 8192, 1024)
	if got := c.memory(8192, 4); got != "this" {
		t.Errorf("got %q", got)
	}
	c.want(2, "remember", strings.Repeat("x", maxMemo+1))
	c.next()
	c.want(0, "recall", 8192, 1024)
	c.want(5, "scheme", 8192, 1024)
}

// Of many exchanges one fetches, and the others wait for it without their guests.
func TestCacheJoin(t *testing.T) {
	responses := newPolicyCache(t)
	leader := newCacher(t, responses)
	leader.want(0, "join", "key", 60_000)
	leader.want(0, "join", "key", 60_000) // it leads already
	var waiting sync.WaitGroup
	for range 50 {
		c := newCacher(t, responses)
		c.want(waits, "join", "key", 60_000)
		waiting.Go(c.stay.wait)
	}
	c := newCacher(t, responses)
	c.want(waits, "join", "key", 60_000)
	waiting.Go(c.stay.wait)
	leader.put("key", "body")
	waiting.Wait()
	c.want(1, "lookup", "key")
	if n, err := c.call("get_entry", 0, 8192, 1024); err != nil || c.memory(8192, uint32(n))[2] != 2 {
		t.Errorf("that the exchange has waited is not said: %v", err)
	}
	if s := responses.Fetches.Stats(); s.Flights != 0 || s.Waits != 51 {
		t.Errorf("got %+v", s)
	}
}

// What can't be shared is fetched by all who wait, at once; what failed, by the next one.
func TestCacheJoinEnds(t *testing.T) {
	for _, tc := range []struct {
		name string
		end  func(*cacher)
		want uint64 // of the second of two who waited
	}{
		{"released", func(c *cacher) { c.want(0, "release") }, leads},
		{"too large", func(c *cacher) {
			c.respond(200, strings.Repeat("x", 2<<20))
			c.want(4, "store", "key", "v", "", "", "")
		}, leads},
		{"grown too large", func(c *cacher) {
			c.respond(200, strings.Repeat("x", 2<<20))
			c.x.Response.Length = exchange.UnknownLength
			c.want(0, "store", "key", "v", "", "", "")
			_, _ = io.Copy(io.Discard, c.x.Response.Body)
		}, leads},
		{"failed", func(c *cacher) { c.next() }, waits},
		{"broken off", func(c *cacher) {
			c.respond(200, "body")
			c.want(0, "store", "key", "v", "", "", "")
			_ = c.x.Response.Body.Close()
		}, waits},
	} {
		t.Run(tc.name, func(t *testing.T) {
			responses := newPolicyCache(t)
			leader, first, second := newCacher(t, responses), newCacher(t, responses), newCacher(t, responses)
			leader.want(leads, "join", "key", 60_000)
			first.want(waits, "join", "key", 60_000)
			second.want(waits, "join", "key", 60_000)
			tc.end(leader)
			first.stay.wait()
			second.stay.wait()
			first.want(leads, "join", "key", 60_000)
			second.want(tc.want, "join", "key", 60_000)
		})
	}
}

func TestCacheJoinTimesOut(t *testing.T) {
	responses := newPolicyCache(t)
	leader, c := newCacher(t, responses), newCacher(t, responses)
	leader.want(leads, "join", "key", 60_000)
	c.want(waits, "join", "key", 1)
	c.stay.wait()
	c.want(expired, "join", "key", 1)
	c.next()
	c.stay.passed = true
	c.want(expired, "join", "key", 60_000) // in the response phase nobody waits
}

// repeater notes what it is asked for.
type repeater struct {
	full bool
	done []func()
}

// Repeat follows exchange.Repeater.
func (r *repeater) Repeat(done func()) bool {
	if r.full {
		return false
	}
	r.done = append(r.done, done)
	return true
}

func TestCacheRefresh(t *testing.T) {
	responses, r := newPolicyCache(t), new(repeater)
	c := newCacher(t, responses)
	c.want(3, "refresh") // nobody repeats
	c.x.Repeater = r
	c.want(0, "lookup", "key")
	c.want(0, "refresh")
	c.want(0, "refresh")
	if len(r.done) != 1 {
		t.Fatalf("got %d repetitions, want one", len(r.done))
	}
	r.done[0]()
	c.want(0, "refresh")
	if len(r.done) != 2 {
		t.Errorf("got %d repetitions, want another one", len(r.done))
	}
	r.done[1]()
	r.full = true
	c.want(4, "refresh")
	c.want(0, "is_refresh")
	c.x.Repeated = true
	c.want(1, "is_refresh")
	c.want(3, "refresh")
}

func TestFlightsHammer(t *testing.T) {
	var f flight.Group
	var group sync.WaitGroup
	var fetched atomic.Int64
	for n := range 16 {
		group.Go(func() {
			for i := range 200 {
				key := fmt.Sprint(i % 7)
				if flight, leads := f.Join(key); leads {
					fetched.Add(1)
					flight.End(n%2 == 0)
				} else {
					flight.Wait(t.Context())
				}
			}
		})
	}
	group.Wait()
	if s := f.Stats(); s.Flights != 0 || s.Waiting != 0 || int64(s.Waits)+fetched.Load() != 16*200 {
		t.Errorf("got %+v, %d fetched", s, fetched.Load())
	}
}
