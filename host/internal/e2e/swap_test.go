package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ergoproxy/ergo/host/engine"
	"github.com/ergoproxy/ergo/host/hosttest"
)

// marked is what comes after bare to mark responses with the manifest they were
// carried under.
const marked = `
[policy.headers]
source = %q
[[edge.stage]]
name = "mark"
use = [{ policy = "headers", config = { response.set = { x-manifest = "%s" } } }]
`

// swapping is a host whose manifest a test saves anew.
type swapping struct {
	*host
	client *client
	text   string // of the first manifest, with mark "1"
	folder string // of the policy
}

func startSwapping(t *testing.T) (*swapping, *origin) {
	t.Helper()
	o := startOrigin(t)
	s := &swapping{folder: filepath.Join(t.TempDir(), "headers")}
	if err := os.CopyFS(s.folder, os.DirFS(shipped(t, "headers"))); err != nil {
		t.Fatal(err)
	}
	s.host = start(t, fmt.Sprintf(bare, fmt.Sprintf("%q", o.URL), "")+fmt.Sprintf(marked, s.folder, "1"))
	text, err := os.ReadFile(s.manifest)
	if err != nil {
		t.Fatal(err)
	}
	s.text = string(text)
	s.client = s.host.client(t, h1)
	return s, o
}

// with is the manifest with another mark.
func (s *swapping) with(mark string) string {
	return strings.Replace(s.text, `x-manifest = "1"`, fmt.Sprintf("x-manifest = %q", mark), 1)
}

func (s *swapping) mark(t testing.TB) string {
	t.Helper()
	resp, _ := s.client.get(t, "/")
	return resp.Header.Get("X-Manifest")
}

func (s *swapping) history(t testing.TB) []engine.Record {
	t.Helper()
	var records []engine.Record
	s.get(t, "/v1/history", &records)
	return records
}

// post asks the admin API to swap, check or roll back.
func (h *host) post(t testing.TB, path, contentType, body string) (status int, answer string) {
	t.Helper()
	resp, err := h.admin.Post("http://admin"+path, contentType, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode, all(t, resp.Body)
}

// TestSwapBySaving has every way of saving that editors have make the manifest
// live, without touching a client's connection.
func TestSwapBySaving(t *testing.T) {
	s, _ := startSwapping(t)
	stays := s.dial(t, h1)
	for i, save := range []func(text string) error{
		func(text string) error { return os.WriteFile(s.manifest, []byte(text), 0o600) },
		func(text string) error { // beside and renamed over
			write(t, s.manifest, text)
			return nil
		},
		func(text string) error { // the old one moved away first
			if err := os.Rename(s.manifest, s.manifest+"~"); err != nil {
				return err
			}
			return os.WriteFile(s.manifest, []byte(text), 0o600)
		},
	} {
		mark := fmt.Sprint(i + 2)
		if err := save(s.with(mark)); err != nil {
			t.Fatal(err)
		}
		hosttest.Eventually(t, func() bool { return s.mark(t) == mark }, "the saved manifest is live")
		stays.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		if resp, _ := stays.response("GET"); resp.Header.Get("X-Manifest") != mark {
			t.Errorf("on a connection that was there: got mark %q, want %q", resp.Header.Get("X-Manifest"), mark)
		}
	}
	records := s.history(t)
	last := records[len(records)-1]
	if last.Cause != "watch" || last.Refused || !last.Running || last.To != 4 {
		t.Errorf("history: got %+v at its end", last)
	}
}

// TestSwapBySavingAPolicy has a policy's new module go live by itself.
func TestSwapBySavingAPolicy(t *testing.T) {
	s, _ := startSwapping(t)
	before := s.status(t)
	module := filepath.Join(s.folder, "policy.wasm")
	text, err := os.ReadFile(module)
	if err != nil {
		t.Fatal(err)
	}
	write(t, module, string(text)+"\x00\x06\x04note\x00") // a custom section
	hosttest.Eventually(t, func() bool { return s.status(t).Generation.ID == before.Generation.ID+1 }, "the saved module is live")
	after := s.status(t)
	if was, is := before.Tiers[0].Stages[0].Policies[0].Digest, after.Tiers[0].Stages[0].Policies[0].Digest; was == is {
		t.Errorf("digest: still %s", is)
	}
	if s.mark(t) != "1" {
		t.Error("the policy no longer acts")
	}
}

func (s *swapping) status(t testing.TB) (status engine.Status) {
	t.Helper()
	s.get(t, "/v1/status", &status)
	return status
}

// TestRefusedSwapChangesNothing by saving or by asking, tells all that is wrong,
// and is followed by one that is right.
func TestRefusedSwapChangesNothing(t *testing.T) {
	s, _ := startSwapping(t)
	wrong := strings.Replace(s.with("wrong"), `upstream = "origin"`, "upstream = \"orign\"\nmax_inflight = 1", 1)
	wants := []string{`orign`, `max_inflight`, "proxy.toml:"}

	write(t, s.manifest, wrong)
	hosttest.Eventually(t, func() bool { return len(s.history(t)) == 2 }, "the attempt is in the history")
	last := s.history(t)[1]
	if !last.Refused || last.Cause != "watch" || last.To != 1 || len(last.Problems) != 2 {
		t.Errorf("history: got %+v", last)
	}
	for _, want := range wants {
		if !slices.ContainsFunc(last.Problems, func(p string) bool { return strings.Contains(p, want) }) {
			t.Errorf("problems: got %q, want %q among them", last.Problems, want)
		}
	}
	if mark := s.mark(t); mark != "1" {
		t.Errorf("after a refused save: got mark %q", mark)
	}

	for _, path := range []string{"/v1/swap", "/v1/check"} {
		status, answer := s.post(t, path, "application/toml", wrong)
		for _, want := range wants[:2] {
			if status != 422 || !strings.Contains(answer, want) {
				t.Errorf("%s: got status %d and %s, want %q in it", path, status, answer, want)
			}
		}
	}
	if status, answer := s.post(t, "/v1/swap", "application/json", `{"path":"/nowhere/proxy.toml"}`); status != 422 {
		t.Errorf("no manifest: got status %d and %s", status, answer)
	}
	if mark, id := s.mark(t), s.status(t).Generation.ID; mark != "1" || id != 1 {
		t.Errorf("after refused swaps: got mark %q in generation %d", mark, id)
	}

	write(t, s.manifest, s.with("mended"))
	hosttest.Eventually(t, func() bool { return s.mark(t) == "mended" }, "the mended manifest is live")
}

// TestSwapAndRollback goes forth and back by the admin API.
func TestSwapAndRollback(t *testing.T) {
	s, _ := startSwapping(t)
	if status, answer := s.post(t, "/v1/check", "application/toml", s.with("2")); status != 200 || s.mark(t) != "1" {
		t.Errorf("check: got status %d and %s, mark %q", status, answer, s.mark(t))
	}
	status, answer := s.post(t, "/v1/swap", "application/toml", s.with("2"))
	var change engine.Change
	if err := json.Unmarshal([]byte(answer), &change); err != nil || status != 200 || change.From != 1 || change.To != 2 {
		t.Fatalf("swap: got status %d and %s", status, answer)
	}
	if mark := s.mark(t); mark != "2" {
		t.Errorf("after the swap: got mark %q", mark)
	}
	if status, answer := s.post(t, "/v1/rollback", "application/json", ""); status != 200 {
		t.Fatalf("rollback: got status %d and %s", status, answer)
	}
	if mark := s.mark(t); mark != "1" {
		t.Errorf("after the rollback: got mark %q", mark)
	}
	if status, _ := s.post(t, "/v1/rollback", "application/json", `{"steps":99}`); status != 409 {
		t.Errorf("rollback beyond the first: got status %d, want 409", status)
	}
}

// TestExchangesEndInTheirGeneration whatever is swapped meanwhile, even their
// upstream and their policies.
func TestExchangesEndInTheirGeneration(t *testing.T) {
	s, o := startSwapping(t)
	release := make(chan struct{})
	path := o.at(hosttest.Gate(release).ServeHTTP)
	answers := make(chan string, 1)
	r := s.client.request(t, "GET", path, nil)
	go func() {
		resp, err := s.client.transport.RoundTrip(r)
		if err != nil {
			answers <- err.Error()
			return
		}
		defer resp.Body.Close()
		io.Copy(io.Discard, resp.Body)
		answers <- resp.Header.Get("X-Manifest")
	}()
	near, far := tunnel(t, &passage{s.host, o, plain, s.client})
	hosttest.Eventually(t, func() bool { return s.inFlight(t) == 1 }, "the exchange is on its way")

	other := hosttest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "other") }))
	next := strings.Replace(s.text, o.URL, other.URL, 1)
	next = next[:strings.Index(next, "[policy.headers]")]
	if status, answer := s.post(t, "/v1/swap", "application/toml", next); status != 200 {
		t.Fatalf("swap: got status %d and %s", status, answer)
	}
	if resp, body := s.host.client(t, h1).get(t, path); body != "other" || resp.Header.Get("X-Manifest") != "" {
		t.Errorf("a new exchange: got %q with mark %q", body, resp.Header.Get("X-Manifest"))
	}
	if draining := s.status(t).Draining; len(draining) != 1 || draining[0].InFlight != 1 {
		t.Errorf("draining: got %+v, want one generation with one exchange", draining)
	}
	close(release)
	if mark := within(t, answers, "the old exchange is answered"); mark != "1" {
		t.Errorf("the old exchange: got %q, want its generation's mark", mark)
	}
	hosttest.Eventually(t, func() bool { return len(s.status(t).Draining) == 0 }, "the old generation is empty")
	near.send("up")
	expect(t, far, "up")
	far.Close()
	near.closeWrite()
}

// TestListenersComeAndGo with the manifest, under an exchange that stays.
func TestListenersComeAndGo(t *testing.T) {
	s, o := startSwapping(t)
	release := make(chan struct{})
	path := o.at(hosttest.Gate(release).ServeHTTP)
	stays := s.dial(t, h1)
	stays.send("GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n")
	hosttest.Eventually(t, func() bool { return s.inFlight(t) == 1 }, "the exchange is on its way")

	addr := nobody(t)
	moved := strings.Replace(s.text, "name = \"plain\"\naddress = \"127.0.0.1:0\"", fmt.Sprintf("name = \"moved\"\naddress = %q", addr), 1)
	if status, answer := s.post(t, "/v1/swap", "application/toml", moved); status != 200 {
		t.Fatalf("swap: got status %d and %s", status, answer)
	}
	s.addrs["plain"], s.client.addr = addr, addr
	if mark := s.mark(t); mark != "1" {
		t.Errorf("at the new address: got mark %q", mark)
	}
	close(release)
	if status := stays.status(); status != 200 {
		t.Errorf("at the old address: got status %d", status)
	}
	stays.wantEnd()

	taken := hosttest.Serve(t, http.HandlerFunc(hosttest.Echo))
	refused := strings.Replace(moved, addr, taken.Addr, 1)
	if status, answer := s.post(t, "/v1/swap", "application/toml", refused); status != 422 || !strings.Contains(answer, taken.Addr) {
		t.Errorf("an address that is taken: got status %d and %s", status, answer)
	}
	if mark := s.mark(t); mark != "1" {
		t.Errorf("after the refusal: got mark %q", mark)
	}
}
