package httpwasm

import (
	"crypto/sha256"
	_ "embed"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/host/wasm"
)

//go:embed testdata/bare.wasm
var bareModule []byte

//go:embed testdata/route.wasm
var routeModule []byte

func specOfModule(module []byte) policy.Spec {
	spec := specOf(script{})
	spec.Artifact = &policy.Artifact{
		Digest: fmt.Sprintf("sha256:%x", sha256.Sum256(module)),
		Module: module,
		File:   manifest.PolicyFile{Name: "router", Family: "routing"},
	}
	spec.Name, spec.Config = "router", nil
	return spec
}

func TestRefusedModules(t *testing.T) {
	declared := specOfModule(routeModule)
	declared.Artifact.File.Capabilities = []string{"ergo_route"}
	granted := specOfModule(routeModule)
	granted.Settings.Grants = []string{"ergo_kv", "ergo_route"}
	small := specOf(script{})
	small.Settings.Limits.Memory = 64 << 10

	cases := []struct {
		what string
		spec policy.Spec
		says []string
	}{
		{"no module", specOfModule([]byte("not wasm")), []string{"compile"}},
		{"wrong exports", specOfModule(bareModule), []string{
			"exports handle_request as () -> i32, but it must be () -> i64",
			"does not export the function handle_response(i32, i32)",
			"does not export its memory",
		}},
		{"nothing declared, nothing granted", specOfModule(routeModule), []string{
			`imports ergo_route.set_upstream, which policy.toml does not declare: its line must be capabilities = ["ergo_route"]`,
			`imports ergo_route.set_upstream, which is not granted: add grants = ["ergo_route"] to [policy.router]`,
		}},
		{"not granted", declared, []string{`add grants = ["ergo_route"] to [policy.router]`}},
		{"not declared", granted, []string{`capabilities = ["ergo_route"]`}},
		{"too little memory", small, []string{"needs 128 KiB of memory to begin with, but limits.memory is 64 KiB"}},
	}
	engine := openEngine(t)
	for _, tc := range cases {
		t.Run(tc.what, func(t *testing.T) {
			_, err := NewLoader(engine).Load(t.Context(), tc.spec)
			wantKind(t, err, policy.Load)
			for _, says := range tc.says {
				if !strings.Contains(err.Error(), says) {
					t.Errorf("%v\ndoes not say %q", err, says)
				}
			}
		})
	}
}

func TestGrantedCapability(t *testing.T) {
	spec := specOfModule(routeModule)
	spec.Artifact.File.Capabilities = []string{"ergo_route"}
	spec.Settings.Grants = []string{"ergo_route"}
	p := loadSpec(t, openEngine(t), spec)
	if got, want := p.Needs().RequestBody.Mode, manifest.BodyNone; got != want {
		t.Errorf("a module that imports nothing of bodies needs mode %d, want %d", got, want)
	}
	x := newExchange()
	carryWith(t, p, script{}, x).request(policy.Continue)
	if got, want := x.Route.Upstream, "blue"; got != want {
		t.Errorf("upstream %q, want %q", got, want)
	}
}

// A module alone, without a policy.toml, declares nothing and needs grants only.
func TestModuleWithoutPolicyFile(t *testing.T) {
	spec := specOfModule(routeModule)
	spec.Artifact.File = manifest.PolicyFile{Name: "route"}
	spec.Settings.Grants = []string{"ergo_route"}
	loadSpec(t, openEngine(t), spec)
}

func TestRefusedConfigurations(t *testing.T) {
	cases := []struct {
		what    string
		step    step
		timeout time.Duration
		says    string
	}{
		{"trap", do("trap"), time.Minute, "unreachable"},
		{"exit", do("exit", 1), time.Minute, "proc_exit(1)"},
		{"a command instead of a reactor", do("exit", 0), time.Minute, "-buildmode=c-shared"},
		{"never", do("spin"), 50 * time.Millisecond, "timeout"},
	}
	for _, tc := range cases {
		engine, err := wasm.Open(wasm.Options{StartTimeout: tc.timeout})
		if err != nil {
			t.Fatal(err)
		}
		_, err = NewLoader(engine).Load(t.Context(), specOf(script{start: []step{tc.step}}))
		wantKind(t, err, policy.Config)
		if !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v\ndoes not say %q", tc.what, err, tc.says)
		}
		if err := engine.Close(t.Context()); err != nil {
			t.Errorf("%s: a refused policy is not gone: %v", tc.what, err)
		}
	}
}

// Policies of one module share its code; each keeps its own limits and
// configuration.
func TestPoliciesOfOneModule(t *testing.T) {
	engine := openEngine(t)
	small := script{request: []step{do("grow", 20)}}
	spec := specOf(small)
	spec.Settings.Limits.Memory = 1 << 20
	first := loadSpec(t, engine, spec)
	second := loadSpec(t, engine, specOf(small))
	for p, want := range map[*Policy]int64{first: -1, second: 2} {
		c := carryWith(t, p, small, newExchange())
		c.request(policy.Continue)
		if got := int64(c.result(0)); got != want {
			t.Errorf("growing returned %d, want %d", got, want)
		}
	}
	if first.program != second.program {
		t.Error("the module was compiled twice")
	}
}
