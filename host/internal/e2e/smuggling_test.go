package e2e

import (
	"bufio"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/ergoproxy/ergo/host/hosttest"
)

//go:embed testdata/smuggling.txt
var smugglingCorpus string

// shape is a case of the corpus.
type shape struct {
	name     string
	outcomes []outcome // any of them
	bytes    string    // with {path}
}

// outcome is what may become of a shape.
type outcome struct {
	kind     string // "refuse", "pass", "pass-close" or "partial"
	statuses []int  // of refuse
	method   string // of pass and pass-close
	body     string
	host     string // that the origin is asked for
}

// parseShapes reads the corpus; its own head says how it is written.
func parseShapes(t testing.TB, text string) (shapes []shape) {
	t.Helper()
	for i, line := range strings.Split(text, "\n") {
		var err error
		switch {
		case line == "" || line[0] == '#':
		case strings.HasPrefix(line, "== "):
			shapes = append(shapes, shape{name: line[3:]})
		case strings.HasPrefix(line, "-> "):
			shapes[len(shapes)-1].outcomes, err = parseOutcomes(line[3:])
		default:
			var more string
			more, err = parseLiterals(line)
			shapes[len(shapes)-1].bytes += more
		}
		if err != nil {
			t.Fatalf("line %d: %v", i+1, err)
		}
	}
	return shapes
}

func parseOutcomes(text string) (all []outcome, err error) {
	text = strings.TrimPrefix(text, "either ")
	for alternative := range strings.SplitSeq(text, " | ") {
		kind, rest, _ := strings.Cut(alternative, " ")
		o := outcome{kind: kind}
		switch kind {
		case "refuse":
			for word := range strings.FieldsSeq(rest) {
				status, err := strconv.Atoi(word)
				if err != nil {
					return nil, err
				}
				o.statuses = append(o.statuses, status)
			}
		case "pass", "pass-close":
			o.method, rest, _ = strings.Cut(rest, " ")
			quoted, err := strconv.QuotedPrefix(rest)
			if err != nil {
				return nil, fmt.Errorf("body %s: %w", rest, err)
			}
			o.body, _ = strconv.Unquote(quoted)
			if _, o.host, _ = strings.Cut(rest[len(quoted):], " for "); o.host == "" {
				o.host = "a"
			}
		case "partial":
		default:
			return nil, fmt.Errorf("outcome %q", alternative)
		}
		all = append(all, o)
	}
	return all, nil
}

var repetition = regexp.MustCompile(`^ \* ([0-9]+)`)

// parseLiterals reads string literals that stand side by side.
func parseLiterals(text string) (value string, err error) {
	for text = strings.TrimSpace(text); text != ""; text = strings.TrimLeft(text, " ") {
		quoted, err := strconv.QuotedPrefix(text)
		if err != nil {
			return "", fmt.Errorf("%.40q: %w", text, err)
		}
		literal, err := strconv.Unquote(quoted)
		if err != nil {
			return "", err
		}
		text = text[len(quoted):]
		times := 1
		if match := repetition.FindStringSubmatch(text); match != nil {
			times, _ = strconv.Atoi(match[1])
			text = text[len(match[0]):]
		}
		value += strings.Repeat(literal, times)
	}
	return value, nil
}

// both has a listener without and one with TLS.
const both = `
[[listener]]
name = "plain"
address = "127.0.0.1:0"
[[listener]]
name = "secure"
address = "127.0.0.1:0"
tls.certificates = [{ cert = %q, key = %q }]
[upstream.origin]
endpoints = [%q]
%s
[service]
upstream = "origin"
`

// startBoth runs a host with both listeners before an origin.
func startBoth(t testing.TB, endpoint, upstream string) *host {
	t.Helper()
	cert, key := hosttest.NewCA(t).Write(t, t.TempDir(), "site", "127.0.0.1")
	return start(t, fmt.Sprintf(both, cert, key, endpoint, upstream))
}

// TestSmuggling sends the whole corpus: whatever it is, the origin gets nothing
// or exactly one request that has one meaning, what comes behind it is neither
// swallowed nor taken for another's, and where it is refused the connection ends.
func TestSmuggling(t *testing.T) {
	shapes := parseShapes(t, smugglingCorpus)
	origin := startRecorder(t)
	h := startBoth(t, "http://"+origin.addr, "")
	for _, w := range []wire{h1, h1Secure} {
		other := h.client(t, w)
		for i, s := range shapes {
			name := fmt.Sprintf("%s/%s", w.name, s.name)
			t.Run(name, func(t *testing.T) {
				(&attempt{t: t, host: h, wire: w, origin: origin, other: other, id: fmt.Sprintf("%s-%d", w.listener(), i)}).run(s)
			})
		}
	}
	origin.check(t)
	for _, r := range origin.requests() {
		if strings.Contains(r.target, "smuggled") {
			t.Errorf("the origin was asked for what a request hid: %s %s", r.method, r.target)
		}
	}
}

// attempt is one shape on its way.
type attempt struct {
	t      *testing.T
	host   *host
	wire   wire
	origin *recorder
	other  *client // somebody else
	id     string
}

// got is what came back on the connection.
type got struct {
	statuses []int // the last one of each answer
	bodies   []string
	ended    bool // the connection
}

func (a *attempt) run(s shape) {
	t := a.t
	path, canary := "/shape-"+a.id, "/canary-"+a.id
	c := a.host.dial(t, a.wire)
	message := strings.ReplaceAll(s.bytes, "{path}", path) + "GET " + canary + " HTTP/1.1\r\nHost: canary.test\r\n\r\n"
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		io.WriteString(c.Conn, message) // a host that refuses stops reading
		if s.outcomes[0].kind == "partial" {
			c.Conn.(interface{ CloseWrite() error }).CloseWrite()
		}
	}()
	answers := a.read(c, s.outcomes)
	c.Close()
	<-sent

	// Another client is answered by what it asks for, whatever went on before.
	if _, body := a.other.get(t, "/next-"+a.id); body != "GET /next-"+a.id {
		t.Errorf("another client got %q", body)
	}
	a.origin.check(t)
	var seen []recordedRequest
	canaries := 0
	for _, r := range a.origin.requests() {
		if r.target == canary {
			canaries++
		} else if strings.HasPrefix(r.target, path) && (r.target == path || r.target[len(path)] < '0' || r.target[len(path)] > '9') {
			seen = append(seen, r)
		}
	}
	var wrong []string
	for _, o := range s.outcomes {
		why := o.differs(answers, seen, canaries, path, canary)
		if why == "" {
			return
		}
		wrong = append(wrong, why)
	}
	t.Errorf("%s\ngot statuses %d, bodies %q, ended: %v; the origin got %d of it, %d canaries",
		strings.Join(wrong, "; or "), answers.statuses, answers.bodies, answers.ended, len(seen), canaries)
}

// read reads answers until the connection ends or the canary's came.
func (a *attempt) read(c *raw, outcomes []outcome) (answers got) {
	method := "GET"
	for _, o := range outcomes {
		if o.method != "" {
			method = o.method
		}
	}
	for len(answers.statuses) < 2 {
		resp, err := http.ReadResponse(c.r, &http.Request{Method: method})
		if err != nil {
			var timeout net.Error
			answers.ended = !(errors.As(err, &timeout) && timeout.Timeout())
			return answers
		}
		if resp.StatusCode < 200 {
			continue
		}
		body, _ := io.ReadAll(resp.Body)
		answers.statuses = append(answers.statuses, resp.StatusCode)
		answers.bodies = append(answers.bodies, string(body))
		method = "GET"
	}
	return answers
}

// differs says how what happened is not this outcome; "" if it is.
func (o outcome) differs(answers got, seen []recordedRequest, canaries int, path, canary string) string {
	switch o.kind {
	case "refuse":
		switch {
		case len(answers.statuses) != 1 || !slices.Contains(o.statuses, answers.statuses[0]):
			return fmt.Sprintf("want it refused with one of %d", o.statuses)
		case !answers.ended:
			return "want the connection closed"
		case len(seen) > 0 || canaries > 0:
			return "want nothing of it to reach the origin"
		}
		return ""
	case "partial":
		if len(seen) > 0 || canaries > 0 || !answers.ended {
			return "want nothing whole to reach the origin, and the connection closed"
		}
		return ""
	}
	want, times := []string{o.method + " " + path, "GET " + canary}, 1
	if o.kind == "pass-close" {
		want, times = want[:1], 0
	}
	if o.method == "HEAD" {
		want[0] = ""
	}
	switch {
	case !slices.Equal(answers.bodies, want):
		return fmt.Sprintf("want the answers %q", want)
	case len(seen) != 1 || seen[0].method != o.method || seen[0].body != o.body:
		return fmt.Sprintf("want the origin to get %s with %q, got %+v", o.method, o.body, seen)
	case seen[0].value("host") != o.host:
		return fmt.Sprintf("want the origin to be asked for host %s, got %s", o.host, seen[0].value("host"))
	case canaries != times:
		return fmt.Sprintf("want the origin to get %d canaries", times)
	case o.kind == "pass-close" && !answers.ended:
		return "want the connection closed"
	}
	return ""
}

// TestSmugglingInPieces sends shapes byte by byte, or in two pieces at every
// place: what is refused in one piece is not let through in several.
func TestSmugglingInPieces(t *testing.T) {
	origin := startRecorder(t)
	h := startBoth(t, "http://"+origin.addr, "")
	shapes := parseShapes(t, smugglingCorpus)
	for i, s := range shapes {
		if len(s.bytes) > 1000 || s.outcomes[0].kind != "refuse" || len(s.outcomes) > 1 {
			continue
		}
		path := fmt.Sprintf("/shape-%d", i)
		message := strings.ReplaceAll(s.bytes, "{path}", path) + "GET /canary HTTP/1.1\r\nHost: a\r\n\r\n"
		c := h.dial(t, h1)
		c.Conn.(*net.TCPConn).SetNoDelay(true)
		go func() {
			for i := range message {
				if _, err := io.WriteString(c.Conn, message[i:i+1]); err != nil {
					return
				}
			}
		}()
		resp, err := http.ReadResponse(bufio.NewReader(c.Conn), nil)
		if err != nil || !slices.Contains(s.outcomes[0].statuses, resp.StatusCode) {
			t.Errorf("%s: got %v, %v, want one of %d", s.name, resp, err, s.outcomes[0].statuses)
		}
		c.Close()
	}
	origin.check(t)
	for _, r := range origin.requests() {
		t.Errorf("the origin was asked for %s %s", r.method, r.target)
	}
}
