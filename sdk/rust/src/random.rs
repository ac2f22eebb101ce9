//! Randomness from the host: through WASI, which every http-wasm host offers, or by the capability
//! `ergo_random`.
//!
//! Instances of a policy are clones of one that has started. What that drew and kept, they share: a
//! number in the configured policy, the state of a generator of its own. (The keys of a `HashMap` are
//! the same in every instance in any case: on `wasm32-unknown-unknown` they are constants, so never let
//! clients choose a map's keys without bound.) What these functions return is drawn from the host for
//! each call, so it differs between clones.
//!
//! A policy that needs the grant `ergo_random` says by [`reseed!`](crate::reseed!) that it can be cloned;
//! otherwise each of its instances starts for itself.

use crate::abi;

/// A random number, through WASI.
pub fn number() -> u64 {
    let mut bytes = [0; 8];
    // SAFETY: the buffer has room for its length.
    let errno = unsafe { abi::random_get(bytes.as_mut_ptr(), bytes.len()) };
    assert_eq!(errno, 0, "the host has no randomness");
    u64::from_le_bytes(bytes)
}

/// Fills a buffer with what nobody can foretell. A policy that uses it needs the grant `ergo_random`.
pub fn fill(buffer: &mut [u8]) {
    // SAFETY: the buffer has room for its length.
    unsafe { abi::random_fill(buffer.as_mut_ptr(), buffer.len()) }
}

/// Exports `ergo_reseed`, which the host calls in each clone before it is used, and after each exchange if
/// exchanges are isolated. The expression is called there, to draw anew what must not be shared:
///
/// ```
/// # fn draw_key() {}
/// ergo_sdk::reseed!(draw_key);
/// ergo_sdk::reseed!(|| ()); // nothing that is kept was drawn
/// ```
#[macro_export]
macro_rules! reseed {
    ($draw:expr) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            #[unsafe(no_mangle)]
            extern "C" fn ergo_reseed() {
                ($draw)()
            }
        };
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Host;

    #[test]
    fn fills_all_of_it() {
        let mut host = Host::new("GET", "/");
        host.random = 0x0807_0605_0403_0201;
        let mut drawn = [0; 11];
        host.during(|| fill(&mut drawn));
        assert_eq!(drawn, [1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3]);
    }
}
