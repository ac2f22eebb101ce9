package cases

import (
	"cmp"
	"errors"
	"io"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/tier"
)

// Run sends the exchanges of a case through a tier.
func (c *Case) Run(t *testing.T, alone *tier.Tier) {
	c.carry(t, alone)
	for i := range c.Then {
		c.Then[i].carry(t, alone)
		if t.Failed() {
			t.Fatalf("so far in exchange %d of the case", i+2)
		}
	}
}

func (c *Case) carry(t *testing.T, alone *tier.Tier) {
	if (c.Answer == nil) == (c.Forward == nil) {
		t.Fatal("a case wants either answer or forward")
	}
	x, walk := c.Exchange(t), new(tier.Walk)
	if f := alone.Enter(x); f != nil {
		t.Fatal(f)
	}
	defer alone.Leave(x)
	defer alone.Done(walk, x)
	answered, f := alone.Request(walk, x)
	switch {
	case f != nil:
		t.Fatal(f)
	case answered && c.Forward != nil:
		t.Fatalf("the policy answered %d %q", x.Response.Status, Body(t, x.Response.Body))
	case !answered && c.Answer != nil:
		t.Fatalf("the request went on to %s %s", x.Request.Method, x.Request.Target)
	case c.Forward != nil:
		c.Forward.check(t, x)
		x.Route.Sent = true
		c.Upstream.Answer(x)
	}
	alone.Response(walk, x)
	if x.Failure != nil {
		t.Fatal(x.Failure)
	}
	if c.Answer != nil {
		c.Answer.check(t, "answer", &x.Response)
	} else if c.Response != nil {
		c.Response.check(t, "response", &x.Response)
	}
}

// Exchange is the request of the case, as a listener hands it on.
func (c *Case) Exchange(t testing.TB) *exchange.Exchange {
	t.Helper()
	client, err := netip.ParseAddr(cmp.Or(c.Request.Client, "192.0.2.7"))
	if err != nil {
		t.Fatal(err)
	}
	x := &exchange.Exchange{
		ID:        "case",
		Began:     exchange.Clock(),
		Conn:      &exchange.Conn{Remote: netip.AddrPortFrom(client, 4711)},
		ClientIP:  client,
		Upstreams: Upstreams(c.Upstreams),
	}
	x.Request = exchange.Request{
		Method:    cmp.Or(c.Request.Method, "GET"),
		Scheme:    cmp.Or(c.Request.Scheme, "https"),
		Authority: cmp.Or(c.Request.Host, "example.com"),
		Target:    cmp.Or(c.Request.Target, "/"),
		Version:   exchange.HTTP11,
	}
	x.ClientScheme = x.Request.Scheme
	addAll(&x.Request.Header, c.Request.Header)
	c.Request.identify(t, x)
	if c.Request.Body != "" {
		x.Request.Body = io.NopCloser(strings.NewReader(c.Request.Body))
		x.Request.Length = int64(len(c.Request.Body))
	}
	return x
}

// identify makes the client who it is said to be.
func (r *Request) identify(t testing.TB, x *exchange.Exchange) {
	t.Helper()
	if r.Subject == "" {
		return
	}
	if err := x.Identify(r.Subject, "case"); err != nil {
		t.Fatal(err)
	}
	for name, value := range r.Attribute {
		if err := x.AddAttribute(name, value); err != nil {
			t.Fatal(err)
		}
	}
}

// Answer makes the upstream's response; a nil one is an empty 200.
func (r *Response) Answer(x *exchange.Exchange) {
	x.Response.Status = 200
	if r == nil {
		return
	}
	if r.Fails {
		x.Fail(&exchange.Failure{Cause: exchange.CauseRefused, Status: 502, Err: errors.New("unreachable")})
		return
	}
	x.Response.Status = cmp.Or(r.Status, 200)
	addAll(&x.Response.Header, r.Header)
	x.Response.Body = io.NopCloser(strings.NewReader(r.Body))
	x.Response.Length = int64(len(r.Body))
}

func addAll(header *exchange.Header, fields map[string]Values) {
	for name, list := range fields {
		for _, value := range list {
			header.Add(name, value)
		}
	}
}

func (w *ResponseWanted) check(t *testing.T, where string, r *exchange.Response) {
	t.Helper()
	if w.Status != 0 && r.Status != w.Status {
		t.Errorf("%s: got status %d, want %d", where, r.Status, w.Status)
	}
	for name, want := range w.Header {
		want.check(t, where, name, &r.Header)
	}
	checkBody(t, where, r.Body, w.Body)
}

func checkBody(t *testing.T, where string, body io.Reader, want *string) {
	t.Helper()
	if got := Body(t, body); want != nil && !strings.Contains(got, *want) {
		t.Errorf("%s: got body %q, want it to contain %q", where, got, *want)
	}
}

// Body reads what is sent, as streaming policies do their work meanwhile.
func Body(t *testing.T, body io.Reader) string {
	t.Helper()
	if body == nil {
		return ""
	}
	read, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return string(read)
}

func (w *RequestWanted) check(t *testing.T, x *exchange.Exchange) {
	t.Helper()
	same(t, "method", x.Request.Method, w.Method)
	same(t, "target", x.Request.Target, w.Target)
	same(t, "host", x.Request.Authority, w.Host)
	same(t, "hash key", x.Route.HashKey, w.HashKey)
	same(t, "timeout", x.Route.Timeout.String(), w.Timeout)
	if w.Upstream != nil && !slices.Contains(strings.Split(*w.Upstream, "|"), x.Route.Upstream) {
		t.Errorf("upstream: got %q, want %q", x.Route.Upstream, *w.Upstream)
	}
	if w.Retries != nil && (x.Route.Retries != *w.Retries || !x.Route.RetriesSet) {
		t.Errorf("retries: got %d (set %v), want %d", x.Route.Retries, x.Route.RetriesSet, *w.Retries)
	}
	if got := slices.DeleteFunc(x.Route.Fallbacks[:], func(name string) bool { return name == "" }); w.Fallback != nil && !slices.Equal(got, w.Fallback) {
		t.Errorf("fallback: got %q, want %q", got, w.Fallback)
	}
	for name, want := range w.Header {
		want.check(t, "forward", name, &x.Request.Header)
	}
	checkBody(t, "forward", x.Request.Body, w.Body)
}

func same(t *testing.T, what, got string, want *string) {
	t.Helper()
	if want != nil && got != *want {
		t.Errorf("%s: got %q, want %q", what, got, *want)
	}
}
