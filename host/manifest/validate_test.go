package manifest

import "testing"

func TestSameSocket(t *testing.T) {
	tests := []struct {
		a, b string
		want bool
	}{
		{"127.0.0.1:80", "127.0.0.1:80", true},
		{"127.0.0.1:80", "127.0.0.1:81", false},
		{"127.0.0.1:0", "127.0.0.1:0", false},
		{"127.0.0.1:80", "127.0.0.2:80", false},
		{"0.0.0.0:80", "127.0.0.1:80", true},
		{":80", "127.0.0.1:80", true},
		{":80", "[::1]:80", true},
		{"[::]:80", "127.0.0.1:80", true},
		{"[::]:80", "[::1]:80", true},
		{"0.0.0.0:80", "[::1]:80", false},
		{"[::1]:80", "127.0.0.1:80", false},
		{"[::ffff:127.0.0.1]:80", "127.0.0.1:80", true},
		{"localhost:80", "127.0.0.1:80", false},
		{"unix:/run/a.sock", "127.0.0.1:80", false},
		{"", "", false},
	}
	for _, test := range tests {
		if got := sameSocket(test.a, test.b); got != test.want {
			t.Errorf("%s, %s: got %t, want %t", test.a, test.b, got, test.want)
		}
		if got := sameSocket(test.b, test.a); got != test.want {
			t.Errorf("%s, %s: got %t, want %t", test.b, test.a, got, test.want)
		}
	}
}

func TestForms(t *testing.T) {
	withPort := func(s string) bool { return isEndpointURL(s, true) }
	endpoint := func(s string) bool { return isEndpointURL(s, false) }
	host := func(s string) bool { return isHost(s, false) }
	tests := []struct {
		name    string
		valid   func(string) bool
		yes, no []string
	}{
		{"endpoint URL", endpoint,
			[]string{"http://a:1", "https://a.example:65535", "http://127.0.0.1:80", "http://[::1]:80", "https://name", "HTTP://a:1"},
			[]string{"", "a:1", "http://", "http://a:0", "http://a:65536", "http://a:b", "http://a:", "http://a:1/", "http://a:1?x", "http://a:1#x", "http://u@a:1", "ftp://a:1", "http://a b:1", "http://:80"}},
		{"URL to look up", withPort, []string{"http://a:1"}, []string{"http://a"}},
		{"authority", isAuthority, []string{"a", "a:1", "[::1]:1", "a.b-c_d."}, []string{"", ":1", "a:", "a:x", "a/b", "u@a", "a..b"}},
		{"host", host, []string{"a", "1.2.3.4", "::1", "xn--a.example"}, []string{"", ".", "a b", "-_-/", "é"}},
		{"host pattern", isHostPattern, []string{"a.example", "*.a.example", "127.0.0.1", "[::1]"}, []string{"*", "a.*", "*a", "a:80", ""}},
		{"path pattern", isPathPattern, []string{"/", "/a", "/a/*", "/a*", "*"}, []string{"", "a", "/*/a", "/a?b", "/a#b"}},
		{"method", isMethod, []string{"GET", "M-SEARCH"}, []string{"get", "", "G T"}},
		{"token", isToken, []string{"x-a", "!#$%&'*+-.^_`|~"}, []string{"", "a b", "a:b", "ä"}},
		{"variable", isVariableName, []string{"A", "_a1"}, []string{"", "1A", "A-B", "A B"}},
		{"scheme", hasScheme, []string{"oci://a/b", "plugin:a", "https://a"}, []string{"a", "./a", `C:\a`, "/a:b", ":a"}},
		{"semantic version", isSemanticVersion,
			[]string{"0.0.0", "1.2.3", "10.20.30", "1.0.0-alpha.1", "1.0.0--", "1.0.0-0a+007", "1.0.0+a.b-c"},
			[]string{"", "1", "1.2", "v1.2.3", "1.2.3.4", "01.2.3", "1.2.3-", "1.2.3-01", "1.2.3-a..b", "1.2.3+", "1.2.3+a_b", "1.2.x", " 1.2.3"}},
		{"loopback", isLoopback, []string{"127.0.0.1", "127.9.9.9", "::1", "localhost"}, []string{"", "0.0.0.0", "10.0.0.1", "example.com"}},
	}
	for _, test := range tests {
		for _, s := range test.yes {
			if !test.valid(s) {
				t.Errorf("%s: refuses %q", test.name, s)
			}
		}
		for _, s := range test.no {
			if test.valid(s) {
				t.Errorf("%s: accepts %q", test.name, s)
			}
		}
	}
}

func TestWarnings(t *testing.T) {
	const text = `version = 1
listener = [{ address = ":8080" }]
policy.spare.source = "spare"
policy.spare.kv.keys = 1
service.upstream = "origin"
[upstream.origin]
endpoints = ["http://127.0.0.1:9000"]
tls = { insecure = true }
[upstream.idle]
endpoints = ["ergo:echo"]
[cache]
disk_bytes = "1GiB"
`
	m, err := Parse("proxy.toml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	const want = `proxy.toml:3:8: policy.spare: no stage uses it: use it in a stage, or remove it
proxy.toml:4:14: policy.spare.kv: has no effect without the grant ergo_kv: add "ergo_kv" to grants, or remove it
proxy.toml:8:1: upstream.origin.tls: has no effect: no endpoint is https: write https endpoints, or remove it
proxy.toml:8:9: upstream.origin.tls.insecure: any certificate is accepted: name the authority in ca instead
proxy.toml:9:11: upstream.idle: nothing is sent to it: name it in service.upstream, grant a policy ergo_route, or remove it
proxy.toml:12:1: cache.disk_bytes: has no effect without disk: add disk = "FOLDER", or remove it`
	if got := m.Warnings().Error(); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}
