//! The capability `ergo_secret`: secrets that the manifest names for the policy. A policy that uses it
//! needs the grant `ergo_secret`.
//!
//! Where a key is only to be used and not known, prefer a capability that uses it by its name: what is
//! told here stays in the instance's memory.

use crate::{abi, buffer};

/// The secret of that name in `[policy.NAME.secrets]`, if there is one.
pub fn get(name: &str) -> Option<Vec<u8>> {
    buffer::read_found(|buf, limit| {
        // SAFETY: `buf` has room for `limit` bytes and `name` outlives the call.
        unsafe { abi::get_secret(name.as_ptr(), name.len(), buf, limit) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Host;

    #[test]
    fn secrets_are_told_by_name() {
        let long = vec![b'k'; 5000];
        let mut host = Host::new("GET", "/");
        host.secrets = vec![("short".into(), b"hush".to_vec()), ("long".into(), long.clone())];
        host.during(|| {
            assert_eq!(get("short").as_deref(), Some(b"hush".as_slice()));
            assert_eq!(get("long"), Some(long));
            assert_eq!(get("other"), None);
        });
    }
}
