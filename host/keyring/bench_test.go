package keyring

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"testing"
)

// BenchmarkOperations measures what guests ask for, with 1 KiB of data.
func BenchmarkOperations(b *testing.B) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		b.Fatal(err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	data, name := material(1, 1<<10), []byte("k")
	for _, algorithm := range aeads {
		g := grantOf(b, map[string]*Key{"k": mustKey(b, algorithm, "one")})
		sealed, _ := g.Seal(name, data, nil)
		b.Run("seal "+algorithm, func(b *testing.B) {
			for b.Loop() {
				_, _ = g.Seal(name, data, nil)
			}
		})
		b.Run("open "+algorithm, func(b *testing.B) {
			for b.Loop() {
				_, _ = g.Open(name, sealed, nil)
			}
		})
	}
	for algorithm, key := range map[string]any{"RS256": rsaKey, "ES256": ecKey} {
		version, err := Parse(algorithm, "pem", "one", pemOf(b, key))
		if err != nil {
			b.Fatal(err)
		}
		g := grantOf(b, map[string]*Key{"k": NewKey(algorithm, version)})
		signature, _ := g.Sign(soon(b), name, data)
		b.Run("sign "+algorithm, func(b *testing.B) {
			for b.Loop() {
				_, _ = g.Sign(soon(b), name, data)
			}
		})
		b.Run("verify "+algorithm, func(b *testing.B) {
			for b.Loop() {
				_ = g.Verify(name, nil, data, signature)
			}
		})
	}
}
