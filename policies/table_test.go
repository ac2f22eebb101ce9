package policies

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/policy"
)

var update = flag.Bool("update", false, "rewrite the table of policies in README.md")

const (
	tableBegin = "<!-- make policy-table -->\n"
	tableEnd   = "<!-- end -->\n"
)

// TestTable: the README's table is what policy.toml of policies and plugins say, and costs.txt,
// which `make policy-table` measures anew.
func TestTable(t *testing.T) {
	const file = "../README.md"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begins := strings.Cut(string(text), tableBegin)
	got, after, ends := strings.Cut(rest, tableEnd)
	if !begins || !ends {
		t.Fatalf("%s has no table between %s and %s", file, tableBegin, tableEnd)
	}
	want := table(t)
	if *update {
		if err := os.WriteFile(file, []byte(before+tableBegin+want+tableEnd+after), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if got != want {
		t.Errorf("got\n%swant\n%smake policy-table", got, want)
	}
}

func table(t *testing.T) string {
	costs := costs(t)
	var paths []string
	for _, kind := range []string{"policies", "plugins"} {
		found, err := filepath.Glob("../" + kind + "/*/policy.toml")
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, found...)
	}
	var files []*manifest.PolicyFile
	written := map[string]string{}
	links := map[string]string{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		file, err := manifest.ParsePolicyFile(path, text)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
		links[file.Name] = strings.TrimPrefix(filepath.Dir(path), "../")
		written[file.Name] = language(t, filepath.Dir(path), file.ABI)
		if costs[file.Name] == "" {
			t.Errorf("costs.txt does not have %s", file.Name)
		}
	}
	slices.SortFunc(files, func(a, b *manifest.PolicyFile) int {
		return cmp.Or(strings.Compare(a.Family, b.Family), strings.Compare(a.Name, b.Name))
	})
	var b strings.Builder
	b.WriteString("| policy | family | what it does | asks for | written in | cost of an exchange |\n|---|---|---|---|---|---|\n")
	for _, f := range files {
		fmt.Fprintf(&b, "| [%s](%s) | %s | %s | %s | %s | %s |\n", f.Name, links[f.Name], f.Family, f.Summary,
			strings.Join(f.Capabilities, ", "), written[f.Name], costs[f.Name])
	}
	return b.String()
}

// language is told by the file that policies/build goes by; a program is one of Go.
func language(t *testing.T, folder, abi string) string {
	t.Helper()
	if abi == policy.Plugin {
		return "Go, a process"
	}
	for _, l := range [...]struct{ file, name string }{
		{"Cargo.toml", "Rust"}, {"main.go", "Go"}, {"main.c", "C"}, {"main.zig", "Zig"}, {"asconfig.json", "AssemblyScript"},
	} {
		if _, err := os.Stat(filepath.Join(folder, l.file)); err == nil {
			return l.name
		}
	}
	t.Fatalf("%s is written in no language that is known", folder)
	return ""
}

// costs are the medians of what costs.txt has, by policy.
func costs(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("costs.txt")
	if err != nil {
		t.Fatal(err)
	}
	runs := map[string][]float64{}
	line := regexp.MustCompile(`(?m)^Benchmark(\S+?)(?:-\d+)?\s+\d+\s+([\d.]+) ns/op`)
	for _, m := range line.FindAllStringSubmatch(string(text), -1) {
		name, isForward := strings.CutPrefix(m[1], "Forward/")
		switch {
		case m[1] == "ExtAuth/cache_ttl=1h":
			name = "ext-auth" // in its cases there is nobody to ask
		case !isForward || name == "ext-auth":
			continue
		}
		ns, err := strconv.ParseFloat(m[2], 64)
		if err != nil {
			t.Fatal(err)
		}
		runs[name] = append(runs[name], ns)
	}
	medians := map[string]string{}
	for name, all := range runs {
		slices.Sort(all)
		medians[name] = fmt.Sprintf("%.1f us", all[len(all)/2]/1000)
	}
	return medians
}
