//! Ranges of whole stored answers (RFC 9110 section 14).

/// What a Range field asks of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// The whole body: there is no range, or none that is served here.
    Whole,
    /// `length` bytes from `offset` on.
    Part { offset: u64, length: u64 },
    /// Nothing that the body has.
    Unsatisfiable,
}

/// Reads a Range field against a body of `size` bytes. One range is served; several, other units and
/// what is malformed are the whole body, as the RFC allows.
pub fn parse(field: &[u8], size: u64) -> Wanted {
    let Some(set) = strip_unit(field) else { return Wanted::Whole };
    let set = set.trim_ascii();
    let Some(dash) = set.iter().position(|&byte| byte == b'-') else { return Wanted::Whole };
    let (first, last) = (&set[..dash], &set[dash + 1..]);
    match (number(first), number(last)) {
        (Some(first), _) if last.is_empty() => part(first, u64::MAX, size),
        (Some(first), Some(last)) if first <= last => part(first, last, size),
        (None, Some(0)) if first.is_empty() => Wanted::Unsatisfiable,
        (None, Some(suffix)) if first.is_empty() => match size {
            0 => Wanted::Unsatisfiable,
            _ => part(size.saturating_sub(suffix), u64::MAX, size),
        },
        _ => Wanted::Whole,
    }
}

fn part(first: u64, last: u64, size: u64) -> Wanted {
    if first >= size {
        return Wanted::Unsatisfiable;
    }
    Wanted::Part { offset: first, length: last.min(size - 1) - first + 1 }
}

fn strip_unit(field: &[u8]) -> Option<&[u8]> {
    let (unit, set) = field.split_at_checked(6)?;
    unit.eq_ignore_ascii_case(b"bytes=").then_some(set)
}

fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(digits.iter().fold(0u64, |number, digit| {
        number.saturating_mul(10).saturating_add(u64::from(digit - b'0'))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_is_served() {
        let part = |offset, length| Wanted::Part { offset, length };
        let cases = [
            ("bytes=0-1", part(0, 2)),
            ("Bytes=0-0", part(0, 1)),
            ("bytes=1-", part(1, 9)),
            ("bytes=9-99999999999999999999999999", part(9, 1)),
            ("bytes=-1", part(9, 1)),
            ("bytes=-99999999999999999999999999", part(0, 10)),
            ("bytes= 0-1 ", part(0, 2)),
            ("bytes=10-", Wanted::Unsatisfiable),
            ("bytes=10-11", Wanted::Unsatisfiable),
            ("bytes=-0", Wanted::Unsatisfiable),
            ("bytes=0-1,3-4", Wanted::Whole),
            ("bytes=2-1", Wanted::Whole),
            ("bytes=-", Wanted::Whole),
            ("bytes=", Wanted::Whole),
            ("bytes=a-b", Wanted::Whole),
            ("bytes=0-1x", Wanted::Whole),
            ("bytes=0--1", Wanted::Whole),
            ("bytes 0-1", Wanted::Whole),
            ("items=0-1", Wanted::Whole),
            ("", Wanted::Whole),
        ];
        for (field, want) in cases {
            assert_eq!(parse(field.as_bytes(), 10), want, "{field}");
        }
        assert_eq!(parse(b"bytes=-5", 0), Wanted::Unsatisfiable);
        assert_eq!(parse(b"bytes=0-", 0), Wanted::Unsatisfiable);
    }

    #[test]
    fn a_part_lies_within_the_body() {
        crate::random::bytes(b"bytes=0123456789-, ", 2000, |text| {
            for size in [0, 1, 7, u64::MAX] {
                let field = [b"bytes=", text].concat();
                if let Wanted::Part { offset, length } = parse(&field, size) {
                    assert!(length > 0 && offset < size && length <= size - offset);
                }
            }
        });
    }
}
