package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
)

// kind is one kind of traffic. drive begins exchanges one after another until
// loading ends, and returns how many it completed whole. The first one that
// fails is its error.
type kind struct {
	name  string
	drive func(ctx, loading context.Context, v *variants) (int64, error)
}

var traffic = []kind{
	{"h1", driveGets(false, false)},
	{"h1 tls", driveGets(true, false)},
	{"h2c", driveGets(false, true)},
	{"h2", driveGets(true, true)},
	{"websocket", driveSocket},
	{"sse", driveEvents},
	{"grpc stream", driveStream},
	{"slow upload", driveUploads},
}

// client is an HTTP client with one connection that must last.
type client struct {
	http.Client
	base  string
	dials atomic.Int64
}

func newClient(v *variants, secure, h2 bool) *client {
	c := &client{base: "http://" + v.plain}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!h2)
	protocols.SetHTTP2(secure && h2)
	protocols.SetUnencryptedHTTP2(!secure && h2)
	if secure {
		c.base = "https://" + v.secure
	}
	dialer := &net.Dialer{Timeout: 5 * time.Second}
	c.Transport = &http.Transport{
		Protocols:       protocols,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, // the certificate is this soak's own
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			c.dials.Add(1)
			return dialer.DialContext(ctx, network, address)
		},
	}
	return c
}

// close ends the client and says whether its connection lasted.
func (c *client) close() error {
	c.CloseIdleConnections()
	if n := c.dials.Load(); n > 1 {
		return fmt.Errorf("the connection was dropped: %d dials instead of 1", n)
	}
	return nil
}

// do sends a request and checks the response's head: 200, and the same
// generation in all four phases.
func (c *client) do(ctx context.Context, method, path string, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, err
	}
	resp, err := c.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != 200 {
		text, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		return nil, fmt.Errorf("status %d: %.200s", resp.StatusCode, text)
	}
	if err := oneGeneration(resp.Header.Get); err != nil {
		resp.Body.Close()
		return nil, err
	}
	return resp, nil
}

// marks are the fields that carry a generation's number: what the request
// phases told the origin, and what the response phases set.
var marks = []string{"x-edge-told", "x-service-told", "x-service-response", "x-edge-response"}

func oneGeneration(get func(string) string) error {
	first := get(marks[0])
	for _, mark := range marks {
		if n := get(mark); n != first || n == "" {
			return fmt.Errorf("an exchange saw two generations: %s is %q, %s is %q", marks[0], first, mark, n)
		}
	}
	return nil
}

func driveGets(secure, h2 bool) func(ctx, loading context.Context, v *variants) (int64, error) {
	return func(ctx, loading context.Context, v *variants) (n int64, err error) {
		c := newClient(v, secure, h2)
		for ; loading.Err() == nil; n++ {
			resp, err := c.do(ctx, "GET", "/", nil)
			if err != nil {
				return n, err
			}
			text, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil || string(text) != payload {
				return n, fmt.Errorf("body of %d bytes, %v", len(text), err)
			}
			pause(loading, 10*time.Millisecond) // leaves the processors some time for swaps
		}
		return n, c.close()
	}
}

// driveSocket echoes over one WebSocket for as long as the load lasts.
func driveSocket(ctx, loading context.Context, v *variants) (n int64, err error) {
	c, resp, err := websocket.Dial(ctx, "ws://"+v.plain+"/socket", nil)
	if err != nil {
		return 0, err
	}
	defer c.CloseNow()
	if err := oneGeneration(resp.Header.Get); err != nil {
		return 0, err
	}
	for ; loading.Err() == nil; n++ {
		sent := []byte(strconv.FormatInt(n, 10))
		if err := c.Write(ctx, websocket.MessageText, sent); err != nil {
			return n, err
		}
		_, got, err := c.Read(ctx)
		if err != nil || !bytes.Equal(got, sent) {
			return n, fmt.Errorf("sent %q, got %q, %v", sent, got, err)
		}
		pause(loading, 5*time.Millisecond)
	}
	return n, c.Close(websocket.StatusNormalClosure, "")
}

func driveEvents(ctx, loading context.Context, v *variants) (n int64, err error) {
	c := newClient(v, false, false)
	for ; loading.Err() == nil; n++ {
		resp, err := c.do(ctx, "GET", "/events", nil)
		if err != nil {
			return n, err
		}
		lines := 0
		for scanner := bufio.NewScanner(resp.Body); scanner.Scan(); lines++ {
		}
		resp.Body.Close()
		if lines != 2*eventCount {
			return n, fmt.Errorf("%d lines of an event stream instead of %d", lines, 2*eventCount)
		}
	}
	return n, c.close()
}

// driveStream holds gRPC streams open for some round trips each.
func driveStream(ctx, loading context.Context, v *variants) (n int64, err error) {
	var dials atomic.Int64 // the client would dial again without a word
	conn, err := grpc.NewClient("passthrough:"+v.secure,
		grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{InsecureSkipVerify: true})),
		grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
			dials.Add(1)
			return new(net.Dialer).DialContext(ctx, "tcp", address)
		}))
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	for ; loading.Err() == nil; n++ {
		if err := stream(ctx, grpc_testing.NewTestServiceClient(conn)); err != nil {
			return n, err
		}
	}
	if again := dials.Load() - 1; again > 0 {
		return n, fmt.Errorf("the connection was dropped %d times", again)
	}
	return n, nil
}

func stream(ctx context.Context, c grpc_testing.TestServiceClient) error {
	s, err := c.FullDuplexCall(ctx)
	if err != nil {
		return err
	}
	for range 20 {
		err := s.Send(&grpc_testing.StreamingOutputCallRequest{
			ResponseParameters: []*grpc_testing.ResponseParameters{{Size: 100}},
			Payload:            &grpc_testing.Payload{Body: []byte(payload)},
		})
		if err != nil {
			return err
		}
		if _, err := s.Recv(); err != nil {
			return err
		}
		pause(ctx, 10*time.Millisecond)
	}
	head, err := s.Header()
	if err != nil {
		return err
	}
	if err := oneGeneration(func(name string) string { return first(head, name) }); err != nil {
		return err
	}
	if err := s.CloseSend(); err != nil {
		return err
	}
	if _, err := s.Recv(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("end of stream: %w", err)
	}
	return nil
}

func first(md metadata.MD, name string) string {
	if values := md.Get(name); len(values) > 0 {
		return values[0]
	}
	return ""
}

// driveUploads sends bodies piece by piece over many swaps.
func driveUploads(ctx, loading context.Context, v *variants) (n int64, err error) {
	c := newClient(v, false, false)
	for ; loading.Err() == nil; n++ {
		resp, err := c.do(ctx, "POST", "/upload", &trickle{ctx: ctx, pieces: 50})
		if err != nil {
			return n, err
		}
		text, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if want := strconv.Itoa(50 * len(payload)); err != nil || string(text) != want {
			return n, fmt.Errorf("the origin counted %q bytes of %s, %v", text, want, err)
		}
	}
	return n, c.close()
}

// trickle is a body that comes slowly.
type trickle struct {
	ctx    context.Context
	pieces int
}

func (t *trickle) Read(p []byte) (int, error) {
	if t.pieces == 0 {
		return 0, io.EOF
	}
	t.pieces--
	pause(t.ctx, 20*time.Millisecond)
	return copy(p, payload), nil
}

// pause waits, or returns early when ctx ends.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
