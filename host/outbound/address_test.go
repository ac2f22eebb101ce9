package outbound

import (
	"errors"
	"net/netip"
	"testing"
)

func TestAddresses(t *testing.T) {
	private := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	for _, c := range []struct {
		addr     string
		internal []netip.Prefix
		refused  bool
	}{
		{addr: "93.184.215.14"},
		{addr: "2606:2800:21f:cb07:6820:80da:af6b:8b2c"},
		{addr: "10.1.2.3"},
		{addr: "192.168.0.1"},
		{addr: "fd12:3456::1"},
		{addr: "::ffff:93.184.215.14"},
		{addr: "64:ff9b::5db8:d70e"}, // NAT64 of 93.184.215.14
		{addr: "2002:5db8:d70e::1"},  // 6to4 of the same

		{addr: "127.0.0.1", refused: true},
		{addr: "127.255.0.9", refused: true},
		{addr: "0.0.0.0", refused: true},
		{addr: "0.1.2.3", refused: true},
		{addr: "169.254.169.254", refused: true},
		{addr: "169.254.170.2", refused: true},
		{addr: "100.100.100.200", refused: true},
		{addr: "168.63.129.16", refused: true},
		{addr: "192.0.0.192", refused: true},
		{addr: "224.0.0.1", refused: true},
		{addr: "255.255.255.255", refused: true},
		{addr: "::", refused: true},
		{addr: "::1", refused: true},
		{addr: "fe80::1", refused: true},
		{addr: "fe80::1%eth0", refused: true},
		{addr: "ff02::1", refused: true},
		{addr: "fec0::1", refused: true},
		{addr: "fd00:ec2::254", refused: true},
		{addr: "fd20:ce::254", refused: true},
		{addr: "fd00:c1::a9fe:a9fe", refused: true},

		{addr: "::ffff:127.0.0.1", refused: true},
		{addr: "::ffff:169.254.169.254", refused: true},
		{addr: "::127.0.0.1", refused: true},                // IPv4-compatible
		{addr: "::ffff:0:169.254.169.254", refused: true},   // translated
		{addr: "64:ff9b::169.254.169.254", refused: true},   // NAT64
		{addr: "64:ff9b:1::169.254.169.254", refused: true}, // local NAT64
		{addr: "2002:a9fe:a9fe::1", refused: true},          // 6to4
		{addr: "2001:0:a9fe:a9fe::1", refused: true},        // Teredo

		{addr: "127.0.0.1", internal: private},
		{addr: "::1", internal: private},
		{addr: "::ffff:127.0.0.1", internal: private},
		{addr: "64:ff9b::127.0.0.1", internal: private},
		{addr: "169.254.169.254", internal: private, refused: true},
		{addr: "2002:a9fe:a9fe::1", internal: private, refused: true},
	} {
		addr := netip.MustParseAddr(c.addr)
		err := (&addresses{c.internal}).check(addr)
		var special *SpecialAddressError
		if got := errors.As(err, &special); got != c.refused {
			t.Errorf("%s with %v: got %v, want refused %t", c.addr, c.internal, err, c.refused)
		}
	}
}
