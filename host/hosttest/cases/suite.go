// Package cases runs a policy's cases.toml in the real host, for the tests of shipped policies and of shipped
// plugins. policies/README.md describes the file.
package cases

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/cli"
	"github.com/ergoproxy/ergo/host/keyring"
	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/host/telemetry"
	"github.com/ergoproxy/ergo/host/tier"
	"github.com/ergoproxy/ergo/host/wasm"
)

// Suite is one artifact under test, with what a manifest says of it.
type Suite struct {
	Bench    *cli.Workbench
	Artifact *policy.Artifact
	Settings manifest.Policy
	Keys     map[string]keyring.Granted
	File     *File
	Log      *slog.Logger // of the policy; nil: the test's
}

// Folders lists the policies that are in folders of the working directory, by their names.
func Folders(t testing.TB) []string {
	t.Helper()
	names, err := filepath.Glob("*/policy.toml")
	if err != nil {
		t.Fatal(err)
	}
	for i, file := range names {
		names[i] = filepath.Dir(file)
	}
	return names
}

// Open makes a suite of an artifact and the cases.toml in the folder of its name. A more
// that is not empty stands in the manifest for what the file has there. What guests says
// is for Wasm.
func Open(t testing.TB, a *policy.Artifact, guests wasm.Options, more string) *Suite {
	t.Helper()
	s := &Suite{Artifact: a}
	name := a.File.Name
	s.File = Read(t, filepath.Join(name, "cases.toml"), a.File.Example)
	s.File.Manifest = cmp.Or(more, s.File.Manifest)
	text := s.ManifestText(t)
	m, err := cli.ParseManifest("cases.toml: manifest", []byte(text))
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	s.Settings, s.Keys = m.Policies[name], m.GrantedKeys(name, nil)
	s.Settings.Limits.Instances = 1 // so that what one exchange leaves behind shows in the next
	s.Settings.Limits.Time = manifest.Duration(10 * time.Second)
	if s.Bench, err = cli.OpenWorkbench(m, guests, Log(t)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Bench.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

// ManifestText is a manifest that grants the policy all that it asks for; the rest is
// what its cases say.
func (s *Suite) ManifestText(t testing.TB) string {
	t.Helper()
	name := s.Artifact.File.Name
	source, err := filepath.Abs(name)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("version = 1\nlistener = [{ address = \"127.0.0.1:0\" }]\nupstream.origin.endpoints = [\"ergo:echo\"]\n"+
		"service.upstream = \"origin\"\n[policy.%s]\nsource = %q\ngrants = %s\n%s\n",
		name, source, strings.ReplaceAll(fmt.Sprintf("%q", s.Artifact.File.Capabilities), `" "`, `", "`),
		strings.ReplaceAll(s.File.Manifest, "${folder}", source))
}

// Log is a log that goes to the test's.
func Log(t testing.TB) *slog.Logger { return slog.New(slog.NewTextHandler(t.Output(), nil)) }

// Run runs all of the cases.
func (s *Suite) Run(t *testing.T) {
	loaded := map[string]*tier.Tier{}
	for name, config := range s.File.Configs {
		loaded[name] = s.Alone(t, s.Load(t, name, config))
	}
	for _, c := range s.File.Refuse {
		t.Run("refuse "+c.Name, func(t *testing.T) { s.refuse(t, c) })
	}
	// Twice, because an instance that has carried other exchanges must act like a
	// fresh one.
	for round := range 2 {
		for _, c := range s.File.Cases {
			alone := loaded[cmp.Or(c.Config, "example")]
			if alone == nil {
				t.Fatalf("case %q: there is no config %q", c.Name, c.Config)
			}
			t.Run(fmt.Sprintf("%d %s", round+1, c.Name), func(t *testing.T) { c.Run(t, alone) })
		}
	}
}

// Spec is how the policy is loaded with a configuration.
func (s *Suite) Spec(t testing.TB, config map[string]any) policy.Spec {
	t.Helper()
	text, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	return policy.Spec{
		Name: s.Artifact.File.Name, Artifact: s.Artifact, Config: text, Settings: s.Settings, Keys: s.Keys, Log: cmp.Or(s.Log, Log(t)),
	}
}

// Load loads the policy until the test ends. name tells the configuration in messages.
func (s *Suite) Load(t testing.TB, name string, config map[string]any) policy.Policy {
	t.Helper()
	spec := s.Spec(t, config)
	if wrong := s.Artifact.CheckConfig(spec.Config); wrong != nil {
		t.Fatalf("config %s: schema: %v", name, wrong)
	}
	p, release, err := s.Bench.Load(context.Background(), spec)
	if err != nil {
		t.Fatalf("config %s: %v", name, err)
	}
	t.Cleanup(func() {
		if err := errors.Join(p.Close(context.Background()), release()); err != nil {
			t.Error(err)
		}
	})
	return p
}

// refuse checks that a configuration is refused, by whom and why.
func (s *Suite) refuse(t *testing.T, c Refusal) {
	var said strings.Builder
	spec := s.Spec(t, c.Config)
	spec.Log = slog.New(slog.NewTextHandler(&said, nil))
	wrong := s.Artifact.CheckConfig(spec.Config)
	switch c.By {
	case "schema":
		for _, violation := range wrong {
			fmt.Fprintln(&said, violation)
		}
		if wrong == nil {
			t.Error("the schema takes it")
		}
	case "policy":
		if wrong != nil {
			t.Errorf("the schema refuses it before the policy can: %v", wrong)
		}
		p, release, err := s.Bench.Load(context.Background(), spec)
		if err == nil {
			t.Error("the policy takes it", p.Close(context.Background()), release())
		}
		fmt.Fprintln(&said, err)
	default:
		t.Fatalf("by %q: expected schema or policy", c.By)
	}
	if !strings.Contains(said.String(), c.Says) {
		t.Errorf("got %s, want it to say %q", &said, c.Says)
	}
}

// Upstreams are those that there are, by name.
type Upstreams []string

func (u Upstreams) HasUpstream(name string) bool { return slices.Contains(u, name) }

// Alone is a tier that has one policy.
func (s *Suite) Alone(t testing.TB, p policy.Policy) *tier.Tier {
	t.Helper()
	slot := &tier.Slot{Name: s.Artifact.File.Name, Version: s.Artifact.File.Version, Policy: p}
	made, err := tier.New(tier.Spec{
		Name: "edge", Metrics: telemetry.NewMetrics("test"), Config: manifest.Tier{MaxInFlight: 256},
		Stages: []tier.StageSpec{{Stage: manifest.Stage{Name: "alone"}, Uses: []tier.UseSpec{{Slot: slot}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(made.Close)
	return made
}
