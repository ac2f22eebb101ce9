package outbound

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/ergoproxy/ergo/host/hosttest"
)

// peer is a server of grpc-go: it answers each message with "re: " and itself,
// and ends a stream with the status that its method names.
func peer(t *testing.T) (url string) {
	t.Helper()
	return hosttest.ServeGRPC(t, talk)
}

func talk(_ any, s grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(s)
	if strings.HasSuffix(method, "/Refuse") {
		return status.Error(codes.PermissionDenied, "not you, 100 %")
	}
	in, _ := metadata.FromIncomingContext(s.Context())
	s.SetHeader(metadata.Pairs("x-head", "h", "x-seen", strings.Join(in["x-call"], "")))
	s.SetTrailer(metadata.Pairs("x-tail", "t"))
	for {
		var m []byte
		if err := s.RecvMsg(&m); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if string(m) == "large" {
			m = make([]byte, 2000)
		} else {
			m = append([]byte("re: "), m...)
		}
		if err := s.SendMsg(&m); err != nil {
			return err
		}
	}
}

// record gathers the events of a stream, each as a line.
type record struct {
	mu     sync.Mutex
	lines  []string
	closed chan Closed
	on     func(Event)
}

func newRecord() *record { return &record{closed: make(chan Closed, 1)} }

func (r *record) take(e Event) {
	r.mu.Lock()
	switch e := e.(type) {
	case Header:
		r.lines = append(r.lines, "header "+e.Fields.Value("x-head")+e.Fields.Value("x-seen"))
	case Message:
		r.lines = append(r.lines, "message "+string(e.Bytes))
	case Trailer:
		r.lines = append(r.lines, "trailer "+e.Fields.Value("x-tail"))
	case Closed:
		r.lines = append(r.lines, fmt.Sprint("closed ", e.Status))
		r.closed <- e
	}
	r.mu.Unlock()
	if r.on != nil {
		r.on(e)
	}
}

func (r *record) want(t *testing.T, lines ...string) Closed {
	t.Helper()
	select {
	case c := <-r.closed:
		if got, want := r.all(), strings.Join(lines, "\n"); got != want {
			t.Errorf("got\n%s\nwant\n%s\n(%v)", got, want, c.Err)
		}
		return c
	case <-time.After(15 * time.Second):
		t.Fatal("the stream does not end")
		return Closed{}
	}
}

func (r *record) all() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.lines, "\n")
}

func (r *record) has(line string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, l := range r.lines {
		if l == line {
			return true
		}
	}
	return false
}

func start(t *testing.T, c *Client, url string, r *record) *Stream {
	t.Helper()
	s, err := c.Stream(t.Context(), &Request{URL: url, Header: fields("x-call", "c")}, r.take)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func send(t *testing.T, s *Stream, message string, end bool) {
	t.Helper()
	if err := s.Send([]byte(message), end); err != nil {
		t.Fatal(err)
	}
}

func TestStream(t *testing.T) {
	url := peer(t)
	c := open(t, nil, url)
	r := newRecord()
	s := start(t, c, url+"/svc/Talk", r)
	send(t, s, "one", false)
	hosttest.Eventually(t, func() bool { return r.has("message re: one") }, "an answer before the end of the request")
	send(t, s, "two", false)
	send(t, s, "", false)
	if err := s.Send(nil, true); err != nil {
		t.Fatal(err)
	}
	if closed := r.want(t, "header hc", "message re: one", "message re: two", "message re: ", "trailer t", "closed {0 }"); closed.Err != nil {
		t.Error(closed.Err)
	}
	if err := s.Send([]byte("late"), false); err == nil {
		t.Error("a message can be sent after the end")
	}
}

func TestStreamOfOneMessage(t *testing.T) {
	url := peer(t)
	c := open(t, nil, url)
	r := newRecord()
	send(t, start(t, c, url+"/svc/Talk", r), "hello", true)
	r.want(t, "header hc", "message re: hello", "trailer t", "closed {0 }")
}

func TestStreamStatusAlone(t *testing.T) {
	url := peer(t)
	c := open(t, nil, url)
	r := newRecord()
	start(t, c, url+"/svc/Refuse", r)
	if closed := r.want(t, "trailer ", "closed {7 not you, 100 %}"); closed.Err != nil {
		t.Errorf("a status of the peer's is an error: %v", closed.Err)
	}
}

func TestStreamBounds(t *testing.T) {
	url := peer(t)
	c := open(t, func(c *Config) { c.ResponseBytes, c.RequestBytes = 1000, 100 }, url)
	r := newRecord()
	s := start(t, c, url+"/svc/Talk", r)
	var failure *Error
	if err := s.Send(make([]byte, 96), false); !errors.As(err, &failure) || failure.Kind != TooLarge {
		t.Errorf("got %v, want kind %s", err, TooLarge)
	}
	send(t, s, "large", false)
	closed := r.want(t, "header hc", "closed {8 a message of 2000 bytes is beyond the bound of 1000}")
	if !errors.As(closed.Err, &failure) || failure.Kind != TooLarge {
		t.Errorf("got %v, want kind %s", closed.Err, TooLarge)
	}
}

func TestStreamToWhatIsNoGRPC(t *testing.T) {
	backend := hosttest.Serve(t, http.NotFoundHandler())
	c := open(t, nil, backend.URL)
	r := newRecord()
	start(t, c, backend.URL+"/svc/Talk", r)
	r.want(t, "header ", "closed {12 HTTP status 404}")
}

func TestStreamThatIsNotGranted(t *testing.T) {
	c := open(t, func(c *Config) { c.Methods = []string{"GET"} }, "http://127.0.0.1:1")
	for _, url := range []string{"http://127.0.0.1:1/svc/Talk", "http://127.0.0.1:2/svc/Talk"} {
		_, err := c.Stream(t.Context(), &Request{URL: url}, func(Event) { t.Error("an event") })
		var failure *Error
		if !errors.As(err, &failure) || failure.Kind != NotGranted {
			t.Errorf("got %v, want kind %s", err, NotGranted)
		}
	}
}

func TestStreamUnreachable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url := "http://" + l.Addr().String()
	l.Close()
	r := newRecord()
	start(t, open(t, nil, url), url+"/svc/Talk", r)
	r.want(t, "closed {14 failed}")
}

func TestStreamTimeout(t *testing.T) {
	url := peer(t)
	c := open(t, nil, url)
	r := newRecord()
	if _, err := c.Stream(t.Context(), &Request{URL: url + "/svc/Talk", Timeout: 30 * time.Millisecond}, r.take); err != nil {
		t.Fatal(err)
	}
	if closed := <-r.closed; closed.Status.Code != codeDeadlineExceeded {
		t.Errorf("got %v, want code %d", closed, codeDeadlineExceeded)
	}
}

// TestStreamCancel cancels while nothing is under way, and from an event.
func TestStreamCancel(t *testing.T) {
	url := peer(t)
	c := open(t, func(c *Config) { c.Concurrent = 1 }, url)
	r := newRecord()
	s := start(t, c, url+"/svc/Talk", r)
	s.Cancel()
	hosttest.Eventually(t, func() bool { return len(c.places) == 0 }, "the stream ends")
	if got := r.all(); got != "" {
		t.Errorf("got %q after the stream was canceled", got)
	}

	r = newRecord()
	ready := make(chan *Stream, 1)
	r.on = func(e Event) {
		if _, ok := e.(Message); ok {
			(<-ready).Cancel()
		}
	}
	s = start(t, c, url+"/svc/Talk", r)
	send(t, s, "one", false)
	send(t, s, "two", false)
	ready <- s
	hosttest.Eventually(t, func() bool { return len(c.places) == 0 }, "the stream ends")
	if got := r.all(); got != "header hc\nmessage re: one" {
		t.Errorf("got %q", got)
	}
}

func TestCloseEndsStreams(t *testing.T) {
	url := peer(t)
	c := open(t, nil, url)
	r := newRecord()
	s := start(t, c, url+"/svc/Talk", r)
	send(t, s, "one", false)
	hosttest.Eventually(t, func() bool { return r.has("message re: one") }, "an answer")
	c.Close()
	closed := r.want(t, "header hc", "message re: one", "closed {14 failed}")
	if !errors.Is(closed.Err, errClosed) {
		t.Errorf("got %v, want %v", closed.Err, errClosed)
	}
	if _, err := c.Stream(context.Background(), &Request{URL: url + "/svc/Talk"}, r.take); !errors.Is(err, errClosed) {
		t.Errorf("got %v, want %v", err, errClosed)
	}
}

func TestQueue(t *testing.T) {
	q := newQueue(20)
	for i, want := range []error{nil, nil, errBusy} { // 8 bytes each
		if err := q.put([]byte("abc"), false); err != want {
			t.Errorf("message %d: got %v, want %v", i, err, want)
		}
	}
	first := make([]byte, 8)
	if _, err := io.ReadFull(q, first); err != nil || string(first) != "\x00\x00\x00\x00\x03abc" {
		t.Errorf("got %q, %v", first, err)
	}
	if err := q.put([]byte("d"), true); err != nil {
		t.Error(err)
	}
	if err := q.put(nil, false); err != io.ErrClosedPipe {
		t.Errorf("got %v, want %v", err, io.ErrClosedPipe)
	}
	if rest, err := io.ReadAll(q); err != nil || string(rest) != "\x00\x00\x00\x00\x03abc\x00\x00\x00\x00\x01d" {
		t.Errorf("got %q, %v", rest, err)
	}
	q.Close()
	if _, err := q.Read(first); err != io.ErrClosedPipe {
		t.Errorf("got %v, want %v", err, io.ErrClosedPipe)
	}
}

// TestQueueHammer has what many send arrive whole and once.
func TestQueueHammer(t *testing.T) {
	q := newQueue(200)
	const senders, each = 8, 200
	var sending sync.WaitGroup
	for range senders {
		sending.Go(func() {
			for n := 0; n < each; {
				if q.put([]byte{byte(n)}, false) == nil {
					n++
				}
			}
		})
	}
	go func() { sending.Wait(); q.put(nil, true) }()
	count := 0
	for {
		if _, err := readMessage(q, 10); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		count++
	}
	if count != senders*each {
		t.Errorf("%d messages arrived, want %d", count, senders*each)
	}
}
