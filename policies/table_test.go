package policies

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/ergoproxy/ergo/host/hosttest/cases"
	"github.com/ergoproxy/ergo/host/policy"
)

var update = flag.Bool("update", false, "rewrite the table of policies in README.md")

const (
	tableBegin = "<!-- make policy-table -->\n"
	tableEnd   = "<!-- end -->\n"
)

// TestTable: the README's table is what the policies' policy.toml say, and costs.txt,
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
	files := map[string]*policy.Artifact{}
	var names []string
	for _, name := range cases.Folders(t) {
		a, err := policy.LoadArtifact(name)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = a
		names = append(names, name)
	}
	slices.SortStableFunc(names, func(a, b string) int {
		return strings.Compare(files[a].File.Family, files[b].File.Family)
	})
	var b strings.Builder
	b.WriteString("| policy | family | what it does | asks for | written in | cost of an exchange |\n|---|---|---|---|---|---|\n")
	for _, name := range names {
		f := files[name].File
		fmt.Fprintf(&b, "| [%s](policies/%[1]s) | %s | %s | %s | %s | %s |\n", name, f.Family, f.Summary,
			strings.Join(f.Capabilities, ", "), language(t, name), costs[name])
	}
	return b.String()
}

// language is told by the file that policies/build goes by.
func language(t *testing.T, name string) string {
	t.Helper()
	for _, l := range [...]struct{ file, name string }{
		{"Cargo.toml", "Rust"}, {"main.go", "Go"}, {"main.c", "C"}, {"main.zig", "Zig"}, {"asconfig.json", "AssemblyScript"},
	} {
		if _, err := os.Stat(filepath.Join(name, l.file)); err == nil {
			return l.name
		}
	}
	t.Fatalf("%s is written in no language that is known", name)
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
	for _, name := range cases.Folders(t) {
		if medians[name] == "" {
			t.Errorf("costs.txt does not have %s", name)
		}
	}
	return medians
}
