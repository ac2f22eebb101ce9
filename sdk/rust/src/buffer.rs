//! The ABI's buffer protocol: a getter writes only what fits and always returns the length it needs.

use std::cell::Cell;

/// Room that the first try offers; most methods, targets and header values fit, so one call is enough.
const FIRST_TRY_BYTES: usize = 256;

/// Reads a value of any length. `get` is a host getter: it gets a buffer and its limit and returns the
/// length needed.
pub fn read(get: impl Fn(*mut u8, usize) -> usize) -> Vec<u8> {
    read_counted(|buf, limit| get(buf, limit) as u64).1
}

/// What a getter returns in place of a length when there is no value: -1.
const NONE: usize = u32::MAX as usize;

/// Like [`read`], for getters that may find nothing.
pub fn read_found(get: impl Fn(*mut u8, usize) -> usize) -> Option<Vec<u8>> {
    let found = Cell::new(true);
    let value = read(|buf, limit| {
        let length = get(buf, limit);
        found.set(length != NONE);
        if found.get() { length } else { 0 }
    });
    found.get().then_some(value)
}

/// Like [`read`], for getters that return `count << 32 | length`. Returns the count and the bytes.
pub fn read_counted(get: impl Fn(*mut u8, usize) -> u64) -> (usize, Vec<u8>) {
    read_counted_into(FIRST_TRY_BYTES, get)
}

/// Like [`read_counted`], with so much room at the first try.
pub fn read_counted_into(room: usize, get: impl Fn(*mut u8, usize) -> u64) -> (usize, Vec<u8>) {
    let mut bytes: Vec<u8> = Vec::with_capacity(room);
    loop {
        let limit = bytes.capacity();
        let result = get(bytes.as_mut_ptr(), limit);
        let length = result as u32 as usize;
        if length <= limit {
            // SAFETY: the host wrote `length` bytes, which fit the capacity.
            unsafe { bytes.set_len(length) };
            return ((result >> 32) as usize, bytes);
        }
        bytes = Vec::with_capacity(length);
    }
}
