//! What the head of a message says of its body, and what it has to say of the changed one.

use crate::refusal::Refusal;

/// Fields that tell of bytes which are not the same any more.
pub const STALE: [&str; 4] = ["content-md5", "content-digest", "digest", "repr-digest"];

/// The fields of a head, names in lower case, with the pseudo fields of the ABI.
pub struct Head(pub Vec<(String, Vec<u8>)>);

/// What is done with a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// One document, or one on each line.
    Json { lines: bool },
    /// It is not looked into.
    Other,
}

impl Head {
    /// The values of a field.
    fn values<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_slice())
    }

    /// Whether a field is there.
    pub fn has(&self, name: &str) -> bool {
        self.values(name).next().is_some()
    }

    /// The value of a field that is there once.
    pub fn only(&self, name: &str) -> Option<&[u8]> {
        let mut values = self.values(name);
        let first = values.next();
        if values.next().is_some() { None } else { first }
    }

    /// What the body is. A part of a document cannot be read, and parts of one could be anything.
    pub fn content(&self) -> Result<Content, Refusal> {
        let partial = self.only(":status") == Some(b"206") || self.has("content-range");
        let parts = self.values("content-type").any(|media_type| {
            media_type.to_ascii_lowercase().trim_ascii().starts_with(b"multipart/byteranges")
        });
        match self.of_type() {
            Content::Json { .. } if partial => Err(Refusal::Partial),
            Content::Other if parts => Err(Refusal::Partial),
            content => Ok(content),
        }
    }

    fn of_type(&self) -> Content {
        let coded = self.values("content-encoding").any(|coding| !is_word(coding, b"identity"));
        match self.only("content-type") {
            Some(media_type) if !coded => content_of(media_type),
            _ => Content::Other,
        }
    }

    /// A weak validator in place of a strong one: the same bytes are told from others by it, but not those
    /// that the client has.
    pub fn weakened(&self) -> Option<Vec<u8>> {
        let tag = self.only("etag")?;
        if tag.starts_with(b"\"") { Some([b"W/", tag].concat()) } else { None }
    }
}

/// Media types of JSON (RFC 6839, and those of lines that nobody has registered). JSON is UTF-8.
fn content_of(media_type: &[u8]) -> Content {
    let mut parts = media_type.split(|&byte| byte == b';').map(<[u8]>::trim_ascii);
    let essence = parts.next().unwrap_or_default().to_ascii_lowercase();
    for parameter in parts {
        let Some(charset) = parameter.get(..8) else { continue };
        if is_word(charset, b"charset=") {
            let charset = &parameter[8..];
            let bare = charset.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
            if !is_word(bare.unwrap_or(charset), b"utf-8") {
                return Content::Other;
            }
        }
    }
    match essence.as_slice() {
        b"application/json" | b"text/json" => Content::Json { lines: false },
        b"application/x-ndjson"
        | b"application/ndjson"
        | b"application/jsonl"
        | b"application/x-jsonlines" => Content::Json { lines: true },
        other if other.ends_with(b"+json") && other.contains(&b'/') => {
            Content::Json { lines: false }
        }
        _ => Content::Other,
    }
}

fn is_word(text: &[u8], word: &[u8]) -> bool {
    text.trim_ascii().eq_ignore_ascii_case(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(fields: &[(&str, &str)]) -> Head {
        Head(
            fields
                .iter()
                .map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()))
                .collect(),
        )
    }

    #[test]
    fn tells_json_by_its_media_type() {
        let json = Ok(Content::Json { lines: false });
        let lines = Ok(Content::Json { lines: true });
        let cases = [
            ("application/json", json),
            ("Application/JSON", json),
            ("application/json; charset=utf-8", json),
            ("application/json;charset=\"UTF-8\"", json),
            ("application/json; charset=utf-16", Ok(Content::Other)),
            ("application/json; v=1; charset=latin1", Ok(Content::Other)),
            ("application/problem+json", json),
            ("application/vnd.api+json; v=1", json),
            ("text/json", json),
            ("application/x-ndjson", lines),
            ("application/jsonl", lines),
            ("+json", Ok(Content::Other)),
            ("application/jsonx", Ok(Content::Other)),
            ("application/json-seq", Ok(Content::Other)),
            ("application/xml", Ok(Content::Other)),
            ("text/plain", Ok(Content::Other)),
            ("", Ok(Content::Other)),
        ];
        for (media_type, want) in cases {
            assert_eq!(head(&[("content-type", media_type)]).content(), want, "{media_type}");
        }
    }

    #[test]
    fn tells_what_cannot_be_read() {
        let json = ("content-type", "application/json");
        let cases: [(&[(&str, &str)], _); 9] = [
            (&[], Ok(Content::Other)),
            (&[json, json], Ok(Content::Other)),
            (&[json, ("content-encoding", "gzip")], Ok(Content::Other)),
            (
                &[json, ("content-encoding", "identity"), ("content-encoding", "br")],
                Ok(Content::Other),
            ),
            (&[json, ("content-encoding", "Identity")], Ok(Content::Json { lines: false })),
            (&[json, (":status", "206")], Err(Refusal::Partial)),
            (
                &[(":status", "206"), ("content-type", "multipart/byteranges")],
                Err(Refusal::Partial),
            ),
            (&[json, ("content-range", "bytes 0-1/2")], Err(Refusal::Partial)),
            (&[(":status", "206"), ("content-type", "video/mp4")], Ok(Content::Other)),
        ];
        for (fields, want) in cases {
            assert_eq!(head(fields).content(), want, "{fields:?}");
        }
    }

    #[test]
    fn weakens_strong_validators() {
        let weakened = |tag| head(&[("etag", tag)]).weakened();
        assert_eq!(weakened("\"a\"").as_deref(), Some(&b"W/\"a\""[..]));
        assert_eq!(weakened("W/\"a\""), None);
        assert_eq!(weakened("a"), None);
        assert_eq!(head(&[]).weakened(), None);
    }
}
