//! Parts of a representation (206), which are stored by themselves and combined by its strong entity tag
//! (RFC 9111 sections 3.3 and 3.4).

use crate::fields::Fields;
use crate::meta::MAX_VALIDATOR;

/// Which bytes of how many a part has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    pub first: u64,
    pub last: u64,
    pub total: u64,
}

/// As many parts of what is under a key are stored.
pub const MAX_PARTS: usize = 16;

impl Part {
    /// Reads the head of a 206. `None` if it can't be combined: if it is not one run of bytes of a
    /// representation of known length, has no strong validator, or contradicts itself (RFC 9110 section 14.4).
    pub fn of(fields: &Fields) -> Option<Self> {
        let part = Self::parse(fields.only("content-range"))?;
        let (tag, length) = (fields.only("etag"), fields.first("content-length"));
        let strong = tag.len() >= 2 && tag.starts_with(b"\"") && tag.ends_with(b"\"");
        let agrees = length.is_empty() || number(length) == Some(part.size());
        (strong && tag.len() <= MAX_VALIDATOR && agrees).then_some(part)
    }

    fn parse(range: &[u8]) -> Option<Self> {
        let (unit, rest) = range.split_at_checked(6)?;
        let (first, rest) = split(rest, b'-')?;
        let (last, total) = split(rest, b'/')?;
        let part = Part { first: number(first)?, last: number(last)?, total: number(total)? };
        let sound = part.first <= part.last && part.last < part.total;
        (unit.eq_ignore_ascii_case(b"bytes ") && sound).then_some(part)
    }

    pub fn size(&self) -> u64 {
        self.last - self.first + 1
    }

    /// Whether it is all of the representation.
    pub fn whole(&self) -> bool {
        self.size() == self.total
    }

    /// What its variant has beside those of other parts: another part that begins there takes its place.
    pub fn suffix(&self) -> Vec<u8> {
        format!("\0{}", self.first).into_bytes()
    }
}

/// A variant without what tells parts apart.
pub fn without_suffix(variant: &[u8]) -> &[u8] {
    variant.split(|&byte| byte == 0).next().unwrap_or_default()
}

fn split(text: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let index = text.iter().position(|&byte| byte == at)?;
    Some((&text[..index], &text[index + 1..]))
}

/// No number here has more than 18 digits, so that sums of them are none too large.
fn number(digits: &[u8]) -> Option<u64> {
    let sound = (1..=18).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    sound.then(|| digits.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(list: &[(&str, &str)]) -> Option<Part> {
        let field = |(name, value): &(&str, &str)| ((*name).into(), value.as_bytes().to_vec());
        Part::of(&Fields(list.iter().map(field).collect()))
    }

    #[test]
    fn what_can_be_combined() {
        let tag = ("etag", "\"a\"");
        let part = |first, last, total| Some(Part { first, last, total });
        let cases: [(&[(&str, &str)], Option<Part>); 24] = [
            (&[tag, ("content-range", "bytes 0-4/10")], part(0, 4, 10)),
            (&[tag, ("content-range", "Bytes 9-9/10")], part(9, 9, 10)),
            (&[tag, ("content-range", "bytes 0-4/10"), ("content-length", "5")], part(0, 4, 10)),
            (&[tag, ("content-range", "bytes 4-9/10"), ("content-length", "5")], None),
            (&[tag, ("content-range", "bytes 0-4/10"), ("content-length", "x")], None),
            (&[tag, ("content-range", "bytes 0-4/10"), ("content-range", "bytes 0-4/10")], None),
            (&[tag, ("content-range", "bytes 4-3/10")], None),
            (&[tag, ("content-range", "bytes 0-10/10")], None),
            (&[tag, ("content-range", "bytes 0-4/*")], None),
            (&[tag, ("content-range", "bytes */10")], None),
            (&[tag, ("content-range", "bytes -4/10")], None),
            (&[tag, ("content-range", "bytes 0-/10")], None),
            (&[tag, ("content-range", "bytes=0-4/10")], None),
            (&[tag, ("content-range", "bytes 0-4")], None),
            (&[tag, ("content-range", "bytes 0-4/10 ")], None),
            (&[tag, ("content-range", "bytes +0-4/10")], None),
            (&[tag, ("content-range", "items 0-4/10")], None),
            (&[tag, ("content-range", "bytes 0-4/9999999999999999999")], None),
            (&[tag], None),
            (&[("content-range", "bytes 0-4/10")], None),
            (&[("etag", "W/\"a\""), ("content-range", "bytes 0-4/10")], None),
            (&[("etag", "a"), ("content-range", "bytes 0-4/10")], None),
            (&[("etag", "\""), ("content-range", "bytes 0-4/10")], None),
            (&[tag, ("etag", "\"b\""), ("content-range", "bytes 0-4/10")], None),
        ];
        for (list, want) in cases {
            assert_eq!(of(list), want, "{list:?}");
        }
    }

    #[test]
    fn a_part_that_is_the_whole() {
        let parse = |range: &str| Part::parse(range.as_bytes()).unwrap();
        assert!(parse("bytes 0-9/10").whole());
        assert!(!parse("bytes 0-8/10").whole() && !parse("bytes 1-9/10").whole());
    }

    #[test]
    fn reads_anything() {
        crate::random::bytes(b"bytes 0123456789-/*", 4000, |text| {
            if let Some(part) = Part::parse(&[b"bytes ", text].concat()) {
                assert!(part.size() > 0 && part.first + part.size() <= part.total);
            }
        });
    }
}
