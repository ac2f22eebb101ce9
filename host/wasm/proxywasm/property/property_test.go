package property

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
)

// issue makes a certificate with all that attributes tell of one.
func issue(t testing.TB, name string) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	uri, err := url.Parse("spiffe://example.com/" + name)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name, Organization: []string{"Example"}},
		DNSNames: []string{name + ".example.com", "other.example.com"}, URIs: []*url.URL{uri},
		NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<32, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// whole returns a source in which everything is known that can be.
func whole(t testing.TB) *Source {
	t.Helper()
	began := exchange.Clock() - time.Hour
	x := &exchange.Exchange{
		ID: "id-1", ClientIP: netip.MustParseAddr("192.0.2.1"), Began: began, Now: began + 2*time.Second,
		Conn: &exchange.Conn{
			ID: 7, Listener: "public", Remote: netip.MustParseAddrPort("192.0.2.1:4000"), Local: netip.MustParseAddrPort("[2001:db8::1]:443"),
			TLS: &exchange.TLS{Version: tls.VersionTLS13, ServerName: "site.example.com", PeerCertificates: []*x509.Certificate{issue(t, "client")}},
		},
		Route: exchange.Route{Upstream: "origin", Sent: true},
		Endpoint: exchange.Endpoint{Tries: 2, Conn: &exchange.Conn{
			Remote: netip.MustParseAddrPort("198.51.100.1:8443"), Local: netip.MustParseAddrPort("198.51.100.2:5000"),
			TLS: &exchange.TLS{Version: tls.VersionTLS12, PeerCertificates: []*x509.Certificate{issue(t, "origin")}},
		}},
		RequestBytes: 10, ResponseBytes: 20,
	}
	r := &x.Request
	r.Method, r.Scheme, r.Authority, r.Target, r.Version = "POST", "https", "site.example.com", "/a/b?c=d&e", exchange.HTTP2
	for _, f := range []exchange.Field{
		{Name: "User-Agent", Value: "test/1"}, {Name: "Referer", Value: "/from"}, {Name: "X-Many", Value: "one"},
		{Name: "x-request-id", Value: "id-of-field"}, {Name: "x-many", Value: "two"}, {Name: "Content-Length", Value: "12"},
	} {
		r.Header.Add(f.Name, f.Value)
	}
	x.Response.Status, x.Response.Version = 207, exchange.HTTP11
	x.Response.Header.Add("Content-Type", "text/plain")
	x.Response.Trailer.Add("Grpc-Status", "5")
	return &Source{
		Plugin:   &Plugin{Name: "policy", RootID: "root", VMID: "vm"},
		Exchange: x, Over: true, Memory: 3 << 16,
	}
}

func path(dotted string) string { return strings.ReplaceAll(dotted, ".", "\x00") }

func number(n uint64) string { return string(binary.LittleEndian.AppendUint64(nil, n)) }

func TestGet(t *testing.T) {
	s := whole(t)
	digest := func(c *exchange.Conn) string {
		sum := sha256.Sum256(c.TLS.PeerCertificates[0].Raw)
		return hex.EncodeToString(sum[:])
	}
	requestSize := len(":authority:path:method:schemesite.example.com/a/b?c=d&ePOSThttps" +
		"User-Agenttest/1Referer/fromX-Manyonex-request-idid-of-fieldx-manytwoContent-Length12")
	responseSize := len(":status207Content-Typetext/plain")
	for at, want := range map[string]string{
		"plugin_name": "policy", "plugin_root_id": "root", "plugin_vm_id": "vm", "plugin_vm_memory": number(3 << 16),
		"connection_id": number(7), "cluster_name": "origin", "listener_direction": number(0),
		"xds.cluster_name": "origin", "xds.listener_direction": number(0),

		"source.address": "192.0.2.1:4000", "source.port": number(4000),
		"destination.address": "[2001:db8::1]:443", "destination.port": number(443),

		"request.path": "/a/b?c=d&e", "request.url_path": "/a/b", "request.query": "c=d&e", "request.host": "site.example.com",
		"request.scheme": "https", "request.method": "POST", "request.referer": "/from", "request.useragent": "test/1",
		"request.protocol": "HTTP/2", "request.id": "id-of-field", "request.duration": number(2e9),
		"request.size": number(12), "request.headers_bytes": number(uint64(requestSize)), "request.total_size": number(uint64(10 + requestSize)),
		"request.headers.user-agent": "test/1", "request.headers.X-MANY": "one,two", "request.headers.:path": "/a/b?c=d&e",
		"request.headers.:authority": "site.example.com", "request.headers.host": "site.example.com",

		"response.code": number(207), "response.code_details": "via_upstream", "response.flags": number(0), "response.grpc_status": number(5),
		"response.headers.content-type": "text/plain", "response.headers.:status": "207", "response.trailers.grpc-status": "5",
		"response.headers_bytes": number(uint64(responseSize)), "response.size": number(20),
		"response.total_size": number(uint64(20 + responseSize + len("Grpc-Status5"))),

		"connection.id": number(7), "connection.mtls": "\x01", "connection.requested_server_name": "site.example.com",
		"connection.tls_version":                    "TLSv1.3",
		"connection.subject_peer_certificate":       "CN=client,O=Example",
		"connection.dns_san_peer_certificate":       "client.example.com",
		"connection.uri_san_peer_certificate":       "spiffe://example.com/client",
		"connection.sha256_peer_certificate_digest": digest(s.Exchange.Conn),

		"upstream.address": "198.51.100.1:8443", "upstream.port": number(8443), "upstream.local_address": "198.51.100.2:5000",
		"upstream.request_attempt_count":          number(2),
		"upstream.tls_version":                    "TLSv1.2",
		"upstream.subject_peer_certificate":       "CN=origin,O=Example",
		"upstream.dns_san_peer_certificate":       "origin.example.com",
		"upstream.uri_san_peer_certificate":       "spiffe://example.com/origin",
		"upstream.sha256_peer_certificate_digest": digest(s.Exchange.Endpoint.Conn),
	} {
		for _, end := range []string{"", "\x00"} {
			if got, ok := Get([]byte("before "), path(at)+end, s); !ok || string(got) != "before "+want {
				t.Errorf("%s%q: got %q, %v, want %q", at, end, got, ok, want)
			}
		}
	}
	got, _ := Get(nil, path("request.time"), s)
	if ago := time.Since(time.Unix(0, int64(binary.LittleEndian.Uint64(got)))); ago < time.Hour || ago > 61*time.Minute {
		t.Errorf("request.time is %v ago, want an hour", ago)
	}
	for _, group := range []string{"connection", "upstream"} {
		got, _ := Get(nil, path(group+".peer_certificate"), s)
		text, err := url.PathUnescape(string(got))
		if err != nil || !strings.HasPrefix(text, "-----BEGIN CERTIFICATE-----\n") || strings.ContainsAny(string(got), "+/= \n") {
			t.Errorf("%s.peer_certificate is %q", group, got)
		}
	}
}

func TestGetWholeMaps(t *testing.T) {
	s := whole(t)
	le := func(numbers ...uint32) (b []byte) {
		for _, n := range numbers {
			b = binary.LittleEndian.AppendUint32(b, n)
		}
		return b
	}
	want := string(le(2, 7, 3, 12, 10)) + ":status\x00207\x00content-type\x00text/plain\x00"
	if got, ok := Get(nil, path("response.headers"), s); !ok || string(got) != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := requestFields(s).Pairs(); fmt.Sprint(got) != fmt.Sprint([]exchange.Field{
		{Name: ":authority", Value: "site.example.com"}, {Name: ":path", Value: "/a/b?c=d&e"}, {Name: ":method", Value: "POST"}, {Name: ":scheme", Value: "https"},
		{Name: "user-agent", Value: "test/1"}, {Name: "referer", Value: "/from"}, {Name: "x-many", Value: "one,two"}, {Name: "x-request-id", Value: "id-of-field"}, {Name: "content-length", Value: "12"},
	}) {
		t.Errorf("got %v", got)
	}
}

// What the host does not know is not found.
func TestNotFound(t *testing.T) {
	for _, at := range []string{
		"", ".", "request", "request.", "request.paths", "request.path.more", "request.headers.absent", "request..path", "plugin_name.more",
		"request.headers.user-agent.more", "response.trailers.absent", "nothing", "node", "node.id", "metadata.filter_metadata.x.y",
		"route_name", "route_metadata.x", "listener_metadata.x", "cluster_metadata.x", "xds.route_name", "xds.node.id", "filter_state", "filter_state.x",
		"connection.subject_local_certificate", "connection.termination_details", "connection.transport_failure_reason",
		"upstream.transport_failure_reason", "upstream.subject_local_certificate", "response.backend_latency", "wasm.x",
	} {
		if got, ok := Get(nil, path(at), whole(t)); ok {
			t.Errorf("%q: got %q", at, got)
		}
	}
}

func TestNotFoundYet(t *testing.T) {
	all := []string{}
	for group, attributes := range grouped {
		for name := range attributes {
			all = append(all, group+"."+name)
		}
	}
	for _, at := range append(all, "connection_id", "cluster_name", "listener_direction", "set.by.nobody") {
		s := &Source{Plugin: new(Plugin)}
		if got, ok := Get(nil, path(at), s); ok {
			t.Errorf("%s without an exchange: got %q", at, got)
		}
	}
	known := map[string]bool{ // of a request over a plain connection that has just come
		"request.path": true, "request.url_path": true, "request.query": true, "request.host": true, "request.scheme": true,
		"request.method": true, "request.headers": true, "request.headers_bytes": true, "request.protocol": true, "request.size": true,
		"connection.id": true, "connection.mtls": true, "upstream.request_attempt_count": true, "xds.listener_direction": true,
	}
	for _, at := range all {
		s := &Source{Plugin: new(Plugin), Exchange: &exchange.Exchange{Conn: new(exchange.Conn), Request: exchange.Request{Version: exchange.HTTP10}}}
		if got, ok := Get(nil, path(at), s); ok != known[at] {
			t.Errorf("%s: got %q, %v, want %v", at, got, ok, known[at])
		}
	}
	bare := &Source{Plugin: new(Plugin), Exchange: new(exchange.Exchange)} // no connection at all
	for _, at := range all {
		Get(nil, path(at), bare)
	}
}

func TestClientBehindProxies(t *testing.T) {
	s := whole(t)
	s.Exchange.ClientIP = netip.MustParseAddr("203.0.113.9")
	if got, _ := Get(nil, path("source.address"), s); string(got) != "203.0.113.9:0" {
		t.Errorf("got %q", got)
	}
	if got, ok := Get(nil, path("source.port"), s); ok {
		t.Errorf("it has port %v", got)
	}
}

func TestSizesOfBodies(t *testing.T) {
	s := whole(t)
	s.Over = false
	h := &s.Exchange.Request.Header
	for _, tc := range []struct {
		said   string
		length int64
		over   bool
		want   string
	}{
		{"12", exchange.UnknownLength, false, number(12)},
		{"-1", 5, false, ""},
		{"", 5, false, number(5)},
		{"", exchange.UnknownLength, false, ""},
		{"", exchange.UnknownLength, true, number(10)},
	} {
		h.Del("content-length")
		if tc.said != "" {
			h.Add("content-length", tc.said)
		}
		s.Exchange.Request.Length, s.Over = tc.length, tc.over
		if got, ok := Get(nil, path("request.size"), s); string(got) != tc.want || ok != (tc.want != "") {
			t.Errorf("%+v: got %v, %v", tc, got, ok)
		}
	}
}

func TestWhatFailed(t *testing.T) {
	s := whole(t)
	for cause, want := range map[exchange.Cause]uint64{
		exchange.CauseRefused: 0x20, exchange.CauseTimeout: 4, exchange.CauseNoEndpoint: 2, exchange.CauseOverload: 0x80,
		exchange.CauseNoRoute: 0x100, exchange.CausePolicy: 0, exchange.CauseProtocol: 0x800000,
	} {
		s.Exchange.Failure = &exchange.Failure{Cause: cause, Err: fmt.Errorf("upstream a: b: %w", errors.New("connection refused"))}
		if got, _ := Get(nil, path("response.flags"), s); string(got) != number(want) {
			t.Errorf("%s: flags are %v, want %#x", cause, got, want)
		}
		if got, _ := Get(nil, path("response.code_details"), s); string(got) != string(cause) {
			t.Errorf("%s: details are %q", cause, got)
		}
		got, ok := Get(nil, path("upstream.transport_failure_reason"), s)
		if refused := cause == exchange.CauseRefused; ok != refused || refused && string(got) != "connection refused" {
			t.Errorf("%s: the transport's reason is %q", cause, got)
		}
	}
	s.Exchange.Failure, s.Exchange.AnsweredBy = nil, "policy"
	if got, ok := Get(nil, path("response.code_details"), s); ok {
		t.Errorf("of a policy's answer the details are %q", got)
	}
}

// What is looked up for nearly every request costs no memory but that of the
// caller.
func TestGetAllocatesNothing(t *testing.T) {
	s, dst := whole(t), make([]byte, 0, 256)
	paths := []string{path("request.path"), path("source.address") + "\x00", path("request.headers.user-agent"), "plugin_root_id", path("connection.id")}
	if n := testing.AllocsPerRun(100, func() {
		for _, p := range paths {
			dst, _ = Get(dst[:0], p, s)
		}
	}); n > 1 { // the text of an address
		t.Errorf("%v allocations, want one", n)
	}
}

func BenchmarkGet(b *testing.B) {
	s, dst := whole(b), make([]byte, 0, 256)
	for _, at := range []string{"request.path", "request.headers.user-agent", "source.address", "request.headers"} {
		b.Run(at, func(b *testing.B) {
			p := path(at)
			b.ReportAllocs()
			for b.Loop() {
				dst, _ = Get(dst[:0], p, s)
			}
		})
	}
}

// FuzzGet asks for any path, and for what any path was set to.
func FuzzGet(f *testing.F) {
	for group, attributes := range grouped {
		for name := range attributes {
			f.Add(group+"\x00"+name, "value")
		}
	}
	for name := range asked {
		f.Add(name, "1")
	}
	for _, seed := range []string{"", "\x00", "\x00\x00", "request", "request\x00headers\x00\x00", "filter_state\x00wasm.a", "a\x00b", "plugin_name"} {
		f.Add(seed, "")
	}
	s := whole(f)
	f.Fuzz(func(t *testing.T, path, value string) {
		Get(nil, path, s)
		clear(s.Exchange.Properties)
		s.Exchange.Properties = s.Exchange.Properties[:0]
		if Set(path, value, s) != nil || len(s.Exchange.Properties) == 0 {
			return
		}
		root, _, _ := strings.Cut(strings.TrimSuffix(path, "\x00"), "\x00")
		if got, ok := Get(nil, path, s); single[root] == nil && grouped[root] == nil && root != "filter_state" && (!ok || string(got) != value) {
			t.Errorf("%q was set to %q and is %q", path, value, got)
		}
	})
}
