package engine

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
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

// linkFields are taken off every message that comes from a client or an origin.
var linkFields = [...]exchange.Known{exchange.ErgoLink, exchange.ErgoLinkFailure, exchange.ErgoLinkAnsweredBy}

func removeLinkFields(h *exchange.Header) {
	for _, id := range linkFields {
		h.DelKnown(id)
	}
}

// link is what travels with a request.
type link struct {
	ID           string           `json:"id"`
	ClientIP     netip.Addr       `json:"client_ip"`
	ClientScheme string           `json:"client_scheme"`
	Remote       netip.AddrPort   `json:"remote"`
	Local        netip.AddrPort   `json:"local"`
	Listener     string           `json:"listener"`
	Scheme       string           `json:"scheme"`
	Authority    string           `json:"authority"` // as policies left it; the hop may need another
	Version      exchange.Version `json:"version"`
	Received     linkLine         `json:"received"`
	TLS          *linkTLS         `json:"tls,omitempty"`
	Upstream     string           `json:"upstream,omitempty"`
	Fallbacks    []string         `json:"fallbacks,omitempty"`
	HashKey      string           `json:"hash_key,omitempty"`
	TimeoutMS    int64            `json:"timeout_ms,omitempty"`
	Retries      *int             `json:"retries,omitempty"`

	Properties []linkProperty `json:"properties,omitempty"`
	Identity   *linkIdentity  `json:"identity,omitempty"`
}

type linkLine struct {
	Method    string `json:"method"`
	Authority string `json:"authority"`
	Target    string `json:"target"`
}

type linkTLS struct {
	Version      uint16   `json:"version"`
	CipherSuite  uint16   `json:"cipher_suite"`
	ServerName   string   `json:"server_name,omitempty"`
	Protocol     string   `json:"protocol,omitempty"`
	Certificates [][]byte `json:"certificates,omitempty"` // DER, leaf first
}

type linkProperty struct {
	Name     []byte `json:"name"`
	Value    []byte `json:"value"`
	ReadOnly bool   `json:"read_only,omitempty"`
	Text     bool   `json:"text,omitempty"`
}

type linkIdentity struct {
	Subject    string      `json:"subject"`
	Method     string      `json:"method"`
	Attributes [][2]string `json:"attributes,omitempty"` // name and value
}

// toService sends the request to a host of the service tier.
func toService(r *ride) *exchange.Failure {
	g, x := r.g, r.x
	chosen := x.Route
	value, err := encodeLink(x)
	if err != nil {
		return &exchange.Failure{Cause: exchange.CausePolicy, Status: 500, Err: err}
	}
	x.Request.Header.Set(linkField, value)
	// The choice is the service host's to follow; here the balancer picks a host.
	x.Route = exchange.Route{HashKey: chosen.HashKey, Timeout: chosen.Timeout}
	f := r.forward(g.manifest.Split.Hosts)
	chosen.Sent = x.Route.Sent
	x.Route = chosen
	x.Endpoint = exchange.Endpoint{} // a host of ours is none; the true one only that host knows
	x.Request.Header.Del(linkField)
	if f != nil {
		return tierDown(f, g.manifest.Split.RetryAfter.D())
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
		ID: x.ID, ClientIP: x.ClientIP, ClientScheme: x.ClientScheme,
		Remote: x.Conn.Remote, Local: x.Conn.Local, Listener: x.Conn.Listener,
		Scheme: x.Request.Scheme, Authority: x.Request.Authority, Version: x.Request.Version,
		Received: linkLine(x.Received),
		Upstream: x.Route.Upstream, HashKey: x.Route.HashKey, TimeoutMS: x.Route.Timeout.Milliseconds(),
	}
	for _, name := range x.Route.Fallbacks {
		if name != "" {
			l.Fallbacks = append(l.Fallbacks, name)
		}
	}
	if x.Route.RetriesSet {
		l.Retries = &x.Route.Retries
	}
	for _, p := range x.Properties {
		l.Properties = append(l.Properties, linkProperty{[]byte(p.Name), []byte(p.Value), p.ReadOnly, p.Text})
	}
	if i := &x.Identity; i.Subject != "" {
		l.Identity = &linkIdentity{Subject: i.Subject, Method: i.Method}
		for _, a := range i.Attributes {
			l.Identity.Attributes = append(l.Identity.Attributes, [2]string{a.Name, a.Value})
		}
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
	values := x.Request.Header.AppendValues(nil, linkField)
	removeLinkFields(&x.Request.Header)
	if len(values) != 1 {
		return fmt.Errorf("a request with %d %s fields on a link listener", len(values), linkField)
	}
	l, err := decodeLink(values[0])
	if err != nil {
		return fmt.Errorf("decode %s: %w", linkField, err)
	}
	conn := &exchange.Conn{ID: x.Conn.ID, Listener: l.Listener, Remote: l.Remote, Local: l.Local}
	if l.TLS != nil {
		if conn.TLS, err = l.TLS.decode(); err != nil {
			return fmt.Errorf("decode %s: %w", linkField, err)
		}
	}
	x.Conn, x.ID, x.ClientIP, x.ClientScheme = conn, l.ID, l.ClientIP, l.ClientScheme
	x.Request.Scheme, x.Request.Authority, x.Request.Version = l.Scheme, l.Authority, l.Version
	x.Received = exchange.RequestLine(l.Received)
	x.Route = exchange.Route{Upstream: l.Upstream, HashKey: l.HashKey, Timeout: time.Duration(l.TimeoutMS) * time.Millisecond}
	copy(x.Route.Fallbacks[:], l.Fallbacks)
	if l.Retries != nil {
		x.Route.Retries, x.Route.RetriesSet = *l.Retries, true
	}
	if l.Identity != nil {
		if err := l.Identity.give(x); err != nil {
			return fmt.Errorf("decode %s: %w", linkField, err)
		}
	}
	for _, p := range l.Properties {
		err := x.SetProperty(exchange.Property{Name: string(p.Name), Value: string(p.Value), ReadOnly: p.ReadOnly, Text: p.Text})
		if err != nil {
			return fmt.Errorf("decode %s: %w", linkField, err)
		}
	}
	return nil
}

var errIncomplete = errors.New("says too little of the client")

func decodeLink(value string) (*link, error) {
	text, err := base64.RawStdEncoding.DecodeString(value)
	if err != nil {
		return nil, err
	}
	var l link
	if err := json.Unmarshal(text, &l); err != nil {
		return nil, err
	}
	switch {
	case l.ID == "" || !l.ClientIP.IsValid() || !l.Remote.IsValid() || !isWeb(l.Scheme) || !isWeb(l.ClientScheme):
		return nil, errIncomplete
	case l.Version != exchange.HTTP10 && l.Version != exchange.HTTP11 && l.Version != exchange.HTTP2 && l.Version != exchange.HTTP3:
		return nil, fmt.Errorf("HTTP version %d: %w", l.Version, errIncomplete)
	}
	return &l, nil
}

func isWeb(scheme string) bool { return scheme == "http" || scheme == "https" }

// give makes the client of x who it is.
func (l *linkIdentity) give(x *exchange.Exchange) error {
	if !isName(l.Method) {
		return fmt.Errorf("%.100q has identified the client, which is no policy", l.Method)
	}
	if err := x.Identify(l.Subject, l.Method); err != nil {
		return err
	}
	for _, a := range l.Attributes {
		if err := x.AddAttribute(a[0], a[1]); err != nil {
			return err
		}
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

// causes are what a service host may say of a failure: they go into metrics and
// logs, so no other word does.
var causes = []exchange.Cause{
	exchange.CauseRefused, exchange.CauseReset, exchange.CauseProtocol, exchange.CauseTimeout,
	exchange.CauseNoEndpoint, exchange.CauseCircuitOpen, exchange.CauseOverload,
	exchange.CauseTierDown, exchange.CausePolicy, exchange.CauseNoRoute,
	exchange.CauseBody, exchange.CauseClient, exchange.CauseInternal,
}

// Bounds of what a service host may say.
const (
	maxRetryAfter = 24 * time.Hour
	maxNameBytes  = 64 // of a policy, as in the manifest
)

// writeLinkReply tells the edge host what only this host knows of the response.
func writeLinkReply(x *exchange.Exchange) {
	h := &x.Response.Header
	removeLinkFields(h)
	if f := x.Failure; f != nil {
		seconds := (min(f.RetryAfter, maxRetryAfter) + time.Second - 1) / time.Second
		h.Set(linkFailureField, fmt.Sprintf("%s %d %d", f.Cause, f.Status, seconds))
	}
	if x.AnsweredBy != "" {
		h.Set(linkAnsweredField, x.AnsweredBy)
	}
}

// readLinkReply takes what writeLinkReply said off the response: a failure of
// the service tier is one here too, so that the edge's policies may answer it.
func readLinkReply(x *exchange.Exchange) *exchange.Failure {
	h := &x.Response.Header
	failure, failed := h.Get(linkFailureField)
	if name := h.Value(linkAnsweredField); isName(name) {
		x.AnsweredBy = name
	}
	removeLinkFields(h)
	if !failed {
		return nil
	}
	f, err := parseFailure(failure)
	if err != nil {
		return &exchange.Failure{Cause: exchange.CauseProtocol, Status: 502, Tier: "service",
			Err: fmt.Errorf("%s from a service host: %w", linkFailureField, err)}
	}
	return f
}

// parseFailure reads "cause status seconds".
func parseFailure(value string) (*exchange.Failure, error) {
	words := strings.Split(value, " ")
	known := slices.Index(causes, exchange.Cause(words[0])) // value ends with the exchange
	if len(words) != 3 || known < 0 {
		return nil, fmt.Errorf("%.100q is no failure", value)
	}
	status, statusErr := strconv.ParseUint(words[1], 10, 16)
	seconds, secondsErr := strconv.ParseUint(words[2], 10, 32)
	if err := errors.Join(statusErr, secondsErr); err != nil {
		return nil, err
	}
	if status < 400 || status > 599 || seconds > uint64(maxRetryAfter/time.Second) {
		return nil, fmt.Errorf("%.100q is out of range", value)
	}
	return &exchange.Failure{
		Cause: causes[known], Status: int(status), RetryAfter: time.Duration(seconds) * time.Second, Tier: "service",
	}, nil
}

// isName reports whether s can be the name of a policy.
func isName(s string) bool {
	for _, c := range []byte(s) {
		if c != '-' && c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return s != "" && len(s) <= maxNameBytes
}
