package outbound

import (
	"net"
	"slices"
	"strings"
)

// Resolve returns the URL, without a path, of what a guest names that was written
// for another proxy: an upstream, an origin, "host" or "host:port" of one, a
// cluster "outbound|80||host" as Istio and Higress have it, or what gRPC's C core
// dials, "dns:///host:port". It reports false if nothing like that is granted.
func (c *Client) Resolve(name string) (base string, ok bool) {
	if slices.Contains(c.allowed.upstreams, name) {
		return upstreamScheme + "://" + name, true
	}
	if strings.Contains(name, "|") {
		parts := strings.Split(name, "|")
		if len(parts) != 4 {
			return "", false
		}
		if slices.Contains(c.allowed.upstreams, parts[3]) {
			return upstreamScheme + "://" + parts[3], true
		}
		name = net.JoinHostPort(parts[3], parts[1])
	}
	name = strings.TrimPrefix(strings.TrimPrefix(name, "dns:"), "///")
	if strings.Contains(name, "://") {
		return c.origin(name)
	}
	for _, scheme := range []string{"https://", "http://"} {
		if base, ok := c.origin(scheme + name); ok {
			return base, true
		}
	}
	return "", false
}

// origin returns an origin that is granted, in its one form.
func (c *Client) origin(url string) (base string, ok bool) {
	t, err := parseTarget(url)
	if err != nil || t.upstream != "" || t.url.Path != "" || t.url.RawQuery != "" || !c.allowed.origin(t.url) {
		return "", false
	}
	return t.name(), true
}
