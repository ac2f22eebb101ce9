package wire

import (
	"bufio"
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/ergoproxy/ergo/host/exchange"
)

// A body that is not as long as was said is its sender's fault, not the
// endpoint's, whoever sends it; and the endpoint never sees a whole request.
func TestBodyOfAnotherLengthThanDeclared(t *testing.T) {
	for name, length := range map[string]int64{"longer": 4, "shorter": 6} {
		t.Run(name, func(t *testing.T) {
			c := endpoint(t, func(conn net.Conn, _ int) {
				r := bufio.NewReader(conn)
				requestHead(r)
				io.Copy(io.Discard, r)
			})
			put := try("PUT")
			put.X.Request.Length = length
			put.Replay = NewReplay(strings.NewReader("hello"), 0)
			e := c.Carry(put)
			if e == nil || e.Blame != BlameClient || e.Cause != exchange.CauseClient || !errors.Is(e, errBadRequest) {
				t.Errorf("got %+v, want the client to blame", e)
			}
			if open, idle := counts(c.conns); open != 0 || idle != 0 {
				t.Errorf("got %d connections, %d idle, want none", open, idle)
			}
		})
	}
}
