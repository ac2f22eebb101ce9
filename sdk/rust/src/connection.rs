//! The capability `ergo_connection`: how the client came. A policy that uses it needs the grant of that
//! name.

use crate::{abi, buffer};

/// Whether the client came over TLS: to the trusted proxy that it met, where there is one that says so,
/// else to this host. Nothing that a client or a policy writes changes it.
pub fn is_secure() -> bool {
    // SAFETY: the buffer has room for the limit it is given with.
    buffer::read(|buf, limit| unsafe { abi::get_client_scheme(buf, limit) }) == b"https"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Host;

    #[test]
    fn what_the_client_came_by() {
        for (scheme, want) in [("https", true), ("http", false)] {
            let mut host = Host::new("GET", "/");
            host.client_scheme = scheme;
            host.during(|| assert_eq!(is_secure(), want, "{scheme}"));
        }
    }
}
