package e2e

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/ergoproxy/ergo/host/hosttest"
)

// given are fields that guests of "headers" and "trailers" edit, edited what
// comes of them.
var (
	given = http.Header{
		"X-In": {"a", "b"}, "X-Replaced": {"old", "older"}, "X-Removed": {"1", "2"}, "X-Other": {"same", "again"},
	}
	edited = map[string][]string{
		"X-First": {"a"}, "X-All": {"a|b"}, "X-Added": {"one", "two"}, "X-Replaced": {"new"}, "X-Removed": nil,
		"X-In": {"a", "b"}, "X-Other": {"same", "again"},
	}
)

// asQuery has hosttest.Echo answer with fields.
func asQuery(h http.Header) string {
	var parts []string
	for name, values := range h {
		for _, value := range values {
			parts = append(parts, name+"="+value)
		}
	}
	return "/?" + strings.Join(parts, "&")
}

var headerCases = []guestCase{
	{
		name: "headers", config: "headers",
		request:  guestRequest{target: asQuery(given), header: given},
		seen:     edited,
		response: edited,
	},
	{
		name: "isolated", config: "headers", more: `isolation = "exchange"`,
		request:  guestRequest{target: asQuery(given), header: given},
		seen:     edited,
		response: edited,
	},
	{
		name: "pairs", config: "pairs",
		request: guestRequest{
			target: "/?X-Drop-1=x&X-Keep=r1&X-Keep=r2",
			header: http.Header{"X-Drop-1": {"x"}, "X-Drop-2": {"y"}, "X-Keep": {"k1", "k2"}},
		},
		seen:     map[string][]string{"X-Drop-1": nil, "X-Drop-2": nil, "X-Keep": {"k1", "k2"}, "X-Pair": {"a", "b"}},
		response: map[string][]string{"X-Drop-1": nil, "X-Keep": {"r1", "r2"}, "X-Pair": {"a", "b"}},
	},
	{
		name: "pseudo", config: "pseudo",
		request: guestRequest{method: "PATCH", target: "/was?x=1"},
		status:  418,
		check: func(t *testing.T, seen hosttest.Seen) {
			if seen.Method != "PUT" || seen.Target != "/moved?from=/was?x=1" || seen.Host != "moved.example" {
				t.Errorf("the origin got %s %s of %s", seen.Method, seen.Target, seen.Host)
			}
		},
		response: map[string][]string{"X-Status": {"200"}},
	},
	{
		name: "request-trailers", config: "trailers",
		request: guestRequest{method: "POST", body: "text", trailer: given},
		seen:    edited,
	},
}

const hello = "hello, world"

// bodyCases are a request and a response of each kind of change. Clients and origin
// send them byte by byte.
func bodyCases(o *origin) []guestCase {
	target := o.at(func(w http.ResponseWriter, _ *http.Request) { dribble(w, hello) })
	// Behind a body that trailers follow there is no end of the stream until these are
	// shown, as in Envoy: who waits for it lets the body pass.
	trailed := o.at(func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Trailer"] = []string{"X-In", "X-Replaced", "X-Removed", "X-Other"}
		dribble(w, hello)
		for name, values := range given {
			w.Header()[name] = values
		}
	})
	cases := []guestCase{{
		name: "response-trailers", config: "trailers",
		request:  guestRequest{target: trailed},
		response: edited, body: hello,
	}, {
		name: "response-upper-trailed", config: "body response upper",
		request:  guestRequest{target: trailed},
		response: map[string][]string{"X-In": given["X-In"]}, body: hello,
	}, {
		name: "gate", config: "body request gate", more: `proxy_wasm.pause = "headers"`,
		request: guestRequest{method: "POST", body: hello},
		seen:    map[string][]string{"X-Body": {hello}},
		check:   wantSeenBody(hello),
	}}
	for how, want := range map[string]string{
		"upper": strings.ToUpper(hello), "stream": strings.ToUpper(hello), "replace": "replaced",
		"append": hello + "<tail>", "prepend": "<head>" + hello, "nothing": hello,
	} {
		cases = append(cases, guestCase{
			name: "request-" + how, config: "body request " + how,
			request: guestRequest{method: "POST", body: hello},
			check:   wantSeenBody(want),
		}, guestCase{
			name: "response-" + how, config: "body response " + how,
			request: guestRequest{target: target},
			body:    want,
		})
	}
	return cases
}

func wantSeenBody(want string) func(*testing.T, hosttest.Seen) {
	return func(t *testing.T, seen hosttest.Seen) {
		if seen.Body != want {
			t.Errorf("the origin got %q, want %q", seen.Body, want)
		}
	}
}

// dribble sends text byte by byte.
func dribble(w http.ResponseWriter, text string) {
	piece := make([]byte, 1)
	for r := iotest.OneByteReader(strings.NewReader(text)); ; {
		if _, err := io.ReadFull(r, piece); err != nil {
			return
		}
		w.Write(piece)
		http.NewResponseController(w).Flush()
	}
}
