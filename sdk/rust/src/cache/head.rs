//! Heads that are read, and changed, with one call each: what a cache does with every request.

use crate::{abi, buffer};

use super::{CacheError, check};

/// Room that the first try offers: most heads fit.
const FIRST_TRY_BYTES: usize = 2048;

/// Texts that the host gave, one after another.
#[derive(Debug, Default)]
struct Texts {
    blob: Vec<u8>,
    /// Where each begins, and where its NUL is.
    places: Vec<(u32, u32)>,
}

impl Texts {
    fn read(get: impl Fn(*mut u8, usize) -> u64) -> Self {
        let (count, blob) = buffer::read_counted_into(FIRST_TRY_BYTES, get);
        let mut places = Vec::with_capacity(2 * count + 4);
        let mut begin = 0;
        for (at, _) in blob.iter().enumerate().filter(|(_, byte)| **byte == 0) {
            places.push((begin, at as u32));
            begin = at as u32 + 1;
        }
        Texts { blob, places }
    }

    fn at(&self, index: usize) -> &[u8] {
        self.places.get(index).map_or(&[], |&(begin, end)| &self.blob[begin as usize..end as usize])
    }

    /// Pairs of a name and a value, from the text `first` on.
    fn pairs(&self, first: usize) -> impl Iterator<Item = (&str, &[u8])> {
        (first..self.places.len().saturating_sub(1)).step_by(2).map(|index| {
            (std::str::from_utf8(self.at(index)).unwrap_or_default(), self.at(index + 1))
        })
    }
}

/// The head of the exchange's request.
#[derive(Debug, Default)]
pub struct RequestHead(Texts);

/// Texts before the fields: whether it is a refresh, method, scheme, target.
const LINE: usize = 4;

impl RequestHead {
    /// Reads it, as it is now.
    pub fn read() -> Self {
        // SAFETY: the buffer has room for the limit it is given with.
        RequestHead(Texts::read(|buf, limit| unsafe { abi::cache_request(buf, limit) }))
    }

    /// Whether it is one that [`refresh`](super::refresh) began: nobody gets its response.
    pub fn is_refresh(&self) -> bool {
        self.0.at(0) == b"1"
    }

    /// The method.
    pub fn method(&self) -> &[u8] {
        self.0.at(1)
    }

    /// The scheme that the client spoke: `http` or `https`.
    pub fn scheme(&self) -> &[u8] {
        self.0.at(2)
    }

    /// Path and query, percent-encoded.
    pub fn target(&self) -> &[u8] {
        self.0.at(3)
    }

    /// The host that the client asked for, with its port if it named one; empty when it named none.
    pub fn host(&self) -> &[u8] {
        self.values("host").next().unwrap_or_default()
    }

    /// The fields in order, names in lower case.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.pairs(LINE)
    }

    /// Whether there is a field of this name, in lower case.
    pub fn has(&self, name: &str) -> bool {
        self.values(name).next().is_some()
    }

    /// The values of a field, by its name in lower case.
    pub fn values<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        let texts = &self.0;
        (LINE..texts.places.len().saturating_sub(1))
            .step_by(2)
            .filter(move |&index| texts.at(index) == name.as_bytes())
            .map(move |index| texts.at(index + 1))
    }
}

/// The fields of the response at hand, in order, names in lower case.
pub fn response_fields() -> Vec<(String, Vec<u8>)> {
    // SAFETY: the buffer has room for the limit it is given with.
    let texts = Texts::read(|buf, limit| unsafe { abi::cache_response(buf, limit) });
    texts.pairs(0).map(|(name, value)| (name.to_owned(), value.to_vec())).collect()
}

/// Changes to the fields of a response, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes(Vec<u8>);

impl Changes {
    /// None yet.
    pub fn new() -> Self {
        Changes(Vec::with_capacity(128))
    }

    fn push(&mut self, operation: u8, name: &str, value: &[u8]) {
        self.0.push(operation);
        for text in [name.as_bytes(), value] {
            self.0.extend_from_slice(text);
            self.0.push(0);
        }
    }

    /// Replaces every value of `name`.
    pub fn set(&mut self, name: &str, value: impl AsRef<[u8]>) {
        self.push(b'=', name, value.as_ref());
    }

    /// Adds a value to those that are there.
    pub fn add(&mut self, name: &str, value: impl AsRef<[u8]>) {
        self.push(b'+', name, value.as_ref());
    }

    /// Removes every value of `name`.
    pub fn remove(&mut self, name: &str) {
        self.push(b'-', name, b"");
    }

    /// Makes all of them, or, with an error, none: of the response that was served from an entry, or of the
    /// one that came. No change frames the message.
    pub fn make(&self) -> Result<(), CacheError> {
        if self.0.is_empty() {
            return Ok(());
        }
        // SAFETY: the list outlives the call.
        check(unsafe { abi::cache_amend(self.0.as_ptr(), self.0.len()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Host;

    #[test]
    fn a_request_is_read_at_once() {
        let long = "x".repeat(3 * FIRST_TRY_BYTES);
        let mut host = Host::new("GET", "/a?b");
        host = host.header("Host", "h").header("A", "1").header("b", &long).header("a", "");
        host.cache.scheme = "https".into();
        host.during(|| {
            let head = RequestHead::read();
            assert_eq!(
                (head.method(), head.scheme(), head.target()),
                (&b"GET"[..], &b"https"[..], &b"/a?b"[..])
            );
            assert!(head.host() == b"h" && !head.is_refresh() && !head.has("c"));
            assert_eq!(head.values("a").collect::<Vec<_>>(), [&b"1"[..], b""]);
            assert_eq!(head.values("b").next(), Some(long.as_bytes()));
            assert_eq!(
                head.fields().map(|(name, _)| name).collect::<Vec<_>>(),
                ["host", "a", "b", "a"]
            );
        });
        let mut host = Host::new("GET", "/");
        host.cache.is_refresh = true;
        host.during(|| {
            let head = RequestHead::read();
            assert!(head.is_refresh() && head.host().is_empty() && head.fields().next().is_none());
        });
    }

    #[test]
    fn a_response_is_changed_at_once() {
        let mut host = Host::new("GET", "/");
        host.fields[1] = vec![("A".into(), b"1".to_vec()), ("B".into(), b"2".to_vec())];
        host.during(|| {
            let mut changes = Changes::new();
            changes.set("a", "3");
            changes.add("a", "4");
            changes.remove("b");
            changes.make().unwrap();
            let fields = [("a".to_owned(), b"3".to_vec()), ("a".to_owned(), b"4".to_vec())];
            assert_eq!(response_fields(), fields);
            assert_eq!(Changes::default().make(), Ok(()));
        });
    }
}
