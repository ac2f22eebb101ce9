//! Randomness from the host, through WASI, which every http-wasm host offers.

use crate::abi;

/// A random number. The host's source is fresh for every call, so it differs between instances that
/// were cloned from one image.
pub fn number() -> u64 {
    let mut bytes = [0; 8];
    // SAFETY: the buffer has room for its length.
    let errno = unsafe { abi::random_get(bytes.as_mut_ptr(), bytes.len()) };
    assert_eq!(errno, 0, "the host has no randomness");
    u64::from_le_bytes(bytes)
}
