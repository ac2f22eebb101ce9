package when

import (
	"fmt"
	"net/netip"
	"net/url"
	"path"
	"strings"
	"testing"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/manifest"
)

func request(method, authority, target string) *exchange.Exchange {
	x := &exchange.Exchange{Request: exchange.Request{Method: method, Authority: authority, Target: target}}
	x.Request.Header.Add("Accept", "text/html")
	x.Request.Header.Add("accept", "application/json")
	x.ClientIP = netip.MustParseAddr("10.1.2.3")
	return x
}

func prefixes(texts ...string) (list []netip.Prefix) {
	for _, text := range texts {
		list = append(list, netip.MustParsePrefix(text))
	}
	return list
}

func TestMatch(t *testing.T) {
	x := request("GET", "Www.Example.com:8080", "/api/items?q=/admin")
	header := func(m manifest.HeaderMatch) manifest.When { return manifest.When{Header: []manifest.HeaderMatch{m}} }
	cases := []struct {
		name string
		when manifest.When
		want bool
	}{
		{"empty", manifest.When{}, true},
		{"host", manifest.When{Host: []string{"www.example.com"}}, true},
		{"host, case", manifest.When{Host: []string{"WWW.example.COM"}}, true},
		{"host, second", manifest.When{Host: []string{"a.test", "www.example.com"}}, true},
		{"host, other", manifest.When{Host: []string{"example.com"}}, false},
		{"host, suffix", manifest.When{Host: []string{"*.example.com"}}, true},
		{"host, far suffix", manifest.When{Host: []string{"*.com"}}, true},
		{"host, half label", manifest.When{Host: []string{"*.ample.com"}}, false},
		{"host, any", manifest.When{Host: []string{"*"}}, true},
		{"path", manifest.When{Path: []string{"/api/items"}}, true},
		{"path, other", manifest.When{Path: []string{"/api"}}, false},
		{"path, prefix", manifest.When{Path: []string{"/api/*"}}, true},
		{"path, bare prefix", manifest.When{Path: []string{"/ap*"}}, true},
		{"path, everything", manifest.When{Path: []string{"*"}}, true},
		{"path, query is none", manifest.When{Path: []string{"/admin*"}}, false},
		{"method", manifest.When{Method: []string{"POST", "GET"}}, true},
		{"method, other", manifest.When{Method: []string{"POST"}}, false},
		{"method, case", manifest.When{Method: []string{"get"}}, false},
		{"header, second value", header(manifest.HeaderMatch{Name: "ACCEPT", Value: "application/json"}), true},
		{"header, other", header(manifest.HeaderMatch{Name: "accept", Value: "application"}), false},
		{"header, prefix", header(manifest.HeaderMatch{Name: "accept", Value: "text/*"}), true},
		{"header, present", header(manifest.HeaderMatch{Name: "accept", Present: true}), true},
		{"header, not present", header(manifest.HeaderMatch{Name: "cookie", Present: true}), false},
		{"header, absent", header(manifest.HeaderMatch{Name: "cookie", Absent: true}), true},
		{"header, not absent", header(manifest.HeaderMatch{Name: "accept", Absent: true}), false},
		{"headers, all", manifest.When{Header: []manifest.HeaderMatch{
			{Name: "accept", Present: true}, {Name: "cookie", Present: true},
		}}, false},
		{"client", manifest.When{Client: prefixes("10.0.0.0/8")}, true},
		{"client, other", manifest.When{Client: prefixes("10.0.0.0/24", "::/0")}, false},
		{"not", manifest.When{Not: &manifest.When{Method: []string{"POST"}}}, true},
		{"not, met", manifest.When{Not: &manifest.When{Path: []string{"/api/*"}}}, false},
		{"not not", manifest.When{Not: &manifest.When{Not: &manifest.When{}}}, true},
		{"and", manifest.When{Method: []string{"GET"}, Path: []string{"/other"}}, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := Compile(&c.when).Match(x); got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
	if !Compile(nil).Match(x) {
		t.Error("no condition is not met")
	}
}

func TestHosts(t *testing.T) {
	cases := []struct {
		pattern, authority string
		want               bool
	}{
		{"example.com", "example.com", true},
		{"example.com", "example.com.", true},
		{"example.com", "example.com:443", true},
		{"example.com", "example.com.:443", true},
		{"example.com", "example.com.test", false},
		{"*.example.com", "example.com", false},
		{"*.example.com", ".example.com", false},
		{"*.example.com", "a.b.example.com:1", true},
		{"[::1]", "[::1]:8080", true},
		{"::1", "[::1]", true},
		{"::1", "[0:0::0001]:80", true},
		{"[0:0::1]", "[::1]", true},
		{"2001:db8::a", "[2001:DB8:0::A]", true},
		{"127.0.0.1", "[::ffff:7f00:1]", true},
		{"::1", "[::2]", false},
		{"example.com", "ex%61mple%2Ecom", true},
		{"example.com", "example.com%2e:80", true},
		{"*.example.com", "a%2Eexample%2ecom", true},
		{"127.0.0.1", "127.0.0.1:80", true},
		{"example.com", "", false},
		{"example.com", strings.Repeat("x", 1000), false},
	}
	for _, c := range cases {
		if got := compileHosts([]string{c.pattern}).has(c.authority); got != c.want {
			t.Errorf("%q in %q: got %v, want %v", c.authority, c.pattern, got, c.want)
		}
	}
}

// Every spelling that an upstream may take for a guarded path meets its
// condition.
func TestPathsCannotBeDisguised(t *testing.T) {
	guarded := []string{
		"/admin/x", "/%61dmin/x", "/%61%64%6D%69%6E/x", "//admin/x", "/./admin/x", "/a/../admin/x",
		"/a/%2e%2e/admin/x", "/a/.%2E/admin//x", "/admin/./x", "/admin/x?y", "/../admin/x", "/a/b/../../admin/x",
	}
	open := []string{"/", "/admins", "/admin", "/admin%2Fx", "/admin/../x", "/x/admin/", "/%2561dmin/x", "/a?/admin/x", "/%zz/admin/", "*"}
	c := Compile(&manifest.When{Path: []string{"/admin/*"}})
	for _, target := range guarded {
		if !c.Match(request("GET", "", target)) {
			t.Errorf("%s leads around the condition", target)
		}
	}
	for _, target := range open {
		if c.Match(request("GET", "", target)) {
			t.Errorf("%s meets the condition", target)
		}
	}
}

func TestPatternIsNormalToo(t *testing.T) {
	c := Compile(&manifest.When{Path: []string{"/a%20b//c", "/caf%C3%A9/*"}})
	for _, target := range []string{"/a%20b/c", "/caf%c3%a9/x"} {
		if !c.Match(request("GET", "", target)) {
			t.Errorf("%s does not meet the condition", target)
		}
	}
}

func TestAppendNormal(t *testing.T) {
	cases := map[string]string{
		"/": "/", "/a": "/a", "/a/": "/a/", "//": "/", "/a//b": "/a/b", "/a/.": "/a/", "/a/..": "/", "/a/b/..": "/a/",
		"/..": "/", "/%2F": "/%2F", "/%2f%41": "/%2FA", "/a%": "/a%", "/a%4": "/a%4", "/%zz": "/%zz", "/.a/..b": "/.a/..b",
		"*": "*", "": "",
	}
	for in, want := range cases {
		if got := string(appendNormal(nil, in)); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestNetworks(t *testing.T) {
	n := compileNetworks(prefixes("10.0.0.0/8", "10.1.0.0/16", "192.168.1.128/25", "::ffff:172.16.0.0/108",
		"2001:db8::/32", "fe80::/10", "0.0.0.0/32", "255.255.255.255/32", "11.0.0.0/8"))
	cases := map[string]bool{
		"10.0.0.0": true, "10.255.255.255": true, "9.255.255.255": false, "11.0.0.0": true, "12.0.0.0": false,
		"192.168.1.128": true, "192.168.1.127": false, "192.168.1.255": true, "192.168.2.0": false,
		"172.16.9.9": true, "172.31.255.255": true, "172.32.0.0": false, "::ffff:10.9.9.9": true,
		"2001:db8::": true, "2001:db8:ffff:ffff::1": true, "2001:db9::": false, "fe80::1%eth0": true,
		"0.0.0.0": true, "0.0.0.1": false, "255.255.255.255": true, "::": false,
	}
	for text, want := range cases {
		if got := n.contain(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: got %v, want %v", text, got, want)
		}
	}
	if n.contain(netip.Addr{}) {
		t.Error("no address is in a network")
	}
}

func TestMatchDoesNotAllocate(t *testing.T) {
	c := Compile(manyConditions(100))
	for _, line := range [][2]string{
		{"www.Example.com:80", "/x/y"}, {"www.ex%61mple.com", "/%61pi//x/../items/" + strings.Repeat("y", 200)}, {"[::ffff:0:1]:80", "/"},
	} {
		x := request("GET", line[0], line[1])
		if n := testing.AllocsPerRun(100, func() { c.Match(x) }); n != 0 {
			t.Errorf("%s: %v allocations, want 0", line, n)
		}
	}
}

func manyConditions(n int) *manifest.When {
	w := &manifest.When{Method: []string{"GET"}, Header: []manifest.HeaderMatch{{Name: "accept", Value: "application/*"}}}
	for i := range n {
		w.Host = append(w.Host, fmt.Sprintf("host-%d.test", i))
		w.Path = append(w.Path, fmt.Sprintf("/path-%d/*", i))
		w.Client = append(w.Client, netip.PrefixFrom(netip.AddrFrom4([4]byte{172, 16, byte(i), 0}), 24))
	}
	w.Host = append(w.Host, "*.example.com")
	w.Path = append(w.Path, "/*")
	w.Client = append(w.Client, netip.MustParsePrefix("10.0.0.0/8"))
	return w
}

func BenchmarkMatch(b *testing.B) {
	for _, n := range []int{0, 10, 1000} {
		for name, target := range map[string]string{"normal": "/api/things?x", "other": "/%61pi//things"} {
			b.Run(fmt.Sprintf("rows=%d/path=%s", n, name), func(b *testing.B) {
				c, x := Compile(manyConditions(n)), request("GET", "www.example.com:80", target)
				b.ReportAllocs()
				for b.Loop() {
					if !c.Match(x) {
						b.Fatal("the condition is not met")
					}
				}
			})
		}
	}
}

// FuzzPath compares with the standard library's way to put a path in order.
func FuzzPath(f *testing.F) {
	for _, seed := range []string{"/", "/a/../b", "//a/./b/", "/%2e%2e/%2F%41", "/a%zz", "/..", "*"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		normal := string(appendNormal(nil, in))
		if isNormal(in) && normal != in {
			t.Fatalf("%q counts as normal and becomes %q", in, normal)
		}
		if !strings.HasPrefix(in, "/") || strings.ContainsAny(in, "?#") {
			return
		}
		decoded, err := url.PathUnescape(strings.ReplaceAll(strings.ReplaceAll(in, "%2F", "%252F"), "%2f", "%252F"))
		if err != nil {
			return
		}
		want := path.Clean(decoded)
		got := normal
		if len(got) > 1 {
			got = strings.TrimSuffix(got, "/")
		}
		if got != want {
			t.Fatalf("%q: got %q, want %q", in, got, want)
		}
	})
}

// FuzzNetworks compares with asking every network in turn.
func FuzzNetworks(f *testing.F) {
	f.Add([]byte{10, 0, 0, 0, 8, 10, 1, 0, 0, 16}, "10.1.2.3")
	f.Add([]byte{0, 0, 0, 0, 0}, "::1")
	f.Fuzz(func(t *testing.T, bytes []byte, address string) {
		a, err := netip.ParseAddr(address)
		if err != nil {
			return
		}
		var list []netip.Prefix
		want := false
		for ; len(bytes) >= 5; bytes = bytes[5:] {
			p := netip.PrefixFrom(netip.AddrFrom4([4]byte(bytes[:4])), int(bytes[4])%33)
			list = append(list, p)
			want = want || p.Masked().Contains(a.Unmap().WithZone(""))
		}
		if got := compileNetworks(list).contain(a); got != want {
			t.Fatalf("%v in %v: got %v, want %v", a, list, got, want)
		}
	})
}
