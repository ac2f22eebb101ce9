package http1

import (
	"errors"
	"io"
	"strings"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/http1/message"
)

var errTooMuch = errors.New("the body is longer than its length")

// sendBody writes the head, which is in out, and the body.
func (k *call) sendBody() *exchange.SendError {
	resp := &k.x.Response
	length := resp.Length
	switch {
	case !k.hasContent():
		return writeError(k.flush())
	case resp.Body == nil && length > 0:
		k.flush()
		return &exchange.SendError{Upstream: true, Err: io.ErrUnexpectedEOF}
	case resp.Body == nil:
		return k.sendEnd()
	}
	m := mover{k: k, body: resp.Body, length: length, chunked: k.response.Framing.Chunked}
	switch body := resp.Body.(type) {
	case Spliceable:
		m.lender = body
	case InMemory:
		m.held = body
	case OnFile:
		m.file = body
	}
	m.ready, _ = resp.Body.(Ready)
	m.prompt = length < 0 || isStream(&resp.Header)
	if err := m.move(); err != nil {
		return err
	}
	return k.sendEnd()
}

// sendEnd writes what is left, and the end of a chunked body.
func (k *call) sendEnd() *exchange.SendError {
	if k.response.Framing.Chunked {
		var err error
		if k.out, err = message.AppendLastChunk(k.out, &k.x.Response.Trailer); err != nil {
			k.flush()
			return k.readError(err)
		}
	}
	return writeError(k.flush())
}

func writeError(err error) *exchange.SendError {
	if err == nil {
		return nil
	}
	return &exchange.SendError{Err: err}
}

// readError blames the upstream, unless the body broke because the client left.
func (k *call) readError(err error) *exchange.SendError {
	return &exchange.SendError{Upstream: !k.Gone(), Err: err}
}

// isStream tells bodies that are read as they come, whatever their length.
func isStream(h *exchange.Header) bool {
	contentType, _ := h.GetKnown(exchange.ContentType)
	return strings.HasPrefix(contentType, "text/event-stream") || strings.HasPrefix(contentType, "application/grpc")
}

// mover moves a response's body to the client. What is written is held back only
// while more is there without a wait.
type mover struct {
	k       *call
	body    io.Reader
	lender  Spliceable // body, if it is that
	held    InMemory   // likewise
	file    OnFile     // likewise
	ready   Ready      // likewise
	length  int64      // exchange.UnknownLength if that is what it is
	moved   int64
	chunked bool
	prompt  bool // the head does not wait for the body
	empty   int  // reads without a byte, one after the other
}

// Sizes of what is moved.
const (
	lineEnd   = len("\r\n")
	chunkRoom = len("ffffffff\r\n") + lineEnd // what a chunk takes besides its data
	leastRead = 2 << 10                       // room to read into
	maxEmpty  = 100
)

func (m *mover) move() *exchange.SendError {
	k := m.k
	for {
		lent, err := m.lend()
		if err != nil {
			return err
		}
		if lent {
			if m.moved == m.length {
				return nil
			}
			continue
		}
		if (m.prompt || k.content > 0) && (m.ready == nil || !m.ready.Ready()) || !m.hasRoom() {
			if err := k.flush(); err != nil {
				return writeError(err)
			}
		}
		m.makeRoom()
		n, readErr := m.body.Read(m.room())
		if done, err := m.took(n, readErr); done || err != nil {
			return err
		}
	}
}

// took puts n bytes that were read to what is to be written.
func (m *mover) took(n int, readErr error) (done bool, err *exchange.SendError) {
	k := m.k
	if m.length >= 0 && m.moved+int64(n) > m.length {
		n, readErr = int(m.length-m.moved), errTooMuch
	}
	m.frame(n)
	m.moved += int64(n)
	if n > 0 {
		m.empty = 0
	} else if m.empty++; m.empty > maxEmpty && readErr == nil {
		readErr = io.ErrNoProgress
	}
	switch {
	case readErr == nil:
		return false, nil
	case readErr != io.EOF:
	case m.moved < m.length:
		readErr = io.ErrUnexpectedEOF
	default:
		return true, nil
	}
	failed := k.readError(readErr)
	k.flush()
	return true, failed
}

// hasRoom reports whether there is enough behind what is to be written.
func (m *mover) hasRoom() bool { return cap(m.k.out)-len(m.k.out) >= leastRead+chunkRoom }

// makeRoom goes on in a larger buffer if the body is large.
func (m *mover) makeRoom() {
	if len(m.k.out) == 0 && (m.length-m.moved > inputBytes || m.length < 0 && m.moved > inputBytes) || !m.hasRoom() {
		m.k.enlarge()
	}
}

// room is what the body is read into.
func (m *mover) room() []byte {
	out := m.k.out
	if m.chunked {
		return out[len(out)+chunkRoom-lineEnd : cap(out)-lineEnd]
	}
	return out[len(out):cap(out)]
}

// frame adds n bytes that are in room.
func (m *mover) frame(n int) {
	k := m.k
	k.content += n
	if !m.chunked {
		k.out = k.out[:len(k.out)+n]
		return
	}
	if n == 0 {
		return
	}
	data := m.room()[:n]
	k.out = message.AppendChunkHead(k.out, n)
	k.out = append(k.out, data...)
	k.out = message.AppendChunkTail(k.out)
}
