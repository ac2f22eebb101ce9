package e2e

import (
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ergoproxy/ergo/host/cli"
	"github.com/ergoproxy/ergo/host/hosttest"
)

// usesOf has the guests of all SDKs, or of those named, do the same, each as
// NAME-SDK.
func usesOf(name, config, more string, of ...string) []use {
	if of == nil {
		of = sdks()
	}
	var uses []use
	for _, sdk := range of {
		uses = append(uses, use{name: name + "-" + sdk, module: sdk + "/guest", config: config, more: more})
	}
	return uses
}

// TestGuestsThatPanic are refused with what the failure rule says, say why in the
// log, and are there again for the next exchange.
func TestGuestsThatPanic(t *testing.T) {
	o := startOrigin(t)
	h := start(t, guestManifest(t, o, usesOf("panic", "panic", "")))
	for _, sdk := range sdks() {
		for _, phase := range []string{"request", "response"} {
			if sdk == "assemblyscript" && phase == "response" {
				continue
			}
			resp, body := h.askGuest(t, h1, "panic-"+sdk, guestRequest{header: http.Header{"X-Panic": {phase}}})
			if resp.StatusCode != 500 || body != "500 Internal Server Error\n" {
				t.Errorf("%s at the %s: got status %d and %q", sdk, phase, resp.StatusCode, body)
			}
			if resp, _ := h.askGuest(t, h2c, "panic-"+sdk, guestRequest{}); resp.StatusCode != 200 {
				t.Errorf("%s after the %s: got status %d", sdk, phase, resp.StatusCode)
			}
			if log := h.log.String(); !hasLine(log, "asked to, at the "+phase, `"policy":"panic-`+sdk+`"`) {
				t.Errorf("%s at the %s: the log does not say why:\n%s", sdk, phase, h.log.tail())
			}
		}
	}
}

// TestGuestsThatRefuse their configuration, or to start, are no policy.
func TestGuestsThatRefuse(t *testing.T) {
	o := startOrigin(t)
	data := filepath.Join(t.TempDir(), "data")
	modules.lend(t, filepath.Join(data, "cache"))
	for _, sdk := range sdks() {
		for _, test := range []struct{ config, more, says string }{
			{"refuse", "", "proxy_on_configure returned false"},
			{"headers", `proxy_wasm.vm_config = "refuse"`, "proxy_on_vm_start returned false"},
		} {
			if sdk == "assemblyscript" && test.more != "" {
				continue
			}
			manifest := filepath.Join(t.TempDir(), "proxy.toml")
			text := guestManifest(t, o, []use{{name: "refusing", module: sdk + "/guest", config: test.config, more: test.more}})
			write(t, manifest, fmt.Sprintf("version = 1\nhost.data = %q\n", data)+text)
			var said buffer
			status := cli.Execute(t.Context(), []string{"check", "-c", manifest}, cli.Streams{Out: &said, Err: &said})
			if status != 1 || !strings.Contains(said.String(), test.says) {
				t.Errorf("%s: got status %d and %s, want %q in it", sdk, status, said.String(), test.says)
			}
		}
	}
}

// TestValuesThatAreNoText: the Rust SDK panics when a plugin asks for one as a
// String, and such an exchange has the failure rule applied; those who ask for
// bytes pass it on as it is.
func TestValuesThatAreNoText(t *testing.T) {
	const odd = "caf\xe9 \xff"
	o := startOrigin(t)
	seen := make(chan string, 1)
	path := o.at(func(w http.ResponseWriter, r *http.Request) { seen <- r.Header.Get("X-In") })
	uses := append(usesOf("headers", "headers", ""), usesOf("pairs", "pairs", "", "rust")...)
	h := start(t, guestManifest(t, o, uses))
	ask := func(name string) int {
		resp, _ := h.askGuest(t, h1, name, guestRequest{target: path, header: http.Header{"X-In": {odd}}})
		return resp.StatusCode
	}
	if status := ask("headers-rust"); status != 500 {
		t.Errorf("asked as a String by Rust: got status %d, want 500", status)
	}
	for _, u := range uses {
		if u.name == "headers-rust" {
			continue
		}
		if status := ask(u.name); status != 200 {
			t.Errorf("%s: got status %d", u.name, status)
		} else if got := within(t, seen, "the origin is asked"); got != odd {
			t.Errorf("%s: the origin got %q, want %q", u.name, got, odd)
		}
	}
}

// TestMapsAsLargeAsTheyGet pass guests as a whole, up to what the ABI's hosts take
// back: 1,024 fields and 1 MiB. What is beyond that is an exchange refused, never
// one whose fields are gone.
func TestMapsAsLargeAsTheyGet(t *testing.T) {
	o := startOrigin(t)
	manifest := guestManifest(t, o, usesOf("pairs", "pairs", ""))
	h := start(t, strings.Replace(manifest, "[upstream.origin]", "limits = { header_count = 2000, header_bytes = \"4MiB\" }\n[upstream.origin]", 1))
	path := o.at(func(w http.ResponseWriter, r *http.Request) {
		n := 0
		for name, values := range r.Header {
			if strings.HasPrefix(name, "X-Many-") {
				n += len(values)
			}
		}
		fmt.Fprint(w, n)
	})
	for _, test := range []struct {
		what         string
		count, bytes int
		whole        bool
	}{
		{"many", 1000, 1, true},
		{"large", 100, 10000, true},
		{"too many", 1100, 1, false},
		{"too large", 100, 11000, false},
	} {
		header := http.Header{}
		for i := range test.count {
			name := fmt.Sprintf("X-Many-%d", i/2)
			header[name] = append(header[name], strings.Repeat("v", test.bytes))
		}
		for _, sdk := range sdks() {
			resp, body := h.askGuest(t, h1, "pairs-"+sdk, guestRequest{target: path, header: header})
			if passed := resp.StatusCode == 200 && body == fmt.Sprint(test.count); passed != test.whole || !passed && resp.StatusCode == 200 {
				t.Errorf("%s, %s: got status %d, and the origin %s of %d fields", test.what, sdk, resp.StatusCode, body, test.count)
			}
		}
	}
}

// TestGuestsLog at the level they say, by proxy_log or their outputs.
func TestGuestsLog(t *testing.T) {
	o := startOrigin(t)
	h := start(t, "host.log.level = \"debug\"\n"+guestManifest(t, o, append(usesOf("log", "log", ""), usesOf("done", "done", "")...)))
	for _, sdk := range sdks() {
		h.askGuest(t, h1, "log-"+sdk, guestRequest{})
		h.askGuest(t, h1, "done-"+sdk, guestRequest{method: "DELETE", target: "/?status=404"})
	}
	type line struct{ level, text string }
	wants := map[string][]line{
		"go": {
			{"DEBUG", "at debug"}, {"INFO", "at info"}, {"WARN", "at warn"}, {"ERROR", "at error"}, {"", "at critical"},
			{"", "to stdout"}, {"", "to stderr"},
		},
		"rust":           {{"DEBUG", "at debug"}, {"INFO", "at info"}, {"WARN", "at warn"}, {"ERROR", "at error"}, {"", "at critical"}},
		"assemblyscript": {{"", "[INFO]: at info"}, {"", "[ERROR]: at error"}},
	}
	for _, sdk := range sdks() {
		for _, want := range wants[sdk] {
			parts := []string{`"policy":"log-` + sdk + `"`, want.text}
			if want.level != "" {
				parts = append(parts, `"level":"`+want.level+`"`)
			}
			hosttest.Eventually(t, func() bool { return hasLine(h.log.String(), parts...) }, fmt.Sprint(parts, " is logged"))
		}
		parts := []string{`"policy":"done-` + sdk + `"`, "done DELETE 404"}
		hosttest.Eventually(t, func() bool { return hasLine(h.log.String(), parts...) }, fmt.Sprint(parts, " is logged"))
	}
}

// TestGuestsEndExchanges by closing the stream.
func TestGuestsEndExchanges(t *testing.T) {
	o := startOrigin(t)
	h := start(t, guestManifest(t, o, []use{
		{name: "request", module: "rust/guest", config: "close request"},
		{name: "response", module: "rust/guest", config: "close response"},
	}))
	for _, name := range []string{"request", "response"} {
		if resp, body := h.askGuest(t, h1, name, guestRequest{}); resp.StatusCode != 502 || strings.Contains(body, "guest") {
			t.Errorf("%s: got status %d and %q, want 502", name, resp.StatusCode, body)
		}
	}
}

// TestGuestsThatEndLate are waited for when the host ends.
func TestGuestsThatEndLate(t *testing.T) {
	o := startOrigin(t)
	of := slices.DeleteFunc(sdks(), func(sdk string) bool { return sdk == "assemblyscript" })
	uses := usesOf("late", "done", "", of...)
	h := launch(t, patience, guestManifest(t, o, uses))
	for _, u := range uses {
		h.askGuest(t, h1, u.name, guestRequest{})
	}
	h.stop()
	if status := within(t, h.status, "the host ends"); status != 0 {
		t.Errorf("status %d", status)
	}
	for _, u := range uses {
		if !hasLine(h.log.String(), "plugin done", `"policy":"`+u.name+`"`) {
			t.Errorf("%s did not come to its end:\n%s", u.name, h.log.tail())
		}
	}
}
