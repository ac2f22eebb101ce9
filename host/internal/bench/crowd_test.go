package main

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// accept hands the connections of a listener to serve, each on its own goroutine, until the test ends.
func accept(t *testing.T, serve func(net.Conn)) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { defer c.Close(); serve(c) }()
		}
	}()
	return l.Addr().String()
}

// TestCrowd has a server that gives each connection up after some bytes of the head: all come again.
func TestCrowd(t *testing.T) {
	const slow = 3
	heads := make(chan string, 100)
	address := accept(t, func(c net.Conn) {
		var head []byte
		for one := make([]byte, 1); !strings.HasSuffix(string(head), "X-Slow: xx"); head = append(head, one[0]) {
			if _, err := io.ReadFull(c, one); err != nil {
				return
			}
		}
		heads <- string(head)
	})
	c, err := gather(t.Context(), address, slow)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 * slow {
		select {
		case head := <-heads:
			if !strings.HasPrefix(head, "GET /1KiB HTTP/1.1\r\nHost: "+address+"\r\n") || strings.Contains(head, "\r\n\r\n") {
				t.Errorf("head is %q", head)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("the connections do not come again")
		}
	}
	c.leave()
}

func TestCrowdWithoutAServer(t *testing.T) {
	address, err := freeAddress()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := gather(t.Context(), address, 2); err == nil {
		t.Error("no error")
	}
}

func TestSitters(t *testing.T) {
	sc := scenario{name: idleScenario, path: "/1KiB", bytes: 1 << 10, kind: idle}
	o, err := startGoOrigin([]scenario{sc})
	if err != nil {
		t.Fatal(err)
	}
	defer o.stop()
	s, err := sit(t.Context(), o.address, 40, sc)
	if err != nil {
		t.Fatal(err)
	}
	defer s.leave()
	if err := s.again(t.Context()); err != nil {
		t.Errorf("the second time: %v", err)
	}
	s.conns[7].Close()
	if err := s.again(t.Context()); err == nil {
		t.Error("a closed connection was not missed")
	}
	if _, err := sit(t.Context(), o.address, 2, scenario{path: "/absent", bytes: 1}); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("for a path that is not there the error is %v", err)
	}
}

func TestSittersMissAConnectionThatIsClosed(t *testing.T) {
	address := accept(t, func(c net.Conn) {
		if _, err := c.Read(make([]byte, 1000)); err == nil {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}
	})
	s, err := sit(t.Context(), address, 2, scenario{path: "/", bytes: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer s.leave()
	if err := s.again(t.Context()); err == nil {
		t.Error("connections that the server closed count as idle ones")
	}
}
