use ergo_sdk::template::Values;
use ergo_sdk::{ConfigError, Node, random};

use crate::sticky::Sticky;

/// Shares requests out to several upstreams by weight.
pub struct Split {
    shares: Vec<(String, u32)>,
    total: u64,
    sticky: Option<Sticky>,
}

impl Split {
    /// Reads the shares.
    pub fn configure(node: &Node, sticky: Option<Sticky>) -> Result<Self, ConfigError> {
        let shares = node.map(|share| {
            let mut share = share.object()?;
            let upstream = share.required("upstream")?.text()?.to_owned();
            let weight =
                share.optional("weight").map_or(Ok(1), |node| node.integer(0, 1_000_000))?;
            share.finish()?;
            Ok((upstream, weight))
        })?;
        let total = shares.iter().map(|(_, weight)| u64::from(*weight)).sum();
        if total == 0 {
            return Err(node.error("expected at least one share with a weight above 0"));
        }
        Ok(Split { shares, total, sticky })
    }

    /// The upstream for one exchange, and what the response phase is to be told: by what makes the client
    /// stay where the request has it, else by chance.
    pub fn choose(&self, values: Values) -> (&str, Option<u32>) {
        let by_chance = || (self.at(random::number()), None);
        let Some(sticky) = &self.sticky else {
            return by_chance();
        };
        match sticky.value(values) {
            Some(value) => (self.at(hash(&value)), None),
            None => match sticky.draw() {
                Some((value, context)) => (self.at(hash(&value)), Some(context)),
                None => by_chance(),
            },
        }
    }

    /// The share that lies at `point` of the line from 0 to 2^64. Changed weights move only the requests
    /// between the old and the new borders.
    fn at(&self, point: u64) -> &str {
        let mut left = ((u128::from(point) * u128::from(self.total)) >> 64) as u64;
        for (upstream, weight) in &self.shares {
            if left < u64::from(*weight) {
                return upstream;
            }
            left -= u64::from(*weight);
        }
        unreachable!("the point lies before the sum of all weights")
    }
}

/// FNV-1a with a final mix, so that short values spread over the whole line. It must not change: every
/// host and every version has to send a client to the same place.
fn hash(value: &[u8]) -> u64 {
    let fnv = value.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mut mixed = (fnv ^ fnv >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
    mixed = (mixed ^ mixed >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    mixed ^ mixed >> 33
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(shares: &[(&str, u32)]) -> Split {
        let shares: Vec<_> =
            shares.iter().map(|(name, weight)| (name.to_string(), *weight)).collect();
        let total = shares.iter().map(|(_, weight)| u64::from(*weight)).sum();
        Split { shares, total, sticky: None }
    }

    #[test]
    fn shares_lie_side_by_side() {
        let split = split(&[("a", 3), ("none", 0), ("b", 1)]);
        let quarter = 1 << 62;
        let cases = [(0, "a"), (3 * quarter - 1, "a"), (3 * quarter, "b"), (u64::MAX, "b")];
        for (point, want) in cases {
            assert_eq!(split.at(point), want, "{point}");
        }
    }

    #[test]
    fn hashes_spread_by_weight() {
        let split = split(&[("a", 9), ("b", 1)]);
        let to_b = (0..10_000).filter(|n: &u32| split.at(hash(n.to_string().as_bytes())) == "b");
        let to_b = to_b.count();
        assert!((900..1100).contains(&to_b), "{to_b} of 10000");
    }

    #[test]
    fn the_hash_never_changes() {
        assert_eq!(hash(b""), 0xefd0_1f60_ba99_2926);
        assert_eq!(hash(b"client-1"), 0xf93b_d2c1_6ac6_882d);
    }
}
