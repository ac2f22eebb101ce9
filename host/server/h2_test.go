package server_test

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// h2Conn is a connection that a test speaks HTTP/2 on frame by frame.
type h2Conn struct {
	*http2.Framer
	t       testing.TB
	encoded bytes.Buffer
	encoder *hpack.Encoder
	leaving bool // a GOAWAY is in order
}

func dialH2(t testing.TB, addr string) *h2Conn {
	t.Helper()
	socket, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { socket.Close() })
	socket.SetDeadline(time.Now().Add(20 * time.Second))
	c := &h2Conn{Framer: http2.NewFramer(socket, socket), t: t}
	c.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	c.encoder = hpack.NewEncoder(&c.encoded)
	io.WriteString(socket, http2.ClientPreface)
	c.WriteSettings()
	return c
}

// headers opens a stream, or ends it with trailers.
func (c *h2Conn) headers(stream uint32, end bool, fields ...string) {
	c.t.Helper()
	c.encoded.Reset()
	for i := 0; i < len(fields); i += 2 {
		c.encoder.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	err := c.WriteHeaders(http2.HeadersFrameParam{
		StreamID: stream, BlockFragment: c.encoded.Bytes(), EndHeaders: true, EndStream: end,
	})
	if err != nil {
		c.t.Fatalf("write headers: %v", err)
	}
}

// next returns the next frame of a stream, answering what the connection asks.
func (c *h2Conn) next(stream uint32) http2.Frame {
	c.t.Helper()
	for {
		frame, err := c.ReadFrame()
		if err != nil {
			c.t.Fatalf("read frame: %v", err)
		}
		switch f := frame.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				c.WriteSettingsAck()
			}
		case *http2.PingFrame:
			c.WritePing(true, f.Data)
		case *http2.GoAwayFrame:
			if !c.leaving {
				c.t.Fatalf("got %v", f)
			}
		}
		if _, window := frame.(*http2.WindowUpdateFrame); frame.Header().StreamID == stream && !window {
			return frame
		}
	}
}

// status reads the head of a response and returns its status, or "reset" if the
// stream was reset instead.
func (c *h2Conn) status(stream uint32) string {
	c.t.Helper()
	switch frame := c.next(stream).(type) {
	case *http2.MetaHeadersFrame:
		return frame.PseudoValue("status")
	case *http2.RSTStreamFrame:
		return "reset"
	default:
		c.t.Fatalf("stream %d: got %v, want a head", stream, frame)
		return ""
	}
}

// maxStreams reads the server's settings.
func (c *h2Conn) maxStreams() uint32 {
	c.t.Helper()
	settings, ok := c.next(0).(*http2.SettingsFrame)
	if !ok {
		c.t.Fatalf("got %T, want settings", settings)
	}
	streams, _ := settings.Value(http2.SettingMaxConcurrentStreams)
	return streams
}

// statusBeforeGoAway is status on a connection that is told to end.
func (c *h2Conn) statusBeforeGoAway(stream uint32) string {
	c.leaving = true
	return c.status(stream)
}
