//! How an encrypted value is written: a JSON string `"efc1:KEY-ID:BASE64URL"`.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// What every encrypted value begins with: the name of the form, and its version.
const PREFIX: &[u8] = b"\"efc1:";

/// The first byte of what the host seals, which is followed by the length of the key's id.
const SEALED: u8 = 1;

/// Longest id of a key.
const MAX_ID: usize = 64;

/// Whether a JSON value claims to be encrypted.
pub fn is_token(value: &[u8]) -> bool {
    value.starts_with(PREFIX)
}

/// Appends sealed bytes as a JSON string. False says that they are not of the known form, or that the
/// key's id cannot be written without escapes.
pub fn write(sealed: &[u8], out: &mut Vec<u8>) -> bool {
    let Some((&[SEALED, length], rest)) = sealed.split_first_chunk() else { return false };
    let Some((id, rest)) = rest.split_at_checked(usize::from(length)) else { return false };
    if !is_id(id) {
        return false;
    }
    out.extend_from_slice(PREFIX);
    out.extend_from_slice(id);
    out.push(b':');
    out.extend_from_slice(URL_SAFE_NO_PAD.encode(rest).as_bytes());
    out.push(b'"');
    true
}

/// The sealed bytes of a JSON string, if it is an encrypted value. There is one spelling only.
pub fn read(value: &[u8]) -> Option<Vec<u8>> {
    let rest = value.strip_prefix(PREFIX)?.strip_suffix(b"\"")?;
    let colon = rest.iter().position(|&byte| byte == b':')?;
    let (id, text) = (&rest[..colon], &rest[colon + 1..]);
    if !is_id(id) {
        return None;
    }
    let mut sealed = vec![SEALED, id.len() as u8];
    sealed.extend_from_slice(id);
    URL_SAFE_NO_PAD.decode_vec(text, &mut sealed).ok()?;
    Some(sealed)
}

/// Whether a key's id can stand in an encrypted value.
pub fn is_id(id: &[u8]) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-".contains(byte);
    !id.is_empty() && id.len() <= MAX_ID && id.iter().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_and_reads_one_spelling() {
        let sealed = b"\x01\x072026-11\xfb\xff\x00rest";
        let mut out = b"x".to_vec();
        assert!(write(sealed, &mut out));
        assert_eq!(out, br#"x"efc1:2026-11:-_8AcmVzdA""#);
        assert!(is_token(&out[1..]));
        assert_eq!(read(&out[1..]).as_deref(), Some(&sealed[..]));
    }

    #[test]
    fn refuses_other_spellings() {
        for value in [
            r#""""#,
            "1",
            r#""efc1""#,
            r#""efc1:""#,
            r#""efc1:k""#,
            r#""efc1::AAAA""#,
            r#""efc2:k:AAAA""#,
            r#""EFC1:k:AAAA""#,
            r#""efc1:k:AAAA="#,
            r#""efc1:k:AA==""#,
            r#""efc1:k:AB""#, // bits that are no byte
            r#""efc1:k:A+/A""#,
            r#""efc1:k:A""#,
            r#""efc1:k:AAAA ""#,
            r#"" efc1:k:AAAA""#,
            r#""efc1:k k:AAAA""#,
            r#""efc1:k\u003aAAAA""#,
        ] {
            assert_eq!(read(value.as_bytes()), None, "{value}");
        }
        let long = format!(r#""efc1:{}:AAAA""#, "k".repeat(65));
        assert_eq!(read(long.as_bytes()), None);
    }

    #[test]
    fn does_not_write_what_it_could_not_read() {
        for sealed in
            [&b""[..], b"\x01", b"\x02\x01kx", b"\x01\x05k", b"\x01\x00x", b"\x01\x03k:kx"]
        {
            assert!(!write(sealed, &mut Vec::new()), "{sealed:?}");
        }
    }
}
