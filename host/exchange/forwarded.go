package exchange

import (
	"net/netip"
	"strings"
)

// address returns the peer's address as text.
func (x *Exchange) address() string {
	var text [64]byte
	return x.Arena.String(x.Conn.Remote.Addr().Unmap().WithZone("").AppendTo(text[:0]))
}

// forwardedElement renders one hop in the form of RFC 7239, 4.
func forwardedElement(x *Exchange) string {
	var b strings.Builder
	b.Grow(96)
	b.WriteString("for=")
	addr := x.Conn.Remote.Addr().Unmap().WithZone("")
	if addr.Is6() {
		b.WriteString(`"[`)
		b.WriteString(addr.String())
		b.WriteString(`]"`)
	} else {
		b.WriteString(addr.String())
	}
	if x.Received.Authority != "" {
		b.WriteString(";host=")
		writeTokenOrQuoted(&b, x.Received.Authority)
	}
	b.WriteString(";proto=")
	b.WriteString(x.Request.Scheme)
	return b.String()
}

func writeTokenOrQuoted(b *strings.Builder, s string) {
	if ValidName(s) {
		b.WriteString(s)
		return
	}
	b.WriteByte('"')
	for i := 0; i < len(s); i++ {
		if s[i] == '"' || s[i] == '\\' {
			b.WriteByte('\\')
		}
		b.WriteByte(s[i])
	}
	b.WriteByte('"')
}

// splitList cuts a list at its commas, but for those in quoted strings (RFC
// 9110, 5.6.1 and 5.6.4), and leaves out empty members. It is not ok if a
// quoted string does not end.
func splitList(s string) (members []string, ok bool) {
	start, quoted := 0, false
	for i := 0; i <= len(s); i++ {
		switch {
		case i == len(s) || s[i] == ',' && !quoted:
			if member := trimSpace(s[start:i]); member != "" {
				members = append(members, member)
			}
			start = i + 1
		case s[i] == '"':
			quoted = !quoted
		case s[i] == '\\' && quoted:
			i++
			if i == len(s) {
				return nil, false
			}
		}
	}
	return members, !quoted
}

// parseForwardedFor returns the address in the "for" parameter of one element
// of Forwarded. Obfuscated and unknown nodes (RFC 7239, 6.2 and 6.3) have none.
func parseForwardedFor(element string) (netip.Addr, bool) {
	node, ok := forwardedParameter(element, "for")
	if !ok {
		return netip.Addr{}, false
	}
	return parseNode(node)
}

// forwardedParameter returns a parameter of one element of Forwarded; not ok if it is not
// there, or if the element can't be read.
func forwardedParameter(element, wanted string) (found string, ok bool) {
	for element != "" {
		name, rest, parted := strings.Cut(element, "=")
		if !parted || !ValidName(trimSpace(name)) {
			return "", false
		}
		value, after, sound := cutValue(rest)
		if !sound {
			return "", false
		}
		if EqualFold(trimSpace(name), wanted) {
			if ok { // each parameter at most once (4)
				return "", false
			}
			found, ok = value, true
		}
		element = after
	}
	return found, ok
}

// cutValue takes a token or quoted string from the front of s, with the
// semicolon after it.
func cutValue(s string) (value, after string, ok bool) {
	if s == "" || s[0] != '"' {
		value, after, _ = strings.Cut(s, ";")
		return trimSpace(value), after, true
	}
	var unquoted strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '"':
			after = trimSpace(s[i+1:])
			if after != "" && after[0] != ';' {
				return "", "", false
			}
			return unquoted.String(), strings.TrimPrefix(after, ";"), true
		case '\\':
			i++
			if i == len(s) {
				return "", "", false
			}
		}
		unquoted.WriteByte(s[i])
	}
	return "", "", false
}

// parseNode parses an address with optional port, IPv6 in brackets or, as
// X-Forwarded-For has it, bare.
func parseNode(s string) (netip.Addr, bool) {
	addr, err := netip.ParseAddr(s)
	if err != nil {
		if strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]") {
			addr, err = netip.ParseAddr(s[1 : len(s)-1])
			if err == nil && !addr.Is6() {
				return netip.Addr{}, false
			}
		} else {
			var withPort netip.AddrPort
			withPort, err = netip.ParseAddrPort(s)
			addr = withPort.Addr()
		}
	}
	if err != nil || addr.Zone() != "" {
		return netip.Addr{}, false
	}
	return addr.Unmap(), true
}
