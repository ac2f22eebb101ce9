//! The capability `ergo_crypto`: the host works with keys that the policy never sees. A policy that uses it
//! needs the grant `ergo_crypto`, and `[policy.NAME.keys]` in the manifest says which keys it may use, for
//! what, and by which names it knows them.
//!
//! ```no_run
//! use ergo_sdk::crypto;
//!
//! let sealed = crypto::seal("data", b"4111 1111", b"orders/42")?;
//! assert_eq!(crypto::open("data", &sealed, b"orders/42")?, b"4111 1111");
//! # Ok::<(), crypto::CryptoError>(())
//! ```
//!
//! Keys change with a swap, which starts the policy anew: what is known of a key holds for an instance's
//! life. Data is at most 8 MiB, associated data 64 KiB.

mod content;

use crate::{abi, buffer};

pub use content::{Agreement, ContentKey, Wrapped};

/// Why the host refused an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CryptoError {
    /// The key has no version of that id.
    NotFound,
    /// It is malformed, or refused: a weak public key, a password's hash that costs too much.
    BadArgument,
    /// The manifest does not grant the key for that use.
    NotGranted,
    /// The exchange ended before it was its turn.
    Timeout,
    /// It is too large.
    TooLarge,
    /// Too many wait for dear work.
    Busy,
    /// There are as many as may be.
    NoRoom,
    /// A tag, a signature or a password is wrong.
    Mismatch,
    /// The key cannot do it.
    Failed,
}

/// A hash function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Digest {
    /// SHA-256, 32 bytes.
    Sha256 = 1,
    /// SHA-384, 48 bytes.
    Sha384,
    /// SHA-512, 64 bytes.
    Sha512,
}

/// The digest of some data, of which there may be no more than 8 MiB.
pub fn digest(kind: Digest, data: &[u8]) -> Result<Vec<u8>, CryptoError> {
    let mut sum = vec![0; 16 * (kind as usize + 1)];
    // SAFETY: `data` outlives the call and `sum` has room for the digest.
    check(unsafe { abi::digest(kind as u32, data.as_ptr(), data.len(), sum.as_mut_ptr()) })?;
    Ok(sum)
}

/// Whether two values are the same, in the time that their lengths take.
pub fn equal(a: &[u8], b: &[u8]) -> bool {
    // SAFETY: both outlive the call.
    unsafe { abi::equal(a.as_ptr(), a.len(), b.as_ptr(), b.len()) != 0 }
}

/// Fills a buffer with what nobody can foretell. It is for exchanges: while the policy starts it traps,
/// because clones would share what is drawn.
pub fn random(buffer: &mut [u8]) {
    // SAFETY: the buffer has room for its length.
    unsafe { abi::crypto_random(buffer.as_mut_ptr(), buffer.len()) }
}

/// The id of a key's primary version, with which it seals and signs; `None` if it is not granted.
pub fn key_id(name: &str) -> Option<String> {
    named(name, abi::key_id)
}

/// The algorithm of a key; `None` if it is not granted.
pub fn algorithm(name: &str) -> Option<String> {
    named(name, abi::key_algorithm)
}

fn named(
    name: &str,
    get: unsafe extern "C" fn(*const u8, usize, *mut u8, usize) -> usize,
) -> Option<String> {
    let found = buffer::read_found(|buf, limit| {
        // SAFETY: `buf` has room for `limit` bytes and `name` outlives the call.
        unsafe { get(name.as_ptr(), name.len(), buf, limit) }
    });
    found.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// What sealing adds to a plaintext at most: the header, a nonce and a tag.
const OVERHEAD: usize = 2 + 64 + 24 + 16;

/// Room for any signature: that of an RSA key of 8192 bits.
const SIGNATURE: usize = 1024;

/// Encrypts and authenticates; the associated data is authenticated alone, and is needed again to open.
pub fn seal(name: &str, plaintext: &[u8], associated: &[u8]) -> Result<Vec<u8>, CryptoError> {
    aead(abi::seal, name, plaintext, associated, plaintext.len() + OVERHEAD)
}

/// What [`seal`] was given. It takes the version of the key that sealed it.
pub fn open(name: &str, sealed: &[u8], associated: &[u8]) -> Result<Vec<u8>, CryptoError> {
    aead(abi::open, name, sealed, associated, sealed.len())
}

type Aead = unsafe extern "C" fn(
    *const u8,
    usize,
    *const u8,
    usize,
    *const u8,
    usize,
    *mut u8,
    usize,
    *mut u32,
) -> u32;

fn aead(
    call: Aead,
    name: &str,
    data: &[u8],
    associated: &[u8],
    room: usize,
) -> Result<Vec<u8>, CryptoError> {
    output(room, |buf, limit, length| {
        // SAFETY: `buf` has room for `limit` bytes; all else outlives the call.
        unsafe {
            call(
                name.as_ptr(),
                name.len(),
                data.as_ptr(),
                data.len(),
                associated.as_ptr(),
                associated.len(),
                buf,
                limit,
                length,
            )
        }
    })
}

/// Calls a function that writes an output of at most `room` bytes, and its length.
fn output(
    room: usize,
    call: impl FnOnce(*mut u8, usize, *mut u32) -> u32,
) -> Result<Vec<u8>, CryptoError> {
    let mut out: Vec<u8> = Vec::with_capacity(room);
    let mut length = 0;
    check(call(out.as_mut_ptr(), room, &mut length))?;
    // SAFETY: with status 0 the host wrote `length` bytes, which fit the capacity.
    unsafe { out.set_len(length as usize) };
    Ok(out)
}

/// The id of the version that sealed it; `None` if [`seal`] makes no such thing.
pub fn sealed_with(sealed: &[u8]) -> Option<&str> {
    let (1, length) = (*sealed.first()?, *sealed.get(1)? as usize) else { return None };
    let id = sealed.get(2..2 + length)?;
    if id.is_empty() || length > 64 { None } else { str::from_utf8(id).ok() }
}

/// A signature, or HMAC, with the primary version. Those of ECDSA are r and s, as JOSE has them.
pub fn sign(name: &str, data: &[u8]) -> Result<Vec<u8>, CryptoError> {
    output(SIGNATURE, |buf, limit, length| {
        // SAFETY: `buf` has room for `limit` bytes; all else outlives the call.
        unsafe {
            abi::sign(name.as_ptr(), name.len(), data.as_ptr(), data.len(), buf, limit, length)
        }
    })
}

/// Checks a signature, or HMAC, with the version of that id or, with an empty one, with any.
pub fn verify(name: &str, id: &str, data: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
    verified(abi::verify, name.as_bytes(), id.as_bytes(), data, signature)
}

/// Checks a signature with a public key in the text of a JWK. The algorithm (RS256, PS384, ES512, EdDSA, ...)
/// is the caller's, and the JWK must fit it: symmetric, private and weak keys, and those for another use,
/// are [`CryptoError::BadArgument`]. The host parses a key once, so its text can be shown again and again.
pub fn verify_with(
    algorithm: &str,
    jwk: &[u8],
    data: &[u8],
    signature: &[u8],
) -> Result<(), CryptoError> {
    verified(abi::verify_with, algorithm.as_bytes(), jwk, data, signature)
}

type Verify = unsafe extern "C" fn(
    *const u8,
    usize,
    *const u8,
    usize,
    *const u8,
    usize,
    *const u8,
    usize,
) -> u32;

fn verified(
    call: Verify,
    first: &[u8],
    second: &[u8],
    data: &[u8],
    signature: &[u8],
) -> Result<(), CryptoError> {
    // SAFETY: all outlive the call.
    check(unsafe {
        call(
            first.as_ptr(),
            first.len(),
            second.as_ptr(),
            second.len(),
            data.as_ptr(),
            data.len(),
            signature.as_ptr(),
            signature.len(),
        )
    })
}

/// What [`verify_with`] would say of the algorithm and the key.
pub fn check_jwk(algorithm: &str, jwk: &[u8]) -> Result<(), CryptoError> {
    // SAFETY: both outlive the call.
    check(unsafe { abi::check_jwk(algorithm.as_ptr(), algorithm.len(), jwk.as_ptr(), jwk.len()) })
}

/// Checks a password against a hash of bcrypt (`$2b$12$...`) or argon2id (`$argon2id$v=19$m=65536,t=3,p=4$...`).
pub fn password_verify(hash: &str, password: &[u8]) -> Result<(), CryptoError> {
    // SAFETY: both outlive the call.
    check(unsafe {
        abi::password_verify(hash.as_ptr(), hash.len(), password.as_ptr(), password.len())
    })
}

fn check(status: u32) -> Result<(), CryptoError> {
    Err(match status {
        0 => return Ok(()),
        1 => CryptoError::NotFound,
        5 => CryptoError::NotGranted,
        7 => CryptoError::Timeout,
        8 => CryptoError::TooLarge,
        9 => CryptoError::Busy,
        11 => CryptoError::NoRoom,
        13 => CryptoError::Mismatch,
        10 => CryptoError::Failed,
        _ => CryptoError::BadArgument,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, Key, fake_signature};

    fn host() -> Host {
        let mut host = Host::new("GET", "/");
        host.keys = vec![
            Key::new("data", "XAES-256-GCM", &["old", "new"], &["seal", "open"]),
            Key::new("jwt", "HS256", &["one"], &["verify"]),
        ];
        host
    }

    #[test]
    fn what_is_sealed_opens_with_its_context_alone() {
        host().during(|| {
            let sealed = seal("data", b"text", b"context").unwrap();
            assert_eq!(sealed_with(&sealed), Some("new"));
            assert_eq!(open("data", &sealed, b"context").as_deref(), Ok(&b"text"[..]));
            assert_eq!(open("data", &sealed, b"other"), Err(CryptoError::Mismatch));
            assert_eq!(open("data", b"text", b""), Err(CryptoError::BadArgument));
            let mut gone = sealed;
            gone[2] = b'N';
            assert_eq!(open("data", &gone, b"context"), Err(CryptoError::NotFound));
            assert_eq!(seal("jwt", b"text", b""), Err(CryptoError::NotGranted));
            assert_eq!(seal("none", b"text", b""), Err(CryptoError::NotGranted));
        });
    }

    #[test]
    fn sealed_with_reads_no_other_form() {
        for other in [&b""[..], b"\x01", b"\x02\x01a", b"\x01\x00", b"\x01\x02a", b"\x01\x01\xff"] {
            assert_eq!(sealed_with(other), None, "{other:?}");
        }
        assert_eq!(sealed_with(&[&[1, 65][..], &[b'a'; 65]].concat()), None);
    }

    #[test]
    fn signatures_are_those_of_the_key() {
        host().during(|| {
            let signature = fake_signature("HS256", b"one", b"data");
            assert_eq!(verify("jwt", "one", b"data", &signature), Ok(()));
            assert_eq!(verify("jwt", "", b"data", &signature), Ok(()));
            assert_eq!(verify("jwt", "two", b"data", &signature), Err(CryptoError::NotFound));
            assert_eq!(verify("jwt", "", b"date", &signature), Err(CryptoError::Mismatch));
            assert_eq!(sign("jwt", b"data"), Err(CryptoError::NotGranted));
            let jwk = br#"{"kty":"RSA"}"#;
            let signature = fake_signature("RS256", jwk, b"data");
            assert_eq!(verify_with("RS256", jwk, b"data", &signature), Ok(()));
            assert_eq!(verify_with("PS256", jwk, b"data", &signature), Err(CryptoError::Mismatch));
            assert_eq!(check_jwk("RS256", jwk), Ok(()));
            assert_eq!(check_jwk("RS256", b"jwk"), Err(CryptoError::BadArgument));
            assert_eq!(
                (key_id("jwt").as_deref(), algorithm("jwt").as_deref()),
                (Some("one"), Some("HS256"))
            );
            assert_eq!((key_id("none"), algorithm("none")), (None, None));
        });
    }

    #[test]
    fn digests_differ_by_data_and_kind() {
        host().during(|| {
            assert_eq!(digest(Digest::Sha256, b"a").unwrap().len(), 32);
            assert_eq!(digest(Digest::Sha512, b"a").unwrap().len(), 64);
            assert_eq!(digest(Digest::Sha384, b"a"), digest(Digest::Sha384, b"a"));
            assert_ne!(digest(Digest::Sha384, b"a"), digest(Digest::Sha384, b"b"));
            assert!(equal(b"a", b"a") && !equal(b"a", b"b") && !equal(b"a", b""));
        });
    }

    #[test]
    fn passwords() {
        host().during(|| {
            assert_eq!(password_verify("fake:hush", b"hush"), Ok(()));
            assert_eq!(password_verify("fake:hush", b"hash"), Err(CryptoError::Mismatch));
            assert_eq!(password_verify("$1$hush", b"hush"), Err(CryptoError::BadArgument));
        });
    }
}
