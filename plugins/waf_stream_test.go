package plugins

import (
	"io"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/tier"
)

// counted is a body that counts what is read of it. It goes on for as long as it is read.
type counted struct{ read int }

func (c *counted) Read(p []byte) (int, error) {
	for n := range p {
		p[n] = 'a'
	}
	c.read += len(p)
	return len(p), nil
}

func (c *counted) Close() error { return nil }

func ordinary(method string, version exchange.Version, fields ...string) *exchange.Exchange {
	x := &exchange.Exchange{
		ID: "stream", Began: exchange.Clock(), ClientIP: netip.MustParseAddr("192.0.2.7"),
		Conn: &exchange.Conn{Remote: netip.MustParseAddrPort("192.0.2.7:4711")},
	}
	x.Request = exchange.Request{Method: method, Scheme: "https", Authority: "example.com", Target: "/a", Version: version}
	x.Request.Header.Add("User-Agent", "client/1.0")
	x.Request.Header.Add("Accept", "*/*")
	for n := 0; n < len(fields); n += 2 {
		x.Request.Header.Add(fields[n], fields[n+1])
	}
	return x
}

// through takes an exchange through the tier; answer makes the upstream's response.
func through(t *testing.T, alone *tier.Tier, x *exchange.Exchange, answer func(*exchange.Response)) (answered bool) {
	t.Helper()
	walk := new(tier.Walk)
	if f := alone.Enter(x); f != nil {
		t.Fatal(f)
	}
	defer alone.Leave(x)
	defer alone.Done(walk, x)
	answered, f := alone.Request(walk, x)
	if f != nil {
		t.Fatal(f)
	}
	if !answered {
		x.Route.Sent = true
		answer(&x.Response)
	}
	alone.Response(walk, x)
	if x.Failure != nil {
		t.Fatal(x.Failure)
	}
	return answered
}

// Of what has no end nothing is held, and of what has one no more than is inspected.
func TestFirewallHoldsWhatItInspects(t *testing.T) {
	s := open(t, "waf")
	alone := s.Alone(t, s.Load(t, "pages", map[string]any{
		"request_body": map[string]any{"limit": 1000}, "response_body": map[string]any{"limit": 2000, "types": []any{"text/html", "text/event-stream"}},
	}))
	for _, c := range []struct {
		name              string
		version           exchange.Version
		kind              string // of the request; "" has no body
		upgrade           string
		status            int
		response          string
		coding            string
		mayRead, mayReply int // bytes, in all
		refused           bool
	}{
		{name: "gRPC", version: exchange.HTTP2, kind: "application/grpc", status: 200, response: "application/grpc"},
		{name: "event stream", version: exchange.HTTP11, status: 200, response: "text/event-stream"},
		{name: "upgrade", version: exchange.HTTP11, upgrade: "websocket", status: 101},
		{name: "film", version: exchange.HTTP11, status: 200, response: "video/mp4"},
		{name: "page with a coding", version: exchange.HTTP11, status: 200, response: "text/html", coding: "gzip"},
		{name: "page", version: exchange.HTTP11, status: 200, response: "Text/HTML; charset=utf-8", mayReply: 2000},
		{name: "form that does not end", version: exchange.HTTP11, kind: "application/x-www-form-urlencoded", mayRead: 1001, refused: true},
		{name: "gRPC over HTTP/1.1", version: exchange.HTTP11, kind: "application/grpc", mayRead: 1001, refused: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := ordinary("GET", c.version)
			body, reply := new(counted), new(counted)
			if c.kind != "" {
				x = ordinary("POST", c.version, "Content-Type", c.kind)
				x.Request.Body, x.Request.Length = body, exchange.UnknownLength
			}
			x.Request.Upgrade = c.upgrade
			answered := through(t, alone, x, func(r *exchange.Response) {
				r.Status = c.status
				r.Header.Add("Content-Type", c.response)
				if c.coding != "" {
					r.Header.Add("Content-Encoding", c.coding)
				}
				if c.status != 101 {
					r.Body, r.Length = reply, exchange.UnknownLength
				}
			})
			if answered != c.refused || c.refused && x.Response.Status != 413 {
				t.Errorf("got answered %v, status %d", answered, x.Response.Status)
			}
			if body.read > c.mayRead || reply.read > c.mayReply {
				t.Errorf("%d bytes of the request and %d of the response were read, at most %d and %d may be", body.read, reply.read, c.mayRead, c.mayReply)
			}
		})
	}
}

// What large bodies take is given back: the process does not grow with their number.
func TestFirewallStaysSmall(t *testing.T) {
	s := open(t, "waf")
	s.Settings.Limits.Instances = 8
	p := s.Load(t, "uploads", map[string]any{"request_body": map[string]any{"limit": 1<<20 - 1}})
	alone := s.Alone(t, p)
	file := "--xyz\r\nContent-Disposition: form-data; name=\"f\"; filename=\"cat.png\"\r\nContent-Type: image/png\r\n\r\n" +
		strings.Repeat("\x01\x02\x03\x04", 255<<10) + "\r\n--xyz--\r\n"
	round := func() {
		var group sync.WaitGroup
		for range 8 {
			group.Go(func() {
				for range 8 {
					x := ordinary("POST", exchange.HTTP11, "Content-Type", "multipart/form-data; boundary=xyz")
					x.Request.Body, x.Request.Length = io.NopCloser(strings.NewReader(file)), int64(len(file))
					if through(t, alone, x, func(r *exchange.Response) { r.Status = 204 }) {
						t.Errorf("refused with %d, %v", x.Response.Status, x.Notes)
					}
				}
			})
		}
		group.Wait()
	}
	round()
	before := p.Stats().MemoryBytes
	for range 3 {
		round()
	}
	after := p.Stats().MemoryBytes
	t.Logf("%d MiB after 64 uploads of a mebibyte, %d MiB after 256", before>>20, after>>20)
	if after > before+128<<20 || after > 512<<20 {
		t.Errorf("it has grown from %d MiB to %d MiB", before>>20, after>>20)
	}
}
