//! Messages of JSON Web Encryption, compact and as JSON (RFC 7516, 7), as strangers send them.

use ergo_sdk::base64;
use ergo_sdk::json::Value;

use crate::refusal::Refusal;

/// The longest protected header, and additional data.
const MAX_HEADER: usize = 8 << 10;

/// The most recipients of a message.
const MAX_RECIPIENTS: usize = 16;

/// A message, decoded but not understood.
#[derive(Debug)]
pub struct Message {
    /// What is authenticated beside the content.
    pub associated: Vec<u8>,
    /// For whom it is; at least one.
    pub recipients: Vec<Recipient>,
    /// The nonce.
    pub nonce: Vec<u8>,
    /// The encrypted content.
    pub ciphertext: Vec<u8>,
    /// The tag.
    pub tag: Vec<u8>,
}

/// What a message has for one recipient.
#[derive(Debug)]
pub struct Recipient {
    /// The parameters of all its headers: no name is in two.
    header: Vec<(String, Value)>,
    /// The encrypted key.
    pub encrypted: Vec<u8>,
}

impl Recipient {
    /// A parameter of the header.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.header.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// A parameter that has to be text if it is there.
    pub fn text(&self, name: &str) -> Result<Option<&str>, Refusal> {
        self.get(name).map(|value| value.as_text().ok_or(Refusal::Malformed)).transpose()
    }
}

type Members = Vec<(String, Value)>;

impl Message {
    /// Reads a message in either serialization.
    pub fn parse(body: &[u8]) -> Result<Self, Refusal> {
        let body = body.trim_ascii();
        if body.first() == Some(&b'{') { Self::parse_json(body) } else { Self::parse_compact(body) }
    }

    fn parse_compact(body: &[u8]) -> Result<Self, Refusal> {
        let mut parts = body.split(|&byte| byte == b'.');
        let mut next = || parts.next().ok_or(Refusal::Malformed);
        let (protected, encrypted, nonce) = (next()?, next()?, next()?);
        let (ciphertext, tag) = (next()?, next()?);
        if parts.next().is_some() {
            return Err(Refusal::Malformed);
        }
        let header = read_protected(protected)?;
        Ok(Message {
            associated: protected.to_vec(),
            recipients: vec![Recipient { header, encrypted: decode(encrypted)? }],
            nonce: decode(nonce)?,
            ciphertext: decode(ciphertext)?,
            tag: decode(tag)?,
        })
    }

    /// The general serialization and, where `recipients` is missing, the flattened one.
    fn parse_json(body: &[u8]) -> Result<Self, Refusal> {
        let Ok(Value::Object(members)) = Value::parse(body) else {
            return Err(Refusal::Malformed);
        };
        let mut message = Json(members);
        let protected = message.text("protected")?.unwrap_or_default();
        let mut shared =
            if protected.is_empty() { Vec::new() } else { read_protected(protected.as_bytes())? };
        shared.extend(message.object("unprotected")?.unwrap_or_default());
        let recipients = match message.take("recipients") {
            None => vec![message.recipient(&shared)?],
            Some(_) if message.has("header") || message.has("encrypted_key") => {
                return Err(Refusal::Malformed);
            }
            Some(Value::Array(list)) if (1..=MAX_RECIPIENTS).contains(&list.len()) => list
                .into_iter()
                .map(|recipient| match recipient {
                    Value::Object(members) => Json(members).recipient(&shared),
                    _ => Err(Refusal::Malformed),
                })
                .collect::<Result<_, _>>()?,
            Some(_) => return Err(Refusal::Malformed),
        };
        let mut associated = protected.into_bytes();
        if let Some(aad) = message.text("aad")? {
            decode(aad.as_bytes())?;
            associated.push(b'.');
            associated.extend(aad.into_bytes());
        }
        if associated.len() > 2 * MAX_HEADER {
            return Err(Refusal::TooLarge);
        }
        Ok(Message {
            associated,
            recipients,
            nonce: message.bytes("iv")?,
            ciphertext: message.bytes("ciphertext")?,
            tag: message.bytes("tag")?,
        })
    }
}

/// The members of a JSON object, taken one by one. Others than those that are asked for mean nothing.
struct Json(Members);

impl Json {
    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(key, _)| key == name)
    }

    fn take(&mut self, name: &str) -> Option<Value> {
        let at = self.0.iter().position(|(key, _)| key == name)?;
        Some(self.0.swap_remove(at).1)
    }

    fn text(&mut self, name: &str) -> Result<Option<String>, Refusal> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(Refusal::Malformed),
        }
    }

    fn bytes(&mut self, name: &str) -> Result<Vec<u8>, Refusal> {
        decode(self.text(name)?.unwrap_or_default().as_bytes())
    }

    fn object(&mut self, name: &str) -> Result<Option<Members>, Refusal> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Object(members)) => Ok(Some(members)),
            Some(_) => Err(Refusal::Malformed),
        }
    }

    /// What stands for a recipient, beside the headers that all share.
    fn recipient(&mut self, shared: &Members) -> Result<Recipient, Refusal> {
        let mut header = shared.clone();
        header.extend(self.object("header")?.unwrap_or_default());
        let mut names: Vec<&str> = header.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        if names.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(Refusal::Malformed);
        }
        Ok(Recipient { header, encrypted: self.bytes("encrypted_key")? })
    }
}

fn read_protected(text: &[u8]) -> Result<Members, Refusal> {
    if text.len() > MAX_HEADER {
        return Err(Refusal::TooLarge);
    }
    match Value::parse(&decode(text)?) {
        Ok(Value::Object(members)) => Ok(members),
        _ => Err(Refusal::Malformed),
    }
}

fn decode(text: &[u8]) -> Result<Vec<u8>, Refusal> {
    base64::decode(text).ok_or(Refusal::Malformed)
}
