//! Lists of header fields, with names in lower case.

use crate::validator::opaque;

/// Fields in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields(pub Vec<(String, Vec<u8>)>);

impl Fields {
    /// The values of a field.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_slice())
    }

    /// The first value of a field, or nothing.
    pub fn first(&self, name: &str) -> &[u8] {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map_or(b"", |(_, value)| value)
    }

    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
    }

    /// The one value of a field; nothing if there are several.
    pub fn only(&self, name: &str) -> &[u8] {
        match self.all(name).count() {
            1 => self.first(name),
            _ => b"",
        }
    }

    /// Takes in newer fields for what they name (RFC 9111 section 3.2), but for those in `kept`.
    pub fn update(&mut self, newer: &Fields, kept: impl Fn(&str) -> bool) {
        let changed: Vec<&(String, Vec<u8>)> =
            newer.0.iter().filter(|(name, _)| !kept(name)).collect();
        self.0.retain(|(name, _)| !changed.iter().any(|(newer, _)| newer == name));
        self.0.extend(changed.into_iter().cloned());
    }
}

/// Fields that belong to a connection, or to a cache itself, and are never stored (RFC 9111 section 3.1).
const NEVER_STORED: [&str; 11] = [
    "age",
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authentication-info",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Fields that say what the stored body is: a 304 has no other one (RFC 9111 section 3.2).
const OF_THE_BODY: [&str; 6] =
    ["content-encoding", "content-length", "content-md5", "content-range", "etag", "digest"];

pub fn never_stored(name: &str) -> bool {
    NEVER_STORED.contains(&name)
}

pub fn never_updated(name: &str) -> bool {
    never_stored(name) || OF_THE_BODY.contains(&name)
}

/// Whether a 304 with the fields `newer` is about the response that has the fields `stored`: by a strong
/// entity tag, else by a weak validator (RFC 9111 section 4.3.4). One that has no validator is about what
/// was asked about.
pub fn same_validators(stored: &Fields, newer: &Fields) -> bool {
    match newer.first("etag") {
        b"" => {
            !newer.has("last-modified")
                || stored.first("last-modified") == newer.first("last-modified")
        }
        weak if weak.starts_with(b"W/") => opaque(stored.first("etag")) == opaque(weak),
        strong => stored.first("etag") == strong,
    }
}

/// The fields that Connection names, in lower case.
pub fn named_by_connection(fields: &Fields) -> Vec<String> {
    let members = fields.all("connection").flat_map(|line| line.split(|&byte| byte == b','));
    members.map(|name| String::from_utf8_lossy(name.trim_ascii()).to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(list: &[(&str, &str)]) -> Fields {
        Fields(
            list.iter()
                .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
                .collect(),
        )
    }

    #[test]
    fn newer_fields_replace_all_of_their_name() {
        let mut stored = fields(&[
            ("a", "1"),
            ("a", "2"),
            ("b", "3"),
            ("etag", "\"x\""),
            ("content-length", "5"),
        ]);
        let newer = fields(&[
            ("a", "4"),
            ("c", "5"),
            ("c", "6"),
            ("etag", "\"y\""),
            ("content-length", "6"),
            ("te", "x"),
        ]);
        stored.update(&newer, never_updated);
        let want = fields(&[
            ("b", "3"),
            ("etag", "\"x\""),
            ("content-length", "5"),
            ("a", "4"),
            ("c", "5"),
            ("c", "6"),
        ]);
        assert_eq!(stored, want);
    }

    #[test]
    fn validators_say_which_response_is_meant() {
        let cases: [(&[(&str, &str)], &[(&str, &str)], bool); 12] = [
            (&[("etag", "\"a\"")], &[("etag", "\"a\"")], true),
            (&[("etag", "\"a\"")], &[("etag", "\"b\"")], false),
            (&[("etag", "W/\"a\"")], &[("etag", "\"a\"")], false),
            (&[("etag", "\"a\"")], &[("etag", "W/\"a\"")], true),
            (&[("etag", "W/\"a\"")], &[("etag", "W/\"b\"")], false),
            (&[("last-modified", "1")], &[("etag", "\"a\""), ("last-modified", "1")], false),
            (
                &[("etag", "\"a\""), ("last-modified", "1")],
                &[("etag", "\"a\""), ("last-modified", "2")],
                true,
            ),
            (&[("last-modified", "1")], &[("last-modified", "1")], true),
            (&[("last-modified", "1")], &[("last-modified", "2")], false),
            (&[("etag", "\"a\"")], &[("last-modified", "2")], false),
            (&[("etag", "\"a\"")], &[("x", "1")], true),
            (&[], &[("etag", "\"a\"")], false),
        ];
        for (stored, newer, want) in cases {
            assert_eq!(
                same_validators(&fields(stored), &fields(newer)),
                want,
                "{stored:?} {newer:?}"
            );
        }
    }

    #[test]
    fn values_of_a_field() {
        let all = fields(&[("a", "1"), ("b", ""), ("a", "2")]);
        assert_eq!(all.all("a").collect::<Vec<_>>(), [b"1", b"2"]);
        assert_eq!((all.first("a"), all.only("a"), all.only("b")), (&b"1"[..], &b""[..], &b""[..]));
        assert!(all.has("b") && !all.has("c"));
    }

    #[test]
    fn what_connection_names() {
        let all = fields(&[("connection", "A , close"), ("connection", "b")]);
        assert_eq!(named_by_connection(&all), ["a", "close", "b"]);
    }
}
