//go:build !unix

package socket

import (
	"net"
	"unsafe"
)

// raw stands for what other systems do: there all goes through net.Conn.
type raw struct{}

func newRaw(net.Conn) *raw                           { return nil }
func (*raw) read([]byte) (int, error)                { panic("no raw sockets") }
func (*raw) readFirst(*Buffers) ([]byte, int, error) { panic("no raw sockets") }
func (*raw) write([]byte) (int, error)               { panic("no raw sockets") }
func (*raw) writeTwo([]byte, []byte) (int, error)    { panic("no raw sockets") }
func (*raw) ask(_, _ []byte, _ *Buffers) (int, []byte, int, error) {
	panic("no raw sockets")
}
func (*raw) peek() (waiting, gone bool)    { panic("no raw sockets") }
func peekAt(net.Conn) (waiting, gone bool) { return false, false }
func bytesAt(p *byte, n int) []byte        { return unsafe.Slice(p, n) }
