package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/ergoproxy/ergo/sdk/plugin"
)

// What becomes of an exchange that rules have matched.
const (
	refused  = "refused"
	wouldBe  = "would be refused" // mode detect
	let      = "passed"
	tooLarge = "too large"
)

// maxNoted is how many bytes of rules stand in the log; the host takes a note of 1 KiB.
const maxNoted = 960

// entry is what the log says of an exchange: never of its content.
type entry struct {
	outcome string
	in, out int // scores
	matches []match
}

func (f *firewall) entry(i *inspection, outcome string) entry {
	e := entry{outcome: outcome, matches: i.matches()}
	e.in, e.out = i.score()
	if outcome == let && !f.blocks() && (e.in >= f.Threshold.In || e.out >= f.Threshold.Out) {
		e.outcome = wouldBe
	}
	return e
}

// rules are those that matched, as many as there is room for.
func (e *entry) rules() string {
	var b strings.Builder
	for n, m := range e.matches {
		text := strconv.Itoa(m.rule)
		if m.severity != "" {
			text += ":" + m.severity
		}
		if b.Len()+len(text) > maxNoted {
			fmt.Fprintf(&b, " and %d more", len(e.matches)-n)
			break
		}
		if n > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(text)
	}
	return b.String()
}

// measures are the counters that go up. Rules are counted by their group, such as 942, as there
// are more of them than there may be names.
func (e *entry) measures() []plugin.Measure {
	list := []plugin.Measure{plugin.Count(strings.ReplaceAll(e.outcome, " ", "_"), 1)}
	if e.in > 0 {
		list = append(list, plugin.Observe("score_in", int64(e.in)))
	}
	if e.out > 0 {
		list = append(list, plugin.Observe("score_out", int64(e.out)))
	}
	groups := map[string]int64{}
	for _, m := range e.matches {
		groups[groupOf(m.rule)]++
	}
	for group, n := range groups {
		list = append(list, plugin.Count("rules_"+group, n))
	}
	return list
}

// groupOf is the group of a rule: its first three digits in the Core Rule Set, which has 911 to 980.
func groupOf(rule int) string {
	if rule >= 910_000 && rule < 990_000 {
		return strconv.Itoa(rule / 1000)
	}
	return "other"
}

// note has the exchange stand in the access log and in the metrics, once.
func (f *firewall) note(x *plugin.Exchange, i *inspection, outcome string) {
	if i.noted {
		return
	}
	e := f.entry(i, outcome)
	if e.outcome == let && len(e.matches) == 0 {
		return
	}
	i.noted = true
	x.Annotate("waf", e.outcome)
	x.Annotate("waf_score", fmt.Sprintf("%d/%d", e.in, e.out))
	if rules := e.rules(); rules != "" {
		x.Annotate("waf_rules", rules)
	}
	x.Measure(e.measures()...)
}
