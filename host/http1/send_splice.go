package http1

import (
	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/http1/message"
	"github.com/ergoproxy/ergo/host/http1/socket"
)

const (
	// leastSplice is from when on the kernel moves a body cheaper than reads and
	// writes do.
	leastSplice = copyBytes
	// leastLent is from when on writing from two places is cheaper than a copy.
	leastLent = 4 << 10
)

// lend moves what of the body can be had without Read: what is in memory, and
// what the kernel moves. It reports whether there was something.
func (m *mover) lend() (lent bool, err *exchange.SendError) {
	switch {
	case m.lender != nil:
		return m.lendSource()
	case m.held != nil:
		return m.lendMemory()
	case m.file != nil:
		return m.lendFile()
	}
	return false, nil
}

// lendMemory writes a piece of what is in memory: one, because a client has so long for
// each.
func (m *mover) lendMemory() (lent bool, err *exchange.SendError) {
	piece := m.held.Unread()
	piece = piece[:min(len(piece), copyBytes)]
	if len(piece) == 0 {
		return false, nil
	}
	if m.length >= 0 && int64(len(piece)) > m.length-m.moved {
		return false, m.k.readError(errTooMuch)
	}
	if err := m.memory(piece); err != nil {
		return false, writeError(err)
	}
	m.held.Skip(len(piece))
	m.moved += int64(len(piece))
	return true, nil
}

// lendFile has the kernel move what is on a file.
func (m *mover) lendFile() (lent bool, err *exchange.SendError) {
	k := m.k
	from, n := m.file.File()
	if n < leastSplice || m.chunked || !k.conn.socket.CanSendFile() {
		return false, nil
	}
	if m.length >= 0 && n > m.length-m.moved {
		return false, k.readError(errTooMuch)
	}
	if err := k.flush(); err != nil {
		return false, writeError(err)
	}
	k.conn.spliceBy()
	sent, broke := k.conn.socket.SendFile(from, n)
	k.x.ResponseBytes += sent
	m.file.Sent(sent)
	m.moved += sent
	if read, ok := broke.(*socket.ReadError); ok {
		return false, k.readError(read.Err)
	}
	k.lost(broke)
	return true, writeError(broke)
}

func (m *mover) lendSource() (lent bool, err *exchange.SendError) {
	from, waiting, n, ok := m.lender.SpliceSource()
	if !ok {
		return false, nil
	}
	k := m.k
	if m.length >= 0 && int64(len(waiting))+n > m.length-m.moved {
		return false, k.readError(errTooMuch)
	}
	if failed := m.memory(waiting); failed != nil {
		m.lender.Spliced(0, nil)
		return false, writeError(failed)
	}
	taken := int64(len(waiting))
	var broke error
	if from != nil && n >= leastSplice && !m.chunked && k.conn.socket.CanSplice(from) {
		var moved int64
		moved, err, broke = m.splice(from, n)
		taken += moved
	}
	m.lender.Spliced(taken, broke)
	m.moved += taken
	return taken > 0, err
}

// memory writes what waits in memory, or adds it to what is to be written.
func (m *mover) memory(waiting []byte) error {
	k := m.k
	switch {
	case len(waiting) == 0:
		return nil
	case m.chunked:
		if len(waiting) > cap(k.out)-len(k.out)-chunkRoom {
			if err := k.flush(); err != nil {
				return err
			}
		}
		k.out = message.AppendChunkHead(k.out, len(waiting))
		if len(waiting) > cap(k.out)-len(k.out)-chunkRoom {
			if err := k.flushWith(waiting); err != nil {
				return err
			}
		} else {
			k.out = append(k.out, waiting...)
			k.content += len(waiting)
		}
		k.out = message.AppendChunkTail(k.out)
		return nil
	case len(waiting) >= leastLent || len(waiting) > cap(k.out)-len(k.out):
		return k.flushWith(waiting)
	}
	k.out = append(k.out, waiting...)
	k.content += len(waiting)
	return nil
}

// splice has the kernel move n bytes. broke is how reading failed.
func (m *mover) splice(from *socket.Conn, n int64) (moved int64, failed *exchange.SendError, broke error) {
	k := m.k
	if err := k.flush(); err != nil {
		return 0, writeError(err), nil
	}
	k.conn.spliceBy()
	moved, err := k.conn.socket.Splice(from, n)
	k.x.ResponseBytes += moved
	if read, ok := err.(*socket.ReadError); ok {
		return moved, nil, read.Err
	}
	k.lost(err)
	return moved, writeError(err), nil
}

// spliceBy is for a splice what writeBy is for a write. A write's deadline would
// count the time that is spent waiting for the upstream.
func (c *serverConn) spliceBy() {
	limit := c.server.BodyTimeout
	if limit == 0 {
		return
	}
	if !c.patient {
		c.patient = c.socket.GiveUp(limit)
	}
	if c.patient {
		c.socket.WriteBy(0, 0)
	} else {
		now := exchange.Clock()
		c.socket.WriteBy(now+limit, now)
	}
}
