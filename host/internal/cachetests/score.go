package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// The kinds of cases: what a cache must do, what it may do to be good, and what
// is asked only to know.
const (
	required = "required"
	optimal  = "optimal"
)

// report is what became of each case.
type report struct {
	cases  []testCase
	failed map[string]string // why, by case; those that are not here passed
}

// judge finds the cases that did not pass. As the suite's own tables have it, a
// case does not pass if one that it depends on did not.
func judge(cases []testCase, results map[string]any) report {
	r := report{cases: cases, failed: map[string]string{}}
	for _, c := range cases {
		switch result := results[c.ID].(type) {
		case bool:
			if !result {
				r.failed[c.ID] = "failed"
			}
		case nil:
			r.failed[c.ID] = "not run"
		default:
			r.failed[c.ID] = strings.TrimSpace(fmt.Sprint(result))
		}
	}
	for changed := true; changed; {
		changed = false
		for _, c := range cases {
			for _, id := range c.After {
				if r.failed[id] != "" && r.failed[c.ID] == "" {
					r.failed[c.ID] = "depends on " + id
					changed = true
				}
			}
		}
	}
	return r
}

// passed counts the cases of a kind, and those that passed.
func (r report) passed(kind string) (passed, all int) {
	for _, c := range r.cases {
		if c.Kind == kind {
			all++
			if r.failed[c.ID] == "" {
				passed++
			}
		}
	}
	return passed, all
}

// print writes the score, and the cases that did not pass: of what is only asked
// no more than told to.
func (r report) print(w io.Writer, verbose bool) {
	for _, c := range r.cases {
		why := r.failed[c.ID]
		switch {
		case why != "" && (verbose || c.Kind == required || c.Kind == optimal):
			fmt.Fprintf(w, "no   %-8s %s: %s\n", c.Kind, c.ID, why)
		case verbose:
			fmt.Fprintf(w, "yes  %-8s %s\n", c.Kind, c.ID)
		}
	}
	for _, kind := range []string{required, optimal} {
		passed, all := r.passed(kind)
		fmt.Fprintf(w, "%s: %d of %d\n", kind, passed, all)
	}
}

// compare holds the report against the cases that are known not to pass.
func (r report) compare(known map[string]string) error {
	var wrong []string
	for _, c := range r.cases {
		if c.Kind != required && c.Kind != optimal {
			continue
		}
		_, listed := known[c.ID]
		delete(known, c.ID)
		switch why := r.failed[c.ID]; {
		case why != "" && !listed:
			wrong = append(wrong, c.ID+" no longer passes: "+why)
		case why == "" && listed:
			wrong = append(wrong, c.ID+" passes: take it from suite/not-passed.txt")
		}
	}
	for _, id := range slices.Sorted(maps.Keys(known)) {
		wrong = append(wrong, id+" in suite/not-passed.txt is no case that counts")
	}
	if wrong != nil {
		return fmt.Errorf("otherwise than recorded:\n  %s", strings.Join(wrong, "\n  "))
	}
	return nil
}

// readReasons reads a list of cases: each line an id, a colon and a reason. Lines
// that begin with # say what those that follow have in common.
func readReasons(text string) map[string]string {
	reasons := map[string]string{}
	for line := range strings.Lines(text) {
		id, reason, found := strings.Cut(strings.TrimSpace(line), ":")
		if found && !strings.HasPrefix(id, "#") {
			reasons[id] = strings.TrimSpace(reason)
		}
	}
	return reasons
}
