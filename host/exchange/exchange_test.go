package exchange

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"
)

func TestFailIsClean(t *testing.T) {
	x := new(Exchange)
	old := &source{Reader: strings.NewReader("half an answer")}
	x.Request.Method = "GET"
	x.Response.Status, x.Response.Body = 200, old
	x.Response.Header.Add("X-Secret", "1")
	x.AnsweredBy = "a policy"
	cause := errors.New("dial tcp 10.1.2.3: connection refused")
	x.Fail(&Failure{Cause: CauseRefused, Status: 503, RetryAfter: 1200 * time.Millisecond, Err: cause})

	body, _ := io.ReadAll(x.Response.Body)
	if got, want := string(body), "503 Service Unavailable\n"; got != want || x.Response.Length != int64(len(want)) {
		t.Errorf("body: got %q, length %d, want %q", got, x.Response.Length, want)
	}
	if got := x.Response.Header.Value("retry-after"); got != "2" {
		t.Errorf("Retry-After: got %q, want whole seconds, rounded up", got)
	}
	if !old.closed || x.Response.Header.Has("x-secret") || x.AnsweredBy != "" {
		t.Error("something of the response before is left")
	}
	if !errors.Is(x.Failure, cause) || x.Failure.Cause != CauseRefused {
		t.Errorf("failure: got %v", x.Failure)
	}
}

func TestFailOfHEAD(t *testing.T) {
	x := new(Exchange)
	x.Request.Method = "HEAD"
	x.Fail(&Failure{Cause: CauseTimeout, Status: 504})
	if x.Response.Body != nil || x.Response.Length != int64(len("504 Gateway Timeout\n")) {
		t.Errorf("got body %v, length %d, want the length that GET would have had", x.Response.Body, x.Response.Length)
	}
}

func TestFailOfGRPC(t *testing.T) {
	for status, want := range map[int]string{
		400: "13", 401: "16", 403: "7", 404: "12", 413: "8", 429: "14", 502: "14", 503: "14", 504: "4", 500: "2",
	} {
		x := new(Exchange)
		x.Request.Header.Add("Content-Type", "application/grpc+proto")
		x.Fail(&Failure{Cause: CausePolicy, Status: status})
		if got := x.Response.Header.Value("grpc-status"); got != want || x.Response.Status != 200 || x.Response.Body != nil {
			t.Errorf("%d: got status %d, grpc-status %q, want 200 and %q", status, x.Response.Status, got, want)
		}
	}
}

func TestContextIsNeverNil(t *testing.T) {
	x := new(Exchange)
	if x.Context() == nil {
		t.Error("got nil")
	}
	ctx, cancel := context.WithCancel(t.Context())
	x.SetContext(ctx)
	cancel()
	if x.Context().Err() == nil || x.Life().Err() == nil {
		t.Error("the context that was set does not end it")
	}
}

func TestNotesAreBounded(t *testing.T) {
	x := new(Exchange)
	for range MaxNotes + 10 {
		x.Annotate("k", "v")
	}
	if got := len(x.Notes); got != MaxNotes {
		t.Errorf("got %d notes, want %d", got, MaxNotes)
	}
}

func TestSendErrorSaysWhoBroke(t *testing.T) {
	err := error(&SendError{Upstream: true, Err: io.ErrUnexpectedEOF})
	if got, want := err.Error(), "read response body: unexpected EOF"; got != want || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// released notes the order in which it was released.
type released struct {
	name string
	log  *[]string
}

func (r released) Release() { *r.log = append(*r.log, r.name) }

func TestResetReleasesOnceTheLatestFirst(t *testing.T) {
	var log []string
	x := new(Exchange)
	x.OnReset(released{"first", &log})
	x.OnReset(released{"second", &log})
	if len(log) != 0 {
		t.Errorf("got %q before Reset", log)
	}
	x.Reset()
	x.Reset()
	if got := strings.Join(log, " "); got != "second first" {
		t.Errorf("got %q, want the latest first, each once", got)
	}
}

func TestOnResetCostsNothingTheSecondTime(t *testing.T) {
	x := new(Exchange)
	r := &nothing{}
	use := func() {
		x.OnReset(r)
		x.Reset()
	}
	use()
	if n := testing.AllocsPerRun(100, use); n != 0 {
		t.Errorf("got %v allocations, want none", n)
	}
}

type nothing struct{}

func (*nothing) Release() {}
