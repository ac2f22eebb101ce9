package http1_test

import (
	"net/netip"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/hosttest"
	"github.com/ergoproxy/ergo/host/hosttest/race"
)

// deep needs a stack like that of an exchange with policies.
func deep(depth int) byte {
	var frame [1 << 10]byte
	if depth > 0 {
		frame[depth] = deep(depth - 1)
	}
	return frame[depth]
}

// TestIdleConnectionsAreSmall weighs connections that have carried an exchange and
// wait for another, with all that the process holds for them. Their clients are
// bare sockets.
func TestIdleConnectionsAreSmall(t *testing.T) {
	const count, bound = 2000, 6 << 10
	if race.Enabled {
		t.Skip("the race detector's own memory would be weighed")
	}
	d := serve(t, settings(), func(x *exchange.Exchange) {
		deep(24)
		answer(x, 200, "")
	})
	before := resident(t)
	clients := make([]int, count)
	defer func() {
		for _, client := range clients {
			syscall.Close(client)
		}
	}()
	for i := range clients {
		clients[i] = bareClient(t, d.addr)
		get(t, clients[i])
	}
	hosttest.Eventually(t, func() bool { return resident(t) < before+count*bound }, "an idle connection takes less than 6 KiB")
	t.Logf("%d bytes for each connection", (resident(t)-before)/count)
	for _, client := range clients {
		get(t, client) // from the goroutine that waits now
	}
}

func get(t *testing.T, client int) {
	t.Helper()
	syscall.Write(client, []byte("GET / HTTP/1.1\r\nHost: h\r\n\r\n"))
	var response [256]byte
	n, err := syscall.Read(client, response[:])
	if err != nil || !strings.HasPrefix(string(response[:max(n, 0)]), "HTTP/1.1 200 OK\r\n") {
		t.Fatalf("got %q, %v", response[:max(n, 0)], err)
	}
}

func bareClient(t *testing.T, addr string) (fd int) {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	to := netip.MustParseAddrPort(addr)
	if err := syscall.Connect(fd, &syscall.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}); err != nil {
		t.Fatal(err)
	}
	return fd
}

// resident returns the process's resident memory in bytes.
func resident(t *testing.T) int {
	t.Helper()
	debug.FreeOSMemory()
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	pages, err := strconv.Atoi(strings.Fields(string(b))[1])
	if err != nil {
		t.Fatal(err)
	}
	return pages * os.Getpagesize()
}
