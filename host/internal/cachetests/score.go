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
	cases  []testCase        // but for those that browsers alone run
	all    []testCase        // with them
	failed map[string]string // why, by case; those that are not here passed
}

// judge finds the cases that did not pass. As the suite's own tables have it, a
// case does not pass if one that it depends on did not.
func judge(all []testCase, results map[string]any) report {
	cases := slices.DeleteFunc(slices.Clone(all), func(c testCase) bool { return c.Browser })
	r := report{cases: cases, all: all, failed: map[string]string{}}
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

// score counts cases: those that passed, those that were run, and those that browsers
// alone run.
type score struct{ passed, run, browser int }

func (s score) String() string {
	return fmt.Sprintf("%d of %d, and %d that only browsers run", s.passed, s.run, s.browser)
}

// count scores the cases of a kind. What is required of surrogates is optimal for
// caches; apart says to count it so.
func (r report) count(kind string, apart bool) (s score) {
	for _, c := range r.all {
		if apart && c.Surrogate && c.Kind == required {
			c.Kind = optimal
		}
		switch {
		case c.Kind != kind:
		case c.Browser:
			s.browser++
		default:
			s.run++
			if r.failed[c.ID] == "" {
				s.passed++
			}
		}
	}
	return s
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
		fmt.Fprintf(w, "%s: %v\n", kind, r.count(kind, false))
	}
	fmt.Fprintln(w, "with what is required of surrogates alone counted as optimal:")
	for _, kind := range []string{required, optimal} {
		fmt.Fprintf(w, "%s: %v\n", kind, r.count(kind, true))
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
