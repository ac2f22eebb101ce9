package tier

import (
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/policy"
)

func buffer(max manifest.Size) manifest.BodyNeed {
	return manifest.BodyNeed{Mode: manifest.BodyBuffer, Max: max}
}

func peek(max manifest.Size) manifest.BodyNeed {
	return manifest.BodyNeed{Mode: manifest.BodyPeek, Max: max}
}

// echoes sends the request's body back.
func echoes(x *exchange.Exchange) *exchange.Failure {
	var text []byte
	var err error
	if x.Request.Body != nil {
		if text, err = io.ReadAll(x.Request.Body); err != nil {
			return &exchange.Failure{Cause: exchange.CauseClient, Status: 400, Err: err}
		}
	}
	return replies(200, string(text))(x)
}

// sees makes f write down what is in memory of both bodies.
func (f *fake) sees(into *[]string) {
	look := func(body io.ReadCloser) {
		held := body.(*exchange.Buffered)
		text := string(held.Bytes())
		if !held.Whole() {
			text += "..."
		}
		*into = append(*into, f.name+":"+text)
	}
	f.body = func(x *exchange.Exchange) (policy.Verdict, error) { look(x.Request.Body); return policy.Continue, nil }
	f.responseBody = func(x *exchange.Exchange) error { look(x.Response.Body); return nil }
}

func TestBodyModes(t *testing.T) {
	const text = "0123456789"
	cases := []struct {
		name         string
		first, other manifest.BodyNeed
		want         string
	}{
		{"buffer once", buffer(10), buffer(20), "a:0123456789 b:0123456789 b:0123456789 a:0123456789"},
		{"peek then buffer", peek(4), buffer(20), "a:0123... b:0123456789 b:0123456789 a:0123456789"},
		{"buffer then peek", buffer(20), peek(4), "a:0123456789 b:0123456789 b:0123... a:0123456789"},
		{"peek further", peek(4), peek(6), "a:0123... b:012345... b:012345... a:012345..."},
		{"peek less", peek(6), peek(4), "a:012345... b:012345... b:0123... a:012345..."},
		{"peek past the end", peek(60), peek(4), "a:0123456789 b:0123456789 b:0123... a:0123456789"},
	}
	for _, c := range cases {
		for _, length := range []int64{int64(len(text)), exchange.UnknownLength} {
			t.Run(c.name, func(t *testing.T) {
				var saw []string
				a, b := &fake{name: "a"}, &fake{name: "b"}
				a.needs = policy.Needs{RequestBody: c.first, ResponseBody: c.first}
				b.needs = policy.Needs{RequestBody: c.other, ResponseBody: c.other}
				a.sees(&saw)
				b.sees(&saw)
				x := withBody(text)
				x.Request.Length = length
				got := carry(t, x, echoes, newTier(t, stageOf(a, b)))
				if got != text {
					t.Errorf("the client got %q, want %q", got, text)
				}
				if got := strings.Join(saw, " "); got != c.want {
					t.Errorf("policies saw %s, want %s", got, c.want)
				}
			})
		}
	}
}

// bounding is a policy that wants less of bodies than it said.
type bounding struct {
	fakeHead
	fakeBodies
	bound int64
}

func (b bounding) RequestBound(policy.Instance) int64  { return b.bound }
func (b bounding) ResponseBound(policy.Instance) int64 { return b.bound }

func TestBodyBound(t *testing.T) {
	const text = "0123456789"
	for _, c := range []struct {
		need  manifest.BodyNeed
		bound int64
		want  string
	}{
		{peek(6), 0, ""},
		{peek(6), 4, "a:0123... a:0123..."},
		{peek(6), 7, "a:012345... a:012345..."},
		{buffer(10), 0, ""},
		{buffer(20), 10, "a:0123456789 a:0123456789"},
		{buffer(20), 1 << 62, "a:0123456789 a:0123456789"},
	} {
		var saw []string
		f := &fake{name: "a", needs: policy.Needs{RequestBody: c.need, ResponseBody: c.need}}
		f.sees(&saw)
		x := withBody(text)
		x.Request.Length = exchange.UnknownLength
		spec := stageOf(f)
		spec.Uses[0].Slot.Policy = struct {
			*fake
			bounding
		}{f, bounding{fakeHead{f}, fakeBodies{f}, c.bound}}
		if got := carry(t, x, echoes, newTier(t, spec)); got != text {
			t.Errorf("%v, %d: the client got %q, want %q", c.need, c.bound, got, text)
		}
		if got := strings.Join(saw, " "); got != c.want {
			t.Errorf("%v, %d: the policy saw %q, want %q", c.need, c.bound, got, c.want)
		}
	}
	f := &fake{name: "a", needs: policy.Needs{RequestBody: buffer(20)}}
	x := withBody(text)
	spec := stageOf(f)
	spec.Uses[0].Slot.Policy = struct {
		*fake
		bounding
	}{f, bounding{fakeHead{f}, fakeBodies{f}, 9}}
	var w Walk
	if _, failure := newTier(t, spec).Request(&w, x); failure == nil || failure.Status != 413 {
		t.Errorf("a body beyond what is held: got %+v, want 413", failure)
	}
}

func TestBodyBeginsAtItsFirstByteForTheNext(t *testing.T) {
	a := &fake{name: "a", needs: policy.Needs{RequestBody: buffer(100), ResponseBody: buffer(100)}}
	a.body = func(x *exchange.Exchange) (policy.Verdict, error) {
		io.CopyN(io.Discard, x.Request.Body, 3)
		return policy.Continue, nil
	}
	a.responseBody = func(x *exchange.Exchange) error {
		io.Copy(io.Discard, x.Response.Body)
		return nil
	}
	if got := carry(t, withBody("whole"), echoes, newTier(t, stageOf(a))); got != "whole" {
		t.Errorf("got %q, want whole", got)
	}
}

func TestBodyPhaseWithoutBody(t *testing.T) {
	var saw []string
	a := &fake{name: "a", needs: policy.Needs{RequestBody: buffer(10), ResponseBody: peek(10)}}
	a.sees(&saw)
	x := newExchange()
	carry(t, x, func(x *exchange.Exchange) *exchange.Failure {
		if x.Request.Body != nil {
			t.Error("a request without body was sent on with one")
		}
		x.Response.Status = 204
		return nil
	}, newTier(t, stageOf(a)))
	if x.Response.Body != nil {
		t.Error("a response without body was sent with one")
	}
	if got, want := strings.Join(saw, " "), "a: a:"; got != want {
		t.Errorf("the policy saw %q, want %q: a body phase must not be skipped", got, want)
	}
}

// endless blocks whoever reads it.
type endless struct{ t *testing.T }

func (e endless) Read([]byte) (int, error) {
	e.t.Error("a stream was read that no policy asked for")
	return 0, io.EOF
}
func (endless) Close() error { return nil }

func TestStreamsPassUnread(t *testing.T) {
	a := &fake{name: "a"}
	stage := stageOf(a)
	stage.MaxRequestBody = 10
	stage.OnError = skipAll
	x := newExchange()
	x.Request.Body, x.Request.Length = endless{t}, exchange.UnknownLength
	tier := newTier(t, stage)
	var w Walk
	if answered, f := tier.Request(&w, x); answered || f != nil {
		t.Fatalf("got answered %v, failure %v", answered, f)
	}
	x.Response.Status = 200
	x.Response.Body = endless{t}
	tier.Response(&w, x)
	if x.Response.Body != (endless{t}) {
		t.Errorf("the response's body was replaced by a %T", x.Response.Body)
	}
	tier.Done(&w, x)
}

func TestRequestBodyTooLarge(t *testing.T) {
	cases := []struct {
		name   string
		stage  func() StageSpec
		length int64
	}{
		{"for a policy, length told", tooSmall, 10},
		{"for a policy, length not told", tooSmall, exchange.UnknownLength},
		{"for a stage, length told", bounded, 10},
		{"for a stage, length not told", bounded, exchange.UnknownLength},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			stage := c.stage()
			stage.OnError = skipAll // it is not the policy's failure
			x := withBody("0123456789")
			x.Request.Length = c.length
			carry(t, x, echoes, newTier(t, stage))
			if x.Response.Status != 413 || x.Failure == nil || x.Failure.Cause != exchange.CauseBody {
				t.Errorf("got status %d, failure %+v; want 413, body", x.Response.Status, x.Failure)
			}
			for _, u := range stage.Uses {
				if n := u.Slot.Status().Failures; n != 0 {
					t.Errorf("the policy is blamed for %d failures", n)
				}
			}
		})
	}
}

func tooSmall() StageSpec {
	return stageOf(&fake{name: "a", needs: policy.Needs{RequestBody: buffer(9)}})
}

func bounded() StageSpec {
	stage := stageOf(&fake{name: "a"})
	stage.MaxRequestBody = 9
	return stage
}

func TestRequestBodyWithinBound(t *testing.T) {
	stage := stageOf(&fake{name: "a"})
	stage.MaxRequestBody = 10
	for _, length := range []int64{10, exchange.UnknownLength} {
		x := withBody("0123456789")
		x.Request.Length = length
		if got := carry(t, x, echoes, newTier(t, stage)); got != "0123456789" {
			t.Errorf("length %d: got %q", length, got)
		}
	}
}

func TestResponseBodyTooLarge(t *testing.T) {
	a := &fake{name: "a", needs: policy.Needs{ResponseBody: buffer(4)}}
	stage := stageOf(a)
	stage.OnError = skipAll
	x := newExchange()
	carry(t, x, replies(200, "five!"), newTier(t, stage))
	if x.Response.Status != 502 || x.Failure == nil || x.Failure.Cause != exchange.CauseBody {
		t.Errorf("got status %d, failure %+v; want 502, body", x.Response.Status, x.Failure)
	}
	checkReturned(t, a)
}

// broken is a body that fails after its text.
func broken(text string, err error) io.ReadCloser {
	return io.NopCloser(io.MultiReader(strings.NewReader(text), errorReader{err}))
}

type errorReader struct{ err error }

func (r errorReader) Read([]byte) (int, error) { return 0, r.err }

func TestBrokenBodies(t *testing.T) {
	cases := []struct {
		name     string
		err      error
		response bool
		cause    exchange.Cause
		status   int
	}{
		{"request", io.ErrUnexpectedEOF, false, exchange.CauseClient, 400},
		{"request, named", &exchange.BodyError{Err: errBroken}, false, exchange.CauseClient, 400},
		{"request, silent", &exchange.BodyError{Err: os.ErrDeadlineExceeded}, false, exchange.CauseClient, 408},
		{"request, by the host", &exchange.Failure{Cause: exchange.CauseOverload, Status: 503}, false, exchange.CauseOverload, 503},
		{"response", io.ErrUnexpectedEOF, true, exchange.CauseReset, 502},
		{"response, named", &exchange.BodyError{Response: true, Err: errBroken}, true, exchange.CauseReset, 502},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			a := &fake{name: "a", needs: policy.Needs{RequestBody: buffer(100), ResponseBody: buffer(100)}}
			stage := stageOf(a)
			stage.OnError = skipAll
			x := newExchange()
			if !c.response {
				x.Request.Body, x.Request.Length = broken("ab", c.err), exchange.UnknownLength
			}
			carry(t, x, func(x *exchange.Exchange) *exchange.Failure {
				x.Response.Status = 200
				x.Response.Body, x.Response.Length = broken("ab", c.err), exchange.UnknownLength
				return nil
			}, newTier(t, stage))
			if x.Failure == nil || x.Failure.Cause != c.cause || x.Response.Status != c.status {
				t.Errorf("got status %d, failure %v; want %d, %s", x.Response.Status, x.Failure, c.status, c.cause)
			}
			if n := stage.Uses[0].Slot.Status().Failures; n != 0 {
				t.Errorf("the policy is blamed for %d failures", n)
			}
			checkReturned(t, a)
		})
	}
}

func TestSkippedPolicyLeavesBody(t *testing.T) {
	consume := func(body *io.ReadCloser) {
		io.CopyN(io.Discard, *body, 5)
		(*body).Close()
		*body = exchange.NewBuffered([]byte("changed"))
	}
	a := &fake{name: "a", needs: policy.Needs{
		RequestBody:  manifest.BodyNeed{Mode: manifest.BodyStream},
		ResponseBody: manifest.BodyNeed{Mode: manifest.BodyStream},
	}}
	a.head = func(x *exchange.Exchange) (policy.Verdict, error) {
		consume(&x.Request.Body)
		return policy.Continue, errBroken
	}
	b := &fake{name: "b", needs: a.needs, responseHead: func(x *exchange.Exchange) error {
		consume(&x.Response.Body)
		return errBroken
	}}
	stage := stageOf(a, b)
	stage.OnError = skipAll
	if got := carry(t, withBody("0123456789"), echoes, newTier(t, stage)); got != "0123456789" {
		t.Errorf("got %q, want what the client sent", got)
	}
}

func TestSkipNeedsWhatWasRead(t *testing.T) {
	stream := manifest.BodyNeed{Mode: manifest.BodyStream}
	swallow := func(body io.Reader) error {
		io.Copy(io.Discard, body)
		return errBroken
	}
	large := strings.Repeat("x", minKept+1)

	a := &fake{name: "a", needs: policy.Needs{RequestBody: stream}}
	a.head = func(x *exchange.Exchange) (policy.Verdict, error) { return 0, swallow(x.Request.Body) }
	stage := stageOf(a)
	stage.OnError = skipAll
	x := withBody(large)
	carry(t, x, echoes, newTier(t, stage))
	if x.Response.Status != 500 {
		t.Errorf("request: got status %d with its body gone, want 500", x.Response.Status)
	}

	b := &fake{name: "b", needs: policy.Needs{ResponseBody: stream}}
	b.responseHead = func(x *exchange.Exchange) error { return swallow(x.Response.Body) }
	stage = stageOf(b)
	stage.OnError = skipAll
	x = newExchange()
	carry(t, x, replies(200, large), newTier(t, stage))
	if x.Response.Status != 500 {
		t.Errorf("response: got status %d with its body gone, want 500", x.Response.Status)
	}
}

func TestKeptBodyIsTakenOff(t *testing.T) {
	stream := manifest.BodyNeed{Mode: manifest.BodyStream}
	stage := stageOf(&fake{name: "a", needs: policy.Needs{RequestBody: stream, ResponseBody: stream}})
	stage.OnError = skipAll
	tier := newTier(t, stage)
	x := withBody("x")
	source := x.Request.Body
	var w Walk
	tier.Request(&w, x)
	if x.Request.Body != source {
		t.Errorf("an untouched request body is sent on as a %T", x.Request.Body)
	}
	echoes(x)
	source = x.Response.Body
	tier.Response(&w, x)
	if x.Response.Body != source {
		t.Errorf("an untouched response body is sent as a %T", x.Response.Body)
	}
	tier.Done(&w, x)
}

func TestBodyTooLargeUpstream(t *testing.T) {
	x := newExchange()
	carry(t, x, fails(exchange.Failure{
		Cause: exchange.CauseClient, Status: 400, Err: errors.Join(errBroken, exchange.ErrBodyTooLarge),
	}), newTier(t))
	if x.Response.Status != 413 || x.Failure.Cause != exchange.CauseBody {
		t.Errorf("got status %d, failure %v; want 413", x.Response.Status, x.Failure)
	}
}
