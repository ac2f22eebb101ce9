package exchange

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

func prefixes(list ...string) []netip.Prefix {
	var ps []netip.Prefix
	for _, s := range list {
		ps = append(ps, netip.MustParsePrefix(s))
	}
	return ps
}

// from makes an exchange that came from an address.
func from(remote string, h *Header) *Exchange {
	x := &Exchange{Conn: &Conn{Remote: netip.AddrPortFrom(netip.MustParseAddr(remote), 1234)}}
	x.Request.Scheme, x.Request.Authority, x.Request.Version = "http", "site.test:80", HTTP11
	x.Request.Header.CopyFrom(h)
	return x
}

func TestClientIP(t *testing.T) {
	ours := prefixes("10.0.0.0/8", "2001:db8::/32")
	for _, test := range []struct {
		name, mode, remote string
		header             *Header
		want               string
	}{
		{"no field", "x-forwarded", "10.0.0.1", header(), "10.0.0.1"},
		{"a stranger says", "x-forwarded", "192.0.2.1", header("X-Forwarded-For", "198.51.100.1"), "192.0.2.1"},
		{"a proxy of ours says", "x-forwarded", "10.0.0.1", header("X-Forwarded-For", "198.51.100.1"), "198.51.100.1"},
		{"over two of ours", "x-forwarded", "10.0.0.1", header("X-Forwarded-For", "198.51.100.1, 10.0.0.2"), "198.51.100.1"},
		{"the client's own claim", "x-forwarded", "10.0.0.1", header("X-Forwarded-For", "1.2.3.4, 198.51.100.1, 10.0.0.2"), "198.51.100.1"},
		{"two fields", "x-forwarded", "10.0.0.1", header("X-Forwarded-For", "1.2.3.4", "x-forwarded-for", "198.51.100.1"), "198.51.100.1"},
		{"all are ours", "x-forwarded", "10.0.0.1", header("X-Forwarded-For", "10.0.0.3, 10.0.0.2"), "10.0.0.3"},
		{"garbage", "x-forwarded", "10.0.0.1", header("X-Forwarded-For", "198.51.100.1, what, 10.0.0.2"), "10.0.0.2"},
		{"with port", "x-forwarded", "10.0.0.1", header("X-Forwarded-For", "198.51.100.1:99"), "198.51.100.1"},
		{"IPv6", "x-forwarded", "2001:db8::1", header("X-Forwarded-For", "2001:dead::1"), "2001:dead::1"},
		{"IPv6 with port", "x-forwarded", "10.0.0.1", header("X-Forwarded-For", "[2001:dead::1]:99"), "2001:dead::1"},
		{"mapped addresses", "x-forwarded", "::ffff:10.0.0.1", header("X-Forwarded-For", "::ffff:198.51.100.1"), "198.51.100.1"},
		{"the other field", "x-forwarded", "10.0.0.1", header("Forwarded", "for=198.51.100.1"), "10.0.0.1"},
		{"Forwarded", "forwarded", "10.0.0.1", header("Forwarded", `for=1.2.3.4, for=198.51.100.1;proto=https, For="10.0.0.2:80"`), "198.51.100.1"},
		{"Forwarded IPv6", "forwarded", "10.0.0.1", header("Forwarded", `proto=http;for="[2001:dead::1]:99"`), "2001:dead::1"},
		{"Forwarded, quoted comma", "forwarded", "10.0.0.1", header("Forwarded", `for=198.51.100.1;host="a, for=1.2.3.4"`), "198.51.100.1"},
		{"Forwarded, unknown", "forwarded", "10.0.0.1", header("Forwarded", "for=198.51.100.1, for=unknown"), "10.0.0.1"},
		{"Forwarded, obfuscated", "forwarded", "10.0.0.1", header("Forwarded", "for=198.51.100.1, for=_x, for=10.0.0.2"), "10.0.0.2"},
		{"Forwarded, unclosed quote", "forwarded", "10.0.0.1", header("Forwarded", `for=198.51.100.1;host="a`), "10.0.0.1"},
		{"Forwarded, named twice", "forwarded", "10.0.0.1", header("Forwarded", "for=198.51.100.1;for=1.2.3.4"), "10.0.0.1"},
		{"both agree", "both", "10.0.0.1", header("Forwarded", "for=198.51.100.1", "X-Forwarded-For", "198.51.100.1"), "198.51.100.1"},
		{"both differ", "both", "10.0.0.1", header("Forwarded", "for=1.2.3.4", "X-Forwarded-For", "198.51.100.1"), "10.0.0.1"},
		{"both, one there", "both", "10.0.0.1", header("Forwarded", "for=198.51.100.1"), "198.51.100.1"},
		{"none", "none", "10.0.0.1", header("X-Forwarded-For", "198.51.100.1"), "198.51.100.1"},
	} {
		x := from(test.remote, test.header)
		f := Forwarding{Trusted: ours, Mode: test.mode}
		f.Inbound(x)
		if got := x.ClientIP.String(); got != test.want {
			t.Errorf("%s: got %s, want %s", test.name, got, test.want)
		}
	}
}

func TestForwardingFields(t *testing.T) {
	claims := header("X-Forwarded-For", "198.51.100.1", "x-forwarded-proto", "https", "X-Forwarded-Host", "claimed",
		"X-Forwarded-Port", "1", "Forwarded", "for=198.51.100.1", "X-Real-IP", "198.51.100.1", "A", "1")
	for _, test := range []struct {
		name, mode, remote string
		want               string
	}{
		{"stranger", "x-forwarded", "192.0.2.1",
			"[{A 1} {X-Forwarded-For 192.0.2.1} {X-Forwarded-Proto http} {X-Forwarded-Host site.test:80}]"},
		{"ours", "x-forwarded", "10.0.0.1",
			"[{X-Forwarded-For 198.51.100.1, 10.0.0.1} {x-forwarded-proto https} {X-Forwarded-Host claimed} {X-Forwarded-Port 1} {A 1}]"},
		{"stranger, Forwarded", "forwarded", "2001:db8::1",
			`[{A 1} {Forwarded for="[2001:db8::1]";host="site.test:80";proto=http}]`},
		{"ours, Forwarded", "forwarded", "10.0.0.1",
			`[{Forwarded for=198.51.100.1, for=10.0.0.1;host="site.test:80";proto=http} {A 1}]`},
		{"stranger, none", "none", "192.0.2.1", "[{A 1}]"},
		{"ours, none", "none", "10.0.0.1", "[{A 1}]"},
		{"stranger, both", "both", "192.0.2.1",
			`[{A 1} {X-Forwarded-For 192.0.2.1} {X-Forwarded-Proto http} {X-Forwarded-Host site.test:80} {Forwarded for=192.0.2.1;host="site.test:80";proto=http}]`},
	} {
		x := from(test.remote, claims)
		f := Forwarding{Trusted: prefixes("10.0.0.0/8"), Mode: test.mode}
		f.Inbound(x)
		x.Request.Authority = "rewritten" // by a policy; upstreams are told the client's
		f.Outbound(x)
		if got := fmt.Sprint(x.Request.Header.Fields()); got != test.want {
			t.Errorf("%s:\n got %s\nwant %s", test.name, got, test.want)
		}
	}
}

func TestVia(t *testing.T) {
	f := Forwarding{Mode: "none", Via: "ergo"}
	x := from("192.0.2.1", header("via", "1.0 fred"))
	x.Request.Version = HTTP2
	f.Outbound(x)
	if got, want := x.Request.Header.Value("Via"), "1.0 fred, 2.0 ergo"; got != want {
		t.Errorf("request: got %q, want %q", got, want)
	}
	x.Response.Version = HTTP10
	x.Response.Header.Add("alt-svc", `h3=":8443"`)
	f.Returned(x)
	if got, want := x.Response.Header.Value("Via"), "1.0 ergo"; got != want {
		t.Errorf("response: got %q, want %q", got, want)
	}
	if x.Response.Header.Has("Alt-Svc") {
		t.Error("response: the upstream's Alt-Svc goes on")
	}
}

func TestRequestID(t *testing.T) {
	f := Forwarding{Trusted: prefixes("10.0.0.0/8"), Mode: "none", RequestID: "X-Request-Id"}
	for _, test := range []struct {
		name, remote, sent string
		kept               bool
	}{
		{"sound and trusted", "10.0.0.1", "3f2a-77:x/y+z==", true},
		{"stranger", "192.0.2.1", "3f2a", false},
		{"empty", "10.0.0.1", "", false},
		{"unsafe", "10.0.0.1", "a b", false},
		{"line break", "10.0.0.1", "a\nb", false},
		{"too long", "10.0.0.1", strings.Repeat("a", 129), false},
		{"as long as may be", "10.0.0.1", strings.Repeat("a", 128), true},
	} {
		x := from(test.remote, header("x-request-id", test.sent, "X-REQUEST-ID", "second"))
		f.Inbound(x)
		if kept := x.ID == test.sent; kept != test.kept {
			t.Errorf("%s: got id %q", test.name, x.ID)
		}
		if !test.kept && len(x.ID) != 32 {
			t.Errorf("%s: got id %q, want 32 hex digits", test.name, x.ID)
		}
		if got := x.Request.Header.AppendValues(nil, "x-request-id"); len(got) != 1 || got[0] != x.ID {
			t.Errorf("%s: header has %q, want %q alone", test.name, got, x.ID)
		}
	}
}

// Servers that hand fields on as variables (RFC 3875, 4.1.18) take "_" for "-":
// no proxy writes these, and nobody may claim by them.
func TestClaimsWithUnderscores(t *testing.T) {
	for _, remote := range []string{"10.0.0.1", "192.0.2.1"} {
		x := from(remote, header("X_Forwarded_For", "1", "x-forwarded_proto", "2", "X_Real_Ip", "3", "X_request-Id", "4", "X_Own", "5"))
		f := Forwarding{Trusted: prefixes("10.0.0.0/8"), Mode: "x-forwarded", RequestID: "x-request-id"}
		f.Inbound(x)
		x.Request.Header.Del("x-request-id")
		if got, want := fmt.Sprint(x.Request.Header.Fields()), "[{X_Own 5}]"; got != want {
			t.Errorf("from %s: got %s, want %s", remote, got, want)
		}
	}
}

func TestRequestIDsDiffer(t *testing.T) {
	var a Arena
	seen := map[string]bool{}
	for range 10000 {
		id := newID(&a)
		if seen[id] || !validID(id) {
			t.Fatalf("id %q: repeated %v", id, seen[id])
		}
		seen[id] = true
	}
}

func TestForwardingAllocatesNothing(t *testing.T) {
	f := Forwarding{Trusted: prefixes("10.0.0.0/8"), Mode: "x-forwarded", Via: "ergo", RequestID: "x-request-id"}
	x := from("192.0.2.1", header())
	if n := testing.AllocsPerRun(100, func() {
		x.Reset()
		x.Request.Scheme, x.Request.Authority = "http", "example.com"
		for _, name := range [...]string{"Accept", "User-Agent", "Connection", "X-Forwarded-For", "Via", "TE"} {
			x.Request.Header.Add(name, "keep-alive")
		}
		RemoveHopByHop(&x.Request.Header)
		f.Inbound(x)
		f.Outbound(x)
		x.Response.Header.Add("via", "1.1 a")
		f.Returned(x)
	}); n != 0 {
		t.Errorf("got %v allocations", n)
	}
}

func FuzzInbound(f *testing.F) {
	for _, seed := range []string{
		"198.51.100.1", "a, 10.0.0.1", "[::1]:80", "[::1", "::1%eth0", `for="[2001:db8::1]:80";proto=http`,
		`for=_x;host="a\"b,c", for=unknown`, `for="`, `"\`, ";;;", "for=1.2.3.4;for=1.2.3.4", ",,", `for="\`, "=,=",
	} {
		f.Add(seed, seed)
	}
	f.Fuzz(func(t *testing.T, xff, forwarded string) {
		for _, mode := range []string{"x-forwarded", "forwarded", "both", "none"} {
			h := header("X-Forwarded-For", xff, "Forwarded", forwarded, "X-Request-Id", xff)
			rules := Forwarding{Trusted: prefixes("10.0.0.0/8"), Mode: mode, Via: "ergo", RequestID: "x-request-id"}
			x := from("10.0.0.1", h)
			rules.Inbound(x)
			rules.Outbound(x)
			if !x.ClientIP.IsValid() || x.ClientIP.Zone() != "" || x.ClientIP.Is4In6() {
				t.Errorf("client: got %v", x.ClientIP)
			}
			if !validID(x.ID) {
				t.Errorf("id: got %q", x.ID)
			}
			// What a stranger says must have no effect at all.
			stranger, silent := from("192.0.2.1", h), from("192.0.2.1", header())
			for _, x := range []*Exchange{stranger, silent} {
				rules.Inbound(x)
				rules.Outbound(x)
				x.Request.Header.Del("x-request-id")
			}
			if got, want := fmt.Sprint(stranger.Request.Header.Fields()), fmt.Sprint(silent.Request.Header.Fields()); got != want {
				t.Errorf("a stranger's claim came through: got %s, want %s", got, want)
			}
		}
	})
}
