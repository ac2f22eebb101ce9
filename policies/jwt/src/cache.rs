use std::sync::{Arc, Mutex};

use crate::outcome::Outcome;

/// Tokens that were found good, by their digests, in a table of fixed size: each has one place, and takes it
/// from the one that was there. An instance has its own.
pub struct Cache(Mutex<Vec<Option<Verified>>>);

/// The SHA-256 of a token.
pub type TokenDigest = [u8; 32];

/// A token that was found good.
#[derive(Clone)]
pub struct Verified {
    pub digest: TokenDigest,
    /// The index of its issuer.
    pub issuer: usize,
    /// Of the issuer's keys.
    pub generation: u64,
    /// The first second at which it is no longer good.
    pub ends: u64,
    pub outcome: Arc<Outcome>,
}

impl Cache {
    /// A cache with so many places, which may be none.
    pub fn new(places: usize) -> Self {
        Cache(Mutex::new(vec![None; places]))
    }

    /// Whether it has any place.
    pub fn is_used(&self) -> bool {
        !self.places().is_empty()
    }

    /// What is known of a token.
    pub fn get(&self, digest: &TokenDigest) -> Option<Verified> {
        let places = self.places();
        places.get(index(digest, places.len())?)?.clone().filter(|known| known.digest == *digest)
    }

    /// Remembers a token.
    pub fn put(&self, verified: Verified) {
        let mut places = self.places();
        if let Some(index) = index(&verified.digest, places.len()) {
            places[index] = Some(verified);
        }
    }

    fn places(&self) -> std::sync::MutexGuard<'_, Vec<Option<Verified>>> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

fn index(digest: &TokenDigest, places: usize) -> Option<usize> {
    let number = u32::from_le_bytes([digest[0], digest[1], digest[2], digest[3]]);
    (number as usize).checked_rem(places)
}
