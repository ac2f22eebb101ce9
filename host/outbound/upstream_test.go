package outbound

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/hosttest"
	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/upstream"
)

// pools are upstreams as an engine has them.
type pools struct {
	forward func(x *exchange.Exchange, name string) *exchange.Failure
}

func (p pools) Forward(x *exchange.Exchange, name string) *exchange.Failure {
	return p.forward(x, name)
}

// realUpstreams are the pools of package upstream.
func realUpstreams(t *testing.T, urls map[string]string) pools {
	t.Helper()
	text := "version = 1\n[[listener]]\naddress = \"127.0.0.1:0\"\n[service]\nupstream = \"users\"\n"
	for name, url := range urls {
		text += "[upstream." + name + "]\nendpoints = [\"" + url + "\"]\nprotocol = \"h2\"\n"
	}
	m, err := manifest.Parse("proxy.toml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	registry := upstream.NewRegistry(upstream.Options{})
	set, err := registry.Build(m.Upstreams)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		set.Close()
		_ = registry.Close(context.Background())
	})
	return pools{func(x *exchange.Exchange, name string) *exchange.Failure { return set.Forward(x, name) }}
}

func upstreamClient(t *testing.T, u Upstreams) *Client {
	return openWith(t, func(c *Config) { c.Upstreams = []string{"users"}; c.ResponseBytes = 1000 }, Options{Upstreams: u})
}

func TestUpstream(t *testing.T) {
	backend := hosttest.Serve(t, http.HandlerFunc(hosttest.Echo))
	c := upstreamClient(t, realUpstreams(t, map[string]string{"users": backend.URL}))
	resp := do(t, c, &Request{
		Method: "POST", URL: "upstream://users/a?b=c", Body: []byte("body"),
		Header: fields("x-one", "1", "connection", "close", "host", "no"),
	})
	seen := hosttest.Decode(t, strings.NewReader(string(resp.Body)))
	if seen.Method != "POST" || seen.Target != "/a?b=c" || seen.Host != "users" || seen.Body != "body" || seen.Header.Get("X-One") != "1" || seen.Header.Get("Connection") != "" {
		t.Errorf("the backend saw %+v", seen)
	}
	resp = do(t, c, &Request{Method: "GET", URL: "upstream://users/", Authority: "users.example"})
	if seen = hosttest.Decode(t, strings.NewReader(string(resp.Body))); seen.Host != "users.example" || resp.Header.Value("b") != "" {
		t.Errorf("the backend saw %+v", seen)
	}
	fails(t, c, &Request{Method: "GET", URL: "upstream://others/"}, NotGranted)
	fails(t, c, &Request{Method: "GET", URL: "upstream://users/", Authority: "a b"}, BadRequest)
	fails(t, c, &Request{Method: "GET", URL: "upstream://users/?x=" + strings.Repeat("y", 1000)}, TooLarge)
	fails(t, upstreamClient(t, nil), &Request{Method: "GET", URL: "upstream://users/"}, Failed)
}

func TestUpstreamStream(t *testing.T) {
	c := upstreamClient(t, realUpstreams(t, map[string]string{"users": peer(t)}))
	r := newRecord()
	s := start(t, c, "upstream://users/svc/Talk", r)
	send(t, s, "one", false)
	hosttest.Eventually(t, func() bool { return r.has("message re: one") }, "an answer before the end of the request")
	send(t, s, "two", true)
	r.want(t, "header hc", "message re: one", "message re: two", "trailer t", "closed {0 }")

	r = newRecord()
	s = start(t, c, "upstream://users/svc/Talk", r)
	send(t, s, "one", false)
	hosttest.Eventually(t, func() bool { return r.has("message re: one") }, "an answer")
	s.Cancel()
	hosttest.Eventually(t, func() bool { return len(c.places) == 0 }, "a canceled stream ends")
}

func TestUpstreamTimeout(t *testing.T) {
	url, _, _ := held(t)
	c := upstreamClient(t, realUpstreams(t, map[string]string{"users": url}))
	fails(t, c, &Request{Method: "GET", URL: "upstream://users/", Timeout: 20 * time.Millisecond}, TimedOut)
}

func TestUpstreamFailure(t *testing.T) {
	for cause, want := range map[exchange.Cause]Kind{
		exchange.CauseTimeout: TimedOut, exchange.CauseRefused: Failed, exchange.CauseNoRoute: Failed, exchange.CauseOverload: Failed,
	} {
		failure := &exchange.Failure{Cause: cause, Status: 503}
		c := upstreamClient(t, pools{func(*exchange.Exchange, string) *exchange.Failure { return failure }})
		got := fails(t, c, &Request{Method: "GET", URL: "upstream://users/"}, want)
		var f *exchange.Failure
		if !errors.As(got, &f) || f != failure {
			t.Errorf("%s: got %v, want it to wrap the failure", cause, got)
		}
	}
}

// TestUpstreamBodyIsClosed has every end of a call end the stay at the upstream.
func TestUpstreamBodyIsClosed(t *testing.T) {
	for _, size := range []int{10, 1000, 1001} {
		body := &closing{Reader: strings.NewReader(strings.Repeat("x", size))}
		c := upstreamClient(t, pools{func(x *exchange.Exchange, _ string) *exchange.Failure {
			x.Response.Status, x.Response.Body = 200, body
			return nil
		}})
		_, _ = c.Do(t.Context(), &Request{Method: "GET", URL: "upstream://users/"})
		if body.closed != 1 {
			t.Errorf("%d bytes: the body was closed %d times, want once", size, body.closed)
		}
	}
}

type closing struct {
	io.Reader
	closed int
}

func (c *closing) Close() error {
	c.closed++
	return nil
}
