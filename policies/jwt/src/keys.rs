use ergo_sdk::crypto::{self, CryptoError};
use ergo_sdk::json::Value;

use crate::algorithm::{ALGORITHMS, Algorithm};
use crate::denial::Denial;
use crate::token::Token;

const MAX_KEYS: usize = 128;

/// Signatures are tried with so many keys at most: those of one name, or all of a kind if the token
/// names none.
const MAX_TRIES: usize = 4;

/// The public keys of a JWK Set (RFC 7517) that can verify signatures.
#[derive(Debug, PartialEq, Eq)]
pub struct KeySet {
    keys: Vec<Key>,
}

#[derive(Debug, PartialEq, Eq)]
struct Key {
    id: Option<String>,
    kind: String,
    curve: String,
    /// The one algorithm that the key is for, if it says so.
    algorithm: Option<String>,
    /// What the host needs of it.
    jwk: String,
}

impl KeySet {
    /// Reads a set. Keys that are not for signatures, are secret or of unknown kinds are left out, as
    /// RFC 7517 section 5 wants it; a set without any other is refused.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        let set = Value::parse(text)?;
        let Some(Value::Array(members)) = set.get("keys") else {
            return Err("expected a JWK Set: an object with the list \"keys\"".into());
        };
        if members.len() > MAX_KEYS {
            return Err(format!("there are more than {MAX_KEYS} keys"));
        }
        let keys: Vec<Key> = members.iter().filter_map(Key::read).collect();
        if keys.is_empty() {
            return Err("there is no public key for signatures".into());
        }
        Ok(KeySet { keys })
    }

    /// Whether some key may have made the token's signature.
    pub fn has(&self, token: &Token) -> bool {
        self.keys.iter().any(|key| key.fits(token))
    }

    /// Verifies the token's signature.
    pub fn verify(&self, token: &Token) -> Result<(), Denial> {
        for key in self.keys.iter().filter(|key| key.fits(token)).take(MAX_TRIES) {
            let name = token.algorithm.name;
            match crypto::verify_with(name, key.jwk.as_bytes(), token.signed, &token.signature) {
                Ok(()) => return Ok(()),
                Err(CryptoError::Busy | CryptoError::Timeout) => {
                    return Err(Denial::Unavailable("the host is busy with signatures"));
                }
                Err(_) => {}
            }
        }
        Err(Denial::Invalid("no key has made the signature"))
    }
}

impl Key {
    fn read(jwk: &Value) -> Option<Self> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_text);
        let meant = |name: &str, meaning: &str| match jwk.get(name) {
            None => true,
            Some(Value::String(text)) => text == meaning,
            Some(Value::Array(list)) => list.iter().any(|text| text.as_text() == Some(meaning)),
            Some(_) => false,
        };
        if !meant("use", "sig") || !meant("key_ops", "verify") || jwk.get("d").is_some() {
            return None;
        }
        let (kind, curve) = (text("kty")?, text("crv").unwrap_or_default());
        let members = match kind {
            "RSA" => &["kty", "n", "e"][..],
            "EC" | "OKP" => &["kty", "crv", "x", "y"][..],
            _ => return None,
        };
        let kept =
            members.iter().filter_map(|&name| Some((name.to_owned(), jwk.get(name)?.clone())));
        let key = Key {
            id: text("kid").map(str::to_owned),
            kind: kind.to_owned(),
            curve: if kind == "RSA" { String::new() } else { curve.to_owned() },
            algorithm: text("alg").map(str::to_owned),
            jwk: Value::Object(kept.collect()).to_string(),
        };
        let algorithm = ALGORITHMS.iter().find(|algorithm| key.is_for(algorithm))?;
        crypto::check_jwk(algorithm.name, key.jwk.as_bytes()).ok()?;
        Some(key)
    }

    /// The key binds the algorithm, not the token: its kind, its curve, and what it says it is for.
    fn is_for(&self, algorithm: &Algorithm) -> bool {
        self.kind == algorithm.kind
            && self.curve == algorithm.curve
            && self.algorithm.as_deref().is_none_or(|name| name == algorithm.name)
    }

    fn fits(&self, token: &Token) -> bool {
        self.is_for(token.algorithm) && (token.key_id.is_none() || self.id == token.key_id)
    }
}
