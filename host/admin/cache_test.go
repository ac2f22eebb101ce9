package admin

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"github.com/ergoproxy/ergo/host/manifest"
)

func TestPurge(t *testing.T) {
	caches := new(fakeCaches)
	s, d := serve(t, Options{Address: unixAddress(t), Caches: caches}), describe(t)
	for _, c := range []struct {
		name, body string
		status     int
		want       string // what was purged; nothing if empty
	}{
		{"nothing", `{}`, 400, ""},
		{"of a policy", `{"policy":"cache","soft":true}`, 400, ""},
		{"in two ways", `{"url":"http://h/","tag":"a"}`, 400, ""},
		{"one and all", `{"tag":"a","all":true}`, 400, ""},
		{"something unknown", `{"tags":"a"}`, 400, ""},
		{"a path", `{"url":"/a"}`, 400, ""},
		{"another scheme", `{"url":"ftp://h/a"}`, 400, ""},
		{"of a policy that stores nothing", `{"policy":"unknown","tag":"a"}`, 404, `unknown 2 "a" false`},
		{"out of bounds", `{"policy":"strict","tag":"a"}`, 400, `strict 2 "a" false`},
		{"others can't be told", `{"policy":"apart","tag":"a"}`, 200, `apart 2 "a" false`},
		{"a tag", `{"tag":"a","soft":true}`, 200, ` 2 "a" true`},
		{"a key", `{"key":"HTTP://H:80/a"}`, 200, ` 0 "HTTP://H:80/a" false`},
		{"all", `{"all":true,"policy":"cache"}`, 200, `cache 1 "" false`},
		{"a URL", `{"url":"http://site.example/a?b"}`, 200, ` 1 "http://site.example/a?b\n" false`},
		{"a URL in another spelling", `{"url":"HTTPS://Site.Example:443/A%2f"}`, 200, ` 1 "https://site.example/A%2f\n" false`},
		{"another port", `{"url":"http://site.example:443/"}`, 200, ` 1 "http://site.example:443/\n" false`},
		{"a site", `{"url":"https://site.example"}`, 200, ` 1 "https://site.example/\n" false`},
		{"any host", `{"url":"http:///a"}`, 200, ` 1 "http:///a\n" false`},
		{"a prefix", `{"prefix":"http://Site.example:80/a"}`, 200, ` 1 "http://site.example/a" false`},
		{"a prefix that is no URL", `{"prefix":"Tenant:80/"}`, 200, ` 1 "Tenant:80/" false`},
	} {
		t.Run(c.name, func(t *testing.T) {
			caches.purged = ""
			resp, body := send(t, s, "POST", "/v1/cache/purge", c.body, "content-type", typeJSON)
			if resp.StatusCode != c.status || caches.purged != c.want {
				t.Errorf("got %d and purged %s, want %d and %s; %s", resp.StatusCode, caches.purged, c.status, c.want, body)
			}
			d.check(t, "POST", "/v1/cache/purge", strconv.Itoa(c.status), body)
			var result PurgeResult
			if c.status == 200 && (json.Unmarshal([]byte(body), &result) != nil || result.Purged != 2 || result.Untold != strings.HasPrefix(c.want, "apart")) {
				t.Errorf("got %s", body)
			}
		})
	}
}

func TestPurgeIsForWhoMay(t *testing.T) {
	caches := new(fakeCaches)
	locked := serve(t, Options{Address: unixAddress(t), Token: manifest.NewSecret("s3cret"), Caches: caches})
	open := serve(t, Options{Address: "127.0.0.1:0", Caches: caches})
	for _, c := range []struct {
		server *Server
		fields []string
		want   int
	}{
		{locked, []string{"content-type", typeJSON}, 401},
		{open, []string{"content-type", typeJSON, "origin", "https://elsewhere.example"}, 403},
		{open, []string{"content-type", "text/plain"}, 415},
		{open, []string{"content-type", typeJSON, "host", "elsewhere.example"}, 421},
	} {
		resp, _ := send(t, c.server, "POST", "/v1/cache/purge", `{"all":true}`, c.fields...)
		if resp.StatusCode != c.want || caches.purged != "" {
			t.Errorf("%v: got %d and purged %q, want %d", c.fields, resp.StatusCode, caches.purged, c.want)
		}
	}
}
