//! Lets a request pass only with a token that an issuer has signed. See README.md.

mod algorithm;
mod cache;
mod claim;
mod denial;
mod issuer;
mod keys;
mod outcome;
mod places;
mod remote;
#[cfg(test)]
mod tests;
mod time;
mod token;

use std::sync::Arc;

use ergo_sdk::json::Value;
use ergo_sdk::{Config, ConfigError, Flow, Node, Object, Policy, Request};
use ergo_sdk::{clock, crypto};

use cache::{Cache, TokenDigest, Verified};
use claim::Requirement;
use denial::{Challenge, Denial};
use issuer::Issuer;
use outcome::{Outcome, Outputs};
use places::Places;
use time::Clock;
use token::Token;

const DEFAULT_MAX_TOKEN_BYTES: u32 = 8192;
const DEFAULT_CACHED: u32 = 256;

/// A hundred years.
const LONGEST_MS: u64 = 3_155_760_000_000;

/// The policy, as configured.
pub struct Jwt {
    issuers: Vec<Issuer>,
    places: Places,
    optional: bool,
    forward_token: bool,
    max_token_bytes: usize,
    clock: Clock,
    /// Types of tokens that are taken, besides those without one.
    types: Vec<String>,
    untyped: bool,
    scopes: Vec<String>,
    requirements: Vec<Requirement>,
    outputs: Outputs,
    challenge: Challenge,
    cache: Cache,
}

impl Policy for Jwt {
    fn configure(config: &Config) -> Result<Self, ConfigError> {
        let mut object = config.object()?;
        let list = object.required("issuers")?;
        let issuers = list.map(Issuer::configure)?;
        if issuers.is_empty() {
            return Err(list.error("expected at least one issuer"));
        }
        for (index, issuer) in issuers.iter().enumerate() {
            if issuers[..index].iter().any(|other| other.name == issuer.name) {
                return Err(list.error(format!("has {} twice", issuer.name)));
            }
        }
        let types =
            object.optional("types").map(|node| node.map(|node| node.text())).transpose()?;
        let scopes = scopes(&mut object)?;
        let places = match object.optional("from") {
            Some(node) => Places::configure(&node)?,
            None => Places::bearer(),
        };
        let policy = Jwt {
            issuers,
            optional: object.flag("optional")?,
            forward_token: object.flag("forward_token")?,
            max_token_bytes: number(
                &mut object,
                "max_token_bytes",
                64,
                65_536,
                DEFAULT_MAX_TOKEN_BYTES,
            )?,
            clock: Clock {
                leeway: seconds(object.optional("leeway"))?.unwrap_or(30),
                max_age: seconds(object.optional("max_age"))?,
            },
            untyped: types.is_none(),
            types: types
                .unwrap_or(vec!["jwt", "at+jwt"])
                .into_iter()
                .map(token::short_type)
                .collect(),
            requirements: match object.optional("require") {
                Some(node) => node.map(Requirement::configure)?,
                None => vec![],
            },
            outputs: Outputs::configure(&mut object, &places)?,
            places,
            challenge: Challenge { start: challenge(&mut object)?, scope: scopes.join(" ") },
            scopes,
            cache: Cache::new(number(&mut object, "cache", 0, 10_000, DEFAULT_CACHED)?),
        };
        object.finish()?;
        Ok(policy)
    }

    fn request(&self, request: &Request) -> Flow {
        self.outputs.strip(request);
        match self.admit(request) {
            Ok(()) => Flow::Continue,
            Err(denial) => self.challenge.answer(request, denial),
        }
    }
}

impl Jwt {
    fn admit(&self, request: &Request) -> Result<(), Denial> {
        let Some(found) = self.places.find(request)? else {
            return if self.optional { Ok(()) } else { Err(Denial::Missing) };
        };
        if found.token.len() > self.max_token_bytes {
            return Err(Denial::Invalid("the token is too long"));
        }
        let outcome = self.check(&found.token, clock::now().as_millis() as u64)?;
        self.outputs.apply(&outcome, request)?;
        if !self.forward_token {
            found.strip(request);
        }
        Ok(())
    }

    fn check(&self, text: &[u8], now_ms: u64) -> Result<Arc<Outcome>, Denial> {
        if !self.cache.is_used() {
            return self.verify(text, now_ms).map(|verified| verified.outcome);
        }
        let digest = crypto::digest(crypto::Digest::Sha256, text).unwrap_or_default();
        let digest: TokenDigest =
            digest.try_into().map_err(|_| Denial::Unavailable("no digest"))?;
        let known = self.cache.get(&digest).filter(|known| {
            known.ends > now_ms / 1000
                && self.issuers[known.issuer].generation(now_ms) == Some(known.generation)
        });
        if let Some(known) = known {
            return Ok(known.outcome);
        }
        let verified = Verified { digest, ..self.verify(text, now_ms)? };
        let outcome = verified.outcome.clone();
        self.cache.put(verified);
        Ok(outcome)
    }

    /// Everything that has to be true of a token. Until its signature is verified only its issuer's name is
    /// read, to know whose keys to verify it by.
    fn verify(&self, text: &[u8], now_ms: u64) -> Result<Verified, Denial> {
        let token = Token::parse(text)?;
        let name = token.claims.get("iss").and_then(Value::as_text);
        let issuer = self.issuers.iter().position(|issuer| Some(issuer.name.as_str()) == name);
        let issuer = issuer.ok_or(Denial::Invalid("the issuer is not known"))?;
        let generation = self.issuers[issuer].verify(&token, now_ms)?;
        let typed = token.kind.as_ref().map_or(self.untyped, |kind| self.types.contains(kind));
        if !typed {
            return Err(Denial::Invalid("the token is of another type"));
        }
        self.issuers[issuer].check_audience(&token.claims)?;
        let ends = self.clock.check(&token.claims, now_ms / 1000)?;
        if !claim::has_scopes(&token.claims, &self.scopes) {
            return Err(Denial::Forbidden("a scope is missing"));
        }
        if !self.requirements.iter().all(|requirement| requirement.holds(&token.claims)) {
            return Err(Denial::Forbidden("a claim is missing or another"));
        }
        let outcome = Arc::new(self.outputs.of(&token.claims)?);
        Ok(Verified { digest: [0; 32], issuer, generation, ends, outcome })
    }
}

fn number(
    object: &mut Object,
    key: &str,
    min: u32,
    max: u32,
    otherwise: u32,
) -> Result<usize, ConfigError> {
    let node = object.optional(key);
    Ok(node.map_or(Ok(otherwise), |node| node.integer(min, max))? as usize)
}

fn seconds(node: Option<Node>) -> Result<Option<u64>, ConfigError> {
    node.map(|node| node.milliseconds(LONGEST_MS))
        .transpose()
        .map(|time| time.map(|time| time / 1000))
}

/// Scopes have neither spaces nor quotes (RFC 6749 section 3.3).
fn scopes(object: &mut Object) -> Result<Vec<String>, ConfigError> {
    let Some(node) = object.optional("scopes") else { return Ok(vec![]) };
    node.map(|node| {
        let text = node.text()?;
        let letters = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
        match !text.is_empty() && text.bytes().all(letters) {
            true => Ok(text.to_owned()),
            false => Err(node.error("expected a scope: letters without spaces and quotes")),
        }
    })
}

fn challenge(object: &mut Object) -> Result<String, ConfigError> {
    let mut quoted = |key: &str| match object.optional(key) {
        None => Ok(None),
        Some(node) if node.header_value()?.contains(['"', '\\']) => {
            Err(node.error("expected text without quotes and backslashes"))
        }
        Some(node) => node.header_value().map(Some),
    };
    let start = format!("Bearer realm=\"{}\"", quoted("realm")?.unwrap_or("api"));
    Ok(match quoted("resource_metadata")? {
        Some(url) => format!("{start}, resource_metadata=\"{url}\""),
        None => start,
    })
}

ergo_sdk::policy!(Jwt);
