//! The imports of `ergo_crypto`, acting on the [`Host`](super::Host) of the running test. None of it is
//! cryptography: what is sealed can be read, and a digest is a number that differs.
#![allow(
    clippy::missing_safety_doc,
    clippy::too_many_arguments,
    reason = "the ABI's contract: pointers are valid for their lengths"
)]

use super::abi::{bytes, give, text, with};

/// A key that the host uses for the policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Key {
    /// By which the policy knows it.
    pub name: String,
    /// What it is for.
    pub algorithm: String,
    /// Its versions; the last is the primary.
    pub ids: Vec<String>,
    /// What the policy may do with it: "seal", "open", "sign", "verify", "wrap", "unwrap".
    pub uses: Vec<String>,
}

impl Key {
    /// A key with versions of these ids, the last of which is the primary.
    pub fn new(name: &str, algorithm: &str, ids: &[&str], uses: &[&str]) -> Self {
        let owned = |list: &[&str]| list.iter().map(|&text| text.into()).collect();
        Key { name: name.into(), algorithm: algorithm.into(), ids: owned(ids), uses: owned(uses) }
    }
}

/// The signature that the fake host makes and takes: `key` is the id of a version, or the text of a JWK.
pub fn fake_signature(algorithm: &str, key: &[u8], data: &[u8]) -> Vec<u8> {
    mix(&[algorithm.as_bytes(), key, data], 32)
}

/// Bytes that differ where the parts do (FNV-1a).
pub(super) fn mix(parts: &[&[u8]], length: usize) -> Vec<u8> {
    let mut state: u64 = 0xcbf2_9ce4_8422_2325;
    let mut step = |byte: u8| {
        state = (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        (state >> 32) as u8
    };
    for part in parts {
        part.len().to_le_bytes().iter().chain(part.iter()).for_each(|&byte| {
            step(byte);
        });
    }
    (0..length).map(|_| step(0)).collect()
}

pub(super) fn granted<T>(
    name: &str,
    usage: &str,
    act: impl FnOnce(&Key) -> Result<T, u32>,
) -> Result<T, u32> {
    with(|host| match host.keys.iter().find(|key| key.name == name) {
        Some(key) if usage.is_empty() || key.uses.iter().any(|known| known == usage) => act(key),
        _ => Err(5),
    })
}

fn primary(key: &Key) -> &str {
    key.ids.last().map_or("", |id| id)
}

fn status(result: Result<(), u32>) -> u32 {
    result.err().unwrap_or(0)
}

pub(super) unsafe fn put(
    result: Result<Vec<u8>, u32>,
    buf: *mut u8,
    limit: usize,
    length: *mut u32,
) -> u32 {
    match result {
        Err(status) => status,
        Ok(out) => {
            unsafe { length.write(give(&out, buf, limit) as u32) };
            if out.len() > limit { 8 } else { 0 }
        }
    }
}

pub unsafe fn digest(kind: u32, data: *const u8, length: usize, out: *mut u8) -> u32 {
    if !(1..=3).contains(&kind) {
        return 2;
    }
    let sum = mix(&[unsafe { bytes(data, length) }], 16 * (kind as usize + 1));
    unsafe { out.copy_from(sum.as_ptr(), sum.len()) };
    0
}

pub unsafe fn equal(a: *const u8, a_length: usize, b: *const u8, b_length: usize) -> u32 {
    u32::from(unsafe { bytes(a, a_length) == bytes(b, b_length) })
}

pub unsafe fn crypto_random(buf: *mut u8, length: usize) {
    unsafe { super::abi::random_fill(buf, length) }
}

unsafe fn give_of(
    name: String,
    of: impl FnOnce(&Key) -> String,
    buf: *mut u8,
    limit: usize,
) -> usize {
    match granted(&name, "", |key| Ok(of(key))) {
        Ok(value) => unsafe { give(value.as_bytes(), buf, limit) },
        Err(_) => u32::MAX as usize,
    }
}

pub unsafe extern "C" fn key_id(
    name: *const u8,
    length: usize,
    buf: *mut u8,
    limit: usize,
) -> usize {
    unsafe { give_of(text(name, length), |key| primary(key).into(), buf, limit) }
}

pub unsafe extern "C" fn key_algorithm(
    name: *const u8,
    length: usize,
    buf: *mut u8,
    limit: usize,
) -> usize {
    unsafe { give_of(text(name, length), |key| key.algorithm.clone(), buf, limit) }
}

pub unsafe extern "C" fn seal(
    name: *const u8,
    name_length: usize,
    plaintext: *const u8,
    plaintext_length: usize,
    associated: *const u8,
    associated_length: usize,
    buf: *mut u8,
    limit: usize,
    length: *mut u32,
) -> u32 {
    let (plaintext, associated) =
        unsafe { (bytes(plaintext, plaintext_length), bytes(associated, associated_length)) };
    let sealed = granted(&unsafe { text(name, name_length) }, "seal", |key| {
        let id = primary(key);
        let header = [&[1, id.len() as u8][..], id.as_bytes()].concat();
        let tag = mix(&[&header, associated, plaintext], 16);
        Ok([&header[..], plaintext, &tag[..]].concat())
    });
    unsafe { put(sealed, buf, limit, length) }
}

pub unsafe extern "C" fn open(
    name: *const u8,
    name_length: usize,
    sealed: *const u8,
    sealed_length: usize,
    associated: *const u8,
    associated_length: usize,
    buf: *mut u8,
    limit: usize,
    length: *mut u32,
) -> u32 {
    let (sealed, associated) =
        unsafe { (bytes(sealed, sealed_length), bytes(associated, associated_length)) };
    let opened = granted(&unsafe { text(name, name_length) }, "open", |key| {
        let id = crate::crypto::sealed_with(sealed).ok_or(2_u32)?;
        if !key.ids.iter().any(|known| known == id) {
            return Err(1);
        }
        let (header, rest) = sealed.split_at(2 + id.len());
        let (plaintext, tag) = rest.split_at_checked(rest.len().wrapping_sub(16)).ok_or(13_u32)?;
        if tag == mix(&[header, associated, plaintext], 16) {
            Ok(plaintext.to_vec())
        } else {
            Err(13)
        }
    });
    unsafe { put(opened, buf, limit, length) }
}

pub unsafe fn sign(
    name: *const u8,
    name_length: usize,
    data: *const u8,
    data_length: usize,
    buf: *mut u8,
    limit: usize,
    length: *mut u32,
) -> u32 {
    let data = unsafe { bytes(data, data_length) };
    let signature = granted(&unsafe { text(name, name_length) }, "sign", |key| {
        Ok(fake_signature(&key.algorithm, primary(key).as_bytes(), data))
    });
    unsafe { put(signature, buf, limit, length) }
}

pub unsafe extern "C" fn verify(
    name: *const u8,
    name_length: usize,
    id: *const u8,
    id_length: usize,
    data: *const u8,
    data_length: usize,
    signature: *const u8,
    signature_length: usize,
) -> u32 {
    let id = unsafe { text(id, id_length) };
    let (data, signature) =
        unsafe { (bytes(data, data_length), bytes(signature, signature_length)) };
    status(granted(&unsafe { text(name, name_length) }, "verify", |key| {
        if !id.is_empty() && !key.ids.contains(&id) {
            return Err(1);
        }
        let mut ids = key.ids.iter().filter(|known| id.is_empty() || **known == id);
        let matches =
            ids.any(|id| fake_signature(&key.algorithm, id.as_bytes(), data) == signature);
        if matches { Ok(()) } else { Err(13) }
    }))
}

pub unsafe extern "C" fn verify_with(
    algorithm: *const u8,
    algorithm_length: usize,
    jwk: *const u8,
    jwk_length: usize,
    data: *const u8,
    data_length: usize,
    signature: *const u8,
    signature_length: usize,
) -> u32 {
    let known = unsafe { check_jwk(algorithm, algorithm_length, jwk, jwk_length) };
    if known != 0 {
        return known;
    }
    unsafe {
        let algorithm = text(algorithm, algorithm_length);
        let made = fake_signature(&algorithm, bytes(jwk, jwk_length), bytes(data, data_length));
        if made == bytes(signature, signature_length) { 0 } else { 13 }
    }
}

/// Takes any JSON object for a key.
pub unsafe fn check_jwk(
    algorithm: *const u8,
    algorithm_length: usize,
    jwk: *const u8,
    jwk_length: usize,
) -> u32 {
    let (algorithm, jwk) = unsafe { (text(algorithm, algorithm_length), bytes(jwk, jwk_length)) };
    let asymmetric = ["RS", "PS", "ES", "Ed"].iter().any(|kind| algorithm.starts_with(kind));
    if asymmetric && jwk.starts_with(b"{") && jwk.ends_with(b"}") { 0 } else { 2 }
}

/// The hash of a password is "fake:" and the password.
pub unsafe fn password_verify(
    hash: *const u8,
    hash_length: usize,
    password: *const u8,
    password_length: usize,
) -> u32 {
    let (hash, password) = unsafe { (bytes(hash, hash_length), bytes(password, password_length)) };
    match hash.strip_prefix(b"fake:") {
        None => 2,
        Some(right) if right == password => 0,
        Some(_) => 13,
    }
}
