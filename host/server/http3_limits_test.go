package server_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/hosttest"
	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/server"
)

func TestHTTP3ManyStreams(t *testing.T) {
	ca := hosttest.NewCA(t)
	listener := over3(t, ca)
	listener.Limits.Streams = 8
	var now, most atomic.Int64
	addr := start(t, func(x *exchange.Exchange) {
		raise(&most, now.Add(1))
		defer now.Add(-1)
		answer(x, 200, x.Request.Target)
	}, listener)
	c := client3(t, ca)
	var group sync.WaitGroup
	for i := range 200 {
		group.Go(func() {
			path := fmt.Sprintf("/%d", i)
			resp, err := c.Get("https://" + addr + path)
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			if body, err := io.ReadAll(resp.Body); string(body) != path || err != nil {
				t.Errorf("%s: got %q, %v", path, body, err)
			}
		})
	}
	group.Wait()
	if got := most.Load(); got > 8 {
		t.Errorf("%d exchanges at once on one connection, want 8 at most", got)
	}
}

func raise(most *atomic.Int64, n int64) {
	for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
	}
}

// A client that gives up what it asked for, again and again, has no more carried
// at once than it may ask for.
func TestHTTP3RapidReset(t *testing.T) {
	ca := hosttest.NewCA(t)
	listener := over3(t, ca)
	listener.Limits.Streams = 4
	over := make(chan struct{})
	var now, most atomic.Int64
	addr := start(t, func(x *exchange.Exchange) {
		raise(&most, now.Add(1))
		defer now.Add(-1)
		if x.Request.Target == "/hang" {
			<-over
		}
		answer(x, 200, "ok")
	}, listener)
	defer close(over)
	conn, err := quic.DialAddr(t.Context(), addr, &tls.Config{RootCAs: ca.Pool(), NextProtos: []string{"h3"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	attack, stop := context.WithCancel(t.Context())
	var attacker sync.WaitGroup
	attacker.Go(func() {
		c := (&http3.Transport{}).NewClientConn(conn)
		req, _ := http.NewRequest("GET", "https://"+addr+"/hang", nil)
		for n := 0; ; n++ {
			stream, err := c.OpenRequestStream(attack)
			if err != nil || stream.SendRequestHeader(req) != nil {
				return
			}
			if n%2 == 0 {
				stream.Close()
			} else {
				stream.CancelWrite(quic.StreamErrorCode(http3.ErrCodeRequestCanceled))
			}
			stream.CancelRead(quic.StreamErrorCode(http3.ErrCodeRequestCanceled))
		}
	})
	hosttest.Eventually(t, func() bool { return now.Load() == 4 }, "as much is carried as allowed")
	for range 10 {
		if _, body := get3(t, client3(t, ca), "GET", "https://"+addr, nil); body != "ok" {
			t.Errorf("another client: got %q", body)
		}
	}
	stop()
	attacker.Wait()
	if got := most.Load(); got > 4+1 { // one of another client
		t.Errorf("%d exchanges at once, want 4 at most", got-1)
	}
	conn.CloseWithError(0, "")
}

func TestHTTP3SilentClientIsGivenUp(t *testing.T) {
	ca := hosttest.NewCA(t)
	brief := over3(t, ca)
	brief.Limits.BodyTimeout = manifest.Duration(50 * time.Millisecond)
	failed := make(chan error, 1)
	addr := start(t, func(x *exchange.Exchange) {
		_, err := io.Copy(io.Discard, x.Request.Body)
		failed <- err
		answer(x, 408, "")
	}, brief)
	body, in := io.Pipe()
	defer in.Close()
	go io.WriteString(in, "abc")
	resp, err := client3(t, ca).Post("https://"+addr, "text/plain", body)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if err := <-failed; resp.StatusCode != 408 || !errors.As(err, new(*exchange.BodyError)) {
		t.Errorf("got %d after %v", resp.StatusCode, err)
	}
}

func TestHTTP3HeaderBounds(t *testing.T) {
	ca := hosttest.NewCA(t)
	listener := over3(t, ca)
	listener.Limits.HeaderBytes, listener.Limits.HeaderCount = 2<<10, 16
	addr := start(t, func(x *exchange.Exchange) { answer(x, 200, "") }, listener)
	c := client3(t, ca)
	for _, test := range []struct {
		name        string
		count, size int
		want        int
	}{{"fits", 10, 100, 200}, {"too many", 17, 1, 431}, {"too large", 1, 2 << 10, 431}, {"far too large", 1, 100 << 10, 431}} {
		var fields []string
		for i := range test.count {
			fields = append(fields, fmt.Sprint("X-", i), strings.Repeat("x", test.size))
		}
		if resp, _ := get3(t, c, "GET", "https://"+addr, nil, fields...); resp.StatusCode != test.want {
			t.Errorf("%s: got %d, want %d", test.name, resp.StatusCode, test.want)
		}
	}
}

func TestHTTP3ConnectionBounds(t *testing.T) {
	ca := hosttest.NewCA(t)
	listener := over3(t, ca)
	listener.Limits.Connections = 2
	s := server.New(handlerFunc(func(x *exchange.Exchange) { answer(x, 200, "ok") }), server.Options{Log: logTo(t)})
	stopAtEnd(t, s)
	apply(t, s, listener)
	url := "https://" + s.Addrs()["test"].String()
	one := transport3(t, &tls.Config{RootCAs: ca.Pool()})
	get3(t, &http.Client{Transport: one}, "GET", url, nil)
	get3(t, client3(t, ca), "GET", url, nil)
	if got := s.Connections(); got != 2 {
		t.Errorf("got %d connections, want 2", got)
	}
	if resp, err := client3(t, ca).Get(url); err == nil {
		t.Errorf("a third one: got %d, want it refused", resp.StatusCode)
	}
	if s.Refused() == 0 {
		t.Error("no refusal was counted")
	}
	one.Close()
	hosttest.Eventually(t, func() bool { return s.Connections() == 1 }, "a closed connection is counted out")
	get3(t, client3(t, ca), "GET", url, nil)
}

func TestHTTP3IdleConnectionEnds(t *testing.T) {
	ca := hosttest.NewCA(t)
	listener := over3(t, ca)
	listener.Limits.IdleTimeout = manifest.Duration(50 * time.Millisecond)
	s := server.New(handlerFunc(func(x *exchange.Exchange) { answer(x, 200, "ok") }), server.Options{Log: logTo(t)})
	stopAtEnd(t, s)
	apply(t, s, listener)
	get3(t, client3(t, ca), "GET", "https://"+s.Addrs()["test"].String(), nil)
	hosttest.Eventually(t, func() bool { return s.Connections() == 0 }, "an idle connection is closed")
}
