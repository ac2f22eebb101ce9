package exchange

import "testing"

func TestClientScheme(t *testing.T) {
	xfp := func(values ...string) *Header {
		h := header()
		for _, value := range values {
			h.Add("X-Forwarded-Proto", value)
		}
		return h
	}
	fwd := func(value string) *Header { return header("Forwarded", value) }
	for _, test := range []struct {
		name, mode, remote, own string
		header                  *Header
		want                    string
	}{
		{"a stranger says", "both", "192.0.2.1", "http", header("X-Forwarded-Proto", "https", "Forwarded", "proto=https"), "http"},
		{"a stranger denies", "both", "192.0.2.1", "https", header("X-Forwarded-Proto", "http", "Forwarded", "proto=http"), "https"},
		{"nobody is believed", "none", "10.0.0.1", "http", xfp("https"), "http"},
		{"the other field", "x-forwarded", "10.0.0.1", "http", fwd("for=192.0.2.1;proto=https"), "http"},
		{"the other field, too", "forwarded", "10.0.0.1", "http", xfp("https"), "http"},
		{"nothing is told", "both", "10.0.0.1", "https", header(), "https"},
		{"a proxy says", "x-forwarded", "10.0.0.1", "http", xfp("https"), "https"},
		{"in other letters", "x-forwarded", "10.0.0.1", "http", xfp(" HTTPS "), "https"},
		{"of a WebSocket", "x-forwarded", "10.0.0.1", "http", xfp("wss"), "https"},
		{"TLS begins at the proxy", "x-forwarded", "10.0.0.1", "https", xfp("http"), "http"},
		{"something else", "x-forwarded", "10.0.0.1", "https", xfp("httpsx"), "http"},
		{"nothing in it", "x-forwarded", "10.0.0.1", "https", xfp(""), "http"},
		{"a list that the client began", "x-forwarded", "10.0.0.1", "http", xfp("https, http"), "http"},
		{"two fields", "x-forwarded", "10.0.0.1", "http", xfp("https", "http"), "http"},
		{"Forwarded", "forwarded", "10.0.0.1", "http", fwd(`for="192.0.2.1:80";host="a;proto=http";Proto="https"`), "https"},
		{"Forwarded, over two of ours", "forwarded", "10.0.0.1", "http", fwd("for=192.0.2.1;proto=https, for=10.0.0.2;proto=http"), "https"},
		{"Forwarded, the client's own claim", "forwarded", "10.0.0.1", "http", fwd("proto=https;for=1.2.3.4, for=192.0.2.1;proto=http"), "http"},
		{"Forwarded, two fields", "forwarded", "10.0.0.1", "http", header("Forwarded", "for=192.0.2.1;proto=https", "forwarded", "for=10.0.0.2"), "https"},
		{"Forwarded, without a word of it", "forwarded", "10.0.0.1", "https", fwd("for=192.0.2.1, for=10.0.0.2;proto=http"), "https"},
		{"Forwarded, unknown hop", "forwarded", "10.0.0.1", "http", fwd("for=1.2.3.4;proto=https, for=unknown;proto=http"), "http"},
		{"Forwarded, told twice", "forwarded", "10.0.0.1", "http", fwd("for=192.0.2.1;proto=https;proto=https"), "http"},
		{"Forwarded, unclosed quote", "forwarded", "10.0.0.1", "https", fwd(`proto=https;host="a`), "http"},
		{"both agree", "both", "10.0.0.1", "http", header("X-Forwarded-Proto", "https", "Forwarded", "for=192.0.2.1;proto=https"), "https"},
		{"both differ", "both", "10.0.0.1", "https", header("X-Forwarded-Proto", "https", "Forwarded", "for=192.0.2.1;proto=http"), "http"},
		{"both, one there", "both", "10.0.0.1", "http", fwd("for=192.0.2.1;proto=https"), "https"},
	} {
		x := from(test.remote, test.header)
		x.Request.Scheme = test.own
		f := Forwarding{Trusted: prefixes("10.0.0.0/8"), Mode: test.mode}
		f.Inbound(x)
		if x.ClientScheme != test.want || x.Request.Scheme != test.own {
			t.Errorf("%s: got %s and %s, want %s and %s", test.name, x.ClientScheme, x.Request.Scheme, test.want, test.own)
		}
	}
}
