//go:build !wasip1

package guest

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestFetch(t *testing.T) {
	host := NewFake("GET", "/")
	long := strings.Repeat("x", 5000)
	var asked []Call
	host.Fetch = func(c Call) (Answered, error) {
		asked = append(asked, c)
		return NewAnswered(403, long, "X-A", "1", "x-a", "", "x-long", long), nil
	}
	host.Run(func() {
		got, err := Fetch(Call{URL: "https://idp.example.com/", Fields: []string{"x-one", "1", "x-two", ""}, Body: []byte("b"), TimeoutMS: 5})
		if err != nil {
			t.Fatal(err)
		}
		if got.Status != 403 || string(got.Body) != long || !slices.Equal(got.Values("X-a"), []string{"1", ""}) || len(got.Trailer("x")) != 0 {
			t.Errorf("got %+v", got)
		}
	})
	if len(asked) != 1 || asked[0].Method != "GET" || string(asked[0].Body) != "b" || !slices.Equal(asked[0].Fields, []string{"x-one", "1", "x-two", ""}) || asked[0].TimeoutMS != 5 {
		t.Errorf("the host was asked %+v", asked)
	}
	if len(host.calls) != 0 {
		t.Errorf("%d calls stay open", len(host.calls))
	}
}

func TestSend(t *testing.T) {
	host := NewFake("GET", "/")
	host.Run(func() {
		if err := Send(Call{URL: "https://idp.example.com/"}); !errors.Is(err, ErrNotGranted) {
			t.Errorf("got %v, want %v", err, ErrNotGranted)
		}
		if err := Send(Call{URL: "https://idp.example.com/", Fields: []string{"a", "b\x00c"}}); !errors.Is(err, ErrBadArgument) {
			t.Errorf("got %v, want %v", err, ErrBadArgument)
		}
	})
	var asked []Call
	host.Fetch = func(c Call) (Answered, error) {
		asked = append(asked, c)
		return NewAnswered(500, ""), nil
	}
	host.Run(func() {
		if err := Send(Call{Method: "POST", URL: "https://idp.example.com/", Body: []byte("b")}); err != nil {
			t.Error(err)
		}
	})
	if len(asked) != 1 || asked[0].Method != "POST" || string(asked[0].Body) != "b" || len(host.calls) != 0 {
		t.Errorf("the host was asked %+v, %d calls stay open", asked, len(host.calls))
	}
}

func TestFetchErrors(t *testing.T) {
	host := NewFake("GET", "/")
	host.Run(func() {
		if _, err := Fetch(Call{URL: "https://idp.example.com/"}); !errors.Is(err, ErrNotGranted) {
			t.Errorf("got %v, want %v", err, ErrNotGranted)
		}
	})
	for _, want := range []error{ErrBadArgument, ErrPending, ErrNotGranted, ErrAddress, ErrTimeout, ErrTooLarge, ErrBusy, ErrFailed} {
		host.Fetch = func(Call) (Answered, error) { return Answered{}, want }
		host.Run(func() {
			if _, err := Fetch(Call{URL: "https://idp.example.com/"}); !errors.Is(err, want) {
				t.Errorf("got %v, want %v", err, want)
			}
		})
	}
	for _, bad := range []Call{{Fields: []string{"a", "b\x00c"}}, {TimeoutMS: -1}} {
		host.Run(func() {
			if _, err := Begin(bad); !errors.Is(err, ErrBadArgument) {
				t.Errorf("%+v: got %v, want %v", bad, err, ErrBadArgument)
			}
		})
	}
}

func TestSeveralCalls(t *testing.T) {
	host := NewFake("GET", "/")
	host.Fetch = func(c Call) (Answered, error) { return NewAnswered(200, c.URL), nil }
	host.Run(func() {
		first, _ := Begin(Call{URL: "https://a.example/"})
		second, _ := Begin(Call{URL: "https://b.example/"})
		b, _ := second.Await(-1)
		a, _ := first.Await(0)
		if string(a.Body) != "https://a.example/" || string(b.Body) != "https://b.example/" {
			t.Errorf("got %q and %q", a.Body, b.Body)
		}
		first.Close()
		if _, err := first.Await(-1); err == nil {
			t.Error("a closed call has a response")
		}
	})
}
