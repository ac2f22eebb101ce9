use ergo_sdk::{ConfigError, Object, Request};

/// What tells who somebody is, and is not for another host's eyes.
const CREDENTIALS: [&str; 5] =
    ["authorization", "cookie", "proxy-authorization", "x-api-key", "x-csrf-token"];
const MARK: &str = "x-mirrored";

/// The header fields of copies.
pub struct Fields {
    stripped: Vec<String>,
    mark: String,
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
            Some(node) => node.map(|node| node.header_name())?,
            None => Vec::new(),
        };
        if !object.flag("credentials")? {
            stripped.extend(CREDENTIALS.map(str::to_owned));
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
                || self.stripped.iter().any(|stripped| stripped == name)
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
