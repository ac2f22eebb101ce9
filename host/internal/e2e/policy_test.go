package e2e

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/ergoproxy/ergo/host/hosttest"
	"github.com/ergoproxy/ergo/host/hosttest/race"
)

// kind is a kind of policies that an exchange meets, in both tiers.
type kind struct {
	name string // a request for NAME.test meets them
	mark string // response field that each of them adds; empty for none
}

var (
	plain   = kind{"plain", ""}         // no policy at all
	header  = kind{"head", "X-Policy"}  // the shipped ones, which look at heads alone
	peek    = kind{"peek", "X-Guest"}   // a guest that reads the beginning of bodies
	whole   = kind{"buffer", "X-Guest"} // a guest that holds bodies whole
	foreign = kind{"sdk", "X-Added"}    // a guest of proxy-wasm that looks at heads, while bodies pass it
	kinds   = []kind{plain, header, peek, whole, foreign}
)

// readsBodies reports whether the policies read bodies, and set trailers too.
func (k kind) readsBodies() bool { return k == peek || k == whole }

// check fails unless the response has passed the policies.
func (k kind) check(t testing.TB, h http.Header) {
	t.Helper()
	if k.mark != "" && h.Get(k.mark) == "" {
		t.Errorf("the response lacks %s: got %v", k.mark, h)
	}
}

// What peek and whole hold of a body.
const (
	peekBytes  = 4 << 10
	wholeBytes = 256 << 10
)

// through is a manifest that takes exchanges through all kinds of policies to
// one upstream.
const through = `
[[listener]]
name = "plain"
address = "127.0.0.1:0"

[[listener]]
name = "secure"
address = "127.0.0.1:0"
tls.certificates = [{ cert = %q, key = %q }]

[upstream.origin]
endpoints = [%q]
%s

[policy]
api-key.source = %q
router = { source = %q, grants = ["ergo_identity", "ergo_route"] }
%s
headers.source = %q
peek = { source = %q, limits = { time = "10s" } }
buffer = { source = %q, limits = { time = "10s" } }
sdk = { source = %q, limits = { time = "10s" } }

[[edge.stage]]
name = "head"
when.host = "head.test"
use = [
  %s
  { policy = "api-key", config = { header = "x-api-key", keys = [{ key = "demo", consumer = "tester" }] } },
  { policy = "router", config = { rules = [{ path = "/*", upstream = "origin" }] } },
  { policy = "headers", config = { request.set = { x-edge = "1" }, response.add = { x-policy = "edge" } } },
]

[[edge.stage]]
name = "peek"
when.host = "peek.test"
use = [{ policy = "peek" }]

[[edge.stage]]
name = "buffer"
when.host = "buffer.test"
use = [{ policy = "buffer" }]

[[edge.stage]]
name = "sdk"
when.host = "sdk.test"
use = [{ policy = "sdk", config = { "@type" = "type.googleapis.com/google.protobuf.StringValue", value = "headers" } }]

[service]
upstream = "origin"

[[service.stage]]
name = "head"
when.host = "head.test"
use = [{ policy = "headers", config = { response.add = { x-policy = "service" } } }]

[[service.stage]]
name = "peek"
when.host = "peek.test"
use = [{ policy = "peek" }]

[[service.stage]]
name = "buffer"
when.host = "buffer.test"
use = [{ policy = "buffer" }]

[[service.stage]]
name = "sdk"
when.host = "sdk.test"
use = [{ policy = "sdk", config = { "@type" = "type.googleapis.com/google.protobuf.StringValue", value = "headers" } }]
`

// startThrough runs a host by the manifest through.
func startThrough(t testing.TB, endpoint, upstream string) *host {
	t.Helper()
	cert, key := hosttest.NewCA(t).Write(t, t.TempDir(), "site", "127.0.0.1")
	var guard, guardUse string
	if !race.Enabled {
		guard = fmt.Sprintf("request-guard.source = %q", shipped(t, "request-guard"))
		guardUse = `{ policy = "request-guard", config = { max_target_bytes = 4096 } },`
	}
	return start(t, fmt.Sprintf(through, cert, key, endpoint, upstream,
		shipped(t, "api-key"), shipped(t, "router"), guard, shipped(t, "headers"),
		guest(t, fmt.Sprintf("peek(%dB)", peekBytes)), guest(t, fmt.Sprintf("buffer(%dB)", wholeBytes)), sdkModule(t, "rust/guest"), guardUse))
}

// passage is a way from a client to an origin.
type passage struct {
	host   *host
	origin *origin
	kind   kind
	client *client
}

func newPassage(t testing.TB, h *host, o *origin, k kind, w wire) *passage {
	t.Helper()
	c := h.client(t, w)
	c.host = k.name + ".test"
	c.header.Set("X-Api-Key", "demo")
	return &passage{h, o, k, c}
}
