package outbound

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"sync/atomic"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/ergoproxy/ergo/host/hosttest"
)

// nameServer answers every name with addresses that may change from question to
// question.
type nameServer struct {
	conn    net.PacketConn
	answers func() []string
	asked   atomic.Int64
}

func newNameServer(t *testing.T, answers func() []string) *nameServer {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &nameServer{conn: conn, answers: answers}
	ended := make(chan struct{})
	go func() { defer close(ended); s.serve() }()
	t.Cleanup(func() { conn.Close(); <-ended })
	return s
}

func (s *nameServer) serve() {
	buf := make([]byte, 1500)
	for {
		n, from, err := s.conn.ReadFrom(buf)
		if err != nil {
			return
		}
		var m dnsmessage.Message
		if m.Unpack(buf[:n]) != nil || len(m.Questions) == 0 {
			continue
		}
		m.Response, m.Authoritative, m.Additionals = true, true, nil
		q := m.Questions[0]
		if q.Type == dnsmessage.TypeA {
			s.asked.Add(1)
			for _, a := range s.answers() {
				m.Answers = append(m.Answers, dnsmessage.Resource{
					Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class},
					Body:   &dnsmessage.AResource{A: netip.MustParseAddr(a).As4()},
				})
			}
		}
		if packed, err := m.Pack(); err == nil {
			s.conn.WriteTo(packed, from)
		}
	}
}

func (s *nameServer) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", s.conn.LocalAddr().String())
	}}
}

// TestRebinding has a name lead to an allowed address first and to a special one
// later, and both together.
func TestRebinding(t *testing.T) {
	var reached atomic.Int64
	backend := hosttest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		reached.Add(1)
		w.Header().Set("Connection", "close") // the next call dials again
	}))
	_, port, _ := net.SplitHostPort(backend.Addr)
	var answer atomic.Pointer[[]string]
	names := newNameServer(t, func() []string { return *answer.Load() })
	url := "http://idp.rebind.test:" + port
	onlyOne := func(c *Config) { c.Internal = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")} }
	c := openWith(t, onlyOne, Options{Resolver: names.resolver()}, url)
	request := &Request{Method: "GET", URL: url}

	answer.Store(&[]string{"127.0.0.1"})
	do(t, c, request)
	for _, special := range []string{"127.0.0.2", "169.254.169.254", "0.0.0.0"} {
		answer.Store(&[]string{special})
		failure := fails(t, c, request, Refused)
		var e *SpecialAddressError
		if !errors.As(failure, &e) || e.Addr.String() != special {
			t.Errorf("got %v, want a refusal of %s", failure, special)
		}
	}
	if got := reached.Load(); got != 1 {
		t.Errorf("the backend was reached %d times, want 1", got)
	}
	answer.Store(&[]string{"169.254.169.254", "127.0.0.1"})
	do(t, c, request) // what is refused is not dialled, what is allowed is
	if names.asked.Load() < 5 {
		t.Errorf("the resolver was asked %d times, want 5: an answer was kept", names.asked.Load())
	}
}

func TestSpecialHostNeedsGrantOfNetwork(t *testing.T) {
	backend := hosttest.Serve(t, http.HandlerFunc(hosttest.Echo))
	c := open(t, func(c *Config) { c.Internal = nil }, backend.URL, "http://localhost:1", "http://169.254.169.254")
	for _, url := range []string{backend.URL, "http://localhost:1/", "http://169.254.169.254/latest/meta-data"} {
		fails(t, c, &Request{Method: "GET", URL: url}, Refused)
	}
}
