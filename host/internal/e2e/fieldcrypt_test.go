package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ergoproxy/ergo/host/hosttest"
	"github.com/ergoproxy/ergo/host/hosttest/race"
)

// startFieldCrypt runs a host that encrypts what the origin stores, in the stage
// "encrypt", and one that decrypts requests, for decrypt.test, in "decrypt".
func startFieldCrypt(t testing.TB, o *origin, more string) *host {
	t.Helper()
	source, err := filepath.Abs("../../../policies/field-crypt")
	if err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(t.TempDir(), "key")
	write(t, key, hex.EncodeToString(fieldKey))
	return start(t, more+fmt.Sprintf(bare, fmt.Sprintf("%q", o.URL), "")+fmt.Sprintf(`
[[service.stage]]
name = "encrypt"
when.host = "site.test"
  [[service.stage.use]]
  policy = "field-crypt"
  config.key = "data"
  config.request.encrypt = [{ path = "$..card", name = "card", deterministic = true }]
  config.response.decrypt = [{ path = "$..card", name = "card", deterministic = true }]
[[service.stage]]
name = "decrypt"
when.host = "decrypt.test"
  [[service.stage.use]]
  policy = "field-crypt"
  config.key = "data"
  config.request.decrypt = [{ path = "$..card", name = "card", deterministic = true }]
[key.cards]
algorithm = "AES-256-SIV"
encoding = "hex"
versions.one = "file:%s"
[policy.field-crypt]
source = %q
grants = ["ergo_crypto", "ergo_identity", "ergo_metric"]
limits.time = "10s"
keys.data = { key = "cards", use = ["seal", "open"] }
`, key, source))
}

var fieldKey = slices.Concat(fieldSum("one half"), fieldSum("the other"))

func fieldSum(text string) []byte {
	sum := sha256.Sum256([]byte(text))
	return sum[:]
}

// post sends a JSON document, and returns status and body.
func (c *client) post(t testing.TB, path, document string) (int, string) {
	t.Helper()
	r := c.request(t, "POST", path, strings.NewReader(document))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	resp := c.do(t, r)
	return resp.StatusCode, all(t, resp.Body)
}

const cardNumber = "4929 4212 3460 0821"

// TestFieldCryptTellsNobody searches everything that a host emits for what was
// encrypted, decrypted, and refused.
func TestFieldCryptTellsNobody(t *testing.T) {
	var spans hosttest.Buffer
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { io.Copy(&spans, r.Body) }))
	t.Cleanup(collector.Close)
	o := startOrigin(t)
	var stored hosttest.Buffer
	keep := o.at(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		io.Copy(io.MultiWriter(w, &stored), r.Body)
	})
	spoil := o.at(func(w http.ResponseWriter, r *http.Request) {
		document, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/json")
		w.Write(bytes.Replace(document, []byte("efc1:one:"), []byte("efc1:one:A"), 1))
	})
	h := startFieldCrypt(t, o, fmt.Sprintf("host.log.level = \"debug\"\ntelemetry.otlp = %q\n", collector.URL))
	document := `{"card":"` + cardNumber + `"}`
	c := h.client(t, h1)
	if status, got := c.post(t, keep, document); status != 200 || got != document {
		t.Fatalf("got %d %s, want what was sent", status, got)
	}
	token := strings.TrimSuffix(strings.TrimPrefix(stored.String(), `{"card":"`), `"}`)
	if !strings.HasPrefix(token, "efc1:one:") {
		t.Fatalf("the origin got %s", stored.String())
	}
	decrypt := h.client(t, h2c)
	decrypt.host = "decrypt.test"
	for _, refused := range []struct {
		client   *client
		path     string
		document string
		status   int
		counted  string
	}{
		{c, keep, `{"card":"` + cardNumber + `",}`, 400, "refused_request_malformed"},
		{c, keep, `{"card":"` + cardNumber, 400, "refused_request_malformed"},
		{c, keep, `{"card":"` + cardNumber + strings.Repeat("0", 64<<10) + `"}`, 413, "refused_request_too_large"},
		{c, spoil, document, 502, "refused_response_tampered"},
		{decrypt, keep, document, 400, "refused_request_not_encrypted"},
		{decrypt, keep, `{"card":"` + token[:len(token)-4] + `"}`, 400, "refused_request_tampered"},
		{decrypt, keep, `{"card":"` + strings.Replace(token, "one", "two", 1) + `"}`, 400, "refused_request_unknown_key"},
	} {
		before := guestCount(t, h, refused.counted)
		if status, got := refused.client.post(t, refused.path, refused.document); status != refused.status || strings.Contains(got, cardNumber) {
			t.Errorf("%.60s: got %d %s, want %d", refused.document, status, got, refused.status)
		}
		if got := guestCount(t, h, refused.counted); got != before+1 {
			t.Errorf("%.60s: counted %d times as %s, want once", refused.document, got-before, refused.counted)
		}
	}
	if got := guestCount(t, h, "encrypted_values"); got < 2 {
		t.Errorf("%d encrypted values were counted", got)
	}
	hosttest.Eventually(t, func() bool { return strings.Contains(spans.String(), "policy field-crypt") }, "spans arrive")
	emitted := map[string]string{"the log": h.log.String(), "the access log": h.access.String(), "spans": spans.String(), "the origin": stored.String()}
	for _, path := range []string{"/", "/app.js", "/v1/status", "/v1/history", "/v1/manifest", "/metrics"} {
		emitted[path] = h.get(t, path, nil)
	}
	readFiles(t, filepath.Join(filepath.Dir(h.manifest), "data"), emitted)
	wantSecret(t, emitted, cardNumber, string(fieldKey), hex.EncodeToString(fieldKey))
}

// wantSecret searches texts, by where they were found, for what must not be there.
func wantSecret(t *testing.T, texts map[string]string, secrets ...string) {
	t.Helper()
	for where, text := range texts {
		for _, secret := range secrets {
			if strings.Contains(text, secret) {
				t.Errorf("%s: has %s", where, secret)
			}
		}
	}
}

// guestCount is a counter of the policy, 0 if it was not counted yet.
func guestCount(t testing.TB, h *host, name string) (n int) {
	t.Helper()
	line := linesWith(h.get(t, "/metrics", nil), "ergo_guest_counter_"+name+"_total{")
	fmt.Sscan(line[strings.LastIndexByte(line, ' ')+1:], &n)
	return n
}

// readFiles adds what lies in a folder.
func readFiles(t testing.TB, folder string, to map[string]string) {
	t.Helper()
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		to[path] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// cards is a document of a size with a card in each kilobyte, or so.
func cards(card string, size int64) io.Reader {
	row := strings.Repeat(`{"n": 1.50E+3, "pad":"`+strings.Repeat("x", 1000)+`\u00e9", "card":`+card+"},\n", 32)
	rows := strings.NewReader("")
	left := size / (32 << 10)
	more := readerFunc(func(p []byte) (int, error) {
		if rows.Len() == 0 && left > 0 {
			left--
			rows.Reset(row)
		}
		return rows.Read(p)
	})
	return io.MultiReader(strings.NewReader("{\"rows\": [\n"), more, strings.NewReader("null]}\n"))
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// sameBytes compares two streams up to n bytes; -1: to their ends.
func sameBytes(a, b io.Reader, n int64) error {
	p, q := make([]byte, 32<<10), make([]byte, 32<<10)
	for n != 0 {
		want := p
		if n > 0 {
			want = p[:min(n, int64(len(p)))]
		}
		i, err := io.ReadFull(a, want)
		j, other := io.ReadFull(b, q[:len(want)])
		switch {
		case !bytes.Equal(p[:i], q[:j]) || err != other:
			return fmt.Errorf("they differ: %v, %v: %.100q and %.100q", err, other, p[:i], q[:j])
		case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
			return nil
		case err != nil:
			return err
		}
		if n > 0 {
			n -= int64(i)
		}
	}
	return nil
}

// TestFieldCryptStreams takes 100 MiB there and back. In the middle of each the
// process, and the guest in it, are as large as before.
func TestFieldCryptStreams(t *testing.T) {
	const rows = `"` + cardNumber + `"`
	size := int64(100 << 20)
	if race.Enabled { // so is all else
		size = 16 << 20
	}
	o := startOrigin(t)
	var sealed string
	note := o.at(func(w http.ResponseWriter, r *http.Request) {
		document, _ := io.ReadAll(r.Body)
		sealed = strings.TrimSuffix(strings.TrimPrefix(string(document), `{"card":`), "}")
	})
	h := startFieldCrypt(t, o, "")
	c := h.client(t, h1)
	c.post(t, note, `{"card":"`+cardNumber+`"}`)
	before, guest := heap(), h.policy(t, "encrypt").Health.Stats.MemoryBytes
	flat := func(t *testing.T) {
		t.Helper()
		wantFlat(t, before, heap())
		if got := h.policy(t, "encrypt").Health.Stats.MemoryBytes; got > guest+1<<20 {
			t.Errorf("the guest: %d KiB before, %d KiB in the middle of the body", guest>>10, got>>10)
		}
	}
	t.Run("up", func(t *testing.T) {
		path := o.at(func(_ http.ResponseWriter, r *http.Request) {
			want := cards(sealed, size)
			err := sameBytes(r.Body, want, size/2)
			flat(t)
			if err = errors.Join(err, sameBytes(r.Body, want, -1)); err != nil {
				t.Error(err)
			}
		})
		r := c.request(t, "POST", path, cards(rows, size))
		r.Header.Set("Content-Type", "application/json")
		if resp := c.do(t, r); resp.StatusCode != 200 {
			t.Errorf("got status %d", resp.StatusCode)
		}
	})
	t.Run("down", func(t *testing.T) {
		resp, want := c.do(t, c.request(t, "GET", o.at(serveCards(sealed, size)), nil)), cards(rows, size)
		err := sameBytes(resp.Body, want, size/2)
		flat(t)
		if err = errors.Join(err, sameBytes(resp.Body, want, -1)); err != nil {
			t.Error(err)
		}
	})
}

func serveCards(card string, size int64) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		io.Copy(w, cards(card, size))
	}
}

// TestFieldCryptBreaksOff: what is wrong with a body whose head went on already
// leaves nobody with a whole message.
func TestFieldCryptBreaksOff(t *testing.T) {
	const size = 1 << 20
	o := startOrigin(t)
	got := make(chan error, 1)
	up := o.at(func(_ http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(io.Discard, r.Body)
		got <- err
	})
	h := startFieldCrypt(t, o, "")
	down := o.at(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `["`+strings.Repeat("x", size)+`",{"card":"efc1:one:AAAA"}]`)
	})
	for _, w := range []wire{h1, h2c} {
		t.Run(w.name+" up", func(t *testing.T) {
			c := h.client(t, w)
			r := c.request(t, "POST", up, io.MultiReader(cards("1", size), strings.NewReader("]")))
			r.Header.Set("Content-Type", "application/json")
			if resp := c.do(t, r); resp.StatusCode != 400 {
				t.Errorf("got status %d, want 400", resp.StatusCode)
			}
			if err := <-got; err == nil {
				t.Error("the origin got a whole request")
			}
		})
		t.Run(w.name+" down", func(t *testing.T) {
			c := h.client(t, w)
			resp := c.do(t, c.request(t, "GET", down, nil))
			n, err := io.Copy(io.Discard, resp.Body)
			if resp.StatusCode != 200 || err == nil {
				t.Errorf("got status %d, %d bytes and %v, want a response that breaks off", resp.StatusCode, n, err)
			}
		})
	}
}

// TestFieldCryptAround has what is sent around a document that changes: trailers, and
// heads without it.
func TestFieldCryptAround(t *testing.T) {
	o := startOrigin(t)
	h := startFieldCrypt(t, o, "")
	var seen http.Header
	var document string
	echo := o.at(func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		document, seen = string(text), r.Trailer.Clone()
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Etag", `"1"`)
		w.Header().Set("Trailer", "Repr-Digest, X-Kept")
		if r.Method == "HEAD" {
			w.Header().Set("Content-Length", "123")
			return
		}
		w.Write(text)
		w.Header().Set("Repr-Digest", "x")
		w.Header().Set("X-Kept", "y")
	})
	for _, w := range []wire{h1, h2c} {
		t.Run(w.name, func(t *testing.T) {
			c := h.client(t, w)
			r := c.request(t, "POST", echo, io.MultiReader(strings.NewReader(`{"card":`), strings.NewReader(`12}`)))
			r.Header.Set("Content-Type", "application/json")
			r.Trailer = http.Header{"Content-Digest": {"x"}, "X-Kept": {"z"}}
			resp := c.do(t, r)
			if got := all(t, resp.Body); resp.StatusCode != 200 || got != `{"card":12}` || resp.Header.Get("Etag") != `W/"1"` {
				t.Errorf("got %d %s, %v", resp.StatusCode, got, resp.Header)
			}
			if !strings.HasPrefix(document, `{"card":"efc1:one:`) || seen.Get("X-Kept") != "z" || seen.Get("Content-Digest") != "" {
				t.Errorf("the origin got %s, %v", document, seen)
			}
			if resp.Trailer.Get("X-Kept") != "y" || resp.Trailer.Get("Repr-Digest") != "" {
				t.Errorf("got trailers %v", resp.Trailer)
			}
			resp = c.do(t, c.request(t, "HEAD", echo, nil))
			if resp.StatusCode != 200 || resp.ContentLength >= 0 || resp.Header.Get("Etag") != `W/"1"` {
				t.Errorf("HEAD: got %d, %d bytes, %v", resp.StatusCode, resp.ContentLength, resp.Header)
			}
		})
	}
}
