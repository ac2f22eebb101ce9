package tier

import (
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/manifest"
)

func adds(name string) func(*exchange.Exchange) error {
	return func(x *exchange.Exchange) error {
		x.Response.Trailer.Add(name, "1")
		return nil
	}
}

func TestTrailersRunAtTheEnd(t *testing.T) {
	readers := map[string]func(io.Reader) io.Reader{
		"end apart":     func(r io.Reader) io.Reader { return r },
		"end with data": iotest.DataErrReader,
		"byte by byte":  iotest.OneByteReader,
	}
	for name, reader := range readers {
		t.Run(name, func(t *testing.T) {
			j := &journal{}
			a := &fake{name: "a", journal: j, trailers: adds("a")}
			b := &fake{name: "b", journal: j}
			c := &fake{name: "c", journal: j, trailers: adds("c")}
			x := newExchange()
			body := carry(t, x, func(x *exchange.Exchange) *exchange.Failure {
				x.Response.Status = 200
				x.Response.Body = io.NopCloser(reader(strings.NewReader("text")))
				return nil
			}, newTier(t, stageOf(a)), newTier(t, stageOf(b, c)))
			want := "a.head b.head c.head c.response b.response b.release a.response c.trailers a.trailers c.release a.release"
			if got := j.String(); got != want {
				t.Errorf("phases ran\n%s, want\n%s", got, want)
			}
			if body != "text" || x.Response.Trailer.Len() != 2 {
				t.Errorf("got body %q, trailers %v", body, x.Response.Trailer.Fields())
			}
			checkReturned(t, a, b, c)
		})
	}
}

func TestTrailersNeedAWholeBody(t *testing.T) {
	j := &journal{}
	a := &fake{name: "a", journal: j, trailers: adds("a")}
	carry(t, newExchange(), func(x *exchange.Exchange) *exchange.Failure {
		x.Response.Status = 200
		x.Response.Body = broken("te", io.ErrUnexpectedEOF)
		return nil
	}, newTier(t, stageOf(a)))
	carry(t, newExchange(), replies(204, ""), newTier(t, stageOf(a)))
	if strings.Contains(j.String(), "trailers") {
		t.Errorf("trailers ran of a body that broke off or is not there: %s", j)
	}
	checkReturned(t, a)
}

func TestTrailersAfterDone(t *testing.T) {
	tier := newTier(t, stageOf(&fake{name: "a", trailers: adds("a")}))
	x := newExchange()
	var w Walk
	tier.Request(&w, x)
	replies(200, "text")(x)
	tier.Response(&w, x)
	tier.Done(&w, x)
	if _, err := x.Response.Body.Read(make([]byte, 1)); err == nil {
		t.Error("a body can be read after the exchange is over")
	}
	if err := x.Response.Body.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

func TestTrailersFailure(t *testing.T) {
	for _, c := range []struct {
		action manifest.Action
		body   string
	}{
		{manifest.Action{Kind: "skip"}, "text"},
		{manifest.Action{Kind: "deny"}, "error: policy in policy a: " + errBroken.Error()},
	} {
		t.Run(c.action.Kind, func(t *testing.T) {
			a := &fake{name: "a", trailers: func(x *exchange.Exchange) error {
				x.Response.Trailer.Add("half", "done")
				return errBroken
			}}
			stage := stageOf(a)
			stage.OnError = everyKind(c.action)
			x := newExchange()
			if got := carry(t, x, replies(200, "text"), newTier(t, stage)); got != c.body {
				t.Errorf("got %q, want %q", got, c.body)
			}
			if c.action.Kind == "skip" && x.Response.Trailer.Len() != 0 {
				t.Errorf("the broken policy left trailers %v", x.Response.Trailer.Fields())
			}
			checkReturned(t, a)
		})
	}
}
