use std::sync::Arc;

use ergo_sdk::crypto::{self, CryptoError};
use ergo_sdk::json::Value;
use ergo_sdk::{ConfigError, Node};

use crate::algorithm::{self, ALGORITHMS, Algorithm};
use crate::denial::Denial;
use crate::keys::KeySet;
use crate::remote::Remote;
use crate::token::Token;

const DAY_MS: u64 = 86_400_000;

/// Who makes tokens, for whom, and what verifies them.
pub struct Issuer {
    pub name: String,
    /// Those that the tokens have to be for; `None` for any.
    audiences: Option<Vec<String>>,
    algorithms: Vec<&'static Algorithm>,
    keys: Keys,
}

enum Keys {
    /// A key of the manifest, which never comes here.
    Named(String),
    Given(KeySet),
    At(Remote),
}

impl Issuer {
    /// Reads one issuer.
    pub fn configure(node: Node) -> Result<Self, ConfigError> {
        let mut object = node.object()?;
        let name = object.required("issuer")?;
        let audiences = object.required("audiences")?.map(|node| node.text().map(str::to_owned))?;
        if name.text()?.is_empty() || audiences.is_empty() {
            return Err(object.error("expected an issuer and at least one audience"));
        }
        let listed = object.optional("algorithms");
        let set = object.optional("jwks");
        let url = object.optional("jwks_url");
        let key = object.optional("key");
        let (keys, possible) = match (set, url, key) {
            (Some(set), None, None) => {
                let parsed = KeySet::parse(set.text()?.as_bytes());
                (Keys::Given(parsed.map_err(|problem| set.error(problem))?), asymmetric())
            }
            (None, Some(url), None) => {
                let mut time = |name: &str, otherwise| match object.optional(name) {
                    Some(node) => node.milliseconds(30 * DAY_MS),
                    None => Ok(otherwise),
                };
                let (refresh, stale, pause) =
                    (time("refresh", 300_000)?, time("stale", DAY_MS)?, time("pause", 10_000)?);
                if pause < 1000 || refresh < pause {
                    return Err(object.error(
                        "expected a pause of 1s or more, and refresh to be as long or longer",
                    ));
                }
                (Keys::At(Remote::new(location(&url)?, refresh, stale, pause)), asymmetric())
            }
            (None, None, Some(key)) => {
                let algorithm = crypto::algorithm(key.text()?);
                let algorithm = algorithm.as_deref().and_then(algorithm::find);
                let problem = || {
                    key.error("the manifest grants no key of that name that verifies signatures")
                };
                (Keys::Named(key.text()?.to_owned()), vec![algorithm.ok_or_else(problem)?])
            }
            _ => return Err(object.error("expected one of jwks, jwks_url and key")),
        };
        object.finish()?;
        Ok(Issuer {
            name: name.text()?.to_owned(),
            audiences: Some(audiences).filter(|audiences| *audiences != ["*"]),
            algorithms: match listed {
                Some(list) => list.map(|node| chosen(&node, &possible))?,
                None => possible,
            },
            keys,
        })
    }

    /// Verifies a token's signature, and returns the generation of the keys that it was verified by.
    pub fn verify(&self, token: &Token, now_ms: u64) -> Result<u64, Denial> {
        if !self.algorithms.contains(&token.algorithm) {
            return Err(Denial::Invalid("the issuer does not use the algorithm"));
        }
        match &self.keys {
            Keys::Given(set) => set.verify(token).map(|()| 0),
            Keys::At(remote) => {
                let keys = remote.keys(now_ms, |set| set.has(token));
                let (set, generation): (Arc<KeySet>, u64) =
                    keys.ok_or(Denial::Unavailable("there are no keys of the issuer"))?;
                set.verify(token).map(|()| generation)
            }
            // The version of a key that a client names decides nothing: each is tried.
            Keys::Named(name) => match crypto::verify(name, "", token.signed, &token.signature) {
                Ok(()) => Ok(0),
                Err(CryptoError::Busy | CryptoError::Timeout) => {
                    Err(Denial::Unavailable("the host is busy with signatures"))
                }
                Err(_) => Err(Denial::Invalid("the key has not made the signature")),
            },
        }
    }

    /// The generation of the keys, if they may be used without a look at where they come from.
    pub fn generation(&self, now_ms: u64) -> Option<u64> {
        match &self.keys {
            Keys::At(remote) => remote.generation(now_ms),
            Keys::Given(_) | Keys::Named(_) => Some(0),
        }
    }

    /// Checks that a token is for one of ours (RFC 7519 section 4.1.3).
    pub fn check_audience(&self, claims: &Value) -> Result<(), Denial> {
        let Some(audiences) = &self.audiences else { return Ok(()) };
        let ours = |value: &Value| {
            value.as_text().is_some_and(|name| audiences.iter().any(|ours| ours == name))
        };
        let found = match claims.get("aud") {
            Some(Value::Array(list)) => list.iter().any(ours),
            Some(value) => ours(value),
            None => false,
        };
        if found { Ok(()) } else { Err(Denial::Invalid("the token is for somebody else")) }
    }
}

/// What public keys verify.
fn asymmetric() -> Vec<&'static Algorithm> {
    ALGORITHMS.iter().filter(|algorithm| algorithm.kind != "oct").collect()
}

fn chosen(node: &Node, possible: &[&'static Algorithm]) -> Result<&'static Algorithm, ConfigError> {
    let found = algorithm::find(node.text()?).filter(|found| possible.contains(found));
    found.ok_or_else(|| node.error("is no algorithm that these keys verify"))
}

/// A URL whose answer can be trusted to be the issuer's.
fn location(node: &Node) -> Result<String, ConfigError> {
    let url = node.text()?;
    let local = ["http://127.0.0.1", "http://[::1]", "http://localhost"];
    let is_local = local
        .iter()
        .any(|start| url.strip_prefix(start).is_some_and(|rest| rest.starts_with([':', '/'])));
    if is_local || url.starts_with("https://") || url.starts_with("upstream://") {
        return Ok(url.to_owned());
    }
    Err(node.error("expected https://, upstream://, or http:// to this host: keys that come openly can be replaced"))
}
