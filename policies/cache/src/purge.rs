//! Who may remove what from the cache, and how requests say it.

use std::net::IpAddr;

use ergo_sdk::{ConfigError, Node, Target};

/// How entries may be purged, and by whom.
#[derive(Debug)]
pub struct Purge {
    /// A request with it purges its own URL.
    method: Option<String>,
    /// A POST to it purges what its query names.
    path: Option<String>,
    networks: Vec<Network>,
    /// What `Authorization: Bearer` has to say; empty for nothing.
    token: String,
}

/// What a request wants removed.
#[derive(Debug, PartialEq, Eq)]
pub enum What {
    /// The URL of the request itself.
    This,
    /// A target of the request's host.
    Url(Vec<u8>),
    /// All targets of the request's host that begin so.
    Prefix(Vec<u8>),
    Tag(Vec<u8>),
}

/// What to do about a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Command {
    /// It is no purge.
    None,
    Forbidden,
    /// What it says can't be done.
    Malformed,
    Purge {
        what: What,
        soft: bool,
    },
}

impl Purge {
    pub fn configure(node: &Node) -> Result<Self, ConfigError> {
        let mut object = node.object()?;
        let method = object.text("method")?.map(str::to_owned);
        let path = object.text("path")?.map(str::to_owned);
        let networks = match object.optional("networks") {
            Some(node) => node.map(|network| {
                Network::parse(network.text()?).ok_or_else(|| {
                    network.error("expected an address or a network such as 10.0.0.0/8")
                })
            })?,
            None => Vec::new(),
        };
        let token = object.text("token")?.unwrap_or_default().to_owned();
        object.finish()?;
        if method.is_none() && path.is_none() {
            return Err(object.error("says neither method nor path"));
        }
        if method
            .as_deref()
            .is_some_and(|method| !method.bytes().all(|byte| byte.is_ascii_uppercase()))
        {
            return Err(object.error("method: expected capital letters"));
        }
        if networks.is_empty() && token.is_empty() {
            return Err(object.error("says neither networks nor token: who may purge?"));
        }
        Ok(Purge { method, path, networks, token })
    }

    /// Reads a request. `client` is its address, `authorization` and `mode` the values of Authorization
    /// and Purge-Mode.
    pub fn read(
        &self,
        method: &[u8],
        target: &Target,
        client: &[u8],
        authorization: &[u8],
        mode: &[u8],
    ) -> Command {
        let by_method = self.method.as_deref().is_some_and(|name| name.as_bytes() == method);
        let by_path = method == b"POST"
            && self.path.as_deref().is_some_and(|path| path.as_bytes() == target.path());
        if !by_method && !by_path {
            return Command::None;
        }
        if !self.allows(client, authorization) {
            return Command::Forbidden;
        }
        if by_method {
            let soft = mode.eq_ignore_ascii_case(b"soft");
            return match soft || mode.is_empty() || mode.eq_ignore_ascii_case(b"hard") {
                true => Command::Purge { what: What::This, soft },
                false => Command::Malformed,
            };
        }
        named(target)
    }

    /// Whether networks and token, as far as they are configured, are right.
    fn allows(&self, client: &[u8], authorization: &[u8]) -> bool {
        let address = std::str::from_utf8(client).ok().and_then(|text| text.parse().ok());
        let near = self.networks.is_empty()
            || address.is_some_and(|address| {
                self.networks.iter().any(|network| network.contains(address))
            });
        let known = self.token.is_empty() || same(bearer(authorization), self.token.as_bytes());
        near && known
    }
}

/// Reads the query of a request to the path: one of url, prefix and tag, and `soft`.
fn named(target: &Target) -> Command {
    let mut found = None;
    let mut soft = false;
    for (name, value) in target.parameters() {
        let value = ergo_sdk::percent_decode(value);
        let what = match name {
            b"soft" if value.is_empty() || value == b"1" => {
                soft = true;
                continue;
            }
            b"url" if value.starts_with(b"/") => What::Url(value),
            b"prefix" if value.starts_with(b"/") => What::Prefix(value),
            b"tag" if !value.is_empty() => What::Tag(value),
            _ => return Command::Malformed,
        };
        if found.replace(what).is_some() {
            return Command::Malformed;
        }
    }
    found.map_or(Command::Malformed, |what| Command::Purge { what, soft })
}

fn bearer(authorization: &[u8]) -> &[u8] {
    match authorization.split_at_checked(7) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case(b"bearer ") => token.trim_ascii(),
        _ => b"",
    }
}

/// Compares in a time that tells nothing but the length.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
}

/// The addresses that begin with so many bits of one.
#[derive(Debug)]
struct Network {
    address: IpAddr,
    bits: u32,
}

impl Network {
    fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u32>().ok()?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(width);
        (bits <= width).then_some(Network { address, bits })
    }

    fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(a), IpAddr::V4(b)) => {
                agree(a.to_bits().into(), b.to_bits().into(), 32 - self.bits)
            }
            (IpAddr::V6(a), IpAddr::V6(b)) => agree(a.to_bits(), b.to_bits(), 128 - self.bits),
            _ => false,
        }
    }
}

/// Whether two addresses are the same but for their last bits.
fn agree(a: u128, b: u128, last: u32) -> bool {
    (a ^ b).checked_shr(last).unwrap_or(0) == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use ergo_sdk::{Config, ConfigError};

    fn purge(json: &str) -> Result<Purge, ConfigError> {
        let config = Config::parse(format!(r#"{{"purge":{json}}}"#).as_bytes())?;
        Purge::configure(&config.object()?.required("purge")?)
    }

    fn read(
        purge: &Purge,
        method: &str,
        target: &str,
        client: &str,
        authorization: &str,
    ) -> Command {
        let target = Target::new(target.as_bytes().to_vec());
        purge.read(method.as_bytes(), &target, client.as_bytes(), authorization.as_bytes(), b"")
    }

    #[test]
    fn only_those_who_may() {
        let near = purge(r#"{"method":"PURGE","networks":["10.0.0.0/8","::1"]}"#).unwrap();
        let token = purge(r#"{"method":"PURGE","token":"secret"}"#).unwrap();
        let both =
            purge(r#"{"method":"PURGE","networks":["10.0.0.0/8"],"token":"secret"}"#).unwrap();
        let yes = || Command::Purge { what: What::This, soft: false };
        let cases = [
            (&near, "10.1.2.3", "", yes()),
            (&near, "::ffff:10.1.2.3", "", yes()),
            (&near, "::1", "", yes()),
            (&near, "11.0.0.1", "Bearer secret", Command::Forbidden),
            (&near, "::2", "", Command::Forbidden),
            (&near, "", "", Command::Forbidden),
            (&token, "192.0.2.1", "Bearer secret", yes()),
            (&token, "192.0.2.1", "bearer  secret", yes()),
            (&token, "192.0.2.1", "Bearer secre", Command::Forbidden),
            (&token, "192.0.2.1", "Basic secret", Command::Forbidden),
            (&token, "192.0.2.1", "", Command::Forbidden),
            (&both, "10.1.2.3", "", Command::Forbidden),
            (&both, "192.0.2.1", "Bearer secret", Command::Forbidden),
            (&both, "10.1.2.3", "Bearer secret", yes()),
        ];
        for (purge, client, authorization, want) in cases {
            assert_eq!(
                read(purge, "PURGE", "/a", client, authorization),
                want,
                "{client} {authorization}"
            );
        }
        assert_eq!(read(&near, "GET", "/a", "10.1.2.3", ""), Command::None);
        assert_eq!(read(&near, "purge", "/a", "10.1.2.3", ""), Command::None);
    }

    #[test]
    fn a_path_takes_what_to_purge() {
        let purge = purge(r#"{"path":"/.purge","networks":["0.0.0.0/0"]}"#).unwrap();
        let cases = [
            (
                "POST",
                "/.purge?url=/a%3Fb",
                Command::Purge { what: What::Url(b"/a?b".to_vec()), soft: false },
            ),
            (
                "POST",
                "/.purge?prefix=/a/&soft",
                Command::Purge { what: What::Prefix(b"/a/".to_vec()), soft: true },
            ),
            (
                "POST",
                "/.purge?soft=1&tag=a",
                Command::Purge { what: What::Tag(b"a".to_vec()), soft: true },
            ),
            ("POST", "/.purge", Command::Malformed),
            ("POST", "/.purge?soft", Command::Malformed),
            ("POST", "/.purge?url=a", Command::Malformed),
            ("POST", "/.purge?tag=", Command::Malformed),
            ("POST", "/.purge?tag=a&tag=b", Command::Malformed),
            ("POST", "/.purge?tag=a&x", Command::Malformed),
            ("GET", "/.purge?tag=a", Command::None),
            ("POST", "/.purge/?tag=a", Command::None),
        ];
        for (method, target, want) in cases {
            assert_eq!(read(&purge, method, target, "192.0.2.1", ""), want, "{target}");
        }
    }

    #[test]
    fn a_mode_is_hard_or_soft() {
        let purge = purge(r#"{"method":"PURGE","networks":["0.0.0.0/0"]}"#).unwrap();
        let read = |mode: &str| {
            purge.read(b"PURGE", &Target::new(b"/".to_vec()), b"192.0.2.1", b"", mode.as_bytes())
        };
        assert_eq!(read("Soft"), Command::Purge { what: What::This, soft: true });
        assert_eq!(read("hard"), Command::Purge { what: What::This, soft: false });
        assert_eq!(read("half"), Command::Malformed);
    }

    #[test]
    fn networks() {
        let within = |network: &str, address: &str| {
            Network::parse(network).unwrap().contains(address.parse().unwrap())
        };
        assert!(
            within("0.0.0.0/0", "255.1.2.3")
                && within("::/0", "::1")
                && within("10.0.0.128/25", "10.0.0.255")
        );
        assert!(!within("10.0.0.128/25", "10.0.0.127") && !within("::/0", "10.0.0.1"));
        for text in ["", "10.0.0.0/33", "10.0.0/8", "::/129", "10.0.0.0/-1", "localhost"] {
            assert!(Network::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn refuses_doors_without_locks() {
        let cases = [
            (
                r#"{"method":"PURGE"}"#,
                "config.purge: says neither networks nor token: who may purge?",
            ),
            (
                r#"{"method":"PURGE","token":""}"#,
                "config.purge: says neither networks nor token: who may purge?",
            ),
            (r#"{"token":"x"}"#, "config.purge: says neither method nor path"),
            (r#"{"method":"purge","token":"x"}"#, "config.purge: method: expected capital letters"),
            (
                r#"{"method":"PURGE","networks":["x"]}"#,
                "config.purge.networks[0]: expected an address or a network such as 10.0.0.0/8",
            ),
        ];
        for (json, want) in cases {
            assert_eq!(
                purge(json).err().map(|error| error.to_string()).as_deref(),
                Some(want),
                "{json}"
            );
        }
    }
}
