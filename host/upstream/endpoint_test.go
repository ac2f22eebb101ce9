package upstream

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/manifest"
)

// An exchange tells by which connection it went on, over every protocol.
func TestExchangeTellsItsEndpoint(t *testing.T) {
	pki := newPKI(t)
	for _, tc := range []struct {
		name, protocol, alpn string
		secure               bool
		version              uint16
	}{
		{"HTTP/1.1", "h1", "", false, 0},
		{"HTTP/2", "h2", "", false, 0},
		{"HTTP/1.1 over TLS 1.2", "auto", "http/1.1", true, tls.VersionTLS12},
		{"HTTP/2 over TLS 1.3", "auto", "h2", true, tls.VersionTLS13},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var client string
			s := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { client = r.RemoteAddr }))
			s.Config.Protocols = new(http.Protocols)
			s.Config.Protocols.SetHTTP1(true)
			s.Config.Protocols.SetUnencryptedHTTP2(true)
			s.EnableHTTP2 = tc.alpn == "h2"
			if tc.secure {
				s.TLS = &tls.Config{Certificates: []tls.Certificate{pki.issue("origin.example")}, MaxVersion: tc.version}
				s.StartTLS()
			} else {
				s.Start()
			}
			t.Cleanup(s.Close)
			up := settings(s.URL)
			up.Protocol = tc.protocol
			if tc.secure {
				up.TLS = &manifest.UpstreamTLS{CA: pki.caFile(), ServerName: "origin.example"}
			}
			x := ask("GET", "/", "")
			if f := build(t, registry(t), up).Forward(x, "up"); f != nil {
				t.Fatal(f)
			}
			read(t, x)
			conn := x.Endpoint.Conn
			if conn == nil || conn.Remote.String() != s.Listener.Addr().String() || conn.Local.String() != client || x.Endpoint.Tries != 1 {
				t.Fatalf("got %+v after %d tries, want %s from %s", conn, x.Endpoint.Tries, s.Listener.Addr(), client)
			}
			if !tc.secure {
				if conn.TLS != nil {
					t.Errorf("a plain connection has %+v", conn.TLS)
				}
				return
			}
			got := conn.TLS
			if got.Version != tc.version || got.ServerName != "origin.example" || got.Protocol != tc.alpn ||
				len(got.PeerCertificates) == 0 || got.PeerCertificates[0].DNSNames[0] != "origin.example" {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// Of an endpoint that could not be reached there is no connection, and of the
// origin in the binary there is none.
func TestExchangeWithoutAConnectionTellsNone(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	for url, tries := range map[string]int{"http://" + l.Addr().String(): 3, echoAddress: 1} {
		x := ask("GET", "/", "")
		x.Endpoint.Conn = new(exchange.Conn) // of a try before
		build(t, registry(t), settings(url)).Forward(x, "up")
		if x.Endpoint.Conn != nil || x.Endpoint.Tries != tries {
			t.Errorf("%s: got %+v, want no connection after %d tries", url, x.Endpoint, tries)
		}
	}
}
