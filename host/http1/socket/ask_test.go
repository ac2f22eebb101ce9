package socket

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/hosttest/race"
)

// question returns text as a buffer of b.
func question(b *Buffers, text string) []byte {
	return append(b.Take()[:0], text...)
}

func TestAsk(t *testing.T) {
	b := &Buffers{Size: 1 << 10}
	each(t, func(t *testing.T, ours *Conn, theirs *net.TCPConn) {
		for _, body := range []string{"", " body"} {
			want := "head" + body
			go func() {
				got := make([]byte, len(want))
				io.ReadFull(theirs, got)
				theirs.Write(bytes.ToUpper(got))
			}()
			wrote, buf, n, err := ours.Ask(question(b, "head"), []byte(body), b)
			if string(buf[:n]) != string(bytes.ToUpper([]byte(want))) || wrote != len(want) || err != nil {
				t.Errorf("got %q after %d bytes, %v", buf[:n], wrote, err)
			}
			b.Give(buf)
		}
	})
}

// A question that is too large for the system to take at once is asked in parts.
func TestAskInParts(t *testing.T) {
	b, body := &Buffers{Size: 1 << 10}, make([]byte, 16<<20)
	each(t, func(t *testing.T, ours *Conn, theirs *net.TCPConn) {
		go func() {
			n, _ := io.CopyN(io.Discard, theirs, int64(len("head")+len(body)))
			if n == int64(len("head")+len(body)) {
				theirs.Write([]byte("answer"))
			}
		}()
		wrote, buf, n, err := ours.Ask(question(b, "head"), body, b)
		if string(buf[:n]) != "answer" || wrote != len("head")+len(body) || err != nil {
			t.Errorf("got %q after %d bytes, %v", buf[:n], wrote, err)
		}
	})
}

func TestAskNobody(t *testing.T) {
	b := &Buffers{Size: 1 << 10}
	each(t, func(t *testing.T, ours *Conn, theirs *net.TCPConn) {
		theirs.Close() // sees the question, and does not want it
		if _, _, n, err := ours.Ask(question(b, "head"), nil, b); n != 0 || err == nil {
			t.Errorf("got %d bytes, %v", n, err)
		}
		eventually(t, func() bool {
			wrote, _, _, err := ours.Ask(question(b, "head"), nil, b)
			return wrote == 0 && err != nil
		})
	})
}

// What was there before would be taken for the answer.
func TestAskLooksFirst(t *testing.T) {
	b := &Buffers{Size: 1 << 10}
	ours, theirs := pair(t, func(c net.Conn) net.Conn { return c })
	theirs.Write([]byte("unasked"))
	eventually(t, func() bool { return !ours.Quiet() })
	wrote, _, n, err := ours.Ask(question(b, "head"), nil, b)
	if wrote != 0 || n != 0 || err != ErrUnasked {
		t.Errorf("bytes are there: got %d sent, %d received, %v", wrote, n, err)
	}
	ours, theirs = pair(t, func(c net.Conn) net.Conn { return c })
	theirs.CloseWrite()
	eventually(t, func() bool { return !ours.Quiet() })
	if wrote, _, n, err = ours.Ask(question(b, "head"), nil, b); wrote != 0 || n != 0 || err != io.EOF {
		t.Errorf("the peer has gone: got %d sent, %d received, %v", wrote, n, err)
	}
}

func TestAskEndsInTime(t *testing.T) {
	b := &Buffers{Size: 1 << 10}
	each(t, func(t *testing.T, ours *Conn, theirs *net.TCPConn) {
		now := exchange.Clock()
		ours.ReadBy(now+10*time.Millisecond, now)
		if wrote, _, _, err := ours.Ask(question(b, "head"), nil, b); wrote != 4 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("got %d bytes sent, %v, want no answer in time", wrote, err)
		}
		ours.Interrupt()
		if wrote, _, _, err := ours.Ask(question(b, "head"), nil, b); wrote != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("after an interruption: got %d bytes sent, %v", wrote, err)
		}
	})
}

// Elsewhere than on plain TCP net.Conn makes an error of a look that finds nothing.
func TestAskAllocatesNothing(t *testing.T) {
	b := &Buffers{Size: 1 << 10}
	each(t, func(t *testing.T, ours *Conn, theirs *net.TCPConn) {
		go func() {
			part := make([]byte, 100)
			for {
				n, err := theirs.Read(part)
				if err != nil {
					return
				}
				theirs.Write(part[:n])
			}
		}()
		body, most := []byte("body"), 0.0
		if ours.raw == nil {
			most = 1
		}
		if n := testing.AllocsPerRun(100, func() {
			_, buf, _, err := ours.Ask(append(b.Take()[:0], "head"...), body, b)
			if err != nil {
				t.Error(err)
			}
			b.Give(buf)
		}); n > most && !race.Enabled {
			t.Errorf("got %v allocations, want %v", n, most)
		}
	})
}
