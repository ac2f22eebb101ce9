package upstream

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
)

func TestEcho(t *testing.T) {
	set := build(t, registry(t), settings("ergo:echo"))
	x := ask("POST", "/path?q=1", "hello")
	x.Request.Header.Add("X-One", "1")
	x.Request.Header.Add("X-Two", "2")
	if f := set.Forward(x, "up"); f != nil {
		t.Fatal(f)
	}
	body := read(t, x)
	var said struct {
		Method, Target, Authority, Version, Body string
		Headers                                  []string
		BodyBytes                                int `json:"body_bytes"`
	}
	if err := json.Unmarshal([]byte(body), &said); err != nil {
		t.Fatal(err)
	}
	want := "{POST /path?q=1 site.example HTTP/1.1 hello [X-One: 1 X-Two: 2] 5}"
	if got := fmt.Sprint(said); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if x.Response.Length != int64(len(body)) {
		t.Errorf("got length %d of %d bytes", x.Response.Length, len(body))
	}
	for target, want := range map[string]int{"/status/503": 503, "/status/200": 200, "/status/99": 200, "/status/x": 200, "/": 200} {
		if got, _ := get(t, set, target); got != want {
			t.Errorf("%s: got %d, want %d", target, got, want)
		}
	}
	for target, want := range map[string]int{"/bytes/0": 0, "/bytes/1000": 1000, "/bytes/100000": 100000, "/bytes/-1": 0, "/bytes/x": 0} {
		if _, body := get(t, set, target); len(body) != want {
			t.Errorf("%s: got %d bytes, want %d", target, len(body), want)
		}
	}
	x = ask("GET", "/slow?ms=20000", "")
	x.Route.Timeout = 10 * time.Millisecond
	if f := set.Forward(x, "up"); f == nil || f.Cause != exchange.CauseTimeout {
		t.Errorf("slow: got %v, want a timeout", f)
	}
	x = ask("POST", "/", strings.Repeat("x", 100000))
	if f := set.Forward(x, "up"); f != nil {
		t.Fatal(f)
	}
	if body := read(t, x); len(body) > 1000 || !strings.Contains(body, `"body_bytes": 100000`) {
		t.Errorf("large body: got %s", body)
	}
	x = ask("HEAD", "/bytes/1000", "")
	if f := set.Forward(x, "up"); f != nil || x.Response.Body != nil || x.Response.Length != 1000 {
		t.Errorf("HEAD: got %v, %v, %d", f, x.Response.Body, x.Response.Length)
	}
	if got := set.registry.Status()[0].InFlight; got != 0 {
		t.Errorf("in flight: got %d", got)
	}
}
