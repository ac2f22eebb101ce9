//! What the policy keeps beside a stored response, so that a hit reads none of its fields.

use crate::codec::{Reader, Writer};
use crate::directives::MAX_SECONDS;
use crate::part::Part;
use crate::validator::Validators;

/// What is known of a stored response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meta {
    /// When it was received or last validated, in seconds since 1970.
    pub received: i64,
    /// How old it was then.
    pub initial_age: u32,
    pub lifetime: u32,
    pub no_cache: bool,
    pub forbids_stale: bool,
    pub while_revalidate: Option<u32>,
    pub if_error: Option<u32>,
    pub validators: Validators,
    /// What the body is of the representation; `None`: all of it.
    pub part: Option<Part>,
}

const VERSION: u8 = 2;

/// A validator that is longer is not kept.
pub const MAX_VALIDATOR: usize = 1024;

impl Meta {
    /// How old the response is.
    pub fn age(&self, now: i64) -> u32 {
        let here = (now - self.received).clamp(0, i64::from(MAX_SECONDS)) as u32;
        self.initial_age.saturating_add(here).min(MAX_SECONDS)
    }

    /// How long it will still be fresh; negative if it is stale.
    pub fn left(&self, now: i64) -> i64 {
        i64::from(self.lifetime) - i64::from(self.age(now))
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::default();
        w.byte(VERSION);
        let flags = [self.no_cache, self.forbids_stale, self.part.is_some()];
        w.byte(flags.iter().rev().fold(0, |bits, flag| bits << 1 | u8::from(*flag)));
        w.long(self.received);
        w.int(self.initial_age);
        w.int(self.lifetime);
        w.optional(self.while_revalidate);
        w.optional(self.if_error);
        w.long(self.validators.date);
        w.bytes(&self.validators.etag);
        w.bytes(&self.validators.last_modified);
        if let Some(Part { first, last, total }) = self.part {
            [first, last, total].iter().for_each(|number| w.long(*number as i64));
        }
        w.0
    }

    /// `None` for what another version of the policy has written.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut r = Reader(bytes);
        if r.byte()? != VERSION {
            return None;
        }
        let flags = r.byte()?;
        let mut meta = Meta {
            received: r.long()?,
            initial_age: r.int()?,
            lifetime: r.int()?,
            no_cache: flags & 1 != 0,
            forbids_stale: flags & 2 != 0,
            while_revalidate: r.optional()?,
            if_error: r.optional()?,
            validators: Validators {
                date: r.long()?,
                etag: r.bytes()?.to_vec(),
                last_modified: r.bytes()?.to_vec(),
            },
            part: None,
        };
        if flags & 4 != 0 {
            let mut number = || r.long().map(|number| number as u64);
            meta.part = Some(Part { first: number()?, last: number()?, total: number()? });
        }
        r.0.is_empty().then_some(meta)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_back_as_it_was() {
        let meta = Meta {
            received: 1_700_000_000,
            initial_age: 7,
            lifetime: 60,
            no_cache: false,
            forbids_stale: true,
            while_revalidate: Some(30),
            if_error: None,
            validators: Validators {
                etag: b"\"a\"".to_vec(),
                last_modified: b"then".to_vec(),
                date: -1,
            },
            part: Some(Part { first: 1, last: 2, total: 9 }),
        };
        let bytes = meta.encode();
        assert_eq!(Meta::decode(&bytes), Some(meta.clone()));
        for cut in 0..bytes.len() {
            assert_eq!(Meta::decode(&bytes[..cut]), None);
        }
        assert_eq!((meta.age(1_700_000_010), meta.left(1_700_000_060)), (17, -7));
        assert_eq!(meta.age(0), 7);
    }

    #[test]
    fn reads_anything() {
        crate::random::bytes(&[0, 1, 2, 255, 16], 2000, |bytes| {
            Meta::decode(bytes);
        });
    }
}
