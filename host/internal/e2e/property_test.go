package e2e

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/hosttest"
)

// asking is a host whose listener wants certificates, before an origin over TLS,
// with a guest between them that tells properties.
const asking = `
[[listener]]
name = "secure"
address = "127.0.0.1:0"
tls = { certificates = [{ cert = %q, key = %q }], client_auth = "required", client_ca = %q }
[upstream.origin]
endpoints = [%q]
protocol = %q
tls = { ca = %q, server_name = "origin.test" }
[policy.ask]
source = %q
proxy_wasm = { root_id = "the-root" }
[service]
upstream = "origin"
[[service.stage]]
name = "ask"
use = [{ policy = "ask" }]
`

// TestProperties compares what a guest is told with what both ends of real
// connections know, over HTTP/1.1 and HTTP/2 on either side.
func TestProperties(t *testing.T) {
	for _, tc := range []struct {
		wire                 wire
		upstream             string // its protocol
		protocol             string // as a guest is told
		originTLS, clientTLS uint16
	}{
		{h1Secure, "h1", "HTTP/1.1", tls.VersionTLS12, tls.VersionTLS13},
		{h2Secure, "h2", "HTTP/2", tls.VersionTLS13, tls.VersionTLS12},
	} {
		t.Run(tc.wire.name, func(t *testing.T) {
			a := newAsked(t, tc.upstream, tc.originTLS)
			transport := tc.wire.transport(t)
			transport.TLSClientConfig = &tls.Config{
				RootCAs: a.ca.Pool(), ServerName: "host.test", Certificates: []tls.Certificate{a.client}, MaxVersion: tc.clientTLS,
			}
			a.ask(t, transport, "/a/b?c=d")
			a.compare(t, tc.protocol, versionName[tc.clientTLS], versionName[tc.originTLS])
		})
	}
}

var versionName = map[uint16]string{tls.VersionTLS12: "TLSv1.2", tls.VersionTLS13: "TLSv1.3"}

// asked is a host, an origin and a client, and what the guest between them told.
type asked struct {
	*host
	ca             *hosttest.CA
	client, origin tls.Certificate
	originAddr     string
	hostAddr       string // of its connection to the origin, as the origin sees it
	clientAddr     string
	told           map[string]string // by phase and path
	sent           string            // the response's body
}

func newAsked(t *testing.T, protocol string, originTLS uint16) *asked {
	t.Helper()
	a := &asked{ca: hosttest.NewCA(t), told: map[string]string{}}
	a.client, a.origin = a.ca.KeyPair(t, "client.test"), a.ca.KeyPair(t, "origin.test")
	backend := hosttest.ServeTLS(t, &tls.Config{Certificates: []tls.Certificate{a.origin}, MaxVersion: originTLS},
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			a.hostAddr = r.RemoteAddr
			w.Header().Set("X-Origin", "here")
			hosttest.Echo(w, r)
		}))
	a.originAddr = strings.TrimPrefix(backend.URL, "https://")
	folder := t.TempDir()
	cert, key := a.ca.Write(t, folder, "host", "host.test")
	authority := a.ca.WriteCA(t, folder)
	a.host = start(t, fmt.Sprintf(asking, cert, key, authority, backend.URL, protocol, authority, sdkModule(t, "wat/ask")))
	return a
}

// Paths that the guest asks for at each phase.
var (
	always = []string{
		"plugin_name", "plugin_root_id", "plugin_vm_id", "source.address", "source.port", "destination.address", "destination.port",
		"request.protocol", "request.path", "request.url_path", "request.host", "request.scheme", "request.method", "request.query",
		"request.headers.x-many", "request.headers.:path", "request.referer", "request.useragent", "request.size", "request.id", "request.time",
		"connection.mtls", "connection.requested_server_name", "connection.tls_version", "connection.subject_peer_certificate",
		"connection.dns_san_peer_certificate", "connection.uri_san_peer_certificate", "connection.sha256_peer_certificate_digest",
		"connection.id", "listener_direction", "route_name", "node.id", "plugin_vm_memory",
	}
	behind = []string{
		"upstream.address", "upstream.port", "upstream.local_address", "upstream.tls_version", "upstream.subject_peer_certificate",
		"upstream.dns_san_peer_certificate", "upstream.sha256_peer_certificate_digest", "upstream.request_attempt_count",
		"cluster_name", "xds.cluster_name", "response.code", "response.code_details", "response.flags", "response.headers.x-origin",
	}
	ended = []string{"request.duration", "request.total_size", "response.size", "response.total_size"}
)

// ask sends a request and reads what the guest told.
func (a *asked) ask(t *testing.T, transport http.RoundTripper, target string) {
	t.Helper()
	c := &client{wire: h1Secure, addr: a.addrs["secure"], host: "site.test"}
	paths := slices.Concat(always, behind, ended)
	request := c.request(t, "POST", target, strings.NewReader("12345"))
	for _, phase := range phases {
		request.Header.Set("X-Ask-"+phase, strings.Join(paths, " "))
	}
	request.Header["X-Many"] = []string{"one", "two"}
	request.Header.Set("Referer", "/from")
	request.Header.Set("User-Agent", "test/1")
	request = request.WithContext(httptrace.WithClientTrace(request.Context(), &httptrace.ClientTrace{
		GotConn: func(i httptrace.GotConnInfo) { a.clientAddr = i.Conn.LocalAddr().String() },
	}))
	resp, err := transport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	a.sent = all(t, resp.Body)
	seen := hosttest.Decode(t, strings.NewReader(a.sent))
	a.keep(t, "request", paths, seen.Header.Get("X-Told"))
	a.keep(t, "response", paths, resp.Header.Get("X-Told"))
	var logged string
	hosttest.Eventually(t, func() bool {
		for _, line := range a.log.lines(t) {
			if line["policy"] == "ask" {
				logged, _ = line["msg"].(string)
			}
		}
		return logged != ""
	}, "the guest's last words")
	a.keep(t, "log", paths, logged)
}

var phases = []string{"request", "response", "log"}

func (a *asked) keep(t *testing.T, phase string, paths []string, told string) {
	t.Helper()
	values := strings.Split(told, ",")
	if len(values) != len(paths)+1 {
		t.Fatalf("%s: %d answers to %d questions: %q", phase, len(values)-1, len(paths), told)
	}
	for i, path := range paths {
		value, err := hex.DecodeString(values[i])
		if err != nil && values[i] != "?" {
			t.Fatalf("%s: %s is %q", phase, path, values[i])
		}
		a.told[phase+" "+path] = string(value)
		if values[i] == "?" {
			a.told[phase+" "+path] = absent
		}
	}
}

// absent stands for what the host does not know.
const absent = "(absent)"

func le64(n int) string { return string(binary.LittleEndian.AppendUint64(nil, uint64(n))) }

func portOf(t *testing.T, addr string) string {
	t.Helper()
	a, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return le64(a.Port)
}

func digestOf(pair tls.Certificate) string {
	sum := sha256.Sum256(pair.Certificate[0])
	return hex.EncodeToString(sum[:])
}

// compare holds what was told against what is known here.
func (a *asked) compare(t *testing.T, protocol, clientTLS, originTLS string) {
	hostAddr := a.addrs["secure"]
	want := map[string]string{
		"plugin_name": "ask", "plugin_root_id": "the-root", "plugin_vm_id": "ask", "plugin_vm_memory": le64(4 << 16),
		"source.address": a.clientAddr, "source.port": portOf(t, a.clientAddr),
		"destination.address": hostAddr, "destination.port": portOf(t, hostAddr),
		"request.protocol": protocol, "request.path": "/a/b?c=d", "request.url_path": "/a/b", "request.query": "c=d",
		"request.host": "site.test", "request.scheme": "https", "request.method": "POST", "request.size": le64(5),
		"request.headers.x-many": "one,two", "request.headers.:path": "/a/b?c=d", "request.referer": "/from", "request.useragent": "test/1",
		"connection.mtls": "\x01", "connection.requested_server_name": "host.test", "connection.tls_version": clientTLS,
		"connection.subject_peer_certificate": "CN=client.test", "connection.dns_san_peer_certificate": "client.test",
		"connection.uri_san_peer_certificate": absent, "connection.sha256_peer_certificate_digest": digestOf(a.client),
		"listener_direction": le64(0), "route_name": absent, "node.id": absent,
	}
	for _, phase := range phases {
		for path, value := range want {
			a.want(t, phase, path, value)
		}
		nanoseconds := binary.LittleEndian.Uint64([]byte(a.told[phase+" request.time"]))
		if ago := time.Since(time.Unix(0, int64(nanoseconds))); ago < 0 || ago > time.Minute {
			t.Errorf("%s: request.time is %v ago", phase, ago)
		}
	}
	for _, path := range slices.Concat(behind, ended) {
		if path != "upstream.request_attempt_count" {
			a.want(t, "request", path, absent)
		}
	}
	a.want(t, "request", "upstream.request_attempt_count", le64(0))
	for path, value := range map[string]string{
		"upstream.address": a.originAddr, "upstream.port": portOf(t, a.originAddr), "upstream.local_address": a.hostAddr,
		"upstream.tls_version": originTLS, "upstream.subject_peer_certificate": "CN=origin.test",
		"upstream.dns_san_peer_certificate": "origin.test", "upstream.sha256_peer_certificate_digest": digestOf(a.origin),
		"upstream.request_attempt_count": le64(1), "cluster_name": "origin", "xds.cluster_name": "origin",
		"response.code": le64(200), "response.code_details": "via_upstream", "response.flags": le64(0), "response.headers.x-origin": "here",
	} {
		a.want(t, "response", path, value)
		a.want(t, "log", path, value)
	}
	for _, path := range ended {
		a.want(t, "response", path, absent)
	}
	a.want(t, "log", "response.size", le64(len(a.sent)))
	for _, path := range ended {
		if n := binary.LittleEndian.Uint64([]byte(a.told["log "+path])); n == 0 || n > uint64(time.Minute) {
			t.Errorf("log: %s is %d", path, n)
		}
	}
}

func (a *asked) want(t *testing.T, phase, path, want string) {
	t.Helper()
	if got := a.told[phase+" "+path]; got != want {
		t.Errorf("%s: %s is %q, want %q", phase, path, got, want)
	}
}

// Why there is no response from an origin, a guest is told in Envoy's words where
// they are numbers, in the host's where they are text.
func TestPropertiesOfAFailure(t *testing.T) {
	o := startOrigin(t)
	h := start(t, guestManifest(t, o, []use{{name: "ask", module: "wat/ask"}}))
	o.Close()
	paths := []string{
		"response.code", "response.flags", "response.code_details", "upstream.address", "upstream.request_attempt_count", "upstream.transport_failure_reason",
	}
	resp, _ := h.askGuest(t, h1, "ask", guestRequest{header: http.Header{"X-Ask-Response": {strings.Join(paths, " ")}}})
	a := &asked{told: map[string]string{}}
	a.keep(t, "response", paths, resp.Header.Get("X-Told"))
	for path, value := range map[string]string{
		"response.code": le64(502), "response.flags": le64(0x20), "response.code_details": "refused", "upstream.address": absent,
	} {
		a.want(t, "response", path, value)
	}
	if reason := a.told["response upstream.transport_failure_reason"]; !strings.Contains(reason, "connection refused") {
		t.Errorf("the reason is %q", reason)
	}
	if tries := a.told["response upstream.request_attempt_count"]; tries == le64(0) || tries == absent {
		t.Errorf("%q tries", tries)
	}
}
