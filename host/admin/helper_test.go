package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/cache"
	"github.com/ergoproxy/ergo/host/engine"
	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/tier"
	"github.com/ergoproxy/ergo/host/upstream"
)

// fakeHost answers what a test says and remembers what it was asked.
type fakeHost struct {
	mu       sync.Mutex
	starting bool
	err      error // of Swap, Check and Rollback
	asked    []string
	m        *manifest.Manifest
}

func (h *fakeHost) ask(format string, args ...any) (*engine.Change, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asked = append(h.asked, fmt.Sprintf(format, args...))
	if h.err != nil {
		return nil, h.err
	}
	return &engine.Change{From: 1, To: 2, Digest: "sha256:ab", Changes: []string{"edge.a: policy b added"}, Loaded: 1, Took: 5}, nil
}

func (h *fakeHost) last() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.asked) == 0 {
		return ""
	}
	return h.asked[len(h.asked)-1]
}

func (h *fakeHost) Swap(_ context.Context, cause string, from engine.Source) (*engine.Change, error) {
	return h.ask("swap %s %s %q", cause, from.Path, from.Data)
}

func (h *fakeHost) Check(_ context.Context, from engine.Source) (*engine.Change, error) {
	return h.ask("check %s %q", from.Path, from.Data)
}

func (h *fakeHost) Rollback(_ context.Context, steps int) (*engine.Change, error) {
	return h.ask("rollback %d", steps)
}

func (h *fakeHost) Ready() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return !h.starting
}

func (h *fakeHost) Manifest() *manifest.Manifest { return h.m }

func (h *fakeHost) History() []engine.Record {
	return []engine.Record{{Time: time.Unix(1, 0).UTC(), Cause: "start", To: 1, Reachable: true, Running: true}}
}

func (h *fakeHost) Status() engine.Status {
	use := engine.PolicyStatus{Name: "api-key", Version: "0.1.0", Family: "auth", Digest: "sha256:cd"}
	use.Health.Stats.Instances = 3
	return engine.Status{
		Mode:       engine.Both,
		Generation: engine.GenerationStatus{ID: 7, Digest: "sha256:ab", Since: time.Unix(1, 0).UTC(), InFlight: 4},
		Kept:       []uint64{5, 6},
		Tiers: []engine.TierStatus{{
			Name: "edge", Status: tier.Status{BreakerOpen: true},
			Stages: []engine.StageStatus{{Name: "authenticate", Combine: "all", Policies: []engine.PolicyStatus{use}}},
		}},
		Upstreams: []upstream.Status{{Upstream: "origin", Endpoint: "http://127.0.0.1:9000", Weight: 1, Healthy: true, Breaker: "closed"}},
	}
}

// fakeCaches remember what was purged last.
type fakeCaches struct{ purged string }

func (c *fakeCaches) Status() CacheStatus {
	return CacheStatus{Disk: new(CacheTier), Shared: new(CacheShared), Policies: []CachePolicy{{Name: "cache"}}}
}

func (c *fakeCaches) Purge(policy string, sel cache.Selector, soft bool) (int, error) {
	c.purged = fmt.Sprintf("%s %d %q %v", policy, sel.Kind, sel.Text, soft)
	switch policy {
	case "unknown":
		return 0, ErrNoCache
	case "apart":
		return 2, fmt.Errorf("tell: %w", cache.ErrUntold)
	case "strict":
		return 0, cache.ErrArgument
	}
	return 2, nil
}

func serve(t *testing.T, opts Options) *Server {
	t.Helper()
	if opts.Host == nil {
		opts.Host = &fakeHost{}
	}
	if opts.Caches == nil {
		opts.Caches = new(fakeCaches)
	}
	opts.Log = slog.New(slog.DiscardHandler)
	opts.Version = "1.2.3"
	s, err := Listen(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

func unixAddress(t *testing.T) string { return unixPrefix + filepath.Join(t.TempDir(), "admin.sock") }

// connect returns a client of the server that its end closes.
func connect(t *testing.T, s *Server) *Client {
	t.Helper()
	c := NewClient(s.Address(), s.opts.Token.Reveal())
	t.Cleanup(c.Close)
	return c
}

// send makes one request as a stranger would and returns status and body.
func send(t *testing.T, s *Server, method, path, body string, fields ...string) (*http.Response, string) {
	t.Helper()
	c := connect(t, s)
	req, err := http.NewRequestWithContext(t.Context(), method, c.base+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(fields); i += 2 {
		if fields[i] == "host" {
			req.Host = fields[i+1]
		}
		req.Header.Set(fields[i], fields[i+1])
	}
	resp, err := c.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(text)
}

func decode(t *testing.T, text string) map[string]any {
	t.Helper()
	var all map[string]any
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return all
}

func asProblem(t *testing.T, err error) *Problem {
	t.Helper()
	var p *Problem
	if !errors.As(err, &p) {
		t.Fatalf("got %v, want a problem", err)
	}
	return p
}
