package outbound

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/hosttest"
)

// unary makes a call and waits for what it comes to.
func unary(t *testing.T, c *Client, url, message string, timeout time.Duration) *Reply {
	t.Helper()
	replies := make(chan *Reply, 2)
	err := c.Unary(t.Context(), &Request{URL: url, Header: fields("x-call", "c"), Body: []byte(message), Timeout: timeout}, func(r *Reply) { replies <- r })
	if err != nil {
		t.Fatal(err)
	}
	r := <-replies
	if c.Close(); len(replies) != 0 { // it waits for the call's goroutine
		t.Error("a call has two replies")
	}
	return r
}

func TestUnary(t *testing.T) {
	url := peer(t)
	r := unary(t, open(t, nil, url), url+"/svc/Talk", "hello", 0)
	if r.Status != (Status{}) || string(r.Message) != "re: hello" || r.Header.Value("x-head") != "h" || r.Trailer.Value("x-tail") != "t" || r.Err != nil {
		t.Errorf("got %+v", r)
	}
	r = unary(t, open(t, nil, url), url+"/svc/Refuse", "hello", 0)
	if r.Status != (Status{7, "not you, 100 %"}) || r.Message != nil || r.Header != nil || r.Err != nil {
		t.Errorf("got %+v", r)
	}
}

func TestUnaryTimeout(t *testing.T) {
	url, _, release := held(t)
	defer close(release)
	for _, timeout := range []time.Duration{20 * time.Millisecond, 0} { // the request's, or else the client's
		c := open(t, func(c *Config) { c.Timeout = 20 * time.Millisecond }, url)
		if r := unary(t, c, url+"/svc/Talk", "", timeout); r.Status.Code != codeDeadlineExceeded || r.Err == nil {
			t.Errorf("got %+v, want code %d", r, codeDeadlineExceeded)
		}
	}
}

func TestUnaryOfAnotherNumberOfMessages(t *testing.T) {
	for count := range 3 {
		backend := hosttest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", grpcType)
			w.Header().Set("Trailer", "Grpc-Status")
			for range count {
				w.Write(appendMessage(nil, []byte("m")))
			}
			w.Header().Set("Grpc-Status", "0")
		}))
		want := codeInternal
		if count == 1 {
			want = 0
		}
		if r := unary(t, open(t, nil, backend.URL), backend.URL+"/svc/Talk", "", 0); r.Status.Code != want || (r.Message != nil) != (count == 1) {
			t.Errorf("%d messages: got %+v, want code %d", count, r, want)
		}
	}
}

func TestUnaryIsRefused(t *testing.T) {
	c := open(t, func(c *Config) { c.RequestBytes = 10 }, "http://127.0.0.1:1")
	for url, want := range map[string]Kind{"http://127.0.0.1:1/svc/Talk": TooLarge, "http://127.0.0.1:2/svc/Talk": NotGranted} {
		body := []byte("x")
		if want == TooLarge {
			body = []byte(strings.Repeat("x", 6))
		}
		err := c.Unary(context.Background(), &Request{URL: url, Body: body}, func(*Reply) { t.Error("a reply") })
		var failure *Error
		if !errors.As(err, &failure) || failure.Kind != want {
			t.Errorf("%s: got %v, want kind %s", url, err, want)
		}
	}
}

func TestGo(t *testing.T) {
	backend := hosttest.Serve(t, http.HandlerFunc(hosttest.Echo))
	c := open(t, func(c *Config) { c.Concurrent = 1 }, backend.URL)
	answers := make(chan error, 1)
	held := make(chan struct{})
	err := c.Go(context.Background(), &Request{Method: "GET", URL: backend.URL}, func(r *Response, err error) {
		answers <- err
		<-held
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := <-answers; err != nil {
		t.Error(err)
	}
	var failure *Error
	if err := c.Go(context.Background(), &Request{Method: "GET", URL: backend.URL}, nil); !errors.As(err, &failure) || failure.Kind != Busy {
		t.Errorf("got %v, want kind %s until the first has been told", err, Busy)
	}
	close(held)
	c.Close()
}
