//go:build unix

package cli

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ergoproxy/ergo/host/admin"
)

// purgeable is a host with a stored page, and how one sees what became of it.
type purgeable struct {
	*running
	t *testing.T
}

func newPurgeable(t *testing.T) *purgeable {
	folder, origin, _ := cachingFolder(t)
	manifest := filepath.Join(folder, "proxy.toml")
	writeFile(t, manifest, cachingText(origin, "admin", "responses"))
	return &purgeable{runHost(t, manifest), t}
}

// purge runs the command and returns how many responses it says that it has purged.
func (p *purgeable) purge(args ...string) int {
	p.t.Helper()
	var result admin.PurgeResult
	out := mustErgo(p.t, append([]string{"cache", "purge", "--json", "-c", p.manifest}, args...)...)
	if err := json.Unmarshal([]byte(out), &result); err != nil || result.Untold {
		p.t.Errorf("purge %v: got %v, %s", args, err, out)
	}
	return result.Purged
}

func (p *purgeable) status() (s admin.CacheStatus) {
	p.t.Helper()
	if err := json.Unmarshal([]byte(mustErgo(p.t, "cache", "status", "--json", "-c", p.manifest)), &s); err != nil {
		p.t.Fatal(err)
	}
	return s
}

func TestPurge(t *testing.T) {
	host := newPurgeable(t)
	for i, c := range []struct {
		args   []string
		purged int
	}{
		{[]string{"http://site.example/other"}, 0},
		{[]string{"http://site.example/pag"}, 0},
		{[]string{"https://site.example/page"}, 0},
		{[]string{"--prefix", "http://site.example/p/"}, 0},
		{[]string{"--tag", "page"}, 0},
		{[]string{"--key", "http://site.example/page"}, 0},
		{[]string{"http://site.example/page"}, 1},
		{[]string{"http://Site.example:80/page", "--soft"}, 1},
		{[]string{"--prefix", "http://site.example/"}, 1},
		{[]string{"--tag", "pages", "--policy", "cache"}, 1},
		{[]string{"--tag", "pages", "--soft"}, 1},
		{[]string{"--all"}, 1},
	} {
		before := host.get("/page")
		if got := host.purge(c.args...); got != c.purged {
			t.Errorf("%d: purge %v: got %d, want %d", i, c.args, got, c.purged)
		}
		if after := host.get("/page"); (after != before) != (c.purged == 1) {
			t.Errorf("%d: purge %v: got %q, and %q before", i, c.args, after, before)
		}
	}
}

func TestSoftPurgeKeeps(t *testing.T) {
	host := newPurgeable(t)
	host.get("/page")
	entries := func() int { s := host.status(); return max(s.Memory.Entries, s.Disk.Entries) }
	for _, c := range []struct {
		arg     string
		entries int
	}{{"--soft", 1}, {"--soft=false", 0}} {
		if host.purge("--all", c.arg); entries() != c.entries {
			t.Errorf("%s: got %d entries, want %d", c.arg, entries(), c.entries)
		}
	}
	if s := host.status(); s.Purges != 2 || s.Purged != 2 || s.Stored != 1 || s.Shared != nil || len(s.Policies) != 1 || s.Policies[0].Name != "cache" {
		t.Errorf("got %+v", s)
	}
}

func TestPurgeForPeople(t *testing.T) {
	host := newPurgeable(t)
	host.get("/page")
	if out := mustErgo(t, "cache", "purge", "--tag", "pages", "--soft", "-c", host.manifest); out != "done: 1 response stale from now on\n" {
		t.Errorf("got %q", out)
	}
	if out := mustErgo(t, "cache", "purge", "--all", "-c", host.manifest); out != "done: 1 response dropped\n" {
		t.Errorf("got %q", out)
	}
	out := mustErgo(t, "cache", "status", "-c", host.manifest)
	for _, want := range []string{"memory", "disk", "64.0 MiB", "1.0 GiB", "1 stored, 0 dropped, 1 not found; 2 purges of 2 responses", "POLICY", "cache"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

func TestPurgesThatAreNotUnderstood(t *testing.T) {
	host := newPurgeable(t)
	for _, c := range []struct {
		args   []string
		status int
		want   string
	}{
		{nil, exitUsage, "say what to purge"},
		{[]string{"--soft"}, exitUsage, "say what to purge"},
		{[]string{"http://h/", "--all"}, exitUsage, "say what to purge"},
		{[]string{"http://h/", "http://i/"}, exitUsage, "arg"},
		{[]string{"/page"}, exitFailed, "url does not begin with http:// or https://"},
		{[]string{"--all", "--policy", "headers"}, exitFailed, "nothing is stored for a policy of that name"},
		{[]string{"--tag", strings.Repeat("t", 4096)}, exitFailed, "out of bounds"},
	} {
		status, _, errs := ergo(t, append([]string{"cache", "purge", "-c", host.manifest}, c.args...)...)
		if status != c.status || !strings.Contains(errs, c.want) {
			t.Errorf("purge %v: got %d and %q, want %d and %q", c.args, status, errs, c.status, c.want)
		}
	}
	if status, _, errs := ergo(t, "cache", "purges"); status != exitUsage || !strings.Contains(errs, "did you mean purge?") {
		t.Errorf("got %d and %q", status, errs)
	}
}
