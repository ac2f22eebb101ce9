package http1_test

import (
	"io"
	"net"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/hosttest"
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
// wait for another, with all that the process holds for them: stacks, and the
// clients' ends too.
func TestIdleConnectionsAreSmall(t *testing.T) {
	const count, bound = 1000, 6 << 10
	if raceEnabled {
		t.Skip("the race detector's own memory would be weighed")
	}
	d := serve(t, settings(), func(x *exchange.Exchange) {
		deep(24)
		answer(x, 200, "")
	})
	before := resident(t)
	for range count {
		c, err := net.Dial("tcp", d.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		if n, err := c.Read(make([]byte, 1<<10)); n == 0 {
			t.Fatal(err)
		}
	}
	hosttest.Eventually(t, func() bool { return resident(t) < before+count*bound }, "an idle connection takes less than 6 KiB")
	t.Logf("%d bytes for each connection", (resident(t)-before)/count)
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
