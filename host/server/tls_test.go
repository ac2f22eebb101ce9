package server_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/hosttest"
	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/server"
)

// secured are settings with TLS and one certificate per group of names.
func secured(t testing.TB, ca *hosttest.CA, groups ...[]string) (manifest.Listener, string) {
	dir := t.TempDir()
	s := settings()
	s.TLS = &manifest.TLS{MinVersion: "1.2", ClientAuth: "none"}
	for i, names := range groups {
		cert, key := ca.Write(t, dir, fmt.Sprint("cert", i), names...)
		s.TLS.Certificates = append(s.TLS.Certificates, manifest.Certificate{Cert: cert, Key: key})
	}
	return s, dir
}

// handshake connects and returns what was agreed on, after a read so that an
// alert of TLS 1.3 is seen.
func handshake(addr string, config *tls.Config) (tls.ConnectionState, error) {
	c, err := tls.Dial("tcp", addr, config)
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
	_, err = io.ReadAll(c)
	return c.ConnectionState(), err
}

func served(state tls.ConnectionState) string {
	return strings.Join(state.PeerCertificates[0].DNSNames, ",")
}

func TestCertificateBySNI(t *testing.T) {
	ca := hosttest.NewCA(t)
	listener, _ := secured(t, ca, []string{"first.test"}, []string{"a.test", "*.b.test"}, []string{"c.test"})
	addr := start(t, func(x *exchange.Exchange) { answer(x, 200, "") }, listener)
	for sni, want := range map[string]string{
		"a.test":     "a.test,*.b.test",
		"x.b.test":   "a.test,*.b.test",
		"X.B.TEST":   "a.test,*.b.test",
		"x.y.b.test": "first.test",
		"c.test":     "c.test",
		"other.test": "first.test",
		"":           "first.test",
	} {
		state, err := handshake(addr, &tls.Config{ServerName: sni, InsecureSkipVerify: true})
		if err != nil {
			t.Errorf("SNI %q: %v", sni, err)
		} else if got := served(state); got != want {
			t.Errorf("SNI %q: got the certificate of %s, want %s", sni, got, want)
		}
	}
}

func TestTLSIsDescribed(t *testing.T) {
	ca := hosttest.NewCA(t)
	listener, dir := secured(t, ca, []string{"a.test"})
	listener.TLS.ClientAuth, listener.TLS.ClientCA = "optional", ca.WriteCA(t, dir)
	type seen struct {
		tls     *exchange.TLS
		scheme  string
		version exchange.Version
	}
	conns := make(chan seen, 1)
	addr := start(t, func(x *exchange.Exchange) {
		conns <- seen{x.Conn.TLS, x.Request.Scheme, x.Request.Version}
		answer(x, 200, "")
	}, listener)
	for _, protocol := range []string{"h2", "http/1.1"} {
		transport := &http.Transport{
			TLSClientConfig: &tls.Config{
				RootCAs: ca.Pool(), ServerName: "a.test", Certificates: []tls.Certificate{ca.KeyPair(t, "client")},
			},
			ForceAttemptHTTP2: protocol == "h2",
		}
		defer transport.CloseIdleConnections()
		resp, err := (&http.Client{Transport: transport}).Get("https://" + addr)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		saw := <-conns
		got := saw.tls
		if got == nil || saw.scheme != "https" {
			t.Fatalf("%s: got TLS %v, scheme %s", protocol, got, saw.scheme)
		}
		if got.ServerName != "a.test" || got.Version != tls.VersionTLS13 || len(got.PeerCertificates) != 2 ||
			got.PeerCertificates[0].Subject.CommonName != "client" {
			t.Errorf("%s: got %+v", protocol, got)
		}
		if protocol == "h2" && (got.Protocol != "h2" || saw.version != exchange.HTTP2) {
			t.Errorf("got protocol %q, version %s, want HTTP/2", got.Protocol, saw.version)
		}
	}
}

func TestMinimumVersion(t *testing.T) {
	ca := hosttest.NewCA(t)
	for _, test := range []struct {
		minimum string
		client  uint16
		ok      bool
	}{
		{"1.2", tls.VersionTLS11, false},
		{"1.2", tls.VersionTLS12, true},
		{"1.3", tls.VersionTLS12, false},
		{"1.3", tls.VersionTLS13, true},
	} {
		listener, _ := secured(t, ca, []string{"a.test"})
		listener.TLS.MinVersion = test.minimum
		addr := start(t, func(x *exchange.Exchange) { answer(x, 200, "") }, listener)
		_, err := handshake(addr, &tls.Config{
			RootCAs: ca.Pool(), ServerName: "a.test", MinVersion: tls.VersionTLS10, MaxVersion: test.client,
		})
		if (err == nil) != test.ok {
			t.Errorf("minimum %s, client %s: got %v", test.minimum, tls.VersionName(test.client), err)
		}
	}
}

func TestClientCertificates(t *testing.T) {
	ca, stranger := hosttest.NewCA(t), hosttest.NewCA(t)
	for _, test := range []struct {
		mode, shown string
		ok          bool
	}{
		{"none", "", true},
		{"optional", "", true}, {"optional", "ours", true}, {"optional", "stranger's", false},
		{"required", "", false}, {"required", "ours", true}, {"required", "stranger's", false},
	} {
		listener, dir := secured(t, ca, []string{"a.test"})
		listener.TLS.ClientAuth = test.mode
		if test.mode != "none" {
			listener.TLS.ClientCA = ca.WriteCA(t, dir)
		}
		addr := start(t, func(x *exchange.Exchange) { answer(x, 200, "") }, listener)
		config := &tls.Config{RootCAs: ca.Pool(), ServerName: "a.test"}
		var pair tls.Certificate
		switch test.shown {
		case "ours":
			pair = ca.KeyPair(t, "client")
		case "stranger's":
			pair = stranger.KeyPair(t, "client")
		}
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
		if _, err := handshake(addr, config); (err == nil) != test.ok {
			t.Errorf("%s, %q shown: got %v", test.mode, test.shown, err)
		}
	}
}

func TestCertificatesAreReloaded(t *testing.T) {
	ca := hosttest.NewCA(t)
	listener, dir := secured(t, ca, []string{"old.test"})
	var logged hosttest.Buffer
	s := server.New(handlerFunc(func(x *exchange.Exchange) { answer(x, 200, "") }), server.Options{
		Log: slog.New(slog.NewTextHandler(&logged, nil)), ReloadInterval: time.Millisecond,
	})
	apply(t, s, listener)
	stopAtEnd(t, s)
	addr := s.Addrs()["test"].String()
	config := &tls.Config{RootCAs: ca.Pool(), InsecureSkipVerify: true, ClientSessionCache: tls.NewLRUClientSessionCache(1)}
	serves := func(want string) func() bool {
		return func() bool {
			state, err := handshake(addr, &tls.Config{InsecureSkipVerify: true})
			return err == nil && served(state) == want
		}
	}
	handshake(addr, config) // gets a session ticket

	file := listener.TLS.Certificates[0].Cert
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	hosttest.Eventually(t, func() bool { return strings.Contains(logged.String(), "the old ones stay in use") }, "a complaint is logged")
	if !serves("old.test")() {
		t.Error("a broken file took the certificate away")
	}
	if err := os.WriteFile(file, good, 0o600); err != nil {
		t.Fatal(err)
	}
	ca.Write(t, dir, "cert0", "new.test")
	hosttest.Eventually(t, serves("new.test"), "the new certificate is served")
	if n := strings.Count(logged.String(), "broken"); n > 1 {
		t.Errorf("the same complaint was logged %d times", n)
	}
	if state, err := handshake(addr, config); err != nil || !state.DidResume {
		t.Errorf("session from before: resumed %v, %v, want its ticket to be good", state.DidResume, err)
	}
}

func TestClientCAIsReloaded(t *testing.T) {
	ca, other := hosttest.NewCA(t), hosttest.NewCA(t)
	listener, dir := secured(t, ca, []string{"a.test"})
	listener.TLS.ClientAuth, listener.TLS.ClientCA = "required", ca.WriteCA(t, dir)
	s := server.New(handlerFunc(func(x *exchange.Exchange) { answer(x, 200, "") }), server.Options{
		Log: logTo(t), ReloadInterval: time.Millisecond,
	})
	apply(t, s, listener)
	stopAtEnd(t, s)
	addr := s.Addrs()["test"].String()
	config := &tls.Config{
		RootCAs: ca.Pool(), ServerName: "a.test", ClientSessionCache: tls.NewLRUClientSessionCache(1),
		Certificates: []tls.Certificate{ca.KeyPair(t, "client")},
	}
	if _, err := handshake(addr, config); err != nil {
		t.Fatal(err)
	}
	other.WriteCA(t, dir)
	hosttest.Eventually(t, func() bool {
		_, err := handshake(addr, config)
		return err != nil // neither by its certificate nor by its ticket
	}, "the client is refused under the new authority")
}

func TestTLSProblems(t *testing.T) {
	ca := hosttest.NewCA(t)
	s := server.New(handlerFunc(func(*exchange.Exchange) {}), server.Options{})
	good, dir := secured(t, ca, []string{"a.test"})
	missing, mismatched, badCA := good, good, good
	missing.TLS = &manifest.TLS{Certificates: []manifest.Certificate{{Cert: dir + "/none.pem", Key: dir + "/none.key"}}}
	_, otherKey := ca.Write(t, dir, "other", "b.test")
	mismatched.TLS = &manifest.TLS{Certificates: []manifest.Certificate{
		good.TLS.Certificates[0], {Cert: good.TLS.Certificates[0].Cert, Key: otherKey},
	}}
	badCA.TLS = &manifest.TLS{Certificates: good.TLS.Certificates, ClientAuth: "required", ClientCA: otherKey}
	_, err := s.Prepare([]manifest.Listener{good, missing, mismatched, badCA})
	var problems server.Problems
	if !errors.As(err, &problems) || !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("got %v, want problems, one of them a missing file", err)
	}
	var got []string
	for _, p := range problems {
		got = append(got, fmt.Sprintf("%d %s", p.Listener, p.Path))
	}
	want := "[1 tls.certificates[0].cert 2 tls.certificates[1] 3 tls.client_ca]"
	if fmt.Sprint(got) != want {
		t.Errorf("problems: got %v, want %v", got, want)
	}
}

func TestSlowHandshakeEnds(t *testing.T) {
	listener, _ := secured(t, hosttest.NewCA(t), []string{"a.test"})
	listener.Limits.HeaderTimeout = manifest.Duration(50 * time.Millisecond)
	dial(t, start(t, func(x *exchange.Exchange) { t.Error("let in") }, listener)).closed()
}

func TestPlainHTTPOnTLS(t *testing.T) {
	listener, _ := secured(t, hosttest.NewCA(t), []string{"a.test"})
	c := dial(t, start(t, func(x *exchange.Exchange) { t.Error("let in") }, listener))
	c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	if resp, _ := c.response("GET"); resp.StatusCode != 400 {
		t.Errorf("status: got %d, want 400", resp.StatusCode)
	}
}
