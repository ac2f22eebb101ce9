package server_test

import (
	"crypto/sha1"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/hosttest"
)

// connect3 sends an extended CONNECT for a protocol and reads the response's head.
func connect3(t *testing.T, ca *hosttest.CA, addr, protocol string) (*http3.RequestStream, *http.Response) {
	t.Helper()
	conn, err := quic.DialAddr(t.Context(), addr, &tls.Config{RootCAs: ca.Pool(), NextProtos: []string{"h3"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.CloseWithError(0, "") })
	stream, err := (&http3.Transport{}).NewClientConn(conn).OpenRequestStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequest("CONNECT", "https://"+addr+"/chat?a", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Proto = protocol
	req.Header.Set("Sec-WebSocket-Version", "13")
	if err := stream.SendRequestHeader(req); err != nil {
		t.Fatal(err)
	}
	resp, err := stream.ReadResponse()
	if err != nil {
		t.Fatal(err)
	}
	return stream, resp
}

func TestWebSocketOverHTTP3(t *testing.T) {
	ca := hosttest.NewCA(t)
	sent := make(chan *exchange.Exchange, 1)
	upstream := make(chan net.Conn, 1)
	addr := start(t, func(x *exchange.Exchange) {
		if got := fmt.Sprint(x.Request.Method, x.Request.Upgrade, x.Request.Target, x.Request.Body); got != fmt.Sprint("GET", "websocket", "/chat?a", nil) {
			t.Errorf("request: got %s", got)
		}
		key := x.Request.Header.Value("sec-websocket-key")
		if nonce, err := base64.StdEncoding.DecodeString(key); len(nonce) != 16 || err != nil {
			t.Errorf("key: got %q", key)
		}
		sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
		ours, theirs := net.Pipe()
		x.Response.Status, x.Response.Tunnel = 101, ours
		x.Response.Header.Add("Sec-WebSocket-Accept", base64.StdEncoding.EncodeToString(sum[:]))
		x.Response.Header.Add("Sec-WebSocket-Protocol", "chat")
		upstream <- theirs
		x.Sink.Send(x)
		sent <- x
	}, over3(t, ca))
	stream, resp := connect3(t, ca, addr, "websocket")
	if resp.StatusCode != 200 || resp.Header.Get("Sec-WebSocket-Protocol") != "chat" || resp.Header.Get("Sec-WebSocket-Accept") != "" {
		t.Errorf("response: got %d %v", resp.StatusCode, resp.Header)
	}
	origin := <-upstream
	for i := range 10 {
		up, down := fmt.Sprintf("up %d", i), fmt.Sprintf("down %d", i)
		if _, err := io.WriteString(stream, up); err != nil {
			t.Fatal(err)
		}
		expect(t, origin, up)
		if _, err := io.WriteString(origin, down); err != nil {
			t.Fatal(err)
		}
		expect(t, stream, down)
	}
	origin.Close()
	if rest, err := io.ReadAll(stream); len(rest) > 0 || err != nil {
		t.Errorf("at the end: got %q, %v", rest, err)
	}
	stream.Close()
	if x := <-sent; x.RequestBytes != 40 || x.ResponseBytes != 60 || x.Response.Status != 101 {
		t.Errorf("counted %d bytes up, %d down, status %d", x.RequestBytes, x.ResponseBytes, x.Response.Status)
	}
}

func TestWebSocketClientThatLeavesHTTP3(t *testing.T) {
	ca := hosttest.NewCA(t)
	upstream := make(chan net.Conn, 1)
	addr := start(t, func(x *exchange.Exchange) {
		sum := sha1.Sum([]byte(x.Request.Header.Value("sec-websocket-key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
		ours, theirs := net.Pipe()
		x.Response.Status, x.Response.Tunnel = 101, ours
		x.Response.Header.Add("Sec-WebSocket-Accept", base64.StdEncoding.EncodeToString(sum[:]))
		upstream <- theirs
		x.Sink.Send(x)
	}, over3(t, ca))
	stream, _ := connect3(t, ca, addr, "websocket")
	stream.CancelRead(quic.StreamErrorCode(http3.ErrCodeRequestCanceled))
	stream.CancelWrite(quic.StreamErrorCode(http3.ErrCodeRequestCanceled))
	if _, err := io.ReadAll(<-upstream); err != nil {
		t.Errorf("upstream: got %v, want the end", err)
	}
}

func TestConnectOverHTTP3IsRefused(t *testing.T) {
	ca := hosttest.NewCA(t)
	addr := start(t, func(x *exchange.Exchange) { answer(x, 200, "without a switch") }, over3(t, ca))
	for protocol, want := range map[string]int{"connect-udp": 501, "websocket": 502} {
		if _, resp := connect3(t, ca, addr, protocol); resp.StatusCode != want {
			t.Errorf("%s: got %d, want %d", protocol, resp.StatusCode, want)
		}
	}
}

// A response that is no success goes on as it is.
func TestWebSocketRefusedOverHTTP3(t *testing.T) {
	ca := hosttest.NewCA(t)
	addr := start(t, func(x *exchange.Exchange) { answer(x, 403, "no") }, over3(t, ca))
	stream, resp := connect3(t, ca, addr, "websocket")
	body, err := io.ReadAll(resp.Body)
	if resp.StatusCode != 403 || string(body) != "no" || err != nil {
		t.Errorf("got %d %q, %v", resp.StatusCode, body, err)
	}
	stream.Close()
}
