//! Sends copies of requests elsewhere, and lets nobody wait for it. See README.md.

mod copy;
mod share;

use ergo_sdk::http::{Call, CallError};
use ergo_sdk::{Config, ConfigError, Flow, Node, Policy, Request, log};

use copy::{Body, Fields};
use share::Share;

/// `[needs]` in policy.toml lets a policy see as much of a body; one of this length may go on.
const PEEK_BYTES: usize = 64 << 10;

/// The policy, as configured.
pub struct Mirror {
    /// Where copies go: an origin or an upstream, without a slash at the end.
    to: String,
    share: Share,
    methods: Vec<String>,
    fields: Fields,
    max_body: usize,
}

impl Policy for Mirror {
    fn configure(config: &Config) -> Result<Self, ConfigError> {
        let mut object = config.object()?;
        let mirror = Mirror {
            to: destination(&object.required("to")?)?,
            share: Share::configure(&mut object)?,
            methods: match object.optional("methods") {
                Some(node) => node.map(|node| method(&node))?,
                None => Vec::new(),
            },
            fields: Fields::configure(&mut object)?,
            max_body: match object.optional("max_body") {
                Some(node) => node.integer(0, PEEK_BYTES as u32 - 1)? as usize,
                None => PEEK_BYTES - 1,
            },
        };
        object.finish()?;
        Ok(mirror)
    }

    fn request(&self, request: &Request) -> Flow {
        if self.is_chosen(request) {
            self.copy(request);
        }
        Flow::Continue
    }
}

impl Mirror {
    fn is_chosen(&self, request: &Request) -> bool {
        let method = request.method();
        let fits = |known: &String| known.as_bytes() == method;
        (self.methods.is_empty() || self.methods.iter().any(fits))
            && !self.fields.is_copy(request)
            && self.share.takes(request)
    }

    /// Sends a copy, if it can be had without waiting for more than a short body.
    fn copy(&self, request: &Request) {
        let target = request.target();
        let (Ok(method), Ok(path)) =
            (String::from_utf8(request.method()), std::str::from_utf8(target.as_bytes()))
        else {
            return; // no other host would be told the same
        };
        if !path.starts_with('/') {
            return; // OPTIONS *
        }
        let Body::Whole(body) = copy::body(request, self.max_body) else {
            return;
        };
        let fields = self.fields.of(request);
        let fields: Vec<(&str, &str)> =
            fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let call = Call {
            method: &method,
            url: &[&self.to, path].concat(),
            fields: &fields,
            body: &body,
            timeout_ms: 0,
        };
        match call.send() {
            // Counted by the host: too many copies under way are what the bound is for.
            Ok(()) | Err(CallError::Busy) => {}
            Err(error) => log::write(log::Level::Warn, problem(error)),
        }
    }
}

fn problem(error: CallError) -> &'static str {
    match error {
        CallError::NotGranted => "no copy: the manifest grants neither its host nor its method",
        CallError::Address => "no copy: the host's address is a special one",
        CallError::TooLarge => "no copy: the request is larger than the manifest allows",
        _ => "no copy: the request cannot be sent to another host",
    }
}

/// Reads where copies go.
fn destination(node: &Node) -> Result<String, ConfigError> {
    let text = node.text()?.trim_end_matches('/');
    let known = ["https://", "http://", "upstream://"];
    let name = known.iter().find_map(|scheme| text.strip_prefix(scheme));
    match name {
        Some(name) if !name.is_empty() && !name.contains(['/', '?', '#', '@', ' ']) => {
            Ok(text.to_owned())
        }
        _ => Err(node.error("expected https://host, http://host:port or upstream://name")),
    }
}

fn method(node: &Node) -> Result<String, ConfigError> {
    let text = node.text()?;
    match !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_uppercase()) {
        true => Ok(text.to_owned()),
        false => Err(node.error("expected a method in capitals")),
    }
}

ergo_sdk::policy!(Mirror);

#[cfg(test)]
mod tests;
