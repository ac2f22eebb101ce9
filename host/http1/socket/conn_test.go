package socket

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/hosttest/race"
)

// hidden is a connection of which nothing is known but that it is one, as TLS's.
type hidden struct{ net.Conn }

func (h hidden) NetConn() net.Conn { return h.Conn }
func (h hidden) CloseWrite() error { return h.Conn.(*net.TCPConn).CloseWrite() }

var kinds = []struct {
	name string
	wrap func(net.Conn) net.Conn
}{
	{"raw", func(c net.Conn) net.Conn { return c }},
	{"through net.Conn", func(c net.Conn) net.Conn { return hidden{c} }},
}

// pair returns both ends of a TCP connection.
func pair(t testing.TB, wrap func(net.Conn) net.Conn) (ours *Conn, theirs *net.TCPConn) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dialed, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs = New(wrap(dialed)), accepted.(*net.TCPConn)
	t.Cleanup(func() { ours.Close(); theirs.Close() })
	return ours, theirs
}

func each(t *testing.T, test func(t *testing.T, ours *Conn, theirs *net.TCPConn)) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			ours, theirs := pair(t, k.wrap)
			test(t, ours, theirs)
		})
	}
}

func TestReadAndWrite(t *testing.T) {
	each(t, func(t *testing.T, ours *Conn, theirs *net.TCPConn) {
		big := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
		var all sync.WaitGroup
		all.Go(func() {
			defer theirs.CloseWrite()
			io.WriteString(theirs, "hello")
			if got, err := io.ReadAll(io.LimitReader(theirs, int64(3+2*len(big)))); err != nil || string(got) != "a: "+string(big)+string(big) {
				t.Errorf("got %d bytes, %v", len(got), err)
			}
		})
		if got, err := io.ReadAll(iotest.OneByteReader(io.LimitReader(ours, 5))); err != nil || string(got) != "hello" {
			t.Errorf("got %q, %v", got, err)
		}
		if n, err := ours.WriteTwo([]byte("a: "), big); err != nil || n != 3+len(big) {
			t.Errorf("got %d, %v", n, err)
		}
		if n, err := ours.Write(big); err != nil || n != len(big) {
			t.Errorf("got %d, %v", n, err)
		}
		all.Wait()
		if n, err := ours.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Errorf("at the end: got %d, %v", n, err)
		}
	})
}

func TestReadFirstTakesABufferWhenBytesCome(t *testing.T) {
	each(t, func(t *testing.T, ours *Conn, theirs *net.TCPConn) {
		b := &Buffers{Size: 64}
		go io.WriteString(theirs, strings.Repeat("x", 65))
		total := 0
		for total < 65 {
			buf, n, err := ours.ReadFirst(b)
			if err != nil || n == 0 || len(buf) != 64 {
				t.Fatalf("got %d of %d, %v", n, len(buf), err)
			}
			total += n
			b.Give(buf)
		}
		theirs.Close()
		if buf, n, err := ours.ReadFirst(b); buf != nil || n != 0 || err != io.EOF {
			t.Errorf("at the end: got %d, %d, %v", len(buf), n, err)
		}
	})
}

func TestDeadlines(t *testing.T) {
	each(t, func(t *testing.T, ours *Conn, theirs *net.TCPConn) {
		now := exchange.Clock()
		ours.ReadBy(now+10*time.Millisecond, now)
		if _, err := ours.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) || !IsTimeout(err) {
			t.Errorf("read: got %v", err)
		}
		if passed := exchange.Clock(); passed < now+10*time.Millisecond {
			t.Errorf("too early by %v", now+10*time.Millisecond-passed)
		}
		ours.ReadBy(0, now)
		io.WriteString(theirs, "x")
		if n, err := ours.Read(make([]byte, 1)); n != 1 {
			t.Errorf("after the deadline was taken back: %v", err)
		}
		now = exchange.Clock()
		ours.WriteBy(now+10*time.Millisecond, now)
		var err error
		for err == nil {
			_, err = ours.Write(make([]byte, 1<<20))
		}
		if !IsTimeout(err) {
			t.Errorf("write: got %v", err)
		}
	})
}

// TestDeadlinesAreCoarse: the system is told once while a deadline moves on little
// by little, and again when it comes closer.
func TestDeadlinesAreCoarse(t *testing.T) {
	told := 0
	d := deadline{set: func(time.Time) error { told++; return nil }}
	now := exchange.Clock()
	for i := range 100 {
		at := now + time.Duration(i)*10*time.Millisecond
		d.move(at+10*time.Second, at)
		if d.at < at+10*time.Second || d.at > at+10*time.Second*9/8 {
			t.Fatalf("deadline is off by %v", d.at-at-10*time.Second)
		}
	}
	if told != 1 {
		t.Errorf("told %d times", told)
	}
	d.move(now+time.Second, now)
	d.move(0, now)
	d.move(0, now)
	if told != 3 {
		t.Errorf("told %d times", told)
	}
}

func TestInterrupt(t *testing.T) {
	each(t, func(t *testing.T, ours *Conn, theirs *net.TCPConn) {
		failed := make(chan error)
		go func() {
			_, err := ours.Read(make([]byte, 1))
			failed <- err
		}()
		ours.Interrupt()
		if err := <-failed; !IsTimeout(err) {
			t.Errorf("got %v", err)
		}
		now := exchange.Clock()
		ours.ReadBy(now+time.Hour, now)
		if _, err := ours.Read(make([]byte, 1)); !IsTimeout(err) || !ours.Interrupted() {
			t.Errorf("a new deadline took it back: %v", err)
		}
	})
}

func TestGoneAndQuiet(t *testing.T) {
	each(t, func(t *testing.T, ours *Conn, theirs *net.TCPConn) {
		if ours.Gone() || !ours.Quiet() {
			t.Error("a new connection is not quiet")
		}
		io.WriteString(theirs, "x")
		eventually(t, func() bool { return !ours.Quiet() })
		theirs.Close()
		if ours.Gone() {
			t.Error("gone while a byte waits")
		}
		ours.Read(make([]byte, 1))
		eventually(t, ours.Gone)
		if ours.Quiet() {
			t.Error("quiet although the peer is gone")
		}
	})
}

func TestAbortResets(t *testing.T) {
	each(t, func(t *testing.T, ours *Conn, theirs *net.TCPConn) {
		ours.Abort()
		if _, err := theirs.Read(make([]byte, 1)); err == nil || err == io.EOF {
			t.Errorf("got %v", err)
		}
		if _, err := ours.Write([]byte("x")); err == nil {
			t.Error("it can still be written to")
		}
	})
}

func TestSplice(t *testing.T) {
	each(t, func(t *testing.T, to *Conn, client *net.TCPConn) {
		from, origin := pair(t, kinds[0].wrap)
		const size = 1<<20 + 7
		want := bytes.Repeat([]byte("abcdefg"), size/7+1)[:size]
		go func() {
			origin.Write(want)
			origin.Close()
		}()
		received := make(chan []byte)
		go func() {
			got, _ := io.ReadAll(client)
			received <- got
		}()
		if n, err := to.Splice(from, size-7); n != size-7 || err != nil {
			t.Errorf("got %d, %v", n, err)
		}
		n, err := to.Splice(from, 100)
		var broken *ReadError
		if n != 7 || !errors.As(err, &broken) || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("got %d, %v", n, err)
		}
		to.Close()
		if got := <-received; !bytes.Equal(got, want) {
			t.Errorf("got %d bytes", len(got))
		}
	})
}

func TestSpliceToAClientThatIsGone(t *testing.T) {
	each(t, func(t *testing.T, to *Conn, client *net.TCPConn) {
		from, origin := pair(t, kinds[0].wrap)
		client.SetLinger(0)
		client.Close()
		go func() {
			for {
				if _, err := origin.Write(make([]byte, 1<<16)); err != nil {
					return
				}
			}
		}()
		_, err := to.Splice(from, 1<<30)
		var broken *ReadError
		if err == nil || errors.As(err, &broken) {
			t.Errorf("got %v", err)
		}
	})
}

func TestSpliceWaitsNoLongerThanEitherDeadline(t *testing.T) {
	to, client := pair(t, kinds[0].wrap)
	from, origin := pair(t, kinds[0].wrap)
	now := exchange.Clock()
	from.ReadBy(now+time.Millisecond, now)
	var broken *ReadError
	if _, err := to.Splice(from, 1); !errors.As(err, &broken) || !IsTimeout(err) {
		t.Errorf("a silent source: got %v", err)
	}
	from.ReadBy(0, now)
	go func() {
		for {
			if _, err := origin.Write(make([]byte, 1<<16)); err != nil {
				return
			}
		}
	}()
	now = exchange.Clock()
	to.WriteBy(now+20*time.Millisecond, now)
	if _, err := to.Splice(from, 1<<40); !IsTimeout(err) || errors.As(err, &broken) {
		t.Errorf("a client that takes nothing: got %v", err)
	}
	client.Close()
}

func TestNothingIsAllocated(t *testing.T) {
	ours, theirs := pair(t, kinds[0].wrap)
	go io.Copy(theirs, theirs)
	b := &Buffers{Size: 4096}
	message := []byte("ping")
	if n := testing.AllocsPerRun(100, func() {
		now := exchange.Clock()
		ours.WriteBy(now+time.Minute, now)
		ours.ReadBy(now+time.Minute, now)
		if _, err := ours.WriteTwo(message[:2], message[2:]); err != nil {
			t.Fatal(err)
		}
		buf, _, err := ours.ReadFirst(b)
		if err != nil {
			t.Fatal(err)
		}
		b.Give(buf)
	}); n >= 1 && !race.Enabled {
		t.Errorf("%v allocations", n)
	}
}

func eventually(t *testing.T, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it never came true")
		}
	}
}
