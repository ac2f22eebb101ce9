package exchange

import "strings"

// scheme returns what the client came by, as trusted proxies tell it, or own, the scheme
// here, where they don't. Two fields that differ, and what is neither of the two schemes,
// count as "http": nobody is told of a safety that there may not have been.
func (f *Forwarding) scheme(h *Header, own string) string {
	var told, also string
	if f.xForwarded() {
		told = nearestProto(h)
	}
	if f.forwarded() {
		also = f.clientProto(h)
	}
	switch {
	case told == "" && also == "":
		return own
	case told == "" || told == also:
		return also
	case also == "":
		return told
	}
	return "http"
}

// nearestProto reads X-Forwarded-Proto. Proxies replace it or leave it; of a list only the
// last member is known to be of a proxy and not of the client.
func nearestProto(h *Header) string {
	for i := len(h.ids) - 1; i >= 0 && h.present.has(XForwardedProto); i-- {
		if h.ids[i] == XForwardedProto {
			value := h.fields[i].Value
			return schemeOf(trimSpace(value[strings.LastIndexByte(value, ',')+1:]))
		}
	}
	return ""
}

// clientProto reads Forwarded as walk does: the word of the farthest proxy that is trusted.
func (f *Forwarding) clientProto(h *Header) (proto string) {
	for i := len(h.ids) - 1; i >= 0 && h.present.has(Forwarded); i-- {
		if h.ids[i] != Forwarded {
			continue
		}
		hops, ok := splitList(h.fields[i].Value)
		if !ok {
			return "http"
		}
		for j := len(hops) - 1; j >= 0; j-- {
			proto = ""
			if told, ok := forwardedParameter(hops[j], "proto"); ok {
				proto = schemeOf(told)
			}
			if addr, ok := parseForwardedFor(hops[j]); !ok || !f.trusts(addr) {
				return proto
			}
		}
	}
	return proto
}

// schemeOf reads a scheme, with those that some proxies write of WebSockets.
func schemeOf(told string) string {
	if EqualFold(told, "https") || EqualFold(told, "wss") {
		return "https"
	}
	return "http"
}
