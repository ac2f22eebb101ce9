package http1

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync/atomic"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/http1/socket"
)

// join writes the head of a response with status 101, which is in out, and moves
// bytes both ways until both directions have ended.
func (k *call) join() *exchange.SendError {
	upstream := k.x.Response.Tunnel
	defer upstream.Close()
	k.tunneled = true
	if err := k.flush(); err != nil {
		return writeError(err)
	}
	k.conn.ignore() // a client that is half closed is welcome
	k.conn.socket.ReadBy(0, 0)
	k.conn.socket.WriteBy(0, 0)
	t := &tunnel{client: k.conn.socket, upstream: upstream, buffers: &k.conn.server.inputs}
	if lender, ok := upstream.(Spliceable); ok {
		if below, _, _, ok := lender.SpliceSource(); ok {
			t.lender, t.below = lender, below
			lender.Spliced(0, nil)
		}
	}
	early := k.in.fresh()
	if k.conn.ahead {
		early = append(slices.Clone(early), k.conn.one[0])
	}
	return t.run(&k.x, early)
}

// tunnel is a pair of joined connections.
type tunnel struct {
	client   *socket.Conn
	upstream io.ReadWriteCloser
	lender   Spliceable   // upstream, if it is that
	below    *socket.Conn // of upstream, if it is known
	buffers  *socket.Buffers
	received atomic.Int64 // bytes from the client
}

// run moves bytes until both directions have ended, one has broken, or the
// exchange's context ends. early is what the client sent along with its request.
func (t *tunnel) run(x *exchange.Exchange, early []byte) *exchange.SendError {
	stop := context.AfterFunc(x.Context(), t.close)
	defer stop()
	up := make(chan error, 1)
	go func() { up <- t.toUpstream(early) }()

	sent, downErr := t.toClient()
	x.ResponseBytes += sent
	if downErr != nil || t.client.CloseWrite() != nil {
		t.close()
	}
	upErr := <-up
	x.RequestBytes += t.received.Load()
	t.client.Close()
	if upErr != nil || downErr != nil {
		return &exchange.SendError{Err: errors.Join(downErr, upErr)}
	}
	return nil
}

// toClient moves what the upstream sends.
func (t *tunnel) toClient() (moved int64, err error) {
	if t.below == nil {
		buf := t.buffers.Take()
		defer t.buffers.Give(buf)
		return io.CopyBuffer(writerOnly{t.client}, readerOnly{t.upstream}, buf)
	}
	_, waiting, _, _ := t.lender.SpliceSource()
	if len(waiting) > 0 {
		var n int
		n, err = t.client.Write(waiting)
		moved = int64(n)
	}
	t.lender.Spliced(moved, nil)
	if err == nil {
		var more int64
		more, err = relay(t.client, t.client, t.below, t.buffers)
		moved += more
	}
	return moved, err
}

// toUpstream moves what the client sends.
func (t *tunnel) toUpstream(early []byte) (err error) {
	if len(early) > 0 {
		var n int
		n, err = t.upstream.Write(early)
		t.received.Add(int64(n))
	}
	if err == nil {
		var more int64
		more, err = relay(t.upstream, t.below, t.client, t.buffers)
		t.received.Add(more)
	}
	if err != nil || !halfClose(t.upstream) {
		t.close()
	}
	return err
}

// rushing is how many reads that fill their buffer tell that the kernel should
// move what follows.
const rushing = 4

// rush is how much the kernel moves then, before that is looked at again.
const rush = 1 << 20

// relay moves bytes until the end of from. While nothing comes it holds no
// buffer, and no pipe. below is the connection of to, nil if that is not known.
func relay(to io.Writer, below, from *socket.Conn, b *socket.Buffers) (moved int64, err error) {
	for full := 0; ; {
		buf, n, err := from.ReadFirst(b)
		if err != nil {
			return moved, unlessEnd(err)
		}
		if n == len(buf) {
			full++
		} else {
			full = 0
		}
		written, err := to.Write(buf[:n])
		b.Give(buf)
		moved += int64(written)
		if err != nil {
			return moved, err
		}
		if full >= rushing && below != nil && below.CanSplice(from) {
			full = 0
			n, err := below.Splice(from, rush)
			moved += n
			if err != nil {
				return moved, unlessEnd(err)
			}
		}
	}
}

// unlessEnd is err, nil if it says that all was read.
func unlessEnd(err error) error {
	if err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}

// halfClose tells one side that the other has sent its last byte.
func halfClose(side any) bool {
	half, ok := side.(interface{ CloseWrite() error })
	return ok && half.CloseWrite() == nil
}

func (t *tunnel) close() {
	t.client.Interrupt()
	t.client.Close()
	t.upstream.Close()
}

// readerOnly and writerOnly hide what io.Copy would rather use than a buffer.
type (
	readerOnly struct{ io.Reader }
	writerOnly struct{ io.Writer }
)
