//! How a stored response answers a request (RFC 9111 section 4.3.2, RFC 9110 section 14).

use crate::directives::RequestDirectives;
use crate::meta::Meta;
use crate::range::{self, Wanted};

/// What a request asks of a stored response.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Asked {
    pub directives: RequestDirectives,
    /// If-None-Match, its lines joined; empty if there is none.
    pub none_match: Vec<u8>,
    pub modified_since: Vec<u8>,
    pub range: Vec<u8>,
    pub if_range: Vec<u8>,
}

/// An answer from a stored response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Whole,
    NotModified,
    Part { offset: u64, length: u64 },
    Unsatisfiable,
}

/// Decides how a response with this status and a body of `size` bytes is given. Conditions and ranges are
/// about what a 200 would carry.
pub fn answer(meta: &Meta, status: u16, size: u64, asked: &Asked, now: i64) -> Answer {
    if status != 200 {
        return Answer::Whole;
    }
    if meta.validators.not_modified(&asked.none_match, &asked.modified_since, now) {
        return Answer::NotModified;
    }
    let ranged = !asked.range.is_empty()
        && (asked.if_range.is_empty() || meta.validators.in_range(&asked.if_range, now));
    if !ranged {
        return Answer::Whole;
    }
    match range::parse(&asked.range, size) {
        Wanted::Whole => Answer::Whole,
        Wanted::Part { offset, length } => Answer::Part { offset, length },
        Wanted::Unsatisfiable => Answer::Unsatisfiable,
    }
}

/// Fields that a 304 is not sent with: those of a body that the client has (RFC 9110 section 15.4.5).
pub const NOT_IN_304: [&str; 5] =
    ["content-encoding", "content-language", "content-length", "content-range", "content-type"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::validator::Validators;

    #[test]
    fn conditions_before_ranges() {
        let meta = Meta {
            validators: Validators { etag: b"\"a\"".to_vec(), ..Validators::default() },
            ..Meta::default()
        };
        let asked = |none_match: &str, range: &str, if_range: &str| Asked {
            none_match: none_match.into(),
            range: range.into(),
            if_range: if_range.into(),
            ..Asked::default()
        };
        let part = Answer::Part { offset: 0, length: 2 };
        let cases = [
            (200, asked("", "", ""), Answer::Whole),
            (200, asked("\"a\"", "bytes=0-1", ""), Answer::NotModified),
            (200, asked("\"b\"", "bytes=0-1", ""), part),
            (200, asked("", "bytes=0-1", "\"a\""), part),
            (200, asked("", "bytes=0-1", "\"b\""), Answer::Whole),
            (200, asked("", "bytes=9-", ""), Answer::Unsatisfiable),
            (200, asked("", "bytes=9-", "\"b\""), Answer::Whole),
            (404, asked("\"a\"", "bytes=0-1", ""), Answer::Whole),
        ];
        for (status, asked, want) in cases {
            assert_eq!(answer(&meta, status, 5, &asked, 0), want, "{status} {asked:?}");
        }
    }
}
