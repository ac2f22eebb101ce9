use ergo_sdk::{ConfigError, Node, Object, Request};

/// What tells who somebody is, and is not for another host's eyes. A `*` stands for any letters.
const CREDENTIALS: [&str; 12] = [
    "authorization",
    "proxy-authorization",
    "cookie",
    "*api-key",
    "*apikey",
    "*-token",
    "*-secret",
    "*-signature",
    "*-password",
    "*-assertion",
    "x-forwarded-client-cert",
    "client-cert*",
];
const MARK: &str = "x-mirrored";

/// The header fields of copies.
pub struct Fields {
    stripped: Vec<Pattern>,
    mark: String,
}

/// Names of fields in lower case, where one `*` at an end stands for any letters.
struct Pattern(String);

impl Pattern {
    fn configure(node: &Node) -> Result<Self, ConfigError> {
        let name = node.header_name()?;
        let inner = name.strip_prefix('*').or(name.strip_suffix('*')).unwrap_or(&name);
        match inner.is_empty() || inner.contains('*') {
            true => Err(node.error("expected a name with at most one *, before or after it")),
            false => Ok(Pattern(name)),
        }
    }

    /// Many servers take "_" for "-" (RFC 3875 section 4.1.18), so it is the same here.
    fn fits(&self, name: &str) -> bool {
        let same = |a: &[u8], b: &[u8]| {
            a.len() == b.len() && a.iter().zip(b).all(|(&a, &b)| dashed(a) == dashed(b))
        };
        let (name, text) = (name.as_bytes(), self.0.as_bytes());
        match (text.strip_prefix(b"*"), text.strip_suffix(b"*")) {
            (Some(end), _) => name.len() >= end.len() && same(&name[name.len() - end.len()..], end),
            (_, Some(start)) => name.len() >= start.len() && same(&name[..start.len()], start),
            _ => same(name, text),
        }
    }
}

fn dashed(byte: u8) -> u8 {
    if byte == b'_' { b'-' } else { byte }
}

/// A request's body, as far as it can be copied.
#[derive(Debug, PartialEq, Eq)]
pub enum Body {
    Whole(Vec<u8>),
    /// It is too long, or its length is not known: reading it could hold up the exchange for ever.
    Unknown,
}

impl Fields {
    /// Reads `strip`, `credentials` and `mark`.
    pub fn configure(object: &mut Object) -> Result<Self, ConfigError> {
        let mut stripped = match object.optional("strip") {
            Some(node) => node.map(|node| Pattern::configure(&node))?,
            None => Vec::new(),
        };
        if !object.flag("credentials")? {
            stripped.extend(CREDENTIALS.map(|name| Pattern(name.to_owned())));
        }
        let mark =
            object.optional("mark").map_or(Ok(MARK.to_owned()), |node| node.header_name())?;
        Ok(Fields { stripped, mark })
    }

    /// Whether the request is a copy already: a mirror of a mirror would never end.
    pub fn is_copy(&self, request: &Request) -> bool {
        request.headers().get(&self.mark).is_some()
    }

    /// The fields of a request's copy. What is no text is left out; what is about the connection the
    /// host leaves out.
    pub fn of(&self, request: &Request) -> Vec<(String, String)> {
        let mut fields = vec![(self.mark.clone(), "1".to_owned())];
        let headers = request.headers();
        if let Ok(host) = String::from_utf8(request.host()) {
            fields.push(("host".to_owned(), host)); // an upstream is asked for the same host
        }
        for name in headers.names().iter() {
            let Ok(name) = std::str::from_utf8(name) else { continue };
            if name == "host"
                || name == self.mark
                || self.stripped.iter().any(|stripped| stripped.fits(name))
            {
                continue;
            }
            for value in headers.values(name).iter() {
                if let Ok(value) = std::str::from_utf8(value) {
                    fields.push((name.to_owned(), value.to_owned()));
                }
            }
        }
        fields
    }
}

/// The body of a request, if it says that it has `max` bytes at most.
pub fn body(request: &Request, max: usize) -> Body {
    match request.headers().get("content-length") {
        Some(digits) => {
            let length = std::str::from_utf8(&digits).ok().and_then(|text| text.parse().ok());
            match length {
                Some(0) => Body::Whole(Vec::new()),
                Some(length) if length <= max => read(request, length),
                _ => Body::Unknown,
            }
        }
        // Without a length there is none, or one that streams. Methods tell the two apart.
        None if matches!(
            request.method().as_slice(),
            b"GET" | b"HEAD" | b"OPTIONS" | b"DELETE"
        ) =>
        {
            Body::Whole(Vec::new())
        }
        None => Body::Unknown,
    }
}

fn read(request: &Request, length: usize) -> Body {
    match request.body().read_up_to(length) {
        Some(body) if body.len() == length => Body::Whole(body),
        _ => Body::Unknown,
    }
}
