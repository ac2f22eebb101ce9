package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/ergoproxy/ergo/host/hosttest"
)

// TestForwarding has a client claim everything, and looks at what the origin is
// told, by how much of it is believed.
func TestForwarding(t *testing.T) {
	claims := http.Header{
		"Forwarded":         {`for=192.0.2.9;proto=https`},
		"X-Forwarded-For":   {"203.0.113.1", "192.0.2.9"},
		"X-Forwarded-Host":  {"claimed.test"},
		"X-Forwarded-Proto": {"https"},
		"X-Forwarded-Port":  {"443"},
		"X-Real-Ip":         {"192.0.2.9"},
		"X-Request-Id":      {"claimed-id"},
		"Via":               {"1.0 fred"},
	}
	const (
		trust = "host.trusted_proxies = [\"127.0.0.0/8\", \"::1/128\"]\n"
		here  = "for=127.0.0.1;host=site.test;proto=http"
	)
	for _, test := range []struct {
		name, settings string
		want           map[string]string // "made": by the host, whatever it is
	}{
		{"untrusted", "", map[string]string{
			"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Host": "site.test", "X-Forwarded-Proto": "http",
			"X-Request-Id": "made", "Via": "1.0 fred, 1.1 ergo",
		}},
		{"trusted", trust, map[string]string{
			"X-Forwarded-For": "203.0.113.1|192.0.2.9, 127.0.0.1", "X-Forwarded-Host": "claimed.test", "X-Forwarded-Proto": "https",
			"X-Forwarded-Port": "443", "X-Request-Id": "claimed-id", "Via": "1.0 fred, 1.1 ergo",
		}},
		{"trusted, forwarded", trust + `host.forwarded = "forwarded"`, map[string]string{
			"Forwarded":    "for=192.0.2.9;proto=https, " + here,
			"X-Request-Id": "claimed-id", "Via": "1.0 fred, 1.1 ergo",
		}},
		{"untrusted, both", `host.forwarded = "both"`, map[string]string{
			"Forwarded":       here,
			"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Host": "site.test", "X-Forwarded-Proto": "http",
			"X-Request-Id": "made", "Via": "1.0 fred, 1.1 ergo",
		}},
		{"none", "host.forwarded = \"none\"\nhost.via = \"\"\nhost.request_id = \"x-trace\"\n" + trust, map[string]string{
			"X-Request-Id": "claimed-id", "X-Trace": "made", "Via": "1.0 fred",
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := startOrigin(t)
			c := start(t, test.settings+fmt.Sprintf(bare, fmt.Sprintf("%q", o.URL), "")).client(t, h1)
			r := c.request(t, "GET", "/", nil)
			r.Header = claims.Clone()
			seen := hosttest.Decode(t, c.do(t, r).Body).Header
			for name := range claims {
				if _, wanted := test.want[name]; !wanted && seen.Get(name) != "" {
					t.Errorf("%s: got %q, want none", name, seen[name])
				}
			}
			for name, want := range test.want {
				got := strings.Join(seen[name], "|")
				if want == "made" && got != "" && got != claims.Get(name) {
					continue
				}
				if got != want {
					t.Errorf("%s: got %q, want %q", name, got, want)
				}
			}
		})
	}
}

// TestClientAddress is what policies and conditions take for the client.
func TestClientAddress(t *testing.T) {
	o := startOrigin(t)
	const manifest = `
[policy.headers]
source = %q
[[edge.stage]]
name = "all"
use = [{ policy = "headers", config.request.set = { x-client = "${client_ip}" } }]
[[edge.stage]]
name = "some"
when.client = "192.0.2.0/24"
use = [{ policy = "headers", config.request.set = { x-network = "known" } }]
`
	for _, test := range []struct{ trusted, for_, client, network string }{
		{"", "192.0.2.9", "127.0.0.1", ""},
		{"127.0.0.1/32", "192.0.2.9", "192.0.2.9", "known"},
		{"127.0.0.1/32", "192.0.2.8, 198.51.100.1", "198.51.100.1", ""}, // who comes before is only claimed
		{"127.0.0.1/32", "192.0.2.9, nonsense", "127.0.0.1", ""},
		{"127.0.0.1/32", "", "127.0.0.1", ""},
	} {
		trusted := ""
		if test.trusted != "" {
			trusted = fmt.Sprintf("host.trusted_proxies = [%q]\n", test.trusted)
		}
		h := start(t, trusted+fmt.Sprintf(bare, fmt.Sprintf("%q", o.URL), "")+fmt.Sprintf(manifest, shipped(t, "headers")))
		c := h.client(t, h1)
		r := c.request(t, "GET", "/", nil)
		if test.for_ != "" {
			r.Header.Set("X-Forwarded-For", test.for_)
		}
		seen := hosttest.Decode(t, c.do(t, r).Body).Header
		if seen.Get("X-Client") != test.client || seen.Get("X-Network") != test.network {
			t.Errorf("%+v: got client %q, network %q", test, seen.Get("X-Client"), seen.Get("X-Network"))
		}
	}
}

// TestRequestsThatNobodyIsAskedFor are answered by the host alone.
func TestRequestsThatNobodyIsAskedFor(t *testing.T) {
	asked := false
	o := &origin{handlers: map[string]http.Handler{}}
	o.Backend = hosttest.Serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	h := startBare(t, o, "")
	for _, test := range []struct {
		request string
		status  int
	}{
		{"CONNECT origin.test:443 HTTP/1.1\r\nHost: origin.test:443\r\n\r\n", 501},
		{"CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n", 501},
		{"GET / HTTP/1.1\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\nHost:\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\nHost: user@a\r\n\r\n", 400},
		{"GET http://user@a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400},
		{"GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400},
		{"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505},
		{"GET / HTTP/1.1\r\nHost: a\r\nExpect: more\r\n\r\n", 417},
	} {
		c := h.dial(t, h1)
		c.send(test.request)
		if status := c.status(); status != test.status {
			t.Errorf("%q: got status %d, want %d", test.request, status, test.status)
		}
		c.wantClosed()
	}
	c := h.client(t, h2c)
	r := c.request(t, "CONNECT", "", nil)
	if resp := c.do(t, r); resp.StatusCode != 501 {
		t.Errorf("CONNECT over HTTP/2: got status %d, want 501", resp.StatusCode)
	}
	if asked {
		t.Error("the origin was asked")
	}
}
