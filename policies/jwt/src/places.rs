use ergo_sdk::json::Value;
use ergo_sdk::{ConfigError, Node, Request};

use crate::denial::Denial;

/// One place of a request that may carry the token.
enum Place {
    /// `Authorization: Bearer`, RFC 6750 section 2.1.
    Bearer,
    Header(String),
    Cookie(String),
    Query(String),
}

/// The places where a token may be.
pub struct Places(Vec<Place>);

/// A token and the place that it was in.
pub struct Found<'a> {
    pub token: Vec<u8>,
    place: &'a Place,
}

impl Places {
    /// `Authorization: Bearer` alone.
    pub fn bearer() -> Self {
        Places(vec![Place::Bearer])
    }

    /// Reads the list of places.
    pub fn configure(list: &Node) -> Result<Self, ConfigError> {
        let places = list.map(Place::configure)?;
        if places.is_empty() {
            return Err(list.error("expected at least one place"));
        }
        Ok(Places(places))
    }

    /// Whether a token may be in a header field of that name.
    pub fn has_field(&self, name: &str) -> bool {
        self.0.iter().any(|place| matches!(place, Place::Header(field) if field == name))
    }

    /// The one token of the request. Two, in whatever places, are one too many: who looks at the other
    /// one would see what was never checked.
    pub fn find(&self, request: &Request) -> Result<Option<Found<'_>>, Denial> {
        let mut found = None;
        for place in &self.0 {
            for token in place.tokens(request)? {
                if found.is_some() {
                    return Err(Denial::Ambiguous);
                }
                found = Some(Found { token, place });
            }
        }
        Ok(found)
    }
}

impl Place {
    fn configure(node: Node) -> Result<Self, ConfigError> {
        if let Value::String(text) = node.value() {
            return match text.as_str() {
                "bearer" => Ok(Place::Bearer),
                _ => Err(node.error("expected \"bearer\", { header }, { cookie } or { query }")),
            };
        }
        let mut object = node.object()?;
        let place = match (object.optional("header"), object.text("cookie")?, object.text("query")?)
        {
            (Some(header), None, None) => Place::Header(header.header_name()?),
            (None, Some(name), None) if !name.is_empty() => Place::Cookie(name.to_owned()),
            (None, None, Some(name)) if !name.is_empty() => Place::Query(name.to_owned()),
            _ => return Err(object.error("expected one of header, cookie and query")),
        };
        object.finish()?;
        match &place {
            Place::Header(name) if ["authorization", "cookie", "host"].contains(&name.as_str()) => {
                Err(node.error("expected \"bearer\", { cookie }, or a header field of its own"))
            }
            _ => Ok(place),
        }
    }

    fn tokens(&self, request: &Request) -> Result<Vec<Vec<u8>>, Denial> {
        Ok(match self {
            Place::Bearer => {
                let values = request.headers().values("authorization");
                if values.len() > 1 {
                    return Err(Denial::Ambiguous);
                }
                values.first().and_then(bearer).map(<[u8]>::to_vec).into_iter().collect()
            }
            Place::Header(name) => {
                request.headers().values(name).iter().map(<[u8]>::to_vec).collect()
            }
            Place::Cookie(name) => request.cookies(name),
            Place::Query(name) => request.target().parameter(name).collect(),
        })
    }
}

/// What stands after the scheme `Bearer`, in any case; `None` for another scheme.
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let scheme = value.split(|&byte| byte == b' ').next()?;
    if !scheme.eq_ignore_ascii_case(b"bearer") {
        return None;
    }
    let rest = &value[scheme.len()..];
    Some(&rest[rest.iter().take_while(|&&byte| byte == b' ').count()..])
}

impl Found<'_> {
    /// Takes the token out of the request.
    pub fn strip(&self, request: &Request) {
        match self.place {
            Place::Bearer => request.headers().remove("authorization"),
            Place::Header(name) => request.headers().remove(name),
            Place::Cookie(name) => request.remove_cookie(name),
            Place::Query(name) => request.set_target(request.target().without_parameter(name)),
        }
    }
}
