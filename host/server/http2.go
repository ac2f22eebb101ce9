package server

//lint:file-ignore SA1019 net/http has no way to serve a connection that was accepted and secured elsewhere

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/net/http2"
)

// Bounds of HTTP/2 that nobody needs to set.
const (
	h2PingAfter    = 30 * time.Second // of silence on a connection
	h2PingWait     = 15 * time.Second
	h2StreamWindow = 256 << 10 // bytes a client may send ahead of the reader
	h2ConnWindow   = 1 << 20
	h2FrameBytes   = 16 << 10 // of one stream before another's turn
	h2ReadBuffer   = 4 << 10
)

// protocol2 serves HTTP/2 to the connections of a front.
type protocol2 struct {
	server *http2.Server
	base   *http.Server // settings, and the way to end all connections
}

func (f *front) newProtocol2() (protocol2, error) {
	limits := &f.settings.Limits
	p := protocol2{
		server: &http2.Server{
			MaxConcurrentStreams:         uint32(limits.Streams),
			MaxReadFrameSize:             h2FrameBytes,
			MaxUploadBufferPerConnection: h2ConnWindow,
			MaxUploadBufferPerStream:     h2StreamWindow,
			IdleTimeout:                  limits.IdleTimeout.D(),
			ReadIdleTimeout:              h2PingAfter,
			PingTimeout:                  h2PingWait,
			WriteByteTimeout:             limits.BodyTimeout.D(),
		},
		base: &http.Server{
			Handler:        f,
			MaxHeaderBytes: int(limits.HeaderBytes),
			ErrorLog:       slog.NewLogLogger(f.server.log.Handler(), slog.LevelDebug),
		},
	}
	p.base.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateActive && f.draining.Load() {
			p.drain() // it came too late to be told with the others
		}
	}
	return p, http2.ConfigureServer(p.base, p.server)
}

// drain tells all connections, by GOAWAY, that no further stream is wanted. Each
// is closed when its streams have ended.
func (p *protocol2) drain() { p.base.Shutdown(context.Background()) }

// serveHTTP2 speaks HTTP/2 until the connection ends. What was read of it already
// is in early, which is free again when the function returns.
func (f *front) serveHTTP2(c *conn, early []byte) {
	stream := net.Conn(c.secured)
	if c.secured == nil {
		stream = &http2Conn{c.socket, bufio.NewReaderSize(io.MultiReader(bytes.NewReader(early), c.socket), h2ReadBuffer)}
	}
	f.http2.server.ServeConn(stream, &http2.ServeConnOpts{
		Context:    context.WithValue(context.Background(), connKey{}, c),
		BaseConfig: f.http2.base,
	})
}

// http2Conn is a plain connection whose frames' heads don't cost a system call
// each, as they don't with TLS.
type http2Conn struct {
	net.Conn
	r *bufio.Reader
}

// Read follows io.Reader.
func (c *http2Conn) Read(p []byte) (int, error) { return c.r.Read(p) }

type connKey struct{}

func connOf(r *http.Request) *conn { return r.Context().Value(connKey{}).(*conn) }
