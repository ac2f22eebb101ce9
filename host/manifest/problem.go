package manifest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing that is wrong in a configuration file, and its mend.
type Problem struct {
	File   string // as it was given to Load
	Line   int    // from 1
	Column int    // from 1, in bytes
	Path   string // "edge.stage[0].use[1].policy"; empty: the file as a whole
	Wrong  string // what is wrong
	Right  string // what would be right
}

// String renders the problem as file:line:col: path: wrong: right.
func (p Problem) String() string {
	parts := make([]string, 0, 3)
	for _, part := range []string{p.Path, p.Wrong, p.Right} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	return fmt.Sprintf("%s:%d:%d: %s", p.File, p.Line, p.Column, strings.Join(parts, ": "))
}

// Problems is everything that is wrong in a file. It is an error, one line for
// each problem.
type Problems []Problem

// Error lists all problems, one on a line.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, problem := range p {
		lines[i] = problem.String()
	}
	return strings.Join(lines, "\n")
}

// Sort orders problems by file, then position, then path.
func (p Problems) Sort() {
	slices.SortStableFunc(p, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line),
			cmp.Compare(a.Column, b.Column), cmp.Compare(a.Path, b.Path))
	})
}

// Err returns the problems as an error, or nil if there is none.
func (p Problems) Err() error {
	if len(p) == 0 {
		return nil
	}
	return p
}

// DidYouMean names the known word that is nearest to an unknown one, as the
// right half of a problem; if none is near it lists them all.
func DidYouMean(unknown string, known []string) string {
	if near := nearest(unknown, known); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	if len(known) == 0 {
		return "there are none to choose from"
	}
	sorted := slices.Sorted(slices.Values(known))
	return "known are " + strings.Join(sorted, ", ")
}

// nearest returns the known word within a third of the unknown one's length in
// edits, or "".
func nearest(unknown string, known []string) string {
	if len(unknown) > 64 {
		return ""
	}
	best, bound := "", max(1, len(unknown)/3)+1
	for _, word := range slices.Sorted(slices.Values(known)) {
		if edits := distance(strings.ToLower(unknown), strings.ToLower(word)); edits < bound {
			best, bound = word, edits
		}
	}
	return best
}

// distance counts the insertions, deletions, replacements and swaps of
// neighbours that turn a into b (optimal string alignment).
func distance(a, b string) int {
	before := make([]int, len(b)+1)
	above := make([]int, len(b)+1)
	row := make([]int, len(b)+1)
	for j := range above {
		above[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := above[j-1]
			if a[i-1] != b[j-1] {
				change++
			}
			row[j] = min(change, above[j]+1, row[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, above, row = above, row, before
	}
	return above[len(b)]
}
