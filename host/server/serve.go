package server

import (
	"crypto/tls"
	"errors"
	"io"
	"time"
)

// serve carries a connection from accept to close, or leaves it to the server of
// HTTP/1, which does.
func (f *front) serve(c *conn) {
	left := false
	defer func() {
		if !left {
			c.Ended(recover())
		}
	}()
	if f.certs != nil {
		if err := f.handshake(c); err != nil {
			f.server.log.Debug("TLS handshake", "listener", f.settings.Name, "client", c.socket.RemoteAddr().String(), "error", err)
			return
		}
	}
	if c.secured != nil && c.secured.ConnectionState().NegotiatedProtocol == "h2" {
		f.serveHTTP2(c, nil)
		return
	}
	info := c.describe()
	left = true
	f.http1.Serve(c.stream(), info, c)
}

// handshake puts TLS above the socket. A client has as long for it as for a
// request's head.
func (f *front) handshake(c *conn) error {
	c.secured = tls.Server(c.socket, f.certs.config())
	if limit := f.settings.Limits.HeaderTimeout.D(); limit > 0 {
		c.socket.SetDeadline(time.Now().Add(limit))
	}
	if err := c.secured.Handshake(); err != nil {
		var record tls.RecordHeaderError
		if errors.As(err, &record) && record.Conn != nil && looksLikeHTTP(record.RecordHeader) {
			io.WriteString(record.Conn, "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\nThis is a port for HTTPS.\n")
		}
		return err
	}
	c.socket.SetDeadline(time.Time{})
	return nil
}

// looksLikeHTTP tells a client that speaks HTTP without TLS.
func looksLikeHTTP(start [5]byte) bool {
	switch string(start[:]) {
	case "GET /", "HEAD ", "POST ", "PUT /", "OPTIO", "DELET", "PATCH", "PRI *":
		return true
	}
	return false
}
