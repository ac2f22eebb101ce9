package hosttest_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/ergoproxy/ergo/host/hosttest"
)

func TestEcho(t *testing.T) {
	ca := hosttest.NewCA(t)
	secured := hosttest.ServeTLS(t, &tls.Config{Certificates: []tls.Certificate{ca.KeyPair(t, "127.0.0.1")}}, http.HandlerFunc(hosttest.Echo))
	plain := hosttest.Serve(t, http.HandlerFunc(hosttest.Echo))
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.Pool()}, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	for url, proto := range map[string]string{plain.URL: "HTTP/1.1", secured.URL: "HTTP/2.0"} {
		resp, err := (&http.Client{Transport: transport}).Post(url+"/a?status=201&x-y=z", "text/plain", strings.NewReader("body"))
		if err != nil {
			t.Fatal(err)
		}
		seen := hosttest.Decode(t, resp.Body)
		resp.Body.Close()
		if resp.StatusCode != 201 || resp.Header.Get("X-Y") != "z" {
			t.Errorf("%s: got %d, X-Y %q, want 201, z", proto, resp.StatusCode, resp.Header.Get("X-Y"))
		}
		if seen.Method != "POST" || seen.Target != "/a?status=201&x-y=z" || seen.Body != "body" || seen.Length != 4 || seen.Proto != proto {
			t.Errorf("%s: got %+v", proto, seen)
		}
	}
}

func TestFaults(t *testing.T) {
	for name, test := range map[string]struct {
		serve func(net.Conn)
		want  func(answer []byte, err error) bool
	}{
		"resetting": {hosttest.Resetting, func(_ []byte, err error) bool { return errors.Is(err, syscall.ECONNRESET) }},
		"garbage":   {hosttest.Garbage, func(b []byte, _ error) bool { return len(b) > 0 && !bytes.HasPrefix(b, []byte("HTTP/")) }},
		"broken":    {hosttest.Broken, func(b []byte, _ error) bool { return bytes.HasSuffix(b, []byte("\r\n\r\n0123456789")) }},
	} {
		c, err := net.Dial("tcp", hosttest.Raw(t, test.serve))
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		if answer, err := io.ReadAll(c); !test.want(answer, err) {
			t.Errorf("%s: got %q, %v", name, answer, err)
		}
		c.Close()
	}
}

func TestGate(t *testing.T) {
	open := make(chan struct{})
	backend := hosttest.Serve(t, hosttest.Gate(open))
	answered := make(chan error, 1)
	go func() {
		resp, err := http.Get(backend.URL)
		if err == nil {
			resp.Body.Close()
		}
		answered <- err
	}()
	open <- struct{}{} // received by the backend, so it was waiting
	if err := <-answered; err != nil {
		t.Error(err)
	}
}

func TestBig(t *testing.T) {
	backend := hosttest.Serve(t, http.HandlerFunc(hosttest.Big))
	for query, length := range map[string]int64{"?bytes=100000": -1, "?bytes=100000&length": 100000} {
		resp, err := http.Get(backend.URL + query)
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if n != 100000 || resp.ContentLength != length || err != nil {
			t.Errorf("%s: got %d bytes, length %d, %v", query, n, resp.ContentLength, err)
		}
	}
}
