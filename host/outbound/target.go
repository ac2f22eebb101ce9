package outbound

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"unicode"
)

// upstreamScheme is how a URL names an upstream of the manifest.
const upstreamScheme = "upstream"

// target is where a call goes.
type target struct {
	url      *url.URL
	upstream string // empty: to url's origin
	path     string // and query, encoded
}

// name is the target in logs, traces and errors: no path, which may hold secrets.
func (t *target) name() string {
	if t.url == nil {
		return "an invalid URL"
	}
	return t.url.Scheme + "://" + t.url.Host
}

var errURL = errors.New(`the URL is none of the forms "https://host/path", "http://host/path" and "upstream://name/path"`)

// parseTarget reads an absolute URL without user and fragment.
func parseTarget(s string) (target, error) {
	if strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f || r == '#' || r == '\\' }) {
		return target{}, errURL
	}
	u, err := url.Parse(s)
	if err != nil || u.User != nil || u.Opaque != "" || u.Hostname() == "" || !isASCII(u.Host) {
		return target{}, errURL
	}
	u.Host = strings.ToLower(u.Host)
	t := target{url: u, path: u.RequestURI()}
	switch u.Scheme {
	case "http", "https":
		if _, ok := originOf(u); !ok {
			return target{}, errURL
		}
	case upstreamScheme:
		if t.upstream = u.Host; u.Port() != "" {
			return target{}, errURL
		}
		t.upstream = s[len(upstreamScheme)+len("://"):][:len(u.Host)] // names have case
	default:
		return target{}, errURL
	}
	return t, nil
}

// isASCII reports whether s is of US-ASCII alone. Names of other letters have a form
// that is (RFC 5890); in lower case, or read by another, they may become any other.
func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r > unicode.MaxASCII })
}

// origin is what requests may be sent to: scheme, host and port, in lower case.
type origin struct {
	scheme, host, port string
}

// originOf returns the origin of a URL, with its scheme's port if it names none.
func originOf(u *url.URL) (o origin, ok bool) {
	o = origin{u.Scheme, u.Hostname(), u.Port()}
	switch {
	case o.port == "" && strings.HasSuffix(u.Host, ":"), strings.Contains(o.host, "%"):
		return o, false
	case o.port != "":
	case o.scheme == "http":
		o.port = "80"
	case o.scheme == "https":
		o.port = "443"
	}
	if addr, err := netip.ParseAddr(o.host); err == nil {
		o.host = addr.String() // one of its many forms
	}
	return o, true
}

// address is where an origin is dialled.
func (o *origin) address() string { return net.JoinHostPort(o.host, o.port) }

// allowed is what a policy may call.
type allowed struct {
	exact     map[origin]bool
	below     []origin // any name below host
	upstreams []string
	methods   []string
}

// allow reads what the manifest grants, which has been validated: what is no
// origin allows nothing.
func allow(c *Config) allowed {
	a := allowed{exact: make(map[origin]bool), upstreams: c.Upstreams, methods: c.Methods}
	for _, granted := range c.Hosts {
		u, err := url.Parse(strings.ToLower(granted))
		if err != nil {
			continue
		}
		o, ok := originOf(u)
		if parent, wild := strings.CutPrefix(o.host, "*"); ok && wild {
			o.host = parent
			a.below = append(a.below, o)
		} else if ok {
			a.exact[o] = true
		}
	}
	return a
}

// check returns why a request may not be made; nil if it may.
func (a *allowed) check(t *target, method string) error {
	switch {
	case !slices.Contains(a.methods, method):
		return fmt.Errorf("the method %q is not granted", method)
	case t.upstream != "" && !slices.Contains(a.upstreams, t.upstream):
		return fmt.Errorf("the upstream %q is not granted", t.upstream)
	case t.upstream == "" && !a.origin(t.url):
		return fmt.Errorf("the origin %q is not granted", t.name())
	}
	return nil
}

func (a *allowed) origin(u *url.URL) bool {
	o, ok := originOf(u)
	if !ok {
		return false
	}
	return a.exact[o] || slices.ContainsFunc(a.below, func(b origin) bool {
		return b.scheme == o.scheme && b.port == o.port && len(o.host) > len(b.host) && strings.HasSuffix(o.host, b.host)
	})
}
