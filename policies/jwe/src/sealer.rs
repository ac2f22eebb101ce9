//! Encrypting.

use ergo_sdk::base64;
use ergo_sdk::crypto::{ContentKey, CryptoError, Wrapped};
use ergo_sdk::json::Value;

use crate::settings::{Encrypt, Key, sizes};

/// Encrypts content, which is of that type if it has one, and returns the message.
pub fn seal(
    settings: &Encrypt,
    content: &[u8],
    content_type: Option<&str>,
) -> Result<Vec<u8>, CryptoError> {
    let (first, others) = settings.keys.split_first().ok_or(CryptoError::BadArgument)?;
    let (key, wrapped) = ContentKey::wrap_new(&first.name, &settings.enc)?;
    let mut wraps = vec![(first, wrapped)];
    for other in others {
        wraps.push((other, key.wrap(&other.name, &settings.enc)?));
    }
    let mut header = vec![member("enc", &settings.enc)];
    header.extend(content_type.map(|text| member("cty", text)));
    if others.is_empty() {
        header.extend(of_recipient(first, &wraps[0].1));
    }
    let protected = base64::encode(Value::Object(header).to_string().as_bytes());
    let out = key.encrypt(content, protected.as_bytes())?;
    let (nonce, tag) = sizes(&settings.enc).ok_or(CryptoError::BadArgument)?;
    let (nonce, rest) = out.split_at_checked(nonce).ok_or(CryptoError::Failed)?;
    let end = rest.len().checked_sub(tag).ok_or(CryptoError::Failed)?;
    let [nonce, ciphertext, tag] = [nonce, &rest[..end], &rest[end..]].map(base64::encode);
    if !settings.json {
        let encrypted = base64::encode(&wraps[0].1.encrypted);
        return Ok([protected, encrypted, nonce, ciphertext, tag].join(".").into_bytes());
    }
    let mut members = vec![member("protected", &protected)];
    if others.is_empty() {
        members.extend(encrypted_key(&wraps[0].1));
    } else {
        let recipients = wraps.iter().map(|(key, wrapped)| {
            let mut members = vec![("header".into(), Value::Object(of_recipient(key, wrapped)))];
            members.extend(encrypted_key(wrapped));
            Value::Object(members)
        });
        members.push(("recipients".into(), Value::Array(recipients.collect())));
    }
    members.extend([
        member("iv", &nonce),
        member("ciphertext", &ciphertext),
        member("tag", &tag),
    ]);
    Ok(Value::Object(members).to_string().into_bytes())
}

fn member(name: &str, text: &str) -> (String, Value) {
    (name.into(), Value::String(text.into()))
}

/// The parameters that are for one recipient.
fn of_recipient(key: &Key, wrapped: &Wrapped) -> Vec<(String, Value)> {
    let mut header =
        vec![member("alg", key.alg()), member("kid", key.kid.as_ref().unwrap_or(&key.id))];
    if let Ok(epk) = Value::parse(&wrapped.epk) {
        header.push(("epk".into(), epk));
    }
    header
}

fn encrypted_key(wrapped: &Wrapped) -> Option<(String, Value)> {
    let text = base64::encode(&wrapped.encrypted);
    (!text.is_empty()).then(|| member("encrypted_key", &text))
}
