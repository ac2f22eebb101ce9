package engine

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
)

// When the tiers run apart, the edge host tells the service host in one request
// field what a policy would know in a single process, and the service host
// tells back in two response fields how the exchange ended there. Link listeners
// require a client certificate, so only edge hosts can say such things; from
// clients the fields are dropped.
const (
	linkField         = "ergo-link"
	linkFailureField  = "ergo-link-failure"
	linkAnsweredField = "ergo-link-answered-by"
)

// link is what travels with a request.
type link struct {
	ID        string           `json:"id"`
	ClientIP  netip.Addr       `json:"client_ip"`
	Remote    netip.AddrPort   `json:"remote"`
	Local     netip.AddrPort   `json:"local"`
	Listener  string           `json:"listener"`
	Scheme    string           `json:"scheme"`
	Version   exchange.Version `json:"version"`
	TLS       *linkTLS         `json:"tls,omitempty"`
	Upstream  string           `json:"upstream,omitempty"`
	HashKey   string           `json:"hash_key,omitempty"`
	TimeoutMS int64            `json:"timeout_ms,omitempty"`
	Retries   *int             `json:"retries,omitempty"`
}

type linkTLS struct {
	Version      uint16   `json:"version"`
	CipherSuite  uint16   `json:"cipher_suite"`
	ServerName   string   `json:"server_name,omitempty"`
	Protocol     string   `json:"protocol,omitempty"`
	Certificates [][]byte `json:"certificates,omitempty"` // DER, leaf first
}

// toService sends the request to a host of the service tier.
func toService(g *generation, x *exchange.Exchange) *exchange.Failure {
	chosen := x.Route
	value, err := encodeLink(x)
	if err != nil {
		return &exchange.Failure{Cause: exchange.CausePolicy, Status: 500, Err: err}
	}
	x.Request.Header.Set(linkField, value)
	// The choice is the service host's to follow; here the balancer picks a host.
	x.Route = exchange.Route{HashKey: chosen.HashKey, Timeout: chosen.Timeout}
	f := g.upstreams.Forward(x, g.manifest.Split.Hosts)
	chosen.Sent = x.Route.Sent
	x.Route = chosen
	x.Request.Header.Del(linkField)
	if f != nil {
		return tierDown(explain(x, f), g.manifest.Split.RetryAfter.D())
	}
	return readLinkReply(x)
}

// tierDown tells clients when to come back if no service host could take the
// exchange.
func tierDown(f *exchange.Failure, retryAfter time.Duration) *exchange.Failure {
	switch f.Cause {
	case exchange.CauseRefused, exchange.CauseNoEndpoint, exchange.CauseCircuitOpen:
		return &exchange.Failure{Cause: exchange.CauseTierDown, Status: 503, RetryAfter: retryAfter, Tier: "service", Err: f}
	}
	return f
}

func encodeLink(x *exchange.Exchange) (string, error) {
	l := link{
		ID: x.ID, ClientIP: x.ClientIP,
		Remote: x.Conn.Remote, Local: x.Conn.Local, Listener: x.Conn.Listener,
		Scheme: x.Request.Scheme, Version: x.Request.Version,
		Upstream: x.Route.Upstream, HashKey: x.Route.HashKey, TimeoutMS: x.Route.Timeout.Milliseconds(),
	}
	if x.Route.RetriesSet {
		l.Retries = &x.Route.Retries
	}
	if t := x.Conn.TLS; t != nil {
		l.TLS = &linkTLS{Version: t.Version, CipherSuite: t.CipherSuite, ServerName: t.ServerName, Protocol: t.Protocol}
		for _, c := range t.PeerCertificates {
			l.TLS.Certificates = append(l.TLS.Certificates, c.Raw)
		}
	}
	text, err := json.Marshal(l)
	if err != nil {
		return "", fmt.Errorf("encode %s: %w", linkField, err)
	}
	return base64.RawStdEncoding.EncodeToString(text), nil
}

// readLink makes the exchange what it was at the edge host.
func readLink(x *exchange.Exchange) error {
	value, ok := x.Request.Header.Get(linkField)
	if !ok {
		return fmt.Errorf("a request without %s on a link listener", linkField)
	}
	x.Request.Header.Del(linkField)
	text, err := base64.RawStdEncoding.DecodeString(value)
	if err != nil {
		return fmt.Errorf("decode %s: %w", linkField, err)
	}
	var l link
	if err := json.Unmarshal(text, &l); err != nil {
		return fmt.Errorf("decode %s: %w", linkField, err)
	}
	conn := &exchange.Conn{ID: x.Conn.ID, Listener: l.Listener, Remote: l.Remote, Local: l.Local}
	if l.TLS != nil {
		if conn.TLS, err = l.TLS.decode(); err != nil {
			return fmt.Errorf("decode %s: %w", linkField, err)
		}
	}
	x.Conn, x.ID, x.ClientIP = conn, l.ID, l.ClientIP
	x.Request.Scheme, x.Request.Version = l.Scheme, l.Version
	x.Route = exchange.Route{Upstream: l.Upstream, HashKey: l.HashKey, Timeout: time.Duration(l.TimeoutMS) * time.Millisecond}
	if l.Retries != nil {
		x.Route.Retries, x.Route.RetriesSet = *l.Retries, true
	}
	return nil
}

func (l *linkTLS) decode() (*exchange.TLS, error) {
	t := &exchange.TLS{Version: l.Version, CipherSuite: l.CipherSuite, ServerName: l.ServerName, Protocol: l.Protocol}
	for _, der := range l.Certificates {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, err
		}
		t.PeerCertificates = append(t.PeerCertificates, c)
	}
	return t, nil
}

// writeLinkReply tells the edge host what only this host knows of the response.
func writeLinkReply(x *exchange.Exchange) {
	h := &x.Response.Header
	h.Del(linkFailureField)
	h.Del(linkAnsweredField)
	if f := x.Failure; f != nil {
		h.Set(linkFailureField, string(f.Cause)+" "+strconv.Itoa(f.Status)+" "+strconv.Itoa(int(f.RetryAfter/time.Second)))
	}
	if x.AnsweredBy != "" {
		h.Set(linkAnsweredField, x.AnsweredBy)
	}
}

// readLinkReply takes what writeLinkReply said off the response: a failure of
// the service tier is one here too, so that the edge's policies may answer it.
func readLinkReply(x *exchange.Exchange) *exchange.Failure {
	h := &x.Response.Header
	x.AnsweredBy = h.Value(linkAnsweredField)
	h.Del(linkAnsweredField)
	failure, failed := h.Get(linkFailureField)
	h.Del(linkFailureField)
	if !failed {
		return nil
	}
	f := &exchange.Failure{Tier: "service"}
	var seconds int
	if _, err := fmt.Sscan(failure, (*string)(&f.Cause), &f.Status, &seconds); err != nil || f.Status < 400 || f.Status > 599 {
		return &exchange.Failure{Cause: exchange.CauseProtocol, Status: 502, Tier: "service",
			Err: fmt.Errorf("%s %q from a service host", linkFailureField, failure)}
	}
	f.RetryAfter = time.Duration(seconds) * time.Second
	return f
}
