//! The configuration: what becomes of bodies in each direction.

use ergo_sdk::{Config, ConfigError, Node};
use ergo_sdk::crypto;

/// What becomes of bodies in one direction.
pub enum Work {
    /// Nothing.
    Pass,
    /// They are decrypted.
    Decrypt(Decrypt),
    /// They are encrypted.
    Encrypt(Encrypt),
}

/// How bodies are decrypted.
pub struct Decrypt {
    /// By which of these keys.
    pub keys: Vec<Key>,
    /// Algorithms for content that may be asked for.
    pub enc: Vec<String>,
    /// Whether bodies that are not encrypted are refused.
    pub required: bool,
    /// The content type of what says none.
    pub content_type: String,
}

/// How bodies are encrypted.
pub struct Encrypt {
    /// For whom.
    pub keys: Vec<Key>,
    /// The algorithm for content.
    pub enc: String,
    /// As JSON, not compact.
    pub json: bool,
}

/// A key of the policy's in the manifest.
pub struct Key {
    /// By which the policy knows it.
    pub name: String,
    /// What messages call it; else they name the version.
    pub kid: Option<String>,
    /// Of the manifest.
    pub algorithm: String,
    /// Of the primary version.
    pub id: String,
}

impl Key {
    /// What `alg` calls its algorithm: a key for content itself is used directly.
    pub fn alg(&self) -> &str {
        if sizes(&self.algorithm).is_some() { "dir" } else { &self.algorithm }
    }

    /// Whether a message has one recipient with it.
    fn is_direct(&self) -> bool {
        matches!(self.alg(), "dir" | "ECDH-ES")
    }
}

/// The lengths of nonce and tag of an algorithm for content.
pub fn sizes(enc: &str) -> Option<(usize, usize)> {
    Some(match enc {
        "A128GCM" | "A192GCM" | "A256GCM" => (12, 16),
        "A128CBC-HS256" => (16, 16),
        "A192CBC-HS384" => (16, 24),
        "A256CBC-HS512" => (16, 32),
        _ => return None,
    })
}

/// Algorithms that protect keys, beside direct use.
const WRAPPING: [&str; 9] = [
    "A128KW",
    "A192KW",
    "A256KW",
    "RSA-OAEP",
    "RSA-OAEP-256",
    "ECDH-ES",
    "ECDH-ES+A128KW",
    "ECDH-ES+A192KW",
    "ECDH-ES+A256KW",
];

/// The directions, request and response.
pub fn read(config: &Config) -> Result<[Work; 2], ConfigError> {
    let mut object = config.object()?;
    let request = work(object.optional("request"))?;
    let response = work(object.optional("response"))?;
    object.finish()?;
    Ok([request, response])
}

fn work(node: Option<Node>) -> Result<Work, ConfigError> {
    let Some(node) = node else { return Ok(Work::Pass) };
    let mut object = node.object()?;
    let work = match (object.optional("decrypt"), object.optional("encrypt")) {
        (Some(node), None) => Work::Decrypt(decrypt(&node)?),
        (None, Some(node)) => Work::Encrypt(encrypt(&node)?),
        _ => return Err(node.error("expected either decrypt or encrypt")),
    };
    object.finish()?;
    Ok(work)
}

fn decrypt(node: &Node) -> Result<Decrypt, ConfigError> {
    let mut object = node.object()?;
    let enc = match object.optional("enc") {
        Some(list) => list.map(|node| enc(&node))?,
        None => ["A128GCM", "A256GCM", "A128CBC-HS256"].map(str::to_owned).into(),
    };
    let settings = Decrypt {
        keys: keys(&object.required("keys")?)?,
        enc,
        required: match object.optional("required") {
            Some(node) => node.boolean()?,
            None => true,
        },
        content_type: match object.optional("content_type") {
            Some(node) => node.header_value()?.to_owned(),
            None => "application/octet-stream".into(),
        },
    };
    object.finish()?;
    Ok(settings)
}

fn encrypt(node: &Node) -> Result<Encrypt, ConfigError> {
    let mut object = node.object()?;
    let list = object.required("keys")?;
    let settings = Encrypt {
        keys: keys(&list)?,
        enc: match object.optional("enc") {
            Some(node) => enc(&node)?,
            None => "A256GCM".into(),
        },
        json: match object.text("serialization")? {
            None | Some("compact") => false,
            Some("json") => true,
            Some(_) => return Err(object.error("expected serialization compact or json")),
        },
    };
    object.finish()?;
    let many = settings.keys.len() > 1;
    if many && !settings.json {
        return Err(list.error("expected one key: the compact serialization has one recipient"));
    }
    for key in &settings.keys {
        if many && key.is_direct() {
            return Err(list.error(format!("expected no other key beside one of {}", key.algorithm)));
        }
        if key.alg() == "dir" && key.algorithm != settings.enc {
            return Err(list.error(format!("expected a key of {}, as enc says", settings.enc)));
        }
    }
    Ok(settings)
}

fn enc(node: &Node) -> Result<String, ConfigError> {
    match node.text()? {
        enc if sizes(enc).is_some() => Ok(enc.to_owned()),
        _ => Err(node.error("expected an algorithm for content, such as A256GCM")),
    }
}

fn keys(list: &Node) -> Result<Vec<Key>, ConfigError> {
    let keys = list.map(|node| key(&node))?;
    match keys.len() {
        1..=8 => Ok(keys),
        _ => Err(list.error("expected one to eight keys")),
    }
}

/// A name, or an object with a name and what messages call the key.
fn key(node: &Node) -> Result<Key, ConfigError> {
    if node.text().is_ok() {
        return granted(node, None);
    }
    let mut object = node.object()?;
    let kid = object.text("kid")?.map(str::to_owned);
    let key = granted(&object.required("name")?, kid)?;
    object.finish()?;
    Ok(key)
}

fn granted(node: &Node, kid: Option<String>) -> Result<Key, ConfigError> {
    let name = node.text()?.to_owned();
    let (Some(algorithm), Some(id)) = (crypto::algorithm(&name), crypto::key_id(&name)) else {
        return Err(node.error("expected a name of the policy's keys in the manifest"));
    };
    if !WRAPPING.contains(&algorithm.as_str()) && sizes(&algorithm).is_none() {
        return Err(node.error(format!("expected a key that wraps others, and it is of {algorithm}")));
    }
    Ok(Key { name, kid, algorithm, id })
}
