//! Decrypting.

use ergo_sdk::crypto::{Agreement, ContentKey};

use crate::message::{Message, Recipient};
use crate::refusal::Refusal;
use crate::settings::{Decrypt, Key};

/// The most keys that are tried for one message: a stranger must not choose how often RSA is asked.
const MAX_TRIES: usize = 8;

/// What was in a message.
#[derive(Debug, PartialEq, Eq)]
pub struct Opened {
    /// The content.
    pub content: Vec<u8>,
    /// Its content type, if the message says it.
    pub content_type: Option<String>,
}

/// Decrypts a message, for whichever recipient one of the keys is.
pub fn open(settings: &Decrypt, body: &[u8]) -> Result<Opened, Refusal> {
    let message = Message::parse(body)?;
    let mut why = Refusal::Malformed;
    let mut tries = 0;
    for recipient in &message.recipients {
        let wanted = match Wanted::read(settings, recipient) {
            Ok(wanted) => wanted,
            Err(refusal) => {
                why = why.max(refusal);
                continue;
            }
        };
        why = why.max(Refusal::Key);
        for (key, id) in settings.keys.iter().filter_map(|key| Some((key, wanted.version(key)?))) {
            tries += 1;
            if tries > MAX_TRIES {
                return Err(why);
            }
            match decrypt(&message, recipient, &wanted, &key.name, id) {
                Ok(content) => return Ok(Opened { content, content_type: wanted.content_type }),
                Err(refusal) => why = why.max(refusal),
            }
        }
    }
    Err(why)
}

/// What a header asks for.
struct Wanted<'a> {
    alg: &'a str,
    enc: &'a str,
    kid: Option<&'a str>,
    content_type: Option<String>,
}

impl<'a> Wanted<'a> {
    fn read(settings: &Decrypt, recipient: &'a Recipient) -> Result<Self, Refusal> {
        // No extension is understood. Compressed content is refused: how large it becomes is the sender's
        // choice.
        if recipient.get("crit").is_some() || recipient.get("zip").is_some() {
            return Err(Refusal::Algorithm);
        }
        let alg = recipient.text("alg")?.ok_or(Refusal::Malformed)?;
        let enc = recipient.text("enc")?.ok_or(Refusal::Malformed)?;
        if !settings.enc.iter().any(|known| known == enc)
            || !settings.keys.iter().any(|key| key.alg() == alg)
        {
            return Err(Refusal::Algorithm);
        }
        let content_type = recipient.text("cty")?.map(media_type).transpose()?;
        Ok(Wanted { alg, enc, kid: recipient.text("kid")?, content_type })
    }

    /// Which version of the key is asked for, "" for any; `None` if another key is.
    fn version(&self, key: &Key) -> Option<&'a str> {
        if key.alg() != self.alg || self.alg == "dir" && key.algorithm != self.enc {
            return None;
        }
        match (self.kid, &key.kid) {
            (None, _) => Some(""),
            (Some(kid), Some(known)) => (kid == known).then_some(""),
            (Some(kid), None) => (!kid.is_empty()).then_some(kid),
        }
    }
}

/// A content type as `cty` has it, without the "application/" that it may leave out.
fn media_type(cty: &str) -> Result<String, Refusal> {
    if cty.is_empty() || !cty.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Err(Refusal::Malformed);
    }
    Ok(if cty.contains('/') { cty.to_owned() } else { ["application/", cty].concat() })
}

fn decrypt(
    message: &Message,
    recipient: &Recipient,
    wanted: &Wanted,
    name: &str,
    id: &str,
) -> Result<Vec<u8>, Refusal> {
    let epk = recipient.get("epk").map(ToString::to_string).unwrap_or_default();
    let agreement = Agreement {
        epk: epk.as_bytes(),
        apu: recipient.text("apu")?.unwrap_or_default(),
        apv: recipient.text("apv")?.unwrap_or_default(),
    };
    let key = ContentKey::unwrap(name, id, wanted.enc, &recipient.encrypted, agreement)?;
    Ok(key.decrypt(&message.nonce, &message.ciphertext, &message.tag, &message.associated)?)
}
