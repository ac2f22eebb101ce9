//! Which coding a client takes: Accept-Encoding, RFC 9110, 12.5.3.

use crate::encoder::Coding;

/// What a client said of codings.
#[derive(Debug, PartialEq, Eq)]
pub struct Chosen {
    /// The one that it likes best of those that we have, if better than none.
    pub coding: Option<Coding>,
    /// It does not take a body as it is.
    pub identity_refused: bool,
}

/// Chooses among codings, of which earlier ones win where the client likes two alike. What is not
/// well-formed counts as refused. Without a field, nothing is asked for.
pub fn choose<'a>(fields: impl Iterator<Item = &'a str>, ours: &[Coding]) -> Chosen {
    let mut stated: [Option<u16>; Coding::COUNT] = Default::default();
    let (mut identity, mut any) = (None, None);
    for element in fields.flat_map(|field| field.split(',')) {
        let mut parts = element.split(';');
        let name = parts.next().unwrap_or_default().trim().to_ascii_lowercase();
        let weight = weight(parts);
        match name.as_str() {
            "*" => any = Some(weight),
            "identity" => identity = Some(weight),
            name => {
                if let Some(coding) = Coding::named(name) {
                    stated[coding as usize] = Some(weight);
                }
            }
        }
    }
    let mut best = (None, 0);
    for &coding in ours {
        let weight = stated[coding as usize].or(any).unwrap_or(0);
        if weight > best.1 {
            best = (Some(coding), weight);
        }
    }
    let coding = best.0.filter(|_| best.1 >= identity.unwrap_or(0));
    Chosen { coding, identity_refused: identity.or(any) == Some(0) }
}

/// The weight of an element in thousandths; 1 if it has none.
fn weight<'a>(mut parameters: impl Iterator<Item = &'a str>) -> u16 {
    let Some(parameter) = parameters.next() else { return 1000 };
    let value = match parameter.trim().split_once('=') {
        Some(("q" | "Q", value)) if parameters.next().is_none() => value,
        _ => return 0,
    };
    let (whole, fraction) = value.split_once('.').unwrap_or((value, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return 0;
    }
    let thousandths = fraction.bytes().chain([b'0'; 3]).take(3);
    let thousandths = thousandths.fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'));
    match whole {
        "0" => thousandths,
        "1" if thousandths == 0 => 1000,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chooses_as_the_client_likes_it() {
        use Coding::{Brotli, Gzip};
        let cases: &[(&[&str], Option<Coding>, bool)] = &[
            (&[], None, false),
            (&[""], None, false),
            (&["gzip"], Some(Gzip), false),
            (&["GZip, Br"], Some(Brotli), false),
            (&["x-gzip"], Some(Gzip), false),
            (&["gzip, br"], Some(Brotli), false),
            (&["gzip", "br"], Some(Brotli), false),
            (&["gzip;q=1.0, br;q=0.9"], Some(Gzip), false),
            (&["gzip;q=0.001"], Some(Gzip), false),
            (&["gzip;q=0"], None, false),
            (&["gzip;q=0.000, *;q=0"], None, true),
            (&["*"], Some(Brotli), false),
            (&["*;q=0.5, br;q=0"], Some(Gzip), false),
            (&["gzip, identity;q=0"], Some(Gzip), true),
            (&["identity;q=0"], None, true),
            (&["identity, gzip;q=0.5"], None, false),
            (&["identity;q=0.5, gzip;q=0.5"], Some(Gzip), false),
            (&["identity, *;q=0"], None, false),
            (&["gzip ; q=0.5 , br ; q=0.4"], Some(Gzip), false),
            (&["gzip;q=2"], None, false),
            (&["gzip;q=1.001"], None, false),
            (&["gzip;q=0.0001"], None, false),
            (&["gzip;q=.5"], None, false),
            (&["gzip;q"], None, false),
            (&["gzip;level=9"], None, false),
            (&["gzip;q=1;q=0"], None, false),
            (&["deflate, zstd, compress"], None, false),
        ];
        for (fields, coding, identity_refused) in cases {
            let want = Chosen { coding: *coding, identity_refused: *identity_refused };
            assert_eq!(choose(fields.iter().copied(), &[Brotli, Gzip]), want, "{fields:?}");
        }
    }

    #[test]
    fn has_only_what_is_configured() {
        let chosen = choose(["gzip, br"].into_iter(), &[Coding::Gzip]);
        assert_eq!(chosen.coding, Some(Coding::Gzip));
    }
}
