package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ergoproxy/ergo/host/admin"
	"github.com/ergoproxy/ergo/host/engine"
	"github.com/ergoproxy/ergo/host/hosttest"
)

func TestWrongUsage(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"rum"}, "did you mean run?"},
		{[]string{"run", "--nonsense"}, "unknown flag"},
		{[]string{"run", "extra.toml"}, "name the manifest with -c extra.toml"},
		{[]string{"run", "--tier", "middle"}, `there is no tier "middle"`},
		{[]string{"check", "--tier", "middle"}, `there is no tier "middle"`},
		{[]string{"check", "a", "b"}, "at most 1"},
		{[]string{"rollback", "0"}, `"0" is not a number of generations`},
		{[]string{"rollback", "two"}, `"two" is not a number of generations`},
		{[]string{"status", "extra"}, "unknown command"},
	} {
		status, out, errs := ergo(t, c.args...)
		if status != exitUsage || !strings.Contains(errs, c.want) || !strings.Contains(errs, "--help") || out != "" {
			t.Errorf("%v: got %d, %q, %q", c.args, status, out, errs)
		}
	}
}

func TestNoHost(t *testing.T) {
	manifest := folder(t, manifestText(t, "1", ""))
	for _, command := range []string{"status", "history", "swap", "rollback"} {
		if status, _, errs := ergo(t, command, "-c", manifest); status != exitFailed || !strings.Contains(errs, "admin.sock") || !strings.Contains(errs, "start the host") {
			t.Errorf("%s: got %d, %q", command, status, errs)
		}
	}
	if status, _, errs := ergo(t, "status", "-c", filepath.Join(t.TempDir(), "none.toml")); status != exitFailed || !strings.Contains(errs, "--admin") {
		t.Errorf("without a manifest: got %d, %q", status, errs)
	}
}

func TestHelpAndVersionAndSchema(t *testing.T) {
	if out := mustErgo(t); !strings.Contains(out, "rollback") {
		t.Errorf("help: got %q", out)
	}
	var b Build
	if err := json.Unmarshal([]byte(mustErgo(t, "version", "--json")), &b); err != nil || b.Version == "" || b.Go == "" {
		t.Errorf("version: got %+v, %v", b, err)
	}
	if out := mustErgo(t, "version"); !strings.HasPrefix(out, "ergo ") || out != mustErgo(t, "--version") {
		t.Errorf("version: got %q", out)
	}
	var schema map[string]any
	if err := json.Unmarshal([]byte(mustErgo(t, "schema")), &schema); err != nil || schema["properties"] == nil && schema["$defs"] == nil {
		t.Errorf("schema: got %v, %v", schema, err)
	}
}

func TestCheck(t *testing.T) {
	manifest := folder(t, manifestText(t, "1", ""))
	if out := mustErgo(t, "check", "-c", manifest); !strings.Contains(out, "1 policy compiled and configured") {
		t.Errorf("got %q", out)
	}
	var good checkResult
	if err := json.Unmarshal([]byte(mustErgo(t, "check", manifest, "--json")), &good); err != nil || !good.OK || good.Policies != 1 {
		t.Errorf("got %+v, %v", good, err)
	}
	for _, left := range []string{"generations", "store"} {
		if _, err := os.Stat(filepath.Join(filepath.Dir(manifest), ".ergo", left)); err == nil {
			t.Errorf("check left %s behind", left)
		}
	}
}

func TestCheckSaysAllThatIsWrong(t *testing.T) {
	for _, c := range []struct {
		name, was, is string
		want          []string // parts of the problems
	}{
		{"keys and names", "upstream = \"origin\"", "upstream = \"origni\"\nnonsense = 1",
			[]string{`did you mean "origin"?`, "service.nonsense"}},
		{"a configuration", "config.response.set", "config.response.sett",
			[]string{"config.response.sett"}},
		{"a policy that is not there", `source = "headers"`, `source = "nowhere"`,
			[]string{"policy.headers.source"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			manifest := folder(t, strings.Replace(manifestText(t, "1", ""), c.was, c.is, 1))
			status, _, errs := ergo(t, "check", "-c", manifest)
			if status != exitFailed {
				t.Errorf("got exit status %d", status)
			}
			status, out, _ := ergo(t, "check", "-c", manifest, "--json")
			var result checkResult
			if err := json.Unmarshal([]byte(out), &result); err != nil || status != exitFailed || result.OK || len(result.Problems) < len(c.want) {
				t.Errorf("got %d, %+v, %v", status, result, err)
			}
			for _, want := range c.want {
				if !strings.Contains(errs, want) {
					t.Errorf("no %q in %s", want, errs)
				}
			}
			if !strings.Contains(errs, "proxy.toml:") || !strings.Contains(errs, "problem") {
				t.Errorf("no place in %s", errs)
			}
		})
	}
}

func TestRunRefusesToStart(t *testing.T) {
	manifest := folder(t, strings.Replace(manifestText(t, "1", ""), "headers\"", "nowhere\"", 1))
	status, out, errs := ergo(t, "run", "-c", manifest)
	if status != exitFailed || !strings.Contains(errs, "proxy.toml:") || out != "" {
		t.Errorf("got %d, %q, %q", status, out, errs)
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(manifest), "admin.sock")); err == nil {
		t.Error("the admin socket is left behind")
	}
}

func TestRunServesAndStops(t *testing.T) {
	r := runHost(t, folder(t, manifestText(t, "1", "")), "--demo")
	if got := r.mark(); got != "1" {
		t.Errorf("got mark %q", got)
	}
	if !strings.Contains(r.out.String(), "curl -i http://"+r.address) {
		t.Errorf("no command to try: %s", r.out.String())
	}
	if status := r.stop(); status != exitDone {
		t.Errorf("got exit status %d", status)
	}
	line := r.out.line("exchange")
	if line["path"] != "/path" || line["status"] != 200.0 || line["upstream"] != "origin" {
		t.Errorf("access log: got %v", line)
	}
	if strings.Contains(r.out.String(), "secret") {
		t.Errorf("the query is in the log: %s", r.out.String())
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(r.manifest), "admin.sock")); err == nil {
		t.Error("the admin socket is left behind")
	}
}

func TestSwapAndRollback(t *testing.T) {
	manifest := folder(t, manifestText(t, "1", "watch = false"))
	r := runHost(t, manifest)
	other := filepath.Join(filepath.Dir(manifest), "other.toml")
	writeFile(t, other, manifestText(t, "2", "watch = false"))

	if out := mustErgo(t, "swap", other, "-c", manifest); !strings.Contains(out, "generation 2 runs, after 1") || !strings.Contains(out, "headers configured anew") {
		t.Errorf("swap: got %q", out)
	}
	if got := r.mark(); got != "2" {
		t.Errorf("got mark %q", got)
	}
	if out := mustErgo(t, "swap", other, "-c", manifest); !strings.Contains(out, "nothing is new") {
		t.Errorf("swap to the same: got %q", out)
	}
	if out := mustErgo(t, "rollback", "-c", manifest); !strings.Contains(out, "generation 1 runs, after 2") {
		t.Errorf("rollback: got %q", out)
	}
	if got := r.mark(); got != "1" {
		t.Errorf("got mark %q", got)
	}
	status, _, errs := ergo(t, "rollback", "7", "-c", manifest)
	if status != exitFailed || !strings.Contains(errs, "7 steps back") {
		t.Errorf("rollback too far: got %d, %q", status, errs)
	}
	if out := mustErgo(t, "history", "-c", manifest); strings.Count(out, "\n") != 5 || strings.Count(out, "running") != 1 {
		t.Errorf("history: got %s", out)
	}
	var records []engine.Record
	if err := json.Unmarshal([]byte(mustErgo(t, "history", "--json", "-c", manifest)), &records); err != nil || len(records) != 4 || !records[3].Refused {
		t.Errorf("history: got %+v, %v", records, err)
	}
}

func TestSwapToWhatIsWrong(t *testing.T) {
	manifest := folder(t, manifestText(t, "1", "watch = false"))
	r := runHost(t, manifest)
	broken := strings.Replace(manifestText(t, "2", ""), "[service]", "[servce]", 1)
	writeFile(t, manifest, broken)

	status, out, errs := ergo(t, "swap", "-c", manifest)
	if status != exitFailed || out != "" || !strings.Contains(errs, "proxy.toml:") || !strings.Contains(errs, `did you mean "service"?`) {
		t.Errorf("got %d, %q, %q", status, out, errs)
	}
	status, out, _ = ergo(t, "swap", "--json", "-c", manifest)
	var p admin.Problem
	if err := json.Unmarshal([]byte(out), &p); err != nil || status != exitFailed || p.Status != 422 || len(p.Problems) == 0 {
		t.Errorf("got %d, %+v, %v", status, p, err)
	}
	if got := r.mark(); got != "1" {
		t.Errorf("a refused swap changed the mark to %q", got)
	}
}

func TestStatus(t *testing.T) {
	manifest := folder(t, manifestText(t, "1", ""))
	r := runHost(t, manifest)
	r.mark()
	out := mustErgo(t, "status", "-c", manifest)
	for _, want := range []string{"generation 1 since", "edge", "service", "mark", "headers", "well", "origin", "ergo:echo", "healthy"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if strings.Contains(out, "\x1b[") {
		t.Error("colours without a terminal")
	}
	address := "unix:" + filepath.Join(filepath.Dir(manifest), "admin.sock")
	var s engine.Status
	if err := json.Unmarshal([]byte(mustErgo(t, "status", "--json", "--admin", address)), &s); err != nil || s.Generation.ID != 1 {
		t.Errorf("got %+v, %v", s, err)
	}
}

func TestSavingSwaps(t *testing.T) {
	manifest := folder(t, manifestText(t, "1", ""))
	r := runHost(t, manifest)
	r.eventually("1")
	save(t, manifest, manifestText(t, "2", ""))
	r.eventually("2")
	writeFile(t, manifest, manifestText(t, "3", ""))
	r.eventually("3")

	// A policy that cannot be loaded refuses the manifest; mending the policy's
	// own file is enough to have it taken.
	module := filepath.Join(filepath.Dir(manifest), "copy", "policy.wasm")
	writeFile(t, module, "not a module")
	about, err := os.ReadFile(filepath.Join("..", "..", "policies", "headers", "policy.toml"))
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(filepath.Dir(module), "policy.toml"), string(about))
	save(t, manifest, strings.Replace(manifestText(t, "4", ""), `"headers"`, `"copy"`, 1))
	hosttest.Eventually(t, func() bool { return r.err.line("swap refused: the running generation goes on") != nil }, "the swap is refused")
	if got := r.mark(); got != "3" {
		t.Errorf("a refused swap changed the mark to %q", got)
	}
	good, err := os.ReadFile(filepath.Join(filepath.Dir(manifest), "headers", "policy.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	save(t, module, string(good))
	r.eventually("4")
}

// TestWatchLeavesARollbackAlone: a rollback changes which files matter, and
// none of them.
func TestWatchLeavesARollbackAlone(t *testing.T) {
	manifest := folder(t, strings.Replace(manifestText(t, "1", ""), `"headers"`, `"headers/policy.wasm"`, 1))
	r := runHost(t, manifest)
	save(t, manifest, manifestText(t, "2", ""))
	r.eventually("2")
	mustErgo(t, "rollback", "-c", manifest)
	r.eventually("1")
	writeFile(t, filepath.Join(filepath.Dir(manifest), "notes.txt"), "beside it")

	// The watcher has seen all of that once it has seen what follows.
	save(t, manifest, "version = 1")
	hosttest.Eventually(t, func() bool { return r.err.line("swap refused: the running generation goes on") != nil }, "the swap is refused")
	if got := r.mark(); got != "1" {
		t.Errorf("the rollback was undone: got mark %q", got)
	}
}

// TestSavingAfterASwapToAnotherFile: both files stay live, each for itself.
func TestSavingAfterASwapToAnotherFile(t *testing.T) {
	manifest := folder(t, manifestText(t, "1", ""))
	other := filepath.Join(filepath.Dir(manifest), "other.toml")
	writeFile(t, other, manifestText(t, "2", ""))
	r := runHost(t, manifest)
	mustErgo(t, "swap", other, "-c", manifest)
	r.eventually("2")
	save(t, other, manifestText(t, "3", ""))
	r.eventually("3")
	save(t, manifest, manifestText(t, "4", ""))
	r.eventually("4")
}

func TestSettingsThatChangeInPlace(t *testing.T) {
	manifest := folder(t, manifestText(t, "1", "watch = false\nlog = { level = \"warn\", access = false }"))
	var out, errs buffer
	h := startForTest(t, manifest, Streams{&out, &errs})
	h.log.Info("quiet")
	writeFile(t, manifest, manifestText(t, "2", "watch = false\nmax_connections = 7\nlog = { level = \"debug\", access = true }"))
	mustOut := mustErgo(t, "swap", "-c", manifest)
	if !strings.Contains(mustOut, "host.log.access") {
		t.Errorf("no word of the restart that it takes: %q", mustOut)
	}
	h.log.Debug("loud")
	h.log.Flush()
	if log := errs.String(); strings.Contains(log, "quiet") || !strings.Contains(log, "loud") {
		t.Errorf("got %s", log)
	}
}
