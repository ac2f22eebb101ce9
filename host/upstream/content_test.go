package upstream

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/ergoproxy/ergo/host/exchange"
)

// arriving is a body of which some is there, and the rest comes when somebody
// waits for it.
type arriving struct {
	there, later string
	err          error // after all of it; nil: io.EOF
	waited       bool
}

func (a *arriving) Ready() bool { return a.there != "" || a.later == "" }

func (a *arriving) Read(p []byte) (int, error) {
	if a.there == "" {
		a.there, a.later, a.waited = a.later, "", true
	}
	n := copy(p, a.there[:min(len(a.there), 3)])
	a.there = a.there[n:]
	switch {
	case a.there != "" || a.later != "":
		return n, nil
	case a.err != nil && n > 0:
		return n, nil
	case a.err != nil:
		return 0, a.err
	}
	return n, io.EOF
}

func (a *arriving) Close() error { return nil }

func TestBodiesInMemory(t *testing.T) {
	var failing bool
	s := origin(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if failing = !failing; failing {
			w.WriteHeader(503)
			return
		}
		fmt.Fprintf(w, "%s %d %v", body, r.ContentLength, err)
	})
	for _, c := range []struct {
		name     string
		body     *arriving
		length   int64
		inMemory bool
	}{
		{"all there", &arriving{there: "hello world"}, 11, true},
		{"some there", &arriving{there: "hello ", later: "world"}, 11, false},
		{"none there", &arriving{later: "hello world"}, 11, false},
		{"of unknown length", &arriving{there: "hello world"}, exchange.UnknownLength, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			up := settings(s.URL)
			up.Retry.Status = []int{503}
			set := build(t, registry(t), up)
			x, call := ask("PUT", "/", ""), new(Call)
			x.Request.Body, x.Request.Length = c.body, c.length
			if f := set.ForwardBy(call, x, "up"); f != nil {
				t.Fatal(f)
			}
			want := fmt.Sprintf("hello world %d <nil>", c.length)
			if got := read(t, x); got != want {
				t.Errorf("the second try was sent %q, want %q", got, want)
			}
			if inMemory := call.replay == &call.held; inMemory != c.inMemory || c.inMemory && c.body.waited {
				t.Errorf("sent from memory: %v, waited: %v", inMemory, c.body.waited)
			}
		})
	}
}

func TestBodyThatBreaksInMemory(t *testing.T) {
	set, _ := nearby(t)
	x := ask("POST", "/", "")
	gone := &exchange.BodyError{Err: errors.New("told to break")}
	x.Request.Body, x.Request.Length = &arriving{there: "hel", err: gone}, 5
	call := new(Call)
	if f := set.ForwardBy(call, x, "up"); f != nil {
		t.Fatal(f)
	}
	if err := call.replay.ClientError(); err != gone || call.replay.Replayable() {
		t.Errorf("got %v, to be sent again: %v", err, call.replay.Replayable())
	}
}

func TestCallsDoNotShareBodies(t *testing.T) {
	set, _ := nearby(t)
	call := new(Call)
	for _, text := range []string{"first", "2nd", strings.Repeat("x", maxHeld)} {
		x := ask("POST", "/", "")
		x.Request.Body, x.Request.Length = &arriving{there: text}, int64(len(text))
		if f := set.ForwardBy(call, x, "up"); f != nil {
			t.Fatal(f)
		}
		got, err := io.ReadAll(call.try.OpenBody())
		if string(got) != text || err != nil {
			t.Errorf("the endpoint was sent %q, %v", got, err)
		}
		x.Response.Body.Close()
		call = call.Reset()
	}
}

func TestSmallBodiesDoNotAllocate(t *testing.T) {
	set, _ := nearby(t)
	x, call, body := ask("POST", "/", ""), new(Call), new(arriving)
	forward := func() {
		*body = arriving{there: "hello world"}
		x.Request.Body, x.Request.Length = body, 11
		x.Response.Header.Reset()
		if f := set.ForwardBy(call, x, "up"); f != nil {
			t.Fatal(f)
		}
		x.Response.Body.Close()
		call = call.Reset()
	}
	forward()
	if n := testing.AllocsPerRun(100, forward); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}
