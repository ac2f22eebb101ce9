package e2e

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/ergoproxy/ergo/host/hosttest"
)

// callee is who guests call: it tells what it was asked.
func callee(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	w.Header().Set("Trailer", "X-Reply-Trailer")
	w.Header()["X-Reply"] = r.Header["X-Call"]
	w.WriteHeader(http.StatusAccepted)
	fmt.Fprintf(w, "%s %s %s %s", r.Proto, r.Method, r.Host, body)
	w.Header().Set("X-Reply-Trailer", r.Trailer.Get("X-Call-Trailer"))
}

// callManifest adds upstreams that only policies send to: the callee over HTTP/1.1
// and HTTP/2, a server of gRPC, and nobody.
const callManifest = `
[upstream.one]
endpoints = [%[1]q]
[upstream.two]
endpoints = [%[1]q]
protocol = "h2"
[upstream.grpc]
endpoints = [%[2]q]
protocol = "h2"
[upstream.gone]
endpoints = ["http://127.0.0.1:1"]
retry.attempts = 0
`

// callGrant is what the guests may call.
const callGrant = `[policy.%s.http]
hosts = [%q]
internal = ["127.0.0.0/8"]
upstreams = ["one", "two", "grpc", "gone"]
`

func called(proto, host string) map[string][]string {
	return map[string][]string{
		"X-Called": {"202"}, "X-Reply": {"a", "b"}, "X-Reply-Trailer": {"t"}, "X-Call-Body": {proto + " POST " + host + " ping"},
	}
}

var notCalled = map[string][]string{"X-Called": {"refused"}}

// callCases names the callee's own address %s.
var callCases = []guestCase{
	{name: "call-h1", config: "call request one /path 5000", seen: called("HTTP/1.1", "callee.example")},
	{name: "call-h2", config: "call request two /path 5000", seen: called("HTTP/2.0", "callee.example")},
	{name: "call-cluster", config: "call request outbound|80||one /path 5000", seen: called("HTTP/1.1", "callee.example")},
	{name: "call-origin", config: "call request http://%s /path 5000", seen: called("HTTP/1.1", "%s")},
	{name: "call-host", config: "call request %s /path 5000", seen: called("HTTP/1.1", "%s")},
	{name: "call-gone", config: "call request gone /path 5000", seen: map[string][]string{"X-Called": {"failed"}}},
	{name: "call-origin-upstream", config: "call request origin /path 5000", seen: notCalled},
	{name: "call-unknown", config: "call request nobody /path 5000", seen: notCalled},
	{name: "call-metadata", config: "call request http://169.254.169.254 /path 5000", seen: notCalled},
	{name: "call-two", config: "call two one /path 5000", lacking: "assemblyscript", seen: map[string][]string{"X-Called": {"202", "202"}}},
	{
		name: "call-response", config: "call response one /path 5000", lacking: "assemblyscript",
		response: map[string][]string{"X-Called": {"202"}, "X-Reply": {"a", "b"}},
	},
	{
		name: "grpc-unary", config: "grpc unary grpc svc Talk", lacking: "go assemblyscript",
		seen: map[string][]string{"X-Grpc": {"re: ping"}, "X-Grpc-Status": {"0"}},
	},
	{
		name: "grpc-refused", config: "grpc unary grpc svc Refuse", lacking: "go assemblyscript",
		seen: map[string][]string{"X-Grpc": nil, "X-Grpc-Status": {"7"}},
	},
	{
		name: "grpc-stream", config: "grpc stream grpc svc Talk", lacking: "go assemblyscript",
		seen: map[string][]string{"X-Grpc": {"re: one", "re: two"}, "X-Grpc-Status": {"0"}, "X-Grpc-First": {"m"}, "X-Grpc-Last": {"l"}},
	},
	{
		name: "grpc-cancel", config: "grpc cancel grpc svc Talk", lacking: "go assemblyscript",
		seen: map[string][]string{"X-Grpc": {"re: one"}, "X-Grpc-Status": {"1"}},
	},
	{
		name: "grpc-unknown", config: "grpc unary nobody svc Talk", lacking: "go assemblyscript",
		seen: map[string][]string{"X-Grpc-Status": {"refused 4"}},
	},
}

// TestGuestsCall has the guests of all SDKs call upstreams and origins.
func TestGuestsCall(t *testing.T) {
	o, other := startOrigin(t), hosttest.Serve(t, http.HandlerFunc(callee))
	var uses []use
	for _, c := range callCases {
		for _, sdk := range sdks() {
			if !slices.Contains(strings.Fields(c.lacking), sdk) {
				name := c.name + "-" + sdk
				uses = append(uses, use{
					name: name, module: sdk + "/guest", config: strings.ReplaceAll(c.config, "%s", other.Addr),
					more: fmt.Sprintf(callGrant, name, other.URL),
				})
			}
		}
	}
	h := start(t, guestManifest(t, o, uses)+fmt.Sprintf(callManifest, other.URL, startTalker(t)))
	for _, c := range callCases {
		for name, values := range c.seen {
			for i := range values {
				c.seen[name][i] = strings.ReplaceAll(values[i], "%s", other.Addr)
			}
		}
		for _, sdk := range sdks() {
			if !slices.Contains(strings.Fields(c.lacking), sdk) {
				t.Run(c.name+" "+sdk, func(t *testing.T) { c.run(t, h, h1, sdk) })
			}
		}
	}
}

// TestGuestsCallAtTheStart has guests call an upstream of the very generation that
// they are configured for.
func TestGuestsCallAtTheStart(t *testing.T) {
	o, other := startOrigin(t), hosttest.Serve(t, http.HandlerFunc(callee))
	var uses []use
	for _, sdk := range []string{"go", "rust"} {
		if slices.Contains(sdks(), sdk) {
			uses = append(uses, use{name: sdk, module: sdk + "/guest", config: "call start one /path 5000", more: fmt.Sprintf(callGrant, sdk, other.URL)})
		}
	}
	h := start(t, guestManifest(t, o, uses)+fmt.Sprintf(callManifest, other.URL, startTalker(t)))
	for _, u := range uses {
		hosttest.Eventually(t, func() bool {
			_, body := h.askGuest(t, h1, u.name, guestRequest{})
			return hosttest.Decode(t, strings.NewReader(body)).Header.Get("X-Called") == "202"
		}, u.name+" knows what its call came to")
	}
}

// startTalker starts a server of gRPC that answers each message with "re: " and
// itself; its method Refuse refuses.
func startTalker(t testing.TB) (url string) {
	t.Helper()
	return hosttest.ServeGRPC(t, talk)
}

func talk(_ any, s grpc.ServerStream) error {
	if method, _ := grpc.MethodFromServerStream(s); strings.HasSuffix(method, "/Refuse") {
		return status.Error(codes.PermissionDenied, "not you")
	}
	in, _ := metadata.FromIncomingContext(s.Context())
	s.SetHeader(metadata.MD{"x-first": in["x-meta"]})
	s.SetTrailer(metadata.Pairs("x-last", "l"))
	return hosttest.Talk(s)
}
