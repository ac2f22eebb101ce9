//! What is counted.

use ergo_sdk::metric::Counter;

use crate::refusal::Refusal;
use crate::work::Work;

/// The policy's metrics.
pub struct Meters {
    encrypted: Option<Counter>,
    decrypted: Option<Counter>,
    /// By the numbers of refusals, first those of responses.
    refused: [[Option<Counter>; Refusal::ALL.len()]; 2],
}

impl Meters {
    /// Defines them.
    pub fn define() -> Meters {
        let counter = |name: &str| Counter::define(name).ok();
        let refused = |message: &str| {
            Refusal::ALL.map(|refusal| counter(&format!("refused_{message}_{}", refusal.name())))
        };
        Meters {
            encrypted: counter("encrypted_values"),
            decrypted: counter("decrypted_values"),
            refused: [refused("response"), refused("request")],
        }
    }

    /// Counts what was done.
    pub fn count(&self, work: &Work<'_>) {
        for (counter, n) in [(self.encrypted, work.encrypted), (self.decrypted, work.decrypted)] {
            counter.into_iter().for_each(|counter| counter.add(n));
        }
    }

    /// Counts a message that did not pass.
    pub fn refused(&self, is_request: bool, refusal: Refusal) {
        let counter = self.refused[usize::from(is_request)][refusal as usize];
        counter.into_iter().for_each(|counter| counter.add(1));
    }
}
