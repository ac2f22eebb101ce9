package property

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"net/netip"
	"net/url"
	"strings"

	"github.com/ergoproxy/ergo/host/exchange"
)

var source = map[string]getter{
	"address": func(s *Source) (Value, bool) { return address(client(s.Exchange)) },
	"port":    func(s *Source) (Value, bool) { return port(client(s.Exchange)) },
}

var destination = map[string]getter{
	"address": func(s *Source) (Value, bool) { return address(local(s.Exchange.Conn)) },
	"port":    func(s *Source) (Value, bool) { return port(local(s.Exchange.Conn)) },
}

var connection = withTLS(down, map[string]getter{
	"id":                    connectionID,
	"mtls":                  connectionMTLS,
	"requested_server_name": secured(down, func(t *exchange.TLS) (Value, bool) { return textOf(t.ServerName), true }),
})

var upstream = withTLS(up, map[string]getter{
	"address":                  func(s *Source) (Value, bool) { return address(remote(s.Exchange.Endpoint.Conn)) },
	"port":                     func(s *Source) (Value, bool) { return port(remote(s.Exchange.Endpoint.Conn)) },
	"local_address":            func(s *Source) (Value, bool) { return address(local(s.Exchange.Endpoint.Conn)) },
	"request_attempt_count":    attempts,
	"transport_failure_reason": transportFailure,
})

func down(s *Source) *exchange.Conn { return s.Exchange.Conn }
func up(s *Source) *exchange.Conn   { return s.Exchange.Endpoint.Conn }

// withTLS adds what a handshake on a connection tells to its attributes.
func withTLS(of func(*Source) *exchange.Conn, attributes map[string]getter) map[string]getter {
	attributes["tls_version"] = secured(of, func(t *exchange.TLS) (Value, bool) {
		// Envoy writes "TLSv1.3" what crypto/tls writes "TLS 1.3".
		return textOf(strings.Replace(tls.VersionName(t.Version), " ", "v", 1)), true
	})
	for name, get := range certificate {
		attributes[name] = secured(of, func(t *exchange.TLS) (Value, bool) {
			if len(t.PeerCertificates) == 0 {
				return Value{}, false
			}
			text := get(t.PeerCertificates[0])
			return textOf(text), text != ""
		})
	}
	return attributes
}

// secured finds nothing on a plain connection.
func secured(of func(*Source) *exchange.Conn, get func(*exchange.TLS) (Value, bool)) getter {
	return func(s *Source) (Value, bool) {
		c := of(s)
		if c == nil || c.TLS == nil {
			return Value{}, false
		}
		return get(c.TLS)
	}
}

// certificate are the attributes of a peer's certificate; empty: not there.
var certificate = map[string]func(*x509.Certificate) string{
	"subject_peer_certificate": func(c *x509.Certificate) string { return c.Subject.String() },
	"dns_san_peer_certificate": func(c *x509.Certificate) string {
		if len(c.DNSNames) == 0 {
			return ""
		}
		return c.DNSNames[0]
	},
	"uri_san_peer_certificate": func(c *x509.Certificate) string {
		if len(c.URIs) == 0 {
			return ""
		}
		return c.URIs[0].String()
	},
	"sha256_peer_certificate_digest": func(c *x509.Certificate) string {
		sum := sha256.Sum256(c.Raw)
		return hex.EncodeToString(sum[:])
	},
	"peer_certificate": func(c *x509.Certificate) string {
		text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
		return strings.ReplaceAll(url.QueryEscape(string(text)), "+", "%20")
	},
}

func connectionID(s *Source) (Value, bool) {
	c := s.Exchange.Conn
	if c == nil {
		return Value{}, false
	}
	return uintOf(c.ID), true
}

func connectionMTLS(s *Source) (Value, bool) {
	c := s.Exchange.Conn
	if c == nil {
		return Value{}, false
	}
	return boolOf(c.TLS != nil && len(c.TLS.PeerCertificates) > 0), true
}

func attempts(s *Source) (Value, bool) {
	tries := s.Exchange.Endpoint.Tries
	return uintOf(uint64(tries)), tries > 0 || !s.Exchange.Route.Sent
}

// transportFailure is why the last endpoint could not be reached.
func transportFailure(s *Source) (Value, bool) {
	f := s.Exchange.Failure
	if f == nil || f.Cause != exchange.CauseRefused || f.Err == nil {
		return Value{}, false
	}
	reason := f.Err
	if cause := errors.Unwrap(reason); cause != nil { // behind the names of upstream and endpoint
		reason = cause
	}
	return textOf(reason.Error()), true
}

// client is who asks, without a port if it is one that trusted proxies name.
func client(x *exchange.Exchange) netip.AddrPort {
	at := remote(x.Conn)
	if x.ClientIP.IsValid() && x.ClientIP.Unmap() != at.Addr().Unmap() {
		return netip.AddrPortFrom(x.ClientIP.Unmap(), 0)
	}
	return at
}

func remote(c *exchange.Conn) netip.AddrPort {
	if c == nil {
		return netip.AddrPort{}
	}
	return c.Remote
}

func local(c *exchange.Conn) netip.AddrPort {
	if c == nil {
		return netip.AddrPort{}
	}
	return c.Local
}

func address(a netip.AddrPort) (Value, bool) {
	if !a.IsValid() {
		return Value{}, false
	}
	return textOf(a.String()), true
}

func port(a netip.AddrPort) (Value, bool) { return intOf(int64(a.Port())), a.Port() != 0 }
