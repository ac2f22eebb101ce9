// Package floors holds the test that imports only point down.
package floors

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
)

const module = "github.com/ergoproxy/ergo/"

// floors are the packages from the ground up. A package imports packages of
// lower floors only, so that whoever changes a floor knows that nothing below
// can break, and a part can be read without what stands on it. Packages of one
// floor do not know each other: what they share moves down, what joins them
// moves up. A folder stands for all packages below it unless these have a floor
// of their own.
var floors = [][]string{
	0: {"sdk", "host/exchange", "host/keyring"},
	1: {"host/manifest", "host/catalog", "host/state", "host/cache", "host/outbound", "host/telemetry", "host/http1"},
	2: {"host/policy", "host/upstream", "host/wasm", "host/wasm/proxywasm/property", "host/cache/shared", "host/process/child"},
	3: {"host/tier", "host/wasm/httpwasm", "host/wasm/proxywasm", "host/wasm/capability", "host/process"},
	4: {"host/engine", "host/server"},
	5: {"host/admin"},
	6: {"host/cli"},
	7: {"host/cmd/ergo", "host/hosttest", "host/wasm/wasmtest", "host/internal", "policies", "plugins", "examples"},
}

// fences keep a library inside the packages that exist to hide it.
var fences = []struct {
	library string
	inside  []string
	why     string
}{
	{"github.com/tetratelabs/wazero", []string{"host/wasm"}, "a policy's sandbox must be replaceable without touching tiers"},
	{"cel.dev/cel-go", []string{"host/wasm/proxywasm/foreign"}, "expressions are what guests bring, the host has none of its own"},
	{"github.com/hashicorp/go-plugin", []string{"host/process/child", "sdk/plugin"}, "how a process is started and found is one part of a policy that is one"},
	{"google.golang.org/grpc", []string{"host/process", "sdk/plugin"}, "the data path speaks gRPC as HTTP, without a stack of its own"},
	{"github.com/BurntSushi/toml", []string{"host/manifest"}, "strictness and positions live in one place"},
	{"github.com/quic-go", []string{"host/server"}, "an exchange does not show what it came by"},
	{"golang.org/x/net/http2", []string{"host/server", "host/upstream"}, "an exchange does not show what it came by"},
	{"github.com/go-jose/go-jose", []string{"host/keyring", "policies"}, "keys are in one package; policies are tested against a library that is not ours"},
	{"github.com/tink-crypto/tink-go", []string{"host/keyring"}, "keys are in one package, which no other can look into"},
	{"oras.land", []string{"host/catalog"}, "nobody else needs to know how artifacts travel"},
	{"go.opentelemetry.io/otel/sdk", []string{"host/telemetry", "sdk/plugin"}, "parts record, telemetry decides where it goes; a plugin's spans go to the host"},
	{"go.opentelemetry.io/otel/exporters", []string{"host/telemetry"}, "parts record, telemetry decides where it goes"},
}

// tools are no part of the host; they are its clients and its backends.
var tools = []string{"host/hosttest", "host/internal"}

type pkg struct {
	ImportPath string
	Imports    []string
}

func TestImportsPointDown(t *testing.T) {
	for _, p := range list(t) {
		path := strings.TrimPrefix(p.ImportPath, module)
		from := floorOf(path)
		if from < 0 {
			t.Errorf("%s has no floor: give it one in this test", path)
			continue
		}
		for _, imported := range p.Imports {
			target, ours := strings.CutPrefix(imported, module)
			if !ours || within(target, path) || within(path, "sdk") {
				continue
			}
			if to := floorOf(target); to >= from && from != len(floors)-1 {
				t.Errorf("%s (floor %d) imports %s (floor %d): imports point down", path, from, target, to)
			}
		}
	}
}

func TestFences(t *testing.T) {
	for _, p := range list(t) {
		path := strings.TrimPrefix(p.ImportPath, module)
		for _, f := range fences {
			if inAny(path, f.inside) || inAny(path, tools) {
				continue
			}
			for _, imported := range p.Imports {
				if within(imported, f.library) {
					t.Errorf("%s imports %s, which belongs to %v only: %s", path, imported, f.inside, f.why)
				}
			}
		}
	}
}

// list asks the go command for all packages and what their files other than
// tests import.
func list(t *testing.T) []pkg {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", module+"...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var pkgs []pkg
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		pkgs = append(pkgs, p)
	}
	if len(pkgs) < 10 {
		t.Fatalf("go list names only %d packages", len(pkgs))
	}
	return pkgs
}

// floorOf returns the floor of the closest folder that has one, -1 if none has.
func floorOf(path string) int {
	best, floor := "", -1
	for n, folders := range floors {
		for _, folder := range folders {
			if within(path, folder) && len(folder) > len(best) {
				best, floor = folder, n
			}
		}
	}
	return floor
}

func within(path, folder string) bool {
	return path == folder || strings.HasPrefix(path, folder+"/")
}

func inAny(path string, folders []string) bool {
	for _, folder := range folders {
		if within(path, folder) {
			return true
		}
	}
	return false
}
