//! Which of the responses that are stored under a key answers a request.

use ergo_sdk::Headers;
use ergo_sdk::cache::{self, CacheError, Entry, Slice};

use crate::meta::Meta;
use crate::part::{Part, without_suffix};
use crate::vary::{Comparisons, selects};

/// A stored response that a request selects.
#[derive(Debug)]
pub struct Found {
    pub entry: Entry,
    pub meta: Meta,
    /// What there is of its representation, if it is a part of it: this part and others, of which each
    /// is as fresh as this one, the newest. Empty if it is whole.
    parts: Vec<(u32, Part)>,
}

impl Found {
    /// The newest of so many whose variant the request's fields select.
    pub fn select(
        count: u32,
        comparisons: &Comparisons,
        values: impl Fn(&str) -> Vec<Vec<u8>>,
    ) -> Option<Found> {
        let selected =
            |found: &Found| selects(without_suffix(&found.entry.variant), comparisons, &values);
        (0..count).filter_map(Found::read).find(selected).map(Found::with_parts)
    }

    /// One that was found before.
    pub fn again(index: u32) -> Option<Found> {
        Found::read(index).map(Found::with_parts)
    }

    /// `None` also for a part that has not the bytes that it said.
    fn read(index: u32) -> Option<Found> {
        let entry = cache::entry(index)?;
        let meta = Meta::decode(&entry.meta)?;
        let sound = meta.part.is_none_or(|part| part.size() == entry.size);
        sound.then_some(Found { entry, meta, parts: Vec::new() })
    }

    fn with_parts(mut self) -> Found {
        if self.meta.part.is_none_or(|part| part.whole()) {
            return self;
        }
        let all = (0..).map_while(|index| cache::entry(index).map(|_| index));
        self.parts =
            all.filter_map(|index| Some((index, self.part(&Found::read(index)?)?))).collect();
        self
    }

    /// What `other` has of the same representation: it has the same strong entity tag.
    fn part(&self, other: &Found) -> Option<Part> {
        let (own, part) = (self.meta.part?, other.meta.part?);
        let same = own.total == part.total
            && self.meta.validators.etag == other.meta.validators.etag
            && without_suffix(&self.entry.variant) == without_suffix(&other.entry.variant)
            && (self.entry.purged || !other.entry.purged);
        same.then_some(part)
    }

    /// As another meta has it.
    pub fn renewed(self, meta: Meta) -> Found {
        Found { meta, ..self }
    }

    /// What the representation is sent with: a part is one of a 200.
    pub fn status(&self) -> u16 {
        if self.meta.part.is_some() { 200 } else { self.entry.status }
    }

    /// The length of the whole representation.
    pub fn size(&self) -> u64 {
        self.meta.part.map_or(self.entry.size, |part| part.total)
    }

    /// Whether so many bytes from `offset` on are here.
    pub fn has(&self, offset: u64, length: u64) -> bool {
        self.parts.is_empty() || slices(&self.parts, offset, length).is_some()
    }

    /// Makes the response from these bytes.
    pub fn serve(&self, status: u16, offset: u64, length: u64) -> Result<Headers, CacheError> {
        let index = self.entry.index;
        if self.parts.is_empty() {
            return cache::serve(index, status, offset, Some(length));
        }
        let slices = slices(&self.parts, offset, length).ok_or(CacheError::NotFound)?;
        cache::compose(index, status, &slices)
    }
}

/// The bytes from `offset` on, out of parts; of those that have the next byte the one that reaches
/// furthest. `None` if some are missing.
fn slices(parts: &[(u32, Part)], offset: u64, length: u64) -> Option<Vec<Slice>> {
    let (mut at, end) = (offset, offset.checked_add(length)?);
    let mut slices = Vec::new();
    while at < end {
        let here = parts.iter().filter(|(_, part)| part.first <= at && at <= part.last);
        let (index, part) = here.max_by_key(|(_, part)| part.last)?;
        let length = end.min(part.last + 1) - at;
        slices.push(Slice { index: *index, offset: at - part.first, length });
        at += length;
    }
    Some(slices)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_together_have_what_each_has() {
        let part = |first, last| Part { first, last, total: 100 };
        let parts = [(0, part(10, 19)), (1, part(15, 29)), (2, part(40, 49)), (3, part(12, 16))];
        let slice = |index, offset, length| Slice { index, offset, length };
        let cases: [(u64, u64, Option<Vec<Slice>>); 9] = [
            (10, 0, Some(vec![])),
            (10, 10, Some(vec![slice(0, 0, 10)])),
            (12, 3, Some(vec![slice(0, 2, 3)])),
            (15, 5, Some(vec![slice(1, 0, 5)])),
            (10, 20, Some(vec![slice(0, 0, 10), slice(1, 5, 10)])),
            (49, 1, Some(vec![slice(2, 9, 1)])),
            (9, 2, None),
            (29, 2, None),
            (u64::MAX, 2, None),
        ];
        for (offset, length, want) in cases {
            assert_eq!(slices(&parts, offset, length), want, "{length} from {offset}");
        }
    }
}
