//! The capability `ergo_kv`: what a policy remembers from one exchange to the next, whichever instance
//! or version of it asks. A policy that uses it needs the grant `ergo_kv`; `[policy.NAME.kv]` in the
//! manifest says where it is kept and how much of it.
//!
//! A key is 1 to 512 bytes and holds a value, a counter or a bucket of tokens. Every function is
//! atomic. Times to live are in milliseconds, up to 366 days; 0 is for ever.

use crate::abi;

/// Why the host refused an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KvError {
    /// There is nothing under the key.
    NotFound,
    /// A key, value, time or bucket is out of bounds.
    BadArgument,
    /// The key has another version.
    Changed,
    /// The key holds another kind.
    Kind,
    /// The counter would overflow.
    Overflow,
    /// The policy's state is full.
    Full,
    /// The shared store is not available.
    Unavailable,
}

/// Room that the first try offers for a value.
const FIRST_TRY_BYTES: usize = 256;

/// The value of a key and its version, which is never 0.
pub fn get(key: impl AsRef<[u8]>) -> Result<(Vec<u8>, u64), KvError> {
    let key = key.as_ref();
    let mut value: Vec<u8> = Vec::with_capacity(FIRST_TRY_BYTES);
    loop {
        let mut result = [0; 12];
        let limit = value.capacity();
        // SAFETY: `key` and `result` outlive the call; the buffer has room for the limit.
        check(unsafe {
            abi::kv_get(key.as_ptr(), key.len(), value.as_mut_ptr(), limit, result.as_mut_ptr())
        })?;
        let length = u32::from_le_bytes([result[8], result[9], result[10], result[11]]) as usize;
        if length <= limit {
            // SAFETY: the host wrote `length` bytes, which fit the capacity.
            unsafe { value.set_len(length) };
            return Ok((value, number(&result)));
        }
        value = Vec::with_capacity(length);
    }
}

/// Sets a value, whatever is there, and returns its version.
pub fn set(key: impl AsRef<[u8]>, value: impl AsRef<[u8]>, ttl_ms: u64) -> Result<u64, KvError> {
    let (key, value, mut result) = (key.as_ref(), value.as_ref(), [0; 8]);
    // SAFETY: all outlive the call.
    check(unsafe {
        abi::kv_set(
            key.as_ptr(),
            key.len(),
            value.as_ptr(),
            value.len(),
            ttl_ms,
            result.as_mut_ptr(),
        )
    })?;
    Ok(u64::from_le_bytes(result))
}

/// Sets a value if the key has the value of this version; with version 0, if it has nothing.
pub fn set_if(
    key: impl AsRef<[u8]>,
    value: impl AsRef<[u8]>,
    ttl_ms: u64,
    version: u64,
) -> Result<u64, KvError> {
    let (key, value, mut result) = (key.as_ref(), value.as_ref(), [0; 8]);
    let to = result.as_mut_ptr();
    // SAFETY: all outlive the call.
    check(unsafe {
        abi::kv_set_if(key.as_ptr(), key.len(), value.as_ptr(), value.len(), ttl_ms, version, to)
    })?;
    Ok(u64::from_le_bytes(result))
}

/// Removes what is there.
pub fn delete(key: impl AsRef<[u8]>) -> Result<(), KvError> {
    let key = key.as_ref();
    // SAFETY: `key` outlives the call.
    check(unsafe { abi::kv_delete(key.as_ptr(), key.len()) })
}

/// Removes the value of this version.
pub fn delete_if(key: impl AsRef<[u8]>, version: u64) -> Result<(), KvError> {
    let key = key.as_ref();
    // SAFETY: `key` outlives the call.
    check(unsafe { abi::kv_delete_if(key.as_ptr(), key.len(), version) })
}

/// Adds to a counter and returns the sum. A counter that is not there begins with 0 and gets the time
/// to live; a delta of 0 makes none.
pub fn add(key: impl AsRef<[u8]>, delta: i64, ttl_ms: u64) -> Result<i64, KvError> {
    let (key, mut result) = (key.as_ref(), [0; 8]);
    // SAFETY: both outlive the call.
    check(unsafe { abi::kv_add(key.as_ptr(), key.len(), delta, ttl_ms, result.as_mut_ptr()) })?;
    Ok(i64::from_le_bytes(result))
}

/// How tokens come back to a bucket: one by one, `tokens` of them in `per_ms`, up to `burst`.
#[derive(Clone, Copy, Debug)]
pub struct Bucket {
    /// So many come back in `per_ms`.
    pub tokens: u32,
    /// In milliseconds.
    pub per_ms: u32,
    /// So many there are at most, and at first.
    pub burst: u32,
}

/// What came of taking tokens, or of asking for admission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Whether they were taken, or admitted.
    pub allowed: bool,
    /// Tokens, or places, left.
    pub remaining: u32,
    /// When there would be enough; 0 if allowed.
    pub retry_after_ms: u64,
}

/// Takes `n` tokens out of a bucket, all or none. A bucket that is not there is full; with 0 it only
/// looks.
pub fn take(key: impl AsRef<[u8]>, bucket: Bucket, n: u32) -> Result<Taken, KvError> {
    let (key, mut result) = (key.as_ref(), [0; 16]);
    let Bucket { tokens, per_ms, burst } = bucket;
    let to = result.as_mut_ptr();
    // SAFETY: both outlive the call.
    check(unsafe { abi::kv_take(key.as_ptr(), key.len(), tokens, per_ms, burst, n, to) })?;
    Ok(Taken::read(&result))
}

/// Admits no more than `limit` in any time of `per_ms`. What was admitted counts for that long, and for a
/// hundredth more at most.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// So many are admitted.
    pub limit: u32,
    /// In milliseconds.
    pub per_ms: u32,
}

/// Admits `n` to a window, all or none; with 0 it only looks.
pub fn admit(key: impl AsRef<[u8]>, window: Window, n: u32) -> Result<Taken, KvError> {
    let (key, mut result) = (key.as_ref(), [0; 16]);
    let Window { limit, per_ms } = window;
    let to = result.as_mut_ptr();
    // SAFETY: both outlive the call.
    check(unsafe { abi::kv_window(key.as_ptr(), key.len(), limit, per_ms, n, to) })?;
    Ok(Taken::read(&result))
}

impl Taken {
    fn read(result: &[u8; 16]) -> Self {
        Taken {
            retry_after_ms: number(result),
            remaining: u32::from_le_bytes([result[8], result[9], result[10], result[11]]),
            allowed: result[12] != 0,
        }
    }
}

/// The first eight bytes as a number.
fn number(result: &[u8]) -> u64 {
    result.iter().take(8).rev().fold(0, |n, &byte| n << 8 | u64::from(byte))
}

fn check(status: u32) -> Result<(), KvError> {
    match status {
        0 => Ok(()),
        1 => Err(KvError::NotFound),
        4 => Err(KvError::Changed),
        5 => Err(KvError::Kind),
        6 => Err(KvError::Overflow),
        7 => Err(KvError::Full),
        8 => Err(KvError::Unavailable),
        _ => Err(KvError::BadArgument),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Host;

    #[test]
    fn values_have_versions() {
        Host::new("GET", "/").during(|| {
            assert_eq!(get("k"), Err(KvError::NotFound));
            let large = vec![b'v'; 10_000];
            let first = set("k", &large, 1000).unwrap();
            assert_eq!(get("k"), Ok((large, first)));
            assert_eq!(set_if("k", "two", 0, 0), Err(KvError::Changed));
            let second = set_if("k", "two", 0, first).unwrap();
            assert_eq!(get("k"), Ok((b"two".to_vec(), second)));
            assert_eq!(delete_if("k", first), Err(KvError::Changed));
            assert_eq!(delete_if("k", second), Ok(()));
            assert_eq!(delete("k"), Err(KvError::NotFound));
            assert!(set_if("k", "", 0, 0).is_ok());
            assert_eq!(delete("k"), Ok(()));
            assert_eq!(set("", "", 0), Err(KvError::BadArgument));
        });
    }

    #[test]
    fn counters_and_buckets_count() {
        Host::new("GET", "/").during(|| {
            assert_eq!(add("n", 0, 0), Ok(0));
            assert_eq!(add("n", -5, 0), Ok(-5));
            assert_eq!(add("n", i64::MIN, 0), Err(KvError::Overflow));
            assert_eq!(get("n"), Err(KvError::Kind));
            let bucket = Bucket { tokens: 2, per_ms: 1000, burst: 3 };
            let taken = |n| take("b", bucket, n);
            assert_eq!(taken(2), Ok(Taken { allowed: true, remaining: 1, retry_after_ms: 0 }));
            assert_eq!(taken(3), Ok(Taken { allowed: false, remaining: 1, retry_after_ms: 1000 }));
            assert_eq!(taken(4), Err(KvError::BadArgument));
            assert_eq!(add("b", 1, 0), Err(KvError::Kind));
            let window = Window { limit: 3, per_ms: 1000 };
            let admit = |n| admit("w", window, n);
            assert_eq!(admit(2), Ok(Taken { allowed: true, remaining: 1, retry_after_ms: 0 }));
            assert_eq!(admit(2), Ok(Taken { allowed: false, remaining: 1, retry_after_ms: 1000 }));
            assert_eq!(admit(0), Ok(Taken { allowed: true, remaining: 1, retry_after_ms: 0 }));
            assert_eq!(admit(4), Err(KvError::BadArgument));
            assert_eq!(add("w", 1, 0), Err(KvError::Kind));
        });
    }

    #[test]
    fn every_status_has_its_meaning() {
        let mut host = Host::new("GET", "/");
        host.kv_down = true;
        host.during(|| assert_eq!(add("n", 1, 0), Err(KvError::Unavailable)));
        assert_eq!(check(7), Err(KvError::Full));
        assert_eq!(check(2), Err(KvError::BadArgument));
    }
}
