package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unique"
)

const withSecrets = `
version = 1
host.admin = "127.0.0.1:0"
host.admin_token = "file:token"
telemetry.otlp_headers = { authorization = "env:COLLECTOR", x-team = "hush-hush-literal" }
listener = [{ address = ":8080" }]
upstream.origin.endpoints = ["ergo:echo"]
policy.api-key.source = "api-key"
policy.api-key.grants = ["ergo_secret"]
policy.api-key.secrets = { token = "env:KEY", literal = "hush-hush-literal" }
service.upstream = "origin"
[[edge.stage]]
name = "authenticate"
[[edge.stage.use]]
policy = "api-key"
config = { keys = ["env:KEY", "file:sub/key", "plain"], deep = { number = 1, half = 0.5, key = "env:KEY" } }
`

// loadWithSecrets loads a manifest from disk whose secrets begin with hidden.
func loadWithSecrets(t *testing.T) *Manifest {
	t.Helper()
	folder := t.TempDir()
	files := map[string]string{"proxy.toml": withSecrets, "token": hidden + "-token\r\n", "sub/key": hidden + "-file\n\n"}
	for name, text := range files {
		path := filepath.Join(folder, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("KEY", hidden+"-key")
	t.Setenv("COLLECTOR", hidden+"-collector")
	m, err := Load(filepath.Join(folder, "proxy.toml"))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestSecretsAreResolved(t *testing.T) {
	m := loadWithSecrets(t)
	use := &m.Edge.Stages[0].Uses[0]
	checks := []struct{ name, got, want string }{
		{"one line end of a file is dropped", m.Host.AdminToken.Reveal(), hidden + "-token"},
		{"variable", m.Telemetry.OTLPHeaders["authorization"].Reveal(), hidden + "-collector"},
		{"literal", m.Telemetry.OTLPHeaders["x-team"].Reveal(), hidden + "-literal"},
		{"of a policy", m.Policies["api-key"].Secrets["token"].Reveal(), hidden + "-key"},
		{"configuration", string(use.ResolvedConfig()), `{"deep":{"half":0.5,"key":"hush-hush-key","number":1},"keys":["hush-hush-key","hush-hush-file\n","plain"]}`},
		{"configuration as written", string(canonicalJSON(use.Config)), `{"deep":{"half":0.5,"key":"env:KEY","number":1},"keys":["env:KEY","file:sub/key","plain"]}`},
	}
	for _, c := range checks {
		if c.got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, c.got, c.want)
		}
	}
}

// TestSecretsAreNeverShown prints a manifest in every way that may end in a log
// or an answer.
func TestSecretsAreNeverShown(t *testing.T) {
	m := loadWithSecrets(t)
	use := m.Edge.Stages[0].Uses[0]
	asJSON, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	headers, err := json.Marshal(m.Telemetry.OTLPHeaders)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "manifest", m, "host", m.Host, "token", m.Host.AdminToken)
	slog.New(slog.NewTextHandler(&log, nil)).Info("m", "manifest", m, "host", m.Host, "use", use)
	shown := []string{string(asJSON), string(headers), string(m.Redacted()), log.String()}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%t", "%p"} {
		for _, value := range []any{m, *m, m.Host, m.Host.AdminToken, &m.Host.AdminToken, m.Telemetry, m.Policies, use, &use} {
			shown = append(shown, fmt.Sprintf(verb, value))
		}
	}
	for _, text := range shown {
		hexadecimal := fmt.Sprintf("%x", hidden)
		if strings.Contains(text, hidden) || strings.Contains(text, hexadecimal) {
			t.Errorf("shows a secret: %s", text)
		}
	}
	if !bytes.Contains(headers, []byte(`"env:COLLECTOR"`)) {
		t.Errorf("got %s, want the reference in it", headers)
	}
}

func TestSecretsOfAPolicyAreBounded(t *testing.T) {
	with := func(secrets string) string {
		_, err := Parse("proxy.toml", []byte("version = 1\nlistener = [{ address = \":8080\" }]\n"+
			"upstream.origin.endpoints = [\"ergo:echo\"]\nservice.upstream = \"origin\"\n"+
			"[policy.p]\nsource = \"p\"\ngrants = [\"ergo_secret\"]\n[policy.p.secrets]\n"+secrets))
		if err == nil {
			return ""
		}
		return err.Error()
	}
	var many strings.Builder
	for i := range maxSecrets {
		fmt.Fprintf(&many, "s%d = \"x\"\n", i)
	}
	large := strings.Repeat("x", maxSecretBytes)
	for _, c := range []struct{ secrets, says string }{
		{many.String(), ""},
		{many.String() + `more = "x"`, "has 65 secrets"},
		{fmt.Sprintf("s = %q", large), ""},
		{fmt.Sprintf("s = %q", large+"x"), "is too long"},
	} {
		if got := with(c.secrets); (got == "") != (c.says == "") || !strings.Contains(got, c.says) {
			t.Errorf("%.30q: got %q, want %q", c.secrets, got, c.says)
		}
	}
}

func TestSecretString(t *testing.T) {
	tests := []struct {
		secret Secret
		want   string
	}{
		{Secret{}, ""},
		{NewSecret("x"), "(secret)"},
		{Secret{value: unique.Make("x"), reference: "env:X"}, "env:X"},
	}
	for _, test := range tests {
		if got := test.secret.String(); got != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
}

func TestSecretEquality(t *testing.T) {
	a, again, b := NewSecret("a"), NewSecret(strings.ToLower("A")), NewSecret("b")
	if a != again || a == b || NewSecret("") != (Secret{}) {
		t.Error("secrets do not compare as their values do")
	}
}

func TestLoadErrors(t *testing.T) {
	folder := t.TempDir()
	large := filepath.Join(folder, "large.toml")
	if err := os.WriteFile(large, bytes.Repeat([]byte("#"), maxFileBytes+1), 0o600); err != nil {
		t.Fatal(err)
	}
	tooLarge := filepath.Join(folder, "too-large.toml")
	if err := os.WriteFile(tooLarge, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(tooLarge, maxReferredBytes+1); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		path string
		want error
	}{
		{filepath.Join(folder, "missing.toml"), fs.ErrNotExist},
		{folder, errNotRegular},
		{os.DevNull, errNotRegular},
		{large, errTooLarge},
	}
	for _, test := range tests {
		_, loadErr := Load(test.path)
		_, policyErr := LoadPolicyFile(test.path)
		referred := test.path
		if test.path == large {
			referred = tooLarge
		}
		_, endpointsErr := LoadEndpoints(referred)
		for name, err := range map[string]error{"Load": loadErr, "LoadPolicyFile": policyErr, "LoadEndpoints": endpointsErr} {
			if !errors.Is(err, test.want) {
				t.Errorf("%s(%s): got error %v, want %v", name, test.path, err, test.want)
			}
		}
	}
	var problems Problems
	if _, err := Parse(large, bytes.Repeat([]byte("#"), maxFileBytes+1)); !errors.As(err, &problems) {
		t.Errorf("Parse of a large manifest: got error %v, want Problems", err)
	}
}
