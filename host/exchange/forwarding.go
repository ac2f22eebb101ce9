package exchange

import (
	"net/netip"
	"strings"
)

// Forwarding is what is believed of the proxies before the host, and what the
// host tells the upstream of the client. It is immutable and safe for
// concurrent use.
type Forwarding struct {
	// Trusted are the networks of proxies that are believed. From anyone else
	// Forwarded, X-Forwarded-* and the request id are removed.
	Trusted []netip.Prefix
	// Mode is which fields tell of the client, coming in from trusted proxies
	// and going out: "x-forwarded", "forwarded" (RFC 7239), "both" or "none".
	// Fields that the mode leaves out are removed from everyone, since no one
	// vouches for them.
	Mode string
	// Via is the host's name in Via fields (RFC 9110, 7.6.3); empty adds none.
	Via string
	// RequestID is the field that carries Exchange.ID; empty for none.
	RequestID string
}

// Inbound begins an exchange: it decides ClientIP, ClientScheme and ID, notes what was
// Received, and removes what the client only claims. Call it once, before any policy sees the request.
func (f *Forwarding) Inbound(x *Exchange) {
	h := &x.Request.Header
	remote := x.Conn.Remote.Addr().Unmap().WithZone("")
	x.ClientIP = remote
	x.Received = x.Request.Line()
	x.ClientScheme = x.Request.Scheme
	trusted := f.trusts(remote)
	if trusted {
		x.ClientIP = f.client(h, remote)
		x.ClientScheme = f.scheme(h, x.Request.Scheme)
	}
	f.removeClaims(h, trusted)
	f.identify(x, trusted)
}

// identify settles the request id.
func (f *Forwarding) identify(x *Exchange, trusted bool) {
	if trusted && f.RequestID != "" {
		if id, _ := x.Request.Header.Get(f.RequestID); validID(id) {
			x.ID = id
			x.Request.Header.Set(f.RequestID, id)
			return
		}
	}
	x.ID = newID(&x.Arena)
	if f.RequestID != "" {
		x.Request.Header.Set(f.RequestID, x.ID)
	}
}

// Outbound adds what the upstream is told of the client and of the host. Call
// it once, after the last policy and before the request goes on.
func (f *Forwarding) Outbound(x *Exchange) {
	h := &x.Request.Header
	if f.xForwarded() {
		appendList(&x.Arena, h, XForwardedFor, "X-Forwarded-For", x.address())
		if !h.HasKnown(XForwardedProto) {
			h.AddKnown(XForwardedProto, "X-Forwarded-Proto", x.Request.Scheme)
		}
		if !h.HasKnown(XForwardedHost) && x.Received.Authority != "" {
			h.AddKnown(XForwardedHost, "X-Forwarded-Host", x.Received.Authority)
		}
	}
	if f.forwarded() {
		appendList(&x.Arena, h, Forwarded, "Forwarded", forwardedElement(x))
	}
	f.via(&x.Arena, h, x.Request.Version)
}

// Returned adds Via to a response that came from the upstream. It removes Alt-Svc:
// clients would take it for what this host says of itself, and go past it.
func (f *Forwarding) Returned(x *Exchange) {
	x.Response.Header.DelKnown(AltSvc)
	version := x.Response.Version
	if version == 0 {
		version = HTTP11
	}
	f.via(&x.Arena, &x.Response.Header, version)
}

// via appends "1.1 name"; the protocol's name is left out for HTTP.
func (f *Forwarding) via(a *Arena, h *Header, version Version) {
	if f.Via == "" {
		return
	}
	number := strings.TrimPrefix(version.String(), "HTTP/")
	appendList(a, h, Via, "Via", a.Concat(number, " ", f.Via))
}

func (f *Forwarding) xForwarded() bool { return f.Mode == "x-forwarded" || f.Mode == "both" }
func (f *Forwarding) forwarded() bool  { return f.Mode == "forwarded" || f.Mode == "both" }

func (f *Forwarding) trusts(addr netip.Addr) bool {
	for _, network := range f.Trusted {
		if network.Contains(addr) {
			return true
		}
	}
	return false
}

// client returns the nearest address that is not a trusted proxy's, as the
// trusted ones tell it. With "both", two fields that differ are not believed.
func (f *Forwarding) client(h *Header, remote netip.Addr) netip.Addr {
	x, hasX := f.walk(h, "X-Forwarded-For", remote, parseNode)
	fwd, hasForwarded := f.walk(h, "Forwarded", remote, parseForwardedFor)
	switch {
	case f.Mode == "forwarded":
		return fwd
	case f.Mode == "both" && !hasX:
		return fwd
	case f.Mode == "both" && hasForwarded && fwd != x:
		return remote
	}
	return x
}

// walk goes through a list of hops from the nearest to the farthest for as
// long as they are trusted. A hop that names no address, or can't be parsed,
// ends it at the last address known.
func (f *Forwarding) walk(h *Header, name string, remote netip.Addr, parse func(string) (netip.Addr, bool)) (client netip.Addr, found bool) {
	client = remote
	for i := h.Len() - 1; i >= 0; i-- {
		if !EqualFold(h.fields[i].Name, name) {
			continue
		}
		found = true
		hops, ok := splitList(h.fields[i].Value)
		if !ok {
			return client, true
		}
		for j := len(hops) - 1; j >= 0; j-- {
			addr, ok := parse(hops[j])
			if !ok {
				return client, true
			}
			client = addr
			if !f.trusts(addr) {
				return client, true
			}
		}
	}
	return client, found
}

// removeClaims removes the fields by which a proxy tells of its client, but
// for the kinds that are believed.
func (f *Forwarding) removeClaims(h *Header, trusted bool) {
	kept := 0
	for i := range h.fields {
		if f.isVain(h.fields[i].Name, h.ids[i], trusted) {
			continue
		}
		h.fields[kept], h.ids[kept] = h.fields[i], h.ids[i]
		kept++
	}
	h.truncate(kept)
}

// isVain reports whether a field of that name is a claim that nobody believes.
// Proxies write none with "_", but many servers take it for "-" (RFC 3875,
// 4.1.18).
func (f *Forwarding) isVain(name string, id Known, trusted bool) bool {
	const x = "x-forwarded-"
	switch {
	case id == Forwarded:
		return !trusted || !f.forwarded()
	case id == XRealIP:
		return true // one address with no list to walk: nobody can vouch for it
	case len(name) > 0 && lower(name[0]) == 'x':
		if len(name) >= len(x) && alike(name[:len(x)], x) {
			return !trusted || !f.xForwarded() || strings.IndexByte(name, '_') >= 0
		}
		if alike(name, "x-real-ip") {
			return true
		}
	}
	return len(name) == len(f.RequestID) && alike(name, f.RequestID) && !EqualFold(name, f.RequestID)
}

// alike compares field names without case, and "_" as "-".
func alike(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := 0; i < len(a); i++ {
		if a[i] != b[i] && dashed(a[i]) != dashed(b[i]) {
			return false
		}
	}
	return true
}

func dashed(c byte) byte {
	if c == '_' {
		return '-'
	}
	return lower(c)
}

// appendList adds a member to the end of a list: to the last field of that
// name, or as a new one.
func appendList(a *Arena, h *Header, id Known, name, member string) {
	for i := len(h.ids) - 1; i >= 0 && h.present.has(id); i-- {
		if h.ids[i] != id {
			continue
		}
		f := &h.fields[i]
		if f.Value == "" {
			f.Value = member
		} else {
			f.Value = a.Concat(f.Value, ", ", member)
		}
		return
	}
	h.AddKnown(id, name, member)
}
