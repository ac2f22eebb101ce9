package outbound

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func targets() *Client {
	return New(Config{
		Policy: "p", Methods: []string{"GET", "POST"},
		Hosts: []string{
			"https://idp.example.com", "http://10.0.0.1:9000", "https://*.Example.org", "https://[2001:4860::1]:8443",
			"http://127.0.0.1:9000", "http://*.example.net:8080",
		},
		Upstreams:  []string{"users", "Users-2"},
		Concurrent: 1,
	}, Options{})
}

const granted = Kind(255)

var targetTable = []struct {
	url  string
	want Kind
}{
	{"https://idp.example.com/keys?kid=1", granted},
	{"https://IDP.example.com", granted},
	{"https://idp.example.com:443/", granted},
	{"http://10.0.0.1:9000/", granted},
	{"https://a.example.org/", granted},
	{"https://a.b.example.org/", granted},
	{"http://a.example.net:8080/", granted},
	{"https://[2001:4860:0::1]:8443/", granted},
	{"upstream://users/", granted},
	{"upstrEAm://users", granted},
	{"upstream://Users-2/a?b", granted},

	{"http://idp.example.com/", NotGranted},
	{"https://idp.example.com:444/", NotGranted},
	{"https://idp.example.com./", NotGranted},
	{"https://idp.example.com.evil.net/", NotGranted},
	{"https://evilidp.example.com/", NotGranted},
	{"https://example.org/", NotGranted},
	{"https://.example.org/", NotGranted},
	{"https://aexample.org/", NotGranted},
	{"https://a.example.org:8443/", NotGranted},
	{"http://a.example.net/", NotGranted},
	{"http://10.0.0.1/", NotGranted},
	{"upstream://USERS/", NotGranted},
	{"upstream://idp.example.com/", NotGranted},
	{"https://users/", NotGranted},
	{"http://0x7f.1:9000/", NotGranted},

	{"http://127.0.0.1:9000/", Refused},
	{"http://127.0.0.1:09000/", NotGranted},

	{"", BadRequest},
	{"/path", BadRequest},
	{"//idp.example.com/", BadRequest},
	{"idp.example.com", BadRequest},
	{"https:idp.example.com/", BadRequest},
	{"https:///", BadRequest},
	{"ftp://idp.example.com/", BadRequest},
	{"https://user@idp.example.com/", BadRequest},
	{"https://evil.net#@idp.example.com/", BadRequest},
	{`https://idp.example.com\@evil.net/`, BadRequest},
	{"https://idp.example.com/a b", BadRequest},
	{"https://idp.example.com/#f", BadRequest},
	{"https://idp.example.com/\r\nx: y", BadRequest},
	{"https://idp.example.com:/", BadRequest},
	{"https://idp.example.com:x/", BadRequest},
	{"https://idp.example.com%00.evil.net/", BadRequest},
	{"https://[fe80::1%25eth0]/", BadRequest},
	{"upstream://users:80/", BadRequest},
	{"upstream://\xff\xff\xff/", BadRequest},
	{"upstream://\u023a\u023a\u023a\u023a", BadRequest}, // longer in lower case
	{"upstream://%c8%ba%c8%ba", BadRequest},
	{"https://idp.example.com\u3002example.org/", BadRequest},
	{"https://\uff49dp.example.com/", BadRequest},
	{"https://idp.example.com/\u00e4", granted},
}

func TestCheck(t *testing.T) {
	c := targets()
	defer c.Close()
	for _, test := range targetTable {
		got := granted
		var failure *Error
		if err := c.Check("GET", test.url); errors.As(err, &failure) {
			got = failure.Kind
		}
		if got != test.want {
			t.Errorf("%q: got %d, want %d", test.url, got, test.want)
		}
	}
}

func TestCheckMethod(t *testing.T) {
	c := targets()
	defer c.Close()
	for method, want := range map[string]Kind{"DELETE": NotGranted, "get": NotGranted, "G T": BadRequest, "": BadRequest} {
		var failure *Error
		if err := c.Check(method, "https://idp.example.com/"); !errors.As(err, &failure) || failure.Kind != want {
			t.Errorf("%q: got %v, want kind %d", method, err, want)
		}
	}
}

// FuzzCheck has whatever passes be what was granted, to the letter.
func FuzzCheck(f *testing.F) {
	for _, test := range targetTable {
		f.Add(test.url)
	}
	c := targets()
	f.Cleanup(func() { c.Close() })
	f.Fuzz(func(t *testing.T, url string) {
		got, failure := c.check("GET", url)
		if failure != nil {
			return
		}
		if got.upstream != "" {
			scheme, rest, _ := strings.Cut(url, "://") // a scheme has no case (RFC 3986, 3.1), a name has
			if !strings.EqualFold(scheme, upstreamScheme) || !strings.HasPrefix(rest, got.upstream) || got.upstream != "users" && got.upstream != "Users-2" {
				t.Fatalf("%q passes as upstream %q", url, got.upstream)
			}
			return
		}
		o, _ := originOf(got.url)
		switch name := o.scheme + "://" + o.address(); {
		case name == "https://idp.example.com:443", name == "http://10.0.0.1:9000", name == "https://[2001:4860::1]:8443":
		case o.scheme == "https" && o.port == "443" && strings.HasSuffix(o.host, ".example.org"):
		case o.scheme == "http" && o.port == "8080" && strings.HasSuffix(o.host, ".example.net"):
		default:
			t.Fatalf("%q passes as %s", url, name)
		}
		if host := got.url.Hostname(); strings.ContainsAny(host, "@/\\#? ") {
			t.Fatalf("%q passes with host %q", url, host)
		}
	})
}

func TestTimeoutIsTheShorter(t *testing.T) {
	c := &Client{config: Config{Timeout: time.Second}}
	for asked, want := range map[time.Duration]time.Duration{0: time.Second, time.Minute: time.Second, time.Millisecond: time.Millisecond} {
		if got := c.timeout(&Request{Timeout: asked}); got != want {
			t.Errorf("%v: got %v, want %v", asked, got, want)
		}
	}
}
