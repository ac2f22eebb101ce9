use ergo_sdk::base64;
use ergo_sdk::json::Value;

use crate::algorithm::{self, Algorithm};
use crate::denial::Denial;

/// A header has an algorithm, a key's name and a type; certificates do not belong to what is trusted.
const MAX_HEADER_BYTES: usize = 4096;
const MAX_KEY_ID_BYTES: usize = 256;

/// A signed token (RFC 7515 section 7.1) taken apart. Nothing in it is true before its signature is
/// verified.
pub struct Token<'a> {
    pub algorithm: &'static Algorithm,
    /// The name that the header gives the key: compared with names of keys, used for nothing else.
    pub key_id: Option<String>,
    /// The header's `typ`, in lower case and without `application/`.
    pub kind: Option<String>,
    /// What was signed.
    pub signed: &'a [u8],
    pub claims: Value,
    pub signature: Vec<u8>,
}

impl<'a> Token<'a> {
    /// Takes a token apart. It is refused unless there is one way to read it.
    pub fn parse(text: &'a [u8]) -> Result<Self, Denial> {
        let mut parts = text.split(|&byte| byte == b'.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Denial::Invalid("not three parts"));
        };
        if header.len() > MAX_HEADER_BYTES {
            return Err(Denial::Invalid("the header is too long"));
        }
        let header = object(header).ok_or(Denial::Invalid("the header is no JSON object"))?;
        let algorithm = algorithm(&header)?;
        let token = Token {
            algorithm,
            key_id: key_id(&header)?,
            kind: kind(&header)?,
            signed: &text[..text.len() - signature.len() - 1],
            claims: object(payload).ok_or(Denial::Invalid("the claims are no JSON object"))?,
            signature: base64::decode(signature)
                .ok_or(Denial::Invalid("the signature is not base64url"))?,
        };
        match algorithm.signature.contains(&token.signature.len()) {
            true => Ok(token),
            false => Err(Denial::Invalid("the signature has a wrong length")),
        }
    }
}

/// Reads one part that has to be an object.
fn object(part: &[u8]) -> Option<Value> {
    let value = Value::parse(&base64::decode(part)?).ok()?;
    matches!(value, Value::Object(_)).then_some(value)
}

/// The header's algorithm. What changes the meaning of the token is refused: extensions that have to be
/// understood, payloads that are not encoded, encryption, compression and tokens within tokens.
fn algorithm(header: &Value) -> Result<&'static Algorithm, Denial> {
    for name in ["crit", "b64", "enc", "zip"] {
        if header.get(name).is_some() {
            return Err(Denial::Invalid("the header has crit, b64, enc or zip"));
        }
    }
    match header.get("cty") {
        Some(content) if content.as_text().is_none_or(|content| short_type(content) == "jwt") => {
            return Err(Denial::Invalid("there is a token within the token"));
        }
        _ => {}
    }
    let name = header.get("alg").and_then(Value::as_text);
    name.and_then(algorithm::find).ok_or(Denial::Invalid("the algorithm is not known"))
}

fn key_id(header: &Value) -> Result<Option<String>, Denial> {
    match header.get("kid") {
        None => Ok(None),
        Some(Value::String(id)) if id.len() <= MAX_KEY_ID_BYTES => Ok(Some(id.clone())),
        Some(_) => Err(Denial::Invalid("the key id is no text, or too long")),
    }
}

fn kind(header: &Value) -> Result<Option<String>, Denial> {
    match header.get("typ") {
        None => Ok(None),
        Some(Value::String(kind)) => Ok(Some(short_type(kind))),
        Some(_) => Err(Denial::Invalid("the type is no text")),
    }
}

/// A media type as RFC 7515 section 4.1.9 shortens and compares it.
pub fn short_type(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    match name.strip_prefix("application/") {
        Some(short) => short.to_owned(),
        None => name,
    }
}
