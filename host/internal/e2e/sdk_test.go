package e2e

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/ergoproxy/ergo/host/hosttest"
	"github.com/ergoproxy/ergo/host/hosttest/race"
)

// sdks are those that guests in proxywasm's testdata are built with, which all do
// what their configuration says; README.md there says what that is.
func sdks() []string {
	if race.Enabled {
		return []string{"rust", "assemblyscript"}
	}
	return []string{"go", "rust", "assemblyscript"}
}

// use is a guest of proxywasm's testdata in a stage of its own, for requests to
// NAME.test.
type use struct {
	name   string
	module string // its path in the testdata, without suffix
	config string // plain text
	more   string // of the policy: lines of TOML
	policy string // default: a policy of the use's own
}

// plainText is a configuration that Envoy and Istio would write as a StringValue.
const plainText = `{ "@type" = "type.googleapis.com/google.protobuf.StringValue", value = %q }`

// guestManifest is bare, with guests in the edge tier.
func guestManifest(t testing.TB, o *origin, uses []use) string {
	t.Helper()
	var text strings.Builder
	fmt.Fprintf(&text, bare, fmt.Sprintf("%q", o.URL), "")
	for _, u := range uses {
		if u.policy == "" {
			fmt.Fprintf(&text, "[policy.%s]\nsource = %q\nlimits.time = \"10s\"\n%s\n", u.name, sdkModule(t, u.module), u.more)
		}
		fmt.Fprintf(&text, "[[edge.stage]]\nname = %q\nwhen.host = %q\nuse = [{ policy = %q, config = "+plainText+" }]\n",
			u.name, u.name+".test", cmp.Or(u.policy, u.name), u.config)
	}
	return text.String()
}

// sdkModule is a guest of proxywasm's testdata.
func sdkModule(t testing.TB, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("../../wasm/proxywasm/testdata", name+".wasm"))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// askGuest sends a request through one use, over HTTP/1.1 or HTTP/2.
func (h *host) askGuest(t testing.TB, w wire, name string, r guestRequest) (*http.Response, string) {
	t.Helper()
	c := h.client(t, w)
	c.host = name + ".test"
	var body io.Reader
	if r.body != "" {
		body = iotest.OneByteReader(strings.NewReader(r.body))
	}
	request := c.request(t, cmp.Or(r.method, "GET"), cmp.Or(r.target, "/"), body)
	for name, values := range r.header {
		request.Header[http.CanonicalHeaderKey(name)] = values
	}
	request.Trailer = r.trailer
	resp := c.do(t, request)
	return resp, all(t, resp.Body)
}

// guestRequest is what a client sends. A body goes byte by byte.
type guestRequest struct {
	method  string // default GET
	target  string // default /
	header  http.Header
	trailer http.Header
	body    string
}

// guestCase is an exchange that guests of all SDKs must make the same of.
type guestCase struct {
	name, config string
	lacking      string // SDKs that can't, separated by spaces
	more         string // of the policy
	request      guestRequest
	status       int                 // default 200
	unseen       bool                // the origin gets nothing
	seen         map[string][]string // fields of the request that the origin gets; nil: none of the name
	check        func(t *testing.T, seen hosttest.Seen)
	response     map[string][]string // fields of the response, trailers among them
	body         string              // of the response; default anything
}

// TestGuests has the same asked of the guests of all SDKs, over HTTP/1.1 and
// HTTP/2.
func TestGuests(t *testing.T) {
	o := startOrigin(t)
	cases := slices.Concat(headerCases, bodyCases(o), answerCases, pauseCases, propertyCases)
	h := start(t, guestManifest(t, o, usesOfCases(cases)))
	runGuestCases(t, h, cases)
}

// usesOfCases has each case as NAME-SDK.
func usesOfCases(cases []guestCase) []use {
	var uses []use
	for _, c := range cases {
		uses = append(uses, usesOf(c.name, c.config, c.more, c.sdks()...)...)
	}
	return uses
}

// sdks are those whose guests can do it.
func (c guestCase) sdks() []string {
	lacking := strings.Fields(c.lacking)
	return slices.DeleteFunc(sdks(), func(sdk string) bool { return slices.Contains(lacking, sdk) })
}

func runGuestCases(t *testing.T, h *host, cases []guestCase) {
	for _, c := range cases {
		for _, sdk := range c.sdks() {
			for _, w := range []wire{h1, h2c} {
				t.Run(c.name+" "+sdk+" "+w.name, func(t *testing.T) { c.run(t, h, w, sdk) })
			}
		}
	}
}

func (c guestCase) run(t *testing.T, h *host, w wire, sdk string) {
	resp, body := h.askGuest(t, w, c.name+"-"+sdk, c.request)
	if want := cmp.Or(c.status, 200); resp.StatusCode != want {
		t.Fatalf("status %d, want %d: %s", resp.StatusCode, want, body)
	}
	fields := resp.Header.Clone()
	for name, values := range resp.Trailer {
		fields[name] = values
	}
	wantFields(t, "response", fields, c.response)
	if c.body != "" && body != c.body {
		t.Errorf("got %q, want %q", body, c.body)
	}
	if c.unseen || c.seen == nil && c.check == nil {
		return
	}
	seen := hosttest.Decode(t, strings.NewReader(body))
	for name, values := range seen.Trailer {
		seen.Header[name] = values
	}
	wantFields(t, "request", seen.Header, c.seen)
	if c.check != nil {
		c.check(t, seen)
	}
}

// wantFields compares the fields that are named.
func wantFields(t testing.TB, where string, got http.Header, want map[string][]string) {
	t.Helper()
	for name, values := range want {
		if have := got.Values(name); !slices.Equal(have, values) {
			t.Errorf("%s: %s: got %q, want %q", where, name, have, values)
		}
	}
}
