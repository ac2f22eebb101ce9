use ergo_sdk::json::Value;
use ergo_sdk::{ConfigError, Node};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

const HASH_PREFIX: &str = "sha256:";

type Hash = [u8; 32];

/// The keys that let a request pass.
///
/// A lookup compares with every key and always to the end, so its time tells nothing about which key was
/// nearly right, or how nearly.
pub struct Keys {
    literals: Vec<(Vec<u8>, u32)>,
    hashes: Vec<(Hash, u32)>,
    /// Whom each key belongs to; the number beside a key is its index here.
    consumers: Vec<Option<String>>,
}

impl Keys {
    /// Reads the list of keys.
    pub fn configure(list: &Node) -> Result<Self, ConfigError> {
        let mut keys = Keys { literals: vec![], hashes: vec![], consumers: vec![] };
        let mut known: Vec<Hash> = Vec::new();
        for node in list.list()? {
            let hash = keys.add(&node)?;
            if known.contains(&hash) {
                return Err(node.error("is there twice"));
            }
            known.push(hash);
        }
        if known.is_empty() {
            return Err(list.error("expected at least one key"));
        }
        Ok(keys)
    }

    /// Adds the key of one element of the list, and returns its hash.
    fn add(&mut self, node: &Node) -> Result<Hash, ConfigError> {
        let index = self.consumers.len() as u32;
        let (node, consumer) = read_key(node)?;
        self.consumers.push(consumer);
        let key = node.text()?;
        if key.is_empty() {
            return Err(node.error("expected a key that is not empty"));
        }
        let Some(digits) = key.strip_prefix(HASH_PREFIX) else {
            self.literals.push((key.into(), index));
            return Ok(digest(key.as_bytes()));
        };
        let Some(hash) = parse_hash(digits) else {
            return Err(node.error("expected 64 hexadecimal digits after sha256:"));
        };
        self.hashes.push((hash, index));
        Ok(hash)
    }

    /// Looks for a key. `None` when it is not known, else the consumer that it belongs to, if any.
    pub fn find(&self, presented: &[u8]) -> Option<Option<&str>> {
        let mut found = Choice::from(0);
        let mut owner = 0;
        for (literal, index) in &self.literals {
            let same = same_text(presented, literal);
            owner.conditional_assign(index, same);
            found |= same;
        }
        if !self.hashes.is_empty() {
            let presented = digest(presented);
            for (hash, index) in &self.hashes {
                let same = hash.ct_eq(&presented);
                owner.conditional_assign(index, same);
                found |= same;
            }
        }
        bool::from(found).then(|| self.consumers[owner as usize].as_deref())
    }
}

/// Compares in a time that depends on the presented text alone: on a key of another length the same
/// work is done.
fn same_text(presented: &[u8], key: &[u8]) -> Choice {
    let fits = Choice::from(u8::from(presented.len() == key.len()));
    let other = if presented.len() == key.len() { key } else { presented };
    presented.ct_eq(other) & fits
}

/// An element of the list: a key, or a key with its consumer.
fn read_key<'a>(node: &Node<'a>) -> Result<(Node<'a>, Option<String>), ConfigError> {
    let Value::Object(_) = node.value() else {
        return Ok((node.clone(), None));
    };
    let mut object = node.object()?;
    let key = object.required("key")?;
    let consumer = match object.optional("consumer") {
        Some(node) if node.header_value()?.trim().is_empty() => {
            return Err(node.error("expected a name"));
        }
        Some(node) => Some(node.header_value()?.to_owned()),
        None => None,
    };
    object.finish()?;
    Ok((key, consumer))
}

fn digest(bytes: &[u8]) -> Hash {
    Sha256::digest(bytes).into()
}

fn parse_hash(digits: &str) -> Option<Hash> {
    let mut hash = Hash::default();
    if digits.len() != 2 * hash.len() {
        return None;
    }
    for (byte, pair) in hash.iter_mut().zip(digits.as_bytes().chunks(2)) {
        let [high, low] = [pair[0], pair[1]].map(|digit| char::from(digit).to_digit(16));
        *byte = (high? << 4 | low?) as u8;
    }
    Some(hash)
}
