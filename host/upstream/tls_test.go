package upstream

import (
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/manifest"
)

func TestMutualTLS(t *testing.T) {
	pki := newPKI(t)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.TLS.PeerCertificates[0].Subject.CommonName+" to "+r.TLS.ServerName)
	}))
	s.TLS = &tls.Config{
		Certificates: []tls.Certificate{pki.issue("origin.example")},
		ClientAuth:   tls.RequireAndVerifyClientCert, ClientCAs: pki.pool(),
	}
	s.StartTLS()
	t.Cleanup(s.Close)
	cert, key := pki.files("client", "first")
	up := settings(s.URL)
	up.TLS = &manifest.UpstreamTLS{CA: pki.caFile(), Cert: cert, Key: key, ServerName: "origin.example"}
	up.Connections.MaxAge = manifest.Duration(time.Nanosecond) // a handshake for each request
	r := registry(t)
	set := build(t, r, up)
	if _, body := get(t, set, "/"); body != "first to origin.example" {
		t.Errorf("got %q", body)
	}

	// The certificate is renewed in place.
	pki.files("client", "second-name")
	eventually(t, "new certificate", func() bool {
		_, body := get(t, set, "/")
		return body == "second-name to origin.example"
	})

	// A file that makes no sense changes nothing.
	if err := os.WriteFile(cert, []byte("half a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, body := get(t, set, "/"); body != "second-name to origin.example" {
		t.Errorf("broken file: got %q", body)
	}
	pki.files("client", "third")

	wrongName := up
	wrongName.TLS = &manifest.UpstreamTLS{CA: pki.caFile(), Cert: cert, Key: key, ServerName: "another.example"}
	noCert := up
	noCert.TLS = &manifest.UpstreamTLS{CA: pki.caFile(), ServerName: "origin.example"}
	strangerCA := up
	strangerCA.TLS = &manifest.UpstreamTLS{CA: newPKI(t).caFile(), Cert: cert, Key: key, ServerName: "origin.example"}
	for name, conf := range map[string]manifest.Upstream{"wrong name": wrongName, "no certificate": noCert, "stranger's CA": strangerCA} {
		conf.Retry.Attempts = 0
		conf.Outlier.Failures = 0
		f := build(t, r, conf).Forward(ask("GET", "/", ""), "up")
		if f == nil || f.Status != 502 {
			t.Errorf("%s: got %v, want 502", name, f)
		}
	}
	missing := up
	missing.TLS = &manifest.UpstreamTLS{CA: "/no/such/file"}
	if _, err := r.Build(map[string]manifest.Upstream{"secure": missing}); err == nil || !strings.Contains(err.Error(), "upstream secure") {
		t.Errorf("missing CA: got %v, want an error that names the upstream", err)
	}
}

func TestHTTP2IsRequiredIfTheManifestSaysSo(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(s.Close)
	up := settings(s.URL)
	up.Protocol = "h2"
	up.TLS = &manifest.UpstreamTLS{Insecure: true}
	up.Retry.Attempts = 0
	if f := build(t, registry(t), up).Forward(ask("GET", "/", ""), "up"); f == nil {
		t.Error("an endpoint without HTTP/2 was accepted")
	}
}
