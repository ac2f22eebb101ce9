//! Why a body cannot be encrypted or decrypted.

use ergo_sdk::crypto::CryptoError;
use ergo_sdk::metric::{Counter, MetricError};

/// The reasons, those that say more of a message later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// It is not encrypted, and has to be.
    Plain,
    /// It is coded (gzip and the like), or a part: neither is a whole body.
    Coded,
    /// It is no message as RFC 7516 has it.
    Malformed,
    /// It asks for an algorithm or an extension that is not allowed here.
    Algorithm,
    /// It is for a key that is not here.
    Key,
    /// It is not authentic.
    Forged,
    /// It is larger than what is held.
    TooLarge,
    /// The host had no time for it.
    Busy,
}

/// All reasons, in order, with what a client is answered and what counts them.
const REASONS: [(Refusal, u16, &str); 8] = [
    (Refusal::Plain, 415, "plain"),
    (Refusal::Coded, 415, "coded"),
    (Refusal::Malformed, 400, "malformed"),
    (Refusal::Algorithm, 400, "algorithm"),
    (Refusal::Key, 400, "key"),
    (Refusal::Forged, 400, "forged"),
    (Refusal::TooLarge, 413, "too_large"),
    (Refusal::Busy, 503, "busy"),
];

impl Refusal {
    /// The status that tells whoever sent the request.
    pub fn status(self) -> u16 {
        REASONS[self as usize].1
    }

    /// The reason in a word, for log and metrics. Clients are told the status alone: which of keys, tags
    /// and paddings was wrong is what an attacker asks for.
    pub fn word(self) -> &'static str {
        REASONS[self as usize].2
    }
}

impl From<CryptoError> for Refusal {
    fn from(error: CryptoError) -> Self {
        match error {
            CryptoError::NotFound | CryptoError::NotGranted => Refusal::Key,
            CryptoError::Mismatch => Refusal::Forged,
            CryptoError::TooLarge => Refusal::TooLarge,
            CryptoError::BadArgument => Refusal::Malformed,
            CryptoError::Timeout
            | CryptoError::Busy
            | CryptoError::NoRoom
            | CryptoError::Failed => Refusal::Busy,
        }
    }
}

/// What the policy counts.
pub struct Meters {
    encrypted: Counter,
    decrypted: Counter,
    refused: Vec<Counter>,
}

impl Meters {
    /// Defines all counters.
    pub fn define() -> Result<Self, MetricError> {
        let refused = REASONS.iter().map(|(_, _, word)| Counter::define(&["refused_", word].concat()));
        Ok(Meters {
            encrypted: Counter::define("encrypted")?,
            decrypted: Counter::define("decrypted")?,
            refused: refused.collect::<Result<_, _>>()?,
        })
    }

    /// Counts a body that was encrypted.
    pub fn encrypted(&self) {
        self.encrypted.add(1);
    }

    /// Counts a body that was decrypted.
    pub fn decrypted(&self) {
        self.decrypted.add(1);
    }

    /// Counts a body that was refused.
    pub fn refused(&self, refusal: Refusal) {
        self.refused[refusal as usize].add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_stand_in_their_order() {
        for (at, (refusal, ..)) in REASONS.iter().enumerate() {
            assert_eq!(*refusal as usize, at);
        }
    }
}
