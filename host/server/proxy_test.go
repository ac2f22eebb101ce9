package server_test

import (
	"fmt"
	"io"
	"net/http"
	"runtime"
	"testing"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/hosttest"
)

// h2Transport speaks HTTP/2 with prior knowledge.
func h2Transport(t testing.TB) *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: protocols}
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}

func TestGRPC(t *testing.T) {
	backend := hosttest.Serve(t, http.HandlerFunc(hosttest.GRPC))
	addr := start(t, proxyBy(h2Transport(t), backend.URL), settings())
	body, in := io.Pipe()
	defer in.Close()
	req, err := http.NewRequest("POST", "http://"+addr+"/echo.Echo/Stream", body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/grpc")
	req.Header.Set("TE", "trailers")
	resp, err := client(t, true).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	for i := range 20 { // each message is answered before the next one is sent
		want := fmt.Sprintf("message %d", i)
		if err := hosttest.WriteMessage(in, []byte(want)); err != nil {
			t.Fatal(err)
		}
		if got, err := hosttest.ReadMessage(resp.Body); string(got) != want || err != nil {
			t.Fatalf("got %q, %v, want %q", got, err, want)
		}
	}
	in.Close()
	if _, err := hosttest.ReadMessage(resp.Body); err != io.EOF {
		t.Errorf("end of stream: got %v, want EOF", err)
	}
	if got, want := fmt.Sprint(resp.Trailer), "map[Grpc-Status:[0] X-Messages:[20]]"; got != want {
		t.Errorf("trailer: got %s, want %s", got, want)
	}
}

func TestEvents(t *testing.T) {
	bothVersions(t, func(t *testing.T, c *http.Client) {
		source := make(chan string)
		backend := hosttest.Serve(t, hosttest.Events(source))
		addr := start(t, proxyTo(t, backend.URL), settings())
		resp, err := c.Get("http://" + addr)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		for i := range 5 {
			source <- fmt.Sprint(i)
			expect(t, resp.Body, fmt.Sprintf("data: %d\n\n", i))
		}
	})
}

// TestMemoryStaysFlat moves far more bytes than the heap may grow by.
func TestMemoryStaysFlat(t *testing.T) {
	const size, bound = 64 << 20, 16 << 20
	addr := start(t, func(x *exchange.Exchange) {
		n, err := io.Copy(io.Discard, x.Request.Body)
		if n != size || err != nil {
			t.Errorf("upload: got %d bytes, %v", n, err)
		}
		x.Response.Status, x.Response.Length = 200, size
		x.Response.Body = io.NopCloser(io.LimitReader(hosttest.Zeros{}, size))
		if err := x.Sink.Send(x); err != nil {
			t.Errorf("send: %v", err)
		}
	}, settings())
	bothVersions(t, func(t *testing.T, c *http.Client) {
		c.Timeout = 0
		before := heap()
		highest := uint64(0)
		watched := &watchedReader{r: io.LimitReader(hosttest.Zeros{}, size), every: size / 16, watch: func() {
			highest = max(highest, heap())
		}}
		resp, err := c.Post("http://"+addr, "application/octet-stream", watched)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		watched.r = resp.Body
		if n, err := io.Copy(io.Discard, watched); n != size || err != nil {
			t.Errorf("download: got %d bytes, %v", n, err)
		}
		if highest > before+bound {
			t.Errorf("heap: grew from %d to %d bytes, want at most %d more", before, highest, bound)
		}
	})
}

// watchedReader calls watch now and then.
type watchedReader struct {
	r     io.Reader
	every int
	read  int
	watch func()
}

func (w *watchedReader) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	if w.read += n; w.read >= w.every {
		w.read = 0
		w.watch()
	}
	return n, err
}

// heap returns the bytes that are in use.
func heap() uint64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}
