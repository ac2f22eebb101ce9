package server

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/ergoproxy/ergo/host/manifest"
)

// Bounds of QUIC that nobody needs to set. Windows are those of HTTP/2.
const (
	quicSilence   = h2PingAfter + h2PingWait // that a connection survives
	quicKeepAlive = quicSilence / 3
	quicUnproven  = 256 // handshakes at once that begin without proof of the client's address
)

// quicSocket is a UDP socket and the QUIC connections on it. It outlives its
// listener until the last of them has ended. A listener that comes back to the
// address meanwhile takes it over, since a second socket can't be bound there.
type quicSocket struct {
	server    *Server
	transport *quic.Transport
	addr      net.Addr

	owner    atomic.Pointer[listener] // that new connections go to; nil: none is let in
	starting atomic.Int64             // handshakes in progress
	accepts  sync.WaitGroup           // for the owner

	// The rest is guarded by Server.quicMu.
	listening *quic.Listener // nil unless an owner has the socket, or a Change for it
	open      int            // connections
}

// bindQUIC returns a socket on the UDP port of an address of TCP. It lets nobody
// in before start, and is the caller's until release.
func (s *Server) bindQUIC(addr net.Addr) (*quicSocket, error) {
	s.quicMu.Lock()
	defer s.quicMu.Unlock()
	for _, q := range s.quic {
		if q.addr.String() == addr.String() && q.listening == nil {
			return q, q.listen()
		}
	}
	socket, err := net.ListenPacket("udp", addr.String())
	if err != nil {
		return nil, err
	}
	q := &quicSocket{server: s, addr: socket.LocalAddr()}
	q.transport = &quic.Transport{
		Conn:                socket,
		ConnContext:         q.admit,
		VerifySourceAddress: func(net.Addr) bool { return q.starting.Load() >= quicUnproven },
	}
	if err := q.listen(); err != nil {
		socket.Close()
		return nil, err
	}
	s.quic = append(s.quic, q)
	return q, nil
}

func (q *quicSocket) listen() (err error) {
	shake := &tls.Config{GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		return hello.Context().Value(connKey{}).(*conn).front.certs.quic.Load(), nil
	}}
	q.listening, err = q.transport.Listen(shake, &quic.Config{GetConfigForClient: q.config})
	return err
}

// start lets clients of l in.
func (q *quicSocket) start(l *listener) {
	q.owner.Store(l)
	q.accepts.Go(func() {
		for {
			quic, err := q.listening.Accept(context.Background())
			if err != nil {
				return // closed
			}
			c := quic.Context().Value(connKey{}).(*conn)
			q.settled(c)
			go c.front.serveHTTP3(c, quic)
		}
	})
}

// release lets no connection come any more. Those that are open stay.
func (q *quicSocket) release() {
	q.owner.Store(nil)
	q.listening.Close()
	q.accepts.Wait()
	q.server.quicMu.Lock()
	defer q.server.quicMu.Unlock()
	q.listening = nil
	q.closeIfUnused()
}

// closeIfUnused is called with quicMu held.
func (q *quicSocket) closeIfUnused() {
	if q.listening != nil || q.open > 0 {
		return
	}
	q.transport.Close()
	q.transport.Conn.Close()
	q.server.quic = slices.DeleteFunc(q.server.quic, func(other *quicSocket) bool { return other == q })
}

var errRefused = errors.New("no connection is let in")

// config is asked for what a new connection is served with; it follows
// quic.Config.GetConfigForClient.
func (q *quicSocket) config(*quic.ClientInfo) (*quic.Config, error) {
	l := q.owner.Load()
	if l == nil {
		return nil, errRefused
	}
	return quicConfig(l.settings().Limits), nil
}

func quicConfig(limits manifest.ListenLimits) *quic.Config {
	return &quic.Config{
		HandshakeIdleTimeout:           limits.HeaderTimeout.D() / 2, // twice that is for the whole
		MaxIdleTimeout:                 quicSilence,
		KeepAlivePeriod:                quicKeepAlive,
		InitialStreamReceiveWindow:     h2StreamWindow,
		MaxStreamReceiveWindow:         h2StreamWindow,
		InitialConnectionReceiveWindow: h2ConnWindow,
		MaxConnectionReceiveWindow:     h2ConnWindow,
		MaxIncomingStreams:             int64(limits.Streams),
		MaxIncomingUniStreams:          8, // HTTP/3 needs three
	}
}

// admit counts a connection when its handshake begins; it follows
// quic.Transport.ConnContext.
func (q *quicSocket) admit(ctx context.Context, _ *quic.ClientInfo) (context.Context, error) {
	l := q.owner.Load()
	if l == nil {
		return nil, errRefused
	}
	c := l.admit(nil)
	if c == nil {
		q.server.refused.Add(1)
		return nil, errRefused
	}
	q.starting.Add(1)
	q.server.quicMu.Lock()
	q.open++
	q.server.quicMu.Unlock()
	context.AfterFunc(ctx, func() {
		q.settled(c)
		c.front.left(c)
		q.server.quicMu.Lock()
		defer q.server.quicMu.Unlock()
		q.open--
		q.closeIfUnused()
	})
	return context.WithValue(ctx, connKey{}, c), nil
}

// settled notes, once, that a connection's handshake is over.
func (q *quicSocket) settled(c *conn) {
	if !c.settled.Swap(true) {
		q.starting.Add(-1)
	}
}

// newQUICConfig makes of a configuration for TCP the one for QUIC. Tickets are its
// own, so that they end with it, not those of the configuration that chose it.
func newQUICConfig(tcp *tls.Config) *tls.Config {
	c := tcp.Clone()
	c.MinVersion = tls.VersionTLS13
	c.NextProtos = []string{http3.NextProtoH3}
	c.WrapSession, c.UnwrapSession = c.EncryptTicket, c.DecryptTicket
	return c
}
