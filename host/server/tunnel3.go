package server

import (
	"context"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"io"
	"net/http"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/ergoproxy/ergo/host/exchange"
)

// websocket is the protocol that an extended CONNECT may ask for. HTTP/3 alone
// offers it (RFC 9220); the library for HTTP/2 can't be told to.
const websocket = "websocket"

// receiveConnect makes an extended CONNECT what it is on HTTP/1.1: a GET with an
// upgrade. The key, which only HTTP/1.1 has, is made here.
func (c *call) receiveConnect() (status int) {
	if c.r.ProtoMajor != 3 || c.r.Proto != websocket {
		return http.StatusNotImplemented
	}
	var nonce [16]byte
	rand.Read(nonce[:])
	c.key = base64.StdEncoding.EncodeToString(nonce[:])
	c.r.Header["Sec-Websocket-Key"] = []string{c.key}
	c.x.Request.Method, c.x.Request.Upgrade = http.MethodGet, websocket
	return 0
}

var (
	errNotSwitched = errors.New("success without a switch of protocols, which over HTTP/3 would say that there was one")
	errWrongAccept = errors.New("the upstream's Sec-WebSocket-Accept is not that of the key")
)

// switched tells why a response can't say to an extended CONNECT that it is met.
func (c *call) switched() error {
	resp := &c.x.Response
	switch {
	case resp.Status != http.StatusSwitchingProtocols || resp.Tunnel == nil:
		return errNotSwitched
	case resp.Header.Value("sec-websocket-accept") != accept(c.key):
		return errWrongAccept
	}
	return nil
}

// accept is the answer to a key (RFC 6455, 4.2.2).
func accept(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// join writes the head of a response with status 101, as HTTP/3 says it, and moves
// bytes both ways until both directions have ended, or one has broken.
func (c *call) join() *exchange.SendError {
	resp := &c.x.Response
	defer resp.Tunnel.Close()
	header := c.w.Header()
	resp.Header.Del("Sec-WebSocket-Accept")
	setHeader(header, &resp.Header)
	c.w.WriteHeader(http.StatusOK)
	c.writing.begin()
	stream, err := c.w.(http3.HTTPStreamer).HTTPStream()
	c.writing.end()
	if err != nil {
		return &exchange.SendError{Err: err}
	}
	c.writing.stop() // from here on both may be silent
	t := &tunnel3{client: stream, upstream: resp.Tunnel}
	return t.run(&c.x)
}

// tunnel3 is a stream of HTTP/3 and a connection, joined.
type tunnel3 struct {
	client   *http3.Stream
	upstream io.ReadWriteCloser
}

func (t *tunnel3) run(x *exchange.Exchange) *exchange.SendError {
	stop := context.AfterFunc(x.Context(), t.close)
	type part struct {
		n   int64
		err error
	}
	up := make(chan part, 1)
	go func() {
		n, err := io.Copy(t.upstream, t.client)
		half, ok := t.upstream.(interface{ CloseWrite() error })
		if err != nil || !ok || half.CloseWrite() != nil {
			t.close()
		}
		up <- part{n, err}
	}()
	n, downErr := io.Copy(t.client, t.upstream)
	stop() // the context of a stream ends with its writing direction
	if downErr != nil || t.client.Close() != nil {
		t.close()
	}
	received := <-up
	x.ResponseBytes += n
	x.RequestBytes += received.n
	if downErr != nil { // that the client has more to say to an upstream that is done does not matter
		return &exchange.SendError{Err: errors.Join(downErr, received.err)}
	}
	return nil
}

// close breaks off both directions.
func (t *tunnel3) close() {
	t.client.CancelRead(quic.StreamErrorCode(http3.ErrCodeConnectError))
	t.client.CancelWrite(quic.StreamErrorCode(http3.ErrCodeConnectError))
	t.upstream.Close()
}
