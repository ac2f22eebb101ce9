//! What the head of a response says of compressing its body.

use crate::negotiate::Chosen;
use crate::settings::Settings;

/// The fields of a message, names in any case.
pub struct Fields(pub Vec<(String, Vec<u8>)>);

impl Fields {
    /// The values of a field, as far as they are text.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let named = self.0.iter().filter(move |(given, _)| given.eq_ignore_ascii_case(name));
        named.map(|(_, value)| str::from_utf8(value).unwrap_or_default())
    }

    pub fn first<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.all(name).next()
    }

    /// Whether a field that is a list has an element, without case.
    fn lists(&self, name: &str, element: &str) -> bool {
        let mut elements = self.all(name).flat_map(|value| value.split(','));
        elements.any(|given| given.trim().eq_ignore_ascii_case(element))
    }
}

/// What becomes of a response.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It has nothing to do with compressing.
    Alone,
    /// Another client may get it compressed: caches have to know.
    Vary,
    Compress,
}

/// Fields that speak of the body as it is: it has to stay so.
const DIGESTS: [&str; 4] = ["content-digest", "repr-digest", "digest", "content-md5"];

/// Decides by a response's head; `empty` says that no body follows.
pub fn decide(settings: &Settings, fields: &Fields, head_only: bool, empty: bool, chosen: &Chosen) -> Verdict {
    let status = fields.first(":status").and_then(|status| status.parse().ok()).unwrap_or(0);
    let encoded = fields.all("content-encoding").any(|coding| !coding.trim().eq_ignore_ascii_case("identity"));
    let fixed = fields.lists("cache-control", "no-transform") || DIGESTS.iter().any(|name| fields.first(name).is_some());
    // 101 and its like, 204 and 205 have no body, 206 is a part of one.
    if status < 200 || matches!(status, 204..=206) || encoded || fixed || fields.first("content-range").is_some() {
        return Verdict::Alone;
    }
    // A 304 stands for a response that may have been compressed, and says no type.
    if status == 304 {
        return Verdict::Vary;
    }
    if !settings.takes(fields.first("content-type").unwrap_or_default()) {
        return Verdict::Alone;
    }
    let length: Option<u64> = fields.first("content-length").and_then(|length| length.parse().ok());
    let small = length.is_some_and(|length| length < settings.min_bytes) && !chosen.identity_refused;
    if chosen.codings.is_empty() || small || head_only || empty {
        return Verdict::Vary;
    }
    Verdict::Compress
}

/// Whether Vary has to be told of Accept-Encoding.
pub fn lacks_vary(fields: &Fields) -> bool {
    !fields.lists("vary", "accept-encoding") && !fields.lists("vary", "*")
}

/// An entity tag for the compressed body, if it is not weak already: two bodies that are not the same to
/// the byte must not share a strong one (RFC 9110, 8.8.1).
pub fn weakened(tag: &str) -> Option<String> {
    (!tag.trim_start().starts_with("W/")).then(|| format!("W/{}", tag.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoder::Coding;
    use ergo_sdk::Config;

    fn verdict(lines: &[(&str, &str)], head_only: bool, identity_refused: bool) -> Verdict {
        let settings = Settings::configure(&Config::parse(b"").unwrap()).unwrap();
        let mut fields = vec![(":status".to_owned(), b"200".to_vec())];
        for (name, value) in lines {
            fields.retain(|(given, _)| given != name || *name != ":status");
            fields.push((name.to_string(), value.as_bytes().to_vec()));
        }
        let chosen = Chosen { codings: vec![Coding::Gzip], identity_refused };
        decide(&settings, &Fields(fields), head_only, false, &chosen)
    }

    #[test]
    fn leaves_alone_what_must_not_change() {
        let html = ("content-type", "text/html");
        for field in [
            (":status", "204"),
            (":status", "206"),
            (":status", "101"),
            ("Content-Encoding", "br"),
            ("cache-control", "max-age=1, No-Transform"),
            ("content-range", "bytes 0-1/2"),
            ("repr-digest", "sha-256=:AA==:"),
            ("content-md5", "AA=="),
        ] {
            assert_eq!(verdict(&[html, field], false, true), Verdict::Alone, "{field:?}");
        }
        assert_eq!(verdict(&[("content-type", "image/png")], false, false), Verdict::Alone);
        assert_eq!(verdict(&[], false, false), Verdict::Alone);
    }

    #[test]
    fn tells_caches_and_compresses() {
        let html = ("content-type", "text/html");
        let small = ("content-length", "1023");
        let compress = Verdict::Compress;
        assert_eq!(verdict(&[html], false, false), compress);
        assert_eq!(verdict(&[html, ("content-encoding", "identity")], false, false), compress);
        assert_eq!(verdict(&[html, ("content-length", "1024")], false, false), compress);
        assert_eq!(verdict(&[html, small], false, false), Verdict::Vary);
        assert_eq!(verdict(&[html, small], false, true), compress);
        assert_eq!(verdict(&[html], true, false), Verdict::Vary);
        assert_eq!(verdict(&[(":status", "304")], false, false), Verdict::Vary);
    }

    #[test]
    fn weakens_strong_tags() {
        assert_eq!(weakened("\"a\"").as_deref(), Some("W/\"a\""));
        assert_eq!(weakened("W/\"a\""), None);
    }
}
