//! What `ergo_cache` holds in a [`Host`](super::Host). Whoever joins leads, unless told otherwise.

use std::slice;

use super::Host;
use super::abi::{give, give_list, with};

/// A stored response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of the ABI")]
pub struct Stored {
    pub key: Vec<u8>,
    pub variant: Vec<u8>,
    pub meta: Vec<u8>,
    pub tags: Vec<Vec<u8>>,
    pub status: u32,
    pub fields: super::Fields,
    pub body: Vec<u8>,
    pub purged: bool,
}

/// The store, and what of it an exchange has at hand.
#[derive(Debug, Default)]
#[allow(missing_docs, reason = "the names are those of the ABI")]
pub struct Cache {
    /// The newest first.
    pub stored: Vec<Stored>,
    /// What was looked up, by its place in `stored`.
    pub found: Vec<usize>,
    pub remembered: Vec<u8>,
    /// Keys that were joined.
    pub joined: Vec<Vec<u8>>,
    /// What joining comes to: 0 leads, 1 waits, 2 alone.
    pub joining: u32,
    /// Whether the exchange has waited.
    pub waited: bool,
    /// How often [`release`](crate::cache::release) was called.
    pub released: usize,
    /// How often [`refresh`](crate::cache::refresh) was called.
    pub refreshed: usize,
    /// Whether it can't be done.
    pub no_refresh: bool,
    pub is_refresh: bool,
    /// Whether other hosts can't be told of purges.
    pub untold: bool,
    /// Empty for `http`.
    pub scheme: String,
}

unsafe fn text(from: *const u8, length: usize) -> Vec<u8> {
    // SAFETY: the caller keeps the ABI's contract.
    unsafe { slice::from_raw_parts(from, length) }.to_vec()
}

unsafe fn texts(from: *const u8, length: usize) -> Vec<Vec<u8>> {
    let joined = unsafe { text(from, length) };
    let mut all: Vec<Vec<u8>> = joined.split(|&byte| byte == 0).map(<[u8]>::to_vec).collect();
    all.pop();
    all
}

impl Host {
    fn stored(&mut self, index: u32) -> Option<&mut Stored> {
        let at = *self.cache.found.get(index as usize)?;
        self.cache.stored.get_mut(at)
    }

    fn serve(&mut self, status: u32, fields: super::Fields, body: Vec<u8>) -> u32 {
        let bodyless = status == 304 || self.method == b"HEAD";
        self.status = status;
        self.fields[1] = fields;
        self.response_body = if bodyless { Vec::new() } else { body };
        0
    }
}

pub(crate) unsafe fn cache_scheme(buf: *mut u8, limit: usize) -> usize {
    with(|host| {
        let scheme = if host.cache.scheme.is_empty() { "http" } else { &host.cache.scheme };
        unsafe { give(scheme.as_bytes(), buf, limit) }
    })
}

fn pairs(fields: &super::Fields) -> impl Iterator<Item = Vec<u8>> {
    let pair =
        |(name, value): &(String, Vec<u8>)| [name.to_ascii_lowercase().into_bytes(), value.clone()];
    fields.iter().flat_map(pair)
}

pub(crate) unsafe fn cache_request(buf: *mut u8, limit: usize) -> u64 {
    with(|host| {
        let scheme = if host.cache.scheme.is_empty() { "http" } else { &host.cache.scheme };
        let refresh = if host.cache.is_refresh { "1" } else { "" };
        let mut texts =
            vec![refresh.into(), host.method.clone(), scheme.into(), host.target.clone()];
        texts.extend(pairs(&host.fields[0]));
        let length = unsafe { give_list(&texts, buf, limit) } as u32;
        (host.fields[0].len() as u64) << 32 | u64::from(length)
    })
}

pub(crate) unsafe fn cache_response(buf: *mut u8, limit: usize) -> u64 {
    with(|host| {
        let texts: Vec<Vec<u8>> = pairs(&host.fields[1]).collect();
        let length = unsafe { give_list(&texts, buf, limit) } as u32;
        (host.fields[1].len() as u64) << 32 | u64::from(length)
    })
}

pub(crate) unsafe fn cache_amend(changes: *const u8, length: usize) -> u32 {
    let texts = unsafe { texts(changes, length) };
    with(|host| {
        for change in texts.chunks_exact(2) {
            let (operation, name) = change[0].split_at(1);
            let name = String::from_utf8_lossy(name).into_owned();
            let fields = &mut host.fields[1];
            if operation != b"+" {
                fields.retain(|(known, _)| !known.eq_ignore_ascii_case(&name));
            }
            if operation != b"-" {
                fields.push((name, change[1].clone()));
            }
        }
        0
    })
}

pub(crate) unsafe fn cache_lookup(key: *const u8, length: usize) -> i32 {
    let key = unsafe { text(key, length) };
    with(|host| {
        let all = host.cache.stored.iter().enumerate();
        host.cache.found = all.filter(|(_, one)| one.key == key).map(|(at, _)| at).collect();
        host.cache.found.len() as i32
    })
}

pub(crate) unsafe fn cache_entry(index: u32, buf: *mut u8, limit: usize) -> usize {
    with(|host| {
        let waited = host.cache.waited;
        let Some(one) = host.stored(index) else { return u32::MAX as usize };
        let mut blob = (one.status as u16).to_le_bytes().to_vec();
        blob.extend([u8::from(one.purged) | u8::from(waited) << 1, 0]);
        blob.extend((one.body.len() as u64).to_le_bytes());
        for part in [&one.meta, &one.variant] {
            blob.extend((part.len() as u32).to_le_bytes());
            blob.extend(part);
        }
        unsafe { give(&blob, buf, limit) }
    })
}

pub(crate) unsafe fn cache_fields(index: u32, buf: *mut u8, limit: usize) -> u64 {
    with(|host| {
        let Some(one) = host.stored(index) else { return 0 };
        let pairs: Vec<Vec<u8>> = one
            .fields
            .iter()
            .flat_map(|(name, value)| [name.to_ascii_lowercase().into_bytes(), value.clone()])
            .collect();
        let (count, length) = (one.fields.len() as u64, unsafe { give_list(&pairs, buf, limit) });
        count << 32 | u64::from(length as u32)
    })
}

pub(crate) unsafe fn cache_serve(index: u32, status: u32, offset: i64, length: i64) -> u32 {
    with(|host| {
        let Some(one) = host.stored(index).cloned() else { return 1 };
        let begin = offset as usize;
        let end = if length < 0 { one.body.len() } else { begin + length as usize };
        let Some(part) = one.body.get(begin..end) else { return 2 };
        host.serve(status, one.fields, part.to_vec())
    })
}

pub(crate) unsafe fn cache_compose(
    index: u32,
    status: u32,
    slices: *const u8,
    length: usize,
) -> u32 {
    let slices = unsafe { text(slices, length) };
    with(|host| {
        let Some(fields) = host.stored(index).map(|one| one.fields.clone()) else { return 1 };
        let mut body = Vec::new();
        for slice in slices.chunks_exact(20) {
            let index = u32::from_le_bytes(slice[..4].try_into().unwrap());
            let begin = u64::from_le_bytes(slice[4..12].try_into().unwrap()) as usize;
            let end = begin + u64::from_le_bytes(slice[12..].try_into().unwrap()) as usize;
            let Some(one) = host.stored(index) else { return 1 };
            let Some(part) = one.body.get(begin..end) else { return 2 };
            body.extend(part);
        }
        host.serve(status, fields, body)
    })
}

#[allow(clippy::too_many_arguments, reason = "the ABI has them")]
pub(crate) unsafe fn cache_store(
    key: *const u8,
    key_length: usize,
    variant: *const u8,
    variant_length: usize,
    meta: *const u8,
    meta_length: usize,
    tags: *const u8,
    tags_length: usize,
    left_out: *const u8,
    left_out_length: usize,
) -> u32 {
    let left_out = unsafe { texts(left_out, left_out_length) };
    let mut one = unsafe {
        Stored {
            key: text(key, key_length),
            variant: text(variant, variant_length),
            meta: text(meta, meta_length),
            tags: texts(tags, tags_length),
            ..Stored::default()
        }
    };
    with(|host| {
        one.status = host.status;
        one.body = host.response_body.clone();
        one.fields = host.fields[1].clone();
        one.fields.retain(|(name, _)| {
            !left_out.iter().any(|out| name.as_bytes().eq_ignore_ascii_case(out))
        });
        let stored = &mut host.cache.stored;
        stored.retain(|other| other.key != one.key || other.variant != one.variant);
        stored.insert(0, one);
        0
    })
}

pub(crate) unsafe fn cache_update(
    index: u32,
    fields: *const u8,
    fields_length: usize,
    meta: *const u8,
    meta_length: usize,
) -> u32 {
    let (parts, meta) = unsafe { (texts(fields, fields_length), text(meta, meta_length)) };
    with(|host| {
        let Some(one) = host.stored(index) else { return 1 };
        let pair =
            |pair: &[Vec<u8>]| (String::from_utf8_lossy(&pair[0]).into_owned(), pair[1].clone());
        one.fields = parts.chunks_exact(2).map(pair).collect();
        one.meta = meta;
        one.purged = false;
        0
    })
}

pub(crate) unsafe fn cache_join(key: *const u8, length: usize, _: u32) -> u32 {
    let key = unsafe { text(key, length) };
    with(|host| {
        host.cache.joined.push(key);
        host.cache.joining
    })
}

pub(crate) unsafe fn cache_release() {
    with(|host| host.cache.released += 1);
}

pub(crate) unsafe fn cache_refresh() -> u32 {
    with(|host| {
        host.cache.refreshed += 1;
        if host.cache.no_refresh { 4 } else { 0 }
    })
}

pub(crate) unsafe fn cache_is_refresh() -> u32 {
    with(|host| u32::from(host.cache.is_refresh))
}

pub(crate) unsafe fn cache_purge(kind: u32, what: *const u8, length: usize, soft: u32) -> i32 {
    let what = unsafe { text(what, length) };
    let meant = |one: &Stored| match kind {
        0 => one.key == what,
        1 => one.key.starts_with(&what),
        _ => one.tags.contains(&what),
    };
    with(|host| {
        let count = host.cache.stored.iter().filter(|one| meant(one)).count();
        match soft {
            0 => host.cache.stored.retain(|one| !meant(one)),
            _ => host
                .cache
                .stored
                .iter_mut()
                .filter(|one| meant(one))
                .for_each(|one| one.purged = true),
        }
        if host.cache.untold { -2 } else { count as i32 }
    })
}

pub(crate) unsafe fn cache_remember(bytes: *const u8, length: usize) -> u32 {
    if length > 8192 {
        return 2;
    }
    let bytes = unsafe { text(bytes, length) };
    with(|host| host.cache.remembered = bytes);
    0
}

pub(crate) unsafe fn cache_recall(buf: *mut u8, limit: usize) -> usize {
    with(|host| unsafe { give(&host.cache.remembered, buf, limit) })
}
