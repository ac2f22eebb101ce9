package manifest

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the goldens")

// golden compares got with the file beside a case, or rewrites it.
func golden(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs:\ngot:\n%s\nwant:\n%s", file, got, want)
	}
}

// cases calls test for each TOML file of a folder of testdata.
func cases(t *testing.T, folder string, test func(t *testing.T, path string, text []byte)) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", folder, "*.toml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no case in testdata/%s: %v", folder, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".toml"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			test(t, file, text)
		})
	}
}

// world is what the goldens' manifests refer to: they are read as if they lay
// in /etc/ergo, with these variables and files there.
type world struct {
	env   map[string]string
	files map[string]string
}

func (w world) options() []Option {
	return []Option{
		WithCapabilities("ergo_route", "ergo_log", "ergo_http", "ergo_kv", "ergo_secret", "ergo_crypto"),
		WithEnv(func(name string) (string, bool) {
			value, ok := w.env[name]
			return value, ok
		}),
		WithReadFile(func(path string) ([]byte, error) {
			if text, ok := w.files[filepath.ToSlash(path)]; ok {
				return []byte(text), nil
			}
			return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
		}),
	}
}

// newWorld has two certificates with their keys, their authority, three
// secrets and a list of endpoints.
func newWorld(t testing.TB) world {
	site, siteKey := newCertificate(t)
	other, otherKey := newCertificate(t)
	return world{
		env: map[string]string{"DEMO_KEY": hidden + "-key", "ADMIN_TOKEN": hidden + "-token", "EMPTY": "", "SIV_KEY": sivKey},
		files: map[string]string{
			"/etc/ergo/certs/site.pem":  site,
			"/etc/ergo/certs/site.key":  siteKey,
			"/etc/ergo/certs/other.pem": other,
			"/etc/ergo/certs/other.key": otherKey,
			"/etc/ergo/certs/ca.pem":    site,
			"/etc/ergo/secret.txt":      hidden + "-file\n",
			"/etc/ergo/keys/a.hex":      hexOf(hidden+"-is-a-key-of-32-bytes!!") + "\n",
			"/etc/ergo/keys/b.hex":      hexOf("another-key-of-exactly-32-bytes!"),
			"/etc/ergo/keys/zero.hex":   strings.Repeat("00", 32),
			"/etc/ergo/keys/weak.pem":   weakRSA,
			"/etc/ergo/endpoints.toml":  `endpoints = ["http://10.0.0.1:80", { url = "http://10.0.0.2:80", weight = 3 }]`,
			"/etc/ergo/broken.toml":     `endpoints = ["http://10.0.0.1:80"`,
		},
	}
}

// hidden begins every secret of the tests' world.
const hidden = "hush-hush"

// sivKey is base64 of 64 bytes.
const sivKey = "aHVzaC1odXNoMDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1ub3BxcnN0dXZ3eHl6QUJDREVGR0hJSktMTU5PUFFSUw=="

// weakRSA is a public key of 1024 bits.
const weakRSA = `-----BEGIN PUBLIC KEY-----
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDBHs0TN5T9fvtGTfx0gnNidc5H
oHOjRXAh8jF+lXrolXS75qhelBQryybz3CgVQVFjSrCVcbCYiPKqJbgern+X/anv
lJsyKVXKfL/IcIf7hE9s15fjaEjBNskIvbqBJPlOM8cP0CFjnxDskvWzimpRw84N
wkbOzHkXPMb2kjmoywIDAQAB
-----END PUBLIC KEY-----
`

func hexOf(text string) string { return hex.EncodeToString([]byte(text)) }

// parseInWorld reads a case as /etc/ergo/proxy.toml.
func parseInWorld(t testing.TB, text []byte) (*Manifest, error) {
	return Parse("/etc/ergo/proxy.toml", text, newWorld(t).options()...)
}

func TestGood(t *testing.T) {
	cases(t, "good", func(t *testing.T, file string, text []byte) {
		m, err := parseInWorld(t, text)
		if err != nil {
			t.Fatal(err)
		}
		dump := m.Redacted()
		if bytes.Contains(dump, []byte(hidden)) {
			t.Errorf("the dump shows a secret:\n%s", dump)
		}
		if len(m.Warnings()) > 0 {
			t.Errorf("warnings in a good manifest:\n%v", m.Warnings())
		}
		golden(t, strings.TrimSuffix(file, ".toml")+".json", dump)
	})
}

func TestBad(t *testing.T) {
	cases(t, "bad", func(t *testing.T, file string, text []byte) {
		_, err := parseInWorld(t, text)
		var problems Problems
		if !errors.As(err, &problems) {
			t.Fatalf("got error %v, want Problems", err)
		}
		if strings.Contains(err.Error(), hidden) {
			t.Errorf("a problem shows a secret:\n%v", err)
		}
		golden(t, strings.TrimSuffix(file, ".toml")+".txt", []byte(err.Error()+"\n"))
	})
}
