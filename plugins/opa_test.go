package plugins

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/bundle"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/hosttest"
	"github.com/ergoproxy/ergo/host/hosttest/cases"
	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/host/tier"
	"github.com/ergoproxy/ergo/host/wasm"
)

// publicOnly allows /public, and says by which revision.
const publicOnly = `package ergo.authz
allow if input.request.path == "/public"
headers := {"x-revision": data.revision} if allow
`

// signer signs bundles; none: they are not signed.
type signer struct{ key, id, scope string }

// pack makes a bundle of a module.
func pack(t testing.TB, module, revision string, by signer) []byte {
	t.Helper()
	roots := []string{""}
	b := bundle.Bundle{
		Manifest: bundle.Manifest{Revision: revision, Roots: &roots}, Data: map[string]any{"revision": revision},
		Modules: []bundle.ModuleFile{{Path: "authz.rego", URL: "authz.rego", Raw: []byte(module)}},
	}
	if parsed, err := ast.ParseModule("authz.rego", module); err == nil {
		b.Modules[0].Parsed = parsed
	}
	if by.key != "" {
		signing := bundle.NewSigningConfig(by.key, "HS256", "")
		if by.scope != "" {
			claims := filepath.Join(t.TempDir(), "claims.json")
			if err := os.WriteFile(claims, fmt.Appendf(nil, `{"scope": %q}`, by.scope), 0o600); err != nil {
				t.Fatal(err)
			}
			signing = bundle.NewSigningConfig(by.key, "HS256", claims)
		}
		if err := b.GenerateSignature(signing, by.id, false); err != nil {
			t.Fatal(err)
		}
	}
	var packed bytes.Buffer
	if err := bundle.NewWriter(&packed).UseModulePath(true).DisableFormat(true).Write(b); err != nil {
		t.Fatal(err)
	}
	return packed.Bytes()
}

// bundles is a server that has one bundle, with an entity tag, or is down.
type bundles struct {
	*hosttest.Backend
	mu               sync.Mutex
	packed           []byte
	tag              string
	full, confirmed  atomic.Int32
	down             atomic.Bool
	expectAuthorized string
}

func serveBundles(t testing.TB, packed []byte) *bundles {
	s := new(bundles)
	s.offer(packed, "first")
	s.Backend = hosttest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		w.Header().Set("ETag", `"`+s.tag+`"`)
		switch {
		case s.down.Load():
			w.WriteHeader(http.StatusBadGateway)
		case r.Header.Get("Authorization") != s.expectAuthorized:
			w.WriteHeader(http.StatusUnauthorized)
		case r.Header.Get("If-None-Match") == `"`+s.tag+`"`:
			s.confirmed.Add(1)
			w.WriteHeader(http.StatusNotModified)
		default:
			s.full.Add(1)
			_, _ = w.Write(s.packed)
		}
	}))
	return s
}

// offer puts another bundle in the place of what there is.
func (s *bundles) offer(packed []byte, tag string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.packed, s.tag = packed, tag
}

// opaBench is the policy in the real host, with what it has said.
type opaBench struct {
	*cases.Suite
	mu   sync.Mutex
	said bytes.Buffer
}

func (b *opaBench) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.said.Write(p)
}

func (b *opaBench) log() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.said.String()
}

func openOPA(t testing.TB, s *bundles) *opaBench {
	t.Helper()
	a, err := policy.LoadArtifact("opa")
	if err != nil {
		t.Fatal(err)
	}
	more := ""
	if s != nil {
		more = fmt.Sprintf("[policy.opa.http]\nhosts = [%q]\ninternal = [\"127.0.0.0/8\"]\n", s.URL)
	}
	b := &opaBench{Suite: cases.Open(t, a, wasm.Options{}, more)}
	b.Settings.Limits.Instances = 64
	b.Settings.Limits.LogLines = 100_000
	b.Log = slog.New(slog.NewTextHandler(b, nil))
	return b
}

func configOf(bundle map[string]any, more map[string]any) map[string]any {
	bundle["interval"] = "100ms"
	config := map[string]any{"bundle": bundle, "upstream_headers": []string{"x-revision"}}
	maps.Copy(config, more)
	return config
}

// asks sends a request for a path, and returns the status of the answer, or 0, and the revision
// that decided, if it passes.
func asks(t testing.TB, line *tier.Tier, path string) (status int, revision string) {
	t.Helper()
	x := (&cases.Case{Request: cases.Request{Target: path}}).Exchange(t)
	return send(t, line, x), x.Request.Header.Value("x-revision")
}

func send(t testing.TB, line *tier.Tier, x *exchange.Exchange) (status int) {
	t.Helper()
	walk := new(tier.Walk)
	if f := line.Enter(x); f != nil {
		t.Error(f)
		return -1
	}
	defer line.Leave(x)
	defer line.Done(walk, x)
	answered, f := line.Request(walk, x)
	if f != nil {
		t.Error(f)
		return -1
	}
	if answered {
		return x.Response.Status
	}
	x.Route.Sent = true
	line.Response(walk, x)
	return 0
}

// reaches waits until a revision decides.
func reaches(t testing.TB, line *tier.Tier, revision string) {
	t.Helper()
	hosttest.Eventually(t, func() bool {
		status, got := asks(t, line, "/public")
		return status == 0 && got == revision
	}, "revision "+revision+" decides")
}

// A bundle changes, breaks, goes and comes back, and no exchange notices but by who decides.
func TestOPABundleChangesUnderLoad(t *testing.T) {
	s := serveBundles(t, pack(t, publicOnly, "1", signer{}))
	s.expectAuthorized = "Bearer badge"
	b := openOPA(t, s)
	config := configOf(map[string]any{"url": s.URL + "/bundle.tar.gz", "authorization": "Bearer badge"}, nil)
	line := b.Alone(t, b.Load(t, "bundle", config))
	reaches(t, line, "1")

	var group sync.WaitGroup
	var passed, refused atomic.Int64
	stop := make(chan struct{})
	for range 4 {
		group.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if status, revision := asks(t, line, "/public"); status != 0 || revision == "" {
					t.Errorf("got %d by revision %q, want it to pass", status, revision)
				}
				if status, _ := asks(t, line, "/private"); status != 403 {
					t.Errorf("got %d, want 403", status)
				}
				passed.Add(1)
				refused.Add(1)
			}
		})
	}
	defer group.Wait()
	defer close(stop)

	hosttest.Eventually(t, func() bool { return s.confirmed.Load() > 1 }, "it asks whether there is another one")
	if n := s.full.Load(); n != 1 {
		t.Errorf("the same bundle was sent %d times", n)
	}
	s.offer(pack(t, publicOnly, "2", signer{}), "second")
	reaches(t, line, "2")
	for name, broken := range map[string][]byte{
		"no Rego": pack(t, "package ergo.authz\nallow if {", "3", signer{}), "garbage": bytes.Repeat([]byte("garbage"), 9),
		"unsafe": pack(t, "package ergo.authz\nallow if http.send({}).status_code == 200", "3", signer{}),
	} {
		before := s.full.Load()
		s.offer(broken, name)
		hosttest.Eventually(t, func() bool { return s.full.Load() > before+1 }, "it comes for the one with "+name)
	}
	for _, want := range []string{"authz.rego:2: rego_parse_error", "undefined function http.send", "gzip: invalid header"} {
		if !strings.Contains(b.log(), want) {
			t.Errorf("the log does not say %q", want)
		}
	}
	s.down.Store(true)
	if status, revision := asks(t, line, "/public"); status != 0 || revision != "2" {
		t.Errorf("got %d by revision %q, want it to pass by revision 2", status, revision)
	}
	s.down.Store(false)
	s.offer(pack(t, publicOnly, "3", signer{}), "third")
	reaches(t, line, "3")
	if passed.Load() == 0 || refused.Load() == 0 {
		t.Error("there was no load")
	}
}

// loadOPA loads the policy, which is refused if it says so.
func loadOPA(t testing.TB, b *opaBench, config map[string]any) (p policy.Policy, closed func(), err error) {
	t.Helper()
	p, release, err := b.Bench.Load(context.Background(), b.Spec(t, config))
	if err != nil {
		return nil, nil, err
	}
	var once sync.Once
	closed = func() {
		once.Do(func() {
			if err := p.Close(context.Background()); err != nil {
				t.Error(err)
			}
			if err := release(); err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(closed)
	return p, closed, nil
}

func TestOPAStartsWithoutItsServer(t *testing.T) {
	s := serveBundles(t, pack(t, publicOnly, "1", signer{}))
	b := openOPA(t, s)
	where := func(more map[string]any) map[string]any {
		bundle := map[string]any{"url": s.URL + "/bundle.tar.gz"}
		maps.Copy(bundle, more)
		return configOf(bundle, nil)
	}
	s.down.Store(true)
	if _, _, err := loadOPA(t, b, where(nil)); err == nil || !strings.Contains(err.Error(), "answers with status 502") {
		t.Errorf("got %v, want it to be refused", err)
	}
	t.Run("deny", func(t *testing.T) {
		s.down.Store(true)
		p, _, err := loadOPA(t, b, where(map[string]any{"on_unavailable": "deny"}))
		if err != nil {
			t.Fatal(err)
		}
		line := b.Alone(t, p)
		if status, _ := asks(t, line, "/public"); status != 503 {
			t.Errorf("got %d, want 503", status)
		}
		s.down.Store(false)
		reaches(t, line, "1")
	})
	t.Run("copy", func(t *testing.T) {
		s.down.Store(false)
		kept := where(map[string]any{"copy": filepath.Join(t.TempDir(), "bundle.tar.gz")})
		_, closed, err := loadOPA(t, b, kept)
		if err != nil {
			t.Fatal(err)
		}
		closed()
		s.down.Store(true)
		p, _, err := loadOPA(t, b, kept)
		if err != nil {
			t.Fatal(err)
		}
		line := b.Alone(t, p)
		if status, revision := asks(t, line, "/public"); status != 0 || revision != "1" {
			t.Errorf("got %d by revision %q, want it to pass by the copy", status, revision)
		}
		s.offer(pack(t, publicOnly, "2", signer{}), "second")
		s.down.Store(false)
		reaches(t, line, "2")
	})
}

func TestOPABundleGetsTooOld(t *testing.T) {
	s := serveBundles(t, pack(t, publicOnly, "1", signer{}))
	b := openOPA(t, s)
	line := b.Alone(t, b.Load(t, "aged", configOf(map[string]any{"url": s.URL + "/b", "max_age": "500ms"}, nil)))
	reaches(t, line, "1")
	s.down.Store(true)
	hosttest.Eventually(t, func() bool { status, _ := asks(t, line, "/public"); return status == 503 }, "nobody passes")
	s.down.Store(false)
	reaches(t, line, "1")
}

func TestOPASignedBundles(t *testing.T) {
	right := signer{key: "a secret that nobody else has", id: "release", scope: "read"}
	packed := pack(t, publicOnly, "1", right)
	tampered := func() []byte { // what is signed, with another module
		other := pack(t, strings.Replace(publicOnly, "/public", "/private", 1), "1", right)
		return mix(t, other, packed)
	}()
	for name, c := range map[string]struct {
		packed []byte
		says   string // why it is refused; "": it is not
	}{
		"right":     {packed, ""},
		"wrong key": {pack(t, publicOnly, "1", signer{"another secret that somebody has", "release", "read"}), "verify"},
		"other id":  {pack(t, publicOnly, "1", signer{right.key, "other", "read"}), "other"},
		"no scope":  {pack(t, publicOnly, "1", signer{right.key, "release", ""}), "scope mismatch"},
		"unsigned":  {pack(t, publicOnly, "1", signer{}), "signature"},
		"tampered":  {tampered, "digest mismatch"},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "bundle.tar.gz")
			if err := os.WriteFile(file, c.packed, 0o600); err != nil {
				t.Fatal(err)
			}
			b := openOPA(t, nil)
			keys := map[string]any{"release": map[string]any{"algorithm": "HS256", "key": right.key}}
			p, _, err := loadOPA(t, b, configOf(map[string]any{"file": file, "keys": keys, "scope": "read"}, nil))
			if c.says != "" {
				if err == nil || !strings.Contains(err.Error(), c.says) {
					t.Fatalf("got %v, want %q in it", err, c.says)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			line := b.Alone(t, p)
			reaches(t, line, "1")
			// A file is looked at again, and what is not signed changes nothing.
			for _, other := range []struct{ packed, says string }{
				{string(pack(t, publicOnly, "two", signer{})), "not renewed"}, {string(pack(t, publicOnly, "3", right)), `revision \"3\"`},
			} {
				if err := os.WriteFile(file, []byte(other.packed), 0o600); err != nil {
					t.Fatal(err)
				}
				hosttest.Eventually(t, func() bool { return strings.Contains(b.log(), other.says) }, "it says "+other.says)
			}
			reaches(t, line, "3")
			if strings.Contains(b.log(), `revision \"two\" is used`) {
				t.Error("it used what is not signed")
			}
		})
	}
}

// mix is a bundle with the module of one and the rest of another.
func mix(t testing.TB, module, rest []byte) []byte {
	t.Helper()
	read := func(packed []byte) bundle.Bundle {
		b, err := bundle.NewReader(bytes.NewReader(packed)).WithSkipBundleVerification(true).Read()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	mixed, from := read(rest), read(module)
	mixed.Modules = from.Modules
	signatures, err := bundle.NewReader(bytes.NewReader(rest)).
		WithBundleVerificationConfig(bundle.NewVerificationConfig(map[string]*bundle.KeyConfig{
			"release": {Key: "a secret that nobody else has", Algorithm: "HS256"},
		}, "", "read", nil)).Read()
	if err != nil {
		t.Fatal(err)
	}
	mixed.Signatures = signatures.Signatures
	var packed bytes.Buffer
	if err := bundle.NewWriter(&packed).UseModulePath(true).DisableFormat(true).Write(mixed); err != nil {
		t.Fatal(err)
	}
	return packed.Bytes()
}

// Decisions are in the host's log, without what is secret, and the access log names them.
func TestOPADecisionLog(t *testing.T) {
	b := openOPA(t, nil)
	config := map[string]any{
		"policy":       "package ergo.authz\nallow if input.request.path == \"/a\"\n",
		"decision_log": map[string]any{"decisions": "refused", "mask": []string{"/input/request/query/token"}},
	}
	line := b.Alone(t, b.Load(t, "logged", config))
	for _, path := range []string{"/a?token=t0ken&all=1", "/b?token=t0ken&all=2"} {
		x := (&cases.Case{Request: cases.Request{Target: path, Header: map[string]cases.Values{
			"Authorization": {"Bearer s3cret"}, "Cookie": {"s3cret"}, "Proxy-Authorization": {"s3cret"}, "X-Seen": {"yes"},
		}}}).Exchange(t)
		send(t, line, x)
		if noted := len(x.Notes) > 0; noted != strings.HasPrefix(path, "/b") {
			t.Errorf("%s: got notes %v", path, x.Notes)
		}
	}
	hosttest.Eventually(t, func() bool { return strings.Contains(b.log(), "decision_id") }, "there is a line")
	got := b.log()
	for _, want := range []string{`\"path\":\"ergo/authz\"`, `\"all\":[\"2\"]`, `\"x-seen\":\"yes\"`, `\"/input/request/query/token\"`} {
		if !strings.Contains(got, want) {
			t.Errorf("got %s, want %s in it", got, want)
		}
	}
	for _, never := range []string{"s3cret", "t0ken", `\"all\":[\"1\"]`} {
		if strings.Contains(got, never) {
			t.Errorf("got %s, want no %s in it", got, never)
		}
	}
}
