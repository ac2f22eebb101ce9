package process

import (
	"io"
	"strings"
	"testing"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/policy"
)

func TestRequestIsShownAndChanged(t *testing.T) {
	p := load(t, `{}`)
	x := newExchange("accept", "*/*")
	if verdict, err := visitOnce(t, p, x); err != nil || verdict != policy.Continue {
		t.Fatal(verdict, err)
	}
	if got := x.Request.Header.Value("x-seen"); got != "GET /a?b" {
		t.Errorf("got x-seen %q", got)
	}
	x = newExchange("x-do", "change", "x-gone", "1", "X-Gone", "2", "x-many", "0")
	if _, err := visitOnce(t, p, x); err != nil {
		t.Fatal(err)
	}
	r := &x.Request
	if r.Method != "POST" || r.Target != "/changed?b" || r.Authority != "changed.example" || r.Header.Has("x-gone") {
		t.Errorf("got %s %s %s %v", r.Method, r.Authority, r.Target, r.Header.Fields())
	}
	if got := strings.Join(r.Header.AppendValues(nil, "x-many"), ","); got != "0,1,2" {
		t.Errorf("got x-many %s, want 0,1,2", got)
	}
}

func TestAnswer(t *testing.T) {
	p := load(t, `{"do": "answer"}`)
	x := newExchange()
	verdict, err := visitOnce(t, p, x)
	if err != nil || verdict != policy.Answer {
		t.Fatal(verdict, err)
	}
	r := &x.Response
	if body := bodyOf(t, r.Body); r.Status != 418 || r.Header.Value("x-pot") != "tea" || body != "short and stout" || r.Length != 15 {
		t.Errorf("got %d %v %q, length %d", r.Status, r.Header.Fields(), body, r.Length)
	}
}

// What a policy does not ask for stays in the host.
func TestOnlyChosenFieldsTravel(t *testing.T) {
	p := load(t, `{"do": "list", "fields": ["accept", "x-do"]}`)
	if got := answerOf(t, p, "Accept", "*/*", "cookie", "secret", "Authorization", "secret"); got != "Accept" {
		t.Errorf("got fields %q, want Accept alone", got)
	}
}

func TestResponseRemembersItsRequest(t *testing.T) { testResponse(t, load(t, `{}`)) }

func testResponse(t *testing.T, p policy.Policy) {
	x := newExchange()
	i, err := p.Acquire(x)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Release(i)
	if _, err := p.(policy.RequestHead).OnRequestHead(i, x); err != nil {
		t.Fatal(err)
	}
	x.Route.Sent = true
	x.Response.Status = 200
	x.Response.Header.Add("x-teapot", "yes")
	if err := p.(policy.ResponseHead).OnResponseHead(i, x); err != nil {
		t.Fatal(err)
	}
	if x.Response.Status != 418 || x.Response.Header.Value("x-request") != "/a?b" {
		t.Errorf("got %d %v", x.Response.Status, x.Response.Header.Fields())
	}
}

// What is not part of HTTP never gets into a message, and what frames one is the host's.
func TestBadChanges(t *testing.T) {
	p := load(t, `{}`)
	_, err := visitOnce(t, p, newExchange("x-do", "bad"))
	if kind := kindOf(t, err); kind != policy.Trap {
		t.Errorf("got kind %v, want trap", kind)
	}
	x := newExchange("x-do", "frame")
	if _, err := visitOnce(t, p, x); err != nil || x.Request.Header.Has("transfer-encoding") {
		t.Errorf("got %v, fields %v", err, x.Request.Header.Fields())
	}
}

func TestErrorAndPanicAreThePolicysFailure(t *testing.T) {
	p := load(t, `{}`)
	for _, do := range []string{"error", "panic"} {
		_, err := visitOnce(t, p, newExchange("x-do", do))
		if kind := kindOf(t, err); kind != policy.Trap {
			t.Errorf("%s: got kind %v, want trap", do, kind)
		}
	}
	if _, err := visitOnce(t, p, newExchange()); err != nil {
		t.Errorf("after them: %v", err)
	}
}

const holding = policyFile + `
[needs]
request_body = "buffer(256KiB)"
response_body = "buffer(256KiB)"
`

func TestHeldBodies(t *testing.T) {
	p := newBench(t, holding, `{"do": "body"}`).load(t)
	for _, body := range []string{"", "a", strings.Repeat("b", maxChunk), strings.Repeat("c", 3*maxChunk+1)} {
		x := newExchange("x-do", "error")
		x.Request.Header.Del("x-do")
		x.Request.Header.Set("x-do", "answerless")
		x.Request.Header.Del("x-do")
		x.Request.Header.Add("content-length", "1")
		held := exchange.NewBuffered([]byte(body))
		x.Request.Body = held
		i, err := p.Acquire(x)
		if err != nil {
			t.Fatal(err)
		}
		if verdict, err := p.(policy.RequestBody).OnRequestBody(i, x); err != nil || verdict != policy.Continue {
			t.Fatal(verdict, err)
		}
		if got := bodyOf(t, x.Request.Body); got != strings.ToUpper(body) || x.Request.Length != int64(len(body)) {
			t.Errorf("got a request body of %d bytes, length %d, want %d in upper case", len(got), x.Request.Length, len(body))
		}
		x.Response.Status = 200
		x.Response.Body = exchange.NewBuffered([]byte(body))
		if err := p.(policy.ResponseBody).OnResponseBody(i, x); err != nil {
			t.Fatal(err)
		}
		if got := bodyOf(t, x.Response.Body); got != strings.ToUpper(body) {
			t.Errorf("got a response body of %d bytes, want %d in upper case", len(got), len(body))
		}
		p.Release(i)
	}
}

// A policy may want less of a body than policy.toml says.
func TestHold(t *testing.T) {
	p := newBench(t, strings.ReplaceAll(holding, "buffer", "peek"), `{"do": "body"}`).load(t)
	bounds := p.(policy.BodyBound)
	for _, c := range []struct {
		told, contentType string
		want              int64
	}{
		{"", "", unbound}, {"0", "", 0}, {"3", "", 3}, {"-1", "", 0},
		{"3", "text/event-stream", unbound}, // as none follows, it says nothing
	} {
		x := newExchange("x-hold", c.told)
		x.Request.Body = io.NopCloser(strings.NewReader("abcdef"))
		i, err := p.Acquire(x)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.(policy.RequestHead).OnRequestHead(i, x); err != nil {
			t.Fatal(err)
		}
		if got := x.Request.Header.Value("x-saw"); got != "HTTP/1.1" {
			t.Errorf("it saw protocol %q", got)
		}
		x.Response.Status = 200
		x.Response.Body = io.NopCloser(strings.NewReader("abcdef"))
		x.Response.Header.Add("x-hold", c.told)
		x.Response.Header.Add("content-type", c.contentType)
		if err := p.(policy.ResponseHead).OnResponseHead(i, x); err != nil {
			t.Fatal(err)
		}
		if got := bounds.ResponseBound(i); got != c.want {
			t.Errorf("told %q, type %q: got a bound of %d for the response, want %d", c.told, c.contentType, got, c.want)
		}
		if got := bounds.RequestBound(i); c.contentType == "" && got != c.want {
			t.Errorf("told %q: got a bound of %d for the request, want %d", c.told, got, c.want)
		}
		p.Release(i)
	}
}

// What is in memory because others asked for it does not travel either.
func TestBeyondHoldNothingTravels(t *testing.T) {
	p := newBench(t, strings.ReplaceAll(holding, "buffer", "peek"), `{"do": "body"}`).load(t)
	x := newExchange("x-hold", "4")
	x.Request.Body = exchange.NewBuffered([]byte("abcdef"))
	i, err := p.Acquire(x)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Release(i)
	if _, err := p.(policy.RequestHead).OnRequestHead(i, x); err != nil {
		t.Fatal(err)
	}
	if _, err := p.(policy.RequestBody).OnRequestBody(i, x); err != nil {
		t.Fatal(err)
	}
	if got := x.Request.Header.Value("x-length"); got != "4" {
		t.Errorf("it saw %s bytes, want 4", got)
	}
}

func TestHeldBodyIsAnswered(t *testing.T) {
	p := newBench(t, holding, `{"do": "body"}`).load(t)
	x := newExchange()
	x.Request.Body = exchange.NewBuffered([]byte("refuse"))
	i, err := p.Acquire(x)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Release(i)
	if verdict, err := p.(policy.RequestBody).OnRequestBody(i, x); err != nil || verdict != policy.Answer || x.Response.Status != 422 {
		t.Error(verdict, err, x.Response.Status)
	}
}

const streaming = policyFile + `
[needs]
request_body = "stream"
response_body = "stream"
`

func TestStreamedBodies(t *testing.T) {
	p := newBench(t, streaming, `{"do": "stream"}`).load(t)
	for _, size := range []int{0, 1, maxChunk, 5<<20 + 1} {
		x := newExchange("x-do", "")
		x.Request.Body, x.Request.Length = io.NopCloser(strings.NewReader(strings.Repeat("s", size))), int64(size)
		i, err := p.Acquire(x)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.(policy.RequestHead).OnRequestHead(i, x); err != nil {
			t.Fatal(err)
		}
		if got := bodyOf(t, x.Request.Body); got != strings.Repeat("S", 2*size)+"!" || x.Request.Length != exchange.UnknownLength {
			t.Errorf("of %d bytes: got %d, length %d", size, len(got), x.Request.Length)
		}
		x.Route.Sent = true
		x.Response.Status = 200
		x.Response.Body, x.Response.Length = io.NopCloser(strings.NewReader(strings.Repeat("r", size))), int64(size)
		if err := p.(policy.ResponseHead).OnResponseHead(i, x); err != nil {
			t.Fatal(err)
		}
		if got := bodyOf(t, x.Response.Body); got != strings.Repeat("R", 2*size)+"!" {
			t.Errorf("of %d bytes: got %d of the response", size, len(got))
		}
		p.Release(i)
	}
}

func TestStreamThatFailsBreaksOff(t *testing.T) {
	testPoison(t, newBench(t, streaming, `{"do": "stream"}`).load(t))
}

// testPoison has the policy fail on a body that it streams.
func testPoison(t *testing.T, p policy.Policy) {
	t.Helper()
	x := newExchange()
	x.Request.Body, x.Request.Length = io.NopCloser(strings.NewReader("poison")), 6
	i, err := p.Acquire(x)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Release(i)
	if _, err := p.(policy.RequestHead).OnRequestHead(i, x); err != nil {
		t.Fatal(err)
	}
	if read, err := io.ReadAll(x.Request.Body); err == nil {
		t.Errorf("got %q without an error", read)
	}
	if kind := kindOf(t, p.(policy.BodyFault).BodyFault(i)); kind != policy.Trap {
		t.Errorf("got kind %v, want trap", kind)
	}
}

func TestFailureIsAnswered(t *testing.T) {
	p := load(t, `{"do": "failure"}`)
	x := newExchange()
	i, err := p.Acquire(x)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Release(i)
	x.Fail(&exchange.Failure{Cause: exchange.CauseTimeout, Status: 504})
	verdict, err := p.(policy.Failure).OnFailure(i, x)
	if err != nil || verdict != policy.Answer || bodyOf(t, x.Response.Body) != "rescued from 504" {
		t.Error(verdict, err, x.Response.Status)
	}
	x.Response.Trailer.Add("x-before", "there")
	if err := p.(policy.Trailers).OnTrailers(i, x); err != nil {
		t.Fatal(err)
	}
	if got := x.Response.Trailer; got.Value("x-trailer") != "added" || got.Value("x-before") != "there" {
		t.Errorf("got trailers %v", got.Fields())
	}
}
