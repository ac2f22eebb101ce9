//! The imports of `ergo_crypto` for content, acting on the [`Host`](super::Host) of the running test. A
//! message's key is a number that it carries, and its content can be read.
#![allow(
    clippy::missing_safety_doc,
    clippy::too_many_arguments,
    reason = "the ABI's contract: pointers are valid for their lengths"
)]

use super::Host;
use super::abi::{bytes, text, with};
use super::crypto::{Key, granted, mix, put};

impl Host {
    /// Keys for content that the policy has not dropped.
    pub fn open_keys(&self) -> usize {
        self.content.iter().flatten().count()
    }

    /// Keys for content that there ever were.
    pub fn keys_made(&self) -> usize {
        self.content.len()
    }
}

/// Lengths of nonce and tag.
fn sizes(enc: &str) -> Option<(usize, usize)> {
    Some(match enc {
        "A128GCM" | "A192GCM" | "A256GCM" => (12, 16),
        "A128CBC-HS256" => (16, 16),
        "A192CBC-HS384" => (16, 24),
        "A256CBC-HS512" => (16, 32),
        _ => return None,
    })
}

fn agrees(key: &Key) -> bool {
    key.algorithm.starts_with("ECDH-ES")
}

/// Whether what is wrapped is the content's key itself.
fn is_direct(key: &Key) -> bool {
    key.algorithm == "ECDH-ES" || sizes(&key.algorithm).is_some()
}

/// Where the open key of a handle is.
fn at(handle: u32) -> usize {
    handle as usize - 1
}

pub unsafe fn wrap(
    name: *const u8,
    name_length: usize,
    enc: *const u8,
    enc_length: usize,
    handle: *mut u32,
    buf: *mut u8,
    limit: usize,
    length: *mut u32,
) -> u32 {
    let (name, enc) = unsafe { (text(name, name_length), text(enc, enc_length)) };
    let given = unsafe { handle.read() };
    let out = granted(&name, "wrap", |key| {
        if sizes(&enc).is_none() || given != 0 && is_direct(key) {
            return Err(2);
        }
        let epk = if agrees(key) { r#"{"kty":"EC","crv":"P-256"}"# } else { "" };
        let encrypted = if is_direct(key) { "" } else { "encrypted" };
        let length = (epk.len() as u16).to_le_bytes();
        Ok([&length[..], epk.as_bytes(), encrypted.as_bytes()].concat())
    });
    if out.is_ok() && given == 0 {
        unsafe { handle.write(keep(enc)) };
    }
    unsafe { put(out, buf, limit, length) }
}

fn keep(enc: String) -> u32 {
    with(|host| {
        host.content.push(Some(enc));
        host.content.len() as u32
    })
}

pub unsafe fn unwrap(
    name: *const u8,
    name_length: usize,
    id: *const u8,
    id_length: usize,
    enc: *const u8,
    enc_length: usize,
    encrypted: *const u8,
    encrypted_length: usize,
    agreement: *const u8,
    agreement_length: usize,
    handle: *mut u32,
) -> u32 {
    let (name, id, enc) =
        unsafe { (text(name, name_length), text(id, id_length), text(enc, enc_length)) };
    let (encrypted, agreement) =
        unsafe { (bytes(encrypted, encrypted_length), bytes(agreement, agreement_length)) };
    let known = granted(&name, "unwrap", |key| {
        if !id.is_empty() && !key.ids.contains(&id) {
            return Err(1);
        }
        let wanted: &[u8] = if is_direct(key) { b"" } else { b"encrypted" };
        match sizes(&enc) {
            None => Err(2),
            Some(_) if agrees(key) != agreement.starts_with(b"{") => Err(2),
            Some(_) if sizes(&key.algorithm).is_some() && key.algorithm != enc => Err(2),
            Some(_) if encrypted != wanted => Err(13),
            Some(_) => Ok(()),
        }
    });
    match known {
        Err(status) => status,
        Ok(()) => {
            unsafe { handle.write(keep(enc)) };
            0
        }
    }
}

/// What encrypts content, if the key is open.
fn enc_of(handle: u32) -> Result<String, u32> {
    with(|host| host.content.get(at(handle)).cloned().flatten().ok_or(1))
}

pub unsafe fn encrypt(
    handle: u32,
    content: *const u8,
    content_length: usize,
    associated: *const u8,
    associated_length: usize,
    buf: *mut u8,
    limit: usize,
    length: *mut u32,
) -> u32 {
    let (content, associated) =
        unsafe { (bytes(content, content_length), bytes(associated, associated_length)) };
    let out = enc_of(handle).map(|enc| {
        let (nonce, tag) = sizes(&enc).expect("it was one");
        [&vec![0; nonce][..], content, &mix(&[enc.as_bytes(), content, associated], tag)].concat()
    });
    unsafe { put(out, buf, limit, length) }
}

pub unsafe fn decrypt(
    handle: u32,
    nonce: *const u8,
    nonce_length: usize,
    ciphertext: *const u8,
    ciphertext_length: usize,
    tag: *const u8,
    tag_length: usize,
    associated: *const u8,
    associated_length: usize,
    buf: *mut u8,
    limit: usize,
    length: *mut u32,
) -> u32 {
    let (nonce, ciphertext) =
        unsafe { (bytes(nonce, nonce_length), bytes(ciphertext, ciphertext_length)) };
    let (tag, associated) =
        unsafe { (bytes(tag, tag_length), bytes(associated, associated_length)) };
    let out = enc_of(handle).and_then(|enc| {
        let (nonce_size, tag_size) = sizes(&enc).expect("it was one");
        let right = mix(&[enc.as_bytes(), ciphertext, associated], tag_size);
        if nonce == vec![0; nonce_size] && tag == right { Ok(ciphertext.to_vec()) } else { Err(13) }
    });
    unsafe { put(out, buf, limit, length) }
}

pub unsafe fn drop_key(handle: u32) -> u32 {
    with(|host| match host.content.get_mut(at(handle)).and_then(Option::take) {
        Some(_) => 0,
        None => 1,
    })
}
