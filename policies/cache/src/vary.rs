//! Which requests a stored response answers beside the one that it was made for (RFC 9111 section 4.1).

use std::fmt::Write;

use crate::directives::is_token;

/// How the values of a field are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// As they were sent.
    Exact,
    /// As a list, whatever the space and the lines.
    List,
    /// As the set of content codings that the client accepts.
    Encoding,
    /// As languages by their weight.
    Language,
    /// As [`Comparison::Language`]; besides, a response in the language that the client wants most
    /// answers it.
    ContentLanguage,
}

/// How fields are compared; what is not named is a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparisons(pub Vec<(String, Comparison)>);

impl Default for Comparisons {
    fn default() -> Self {
        Comparisons(vec![
            ("accept-encoding".into(), Comparison::Encoding),
            ("accept-language".into(), Comparison::Language),
        ])
    }
}

impl Comparisons {
    pub fn of(&self, name: &str) -> Comparison {
        let known = self.0.iter().find(|(known, _)| known == name);
        known.map_or(Comparison::List, |(_, comparison)| *comparison)
    }
}

/// The fields that a response varies by: sorted names in lower case. `None` if by everything (`*`) or
/// by something that is no field, or by more than [`MAX_FIELDS`].
pub fn fields<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Option<Vec<String>> {
    let mut names = Vec::new();
    for member in lines.flat_map(|line| line.split(|&byte| byte == b',')) {
        let name = member.trim_ascii();
        if name == b"*" || !name.iter().copied().all(is_token) || names.len() > MAX_FIELDS {
            return None;
        }
        if !name.is_empty() {
            names.push(String::from_utf8_lossy(name).to_ascii_lowercase());
        }
    }
    names.sort();
    names.dedup();
    (names.len() <= MAX_FIELDS).then_some(names)
}

/// A response that varies by more is not stored.
pub const MAX_FIELDS: usize = 16;

/// A variant that takes more to describe is not stored.
pub const MAX_VARIANT: usize = 1024;

/// Describes a variant: a line for each field. `values` gives the lines of a request's field; `None`
/// stands for one that is not known, whose variant can't be described.
pub fn describe(
    names: &[String],
    comparisons: &Comparisons,
    content_language: Option<&[u8]>,
    values: impl Fn(&str) -> Option<Vec<Vec<u8>>>,
) -> Option<Vec<u8>> {
    let mut variant = Vec::new();
    for name in names {
        let comparison = comparisons.of(name);
        variant.extend(name.as_bytes());
        variant.push(b':');
        if comparison == Comparison::ContentLanguage {
            variant.extend(single_language(content_language));
            variant.push(b'=');
        }
        variant.extend(normal(comparison, &values(name)?));
        variant.push(b'\n');
        if variant.len() > MAX_VARIANT {
            return None;
        }
    }
    Some(variant)
}

/// Whether a request selects a variant that [`describe`] has described.
pub fn selects(
    variant: &[u8],
    comparisons: &Comparisons,
    values: impl Fn(&str) -> Vec<Vec<u8>>,
) -> bool {
    variant.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()).all(|line| {
        let Some(colon) = line.iter().position(|&byte| byte == b':') else { return false };
        let Ok(name) = std::str::from_utf8(&line[..colon]) else { return false };
        let (comparison, wanted) = (comparisons.of(name), &line[colon + 1..]);
        let presented = values(name);
        if comparison != Comparison::ContentLanguage {
            return normal(comparison, &presented) == wanted;
        }
        let Some(equals) = wanted.iter().position(|&byte| byte == b'=') else { return false };
        normal(comparison, &presented) == wanted[equals + 1..]
            || speaks(&presented, &wanted[..equals])
    })
}

/// The one spelling of a field's values. No spelling has a line break, because no field has.
fn normal(comparison: Comparison, lines: &[Vec<u8>]) -> Vec<u8> {
    match comparison {
        Comparison::Exact => lines.join(&1),
        Comparison::List => list(lines),
        Comparison::Encoding => encodings(lines),
        Comparison::Language | Comparison::ContentLanguage => languages(lines),
    }
}

fn list(lines: &[Vec<u8>]) -> Vec<u8> {
    let mut normal: Vec<u8> = Vec::new();
    for member in lines.iter().flat_map(|line| members(line)) {
        if !normal.is_empty() {
            normal.push(b',');
        }
        normal.extend(member);
    }
    // A field without value differs from none.
    if normal.is_empty() && !lines.is_empty() {
        normal.push(b',');
    }
    normal
}

/// The members of a list, without space and empty ones; commas in quotes divide nothing.
fn members(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut quoted = false;
    let mut escaped = false;
    line.split(move |&byte| {
        let divides = byte == b',' && !quoted;
        quoted ^= byte == b'"' && !escaped;
        escaped = quoted && byte == b'\\' && !escaped;
        divides
    })
    .map(<[u8]>::trim_ascii)
    .filter(|member| !member.is_empty())
}

/// The codings with a weight above zero, sorted. A client that sends nothing takes anything, but is
/// not sent what it may not know: that is a variant of its own.
fn encodings(lines: &[Vec<u8>]) -> Vec<u8> {
    let mut names: Vec<Vec<u8>> = Vec::new();
    for (name, weight) in lines.iter().flat_map(|line| members(line)).map(weighed) {
        let shown = if weight == 0 { [b"!", name.as_slice()].concat() } else { name.clone() };
        // That a coding is not wanted matters only where it could be sent unasked.
        if weight > 0 || name == b"identity" || name == b"*" {
            names.push(shown);
        }
    }
    names.sort();
    names.dedup();
    let mut normal = names.join(&b',');
    if normal.is_empty() && !lines.is_empty() {
        normal.push(b',');
    }
    normal
}

/// Languages in lower case, by weight and then by name.
fn languages(lines: &[Vec<u8>]) -> Vec<u8> {
    let mut normal = String::new();
    for (name, weight) in ranked(lines) {
        let _ = write!(normal, "{};{weight},", String::from_utf8_lossy(&name));
    }
    normal.into_bytes()
}

fn ranked(lines: &[Vec<u8>]) -> Vec<(Vec<u8>, u16)> {
    let mut all: Vec<_> = lines.iter().flat_map(|line| members(line)).map(weighed).collect();
    all.sort_by(|(a, x), (b, y)| y.cmp(x).then_with(|| a.cmp(b)));
    all.dedup();
    all
}

/// A member in lower case without its parameters, and its weight in thousandths.
fn weighed(member: &[u8]) -> (Vec<u8>, u16) {
    let mut parts = member.split(|&byte| byte == b';');
    let name = parts.next().unwrap_or_default().trim_ascii().to_ascii_lowercase();
    let weight = parts.find_map(|part| {
        let part = part.trim_ascii();
        part.strip_prefix(b"q=").or_else(|| part.strip_prefix(b"Q="))
    });
    (name, weight.map_or(1000, thousandths))
}

/// A weight such as `0.25`; what is none is taken for 1.
fn thousandths(weight: &[u8]) -> u16 {
    match weight {
        [b'0'] | [b'0', b'.'] => 0,
        [b'0', b'.', digits @ ..] if digits.len() <= 3 && digits.iter().all(u8::is_ascii_digit) => {
            let digit = |at: usize| u16::from(digits.get(at).map_or(0, |digit| digit - b'0'));
            digit(0) * 100 + digit(1) * 10 + digit(2)
        }
        _ => 1000,
    }
}

/// Content-Language in lower case if it names one language, else nothing.
fn single_language(field: Option<&[u8]>) -> Vec<u8> {
    let language = field.unwrap_or_default().trim_ascii().to_ascii_lowercase();
    let tag = language.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-');
    if tag { language } else { Vec::new() }
}

/// Whether a response in `language` is one of those that the client wants most.
fn speaks(lines: &[Vec<u8>], language: &[u8]) -> bool {
    let ranked = ranked(lines);
    let best = ranked.first().map_or(0, |(_, weight)| *weight);
    let mut wanted = ranked.iter().take_while(|(_, weight)| *weight == best && best > 0);
    !language.is_empty()
        && wanted.any(|(range, _)| match language.strip_prefix(range.as_slice()) {
            Some(rest) => rest.is_empty() || rest.starts_with(b"-"),
            None => false,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(values: &[&str]) -> Vec<Vec<u8>> {
        values.iter().map(|value| value.as_bytes().to_vec()).collect()
    }

    fn names(list: &str) -> Option<Vec<String>> {
        fields([list.as_bytes()].into_iter())
    }

    #[test]
    fn reads_vary() {
        assert_eq!(names("Foo, bar,,foo"), Some(vec!["bar".into(), "foo".into()]));
        assert_eq!(names(""), Some(vec![]));
        for text in ["*", "*, *", ", *", "Foo, *", "*, Foo", "a b", "a=b", "\u{e9}"] {
            assert_eq!(names(text), None, "{text}");
        }
        assert_eq!(fields(["".as_bytes(), b"*"].into_iter()), None);
        let many: Vec<String> = (0..=MAX_FIELDS).map(|n| format!("a{n}")).collect();
        assert_eq!(names(&many.join(",")), None);
        assert!(names(&many[1..].join(",")).is_some());
    }

    #[test]
    fn values_that_mean_the_same() {
        use Comparison::*;
        let same: [(Comparison, &[&str], &[&str]); 9] = [
            (List, &["1, 2"], &["1", "2"]),
            (List, &["1,2"], &[" 1, 2 "]),
            (List, &["1,,2"], &["1,2,"]),
            (Encoding, &["gzip, br;q=0.5"], &["BR;q=1", "gzip;q=0.2"]),
            (Encoding, &["gzip, zstd;q=0"], &["gzip"]),
            (Language, &["en, de"], &["de, en"]),
            (Language, &["en, de"], &["eN, De"]),
            (Language, &["en;q=1.0, de;q=0.5"], &[" en ,  de; q=0.500"]),
            (Exact, &["a b"], &["a b"]),
        ];
        for (comparison, a, b) in same {
            assert_eq!(normal(comparison, &lines(a)), normal(comparison, &lines(b)), "{a:?} {b:?}");
        }
    }

    #[test]
    fn values_that_do_not() {
        use Comparison::*;
        let different: [(Comparison, &[&str], &[&str]); 11] = [
            (List, &["1"], &["2"]),
            (List, &["1, 2"], &["2, 1"]),
            (List, &["a"], &["A"]),
            (List, &["\"a,b\""], &["\"a, b\""]),
            (List, &[""], &[]),
            (Encoding, &["gzip"], &["gzip, br"]),
            (Encoding, &["gzip;q=0"], &[]),
            (Encoding, &["identity;q=0"], &["identity"]),
            (Language, &["en, de;q=0.5"], &["en;q=0.5, de"]),
            (Language, &["en"], &[]),
            (Exact, &["1, 2"], &["1,2"]),
        ];
        for (comparison, a, b) in different {
            assert_ne!(normal(comparison, &lines(a)), normal(comparison, &lines(b)), "{a:?} {b:?}");
        }
    }

    fn variant(comparisons: &Comparisons, language: Option<&str>, value: &str) -> Vec<u8> {
        let names = ["accept-language".to_owned(), "foo".to_owned()];
        describe(&names, comparisons, language.map(str::as_bytes), |name| match name {
            "foo" => Some(vec![]),
            _ => Some(lines(&[value])),
        })
        .unwrap()
    }

    fn selected(variant: &[u8], comparisons: &Comparisons, language: &str, foo: &[&str]) -> bool {
        selects(variant, comparisons, |name| match name {
            "foo" => lines(foo),
            _ => lines(&[language]),
        })
    }

    #[test]
    fn a_variant_is_selected_by_all_its_fields() {
        let comparisons = Comparisons::default();
        let stored = variant(&comparisons, Some("de"), "en, de");
        assert!(selected(&stored, &comparisons, "de, en", &[]));
        assert!(!selected(&stored, &comparisons, "de, en", &["1"]));
        assert!(!selected(&stored, &comparisons, "de", &[]));
        assert!(selected(b"", &comparisons, "fr", &["1"]));
        assert!(!selected(b"no colon", &comparisons, "fr", &[]));
    }

    #[test]
    fn a_response_in_the_wanted_language_is_selected_where_told() {
        let comparisons =
            Comparisons(vec![("accept-language".into(), Comparison::ContentLanguage)]);
        let stored = variant(&comparisons, Some("DE-at"), "en, de");
        for wanted in ["en, de", "fr;q=0.5, de;q=1.0", "de-AT", "de"] {
            assert!(selected(&stored, &comparisons, wanted, &[]), "{wanted}");
        }
        for wanted in ["fr, de;q=0.5", "d", "de-CH", "", "de;q=0"] {
            assert!(!selected(&stored, &comparisons, wanted, &[]), "{wanted}");
        }
        let two = variant(&comparisons, Some("de, en"), "en, de");
        assert!(!selected(&two, &comparisons, "de", &[]));
    }

    #[test]
    fn what_cannot_be_described_is_no_variant() {
        let names = ["foo".to_owned()];
        let long = |_: &str| Some(vec![vec![b'x'; MAX_VARIANT]]);
        assert_eq!(describe(&names, &Comparisons::default(), None, long), None);
        assert_eq!(describe(&names, &Comparisons::default(), None, |_| None), None);
    }

    #[test]
    fn normal_values_select_themselves() {
        crate::random::bytes(b"en,de;q=01. \"\\*\x00\xff", 3000, |text| {
            for comparison in ["foo", "accept-encoding", "accept-language"] {
                let names = [comparison.to_owned()];
                let values = vec![text.to_vec()];
                let comparisons = Comparisons::default();
                if let Some(v) = describe(&names, &comparisons, None, |_| Some(values.clone())) {
                    assert!(selects(&v, &comparisons, |_| values.clone()));
                }
            }
        });
    }
}
