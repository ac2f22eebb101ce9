//! The configuration, checked and made ready.

use ergo_sdk::{Config, ConfigError, Node, Object, crypto};

use crate::automaton::Automaton;
use crate::path::Path;
use crate::token;

/// Most paths of one direction.
const MAX_PATHS: usize = 64;

/// Most things that values are bound to.
const MAX_SOURCES: usize = 16;

/// Bounds of what waits until it was looked at.
const MAX_HOLD: u32 = 256 << 10;
const HOLD: usize = 64 << 10;

/// Bounds of one value.
const MAX_VALUE: u32 = 256 << 10;
const VALUE: usize = 64 << 10;

/// What an encrypted value has beside its three bytes for two: form, id, nonce, tag, and some room.
const OVERHEAD: usize = 256;

/// The algorithm by which the same value becomes the same bytes.
const DETERMINISTIC: &str = "AES-256-SIV";

/// The policy, as configured.
pub struct Settings {
    pub context: Vec<Source>,
    pub request: Option<Direction>,
    pub response: Option<Direction>,
}

/// What values are bound to, so that one made for somebody is refused from everybody else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    Subject,
    Attribute(String),
    Header(String),
    Host,
    Path,
    Text(String),
}

/// What happens to the requests, or to the responses.
pub struct Direction {
    pub automaton: Automaton,
    pub fields: Vec<Field>,
    pub hold: usize,
    pub value_bytes: usize,
    pub pass_other: bool,
    pub pass_unencrypted: bool,
    pub store: bool,
}

/// What happens to the values that one path selects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    pub encrypt: bool,
    pub key: String,
    pub name: String,
}

impl Settings {
    /// Checks a configuration, and that its keys can do what it asks of them.
    pub fn configure(config: &Config) -> Result<Settings, ConfigError> {
        let mut object = config.object()?;
        let key = object.text("key")?.map(str::to_owned);
        let value_bytes = match object.optional("value_bytes") {
            Some(node) => node.integer(1, MAX_VALUE)? as usize,
            None => VALUE,
        };
        let context = match object.optional("context") {
            Some(node) => sources(&node)?,
            None => Vec::new(),
        };
        let mut directions = [None, None];
        for (name, made) in ["request", "response"].into_iter().zip(&mut directions) {
            if let Some(node) = object.optional(name) {
                let is_response = name == "response";
                *made = Some(direction(&node, key.as_deref(), value_bytes, is_response)?);
            }
        }
        let [request, response] = directions;
        if request.is_none() && response.is_none() {
            return Err(object.error("says neither request nor response: what is to be done?"));
        }
        object.finish()?;
        Ok(Settings { context, request, response })
    }
}

impl Direction {
    /// Most bytes that a selected value has as it comes.
    pub fn most(&self) -> usize {
        match self.fields.iter().all(|field| field.encrypt) {
            true => self.value_bytes,
            false => self.value_bytes.div_ceil(3) * 4 + OVERHEAD,
        }
    }
}

fn sources(node: &Node<'_>) -> Result<Vec<Source>, ConfigError> {
    let sources = node.map(|node| {
        let text = node.text()?;
        match text.split_once(':').unwrap_or((text, "")) {
            ("subject", "") => Ok(Source::Subject),
            ("host", "") => Ok(Source::Host),
            ("path", "") => Ok(Source::Path),
            ("attribute", name) if !name.is_empty() => Ok(Source::Attribute(name.to_owned())),
            ("text", text) if !text.is_empty() => Ok(Source::Text(text.to_owned())),
            ("header", name) => match ergo_sdk::header_name(name) {
                Some(name) => Ok(Source::Header(name)),
                None => Err(node.error("expected the name of a header field behind header:")),
            },
            _ => Err(node
                .error("expected subject, attribute:NAME, header:NAME, host, path or text:TEXT")),
        }
    })?;
    match sources.len() {
        0..=MAX_SOURCES => Ok(sources),
        _ => Err(node.error(format!("expected at most {MAX_SOURCES}"))),
    }
}

fn direction(
    node: &Node<'_>,
    key: Option<&str>,
    value_bytes: usize,
    is_response: bool,
) -> Result<Direction, ConfigError> {
    let mut object = node.object()?;
    let (mut paths, mut fields) = (Vec::new(), Vec::new());
    for (name, encrypt) in [("encrypt", true), ("decrypt", false)] {
        let Some(list) = object.optional(name) else { continue };
        for node in list.list()? {
            let (path, made) = field(&node, key, encrypt)?;
            paths.push(path);
            fields.push(made);
        }
    }
    if paths.is_empty() || paths.len() > MAX_PATHS {
        return Err(
            object.error(format!("expected from one to {MAX_PATHS} paths in encrypt and decrypt"))
        );
    }
    let automaton = Automaton::compile(&paths).map_err(|problem| object.error(problem))?;
    let clash = |&(a, b): &(usize, usize)| fields[a].encrypt != fields[b].encrypt;
    if let Some((a, b)) = automaton.overlaps().find(clash) {
        let (a, b) = (&paths[a], &paths[b]);
        return Err(
            object.error(format!("{a} and {b} select the same value: encrypt it or decrypt it?"))
        );
    }
    let encrypts = fields.iter().any(|field| field.encrypt);
    let made = Direction {
        automaton,
        fields,
        value_bytes,
        hold: match object.optional("hold") {
            Some(node) => node.integer(0, MAX_HOLD)? as usize,
            None => HOLD,
        },
        pass_other: choice(&mut object, "other", !encrypts)?,
        pass_unencrypted: choice(&mut object, "unencrypted", false)?,
        store: is_response && object.flag("store")?,
    };
    object.finish()?;
    Ok(made)
}

/// Reads `"pass"` or `"refuse"`.
fn choice(object: &mut Object<'_>, name: &str, default: bool) -> Result<bool, ConfigError> {
    let Some(node) = object.optional(name) else { return Ok(default) };
    match node.text()? {
        "pass" => Ok(true),
        "refuse" => Ok(false),
        _ => Err(node.error("expected pass or refuse")),
    }
}

/// Reads a path, alone or with what differs from the defaults.
fn field(node: &Node<'_>, key: Option<&str>, encrypt: bool) -> Result<(Path, Field), ConfigError> {
    if node.text().is_ok() {
        return made(node, node, None, key, false, encrypt);
    }
    let mut object = node.object()?;
    let path = object.required("path")?;
    let name = object.text("name")?;
    let key = object.text("key")?.or(key);
    let deterministic = object.flag("deterministic")?;
    let made = made(node, &path, name, key, deterministic, encrypt)?;
    object.finish()?;
    Ok(made)
}

fn made(
    node: &Node<'_>,
    path: &Node<'_>,
    name: Option<&str>,
    key: Option<&str>,
    deterministic: bool,
    encrypt: bool,
) -> Result<(Path, Field), ConfigError> {
    let parsed = Path::parse(path.text()?).map_err(|problem| path.error(problem))?;
    let key = key.ok_or_else(|| node.error("has no key: say one here or for all"))?;
    check_key(key, deterministic, encrypt).map_err(|problem| node.error(problem))?;
    let name = name.map_or_else(|| parsed.to_string(), str::to_owned);
    if name.is_empty() {
        return Err(node.error("has a name without letters"));
    }
    Ok((parsed, Field { encrypt, key: key.to_owned(), name }))
}

/// A key has to be there, of the kind that was asked for, and granted for what it is to do.
fn check_key(key: &str, deterministic: bool, encrypt: bool) -> Result<(), String> {
    let (Some(id), Some(algorithm)) = (crypto::key_id(key), crypto::algorithm(key)) else {
        return Err(format!("key {key} is not granted: name it in the policy's keys"));
    };
    if !token::is_id(id.as_bytes()) {
        return Err(format!(
            "key {key} has version {id}: expected up to 64 letters, digits, '.', '_' or '-'"
        ));
    }
    if deterministic != (algorithm == DETERMINISTIC) {
        return Err(match deterministic {
            true => {
                format!("deterministic needs a key of {DETERMINISTIC}, {key} is of {algorithm}")
            }
            false => format!(
                "key {key} of {DETERMINISTIC} makes the same of the same value: write deterministic = true if that is meant"
            ),
        });
    }
    let (usage, tried) = match encrypt {
        true => ("seal", crypto::seal(key, b"", b"").err()),
        false => ("open", crypto::open(key, b"", b"").err()),
    };
    match tried {
        Some(crypto::CryptoError::NotGranted) => {
            Err(format!("key {key} is not granted for this: it needs use = [\"{usage}\"]"))
        }
        _ => Ok(()),
    }
}
