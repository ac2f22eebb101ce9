package tier

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/policy"
)

func anyOf(fakes ...*fake) StageSpec {
	s := stageOf(fakes...)
	s.Combine = "any"
	return s
}

// challenge answers 401 with a field and a body that name the policy.
func challenge(name string) func(*exchange.Exchange) (policy.Verdict, error) {
	return func(x *exchange.Exchange) (policy.Verdict, error) {
		x.Request.Header.Set("tried", name)
		x.Request.Target = "/" + name
		x.Route.Upstream = name
		x.Annotate("tried", name)
		_ = x.SetProperty(exchange.Property{Name: "tried", Value: name})
		_ = x.Identify(name, name)
		x.Response.Status = 401
		x.Response.Header.Add("www-authenticate", name)
		x.Response.Body = io.NopCloser(strings.NewReader(name))
		x.Response.Length = int64(len(name))
		return policy.Answer, nil
	}
}

func TestAnyFirstThatPasses(t *testing.T) {
	a, b, c, j := three()
	a.head = challenge("a")
	b.head = func(x *exchange.Exchange) (policy.Verdict, error) {
		checkUntouched(t, x)
		if x.Response.Status != 0 || x.Response.Header.Len() != 0 || x.Response.Body != nil {
			t.Errorf("a trial began with a response: %+v", x.Response)
		}
		x.Request.Header.Add("consumer", "bob")
		return policy.Continue, nil
	}
	x := newExchange()
	body := carry(t, x, replies(200, "ok"), newTier(t, anyOf(a, b, c)))
	if x.Response.Status != 200 || body != "ok" || x.AnsweredBy != "" {
		t.Errorf("got status %d, body %q, answered by %q", x.Response.Status, body, x.AnsweredBy)
	}
	if x.Request.Header.Value("consumer") != "bob" || x.Request.Target != "/" {
		t.Errorf("the request is not what the passing policy made it: %+v", x.Request)
	}
	want := "a.head b.head a.release b.response b.done b.release"
	if got := j.String(); got != want {
		t.Errorf("phases ran\n%s, want\n%s", got, want)
	}
	checkReturned(t, a, b, c)
}

func TestAnyNonePasses(t *testing.T) {
	a, b, c, j := three()
	a.head, b.head, c.head = challenge("a"), challenge("b"), challenge("c")
	before := &fake{name: "before", journal: j}
	x := newExchange()
	body := carry(t, x, replies(200, ""), newTier(t, stageOf(before), anyOf(a, b, c)))
	if x.Response.Status != 401 || body != "a" || x.AnsweredBy != "a" || x.Response.Header.Value("www-authenticate") != "a" {
		t.Errorf("got status %d, body %q by %q, want the first policy's answer", x.Response.Status, body, x.AnsweredBy)
	}
	want := "before.head a.head b.head b.release c.head c.release before.response before.release a.done a.release"
	if got := j.String(); got != want {
		t.Errorf("phases ran\n%s, want\n%s", got, want)
	}
	checkUntouched(t, &exchange.Exchange{Request: x.Request, Route: x.Route, Notes: x.Notes, Properties: x.Properties, Identity: x.Identity})
	checkReturned(t, a, b, c, before)
}

func TestAnyWithBrokenPolicies(t *testing.T) {
	skip, deny := manifest.Action{Kind: "skip"}, manifest.Action{Kind: "deny"}
	cases := []struct {
		name   string
		first  manifest.Action // rule of the first policy, which traps
		second func(*exchange.Exchange) (policy.Verdict, error)
		status int
	}{
		{"another passes, denied", deny, nil, 200},
		{"another passes, skipped", skip, nil, 200},
		{"another answers, denied", deny, challenge("b"), 500},
		{"another answers, skipped", skip, challenge("b"), 401},
		{"all broken, denied", deny, breaks(policy.Overload), 500},
		{"all broken, skipped", skip, breaks(policy.Overload), 503},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			a := &fake{name: "a", head: breaks(policy.Trap)}
			b := &fake{name: "b", head: c.second}
			stage := anyOf(a, b)
			stage.Uses[0].OnError = everyKind(c.first)
			x := newExchange()
			carry(t, x, replies(200, ""), newTier(t, stage))
			if x.Response.Status != c.status {
				t.Errorf("got status %d, want %d", x.Response.Status, c.status)
			}
			checkReturned(t, a, b)
		})
	}
}

func TestAnyAllSkippedIsDenied(t *testing.T) {
	a := &fake{name: "a", head: breaks(policy.Trap)}
	b := &fake{name: "b", head: breaks(policy.Timeout)}
	stage := anyOf(a, b)
	stage.OnError = skipAll
	x := newExchange()
	carry(t, x, replies(200, ""), newTier(t, stage))
	if x.Response.Status != 500 || x.Failure.Policy != "a" {
		t.Errorf("got status %d of policy %q, want the first one's 500", x.Response.Status, x.Failure.Policy)
	}
}

func TestAnyEachTrialSeesWholeBody(t *testing.T) {
	const text = "the whole body"
	for _, mode := range []manifest.BodyMode{manifest.BodyBuffer, manifest.BodyPeek, manifest.BodyStream} {
		read := func(x *exchange.Exchange) (policy.Verdict, error) {
			if mode == manifest.BodyStream {
				got, err := io.ReadAll(x.Request.Body)
				x.Request.Body.Close()
				if string(got) != text || err != nil {
					t.Errorf("mode %d: a trial read %q, %v", mode, got, err)
				}
			} else if got := string(x.Request.Body.(*exchange.Buffered).Bytes()); got != text {
				t.Errorf("mode %d: a trial saw %q", mode, got)
			}
			x.Response.Status = 401
			return policy.Answer, nil
		}
		need := manifest.BodyNeed{Mode: mode, Max: 1000}
		a, b, c := &fake{name: "a"}, &fake{name: "b"}, &fake{name: "c"}
		for _, f := range []*fake{a, b} {
			f.needs.RequestBody = need
			f.body = read
			if mode == manifest.BodyStream {
				f.head, f.body = read, nil
			}
		}
		x := withBody(text)
		source := &closing{Reader: strings.NewReader(text)}
		x.Request.Body = source
		var sent []byte
		carry(t, x, func(x *exchange.Exchange) *exchange.Failure {
			if source.closed && mode == manifest.BodyStream {
				t.Errorf("mode %d: a trial closed the body for good", mode)
			}
			sent, _ = io.ReadAll(x.Request.Body)
			x.Request.Body.Close()
			x.Response.Status = 200
			return nil
		}, newTier(t, anyOf(a, b, c)))
		if string(sent) != text || x.Response.Status != 200 {
			t.Errorf("mode %d: sent on %q with status %d, want %q", mode, sent, x.Response.Status, text)
		}
		if !source.closed {
			t.Errorf("mode %d: the client's body is still open", mode)
		}
		checkReturned(t, a, b, c)
	}
}

func TestAnyBodyTooLargeForOne(t *testing.T) {
	small := &fake{name: "small"}
	small.needs.RequestBody = manifest.BodyNeed{Mode: manifest.BodyBuffer, Max: 4}
	large := &fake{name: "large"}
	large.needs.RequestBody = manifest.BodyNeed{Mode: manifest.BodyBuffer, Max: 400}

	x := withBody("five!")
	x.Request.Length = exchange.UnknownLength
	carry(t, x, replies(200, ""), newTier(t, anyOf(small, large)))
	if x.Response.Status != 200 {
		t.Errorf("got status %d where another policy takes the body, want 200", x.Response.Status)
	}
	x = withBody("five!")
	carry(t, x, replies(200, ""), newTier(t, anyOf(small)))
	if x.Response.Status != 413 {
		t.Errorf("got status %d where none takes the body, want 413", x.Response.Status)
	}
	checkReturned(t, small, large)
}

// trailing is a body that brings a trailer with its end.
type trailing struct {
	io.Reader
	trailer *exchange.Header
}

func (b trailing) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err == io.EOF {
		b.trailer.Set("sum", "1")
	}
	return n, err
}

func (trailing) Close() error { return nil }

// A policy that does not let pass, or breaks, leaves nothing in the trailer for
// those behind the next one, and takes nothing from it.
func TestTrailerOfARefusedTrial(t *testing.T) {
	for _, need := range []manifest.BodyNeed{{}, buffer(100)} {
		for _, mode := range []string{"any", "all"} {
			first, second := &fake{name: "first", needs: policy.Needs{RequestBody: need}}, &fake{name: "second"}
			claim := func(x *exchange.Exchange) (policy.Verdict, error) {
				x.Request.Trailer.Set("user", "admin")
				x.Request.Trailer.Del("sum")
				if mode == "all" {
					return policy.Continue, &policy.Error{Kind: policy.Trap, Err: errors.New("broken")}
				}
				return answers(401)(x)
			}
			if first.head = claim; need.Max > 0 {
				first.head, first.body = nil, claim
			}
			stage := stageOf(first, second)
			stage.Combine, stage.OnError = mode, skipAll
			x := withBody("")
			x.Request.Body, x.Request.Length = trailing{strings.NewReader("text"), &x.Request.Trailer}, exchange.UnknownLength
			x.Request.Trailer.Add("sum", "") // announced
			carry(t, x, echoes, newTier(t, stage))
			if got := fmt.Sprint(x.Request.Trailer.Fields()); got != "[{sum 1}]" {
				t.Errorf("%s, body %v: got trailer %s", mode, need.Mode, got)
			}
		}
	}
}
