package policies

import (
	"errors"
	"io"
	"maps"
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

// FuzzPolicies sends exchanges that a host could hand on through each shipped policy,
// in each configuration of its cases: whatever is in them, no policy breaks.
func FuzzPolicies(f *testing.F) {
	var lines []*tier.Tier
	for _, name := range cases.Folders(f) {
		s := newSuite(f, name)
		for _, config := range slices.Sorted(maps.Keys(s.File.Configs)) {
			lines = append(lines, s.Alone(f, s.Load(f, config, s.File.Configs[config])))
			for _, c := range s.File.Cases {
				if c.Config == config || c.Config == "" && config == "example" {
					seed(f, &c, len(lines)-1)
				}
			}
		}
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
		carry(t, lines[int(line)%len(lines)], x, respond)
	})
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
