//! Which coding a client takes: Accept-Encoding, RFC 9110, 12.5.3.

use std::cmp::Reverse;

use crate::encoder::Coding;

/// What a client said of codings.
#[derive(Debug, PartialEq, Eq)]
pub struct Chosen {
    /// Those that we have and it takes at least as gladly as none, the best first.
    pub codings: Vec<Coding>,
    /// It does not take a body as it is.
    pub identity_refused: bool,
}

/// Ranks codings, of which earlier ones win where the client likes two alike. What is not
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
    let liking = |coding: &Coding| stated[*coding as usize].or(any).unwrap_or(0);
    let mut codings: Vec<Coding> = ours.to_vec();
    codings.retain(|coding| liking(coding) >= identity.unwrap_or(0).max(1));
    codings.sort_by_key(|coding| Reverse(liking(coding)));
    Chosen { codings, identity_refused: identity.or(any) == Some(0) }
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
        use Coding::{Brotli, Gzip, Zstd};
        let cases: &[(&[&str], &[Coding], bool)] = &[
            (&[], &[], false),
            (&[""], &[], false),
            (&["gzip"], &[Gzip], false),
            (&["GZip, Br"], &[Brotli, Gzip], false),
            (&["x-gzip"], &[Gzip], false),
            (&["gzip, br"], &[Brotli, Gzip], false),
            (&["gzip", "br"], &[Brotli, Gzip], false),
            (&["gzip;q=1.0, br;q=0.9"], &[Gzip, Brotli], false),
            (&["gzip;q=0.001"], &[Gzip], false),
            (&["gzip;q=0"], &[], false),
            (&["gzip;q=0.000, *;q=0"], &[], true),
            (&["*"], &[Zstd, Brotli, Gzip], false),
            (&["*;q=0.5, br;q=0"], &[Zstd, Gzip], false),
            (&["gzip, identity;q=0"], &[Gzip], true),
            (&["identity;q=0"], &[], true),
            (&["identity, gzip;q=0.5"], &[], false),
            (&["identity;q=0.5, gzip;q=0.5"], &[Gzip], false),
            (&["identity, *;q=0"], &[], false),
            (&["gzip ; q=0.5 , br ; q=0.4"], &[Gzip, Brotli], false),
            (&["gzip;q=2"], &[], false),
            (&["gzip;q=1.001"], &[], false),
            (&["gzip;q=0.0001"], &[], false),
            (&["gzip;q=.5"], &[], false),
            (&["gzip;q"], &[], false),
            (&["gzip;level=9"], &[], false),
            (&["gzip;q=1;q=0"], &[], false),
            (&["deflate, compress"], &[], false),
            (&["gzip, deflate, br, zstd"], &[Zstd, Brotli, Gzip], false),
            (&["zstd;q=0.1, gzip;q=0.3, br;q=0.2"], &[Gzip, Brotli, Zstd], false),
            (&["zstd;q=0.1, gzip;q=0.3, identity;q=0.2"], &[Gzip], false),
            (&["br, zstd;q=0"], &[Brotli], false),
        ];
        for (fields, codings, identity_refused) in cases {
            let want = Chosen { codings: codings.to_vec(), identity_refused: *identity_refused };
            assert_eq!(choose(fields.iter().copied(), &[Zstd, Brotli, Gzip]), want, "{fields:?}");
        }
    }

    #[test]
    fn has_only_what_is_configured() {
        let chosen = choose(["gzip, br"].into_iter(), &[Coding::Gzip]);
        assert_eq!(chosen.codings, [Coding::Gzip]);
    }
}
