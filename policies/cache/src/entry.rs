//! Which of the responses that are stored under a key answers a request.

use ergo_sdk::cache::{self, Entry};

use crate::meta::Meta;
use crate::vary::{Comparisons, selects};

/// A stored response that a request selects.
#[derive(Debug)]
pub struct Found {
    pub entry: Entry,
    pub meta: Meta,
}

impl Found {
    /// The newest of so many whose variant the request's fields select.
    pub fn select(
        count: u32,
        comparisons: &Comparisons,
        values: impl Fn(&str) -> Vec<Vec<u8>>,
    ) -> Option<Found> {
        (0..count).filter_map(cache::entry).find_map(|entry| {
            let meta = Meta::decode(&entry.meta)?;
            selects(&entry.variant, comparisons, &values).then_some(Found { entry, meta })
        })
    }

    /// One that was found before.
    pub fn again(index: u32) -> Option<Found> {
        let entry = cache::entry(index)?;
        let meta = Meta::decode(&entry.meta)?;
        Some(Found { entry, meta })
    }
}
