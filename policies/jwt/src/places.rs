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
                let token = values.first().map_or(Ok(None), bearer)?;
                token.map(<[u8]>::to_vec).into_iter().collect()
            }
            Place::Header(name) => {
                request.headers().values(name).iter().map(<[u8]>::to_vec).collect()
            }
            Place::Cookie(name) => request.cookies(name),
            Place::Query(name) => request.target().parameter(name).collect(),
        })
    }
}

/// What stands after the scheme `Bearer`, in any case; `None` for another scheme. Only spaces part the two
/// (RFC 9110 section 11.4): what a more lenient reader would take for a token is a bad one, and not none.
fn bearer(value: &[u8]) -> Result<Option<&[u8]>, Denial> {
    let start = value.iter().take_while(|&&byte| !is_token(byte)).count();
    let scheme = value[start..].split(|&byte| !is_token(byte)).next().unwrap_or_default();
    if !scheme.eq_ignore_ascii_case(b"bearer") {
        return Ok(None);
    }
    let rest = &value[start + scheme.len()..];
    let spaces = rest.iter().take_while(|&&byte| byte == b' ').count();
    if start > 0 || spaces == 0 && !rest.is_empty() {
        return Err(Denial::Invalid("Bearer is not parted from the token by spaces"));
    }
    Ok(Some(&rest[spaces..]))
}

/// Whether a byte may be part of a scheme's name (RFC 9110 section 5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bearer_is_parted_by_spaces() {
        let token: [(&[u8], &[u8]); 5] = [
            (b"Bearer a", b"a"),
            (b"bEARER   a", b"a"),
            (b"Bearer", b""),
            (b"Bearer ", b""),
            (b"bearer \ta b", b"\ta b"), // no token is spelled so
        ];
        for (value, want) in token {
            assert_eq!(bearer(value), Ok(Some(want)), "{value:?}");
        }
        for value in
            ["", "Basic YTpi", "Bearer.a b", "Bearers a", "Bearera", "X-Bearer a", "Basic Bearer a"]
        {
            assert_eq!(bearer(value.as_bytes()), Ok(None), "{value}");
        }
        let bad: [&[u8]; 11] = [
            b"Bearer\ta",
            b"bearer\t a",
            b"BEARER,a",
            b"Bearer=a",
            b"Bearer:a",
            b"Bearer\"a\"",
            b" Bearer a",
            b"\tBearer a",
            b",Bearer a",
            b"Bearer\xa0a",
            b"Bearer\xe3\x80\x80a",
        ];
        for value in bad {
            assert!(matches!(bearer(value), Err(Denial::Invalid(_))), "{value:?}");
        }
    }
}
