package http1

import (
	"io"
	"sync/atomic"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/http1/socket"
)

// Tunnel is the server's side of a connection that switched protocols. One
// goroutine reads and one writes; Close may be called by any, and ends the trip.
type Tunnel struct {
	trip   *Trip
	closed atomic.Bool
}

// Tunnel returns the connection that switched protocols, after a response of 101.
func (t *Trip) Tunnel() *Tunnel { return &Tunnel{trip: t} }

var (
	_ io.ReadWriteCloser = (*Tunnel)(nil)
	_ Spliceable         = (*Tunnel)(nil)
	_ Spliceable         = (*Trip)(nil)
	_ Ready              = (*Trip)(nil)
)

// Read follows io.Reader: first what came behind the head.
func (u *Tunnel) Read(p []byte) (int, error) {
	if t := u.trip; t.start < t.end {
		n := copy(p, t.mem[t.start:t.end])
		t.start += n
		return n, nil
	}
	return u.trip.Conn.Read(p)
}

// Write follows io.Writer.
func (u *Tunnel) Write(p []byte) (int, error) { return u.trip.Conn.Write(p) }

// CloseWrite tells the server that no more will come.
func (u *Tunnel) CloseWrite() error { return u.trip.Conn.CloseWrite() }

// Close ends both directions.
func (u *Tunnel) Close() error {
	if u.closed.Swap(true) {
		return nil
	}
	u.trip.finish(false)
	return u.trip.Conn.Close()
}

// SpliceSource follows Spliceable.
func (u *Tunnel) SpliceSource() (c *socket.Conn, waiting []byte, n int64, ok bool) {
	t := u.trip
	return t.Conn, t.mem[t.start:t.end], exchange.UnknownLength, true
}

// Spliced follows Spliceable.
func (u *Tunnel) Spliced(n int64, _ error) {
	t := u.trip
	t.start += int(min(n, int64(t.end-t.start)))
}
