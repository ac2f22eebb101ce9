//! The capability `ergo_route`: where the host sends the request, and how. A policy that uses it needs
//! the grant `ergo_route`.

use crate::{abi, buffer};

/// Why the host refused a routing decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteError {
    /// The manifest has no upstream of this name.
    NotFound,
    /// A value is outside its range.
    BadArgument,
    /// The request has already been sent on.
    TooLate,
    /// There are as many fallbacks as may be.
    Full,
}

/// Sends the request to the named upstream.
pub fn set_upstream(name: &str) -> Result<(), RouteError> {
    // SAFETY: `name` outlives the call.
    check(unsafe { abi::set_upstream(name.as_ptr(), name.len()) })
}

/// Names an upstream that is taken while the chosen one, and the fallbacks added before, have no healthy
/// endpoint. There are at most 4, of the upstream that was set last.
pub fn add_fallback(name: &str) -> Result<(), RouteError> {
    // SAFETY: `name` outlives the call.
    check(unsafe { abi::add_fallback(name.as_ptr(), name.len()) })
}

/// The upstream chosen so far, or `None`.
pub fn upstream() -> Option<String> {
    // SAFETY: the buffer has room for the limit it is given with.
    let name = buffer::read(|buf, limit| unsafe { abi::get_upstream(buf, limit) });
    if name.is_empty() { None } else { String::from_utf8(name).ok() }
}

/// Sets the key by which a hashing balancer picks the endpoint.
pub fn set_hash_key(key: impl AsRef<[u8]>) -> Result<(), RouteError> {
    let key = key.as_ref();
    // SAFETY: `key` outlives the call.
    check(unsafe { abi::set_hash_key(key.as_ptr(), key.len()) })
}

/// Sets the time that the upstream has in all; 0 leaves what the manifest says.
pub fn set_timeout_ms(milliseconds: u32) -> Result<(), RouteError> {
    // SAFETY: no memory is shared.
    check(unsafe { abi::set_timeout(milliseconds) })
}

/// Sets how often the host may try again, 0 to 10.
pub fn set_retries(count: u32) -> Result<(), RouteError> {
    // SAFETY: no memory is shared.
    check(unsafe { abi::set_retries(count) })
}

fn check(status: u32) -> Result<(), RouteError> {
    match status {
        0 => Ok(()),
        1 => Err(RouteError::NotFound),
        3 => Err(RouteError::TooLate),
        11 => Err(RouteError::Full),
        _ => Err(RouteError::BadArgument),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Host;

    #[test]
    fn decisions_reach_the_host() {
        let mut host = Host::new("GET", "/");
        host.upstreams = vec!["blue".into()];
        host.during(|| {
            assert_eq!(upstream(), None);
            assert_eq!(set_upstream("green"), Err(RouteError::NotFound));
            assert_eq!(set_upstream("blue"), Ok(()));
            assert_eq!(add_fallback("green"), Err(RouteError::NotFound));
            for _ in 0..4 {
                assert_eq!(add_fallback("blue"), Ok(()));
            }
            assert_eq!(add_fallback("blue"), Err(RouteError::Full));
            assert_eq!(set_upstream("blue"), Ok(()));
            assert_eq!(add_fallback("blue"), Ok(()));
            assert_eq!(upstream().as_deref(), Some("blue"));
            assert_eq!(set_hash_key("k"), Ok(()));
            assert_eq!(set_timeout_ms(1500), Ok(()));
            assert_eq!(set_retries(11), Err(RouteError::BadArgument));
            assert_eq!(set_retries(0), Ok(()));
        });
        assert_eq!(host.fallbacks, ["blue"]);
        assert_eq!(host.hash_key.as_deref(), Some(b"k".as_slice()));
        assert_eq!((host.timeout_ms, host.retries), (Some(1500), Some(0)));
    }

    #[test]
    fn every_status_has_its_meaning() {
        let cases = [
            (0, Ok(())),
            (1, Err(RouteError::NotFound)),
            (2, Err(RouteError::BadArgument)),
            (3, Err(RouteError::TooLate)),
            (11, Err(RouteError::Full)),
        ];
        for (status, want) in cases {
            assert_eq!(check(status), want, "{status}");
        }
    }
}
