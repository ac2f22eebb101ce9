use super::{CryptoError, check, output};
use crate::abi;

/// A key for the content of one message, as JSON Web Encryption (RFC 7516) has it: the host has it, under
/// a handle, and ends it when this is dropped, or with the exchange. An instance has at most 16.
#[derive(Debug)]
pub struct ContentKey {
    handle: u32,
}

/// What a message carries beside its content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wrapped {
    /// The encrypted key; empty with direct use or agreement.
    pub encrypted: Vec<u8>,
    /// The sender's public key of an agreement, the text of a JWK; else empty.
    pub epk: Vec<u8>,
}

/// What an agreement of keys takes from a message's header, as it stands there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Agreement<'a> {
    /// The text of a JWK.
    pub epk: &'a [u8],
    /// Who sends, in base64url.
    pub apu: &'a str,
    /// Who receives, in base64url.
    pub apv: &'a str,
}

/// Room for an encrypted key and a public one.
const WRAPPED: usize = 2048;

/// What nonce, padding and tag add to content at most.
const CONTENT_OVERHEAD: usize = 16 + 16 + 32;

impl ContentKey {
    /// Makes a key for content and protects it with the primary version of the named key. `enc` is how
    /// content will be encrypted: `A256GCM`, `A128CBC-HS256` and the like.
    pub fn wrap_new(name: &str, enc: &str) -> Result<(Self, Wrapped), CryptoError> {
        let mut handle = 0;
        let wrapped = wrap(name, enc, &mut handle)?;
        Ok((ContentKey { handle }, wrapped))
    }

    /// Protects the key for one more recipient.
    pub fn wrap(&self, name: &str, enc: &str) -> Result<Wrapped, CryptoError> {
        wrap(name, enc, &mut { self.handle })
    }

    /// The key for content that a message carries, by the version of that id or, with an empty one, by any.
    pub fn unwrap(
        name: &str,
        id: &str,
        enc: &str,
        encrypted: &[u8],
        agreement: Agreement,
    ) -> Result<Self, CryptoError> {
        let joined =
            [agreement.epk, b"\0", agreement.apu.as_bytes(), b"\0", agreement.apv.as_bytes()]
                .concat();
        let mut handle = 0;
        // SAFETY: all outlive the call, and `handle` has room for what is written.
        check(unsafe {
            abi::unwrap(
                name.as_ptr(),
                name.len(),
                id.as_ptr(),
                id.len(),
                enc.as_ptr(),
                enc.len(),
                encrypted.as_ptr(),
                encrypted.len(),
                joined.as_ptr(),
                joined.len(),
                &mut handle,
            )
        })?;
        Ok(ContentKey { handle })
    }

    /// Encrypts content: nonce, ciphertext and tag, in this order and without a seam.
    pub fn encrypt(&self, content: &[u8], associated: &[u8]) -> Result<Vec<u8>, CryptoError> {
        output(content.len() + CONTENT_OVERHEAD, |buf, limit, length| {
            // SAFETY: `buf` has room for `limit` bytes; all else outlives the call.
            unsafe {
                abi::encrypt(
                    self.handle,
                    content.as_ptr(),
                    content.len(),
                    associated.as_ptr(),
                    associated.len(),
                    buf,
                    limit,
                    length,
                )
            }
        })
    }

    /// The content of a message.
    pub fn decrypt(
        &self,
        nonce: &[u8],
        ciphertext: &[u8],
        tag: &[u8],
        associated: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        output(ciphertext.len(), |buf, limit, length| {
            // SAFETY: `buf` has room for `limit` bytes; all else outlives the call.
            unsafe {
                abi::decrypt(
                    self.handle,
                    nonce.as_ptr(),
                    nonce.len(),
                    ciphertext.as_ptr(),
                    ciphertext.len(),
                    tag.as_ptr(),
                    tag.len(),
                    associated.as_ptr(),
                    associated.len(),
                    buf,
                    limit,
                    length,
                )
            }
        })
    }
}

impl Drop for ContentKey {
    fn drop(&mut self) {
        // SAFETY: no memory is shared. That there is no such key any more is no matter.
        unsafe { abi::drop_key(self.handle) };
    }
}

fn wrap(name: &str, enc: &str, handle: &mut u32) -> Result<Wrapped, CryptoError> {
    let out = output(WRAPPED, |buf, limit, length| {
        // SAFETY: `buf` has room for `limit` bytes; all else outlives the call.
        unsafe {
            abi::wrap(
                name.as_ptr(),
                name.len(),
                enc.as_ptr(),
                enc.len(),
                handle,
                buf,
                limit,
                length,
            )
        }
    })?;
    let (length, rest) = out.split_at_checked(2).ok_or(CryptoError::Failed)?;
    let length = u16::from_le_bytes([length[0], length[1]]);
    let (epk, encrypted) = rest.split_at_checked(length.into()).ok_or(CryptoError::Failed)?;
    Ok(Wrapped { encrypted: encrypted.to_vec(), epk: epk.to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, Key};

    #[test]
    fn what_is_encrypted_is_decrypted_by_what_was_wrapped() {
        let mut host = Host::new("GET", "/");
        host.keys = vec![
            Key::new("kw", "A256KW", &["old", "new"], &["wrap", "unwrap"]),
            Key::new("ec", "ECDH-ES", &["one"], &["unwrap", "wrap"]),
            Key::new("to", "A256KW", &["one"], &["wrap"]),
        ];
        host.during(|| {
            for name in ["kw", "ec"] {
                let (key, wrapped) = ContentKey::wrap_new(name, "A256GCM").unwrap();
                assert_eq!(wrapped.encrypted.is_empty(), name == "ec");
                assert_eq!(wrapped.epk.is_empty(), name != "ec");
                let out = key.encrypt(b"content", b"header").unwrap();
                let (nonce, rest) = out.split_at(12);
                let (ciphertext, tag) = rest.split_at(rest.len() - 16);
                let agreement = Agreement { epk: &wrapped.epk, ..Agreement::default() };
                let unwrap =
                    |id| ContentKey::unwrap(name, id, "A256GCM", &wrapped.encrypted, agreement);
                let again = unwrap("").unwrap();
                let content = again.decrypt(nonce, ciphertext, tag, b"header");
                assert_eq!(content.as_deref(), Ok(&b"content"[..]));
                let other = again.decrypt(nonce, ciphertext, tag, b"Header");
                assert_eq!(other, Err(CryptoError::Mismatch));
                assert_eq!(unwrap("none").err(), Some(CryptoError::NotFound));
            }
            let (key, _) = ContentKey::wrap_new("kw", "A256GCM").unwrap();
            assert!(key.wrap("to", "A256GCM").is_ok());
            assert_eq!(key.wrap("none", "A256GCM"), Err(CryptoError::NotGranted));
            let refused = ContentKey::unwrap("to", "", "A256GCM", b"", Agreement::default());
            assert_eq!(refused.err(), Some(CryptoError::NotGranted));
        });
        assert_eq!(host.open_keys(), 0);
    }
}
