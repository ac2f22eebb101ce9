use ergo_sdk::{ConfigError, Node, Object, Request, header_name, identity, route};
use sha2::{Digest, Sha256};

use crate::prefix::Prefix;

/// How long a key may be as it is; a longer one is hashed, so that the client cannot choose its length.
const MAX_KEY_BYTES: usize = 200;
const MAX_PARTS: usize = 8;

/// What requests are counted by.
pub struct Key {
    /// The limit's name: limits do not share their counts.
    limit: String,
    parts: Vec<Part>,
}

enum Part {
    Client(Prefix),
    Identity,
    Attribute(String),
    Host,
    Method,
    Path,
    Route,
    Header(String),
    Cookie(String),
    Parameter(String),
}

impl Key {
    /// Reads `key`, which is a part or several, and the prefixes of networks.
    pub fn configure(object: &mut Object, limit: &str) -> Result<Self, ConfigError> {
        let mut bits =
            |name, most| object.optional(name).map(|node| node.integer(0, most)).transpose();
        let (v4, v6) = (bits("ipv4_prefix", 32)?, bits("ipv6_prefix", 128)?);
        let prefix = Prefix { v4: v4.unwrap_or(32) as u8, v6: v6.unwrap_or(64) as u8 };
        let node = object.required("key")?;
        let nodes = node.list().unwrap_or_else(|_| vec![node.clone()]);
        if nodes.len() > MAX_PARTS {
            return Err(node.error("expected at most 8 parts"));
        }
        let parts = nodes
            .iter()
            .map(|node| Part::configure(node, prefix))
            .collect::<Result<Vec<_>, _>>()?;
        if (v4.is_some() || v6.is_some())
            && !parts.iter().any(|part| matches!(part, Part::Client(_)))
        {
            return Err(node.error("expected client, which a prefix is for"));
        }
        Ok(Key { limit: limit.to_owned(), parts })
    }

    /// The key of a request. A value that it lacks is an empty one: all requests without it share a
    /// count.
    pub fn of(&self, request: &Request) -> Vec<u8> {
        let mut key = self.limit.as_bytes().to_vec();
        for part in &self.parts {
            let value = part.of(request);
            // The length comes first, so that no two lists of values make one key.
            key.push(b':');
            key.extend_from_slice(value.len().to_string().as_bytes());
            key.push(b'=');
            key.extend_from_slice(&value);
        }
        if key.len() <= MAX_KEY_BYTES {
            return key;
        }
        [self.limit.as_bytes(), b"#", &Sha256::digest(&key)[..]].concat()
    }
}

impl Part {
    fn configure(node: &Node, prefix: Prefix) -> Result<Self, ConfigError> {
        let text = node.text()?;
        let (kind, name) = text.split_once(':').unwrap_or((text, ""));
        let wrong = || {
            node.error("expected client, identity, host, method, path, route, or attribute:, header:, cookie: or param: and a name")
        };
        let owned = || name.to_owned();
        Ok(match (kind, text.contains(':')) {
            ("client", false) => Part::Client(prefix),
            ("identity", false) => Part::Identity,
            ("host", false) => Part::Host,
            ("method", false) => Part::Method,
            ("path", false) => Part::Path,
            ("route", false) => Part::Route,
            ("attribute" | "param" | "header" | "cookie", true) if name.is_empty() => {
                return Err(wrong());
            }
            ("attribute", true) => Part::Attribute(owned()),
            ("param", true) => Part::Parameter(owned()),
            ("cookie", true) => Part::Cookie(owned()),
            ("header", true) => Part::Header(header_name(name).ok_or_else(wrong)?),
            _ => return Err(wrong()),
        })
    }

    fn of(&self, request: &Request) -> Vec<u8> {
        match self {
            Part::Client(prefix) => prefix.network(&request.client_ip()),
            Part::Identity => identity::subject().unwrap_or_default().into(),
            Part::Attribute(name) => identity::attribute(name).unwrap_or_default().into(),
            Part::Host => request.bare_host(),
            Part::Method => request.method(),
            Part::Path => {
                let target = request.target();
                // All paths that mean different things to different servers count as one.
                target.normal_path().map_or_else(Vec::new, |path| path.into_owned())
            }
            Part::Route => route::upstream().unwrap_or_default().into(),
            Part::Header(name) => request.headers().get(name).unwrap_or_default(),
            Part::Cookie(name) => request.cookie(name).unwrap_or_default(),
            Part::Parameter(name) => request.target().parameter(name).next().unwrap_or_default(),
        }
    }
}
