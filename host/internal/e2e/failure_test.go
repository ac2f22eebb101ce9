package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	"github.com/ergoproxy/ergo/host/hosttest"
)

// nobody is an address where nobody listens.
func nobody(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// TestUpstreamFailures are told in the words of HTTP alone, and whoever asked
// can ask on.
func TestUpstreamFailures(t *testing.T) {
	raw := func(serve func(net.Conn)) func(t testing.TB) string {
		return func(t testing.TB) string { return hosttest.Raw(t, serve) }
	}
	for _, test := range []struct {
		name     string
		addr     func(t testing.TB) string
		upstream string // settings
		body     string
		grpc     codes.Code
	}{
		{"down", nobody, "", "502 Bad Gateway\n", codes.Unavailable},
		{"resets", raw(hosttest.Resetting), "", "502 Bad Gateway\n", codes.Unavailable},
		{"speaks garbage", raw(hosttest.Garbage), "", "502 Bad Gateway\n", codes.Unavailable},
		{"is silent", raw(hosttest.Silent), `timeout = "150ms"`, "504 Gateway Timeout\n", codes.DeadlineExceeded},
		{"is not healthy", nobody, "health = { kind = \"tcp\", interval = \"10ms\", unhealthy = 1 }\n", "503 Service Unavailable\n", codes.Unavailable},
	} {
		t.Run(test.name, func(t *testing.T) {
			addr := test.addr(t)
			h := start(t, fmt.Sprintf(bare, `"http://`+addr+`"`, test.upstream))
			want := test.body
			if strings.Contains(test.upstream, "health") {
				hosttest.Eventually(t, func() bool { _, body := h.client(t, h1).get(t, "/"); return body == want }, "the probe has noticed")
			}
			c := h.dial(t, h1)
			for _, request := range []string{
				"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
				"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody",
			} {
				c.send(request)
				resp, body := c.response("GET")
				if body != want || !strings.HasPrefix(want, fmt.Sprint(resp.StatusCode)) {
					t.Errorf("got status %d and %q, want %q", resp.StatusCode, body, want)
				}
				if said := fmt.Sprint(resp.Header, body); strings.Contains(said, "127.0.0.1") || strings.Contains(said, "origin") {
					t.Errorf("an answer that tells internals: %s", said)
				}
				if resp.Header.Get("Cache-Control") != "no-store" || resp.StatusCode == 503 && resp.Header.Get("Retry-After") == "" {
					t.Errorf("got header %v", resp.Header)
				}
			}
			c.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
			if resp, body := c.response("HEAD"); body != "" || !strings.HasPrefix(want, fmt.Sprint(resp.StatusCode)) {
				t.Errorf("HEAD: got status %d and %q", resp.StatusCode, body)
			}
			wantGRPC(t, h, test.grpc)
			expectAnswer(t, h, want)
		})
	}
}

// expectAnswer waits for 100 (Continue) with its body, and must not wait long.
func expectAnswer(t *testing.T, h *host, want string) {
	c := h.dial(t, h1)
	c.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
	resp, body := c.response("POST")
	if resp.StatusCode == 100 {
		c.send("body")
		resp, body = c.response("POST")
	}
	if body != want {
		t.Errorf("expect: got status %d and %q, want %q", resp.StatusCode, body, want)
	}
}

// wantGRPC has a real client of gRPC see the failure as a status of its own.
func wantGRPC(t *testing.T, h *host, want codes.Code) {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+h.addrs["plain"], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, err = grpc_testing.NewTestServiceClient(conn).UnaryCall(ctx, &grpc_testing.SimpleRequest{})
	if got := status.Convert(err); got.Code() != want || strings.Contains(got.Message(), "127.0.0.1") {
		t.Errorf("gRPC: got %v, want %v", got, want)
	}
}

// TestNoRoute has no policy choose an upstream where the manifest names none.
func TestNoRoute(t *testing.T) {
	h := start(t, strings.Replace(fmt.Sprintf(bare, `"http://127.0.0.1:1"`, ""), `upstream = "origin"`, "", 1)+fmt.Sprintf(`
[policy.router]
source = %q
grants = ["ergo_identity", "ergo_route"]
[[edge.stage]]
name = "route"
use = [{ policy = "router", config.rules = [{ path = "/known", upstream = "origin" }] }]
`, shipped(t, "router")))
	if resp, body := h.client(t, h1).get(t, "/"); resp.StatusCode != 404 || body != "404 Not Found\n" {
		t.Errorf("got status %d and %q", resp.StatusCode, body)
	}
}

// TestFailuresAreLogged: what the client is not told, the operator is.
func TestFailuresAreLogged(t *testing.T) {
	o := startOrigin(t)
	h := startBare(t, o, "")
	c := h.client(t, h1)
	path := o.at(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		io.WriteString(w, "less")
	})
	resp, err := c.transport.RoundTrip(c.request(t, "GET", path+"?secret=1", nil))
	if err == nil {
		defer resp.Body.Close()
		_, err = io.ReadAll(resp.Body)
	}
	if err == nil {
		t.Error("the client took it for the whole")
	}
	var line map[string]any
	hosttest.Eventually(t, func() bool {
		for _, l := range h.access.lines(t) {
			if l["path"] == path {
				line = l
			}
		}
		return line != nil
	}, "the exchange is in the access log")
	if line["status"] != 200.0 || line["failure"] != "reset" || !strings.Contains(fmt.Sprint(line["err"]), "EOF") ||
		line["upstream"] != "origin" || strings.Contains(fmt.Sprint(line), "secret") {
		t.Errorf("got %v", line)
	}
}

// failing is one guest under several failure rules, by path.
const failing = `
[[listener]]
name = "plain"
address = "127.0.0.1:0"
[upstream.origin]
endpoints = [%q]
[policy.guest]
source = %q
limits.time = "100ms"
[policy.headers]
source = %q
[service]
upstream = "origin"
[[service.stage]]
name = "deny"
when.path = "/deny"
use = [{ policy = "guest" }]
[[service.stage]]
name = "skip"
when.path = "/skip"
on_error = "skip"
use = [{ policy = "guest" }]
[[service.stage]]
name = "respond"
when.path = "/respond"
on_error = { trap = { respond = 418 }, timeout = { respond = 419 } }
use = [{ policy = "guest" }]
[[service.stage]]
name = "after"
use = [{ policy = "headers", config.request.set = { x-after = "1" } }]
`

// TestPolicyThatFails follows its rule, in either direction, and the next
// exchange meets a sound one.
func TestPolicyThatFails(t *testing.T) {
	o := startOrigin(t)
	h := start(t, fmt.Sprintf(failing, o.URL, guest(t, "buffer(64KiB)"), shipped(t, "headers")))
	for _, test := range []struct {
		path, fault string
		status      int
	}{
		{"/deny", "trap", 500}, {"/deny", "late", 500}, {"/deny", "spin", 504},
		{"/skip", "trap", 200}, {"/skip", "late", 200}, {"/skip", "spin", 200},
		{"/respond", "trap", 418}, {"/respond", "late", 418}, {"/respond", "spin", 419},
	} {
		t.Run(test.path[1:]+" "+test.fault, func(t *testing.T) {
			c := h.client(t, h1)
			r := c.request(t, "POST", test.path, strings.NewReader("body"))
			r.Header.Set("X-Guest-Do", test.fault)
			resp := c.do(t, r)
			body := all(t, resp.Body)
			if resp.StatusCode != test.status {
				t.Errorf("got status %d and %q, want %d", resp.StatusCode, body, test.status)
			}
			if test.status == 200 {
				seen := hosttest.Decode(t, strings.NewReader(body))
				if seen.Body != "body" || seen.Header.Get("X-After") != "1" {
					t.Errorf("the origin saw body %q, header %v", seen.Body, seen.Header)
				}
			} else if len(body) > 50 || strings.Contains(body, "guest") || strings.Contains(body, "wasm") {
				t.Errorf("an answer that tells internals: %q", body)
			}
			if resp, _ := c.get(t, test.path); resp.StatusCode != 200 || resp.Header.Get("X-Guest") == "" {
				t.Errorf("afterwards: got status %d, header %v", resp.StatusCode, resp.Header)
			}
		})
	}
}

// TestReplacedResponseEndsTheOrigins has a policy fail over a response that goes
// on: nobody reads the rest, so the origin is told to stop.
func TestReplacedResponseEndsTheOrigins(t *testing.T) {
	o := startOrigin(t)
	ended := make(chan struct{})
	o.handlers["/deny"] = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		close(ended)
	})
	h := start(t, fmt.Sprintf(failing, o.URL, guest(t, "buffer(64KiB)"), shipped(t, "headers")))
	c := h.client(t, h1)
	r := c.request(t, "GET", "/deny", nil)
	r.Header.Set("X-Guest-Do", "late")
	if resp := c.do(t, r); resp.StatusCode != 500 {
		t.Errorf("got status %d, want 500", resp.StatusCode)
	}
	within(t, ended, "the origin's request ends")
}

// TestQuarantine shows where an operator looks, keeps to itself, and ends.
func TestQuarantine(t *testing.T) {
	o := startOrigin(t)
	h := start(t, fmt.Sprintf(failing, o.URL, guest(t, "buffer(64KiB)"), shipped(t, "headers")))
	c := h.client(t, h1)
	for range 5 {
		r := c.request(t, "GET", "/deny", nil)
		r.Header.Set("X-Guest-Do", "trap")
		if resp := c.do(t, r); resp.StatusCode != 500 {
			t.Fatalf("got status %d, want 500", resp.StatusCode)
		}
	}
	r := c.request(t, "GET", "/deny", nil)
	resp := c.do(t, r)
	if resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" {
		t.Errorf("in quarantine: got status %d, header %v", resp.StatusCode, resp.Header)
	}
	if resp, _ := c.get(t, "/elsewhere"); resp.StatusCode != 200 {
		t.Errorf("elsewhere: got status %d", resp.StatusCode)
	}
	health := h.policy(t, "deny").Health
	if !health.Quarantined || health.Kind != "trap" || health.Trips != 1 || health.Retry == 0 {
		t.Errorf("status: got %+v", health)
	}
	if metrics := h.get(t, "/metrics", nil); !hasLine(metrics, `ergo_policy_quarantined{`, `stage="deny"`, `} 1`) ||
		!hasLine(metrics, `outcome="trapped"`, `stage="deny"`, `} 5`) || !hasLine(metrics, `outcome="quarantined"`, `stage="deny"`, `} 1`) {
		t.Errorf("metrics: got\n%s", linesWith(metrics, `stage="deny"`))
	}
	if !h.log.has(t, "policy quarantined", nil) {
		t.Error("the log does not tell")
	}
	hosttest.Eventually(t, func() bool { resp, _ := c.get(t, "/deny"); return resp.StatusCode == 200 }, "a probe ends it")
	if health := h.policy(t, "deny").Health; health.Quarantined {
		t.Errorf("status: got %+v", health)
	}
}

// TestAnyKey lets pass who shows either of two keys, and names the first refusal
// to who shows none.
func TestAnyKey(t *testing.T) {
	o := startOrigin(t)
	h := start(t, fmt.Sprintf(bare, fmt.Sprintf("%q", o.URL), "")+fmt.Sprintf(`
[policy.api-key]
source = %q
[[edge.stage]]
name = "either"
combine = "any"
use = [
  { policy = "api-key", config = { header = "x-first", keys = ["one"], realm = "first" } },
  { policy = "api-key", config = { header = "x-second", keys = [{ key = "two", consumer = "second" }], realm = "second" } },
]
`, shipped(t, "api-key")))
	c := h.client(t, h1)
	for _, test := range []struct {
		fields   string
		status   int
		consumer string
	}{
		{"", 401, ""}, {"x-first: wrong", 401, ""}, {"x-first: one", 200, ""}, {"x-second: two", 200, "second"},
		{"x-first: wrong|x-second: two", 200, "second"}, {"x-first: two|x-second: one", 401, ""},
		{"x-consumer: claimed|x-first: one", 200, ""},
	} {
		r := c.request(t, "GET", "/", nil)
		for field := range strings.SplitSeq(test.fields, "|") {
			name, value, _ := strings.Cut(field, ": ")
			if name != "" {
				r.Header.Set(name, value)
			}
		}
		resp := c.do(t, r)
		if resp.StatusCode != test.status {
			t.Errorf("%q: got status %d, want %d", test.fields, resp.StatusCode, test.status)
			continue
		}
		if test.status == 401 {
			if got := resp.Header.Get("WWW-Authenticate"); !strings.Contains(got, `"first"`) {
				t.Errorf("%q: got WWW-Authenticate %q, want the first refusal", test.fields, got)
			}
		} else if got := hosttest.Decode(t, resp.Body).Header.Get("X-Consumer"); got != test.consumer {
			t.Errorf("%q: got consumer %q, want %q", test.fields, got, test.consumer)
		}
	}
}

// TestOverload sheds what no tier has place for, at once, and carries on when
// there is place again.
func TestOverload(t *testing.T) {
	for _, tier := range []string{"edge", "service"} {
		t.Run(tier, func(t *testing.T) {
			o := startOrigin(t)
			release, arrived := make(chan struct{}), make(chan struct{})
			gate := hosttest.Gate(release)
			path := o.at(func(w http.ResponseWriter, r *http.Request) {
				close(arrived)
				gate.ServeHTTP(w, r)
			})
			bulkhead := fmt.Sprintf("%s.max_in_flight = 1\n%[1]s.queue = 0\n", tier)
			manifest := fmt.Sprintf(bare, fmt.Sprintf("%q", o.URL), "")
			if tier == "service" {
				manifest = strings.Replace(manifest, "[service]\n", "[service]\nmax_in_flight = 1\nqueue = 0\n", 1)
				bulkhead = ""
			}
			h := start(t, bulkhead+manifest)
			c := h.client(t, h1)
			first := make(chan int, 1)
			go func() {
				resp, err := c.transport.RoundTrip(c.request(t, "GET", path, nil))
				if err != nil {
					first <- 0
					return
				}
				defer resp.Body.Close()
				io.Copy(io.Discard, resp.Body)
				first <- resp.StatusCode
			}()
			within(t, arrived, "the first is at the origin")
			if resp, body := c.get(t, "/"); resp.StatusCode != 503 || resp.Header.Get("Retry-After") != "1" || body != "503 Service Unavailable\n" {
				t.Errorf("the second: got status %d, %q", resp.StatusCode, body)
			}
			close(release)
			if status := within(t, first, "the first is answered"); status != 200 {
				t.Errorf("the first: got status %d", status)
			}
			hosttest.Eventually(t, func() bool { resp, _ := c.get(t, "/"); return resp.StatusCode == 200 }, "there is place again")
		})
	}
}

// TestTierDeadline answers 504 when a tier's time is up, and ends the origin's
// request.
func TestTierDeadline(t *testing.T) {
	o := startOrigin(t)
	ended := make(chan struct{})
	path := o.at(func(_ http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		close(ended)
	})
	h := start(t, "edge.timeout = \"200ms\"\n"+fmt.Sprintf(bare, fmt.Sprintf("%q", o.URL), ""))
	began := time.Now()
	if resp, body := h.client(t, h1).get(t, path); resp.StatusCode != 504 || body != "504 Gateway Timeout\n" || time.Since(began) < 200*time.Millisecond {
		t.Errorf("got status %d and %q after %v", resp.StatusCode, body, time.Since(began))
	}
	within(t, ended, "the origin's request ends")
}

// TestRewrittenTarget has the router join paths without decoding them, and the
// log still tell what was asked for.
func TestRewrittenTarget(t *testing.T) {
	o := startOrigin(t)
	h := start(t, fmt.Sprintf(bare, fmt.Sprintf("%q", o.URL), "")+fmt.Sprintf(`
[policy.router]
source = %q
grants = ["ergo_identity", "ergo_route"]
[[edge.stage]]
name = "route"
use = [{ policy = "router", config.rules = [
  { path = "/api/*", upstream = "origin", rewrite = { strip_prefix = "/api", add_prefix = "/v1" } },
  { path = "/users/:id", upstream = "origin", rewrite = { path = "/u/${path:id}" } },
] }]
`, shipped(t, "router")))
	c := h.client(t, h1)
	for target, want := range map[string]string{
		"/api/a%20b/c?x=%zz&y=1;2": "/v1/a%20b/c?x=%zz&y=1;2",
		"/api/":                    "/v1/",
		"/users/a%20b?":            "/u/a%20b?",
		"/other/a%2Fb":             "/other/a%2Fb",
	} {
		resp, body := c.get(t, target)
		if resp.StatusCode != 200 {
			t.Errorf("%s: got status %d and %q", target, resp.StatusCode, body)
		} else if seen := hosttest.Decode(t, strings.NewReader(body)); seen.Target != want {
			t.Errorf("%s: the origin saw %s, want %s", target, seen.Target, want)
		}
	}
	hosttest.Eventually(t, func() bool {
		return h.access.has(t, "exchange", map[string]any{"path": "/api/a%20b/c", "status": 200.0})
	}, "the log tells what the client asked for")
}
