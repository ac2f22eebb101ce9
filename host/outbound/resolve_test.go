package outbound

import "testing"

func TestResolve(t *testing.T) {
	c := targets()
	defer c.Close()
	for name, want := range map[string]string{
		"users":                             "upstream://users",
		"Users-2":                           "upstream://Users-2",
		"outbound|80||users":                "upstream://users",
		"outbound|443||idp.example.com":     "https://idp.example.com:443",
		"outbound|443|v1|IDP.example.com":   "https://idp.example.com:443",
		"outbound|9000||10.0.0.1":           "http://10.0.0.1:9000",
		"https://idp.example.com":           "https://idp.example.com",
		"idp.example.com":                   "https://idp.example.com",
		"idp.example.com:443":               "https://idp.example.com:443",
		"dns:///idp.example.com:443":        "https://idp.example.com:443",
		"dns:idp.example.com:443":           "https://idp.example.com:443",
		"a.example.org":                     "https://a.example.org",
		"a.example.net:8080":                "http://a.example.net:8080",
		"10.0.0.1:9000":                     "http://10.0.0.1:9000",
		"[2001:4860::1]:8443":               "https://[2001:4860::1]:8443",
		"":                                  "",
		"user":                              "",
		"upstream://users":                  "",
		"outbound|80|users":                 "",
		"outbound|80||other":                "",
		"outbound|80||idp.example.com":      "",
		"http://idp.example.com":            "",
		"https://idp.example.com/":          "",
		"https://idp.example.com/path":      "",
		"https://idp.example.com?q":         "",
		"idp.example.com/path":              "",
		"idp.example.com@evil.example":      "",
		"evil.example":                      "",
		"idp.example.com:80":                "",
		"dns://8.8.8.8/idp.example.com:443": "",
	} {
		if got, ok := c.Resolve(name); got != want || ok != (want != "") {
			t.Errorf("%q: got %q, %t, want %q", name, got, ok, want)
		}
	}
}

// FuzzResolve has whatever is found be what may be called.
func FuzzResolve(f *testing.F) {
	for _, name := range []string{"users", "outbound|443||idp.example.com", "dns:///idp.example.com:443", "[2001:4860::1]:8443", "a.example.org"} {
		f.Add(name, "/path?q")
	}
	c := targets()
	f.Cleanup(func() { c.Close() })
	f.Fuzz(func(t *testing.T, name, path string) {
		base, ok := c.Resolve(name)
		if !ok {
			return
		}
		before, failure := c.check("GET", base+"/")
		if failure != nil && failure.Kind != Refused {
			t.Fatalf("%q is found as %q, which may not be called: %v", name, base, failure)
		}
		if after, failure := c.check("GET", base+"/"+path); failure == nil && after.name() != before.name() {
			t.Fatalf("%q with path %q leads from %s to %s", name, path, before.name(), after.name())
		}
	})
}
