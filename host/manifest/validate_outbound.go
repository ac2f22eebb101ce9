package manifest

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/ergoproxy/ergo/host/manifest/internal/place"
)

// callCapability is the capability module by which a policy calls out.
const callCapability = "ergo_http"

// calls checks what a policy may call.
func (v *validator) calls(path string, p Policy) {
	at := func(keys ...string) string { return place.Key(path, append([]string{"http"}, keys...)...) }
	if p.HTTP == nil {
		if slices.Contains(p.Grants, callCapability) && !v.failed[at()] {
			v.problem(at(), "is missing beside the grant "+callCapability, `add http.hosts = ["https://example.com"] or http.upstreams = ["name"]`)
		}
		return
	}
	h := p.HTTP
	if len(h.Hosts) == 0 && len(h.Upstreams) == 0 && !v.failed[at("hosts")] && !v.failed[at("upstreams")] {
		v.problem(at(), "names nothing that may be called", `add hosts = ["https://example.com"] or upstreams = ["name"]`)
	}
	v.each(at("hosts"), h.Hosts, func(at, host string) {
		if !isGrantedOrigin(host) {
			v.problem(at, fmt.Sprintf("%q is not an origin", hideUser(host)), `write "https://host", "http://host:port" or "https://*.example.com"`)
		}
	})
	v.each(at("upstreams"), h.Upstreams, func(at, name string) {
		if _, known := v.m.Upstreams[name]; !known {
			v.problem(at, fmt.Sprintf("there is no upstream %q", name), DidYouMean(name, slices.Collect(maps.Keys(v.m.Upstreams))))
		} else if v.m.Split != nil && v.m.Split.Hosts == name {
			v.problem(at, fmt.Sprintf("%q is the hosts of the service tier, which speak with edge hosts alone", name), "name the upstream that is behind them")
		}
	})
	v.methods(at("methods"), h)
	if h.CA != "" {
		v.authorities(at("ca"), h.CA)
	}
}

// methods checks the methods that are written, or sets the default. What opens a
// tunnel or shows a request's own fields to whoever asks is no call.
func (v *validator) methods(path string, h *Outbound) {
	if !v.source.Has(path) {
		h.Methods = []string{"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"}
		return
	}
	if len(h.Methods) == 0 {
		v.problem(path, "is empty", `write methods = ["GET"], or remove it`)
	}
	v.each(path, h.Methods, func(at, method string) {
		if !isToken(method) || method == "CONNECT" || method == "TRACE" {
			v.problem(at, fmt.Sprintf("%q is not a method that can be granted", method), `write a method such as "GET"`)
		}
	})
}

// each checks the members of a list, none of which may stand twice.
func (v *validator) each(path string, list []string, check func(at, value string)) {
	for i, value := range list {
		at := place.Element(path, i)
		switch {
		case v.failed[at]:
		case slices.Contains(list[:i], value):
			v.problem(at, fmt.Sprintf("%q stands twice", hideUser(value)), "remove one")
		default:
			check(at, value)
		}
	}
}

// isGrantedOrigin reports whether s is a scheme, a host or "*." and a domain, and
// perhaps a port.
func isGrantedOrigin(s string) bool {
	scheme, rest, _ := strings.Cut(s, "://")
	domain, wild := strings.CutPrefix(rest, "*.")
	if !wild {
		return isEndpointURL(s, false)
	}
	u, err := url.Parse(scheme + "://" + domain)
	return err == nil && isEndpointURL(u.String(), false) && strings.Trim(u.Hostname(), "0123456789.:") != ""
}

// called returns the upstreams that policies may call.
func (v *validator) called() map[string]bool {
	names := make(map[string]bool)
	for _, p := range v.m.Policies {
		if p.HTTP != nil {
			for _, name := range p.HTTP.Upstreams {
				names[name] = true
			}
		}
	}
	return names
}
