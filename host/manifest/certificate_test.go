package manifest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// newCertificate returns a self-signed certificate and its key, in PEM.
func newCertificate(t testing.TB) (certificate, key string) {
	t.Helper()
	return newCertificateFor(t, time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
}

// newCertificateFor is newCertificate with a time of validity.
func newCertificateFor(t testing.TB, from, until time.Time) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    from,
		NotAfter:     until,
		DNSNames:     []string{"localhost"},
	}
	certDER, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	encode := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	return encode("CERTIFICATE", certDER), encode("PRIVATE KEY", keyDER)
}

// TestCertificateOutOfTime: it is said, but keeps no host from starting.
func TestCertificateOutOfTime(t *testing.T) {
	now := time.Now()
	for _, c := range []struct {
		name        string
		from, until time.Time
		want        string
	}{
		{"valid", now.Add(-time.Hour), now.Add(time.Hour), ""},
		{"expired", now.Add(-2 * time.Hour), now.Add(-time.Hour), "has expired on "},
		{"early", now.Add(time.Hour), now.Add(2 * time.Hour), "is not valid before "},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			cert, key := newCertificateFor(t, c.from, c.until)
			for name, text := range map[string]string{"site.pem": cert, "site.key": key} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			m, err := Parse(filepath.Join(dir, "proxy.toml"), []byte(`version = 1
[[listener]]
address = "127.0.0.1:8443"
tls.certificates = [{ cert = "site.pem", key = "site.key" }]
[upstream.origin]
endpoints = ["ergo:echo"]
[service]
upstream = "origin"
`))
			if err != nil {
				t.Fatal(err)
			}
			var got string
			for _, w := range m.Warnings() {
				got += w.String()
			}
			if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
				t.Errorf("got warning %q, want %q", got, c.want)
			}
		})
	}
}
