//! What the host calls.

use ergo_sdk::{
    Config, ConfigError, Features, Flow, Headers, Policy, Request, Response, log,
};

use crate::opener::{self, Opened};
use crate::refusal::{Meters, Refusal};
use crate::sealer;
use crate::settings::{self, Decrypt, Encrypt, Work};

/// The most that is held of a body; the manifest's limits may be less.
const MAX_BODY: usize = 8 << 20;

const COMPACT: &str = "application/jose";
const JSON: &str = "application/jose+json";

/// The policy, as configured.
pub struct Jwe {
    request: Work,
    response: Work,
    meters: Meters,
}

/// Fields that say of a body what is no longer so.
const OF_BODIES: [&str; 9] = [
    "accept-ranges",
    "content-digest",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-md5",
    "digest",
    "etag",
    "repr-digest",
];

impl Policy for Jwe {
    const FEATURES: Features = Features::BUFFER_REQUEST.with(Features::BUFFER_RESPONSE);

    fn configure(config: &Config) -> Result<Self, ConfigError> {
        let [request, response] = settings::read(config)?;
        let meters = Meters::define()
            .map_err(|error| ConfigError::new("config", format!("metrics: {error:?}")))?;
        Ok(Jwe { request, response, meters })
    }

    fn request(&self, request: &Request) -> Flow {
        if !matches!(self.response, Work::Pass) {
            // A part of a message, or a coded one, is none.
            let headers = request.headers();
            headers.set("accept-encoding", "identity");
            headers.remove("range");
            headers.remove("if-range");
        }
        let outcome = match &self.request {
            Work::Pass => return Flow::Continue,
            Work::Decrypt(how) => self.decrypted(how, &request.headers(), request.body()),
            Work::Encrypt(how) => self.encrypted(how, &request.headers(), request.body()),
        };
        match outcome {
            Ok(()) => Flow::Continue,
            Err(refusal) => {
                self.refuse(refusal, "request");
                request.answer(refusal.status()).text("the body cannot be processed\n")
            }
        }
    }

    fn response(&self, response: &Response, _: u32, is_error: bool) {
        if is_error || matches!(self.response, Work::Pass) {
            return; // the host's own words
        }
        if response.request().method() == b"HEAD" {
            forget_body(&response.headers());
            response.headers().remove("content-length");
            return;
        }
        let outcome = match &self.response {
            Work::Pass => return,
            Work::Decrypt(how) => self.decrypted(how, &response.headers(), response.body()),
            Work::Encrypt(how) => self.encrypted(how, &response.headers(), response.body()),
        };
        if let Err(refusal) = outcome {
            self.refuse(refusal, "response");
            for name in response.headers().names().iter() {
                response.headers().remove(&String::from_utf8_lossy(name));
            }
            response.set_status(502);
            response.headers().set("content-type", "text/plain; charset=utf-8");
            response.body().write("the response cannot be processed\n");
        }
    }
}

impl Jwe {
    fn refuse(&self, refusal: Refusal, what: &str) {
        self.meters.refused(refusal);
        log::write(log::Level::Debug, &[what, " refused: ", refusal.word()].concat());
    }

    /// Puts what a body holds in its place. An empty body, and one that need not be encrypted, stay.
    fn decrypted(
        &self,
        how: &Decrypt,
        headers: &Headers,
        body: ergo_sdk::Body,
    ) -> Result<(), Refusal> {
        let message = body.read_up_to(MAX_BODY).ok_or(Refusal::TooLarge)?;
        let media = headers.values("content-type");
        let is_message = media.only().is_some_and(|value| {
            let value = value.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii();
            [COMPACT, JSON].iter().any(|known| value.eq_ignore_ascii_case(known.as_bytes()))
        });
        match is_message {
            false if message.is_empty() || !how.required => return Ok(()),
            false => return Err(Refusal::Plain),
            true if is_coded(headers) => return Err(Refusal::Coded),
            true => (),
        }
        let Opened { content, content_type } = opener::open(how, &message)?;
        forget_body(headers);
        headers.set("content-type", content_type.as_ref().unwrap_or(&how.content_type));
        body.write(&content);
        self.meters.decrypted();
        Ok(())
    }

    /// Puts a message in the place of a body; an empty one stays.
    fn encrypted(
        &self,
        how: &Encrypt,
        headers: &Headers,
        body: ergo_sdk::Body,
    ) -> Result<(), Refusal> {
        let content = body.read_up_to(MAX_BODY).ok_or(Refusal::TooLarge)?;
        if content.is_empty() {
            return Ok(());
        }
        if is_coded(headers) {
            return Err(Refusal::Coded);
        }
        let media = headers.get("content-type");
        let media = media.as_deref().and_then(|value| str::from_utf8(value).ok());
        let message = sealer::seal(how, &content, media)?;
        forget_body(headers);
        headers.set("content-type", if how.json { JSON } else { COMPACT });
        body.write(&message);
        self.meters.encrypted();
        Ok(())
    }
}

/// Whether a body is coded, or only a part.
fn is_coded(headers: &Headers) -> bool {
    let coding = headers.values("content-encoding");
    coding.iter().any(|value| !value.trim_ascii().eq_ignore_ascii_case(b"identity"))
        || headers.get("content-range").is_some()
}

fn forget_body(headers: &Headers) {
    for name in OF_BODIES {
        headers.remove(name);
    }
}
