package server_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/hosttest"
	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/server"
)

// gate is a handler whose exchanges wait at /wait until they may go on.
type gate struct{ began, goOn chan struct{} }

func newGate() *gate { return &gate{began: make(chan struct{}, 10), goOn: make(chan struct{})} }

func (g *gate) serve(x *exchange.Exchange) {
	if x.Request.Target == "/wait" {
		g.began <- struct{}{}
		<-g.goOn
	}
	answer(x, 200, x.Conn.Listener)
}

// wait sends a request that waits at the gate, and returns how it will end.
func (g *gate) wait(c *http.Client, addr string) (end func() string) {
	result := make(chan string, 1)
	go func() {
		resp, err := c.Get("https://" + addr + "/wait")
		if err != nil {
			result <- err.Error()
			return
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			result <- err.Error()
			return
		}
		result <- string(body)
	}()
	<-g.began
	return func() string { return <-result }
}

// udpFree reports whether a UDP port can be bound.
func udpFree(addr string) bool {
	c, err := net.ListenPacket("udp", addr)
	if err == nil {
		c.Close()
	}
	return err == nil
}

// dial3 tries to make a new connection.
func dial3(ca *hosttest.CA, addr string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	c, err := quic.DialAddr(ctx, addr, &tls.Config{RootCAs: ca.Pool(), NextProtos: []string{"h3"}}, nil)
	if err == nil {
		c.CloseWithError(0, "")
	}
	return err
}

func TestHTTP3ShutdownLetsExchangesEnd(t *testing.T) {
	ca, g := hosttest.NewCA(t), newGate()
	s := server.New(handlerFunc(g.serve), server.Options{Log: logTo(t)})
	apply(t, s, over3(t, ca))
	addr := s.Addrs()["test"].String()
	c := client3(t, ca)
	end := g.wait(c, addr)
	down := make(chan error, 1)
	go func() { down <- s.Shutdown(context.Background()) }()
	refused(t, addr)
	hosttest.Eventually(t, func() bool { return dial3(ca, addr) != nil }, "no new connection is accepted")
	close(g.goOn)
	if got := end(); got != "test" {
		t.Errorf("got %q, want the exchange to end in order", got)
	}
	if err := <-down; err != nil {
		t.Errorf("shutdown: got %v", err)
	}
	hosttest.Eventually(t, func() bool { return udpFree(addr) }, "the socket is closed")
}

func TestHTTP3ShutdownDeadlineIsHard(t *testing.T) {
	ca := hosttest.NewCA(t)
	began, ended := make(chan struct{}), make(chan struct{})
	s := server.New(handlerFunc(func(x *exchange.Exchange) {
		close(began)
		<-x.Context().Done()
		close(ended)
	}), server.Options{Log: logTo(t)})
	apply(t, s, over3(t, ca))
	addr := s.Addrs()["test"].String()
	c := client3(t, ca)
	go func() {
		req, _ := http.NewRequestWithContext(t.Context(), "GET", "https://"+addr, nil)
		if resp, err := c.Do(req); err == nil {
			resp.Body.Close()
		}
	}()
	<-began
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("shutdown: got %v, want the context's error", err)
	}
	<-ended
}

// A listener that goes leaves its connections their socket; one that comes to the
// address meanwhile shares it.
func TestHTTP3SocketIsTakenOver(t *testing.T) {
	ca, g := hosttest.NewCA(t), newGate()
	s := server.New(handlerFunc(g.serve), server.Options{Log: logTo(t)})
	stopAtEnd(t, s)
	listener := over3(t, ca)
	listener.Address = freeAddress(t)
	addr := listener.Address
	apply(t, s, listener)
	old := client3(t, ca)
	end := g.wait(old, addr)

	for _, step := range []struct {
		name  string
		apply func()
	}{
		{"removed", func() { apply(t, s) }},
		{"back", func() { apply(t, s, listener) }},
		{"without HTTP/3", func() {
			without := listener
			without.HTTP3 = false
			apply(t, s, without)
		}},
		{"aborted", func() {
			change, err := s.Prepare([]manifest.Listener{listener})
			if err != nil {
				t.Fatal(err)
			}
			change.Abort()
		}},
	} {
		step.apply()
		err := dial3(ca, addr)
		if want := step.name == "back"; (err == nil) != want {
			t.Errorf("%s: new connection: %v, want one %v", step.name, err, want)
		}
		if udpFree(addr) {
			t.Errorf("%s: the socket is closed while a connection needs it", step.name)
		}
	}
	listener.Name = "new"
	apply(t, s, listener)
	if _, body := get3(t, client3(t, ca), "GET", "https://"+addr, nil); body != "new" {
		t.Errorf("new connection: got %q, want new settings", body)
	}
	close(g.goOn)
	if got := end(); got != "test" {
		t.Errorf("old exchange: got %q, want it to end under the settings it came under", got)
	}
	apply(t, s)
	hosttest.Eventually(t, func() bool { return udpFree(addr) }, "the socket is closed when nobody has it")
}

func TestHTTP3Problems(t *testing.T) {
	ca := hosttest.NewCA(t)
	taken, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	clash := over3(t, ca)
	clash.Address = taken.LocalAddr().String()
	plain := named("plain")
	plain.HTTP3 = true
	_, err = newServer(t).Prepare([]manifest.Listener{clash, plain})
	var problems server.Problems
	if !errors.As(err, &problems) || len(problems) != 2 || problems[0].Path != "http3" || problems[1].Path != "http3" {
		t.Fatalf("got %v, want two problems at http3", err)
	}
	if c, err := net.Listen("tcp", clash.Address); err != nil {
		t.Errorf("the port of TCP was not given back: %v", err)
	} else {
		c.Close()
	}
}

// TestHTTP3ChangesUnderLoad hammers changes while clients come and go, and HTTP/3
// with them: no exchange may fail on a connection that is there, and none on a
// listener that stays.
func TestHTTP3ChangesUnderLoad(t *testing.T) {
	goroutines := runtime.NumGoroutine()
	ca := hosttest.NewCA(t)
	s := newServer(t)
	kept, other := over3(t, ca), over3(t, ca)
	kept.Name, kept.Address = "kept", freeAddress(t)
	other.Name, other.Address = "other", freeAddress(t)
	apply(t, s, kept, other)
	stop := make(chan struct{})
	var visits atomic.Int64
	var clients sync.WaitGroup
	visit := func(listener manifest.Listener, perConnection int) {
		for {
			transport := transport3(t, &tls.Config{RootCAs: ca.Pool()})
			c := &http.Client{Transport: transport, Timeout: 20 * time.Second}
			for range perConnection {
				select {
				case <-stop:
					transport.Close()
					return
				default:
				}
				resp, err := c.Post("https://"+listener.Address, "text/plain", io.LimitReader(zeros{}, 10000))
				if err != nil {
					t.Errorf("exchange: %v", err)
					return
				}
				body, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if string(body) != listener.Name || err != nil {
					t.Errorf("got %q, %v", body, err)
				}
				visits.Add(1)
			}
			transport.Close()
		}
	}
	for range 2 {
		clients.Go(func() { visit(kept, 3) })
		clients.Go(func() { visit(other, 1<<30) })
	}
	hosttest.Eventually(t, func() bool { return visits.Load() >= 20 }, "all clients have their connection")
	for i := range 20 {
		kept.Limits.HeaderCount = 100 + i%2
		other.HTTP3 = i%2 == 1
		apply(t, s, kept, other)
		more := visits.Load() + 8
		hosttest.Eventually(t, func() bool { return visits.Load() >= more || t.Failed() }, "clients are served between changes")
	}
	close(stop)
	clients.Wait()
	if err := s.Shutdown(context.Background()); err != nil {
		t.Errorf("shutdown: %v", err)
	}
	hosttest.Eventually(t, func() bool { return runtime.NumGoroutine() <= goroutines }, "all goroutines end")
}

func TestHTTP3CertificatesAreReloaded(t *testing.T) {
	ca, authority := hosttest.NewCA(t), hosttest.NewCA(t)
	listener, dir := secured(t, ca, []string{"old.test"})
	listener.HTTP3 = true
	listener.TLS.ClientAuth, listener.TLS.ClientCA = "optional", ca.WriteCA(t, dir)
	s := server.New(handlerFunc(func(x *exchange.Exchange) { answer(x, 200, fmt.Sprint(len(x.Conn.TLS.PeerCertificates))) }), server.Options{
		Log: logTo(t), ReloadInterval: time.Millisecond,
	})
	apply(t, s, listener)
	stopAtEnd(t, s)
	addr := s.Addrs()["test"].String()
	connect := func(config *tls.Config) (tls.ConnectionState, error) {
		config.NextProtos, config.InsecureSkipVerify = []string{"h3"}, true
		c, err := quic.DialAddr(t.Context(), addr, config, nil)
		if err != nil {
			return tls.ConnectionState{}, err
		}
		defer c.CloseWithError(0, "")
		_, err = c.AcceptUniStream(t.Context()) // the handshake is over for both
		return c.ConnectionState().TLS, err
	}
	cache := tls.NewLRUClientSessionCache(1)
	hosttest.Eventually(t, func() bool {
		state, err := connect(&tls.Config{ClientSessionCache: cache, ServerName: "x"})
		return err == nil && state.DidResume
	}, "sessions are resumed")
	ca.Write(t, dir, "cert0", "new.test")
	hosttest.Eventually(t, func() bool {
		state, err := connect(&tls.Config{})
		return err == nil && served(state) == "new.test"
	}, "the new certificate is served")
	client := ca.KeyPair(t, "client")
	if _, err := connect(&tls.Config{Certificates: []tls.Certificate{client}}); err != nil {
		t.Fatal(err)
	}
	authority.WriteCA(t, dir)
	hosttest.Eventually(t, func() bool {
		_, err := connect(&tls.Config{Certificates: []tls.Certificate{client}})
		return err != nil
	}, "a client of the old authority is refused")
	if state, err := connect(&tls.Config{ClientSessionCache: cache, ServerName: "x"}); err != nil || state.DidResume {
		t.Errorf("session of the old authority's time: resumed %v, %v, want its ticket to be void", state.DidResume, err)
	}
}
