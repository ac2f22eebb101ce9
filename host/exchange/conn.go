package exchange

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/netip"
)

// Conn says what is known of a connection: the one that an exchange came by, or one
// to an endpoint. It is shared by all exchanges of the connection and never changes.
type Conn struct {
	ID       uint64 // unique within the process; 0 of one to an endpoint
	Listener string // the listener's name in the manifest; empty of one to an endpoint
	Remote   netip.AddrPort
	Local    netip.AddrPort
	TLS      *TLS // nil on a plain connection
}

// TLS says what the handshake of a connection agreed on.
type TLS struct {
	Version     uint16 // tls.VersionTLS12 and up
	CipherSuite uint16 // as in crypto/tls
	ServerName  string // SNI, lower case, empty if the client sent none
	Protocol    string // ALPN, empty if none
	// PeerCertificates is the peer's verified chain, leaf first; empty if it
	// showed none, or if it was not verified.
	PeerCertificates []*x509.Certificate
}

// TLSOf renders what a handshake agreed on.
func TLSOf(state *tls.ConnectionState) *TLS {
	t := &TLS{
		Version:     state.Version,
		CipherSuite: state.CipherSuite,
		ServerName:  state.ServerName,
		Protocol:    state.NegotiatedProtocol,
	}
	if len(state.VerifiedChains) > 0 {
		t.PeerCertificates = state.VerifiedChains[0]
	}
	return t
}

// AddrPortOf returns the address of TCP and UDP, the zero one of anything else.
func AddrPortOf(a net.Addr) netip.AddrPort {
	with, ok := a.(interface{ AddrPort() netip.AddrPort })
	if !ok {
		return netip.AddrPort{}
	}
	ap := with.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}
