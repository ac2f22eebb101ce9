//! What `ergo_kv` holds in a [`Host`](super::Host). No time passes there: nothing ends, and no token
//! comes back.

use std::slice;

use super::{Host, abi::with};

/// What one key holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A value and its version.
    Value(Vec<u8>, u64),
    /// A counter.
    Counter(i64),
    /// The tokens of a bucket.
    Bucket(u32),
    /// What a window has admitted.
    Window(u32),
}

/// Acts on a key that an operation gets to.
unsafe fn act(key: *const u8, length: usize, act: impl FnOnce(&mut Host, Vec<u8>) -> u32) -> u32 {
    // SAFETY: the caller's key.
    let key = unsafe { slice::from_raw_parts(key, length) }.to_vec();
    if key.is_empty() || key.len() > 512 {
        return 2;
    }
    with(|host| if host.kv_down { 8 } else { act(host, key) })
}

unsafe fn put(bytes: &[u8], to: *mut u8) {
    // SAFETY: the caller has room for the result.
    unsafe { to.copy_from(bytes.as_ptr(), bytes.len()) }
}

impl Host {
    fn is_version(&self, key: &[u8], version: u64) -> bool {
        match self.kv.get(key) {
            Some(Entry::Value(_, is)) => *is == version,
            Some(_) => false,
            None => version == 0,
        }
    }
}

pub(crate) unsafe fn kv_get(
    key: *const u8,
    key_length: usize,
    buf: *mut u8,
    limit: usize,
    result: *mut u8,
) -> u32 {
    let get = |host: &mut Host, key: Vec<u8>| match host.kv.get(&key) {
        Some(Entry::Value(value, version)) => unsafe {
            if value.len() <= limit {
                put(value, buf);
            }
            put(&version.to_le_bytes(), result);
            put(&(value.len() as u32).to_le_bytes(), result.add(8));
            0
        },
        Some(_) => 5,
        None => 1,
    };
    unsafe { act(key, key_length, get) }
}

pub(crate) unsafe fn kv_set(
    key: *const u8,
    key_length: usize,
    value: *const u8,
    value_length: usize,
    _ttl: u64,
    result: *mut u8,
) -> u32 {
    let set = |host: &mut Host, key| unsafe {
        host.kv_version += 1;
        let value = slice::from_raw_parts(value, value_length).to_vec();
        host.kv.insert(key, Entry::Value(value, host.kv_version));
        put(&host.kv_version.to_le_bytes(), result);
        0
    };
    unsafe { act(key, key_length, set) }
}

pub(crate) unsafe fn kv_set_if(
    key: *const u8,
    key_length: usize,
    value: *const u8,
    value_length: usize,
    ttl: u64,
    version: u64,
    result: *mut u8,
) -> u32 {
    let compare =
        |host: &mut Host, key: Vec<u8>| if host.is_version(&key, version) { 0 } else { 4 };
    match unsafe { act(key, key_length, compare) } {
        0 => unsafe { kv_set(key, key_length, value, value_length, ttl, result) },
        refused => refused,
    }
}

pub(crate) unsafe fn kv_delete(key: *const u8, key_length: usize) -> u32 {
    let delete = |host: &mut Host, key: Vec<u8>| u32::from(host.kv.remove(&key).is_none());
    unsafe { act(key, key_length, delete) }
}

pub(crate) unsafe fn kv_delete_if(key: *const u8, key_length: usize, version: u64) -> u32 {
    let delete = |host: &mut Host, key: Vec<u8>| match host.kv.get(&key) {
        None => 1,
        Some(_) if !host.is_version(&key, version) => 4,
        Some(_) => {
            host.kv.remove(&key);
            0
        }
    };
    unsafe { act(key, key_length, delete) }
}

pub(crate) unsafe fn kv_add(
    key: *const u8,
    key_length: usize,
    delta: i64,
    _ttl: u64,
    result: *mut u8,
) -> u32 {
    let add = |host: &mut Host, key: Vec<u8>| {
        let before = match host.kv.get(&key) {
            None => 0,
            Some(Entry::Counter(n)) => *n,
            Some(_) => return 5,
        };
        let Some(sum) = before.checked_add(delta) else { return 6 };
        if delta != 0 {
            host.kv.insert(key, Entry::Counter(sum));
        }
        unsafe { put(&sum.to_le_bytes(), result) };
        0
    };
    unsafe { act(key, key_length, add) }
}

pub(crate) unsafe fn kv_take(
    key: *const u8,
    key_length: usize,
    tokens: u32,
    per: u32,
    burst: u32,
    n: u32,
    result: *mut u8,
) -> u32 {
    if tokens == 0 || per == 0 || burst == 0 || n > burst {
        return 2;
    }
    let take = |host: &mut Host, key: Vec<u8>| {
        let mut left = match host.kv.get(&key) {
            None => burst,
            Some(Entry::Bucket(left)) => *left,
            Some(_) => return 5,
        };
        let allowed = left >= n;
        let mut wait = 0;
        if !allowed {
            wait = (u64::from(n - left) * u64::from(per)).div_ceil(u64::from(tokens));
        } else if n > 0 {
            left -= n;
            host.kv.insert(key, Entry::Bucket(left));
        }
        unsafe { put_taken(wait, left, allowed, result) };
        0
    };
    unsafe { act(key, key_length, take) }
}

pub(crate) unsafe fn kv_window(
    key: *const u8,
    key_length: usize,
    limit: u32,
    per: u32,
    n: u32,
    result: *mut u8,
) -> u32 {
    if limit == 0 || per == 0 || n > limit {
        return 2;
    }
    let admit = |host: &mut Host, key: Vec<u8>| {
        let before = match host.kv.get(&key) {
            None => 0,
            Some(Entry::Window(count)) => *count,
            Some(_) => return 5,
        };
        let allowed = before + n <= limit;
        let after = if allowed { before + n } else { before };
        if allowed && n > 0 {
            host.kv.insert(key, Entry::Window(after));
        }
        let wait = if allowed { 0 } else { u64::from(per) };
        unsafe { put_taken(wait, limit.saturating_sub(after), allowed, result) };
        0
    };
    unsafe { act(key, key_length, admit) }
}

unsafe fn put_taken(wait: u64, left: u32, allowed: bool, result: *mut u8) {
    unsafe {
        put(&wait.to_le_bytes(), result);
        put(&left.to_le_bytes(), result.add(8));
        put(&u32::from(allowed).to_le_bytes(), result.add(12));
    }
}
