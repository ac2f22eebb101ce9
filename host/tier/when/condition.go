// Package when decides which exchanges a stage is for: it compiles a manifest's
// condition and matches requests against it.
package when

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/manifest"
)

// Condition is a compiled manifest.When. It is immutable and safe for concurrent
// use; a nil *Condition is always met.
type Condition struct {
	hosts    *hostSet // nil: any, as with the other fields
	paths    []pathPattern
	methods  []string
	headers  []manifest.HeaderMatch // their values without the "*" at the end
	prefixes []bool                 // whether the value of the header there is a prefix
	clients  networks
	not      *Condition
}

// Compile makes a condition; nil for nil.
func Compile(when *manifest.When) *Condition {
	if when == nil {
		return nil
	}
	c := &Condition{
		methods: slices.Clone(when.Method),
		clients: compileNetworks(when.Client),
		not:     Compile(when.Not),
	}
	if len(when.Host) > 0 {
		c.hosts = compileHosts(when.Host)
	}
	for _, p := range when.Path {
		c.paths = append(c.paths, compilePath(p))
	}
	for _, m := range when.Header {
		value, isPrefix := strings.CutSuffix(m.Value, "*")
		m.Value = value
		c.headers = append(c.headers, m)
		c.prefixes = append(c.prefixes, isPrefix)
	}
	return c
}

// Match reports whether the request meets the condition. It does not allocate,
// but for a path of more than 512 bytes that has to be put into normal form.
func (c *Condition) Match(x *exchange.Exchange) bool {
	if c == nil {
		return true
	}
	r := &x.Request
	return (c.methods == nil || slices.Contains(c.methods, r.Method)) &&
		(c.hosts == nil || c.hosts.has(r.Authority)) &&
		(c.paths == nil || matchPath(c.paths, r.Target)) &&
		c.matchHeaders(&r.Header) &&
		(c.clients == nil || c.clients.contain(x.ClientIP)) &&
		(c.not == nil || !c.not.Match(x))
}

func (c *Condition) matchHeaders(h *exchange.Header) bool {
	for i := range c.headers {
		if !matchHeader(&c.headers[i], c.prefixes[i], h) {
			return false
		}
	}
	return true
}

func matchHeader(m *manifest.HeaderMatch, isPrefix bool, h *exchange.Header) bool {
	switch {
	case m.Absent:
		return !h.Has(m.Name)
	case m.Present:
		return h.Has(m.Name)
	}
	for _, f := range h.Fields() {
		if !strings.EqualFold(f.Name, m.Name) {
			continue
		}
		if f.Value == m.Value || isPrefix && strings.HasPrefix(f.Value, m.Value) {
			return true
		}
	}
	return false
}

// hostSet is a set of host names and of suffixes of them.
type hostSet struct {
	all      bool
	exact    map[string]struct{}
	suffixes map[string]struct{} // without "*."
}

func compileHosts(patterns []string) *hostSet {
	s := &hostSet{exact: map[string]struct{}{}, suffixes: map[string]struct{}{}}
	for _, p := range patterns {
		p = strings.ToLower(p)
		suffix, isSuffix := strings.CutPrefix(p, "*.")
		switch {
		case p == "*":
			s.all = true
		case isSuffix:
			s.suffixes[strings.TrimSuffix(suffix, ".")] = struct{}{}
		default:
			s.exact[string(appendHost(nil, p))] = struct{}{}
		}
	}
	return s
}

// has reports whether an authority's host is in the set. A suffix fits one label
// or more before it.
func (s *hostSet) has(authority string) bool {
	if s.all {
		return true
	}
	var memory [256]byte
	host := appendHost(memory[:0], authority)
	if _, ok := s.exact[string(host)]; ok {
		return true
	}
	if len(s.suffixes) == 0 {
		return false
	}
	for i, c := range host {
		if c != '.' || i == 0 {
			continue
		}
		if _, ok := s.suffixes[string(host[i+1:])]; ok {
			return true
		}
	}
	return false
}

// appendHost appends the host of an authority in the one spelling that conditions
// look at, so that no other one leads around a stage: without port and a dot at
// its end, in lower case, with its percent-encoding taken off (RFC 3986, 6.2.2);
// an address in its shortest form, without brackets, and IPv4 as that.
func appendHost(dst []byte, authority string) []byte {
	host := authority
	if rest, ok := strings.CutPrefix(authority, "["); ok {
		host, _, _ = strings.Cut(rest, "]")
	} else if i := strings.LastIndexByte(authority, ':'); i >= 0 && strings.IndexByte(authority, ':') == i {
		host = authority[:i]
	}
	if strings.IndexByte(host, ':') >= 0 {
		if address, err := netip.ParseAddr(host); err == nil {
			return address.Unmap().AppendTo(dst)
		}
	}
	start := len(dst)
	dst = appendDecoded(dst, host)
	for i, c := range dst[start:] {
		if 'A' <= c && c <= 'Z' {
			dst[start+i] = c + 'a' - 'A'
		}
	}
	return bytes.TrimSuffix(dst, []byte("."))
}
