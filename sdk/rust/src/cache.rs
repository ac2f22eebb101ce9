//! The capability `ergo_cache`: responses that the host stores for a policy, whichever instance or
//! version of it asks. A policy that uses it needs the grant `ergo_cache`; `[cache]` in the manifest says
//! how much is kept, and where.
//!
//! Everything that decides is the policy's; bodies never come here. What was looked up stays with the
//! exchange, also in the response phase, where another instance may be asked.

mod head;

pub use head::{Changes, RequestHead, response_fields};

use crate::{Headers, abi, buffer};

/// Why the host refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheError {
    /// There is no such entry any more.
    NotFound,
    /// Something is out of bounds.
    BadArgument,
    /// The exchange is past the phase.
    TooLate,
    /// The store is full or not available.
    Unavailable,
    /// A purge is done here, and other hosts will hear of it when that is possible.
    Untold,
}

/// One stored response, without its body and fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// Its place in what was looked up.
    pub index: u32,
    /// Its status.
    pub status: u16,
    /// Whether it was purged softly: it is to be taken for stale.
    pub purged: bool,
    /// Whether the exchange has waited for another one ([`Joined::Waits`]).
    pub waited: bool,
    /// The length of its body.
    pub size: u64,
    /// What the policy keeps beside it.
    pub meta: Vec<u8>,
    /// What tells it apart from others under its key.
    pub variant: Vec<u8>,
}

/// What becomes of an exchange whose key others may be fetching.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joined {
    /// It fetches for all: until it stores, calls [`release`] or ends, others wait.
    Leads,
    /// Another one fetches. The policy returns [`Flow::Answer`](crate::Flow::Answer) at once, which does
    /// not count: it is asked about the request anew when the other one is ready, or the time is up.
    Waits,
    /// It has waited, and is to go on by itself.
    Alone,
}

/// What to purge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purge<'a> {
    /// All entries under a key.
    Key(&'a [u8]),
    /// All entries whose keys begin so.
    Prefix(&'a [u8]),
    /// All entries that have a tag.
    Tag(&'a [u8]),
}

/// What is stored of a response beside its body.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// At most 2 KiB.
    pub key: &'a [u8],
    /// At most 1 KiB; an entry with the same key and variant is replaced.
    pub variant: &'a [u8],
    /// At most 4 KiB.
    pub meta: &'a [u8],
    /// What it can be purged by.
    pub tags: &'a [Vec<u8>],
    /// Names of fields of the response that are not stored.
    pub left_out: &'a [String],
}

/// The scheme that the client spoke: `http` or `https`.
pub fn scheme() -> Vec<u8> {
    // SAFETY: the buffer has room for the limit it is given with.
    buffer::read(|buf, limit| unsafe { abi::cache_scheme(buf, limit) })
}

/// Looks up what is stored under a key, and says how many entries there are: the newest first.
pub fn lookup(key: &[u8]) -> u32 {
    // SAFETY: `key` outlives the call.
    unsafe { abi::cache_lookup(key.as_ptr(), key.len()) }.max(0) as u32
}

/// An entry of what was looked up.
pub fn entry(index: u32) -> Option<Entry> {
    // SAFETY: the buffer has room for the limit it is given with.
    let blob = buffer::read_found(|buf, limit| unsafe { abi::cache_entry(index, buf, limit) })?;
    let (head, rest) = blob.split_first_chunk::<12>()?;
    let [s0, s1, f0, _, size @ ..] = *head;
    let (meta, rest) = split_text(rest)?;
    let (variant, _) = split_text(rest)?;
    Some(Entry {
        index,
        status: u16::from_le_bytes([s0, s1]),
        purged: f0 & 1 != 0,
        waited: f0 & 2 != 0,
        size: u64::from_le_bytes(size),
        meta: meta.to_vec(),
        variant: variant.to_vec(),
    })
}

fn split_text(blob: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = blob.split_first_chunk::<4>()?;
    rest.split_at_checked(u32::from_le_bytes(*length) as usize)
}

/// The stored fields of an entry, in order, names in lower case.
pub fn fields(index: u32) -> Vec<(String, Vec<u8>)> {
    // SAFETY: the buffer has room for the limit it is given with.
    let (count, bytes) =
        buffer::read_counted(|buf, limit| unsafe { abi::cache_fields(index, buf, limit) });
    let mut parts = bytes.split(|&byte| byte == 0);
    let pair = |_| {
        let name = String::from_utf8_lossy(parts.next()?).to_ascii_lowercase();
        Some((name, parts.next()?.to_vec()))
    };
    (0..count).map_while(pair).collect()
}

/// Bytes of an entry's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slice {
    /// The entry's place in what was looked up.
    pub index: u32,
    /// Where they begin in its body.
    pub offset: u64,
    /// How many they are.
    pub length: u64,
}

/// Makes the exchange's response from an entry: its fields, `status`, and `length` bytes of its body from
/// `offset` on, `None` for all that is left. The fields of the response can be changed after that; in
/// the request phase the policy then has to return [`Flow::Answer`](crate::Flow::Answer).
pub fn serve(
    index: u32,
    status: u16,
    offset: u64,
    length: Option<u64>,
) -> Result<Headers, CacheError> {
    let length = length.map_or(-1, |length| length as i64);
    // SAFETY: no memory is shared.
    check(unsafe { abi::cache_serve(index, u32::from(status), offset as i64, length) })?;
    Ok(Headers::new(abi::RESPONSE))
}

/// As [`serve`], with a body of slices of up to 64 entries, one after another.
pub fn compose(index: u32, status: u16, slices: &[Slice]) -> Result<Headers, CacheError> {
    let mut list = Vec::with_capacity(slices.len() * 20);
    for slice in slices {
        list.extend(slice.index.to_le_bytes());
        list.extend(slice.offset.to_le_bytes());
        list.extend(slice.length.to_le_bytes());
    }
    // SAFETY: `list` outlives the call.
    check(unsafe { abi::cache_compose(index, u32::from(status), list.as_ptr(), list.len()) })?;
    Ok(Headers::new(abi::RESPONSE))
}

/// Has the host store the response at hand as it passes, once it is whole. In the response phase.
pub fn store(head: &Head) -> Result<(), CacheError> {
    let tags = list(head.tags.iter().map(Vec::as_slice));
    let left_out = list(head.left_out.iter().map(String::as_bytes));
    // SAFETY: all outlive the call.
    check(unsafe {
        abi::cache_store(
            head.key.as_ptr(),
            head.key.len(),
            head.variant.as_ptr(),
            head.variant.len(),
            head.meta.as_ptr(),
            head.meta.len(),
            tags.as_ptr(),
            tags.len(),
            left_out.as_ptr(),
            left_out.len(),
        )
    })
}

/// Gives an entry other fields, and the policy's own words; its body stays. What is served from it after
/// that is the new one.
pub fn update(index: u32, fields: &[(String, Vec<u8>)], meta: &[u8]) -> Result<(), CacheError> {
    let pairs = list(fields.iter().flat_map(|(name, value)| [name.as_bytes(), value.as_slice()]));
    // SAFETY: both outlive the call.
    check(unsafe {
        abi::cache_update(index, pairs.as_ptr(), pairs.len(), meta.as_ptr(), meta.len())
    })
}

/// Joins those that want what a key stands for: one fetches, the others wait, for at most so many
/// milliseconds. No instance of the policy waits with them. With 0 nobody waits: who does not lead is
/// alone.
pub fn join(key: &[u8], timeout_ms: u32) -> Joined {
    // SAFETY: `key` outlives the call.
    match unsafe { abi::cache_join(key.as_ptr(), key.len(), timeout_ms) } {
        0 => Joined::Leads,
        2 => Joined::Alone,
        _ => Joined::Waits,
    }
}

/// Lets those go on by themselves that wait for this exchange, because it stores nothing.
pub fn release() {
    // SAFETY: no memory is shared.
    unsafe { abi::cache_release() }
}

/// Has the host repeat the exchange's request in the background, from this policy on, so that what is
/// stored gets renewed. Nothing more happens if it does so already. An error says that it can't.
pub fn refresh() -> Result<(), CacheError> {
    // SAFETY: no memory is shared.
    match unsafe { abi::cache_refresh() } {
        RUNS_ALREADY => Ok(()),
        status => check(status),
    }
}

const RUNS_ALREADY: u32 = 1;

/// Whether the exchange is one that [`refresh`] began: nobody gets its response.
pub fn is_refresh() -> bool {
    // SAFETY: no memory is shared.
    unsafe { abi::cache_is_refresh() != 0 }
}

/// Removes entries, or, `soft`, has them taken for stale. Says how many there were in this process.
pub fn purge(what: Purge, soft: bool) -> Result<u32, CacheError> {
    let (kind, text) = match what {
        Purge::Key(text) => (0, text),
        Purge::Prefix(text) => (1, text),
        Purge::Tag(text) => (2, text),
    };
    // SAFETY: `text` outlives the call.
    match unsafe { abi::cache_purge(kind, text.as_ptr(), text.len(), u32::from(soft)) } {
        count @ 0.. => Ok(count as u32),
        -1 => Err(CacheError::BadArgument),
        _ => Err(CacheError::Untold),
    }
}

/// Leaves up to 8 KiB with the exchange for the response phase.
pub fn remember(bytes: &[u8]) -> Result<(), CacheError> {
    // SAFETY: `bytes` outlives the call.
    check(unsafe { abi::cache_remember(bytes.as_ptr(), bytes.len()) })
}

/// What was left with the exchange.
pub fn recall() -> Vec<u8> {
    // SAFETY: the buffer has room for the limit it is given with.
    buffer::read(|buf, limit| unsafe { abi::cache_recall(buf, limit) })
}

fn list<'a>(texts: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut joined = Vec::new();
    for text in texts {
        joined.extend(text);
        joined.push(0);
    }
    joined
}

fn check(status: u32) -> Result<(), CacheError> {
    match status {
        0 => Ok(()),
        1 => Err(CacheError::NotFound),
        2 => Err(CacheError::BadArgument),
        3 => Err(CacheError::TooLate),
        _ => Err(CacheError::Unavailable),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Host;

    fn head<'a>(
        variant: &'a [u8],
        meta: &'a [u8],
        tags: &'a [Vec<u8>],
        left_out: &'a [String],
    ) -> Head<'a> {
        Head { key: b"k", variant, meta, tags, left_out }
    }

    fn stored() -> Host {
        let mut host = Host::new("GET", "/");
        host.status = 203;
        host.fields[1] = vec![("A".into(), b"1".to_vec()), ("B".into(), b"2".to_vec())];
        host.response_body = b"0123456789".to_vec();
        host.during(|| {
            store(&head(b"v", b"m", &[b"t".to_vec()], &["b".into()])).unwrap();
        });
        host
    }

    #[test]
    fn what_is_stored_is_found() {
        let mut host = stored();
        host.during(|| {
            assert_eq!((lookup(b"other"), lookup(b"k")), (0, 1));
            let want = Entry {
                index: 0,
                status: 203,
                purged: false,
                waited: false,
                size: 10,
                meta: b"m".to_vec(),
                variant: b"v".to_vec(),
            };
            assert_eq!((entry(0), entry(1)), (Some(want), None));
            assert_eq!(fields(0), [("a".to_owned(), b"1".to_vec())]);
        });
    }

    #[test]
    fn an_entry_is_served_and_updated() {
        let mut host = stored();
        host.during(|| {
            assert_eq!(lookup(b"k"), 1);
            update(0, &[("c".into(), b"3".to_vec())], b"n").unwrap();
            serve(0, 206, 2, Some(3)).unwrap().set("age", "1");
            assert_eq!(serve(1, 200, 0, None).err(), Some(CacheError::NotFound));
            assert_eq!(entry(0).unwrap().meta, b"n");
        });
        assert_eq!((host.status, host.response_body.as_slice()), (206, b"234".as_slice()));
        assert_eq!(
            (host.response_header("c"), host.response_header("age")),
            (vec!["3".into()], vec!["1".into()])
        );
    }

    #[test]
    fn slices_are_served_one_after_another() {
        let slice = |index, offset, length| Slice { index, offset, length };
        let mut host = stored();
        host.during(|| {
            assert_eq!(lookup(b"k"), 1);
            compose(0, 206, &[slice(0, 8, 2), slice(0, 0, 3)]).unwrap();
            let none = compose(0, 206, &[slice(1, 0, 1)]).err();
            assert_eq!(none, Some(CacheError::NotFound));
            let beyond = compose(0, 206, &[slice(0, 9, 2)]).err();
            assert_eq!(beyond, Some(CacheError::BadArgument));
        });
        assert_eq!((host.status, host.response_body.as_slice()), (206, b"89012".as_slice()));
    }

    #[test]
    fn a_purge_may_be_unknown_elsewhere() {
        let mut host = stored();
        host.cache.untold = true;
        host.during(|| {
            assert_eq!(purge(Purge::Key(b"k"), false), Err(CacheError::Untold));
            assert_eq!(lookup(b"k"), 0);
        });
    }

    #[test]
    fn purges_by_key_prefix_and_tag() {
        for what in [Purge::Key(b"k"), Purge::Prefix(b""), Purge::Tag(b"t")] {
            let mut host = stored();
            host.during(|| {
                assert_eq!(purge(what, true), Ok(1));
                assert!(lookup(b"k") == 1 && entry(0).unwrap().purged);
                assert_eq!(purge(what, false), Ok(1));
                assert_eq!((lookup(b"k"), purge(what, false)), (0, Ok(0)));
            });
        }
        stored().during(|| assert_eq!(purge(Purge::Tag(b"u"), false), Ok(0)));
    }

    #[test]
    fn what_is_remembered_comes_back() {
        Host::new("GET", "/").during(|| {
            remember(b"this").unwrap();
            assert_eq!(recall(), b"this");
            assert_eq!(remember(&[0; 8193]), Err(CacheError::BadArgument));
        });
    }
}
