package tier

import (
	"slices"
	"strings"
	"testing"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/policy"
)

// TestRequestFrom carries one exchange, in which the policy "at" keeps its place, and then
// another one from there on.
func TestRequestFrom(t *testing.T) {
	onlyGet := func(s StageSpec) StageSpec {
		s.When = &manifest.When{Method: []string{"GET"}}
		return s
	}
	for name, tc := range map[string]struct {
		stages func(a, at, b, c *fake) []StageSpec
		want   string
	}{
		"in a stage": {
			func(a, at, b, c *fake) []StageSpec { return []StageSpec{stageOf(a, at, b), stageOf(c)} },
			"at.head b.head c.head",
		},
		"first of a stage": {
			func(a, at, b, c *fake) []StageSpec { return []StageSpec{stageOf(a), stageOf(at), stageOf(b, c)} },
			"at.head b.head c.head",
		},
		"in a stage of kind any, which is met as a whole": {
			func(a, at, b, c *fake) []StageSpec { return []StageSpec{anyOf(a, at), stageOf(b, c)} },
			"a.head at.head b.head c.head",
		},
		"where the condition does not hold any more": {
			func(a, at, b, c *fake) []StageSpec {
				return []StageSpec{onlyGet(stageOf(a, at)), onlyGet(stageOf(b)), stageOf(c)}
			},
			"at.head c.head",
		},
	} {
		t.Run(name, func(t *testing.T) {
			a, at, b, j := three()
			at.name, b.name = "at", "b"
			c := &fake{name: "c", journal: j}
			tier := newTier(t, tc.stages(a, at, b, c)...)
			var w Walk
			var place Place
			if strings.HasPrefix(tc.want, "a.") {
				a.head = answers(401)
			}
			at.head = func(*exchange.Exchange) (policy.Verdict, error) {
				here, there := w.Here()
				if !there {
					t.Error("it has no place")
				}
				place = here
				return policy.Continue, nil
			}
			run := func(from Place, x *exchange.Exchange) {
				if answered, f := tier.RequestFrom(&w, x, from); answered || f != nil {
					t.Errorf("answered %v, failure %v", answered, f)
				}
				tier.Response(&w, x)
				if _, there := w.Here(); there {
					t.Error("a policy has the request at hand after its phases")
				}
				tier.Done(&w, x)
			}
			run(Place{}, newExchange())
			j.events = nil
			x := newExchange()
			x.Request.Method = "PUT"
			run(place, x)
			if got := heads(j.String()); got != tc.want {
				t.Errorf("it met %q, want %q", got, tc.want)
			}
			checkReturned(t, a, at, b, c)
		})
	}
}

// heads are the request phases of what a journal has.
func heads(events string) string {
	return strings.Join(slices.DeleteFunc(strings.Fields(events), func(e string) bool { return !strings.HasSuffix(e, ".head") }), " ")
}
