package http1

import (
	"bytes"
	"io"
	"time"
	"unsafe"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/http1/message"
)

// atOnce is how much of a body is written without anybody to look for a response
// meanwhile: what sockets take without the server's help.
const atOnce = 32 << 10

// send sends the request, or begins to: with a pump it goes on meanwhile.
func (t *Trip) send(now time.Duration) error {
	t.out = t.Client.Buffers.Take()
	defer t.giveOut()
	head, err := message.AppendRequestHead(t.out[:0], &t.Request)
	if err != nil {
		return err
	}
	t.Conn.WriteBy(t.by, now)
	if !t.Request.Framing.HasBody() {
		return t.writeLast(head, nil)
	}
	if t.Body == nil && !t.Request.Framing.Chunked && int64(len(t.Whole)) != t.Request.Framing.Length {
		return ErrBodyLength
	}
	if t.expects() {
		if err := t.write(head, nil); err != nil {
			return err
		}
		if err := t.awaitContinue(now); err != nil || t.answered {
			return err
		}
		head = t.out[:0]
	}
	return t.sendBody(head)
}

// expects reports whether the server is to be asked before the body is sent.
func (t *Trip) expects() bool {
	expectation, ok := t.Request.Header.GetKnown(exchange.Expect)
	return ok && exchange.EqualFold(expectation, "100-continue")
}

// sendBody sends what is behind head, and head itself with it.
func (t *Trip) sendBody(head []byte) error {
	if t.Body == nil && !t.Request.Framing.Chunked && len(t.Whole) <= atOnce {
		return t.writeLast(head, t.Whole)
	}
	f := feed{body: t.Body, chunked: t.Request.Framing.Chunked, left: t.Request.Framing.Length, trailers: t.Trailers}
	if f.body == nil {
		f.body = bytes.NewReader(t.Whole)
	}
	message, err := f.appendReady(head, t.Body == nil)
	if err != nil {
		return err
	}
	if f.ended {
		if ready, ok := f.body.(Ready); ok && !f.eof && ready.Ready() {
			err = f.surplus(make([]byte, 1))
		}
		if err != nil {
			return err
		}
		return t.writeLast(message, nil)
	}
	if err := t.write(message, nil); err != nil {
		return err
	}
	// From now on only whoever reads the response knows when it is too late.
	t.Conn.WriteBy(0, exchange.Clock())
	t.pump = startPump(t.Conn, t.Client.Buffers, f)
	return nil
}

func (t *Trip) write(head, body []byte) error {
	if len(head)+len(body) == 0 {
		return nil
	}
	if !t.tried {
		t.tried = true
		if err := t.Conn.Unasked(); err != nil {
			return err
		}
	}
	n, err := t.Conn.WriteTwo(head, body)
	t.wrote = t.wrote || n > 0
	t.broken = err != nil && t.wrote
	return err
}

// writeLast writes what the request ends with, and waits for what comes for it. The
// head is given back meanwhile.
func (t *Trip) writeLast(head, body []byte) error {
	if t.tried { // what is there may be an answer
		err := t.write(head, body)
		t.sent = err == nil
		return err
	}
	if unsafe.SliceData(head) == unsafe.SliceData(t.out) {
		t.out = nil
	}
	t.tried = true
	wrote, buf, n, err := t.Conn.Ask(head, body, t.Client.Buffers)
	t.wrote = t.wrote || wrote > 0
	t.sent = wrote == len(head)+len(body)
	t.broken = !t.sent && t.wrote
	if n > 0 {
		t.first(buf, n)
	}
	return err
}

func (t *Trip) giveOut() {
	t.Client.Buffers.Give(t.out)
	t.out = nil
}

// feed is a request's body as it is sent.
type feed struct {
	body     io.Reader
	chunked  bool
	left     int64 // of a body with a length
	trailers *exchange.Header
	ended    bool // with the last byte
	eof      bool
}

// Room that a chunk needs beside its data, and the least that is worth a read.
const (
	chunkHead = len("ffff\r\n")
	chunkTail = len("\r\n0\r\n\r\n")
	maxChunk  = 0xffff
	leastData = 512
)

// appendReady appends what of the body is to be had without waiting and finds
// room in dst. inMemory says that nothing has to be waited for.
func (f *feed) appendReady(dst []byte, inMemory bool) ([]byte, error) {
	ready, _ := f.body.(Ready)
	for !f.ended && cap(dst)-len(dst) >= chunkHead+leastData+chunkTail {
		if !inMemory && (ready == nil || !ready.Ready()) {
			break
		}
		var err error
		if dst, err = f.read(dst); err == nil && f.eof {
			dst, err = f.end(dst)
		}
		if err != nil {
			return dst, err
		}
	}
	return dst, nil
}

// read appends what one read yields, in its frame, within the capacity of dst.
// After the last byte of a body with a length it is ended.
func (f *feed) read(dst []byte) ([]byte, error) {
	start := len(dst)
	room := dst[start:cap(dst)]
	if f.chunked {
		room = room[chunkHead:min(len(room)-chunkTail, chunkHead+maxChunk)]
	} else if int64(len(room)) > f.left {
		room = room[:f.left]
	}
	n, err := f.body.Read(room)
	f.eof = err == io.EOF
	if err != nil && !f.eof {
		return dst, err
	}
	if f.chunked {
		return f.frame(dst, room[:n]), nil
	}
	f.left -= int64(n)
	f.ended = f.left == 0
	if f.eof && !f.ended {
		return dst, ErrBodyLength
	}
	return dst[:start+n], nil
}

// frame makes a chunk of data that is in dst's memory already.
func (f *feed) frame(dst, data []byte) []byte {
	if len(data) == 0 {
		return dst
	}
	dst = message.AppendChunkHead(dst, len(data))
	dst = append(dst, data...)
	return message.AppendChunkTail(dst)
}

// end appends what stands behind a chunked body's data.
func (f *feed) end(dst []byte) ([]byte, error) {
	if f.ended {
		return dst, nil
	}
	f.ended = true
	return message.AppendLastChunk(dst, f.trailers)
}

// surplus looks whether a body with a length is longer than that.
func (f *feed) surplus(scratch []byte) error {
	if f.chunked || f.eof {
		return nil
	}
	switch n, err := f.body.Read(scratch[:1]); {
	case n > 0:
		return ErrBodyLength
	case err != nil && err != io.EOF:
		return err
	}
	return nil
}
