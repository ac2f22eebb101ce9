use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The networks whose addresses are one client.
#[derive(Clone, Copy)]
pub struct Prefix {
    pub v4: u8,
    pub v6: u8,
}

impl Prefix {
    /// The network of an address, in 17 bytes at most. An IPv4 address inside IPv6 is that address; what
    /// is no address stays as it is.
    pub fn network(self, address: &[u8]) -> Vec<u8> {
        let text = std::str::from_utf8(address).unwrap_or_default();
        match text.split('%').next().unwrap_or_default().parse::<IpAddr>() {
            Ok(IpAddr::V4(address)) => self.four(address),
            Ok(IpAddr::V6(address)) => match address.to_ipv4_mapped() {
                Some(address) => self.four(address),
                None => {
                    let mask = u128::MAX.checked_shl(128 - u32::from(self.v6)).unwrap_or(0);
                    Ipv6Addr::from(u128::from(address) & mask).octets().to_vec()
                }
            },
            Err(_) => address.to_vec(),
        }
    }

    fn four(self, address: Ipv4Addr) -> Vec<u8> {
        let mask = u32::MAX.checked_shl(32 - u32::from(self.v4)).unwrap_or(0);
        Ipv4Addr::from(u32::from(address) & mask).octets().to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_network_are_one_client() {
        let usual = Prefix { v4: 32, v6: 64 };
        let wide = Prefix { v4: 24, v6: 0 };
        let cases = [
            (usual, "192.0.2.1", "192.0.2.1", true),
            (usual, "192.0.2.1", "192.0.2.2", false),
            (usual, "192.0.2.1", "::ffff:192.0.2.1", true),
            (usual, "2001:db8::1", "2001:db8:0:0:ffff::2", true),
            (usual, "2001:db8::1", "2001:db8:0:1::1", false),
            (usual, "fe80::1%eth0", "fe80::2", true),
            (wide, "192.0.2.1", "192.0.2.255", true),
            (wide, "192.0.2.1", "192.0.3.1", false),
            (wide, "::1", "2001:db8::1", true),
        ];
        for (prefix, one, other, same) in cases {
            let of = |text: &str| prefix.network(text.as_bytes());
            assert_eq!(of(one) == of(other), same, "{one} {other}");
        }
        assert_eq!(usual.network(b"a pipe"), b"a pipe");
    }
}
