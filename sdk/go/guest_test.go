//go:build !wasip1

package guest

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
)

func TestFlowIsTheABIsContextAndNext(t *testing.T) {
	cases := map[Flow]uint64{Answer: 0, Continue: 1, ContinueWith(0xdeadbeef): 0xdeadbeef_00000001}
	for flow, want := range cases {
		if uint64(flow) != want {
			t.Errorf("got %#x, want %#x", uint64(flow), want)
		}
	}
}

func TestHeaderFields(t *testing.T) {
	host := NewFake("GET", "/", Field{"X-A", "1"}, Field{"x-a", ""}, Field{"B", "b"})
	host.Run(func() {
		header := Request{}.Header()
		if got, want := header.Names(), []string{"x-a", "b"}; !slices.Equal(got, want) {
			t.Errorf("names: got %q, want %q", got, want)
		}
		if got, want := header.Values("x-A"), []string{"1", ""}; !slices.Equal(got, want) {
			t.Errorf("values: got %q, want %q", got, want)
		}
		if _, found := header.Get("gone"); found {
			t.Error("found a field that is not there")
		}
		header.Set("x-a", "2")
		header.Add("X-A", "3")
		header.Remove("b")
	})
	want := []Field{{"x-a", "2"}, {"X-A", "3"}}
	if !slices.Equal(host.RequestHeader, want) {
		t.Errorf("got %q, want %q", host.RequestHeader, want)
	}
}

func TestValuesLongerThanTheFirstBufferArriveWhole(t *testing.T) {
	long := "/" + strings.Repeat("a", 5000)
	NewFake("GET", long, Field{"x", long}, Field{"x", "2"}).Run(func() {
		if got := (Request{}).Target(); got != long {
			t.Errorf("got %d bytes, want %d", len(got), len(long))
		}
		if got := (Request{}).Header().Values("x"); !slices.Equal(got, []string{long, "2"}) {
			t.Errorf("got %d values", len(got))
		}
	})
}

func TestAnswer(t *testing.T) {
	host := NewFake("GET", "/")
	host.Run(func() {
		if got := (Request{}).Answer(403).Header("x-why", "rule").Text("no\n"); got != Answer {
			t.Errorf("got flow %d, want %d", got, Answer)
		}
	})
	want := []Field{{"x-why", "rule"}, {"content-type", "text/plain; charset=utf-8"}}
	if host.Status != 403 || host.ResponseBody != "no\n" || !slices.Equal(host.ResponseHeader, want) {
		t.Errorf("got %d %q %q", host.Status, host.ResponseBody, host.ResponseHeader)
	}
}

func TestBodiesAreReadersAndWriters(t *testing.T) {
	host := NewFake("POST", "/")
	host.RequestBody = strings.Repeat("0123456789", 1000)
	want := host.RequestBody
	host.Run(func() {
		body, err := io.ReadAll(Request{}.Body())
		if err != nil || string(body) != want {
			t.Errorf("got %d bytes, %v, want %d", len(body), err, len(want))
		}
		if _, err := io.WriteString(Request{}.Body(), "other"); err != nil {
			t.Error(err)
		}
	})
	if host.RequestBody != "other" {
		t.Errorf("got %q", host.RequestBody)
	}
}

func TestRoute(t *testing.T) {
	host := NewFake("GET", "/")
	host.Upstreams = []string{"blue"}
	host.Run(func() {
		outcomes := []struct{ got, want error }{
			{SetUpstream("green"), ErrNotFound},
			{SetUpstream("blue"), nil},
			{AddFallback("green"), ErrNotFound},
			{AddFallback("blue"), nil},
			{AddFallback("blue"), nil},
			{AddFallback("blue"), nil},
			{AddFallback("blue"), nil},
			{AddFallback("blue"), ErrNoRoom},
			{SetHashKey("k"), nil},
			{SetTimeoutMS(1500), nil},
			{SetTimeoutMS(-1), ErrBadArgument},
			{SetRetries(2), nil},
			{SetRetries(11), ErrBadArgument},
		}
		for i, outcome := range outcomes {
			if !errors.Is(outcome.got, outcome.want) {
				t.Errorf("%d: got %v, want %v", i, outcome.got, outcome.want)
			}
		}
		if len(host.Fallbacks) != 4 || Upstream() != "blue" || host.HashKey != "k" || host.TimeoutMS != 1500 || host.Retries != 2 {
			t.Errorf("got %q %q %d %d", Upstream(), host.HashKey, host.TimeoutMS, host.Retries)
		}
	})
}

func TestLog(t *testing.T) {
	host := NewFake("GET", "/")
	host.Run(func() {
		Log(Warn, "plain")
		Emit(Info, "with", "key", "value\x00hidden")
		Annotate("consumer", "alice")
	})
	if want := []string{"plain", "with key value"}; !slices.Equal(host.Log, want) {
		t.Errorf("got %q, want %q", host.Log, want)
	}
	if want := []Field{{"consumer", "alice"}}; !slices.Equal(host.Annotations, want) {
		t.Errorf("got %q, want %q", host.Annotations, want)
	}
}

func TestRemoveAlike(t *testing.T) {
	host := NewFake("GET", "/", Field{"X-User", "a"}, Field{"x_user", "b"}, Field{"X-User_Id", "c"}, Field{"x-user2", "d"}, Field{"x_user", "e"})
	host.Run(func() {
		Request{}.Header().RemoveAlike()
		Request{}.Header().RemoveAlike("x-user", "X_User-Id")
	})
	if len(host.RequestHeader) != 1 || host.RequestHeader[0].Name != "x-user2" {
		t.Errorf("got %v, want x-user2 alone", host.RequestHeader)
	}
}
