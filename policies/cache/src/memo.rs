//! What the request phase leaves for the response phase: by then others may have changed the request,
//! and another instance may be asked.

use crate::answer::Asked;
use crate::codec::{Reader, Writer};
use crate::directives::RequestDirectives;

/// What a response is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// A GET: it may be stored.
    #[default]
    Get,
    /// A HEAD: it may say something of what is stored.
    Head,
    /// It changes what it is about; a POST may be stored.
    Unsafe,
}

/// The request as the client sent it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Memo {
    pub role: Role,
    pub post: bool,
    pub authorized: bool,
    pub cookies: bool,
    /// Nothing of it is stored or looked up.
    pub bypass: bool,
    /// Parameters of the query that no key has are left out of the target.
    pub reduced: bool,
    /// Why it was forwarded, for Cache-Status.
    pub forwarded: u8,
    /// The stored response that the origin was asked about, or that stands in for an error.
    pub entry: Option<u32>,
    /// Whether the origin was asked about this one alone.
    pub validates: bool,
    pub key: Vec<u8>,
    pub scheme: Vec<u8>,
    pub host: Vec<u8>,
    pub target: Vec<u8>,
    pub asked: Asked,
    /// Fields that a response can vary by; those that were too long are not there.
    pub fields: Vec<(String, Vec<Vec<u8>>)>,
    /// Names of fields that are not in `fields` although the request had them.
    pub missing: Vec<String>,
}

const VERSION: u8 = 1;

/// What all fields may take together.
pub const MAX_FIELDS: usize = 4096;

impl Memo {
    /// The values of a field, or `None` if they are not known.
    pub fn values(&self, name: &str) -> Option<Vec<Vec<u8>>> {
        if self.missing.iter().any(|missing| missing == name) {
            return None;
        }
        let known = self.fields.iter().find(|(known, _)| known == name);
        Some(known.map(|(_, values)| values.clone()).unwrap_or_default())
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::default();
        w.byte(VERSION);
        w.byte(self.role as u8);
        let flags = [self.post, self.authorized, self.cookies, self.bypass, self.validates];
        w.byte(flags.iter().rev().fold(0, |bits, flag| bits << 1 | u8::from(*flag)));
        w.byte(self.forwarded);
        w.optional(self.entry);
        for text in [&self.key, &self.scheme, &self.host, &self.target] {
            w.bytes(text);
        }
        self.encode_asked(&mut w);
        w.int(self.fields.len() as u32);
        for (name, values) in &self.fields {
            w.bytes(name.as_bytes());
            w.int(values.len() as u32);
            values.iter().for_each(|value| w.bytes(value));
        }
        w.int(self.missing.len() as u32);
        self.missing.iter().for_each(|name| w.bytes(name.as_bytes()));
        w.0
    }

    fn encode_asked(&self, w: &mut Writer) {
        let Asked { directives: d, .. } = &self.asked;
        w.byte(u8::from(d.no_cache) | u8::from(d.no_store) << 1 | u8::from(d.only_if_cached) << 2);
        for seconds in [d.max_age, d.min_fresh, d.max_stale, d.stale_if_error] {
            w.optional(seconds);
        }
        let Asked { none_match, modified_since, range, if_range, .. } = &self.asked;
        for text in [none_match, modified_since, range, if_range] {
            w.bytes(text);
        }
    }

    /// `None` for what is not a memo.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut r = Reader(bytes);
        if r.byte()? != VERSION {
            return None;
        }
        let role = [Role::Get, Role::Head, Role::Unsafe].get(r.byte()? as usize).copied()?;
        let flags = r.byte()?;
        let flag = |at: u8| flags >> at & 1 != 0;
        let mut memo = Memo {
            role,
            post: flag(0),
            authorized: flag(1),
            cookies: flag(2),
            bypass: flag(3),
            validates: flag(4),
            forwarded: r.byte()?,
            entry: r.optional()?,
            key: r.bytes()?.to_vec(),
            scheme: r.bytes()?.to_vec(),
            host: r.bytes()?.to_vec(),
            target: r.bytes()?.to_vec(),
            asked: decode_asked(&mut r)?,
            ..Memo::default()
        };
        for _ in 0..r.int()? {
            let name = text(&mut r)?;
            let mut values = Vec::new();
            for _ in 0..r.int()? {
                values.push(r.bytes()?.to_vec());
            }
            memo.fields.push((name, values));
        }
        for _ in 0..r.int()? {
            memo.missing.push(text(&mut r)?);
        }
        r.0.is_empty().then_some(memo)
    }
}

fn text(r: &mut Reader) -> Option<String> {
    String::from_utf8(r.bytes()?.to_vec()).ok()
}

fn decode_asked(r: &mut Reader) -> Option<Asked> {
    let flags = r.byte()?;
    Some(Asked {
        directives: RequestDirectives {
            no_cache: flags & 1 != 0,
            no_store: flags & 2 != 0,
            only_if_cached: flags & 4 != 0,
            max_age: r.optional()?,
            min_fresh: r.optional()?,
            max_stale: r.optional()?,
            stale_if_error: r.optional()?,
        },
        none_match: r.bytes()?.to_vec(),
        modified_since: r.bytes()?.to_vec(),
        range: r.bytes()?.to_vec(),
        if_range: r.bytes()?.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_back_as_it_was() {
        let memo = Memo {
            role: Role::Head,
            authorized: true,
            validates: true,
            forwarded: 3,
            entry: Some(2),
            key: b"k".to_vec(),
            scheme: b"https".to_vec(),
            host: b"h".to_vec(),
            target: b"/".to_vec(),
            asked: Asked {
                directives: RequestDirectives {
                    no_store: true,
                    max_age: Some(1),
                    ..Default::default()
                },
                none_match: b"\"a\"".to_vec(),
                ..Asked::default()
            },
            fields: vec![("a".into(), vec![b"1".to_vec(), b"2".to_vec()]), ("b".into(), vec![])],
            missing: vec!["c".into()],
            ..Memo::default()
        };
        let bytes = memo.encode();
        assert_eq!(Memo::decode(&bytes), Some(memo.clone()));
        for cut in 0..bytes.len() {
            assert_eq!(Memo::decode(&bytes[..cut]), None);
        }
        assert_eq!(memo.values("a"), Some(vec![b"1".to_vec(), b"2".to_vec()]));
        assert_eq!((memo.values("c"), memo.values("d")), (None, Some(vec![])));
    }

    #[test]
    fn reads_anything() {
        crate::random::bytes(&[0, 1, 2, 255], 2000, |bytes| {
            Memo::decode(bytes);
        });
    }
}
