//! Keys whose responses could not be stored a moment ago. Requests for them do not wait for one another:
//! nothing would come of it.

use std::sync::atomic::{AtomicU64, Ordering};

/// How many keys there is room for; a later one takes the place of an earlier.
const SLOTS: usize = 512;

/// How long a key is known, in seconds.
const KNOWN: i64 = 30;

/// A table of hashes and times: 40 bits of a key's hash and 24 of the time.
#[derive(Debug)]
pub struct Passes(Vec<AtomicU64>);

impl Default for Passes {
    fn default() -> Self {
        Passes((0..SLOTS).map(|_| AtomicU64::new(0)).collect())
    }
}

impl Passes {
    /// Keeps in mind that a key's response could not be stored.
    pub fn learn(&self, key: &[u8], now: i64) {
        let hash = hash(key);
        self.slot(hash).store(hash & HASH | now as u64 & TIME, Ordering::Relaxed);
    }

    /// Forgets a key, because its response was stored.
    pub fn forget(&self, key: &[u8]) {
        let hash = hash(key);
        let slot = self.slot(hash);
        if slot.load(Ordering::Relaxed) & HASH == hash & HASH {
            slot.store(0, Ordering::Relaxed);
        }
    }

    /// Whether a key's response could not be stored a moment ago.
    pub fn knows(&self, key: &[u8], now: i64) -> bool {
        let hash = hash(key);
        let known = self.slot(hash).load(Ordering::Relaxed);
        let since = (now as u64).wrapping_sub(known) & TIME;
        known != 0 && known & HASH == hash & HASH && since <= KNOWN as u64
    }

    fn slot(&self, hash: u64) -> &AtomicU64 {
        &self.0[(hash >> 32) as usize % SLOTS]
    }
}

const TIME: u64 = (1 << 24) - 1;
const HASH: u64 = !TIME;

/// FNV-1a. Who makes keys collide makes requests wait less for one another, and no more.
fn hash(key: &[u8]) -> u64 {
    key.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_for_a_moment() {
        let passes = Passes::default();
        let now = 1_795_824_000;
        assert!(!passes.knows(b"a", now));
        passes.learn(b"a", now);
        assert!(passes.knows(b"a", now) && passes.knows(b"a", now + KNOWN));
        assert!(!passes.knows(b"b", now) && !passes.knows(b"a", now + KNOWN + 1));
        passes.forget(b"b");
        assert!(passes.knows(b"a", now));
        passes.forget(b"a");
        assert!(!passes.knows(b"a", now));
    }
}
