package server_test

import (
	"bytes"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/ergoproxy/ergo/host/exchange"
)

// flooding is a client that sends frames as fast as it can, and reads what comes
// if it reads at all.
type flooding struct {
	*http2.Framer
	net.Conn
	block []byte // of a good request's head
}

func flood(t *testing.T, addr string, reads bool) *flooding {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(20 * time.Second))
	c.(*net.TCPConn).SetReadBuffer(64 << 10) // so that the flood is longer than what the kernel takes
	c.(*net.TCPConn).SetWriteBuffer(64 << 10)
	io.WriteString(c, http2.ClientPreface)
	if reads {
		go io.Copy(io.Discard, c)
	}
	f := &flooding{Framer: http2.NewFramer(c, nil), Conn: c}
	f.block = fields(":method", "GET", ":scheme", "http", ":authority", "h", ":path", "/hang")
	f.WriteSettings()
	return f
}

func fields(list ...string) []byte {
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for i := 0; i < len(list); i += 2 {
		encoder.WriteField(hpack.HeaderField{Name: list[i], Value: list[i+1]})
	}
	return block.Bytes()
}

// open begins the n-th request.
func (f *flooding) open(n int) (stream uint32, err error) {
	stream = uint32(2*n + 1)
	return stream, f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: f.block, EndHeaders: true, EndStream: true})
}

// TestFloods sends what made other servers fall over. The connection has to end
// before the flood does, unless nothing piles up; no more requests may be carried
// at once than one client is allowed, and other clients are served meanwhile.
func TestFloods(t *testing.T) {
	const frames = 4 << 20 // more than kernels hold back
	for _, test := range []struct {
		name  string
		reads bool
		stays bool // nothing piles up
		send  func(f *flooding, n int) error
	}{
		{"rapid reset", true, false, func(f *flooding, n int) error { // CVE-2023-44487
			stream, err := f.open(n)
			if err == nil {
				err = f.WriteRSTStream(stream, http2.ErrCodeCancel)
			}
			return err
		}},
		{"resets made by the server", true, false, func(f *flooding, n int) error { // CVE-2025-8671
			stream, err := f.open(n)
			if err == nil {
				err = f.WriteWindowUpdate(stream, 1<<31-1)
			}
			return err
		}},
		{"fields without end", true, false, func(f *flooding, n int) error { // CVE-2023-45288
			if n == 0 {
				return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: f.block})
			}
			return f.WriteContinuation(1, false, fields("x", strings.Repeat("x", 1000)))
		}},
		{"settings", false, true, func(f *flooding, _ int) error { return f.WriteSettings() }},           // CVE-2019-9515
		{"pings", false, false, func(f *flooding, _ int) error { return f.WritePing(false, [8]byte{}) }}, // CVE-2019-9512
		{"window beyond its size", true, false, func(f *flooding, _ int) error { return f.WriteWindowUpdate(0, 1<<31-1) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			var now, most atomic.Int32
			over := make(chan struct{})
			listener := settings()
			addr := start(t, func(x *exchange.Exchange) {
				if x.Request.Target == "/hang" {
					n := now.Add(1)
					defer now.Add(-1)
					for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
					}
					<-over // as policies may, it does not see at once that its client is gone
				}
				answer(x, 200, "ok")
			}, listener)
			defer close(over)
			f := flood(t, addr, test.reads)
			bound, ended := frames, false
			if test.stays {
				bound = 1 << 15
			}
			for n := 0; n < bound && !ended; n++ {
				ended = test.send(f, n) != nil
			}
			if !ended && !test.stays {
				t.Errorf("the connection outlived %d frames", frames)
			}
			if got := most.Load(); got > int32(listener.Limits.Streams) {
				t.Errorf("%d requests at once, want %d at most", got, listener.Limits.Streams)
			}
			resp, err := client(t, true).Get("http://" + addr)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
		})
	}
}

// A field that the table of HPACK holds costs a byte to say again: what counts is
// what it stands for.
func TestCompressedFieldsCountInFull(t *testing.T) {
	addr := start(t, func(x *exchange.Exchange) { answer(x, 200, "ok") }, settings())
	c := dialH2(t, addr)
	all := []string{":method", "GET", ":scheme", "http", ":authority", "h", ":path", "/"}
	for range 100 {
		all = append(all, "x-bomb", strings.Repeat("x", 3000))
	}
	c.headers(1, true, all...)
	if got := c.encoded.Len(); got > 8<<10 {
		t.Fatalf("the bomb has %d bytes itself", got)
	}
	if got := c.status(1); got != "431" && got != "reset" {
		t.Errorf("status: got %s, want 431", got)
	}
}
