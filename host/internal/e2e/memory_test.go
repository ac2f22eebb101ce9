package e2e

import (
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strconv"
	"testing"

	"github.com/ergoproxy/ergo/host/hosttest"
)

const (
	largeBytes = 256 << 20 // over the plainest way
	someBytes  = 16 << 20  // over all others
	spareBytes = 6 << 20   // that may be in flight, in buffers on all sides
)

// TestMemoryStaysFlat moves bodies that are far larger than what may be held of
// them, in both directions, and weighs the process in the middle of each.
func TestMemoryStaysFlat(t *testing.T) {
	ca := hosttest.NewCA(t)
	simple, secure := startOrigin(t), startSecureOrigin(t, ca)
	hosts := map[*origin]*host{
		simple: startThrough(t, simple.URL, ""),
		secure: startThrough(t, secure.URL, fmt.Sprintf("tls.ca = %q", ca.WriteCA(t, t.TempDir()))),
	}
	for _, test := range []struct {
		wire   wire
		origin *origin
		size   int64
	}{
		{h1, simple, largeBytes}, {h1Secure, secure, someBytes}, {h2c, simple, someBytes}, {h2Secure, secure, someBytes},
	} {
		for _, k := range []kind{plain, header, peek} {
			p := newPassage(t, hosts[test.origin], test.origin, k, test.wire)
			size := test.size
			if k != plain {
				size = min(size, someBytes)
			}
			t.Run(fmt.Sprintf("%s/%s/up", test.wire.name, k.name), func(t *testing.T) { testUp(t, p, size) })
			t.Run(fmt.Sprintf("%s/%s/down", test.wire.name, k.name), func(t *testing.T) { testDown(t, p, size) })
		}
	}
}

// heap is how many bytes are alive.
func heap() uint64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

func wantFlat(t *testing.T, before, middle uint64) {
	t.Helper()
	if middle > before+spareBytes {
		t.Errorf("heap: %d MiB before, %d MiB in the middle of the body", before>>20, middle>>20)
	}
}

func testUp(t *testing.T, p *passage, size int64) {
	before := heap()
	path := p.origin.at(func(w http.ResponseWriter, r *http.Request) {
		n, err := io.CopyN(io.Discard, r.Body, size/2)
		if err == nil {
			wantFlat(t, before, heap())
		}
		rest, _ := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, n+rest)
	})
	r := p.client.request(t, "POST", path, io.LimitReader(hosttest.Zeros{}, size))
	r.ContentLength = size
	resp := p.client.do(t, r)
	if got, want := all(t, resp.Body), strconv.FormatInt(size, 10); got != want {
		t.Errorf("the origin got %s bytes, want %s", got, want)
	}
}

func testDown(t *testing.T, p *passage, size int64) {
	before := heap()
	path := p.origin.at(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
		io.CopyN(w, hosttest.Zeros{}, size)
	})
	resp := p.client.do(t, p.client.request(t, "GET", path, nil))
	if _, err := io.CopyN(io.Discard, resp.Body, size/2); err != nil {
		t.Fatal(err)
	}
	wantFlat(t, before, heap())
	if rest, err := io.Copy(io.Discard, resp.Body); size/2+rest != size || err != nil {
		t.Errorf("got %d bytes, %v, want %d", size/2+rest, err, size)
	}
}

// TestBodiesBeyondAPolicysHold are refused: what a policy asked to see whole, and
// can't, does not pass it.
func TestBodiesBeyondAPolicysHold(t *testing.T) {
	o := startOrigin(t)
	h := startThrough(t, o.URL, "")
	path := o.at(hosttest.Big)
	for _, w := range []wire{h1, h2c} {
		p := newPassage(t, h, o, whole, w)
		for _, length := range []int64{wholeBytes + 1, -1} {
			r := p.client.request(t, "POST", path, io.LimitReader(hosttest.Zeros{}, wholeBytes+1))
			r.ContentLength = length
			if resp := p.client.do(t, r); resp.StatusCode != 413 {
				t.Errorf("%s: upload of length %d: got status %d, want 413", w.name, length, resp.StatusCode)
			}
			p.client.transport.CloseIdleConnections()
		}
		for _, query := range []string{"?length&bytes=", "?bytes="} {
			resp, body := p.client.get(t, fmt.Sprint(path, query, wholeBytes+1))
			if resp.StatusCode != 502 || body != "502 Bad Gateway\n" {
				t.Errorf("%s: download %s: got status %d with %d bytes, want 502", w.name, query, resp.StatusCode, len(body))
			}
			if resp, body := p.client.get(t, fmt.Sprint(path, query, wholeBytes)); resp.StatusCode != 200 || len(body) != wholeBytes {
				t.Errorf("%s: download %s: got status %d with %d bytes, want 200 with all", w.name, query, resp.StatusCode, len(body))
			}
		}
	}
}
