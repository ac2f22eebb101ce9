package engine

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/policy"
)

// edited returns a source with parts of its text replaced.
func edited(t *testing.T, from Source, oldNew ...string) Source {
	t.Helper()
	text := string(from.Data)
	for i := 0; i < len(oldNew); i += 2 {
		if !strings.Contains(text, oldNew[i]) {
			t.Fatalf("the manifest has no %q", oldNew[i])
		}
		text = strings.ReplaceAll(text, oldNew[i], oldNew[i+1])
	}
	return Source{Path: from.Path, Data: []byte(text)}
}

// refusal returns the problems that a swap is refused for, without their file.
func (b *bench) refusal(from Source) []string {
	b.t.Helper()
	_, err := b.e.Swap(context.Background(), "swap", from)
	var problems manifest.Problems
	if !errors.As(err, &problems) {
		b.t.Fatalf("got %v, want problems", err)
	}
	var lines []string
	for _, p := range problems {
		if p.Line == 0 {
			b.t.Errorf("%s has no place", p)
		}
		lines = append(lines, p.Path+": "+p.Wrong)
	}
	return lines
}

const pinned = `source = "marker"
digest = "`

func TestPinnedPolicyStartsWithoutItsSource(t *testing.T) {
	b := newBench(t)
	digest := policy.Digest([]byte("\x00asm\x01\x00\x00\x00"))
	from := b.manifest([]string{mark("1")}, nil)
	b.swap(from)
	if err := os.RemoveAll(filepath.Join(b.folder, "marker")); err != nil {
		t.Fatal(err)
	}
	b.start()
	if got, want := b.refusal(from), "policy.marker.source: load policy"; len(got) != 1 || !strings.HasPrefix(got[0], want) {
		t.Errorf("not pinned: got %q, want %q: what would run is not what the manifest says", got, want)
	}
	change := b.swap(edited(t, from, `source = "marker"`, pinned+digest+`"`))
	if got := b.get().header.Value("x-seen"); got != "1" {
		t.Errorf("pinned: exchanges see %q, want 1", got)
	}
	if len(change.Warnings) != 1 || !strings.Contains(change.Warnings[0], "policy.marker.source") {
		t.Errorf("warnings are %q, want one of the source", change.Warnings)
	}
	other := policy.Digest([]byte("other"))
	if got := b.refusal(edited(t, from, `source = "marker"`, pinned+other+`"`)); len(got) != 1 || !strings.HasPrefix(got[0], "policy.marker.source") {
		t.Errorf("pinned to what nobody has: got %q", got)
	}
}

func TestCheckFindsPinnedPoliciesToo(t *testing.T) {
	b := newBench(t)
	from := edited(t, b.manifest([]string{mark("1")}, nil), `source = "marker"`, pinned+policy.Digest([]byte("\x00asm\x01\x00\x00\x00"))+`"`)
	b.swap(from)
	if err := os.RemoveAll(filepath.Join(b.folder, "marker")); err != nil {
		t.Fatal(err)
	}
	other := New(b.e.opts) // another process, while this one runs
	if _, err := other.Check(context.Background(), from); err != nil {
		t.Error(err)
	}
}

func TestOtherModuleThanPinned(t *testing.T) {
	b := newBench(t)
	got := b.refusal(edited(t, b.manifest([]string{mark("1")}, nil), `source = "marker"`, pinned+policy.Digest([]byte("other"))+`"`))
	if len(got) != 1 || !strings.HasPrefix(got[0], "policy.marker.digest: ") {
		t.Errorf("got %q, want one problem at the digest", got)
	}
}

func TestLoaderThatPanicsRefusesThePolicy(t *testing.T) {
	b := newBench(t)
	b.swap(b.manifest([]string{mark("1")}, nil))
	got := b.refusal(b.manifest([]string{mark("2"), `{ panic = "load" }`}, nil))
	if len(got) != 1 || !strings.HasPrefix(got[0], "edge.stage[1].use[0].policy: ") {
		t.Errorf("got %q, want one problem at the use", got)
	}
	if n := b.loader.open(); n != 1 {
		t.Errorf("%d policies are open, want 1", n)
	}
}

func TestUnreadablePolicyIsTakenForAuthentication(t *testing.T) {
	b := newBench(t)
	from := withRule(edited(t, b.manifest([]string{mark("1"), mark("2")}, nil), `source = "marker"`, `source = "nowhere"`), `"skip"`)
	if got := b.refusal(from); len(got) != 1 {
		t.Errorf("got %q: a stage that may be skipped must not open what may have been authentication", got)
	}
	own := edited(t, from, `policy = "marker"`, "policy = \"marker\"\non_error = \"skip\"")
	b.swap(own)
	if a := b.get(); a.status != 200 || a.header.Value("x-seen") != "" {
		t.Errorf("with a rule of its own: got %d, marks %s", a.status, a.header.Value("x-seen"))
	}
}

func TestAuthenticationKeepsItsStageRule(t *testing.T) {
	b := newBench(t)
	text, err := os.ReadFile(filepath.Join(b.folder, "marker", "policy.toml"))
	if err != nil {
		t.Fatal(err)
	}
	b.write("marker/policy.toml", strings.Replace(string(text), "transform", "auth", 1))
	got := b.refusal(withRule(b.manifest([]string{`{ refuse = true }`}, nil), `"skip"`))
	if len(got) != 1 {
		t.Errorf("got %q, want a refusal", got)
	}
	b.swap(withRule(b.manifest([]string{`{ trap = true }`}, nil), `"skip"`))
	if a := b.get(); a.status != 500 {
		t.Errorf("authentication that broke let pass: status %d", a.status)
	}
}

func TestModuleThatDoesNotSayWhatItIsFor(t *testing.T) {
	b := newBench(t)
	bare := edited(t, b.manifest([]string{`{ trap = true }`}, nil), `source = "marker"`, `source = "marker/policy.wasm"`)
	change := b.swap(withRule(bare, `"skip"`))
	if a := b.get(); a.status != 500 {
		t.Errorf("a stage's skip let pass what may be authentication: status %d", a.status)
	}
	if len(change.Warnings) != 1 || !strings.Contains(change.Warnings[0], "edge.stage[0].on_error: does not hold for policy marker") {
		t.Errorf("warnings are %q, want one of the rule that does not hold", change.Warnings)
	}
	change = b.swap(edited(t, bare, `policy = "marker"`, "policy = \"marker\"\non_error = \"skip\""))
	if a := b.get(); a.status != 200 || len(change.Warnings) != 0 {
		t.Errorf("with a rule of its own: status %d, warnings %q", a.status, change.Warnings)
	}
}

func TestEachModeNeedsItsParts(t *testing.T) {
	for _, test := range []struct {
		mode Mode
		want string
	}{
		{Edge, "split: is missing: an edge host has nobody to send to"},
		{Service, "listener: none is for edge hosts"},
	} {
		b := newBench(t)
		opts := b.e.opts
		opts.Mode = test.mode
		b.e = New(opts)
		if got := b.refusal(b.manifest(nil, nil)); !slices.Equal(got, []string{test.want}) {
			t.Errorf("%s: got %q, want %q", test.mode, got, test.want)
		}
		if err := b.e.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}
}

func TestUsesThatAreAlikeShareAPolicy(t *testing.T) {
	b := newBench(t)
	change := b.swap(b.manifest([]string{mark("a"), mark("a")}, []string{mark("a")}))
	if got := b.get().header.Value("x-seen"); got != "a,a,a" {
		t.Errorf("exchanges see %s, want a three times", got)
	}
	if n := b.loader.open(); n != 1 || change.Loaded != 1 {
		t.Errorf("%d policies are open, %d counted as loaded; want one", n, change.Loaded)
	}
	tiers := b.e.Status().Tiers
	for i, p := range []PolicyStatus{tiers[0].Stages[0].Policies[0], tiers[0].Stages[1].Policies[0], tiers[1].Stages[0].Policies[0]} {
		if got, want := p.Shared, i > 0; got != want {
			t.Errorf("use %d: shared is %v, want %v", i, got, want)
		}
	}
	b.swap(b.manifest([]string{mark("a")}, nil, "keep_generations = 0"))
	if got := b.get().header.Value("x-seen"); got != "a" {
		t.Errorf("exchanges see %s, want a", got)
	}
	eventually(t, "the old generation is closed", func() bool { return len(b.e.Status().Draining) == 0 })
	if n := b.loader.open(); n != 1 {
		t.Errorf("%d policies are open; want the one that is still used", n)
	}
}

func TestChangesAreTold(t *testing.T) {
	b := newBench(t)
	b.swap(b.manifest([]string{mark("a"), mark("b")}, nil))
	two := edited(t, b.manifest([]string{mark("a"), mark("b")}, nil), `config = { mark = "b" }`, "config = { mark = \"b\" }\n[[edge.stage.use]]\npolicy = \"marker\"\nconfig = { mark = \"c\" }")
	for _, s := range []struct {
		name string
		do   func() *Change
		want []string
	}{
		{"a second use", func() *Change { return b.swap(two) },
			[]string{"edge.s1: policy marker 1.0.0 used 2 times, was 1", "edge: settings changed"}},
		{"another configuration of the second", func() *Change { return b.swap(edited(t, two, `mark = "c"`, `mark = "d"`)) },
			[]string{"edge.s1: policy marker configured anew", "edge: settings changed"}},
		{"fewer uses", func() *Change { return b.swap(b.manifest([]string{mark("a"), mark("b")}, nil)) },
			[]string{"edge.s1: policy marker 1.0.0 used 1 time, was 2", "edge: settings changed"}},
		{"stages that change places", func() *Change { return b.swap(b.manifest([]string{mark("b"), mark("a")}, nil)) },
			[]string{"edge.s0: policy marker configured anew", "edge.s1: policy marker configured anew", "edge: settings changed"}},
		{"no stage", func() *Change { return b.swap(b.manifest(nil, nil)) },
			[]string{"edge.s0: policy marker 1.0.0 removed", "edge.s1: policy marker 1.0.0 removed", "edge: settings changed"}},
		{"a rollback", func() *Change {
			c, err := b.e.Rollback(context.Background(), 1)
			if err != nil {
				t.Fatal(err)
			}
			return c
		}, []string{"edge.s0: policy marker 1.0.0 added", "edge.s1: policy marker 1.0.0 added", "edge: settings changed"}},
	} {
		if got := s.do().Changes; !slices.Equal(got, s.want) {
			t.Errorf("%s: got %q, want %q", s.name, got, s.want)
		}
	}
	text, err := os.ReadFile(filepath.Join(b.folder, "marker", "policy.toml"))
	if err != nil {
		t.Fatal(err)
	}
	b.write("marker/policy.toml", strings.Replace(string(text), "1.0.0", "1.1.0", 1))
	got := b.swap(b.manifest([]string{mark("b"), mark("a")}, nil)).Changes
	if len(got) != 2 || !strings.HasPrefix(got[0], "edge.s0: policy marker 1.0.0 (sha256:") || !strings.Contains(got[0], "-> 1.1.0 (sha256:") {
		t.Errorf("a new version: got %q", got)
	}
}
