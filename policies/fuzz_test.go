package policies

import (
	"cmp"
	"errors"
	"flag"
	"io"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/hosttest/cases"
	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/host/tier"
)

// maxFuzzed bounds the fields and the bodies of a fuzzed exchange, as a listener would.
const maxFuzzed = 64 << 10

// fuzzedSeeds are how many cases fuzzing starts from. All of them would have to load every
// configuration before the first new input is tried.
const fuzzedSeeds = 16

// FuzzPolicies sends exchanges that a host could hand on through each shipped policy,
// in each configuration of its cases: whatever is in them, no policy breaks. Fuzzing starts
// from cases that are drawn by chance; without it each case is tried.
func FuzzPolicies(f *testing.F) {
	s := &shelf{suites: make(map[string]*cases.Suite)}
	f.Cleanup(func() { s.close(f) })
	seeds := s.list(f)
	if flag.Lookup("test.fuzz").Value.String() != "" {
		rand.Shuffle(len(seeds), func(i, j int) { seeds[i], seeds[j] = seeds[j], seeds[i] })
		seeds = seeds[:fuzzedSeeds]
	}
	for _, at := range seeds {
		seed(f, &at.Case, at.line)
	}
	f.Fuzz(func(t *testing.T, line uint16, method, host, target, fields string, body []byte, status uint16, answered string, answer []byte) {
		x := &exchange.Exchange{ID: "fuzz", Conn: &exchange.Conn{}, Upstreams: cases.Upstreams{"blue", "green"}}
		x.Request = exchange.Request{Method: method, Scheme: "https", Authority: host, Target: target, Version: exchange.HTTP11}
		addLines(&x.Request.Header, fields)
		if !exchange.ValidName(method) || !exchange.ValidTarget(method, target) || !exchange.ValidAuthority(host) ||
			method == "CONNECT" || len(target)+len(fields)+len(body)+len(answered)+len(answer) > maxFuzzed {
			t.Skip("no listener lets it in")
		}
		setBody(&x.Request.Body, &x.Request.Length, body)
		respond := func() {
			x.Response.Status = 200 + int(status)%400
			addLines(&x.Response.Header, answered)
			setBody(&x.Response.Body, &x.Response.Length, answer)
		}
		carry(t, s.tier(t, int(line)), x, respond)
	})
}

// shelf has the shipped policies in all of their configurations. It loads one when
// an exchange first wants it, and closes all that it has loaded.
type shelf struct {
	testing.TB // of the exchange that wants one
	lines      []fuzzedLine
	suites     map[string]*cases.Suite // by policy
	ends       []func()
}

// fuzzedLine is a policy in a configuration.
type fuzzedLine struct {
	policy, config string
	tier           *tier.Tier // nil until it is wanted
}

type fuzzSeed struct {
	cases.Case
	line int
}

// list reads what policies and configurations there are, and returns their cases.
func (s *shelf) list(f *testing.F) (seeds []fuzzSeed) {
	for _, name := range cases.Folders(f) {
		file := cases.Read(f, filepath.Join(name, "cases.toml"), artifact(f, name).File.Example)
		for _, config := range slices.Sorted(maps.Keys(file.Configs)) {
			for _, c := range file.Cases {
				if cmp.Or(c.Config, "example") == config {
					seeds = append(seeds, fuzzSeed{c, len(s.lines)})
				}
			}
			s.lines = append(s.lines, fuzzedLine{policy: name, config: config})
		}
	}
	return seeds
}

// tier returns the tier of a line; there is one for each number.
func (s *shelf) tier(t *testing.T, line int) *tier.Tier {
	l := &s.lines[line%len(s.lines)]
	if l.tier == nil {
		s.TB = t
		suite := s.suites[l.policy]
		if suite == nil {
			suite = newSuite(s, l.policy)
			s.suites[l.policy] = suite
		}
		l.tier = suite.Alone(s, suite.Load(s, l.config, suite.File.Configs[l.config]))
	}
	return l.tier
}

// Cleanup keeps what is loaded beyond the exchange that wanted it.
func (s *shelf) Cleanup(end func()) { s.ends = append(s.ends, end) }

// Output is nowhere, because no exchange lives as long as what writes to it.
func (s *shelf) Output() io.Writer { return io.Discard }

func (s *shelf) close(f *testing.F) {
	s.TB = f
	for _, end := range slices.Backward(s.ends) {
		end()
	}
}

// seed adds a case to what fuzzing starts from.
func seed(f *testing.F, c *cases.Case, line int) {
	x := c.Exchange(f)
	r := x.Request
	respond := new(cases.Response)
	if c.Upstream != nil {
		respond = c.Upstream
	}
	respond.Answer(x)
	f.Add(uint16(line), r.Method, r.Authority, r.Target, linesOf(&r.Header), []byte(c.Request.Body),
		uint16(x.Response.Status-200), linesOf(&x.Response.Header), []byte(respond.Body))
}

// carry takes an exchange there and back.
func carry(t *testing.T, line *tier.Tier, x *exchange.Exchange, respond func()) {
	walk := new(tier.Walk)
	if f := line.Enter(x); f != nil {
		t.Fatal(f)
	}
	defer line.Leave(x)
	defer line.Done(walk, x)
	answered, f := line.Request(walk, x)
	switch {
	case f != nil:
		sound(t, f)
		x.Fail(f)
	case !answered:
		read(t, x.Request.Body)
		x.Route.Sent = true
		respond()
	}
	line.Response(walk, x)
	if x.Failure != nil {
		sound(t, x.Failure)
	}
	read(t, x.Response.Body)
}

// sound reports a failure that is the policy's own.
func sound(t testing.TB, err error) {
	t.Helper()
	var own *policy.Error
	if errors.As(err, &own) {
		t.Error(err)
	}
}

// read takes a body in, which a policy may have broken off for what is in it.
func read(t testing.TB, body io.Reader) {
	t.Helper()
	if body == nil {
		return
	}
	if _, err := io.Copy(io.Discard, body); err != nil {
		sound(t, err)
	}
}

func setBody(body *io.ReadCloser, length *int64, bytes []byte) {
	if len(bytes) > 0 {
		*body, *length = io.NopCloser(strings.NewReader(string(bytes))), int64(len(bytes))
	}
}

// addLines adds those lines that are fields.
func addLines(h *exchange.Header, lines string) {
	for line := range strings.Lines(lines) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		if exchange.ValidName(name) && exchange.ValidValue(value) && h.Len() < 100 {
			h.Add(name, value)
		}
	}
}

func linesOf(h *exchange.Header) string {
	var b strings.Builder
	for _, f := range h.Fields() {
		b.WriteString(f.Name + ": " + f.Value + "\n")
	}
	return b.String()
}
