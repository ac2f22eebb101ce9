package http1_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/ergoproxy/ergo/host/cache"
	"github.com/ergoproxy/ergo/host/exchange"
)

// unread is a body in memory whose bytes nobody is to read.
type unread struct {
	*exchange.Buffered
	t *testing.T
}

func (u unread) Read(p []byte) (int, error) {
	if len(u.Unread()) > 0 {
		u.t.Error("what is in memory was read")
	}
	return u.Buffered.Read(p)
}

// onFile is a body on a file, which may be shorter than it says.
type onFile struct {
	file *os.File
	left int64
	read bool
}

func (o *onFile) File() (*os.File, int64) { return o.file, o.left }

func (o *onFile) Sent(n int64) { o.left -= n }

func (o *onFile) Read(p []byte) (int, error) {
	o.read = true
	n, err := o.file.Read(p)
	o.left -= int64(n)
	return n, err
}

func (o *onFile) Close() error { return o.file.Close() }

func newOnFile(t *testing.T, text string, left int) *onFile {
	t.Helper()
	path := filepath.Join(t.TempDir(), "body")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return &onFile{file: f, left: int64(left)}
}

func TestBodiesInMemoryAndOnFiles(t *testing.T) {
	whole := pattern(1 << 20)
	for _, size := range []int{1, 1000, 5000, 64 << 10, 64<<10 + 1, 1 << 20} {
		for _, length := range []int64{int64(size), exchange.UnknownLength} {
			text := whole[:size]
			bodies, sent := make(chan io.ReadCloser, 1), make(chan bool, 1)
			d := serve(t, settings(), func(x *exchange.Exchange) {
				defer func() { sent <- true }()
				x.Response.Status, x.Response.Length, x.Response.Body = 200, length, <-bodies
				if err := x.Sink.Send(x); err != nil || x.ResponseBytes != int64(size) {
					t.Errorf("send: %v, %d bytes, want %d", err, x.ResponseBytes, size)
				}
			})
			p := d.dial(t)
			file := newOnFile(t, text, size)
			for _, body := range []io.ReadCloser{unread{exchange.NewBuffered([]byte(text)), t}, file} {
				bodies <- body
				p.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
				if _, got := p.response("GET"); got != text {
					t.Errorf("%d bytes as %T: got %d, or other ones", size, body, len(got))
				}
				<-sent
			}
			if moved := runtime.GOOS == "linux" && length > 0 && size >= 64<<10; file.read == moved {
				t.Errorf("%d bytes, length %d: the kernel moved them: %v, want %v", size, length, !file.read, moved)
			}
		}
	}
}

func TestLentBodiesThatAreNotAsLongAsTheySay(t *testing.T) {
	text := pattern(200 << 10)
	for name, body := range map[string]io.ReadCloser{
		"more in memory":  exchange.NewBuffered([]byte(text)),
		"more in a file":  newOnFile(t, text, len(text)),
		"less in memory":  exchange.NewBuffered([]byte(text[:80<<10])),
		"less in a file":  newOnFile(t, text[:80<<10], 100<<10),
		"nothing in it":   newOnFile(t, "", 100<<10),
		"less than asked": newOnFile(t, text, 80<<10),
	} {
		sent := make(chan error, 1)
		d := serve(t, settings(), func(x *exchange.Exchange) {
			x.Response.Status, x.Response.Length, x.Response.Body = 200, 100<<10, body
			sent <- x.Sink.Send(x)
		})
		p := d.dial(t)
		p.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		if got, err := io.ReadAll(p.r); err == nil && len(got) >= 100<<10 && strings.HasPrefix(name, "less") {
			t.Errorf("%s: the client took it for complete", name)
		}
		var failed *exchange.SendError
		if err := <-sent; !errors.As(err, &failed) || !failed.Upstream {
			t.Errorf("%s: got %v, want that the body is blamed", name, err)
		}
	}
}

// TestLentBodiesAreNeverOthers sends what is stored, in memory and on disk, while it is replaced, purged and evicted:
// each body comes whole, as one of those that were stored.
func TestLentBodiesAreNeverOthers(t *testing.T) {
	store, err := cache.Open(cache.Options{MemoryBytes: 1 << 20, Disk: t.TempDir(), DiskBytes: 8 << 20}) // 64 KiB and more are on disk
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	space := store.Space("p")
	sizes := []int{2 << 10, 40 << 10, 300 << 10}
	put := func(key string, body string) {
		w, err := space.Create(key, cache.Head{Status: 200}, space.Now())
		if err != nil {
			t.Error(err)
			return
		}
		if _, err := io.WriteString(w, body); err == nil {
			_ = w.Commit() // who purges meanwhile has it dropped
		}
		w.Abort()
	}
	d := serve(t, settings(), func(x *exchange.Exchange) {
		set := space.Lookup(x.Request.Target)
		x.Response.Status = 404
		if set.Len() > 0 {
			if body, err := set.At(0).Open(0, -1); err == nil {
				x.Response.Status, x.Response.Length, x.Response.Body = 200, set.At(0).Size, body
			}
		}
		set.Close()
		x.Sink.Send(x)
	})
	stop := make(chan struct{})
	var writers, readers sync.WaitGroup
	for i := range sizes {
		writers.Go(func() {
			key := fmt.Sprintf("/%d", i)
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				put(key, strings.Repeat(string(rune('a'+n%26)), sizes[i]+n%100))
				put(fmt.Sprintf("/%d/%d", i, n), strings.Repeat("z", sizes[i]))
				if n%3 == 0 {
					_, _ = space.Purge(cache.Selector{Kind: cache.Exact, Text: key}, false)
				}
			}
		})
	}
	for range 6 {
		readers.Go(func() {
			c, err := net.Dial("tcp", d.addr)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			r := newReader(c)
			for n := range 150 {
				fmt.Fprintf(c, "GET /%d HTTP/1.1\r\nHost: h\r\n\r\n", n%len(sizes))
				resp, err := http.ReadResponse(r, nil)
				if err != nil {
					t.Error(err)
					return
				}
				body, err := io.ReadAll(resp.Body)
				if err != nil || len(body) > 0 && strings.Count(string(body), string(body[:1])) != len(body) {
					t.Errorf("%d bytes that were never stored so, %v", len(body), err)
					return
				}
			}
		})
	}
	readers.Wait()
	close(stop)
	writers.Wait()
}
