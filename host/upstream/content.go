package upstream

import (
	"io"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/http1"
	"github.com/ergoproxy/ergo/host/upstream/wire"
)

// maxHeld bounds the bodies that are taken into memory because they are there
// already, and the memory that a Call keeps for the next one.
const maxHeld = 16 << 10

// takeBody makes tries read the request's body by way of c.replay. A small one
// that came together with its head is sent from memory, in one go with the head,
// and as often as need be.
func (c *Call) takeBody() {
	r := &c.x.Request
	if b, ok := r.Body.(*exchange.Buffered); ok && b.Whole() {
		c.replay = c.held.Hold(b.Bytes())
		return
	}
	keep := int64(c.pool.conf.Retry.Body)
	ready, ok := r.Body.(http1.Ready)
	if !ok || r.Length == exchange.UnknownLength || r.Length > min(maxHeld, keep) {
		c.replay = wire.NewReplay(r.Body, keep)
		return
	}
	room := int(r.Length) + 1 // the end is told where there is room for more
	if cap(c.memory) < room {
		c.memory = make([]byte, max(room, 1<<10))
	}
	content, err := readReady(r.Body, ready, c.memory[:room])
	if err == io.EOF && int64(len(content)) == r.Length {
		c.replay = c.held.Hold(content)
		return
	}
	c.replay, c.memory = wire.Resume(content, r.Body, err, keep), nil
}

// readReady reads as much as there is without waiting.
func readReady(body io.Reader, ready http1.Ready, into []byte) (content []byte, err error) {
	n := 0
	for err == nil && n < len(into) && ready.Ready() {
		var k int
		k, err = body.Read(into[n:])
		n += k
	}
	return into[:n], err
}
