package upstream

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/manifest"
)

// moody is an endpoint that does with each request what it likes: answer it, in
// any of the ways there are, or break off anywhere. What it says is about the
// request that it read last: its id, as often as asked for.
type moody struct {
	net.Listener
	open    atomic.Int64
	running sync.WaitGroup
}

func newMoody(t *testing.T) *moody {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := &moody{Listener: l}
	m.running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			m.open.Add(1)
			m.running.Go(func() {
				defer m.open.Add(-1)
				defer c.Close()
				r := bufio.NewReader(c)
				for m.serve(c.(*net.TCPConn), r) {
				}
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		m.running.Wait()
	})
	return m
}

// said is the body of an answer.
func said(id string, count int) string { return strings.Repeat(id+";", count) }

// serve reports whether the connection goes on.
func (m *moody) serve(c *net.TCPConn, r *bufio.Reader) bool {
	req, err := http.ReadRequest(r)
	if err != nil {
		return false
	}
	id := req.Header.Get("X-Id")
	count, _ := strconv.Atoi(req.Header.Get("X-Count"))
	body := said(id, count)
	field := "X-Id: " + id + "\r\n"
	counted := "HTTP/1.1 200 OK\r\n" + field + "Content-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n"
	chunked := "HTTP/1.1 200 OK\r\n" + field + "Transfer-Encoding: chunked\r\nTrailer: X-End\r\n\r\n"
	head := req.Method == "HEAD"
	early := rand.N(4) == 0
	if !early {
		if _, err := io.Copy(io.Discard, req.Body); err != nil {
			return false
		}
	}
	say := func(parts ...string) bool {
		_, err := io.WriteString(c, strings.Join(parts, ""))
		return err == nil
	}
	switch mood := rand.N(16); {
	case mood == 0:
		return false
	case mood == 1:
		c.SetLinger(0)
		return false
	case mood == 2:
		say(counted[:rand.N(len(counted))])
		return false
	case mood == 3 && !head && len(body) > 0:
		say(counted, body[:rand.N(len(body))])
		if rand.N(2) == 0 {
			c.SetLinger(0)
		}
		return false
	case mood == 4: // more than belongs to it; to HEAD, the body
		say(counted, body, "HTTP/1.1 200 OK\r\nX-Id: poison\r\nContent-Length: 6\r\n\r\npoison")
	case mood == 5:
		say("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: other\r\n\r\n")
		return false
	case mood == 6 && !head:
		say("HTTP/1.0 200 OK\r\n", field, "\r\n", body)
		return false
	case mood == 7:
		say("HTTP/1.1 204 No Content\r\n", field, "\r\n")
	case mood == 8:
		say("HTTP/1.1 103 Early Hints\r\n", field, "\r\n")
		runtime.Gosched()
		fallthrough
	case mood < 12 && !head: // in parts, as they come
		say(chunked)
		for rest := body; rest != ""; {
			part := rest[:1+rand.N(len(rest))]
			if rest = rest[len(part):]; !say(strconv.FormatInt(int64(len(part)), 16), "\r\n", part, "\r\n") {
				return false
			}
			runtime.Gosched()
		}
		if mood == 9 && !head {
			say("0\r\n")
			return false
		}
		say("0\r\nX-End: ", id, "\r\n\r\n")
	case head:
		say(counted)
	default:
		say(counted, body)
	}
	if early {
		if _, err := io.Copy(io.Discard, req.Body); err != nil {
			return false
		}
	}
	return rand.N(8) != 0 // closes while idle
}

// informed is a client that checks what it is told before the answer.
type informed struct {
	t  *testing.T
	id string
}

func (i *informed) Inform(_ int, h *exchange.Header) error {
	if got := h.Value("x-id"); got != i.id {
		i.t.Errorf("got an informational response to %q, want to %q", got, i.id)
	}
	return nil
}

func (i *informed) Send(*exchange.Exchange) error { return nil }

// dribbling is a request's body that comes in parts.
type dribbling struct{ left int }

func (d *dribbling) Read(p []byte) (int, error) {
	if d.left == 0 {
		return 0, io.EOF
	}
	runtime.Gosched()
	n := min(len(p), d.left, 1+rand.N(9000))
	d.left -= n
	copy(p, bytes.Repeat([]byte{'b'}, n))
	return n, nil
}

func (d *dribbling) Close() error { return nil }

// striker is one of those who ask, with the memory of the exchanges before.
type striker struct {
	t     *testing.T
	set   *Set
	x     exchange.Exchange
	call  *Call
	sink  informed
	whole int // answers that came to their end
}

func (h *striker) strike(id string) {
	x, count := &h.x, rand.N(1000)
	h.sink = informed{h.t, id}
	x.Sink = &h.sink
	x.Request.Method = []string{"GET", "HEAD", "POST", "PUT"}[rand.N(4)]
	x.Request.Scheme, x.Request.Authority, x.Request.Target, x.Request.Version = "http", "site.example", "/", exchange.HTTP11
	x.Request.Header.Add("X-Id", id)
	x.Request.Header.Add("X-Count", strconv.Itoa(count))
	if x.Request.Method[0] == 'P' {
		size := rand.N(100 << 10)
		x.Request.Body, x.Request.Length = &dribbling{size}, int64(size)
		if rand.N(2) == 0 {
			x.Request.Length = exchange.UnknownLength
		}
		if rand.N(3) == 0 {
			x.Request.Body = exchange.NewBuffered(make([]byte, size))
		}
	}
	ended := make(chan struct{})
	life := x.Life()
	if rand.N(8) == 0 {
		time.AfterFunc(rand.N(2*time.Millisecond), func() {
			life.End(context.Canceled)
			close(ended)
		})
	} else {
		close(ended)
	}
	h.call = h.call.Reset()
	if f := h.set.ForwardBy(h.call, x, "up"); f == nil {
		h.check(id, count)
	} else if x.Response.Body != nil {
		h.t.Errorf("a failed exchange has a body: %v", f)
	}
	<-ended
	x.Reset()
}

func (h *striker) check(id string, count int) {
	r := &h.x.Response
	want := said(id, count)
	if got := r.Header.Value("x-id"); got != id {
		h.t.Errorf("got the answer to %q, want to %q", got, id)
	}
	var got []byte
	var err error
	if r.Body != nil {
		if rand.N(8) == 0 { // loses interest
			r.Body.Close()
			return
		}
		got, err = io.ReadAll(r.Body)
		r.Body.Close()
	}
	switch {
	case err != nil && !strings.HasPrefix(want, string(got)):
		h.t.Errorf("%s: broke with %q", id, got)
	case err == nil && string(got) != want && h.x.Request.Method != "HEAD" && r.Status != 204:
		h.t.Errorf("%s: got %d bytes, want %d", id, len(got), len(want))
	case err == nil && r.Body != nil && r.Trailer.Len() > 0 && r.Trailer.Value("x-end") != id:
		h.t.Errorf("%s: got trailers %v", id, r.Trailer.Fields())
	case err == nil:
		h.whole++
	}
}

// Whatever an endpoint does, each answer belongs to its request, all counts go back
// to 0, and nothing stays behind.
func TestHammerAnyEndpoint(t *testing.T) {
	before := runtime.NumGoroutine()
	m := newMoody(t)
	r := NewRegistry(Options{})
	up := settings("http://" + m.Addr().String())
	up.Outlier.Failures = 0
	up.Connections.Max, up.Connections.Idle = 8, 4
	up.Retry.Budget, up.Retry.Backoff = 100, 0
	set, err := r.Build(map[string]manifest.Upstream{"up": up})
	if err != nil {
		t.Fatal(err)
	}
	var asking sync.WaitGroup
	var whole atomic.Int64
	for w := range 16 {
		asking.Go(func() {
			h := &striker{t: t, set: set}
			for n := range 60 {
				h.strike(fmt.Sprintf("%d-%d", w, n))
			}
			whole.Add(int64(h.whole))
		})
	}
	asking.Wait()
	if whole.Load() < 200 {
		t.Errorf("only %d answers came to their end", whole.Load())
	}
	p := set.pools["up"]
	if n, in, waiting := p.members.Load().all[0].inFlight.Load(), p.shared.breaker.inFlight.Load(), p.shared.breaker.pending.Load(); n != 0 || in != 0 || waiting != 0 {
		t.Errorf("got %d at the endpoint, %d in flight, %d waiting, want none", n, in, waiting)
	}
	set.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := r.Close(ctx); err != nil {
		t.Error(err)
	}
	eventually(t, "end of all connections", func() bool { return m.open.Load() == 0 })
	eventually(t, "end of all goroutines", func() bool { return runtime.NumGoroutine() <= before+1 }) // who accepts
}
