package outbound

import (
	"fmt"
	"net/netip"
)

// SpecialAddressError says that a host is, or resolved to, an address that no
// policy may call unless the manifest names its network.
type SpecialAddressError struct{ Addr netip.Addr }

func (e *SpecialAddressError) Error() string {
	return fmt.Sprintf("%s is a special address, and in no network of internal", e.Addr)
}

// special are the networks of the host itself, of its link and of whoever runs
// its machine: nothing there is meant for policies. Networks that are only
// private (RFC 1918, RFC 4193) are not among them: that is where services are.
var special = prefixes(
	"0.0.0.0/8",          // this host (RFC 1122, 3.2.1.3); connects to loopback
	"127.0.0.0/8",        // loopback
	"169.254.0.0/16",     // link-local; 169.254.169.254 and .170.2 tell credentials of cloud machines
	"192.0.0.0/24",       // IETF protocol assignments; 192.0.0.192 is Oracle's metadata
	"100.100.100.200/32", // Alibaba's metadata
	"168.63.129.16/32",   // Azure's host
	"224.0.0.0/4",        // multicast
	"240.0.0.0/4",        // reserved, broadcast

	"::/127",          // unspecified and loopback
	"100::/64",        // discard (RFC 6666)
	"64:ff9b:1::/48",  // local NAT64 (RFC 8215): what is behind cannot be known
	"2001::/32",       // Teredo (RFC 4380): likewise
	"fd00:ec2::/32",   // Amazon's metadata and services of that kind
	"fd20:ce::/32",    // Google's metadata
	"fd00:c1::/32",    // Oracle's metadata
	"fd00:42::42/128", // Scaleway's metadata
	"fe80::/10",       // link-local
	"fec0::/10",       // site-local (RFC 3879: deprecated)
	"ff00::/8",        // multicast
)

func prefixes(list ...string) []netip.Prefix {
	made := make([]netip.Prefix, len(list))
	for i, s := range list {
		made[i] = netip.MustParsePrefix(s)
	}
	return made
}

// embedded are the networks whose addresses lead to an IPv4 address that is
// written in them, from byte at on.
var embedded = []struct {
	network netip.Prefix
	at      int
}{
	{netip.MustParsePrefix("::/96"), 12},           // IPv4-compatible (RFC 4291, 2.5.5.1)
	{netip.MustParsePrefix("::ffff:0:0:0/96"), 12}, // translated (RFC 2765)
	{netip.MustParsePrefix("64:ff9b::/96"), 12},    // NAT64 (RFC 6052)
	{netip.MustParsePrefix("2002::/16"), 2},        // 6to4 (RFC 3056)
}

// addresses says which addresses may be called.
type addresses struct{ internal []netip.Prefix }

// check returns a *SpecialAddressError for an address that may not be called. In
// whatever form an IPv4 address is written, it counts as what it is.
func (a *addresses) check(addr netip.Addr) error {
	for _, form := range forms(addr) {
		if contains(special, form) && !contains(a.internal, form) && !contains(a.internal, addr) {
			return &SpecialAddressError{addr}
		}
	}
	return nil
}

// forms returns an address and the one that it leads to.
func forms(addr netip.Addr) []netip.Addr {
	addr = addr.Unmap().WithZone("")
	all := []netip.Addr{addr}
	if !addr.Is6() {
		return all
	}
	bytes := addr.As16()
	for _, e := range embedded {
		if e.network.Contains(addr) {
			all = append(all, netip.AddrFrom4([4]byte(bytes[e.at:e.at+4])))
		}
	}
	return all
}

func contains(networks []netip.Prefix, addr netip.Addr) bool {
	for _, n := range networks {
		if n.Contains(addr) {
			return true
		}
	}
	return false
}
