//! Validators and the conditions that compare them (RFC 9110 sections 8.8 and 13).

use crate::date;

/// What a stored response can be compared by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Validators {
    /// As it was sent; empty if there is none.
    pub etag: Vec<u8>,
    /// As it was sent; empty if there is none.
    pub last_modified: Vec<u8>,
    /// When the response was made, or else received.
    pub date: i64,
}

impl Validators {
    /// Whether the origin can be asked about the response.
    pub fn any(&self) -> bool {
        !self.etag.is_empty() || !self.last_modified.is_empty()
    }

    /// Whether a condition of a GET or HEAD, evaluated here, is answered with 304 (RFC 9111 section
    /// 4.3.2). If-None-Match goes before If-Modified-Since.
    pub fn not_modified(&self, none_match: &[u8], modified_since: &[u8], now: i64) -> bool {
        if !none_match.is_empty() {
            return self.matches(none_match);
        }
        let Some(since) = date::parse(modified_since, now) else { return false };
        date::parse(&self.last_modified, now).unwrap_or(self.date) <= since
    }

    /// Whether a list of entity tags has this response's, by the weak comparison.
    pub fn matches(&self, list: &[u8]) -> bool {
        if list.trim_ascii() == b"*" {
            return true;
        }
        !self.etag.is_empty() && Tags(list).any(|tag| opaque(tag) == opaque(&self.etag))
    }

    /// Whether If-Range holds: the same strong entity tag, or the very date of a Last-Modified that is
    /// old enough to be strong (RFC 9110 section 13.1.5).
    pub fn in_range(&self, condition: &[u8], now: i64) -> bool {
        if condition.contains(&b'"') {
            return !self.etag.starts_with(b"W/") && self.etag == condition;
        }
        let Some(wanted) = date::parse(condition, now) else { return false };
        date::parse(&self.last_modified, now) == Some(wanted) && self.date - wanted >= STRONG_AFTER
    }
}

/// A second in which a resource can change twice is over (RFC 9110 section 8.8.2.2).
const STRONG_AFTER: i64 = 1;

/// An entity tag without its weakness.
pub fn opaque(tag: &[u8]) -> &[u8] {
    tag.strip_prefix(b"W/").unwrap_or(tag)
}

/// The entity tags in a list. What is none is given as it stands up to the next comma: origins send
/// tags without quotes, and clients send them back.
struct Tags<'a>(&'a [u8]);

impl<'a> Iterator for Tags<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        while let Some((b',' | b' ' | b'\t', rest)) = self.0.split_first() {
            self.0 = rest;
        }
        if self.0.is_empty() {
            return None;
        }
        let mut quoted = false;
        let end = self.0.iter().position(|&byte| {
            quoted ^= byte == b'"';
            byte == b',' && !quoted
        });
        let (tag, rest) = self.0.split_at(end.unwrap_or(self.0.len()));
        self.0 = rest;
        Some(tag.trim_ascii_end())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 784_200_000;
    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

    fn with(etag: &str, last_modified: &str) -> Validators {
        Validators { etag: etag.into(), last_modified: last_modified.into(), date: NOW - 10 }
    }

    #[test]
    fn if_none_match() {
        let cases = [
            ("\"a\"", "\"a\"", true),
            ("\"a\"", "W/\"a\"", true),
            ("W/\"a\"", "\"a\"", true),
            ("W/\"a\"", "W/\"a\"", true),
            ("\"a\"", "\"b\", \"a\"", true),
            ("\"a\"", "\"b\",\"c\" ,\"a\",\"d\"", true),
            ("\"a,b\"", "\"x\", \"a,b\"", true),
            ("\"a\"", "*", true),
            ("", "*", true),
            ("a", "a", true),
            ("\"a\"", "a", false),
            ("\"a\"", "\"A\"", false),
            ("\"a\"", "\"b,\"a\"\"", false),
            ("\"a\"", "\"b\"", false),
            ("", "\"a\"", false),
            ("", "\"\"", false),
        ];
        for (etag, list, want) in cases {
            let got = with(etag, "").not_modified(list.as_bytes(), b"", NOW);
            assert_eq!(got, want, "{etag} in {list}");
        }
    }

    #[test]
    fn if_modified_since() {
        let cases = [
            (DATE, DATE, true),
            (DATE, "Sunday, 06-Nov-94 08:49:37 GMT", true),
            (DATE, "Sun, 06 Nov 1994 08:49:36 GMT", false),
            (DATE, "Sun, 06 Nov 1994 08:49:38 GMT", true),
            (DATE, "0", false),
            ("", DATE, false),
            ("", "Mon, 07 Nov 1994 12:00:00 GMT", true),
        ];
        for (last_modified, since, want) in cases {
            let got = with("", last_modified).not_modified(b"", since.as_bytes(), NOW);
            assert_eq!(got, want, "{last_modified} {since}");
        }
        assert!(!with("\"a\"", DATE).not_modified(b"\"b\"", DATE.as_bytes(), NOW));
    }

    #[test]
    fn if_range_is_strong() {
        let cases = [
            ("\"a\"", "\"a\"", true),
            ("\"a\"", "\"b\"", false),
            ("W/\"a\"", "W/\"a\"", false),
            ("W/\"a\"", "\"a\"", false),
            ("\"a\"", "W/\"a\"", false),
            ("\"a\"", DATE, true),
            ("\"a\"", "Sun, 06 Nov 1994 08:49:38 GMT", false),
            ("\"a\"", "a", false),
        ];
        for (etag, condition, want) in cases {
            assert_eq!(
                with(etag, DATE).in_range(condition.as_bytes(), NOW),
                want,
                "{etag} {condition}"
            );
        }
        let young = Validators { date: 784_111_777, ..with("", DATE) };
        assert!(!young.in_range(DATE.as_bytes(), NOW));
    }

    #[test]
    fn reads_anything_without_end() {
        crate::random::bytes(b"\"W/a, *\\\t", 2000, |list| {
            assert!(Tags(list).count() <= list.len());
        });
    }
}
