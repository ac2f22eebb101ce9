package keyring

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// wycheproof are the test vectors of the Wycheproof project (C2SP, Apache-2.0), which
// stay in the module cache.
var wycheproof = sync.OnceValues(func() (folder string, err error) {
	out, err := exec.Command("go", "mod", "download", "-json", "github.com/c2sp/wycheproof").Output()
	if err != nil {
		return "", err
	}
	var module struct{ Dir string }
	err = json.Unmarshal(out, &module)
	return filepath.Join(module.Dir, "testvectors_v1"), err
})

// hexBytes are bytes that a vector has in hexadecimal.
type hexBytes []byte

func (b *hexBytes) UnmarshalText(text []byte) (err error) {
	*b, err = hex.DecodeString(string(text))
	return err
}

// vector is one test of a file.
type vector struct {
	ID                              int `json:"tcId"`
	Comment                         string
	Flags                           []string
	Key, IV, Aad, Msg, Ct, Tag, Sig hexBytes
	Jws                             any // a token, or an object
	Jwe                             any
	Pt                              hexBytes
	Label                           hexBytes
	Shared                          hexBytes
	Public, Private                 json.RawMessage // JWKs
	Result                          string
}

// vectorGroup is tests with the same key. Its members differ by the file.
type vectorGroup struct {
	Type            string
	TagSize         int
	PublicKeyPem    string
	Public, Private json.RawMessage // JWKs
	PrivateKeyPem   string
	Tests           []vector
}

// vectors reads a file of test vectors and calls test for each.
func vectors(t *testing.T, file string, test func(t *testing.T, g *vectorGroup, v *vector)) {
	t.Helper()
	folder, err := wycheproof()
	if err != nil {
		t.Skipf("the test vectors are not to be had: %v", err)
	}
	text, err := os.ReadFile(filepath.Join(folder, file))
	if err != nil {
		t.Fatal(err)
	}
	var all struct {
		NumberOfTests int
		TestGroups    []vectorGroup
	}
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	n := 0
	for i := range all.TestGroups {
		g := &all.TestGroups[i]
		for j := range g.Tests {
			test(t, g, &g.Tests[j])
			n++
		}
	}
	if n != all.NumberOfTests || n == 0 {
		t.Errorf("%s: %d of %d tests", file, n, all.NumberOfTests)
	}
}

// judge compares whether something was accepted with what a vector says; "acceptable"
// is either.
func (v *vector) judge(t *testing.T, file string, accepted bool) {
	t.Helper()
	if v.Result == "valid" && !accepted || v.Result == "invalid" && accepted {
		t.Errorf("%s, test %d (%s, %v) is %s, accepted: %v", file, v.ID, v.Comment, v.Flags, v.Result, accepted)
	}
}
