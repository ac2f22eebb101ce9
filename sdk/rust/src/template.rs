//! Texts with values from the exchange: `"${method} ${path}"`.
//!
//! | variable | value |
//! |---|---|
//! | `method`, `protocol`, `host` | as the client sent them |
//! | `target`, `path`, `query` | path and query, path, query without the question mark; encoded |
//! | `client_ip` | the client's address without port |
//! | `header:NAME` | the first value of a request header field |
//! | `param:NAME` | the first value of a query parameter, decoded; also `query:NAME` |
//! | `cookie:NAME` | the value of a cookie |
//! | `status`, `response:NAME` | status and first value of a header field, in the response phase |
//! | `path:NAME` | a part of the path that the policy's own pattern has named |
//!
//! `${NAME|text}` gives `text` where the value is absent or empty; `$$` is a dollar sign.

use crate::{ConfigError, Node, Request, Response};

/// A compiled text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

/// What a template may use besides the request, and how values are made safe.
#[derive(Clone, Copy, Default)]
pub struct Scope<'a> {
    /// The names that `${path:NAME}` may use; [`Values::captures`] has their values in this order.
    pub captures: &'a [String],
    /// Whether the response is there.
    pub response: bool,
    /// Whether the text is part of a URL: then the values of fields, parameters and cookies are
    /// percent-encoded.
    pub url: bool,
}

/// What the variables of one exchange are taken from.
#[derive(Clone, Copy)]
pub struct Values<'a> {
    /// The request.
    pub request: &'a Request,
    /// The values of the captures, as they stand in the path.
    pub captures: &'a [&'a [u8]],
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(Vec<u8>),
    Variable { source: Source, fallback: Vec<u8>, encode: Encode },
}

/// The bytes beyond RFC 3986's unreserved ones that a value keeps; `None` keeps all.
type Encode = Option<&'static [u8]>;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Source {
    Method,
    Protocol,
    Host,
    Target,
    Path,
    Query,
    ClientIp,
    Header(String),
    Parameter(String),
    Cookie(String),
    Status,
    ResponseHeader(String),
    Capture(usize),
}

impl Template {
    /// Compiles a configured text.
    pub fn compile(node: &Node, scope: Scope) -> Result<Self, ConfigError> {
        Self::parse(node.header_value()?, scope).map_err(|problem| node.error(problem))
    }

    /// Compiles a text; the error says what is wrong with it.
    pub fn parse(text: &str, scope: Scope) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut literal = Vec::new();
        let mut rest = text;
        while let Some(dollar) = rest.find('$') {
            literal.extend_from_slice(&rest.as_bytes()[..dollar]);
            rest = &rest[dollar + 1..];
            if let Some(after) = rest.strip_prefix('$') {
                literal.push(b'$');
                rest = after;
                continue;
            }
            let Some((inside, after)) =
                rest.strip_prefix('{').and_then(|rest| rest.split_once('}'))
            else {
                return Err("expected ${name} or $$ after $".into());
            };
            if !literal.is_empty() {
                parts.push(Part::Literal(std::mem::take(&mut literal)));
            }
            parts.push(variable(inside, scope)?);
            rest = after;
        }
        literal.extend_from_slice(rest.as_bytes());
        if !literal.is_empty() || parts.is_empty() {
            parts.push(Part::Literal(literal));
        }
        Ok(Template { parts })
    }

    /// The text, when it has no variables.
    pub fn constant(&self) -> Option<&[u8]> {
        match self.parts.as_slice() {
            [Part::Literal(text)] => Some(text),
            _ => None,
        }
    }

    /// The text for one exchange, without control characters.
    pub fn render(&self, values: Values) -> Vec<u8> {
        let mut text = Vec::new();
        for part in &self.parts {
            match part {
                Part::Literal(literal) => text.extend_from_slice(literal),
                Part::Variable { source, fallback, encode } => {
                    let value = source.value(values);
                    match value.is_empty() {
                        true => text.extend_from_slice(fallback),
                        false => append(&mut text, &value, *encode),
                    }
                }
            }
        }
        text
    }
}

fn variable(inside: &str, scope: Scope) -> Result<Part, String> {
    let (name, fallback) = inside.split_once('|').unwrap_or((inside, ""));
    let source = Source::parse(name, scope)
        .ok_or_else(|| ["there is no variable ${", name, "} here"].concat())?;
    let encode: Encode = match source {
        _ if !scope.url => None,
        Source::Target | Source::Path | Source::Query | Source::Capture(_) => None,
        Source::Host => Some(b":[]"),
        _ => Some(b""),
    };
    Ok(Part::Variable { source, fallback: fallback.into(), encode })
}

impl Source {
    fn parse(name: &str, scope: Scope) -> Option<Source> {
        if let Some((kind, name)) = name.split_once(':') {
            let owned = || name.to_owned();
            return match kind {
                _ if name.is_empty() => None,
                "header" => Some(Source::Header(owned())),
                "param" | "query" => Some(Source::Parameter(owned())),
                "cookie" => Some(Source::Cookie(owned())),
                "response" if scope.response => Some(Source::ResponseHeader(owned())),
                "path" => {
                    scope.captures.iter().position(|known| known == name).map(Source::Capture)
                }
                _ => None,
            };
        }
        match name {
            "method" => Some(Source::Method),
            "protocol" => Some(Source::Protocol),
            "host" => Some(Source::Host),
            "target" => Some(Source::Target),
            "path" => Some(Source::Path),
            "query" => Some(Source::Query),
            "client_ip" => Some(Source::ClientIp),
            "status" if scope.response => Some(Source::Status),
            _ => None,
        }
    }

    fn value(&self, values: Values) -> Vec<u8> {
        let request = values.request;
        match self {
            Source::Method => request.method(),
            Source::Protocol => request.protocol(),
            Source::Host => request.host(),
            Source::Target => request.target().as_bytes().to_vec(),
            Source::Path => request.target().path().to_vec(),
            Source::Query => request.target().query().unwrap_or_default().to_vec(),
            Source::ClientIp => request.client_ip(),
            Source::Header(name) => request.headers().get(name).unwrap_or_default(),
            Source::Parameter(name) => request.target().parameter(name).next().unwrap_or_default(),
            Source::Cookie(name) => request.cookie(name).unwrap_or_default(),
            Source::Status => Response::new().status().to_string().into_bytes(),
            Source::ResponseHeader(name) => Response::new().headers().get(name).unwrap_or_default(),
            Source::Capture(index) => values.captures[*index].to_vec(),
        }
    }
}

/// Appends a value. Control characters are left out, because a decoded parameter may hold a line break
/// and the text may become a header field.
fn append(text: &mut Vec<u8>, value: &[u8], encode: Encode) {
    let control = |byte: u8| byte < b' ' || byte == 0x7f;
    if encode.is_none() && !value.iter().any(|&byte| control(byte)) {
        text.extend_from_slice(value);
        return;
    }
    for &byte in value.iter().filter(|&&byte| !control(byte)) {
        let unreserved = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        match encode {
            Some(kept) if !unreserved && !kept.contains(&byte) => append_escape(text, byte),
            _ => text.push(byte),
        }
    }
}

fn append_escape(text: &mut Vec<u8>, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    text.extend([b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Host;

    fn render(host: &mut Host, text: &str, scope: Scope, captures: &[&[u8]]) -> String {
        let template = Template::parse(text, scope).unwrap();
        let request = Request::new();
        let rendered = host.during(|| template.render(Values { request: &request, captures }));
        String::from_utf8(rendered).unwrap()
    }

    #[test]
    fn takes_values_from_the_exchange() {
        let mut host = Host::new("PUT", "/a%20b?x=1%2B2&y=%0d%0aq")
            .header("Host", "example.com:8080")
            .header("X-A", "1, 2")
            .header("x-a", "3")
            .header("Cookie", "a=b; sid=s1");
        host.status = 404;
        host.fields[1].push(("Server".into(), b"origin".to_vec()));
        let cases = [
            ("", ""),
            ("plain", "plain"),
            ("$$5 ${method}!", "$5 PUT!"),
            ("${host} ${protocol}", "example.com:8080 HTTP/1.1"),
            ("${path} ${query}", "/a%20b x=1%2B2&y=%0d%0aq"),
            ("${target}", "/a%20b?x=1%2B2&y=%0d%0aq"),
            ("${client_ip}", "192.0.2.1"),
            ("${header:x-a}${header:gone}", "1, 2"),
            ("${query:x}${param:x}", "1+21+2"),
            ("${query:y}", "q"),
            ("${cookie:sid} ${cookie:gone|none}", "s1 none"),
            ("${status} ${response:server}", "404 origin"),
            ("${path:id}", "7"),
        ];
        let captures = ["id".to_owned()];
        let scope = Scope { captures: &captures, response: true, url: false };
        for (text, want) in cases {
            assert_eq!(render(&mut host, text, scope, &[b"7"]), want, "{text}");
        }
    }

    #[test]
    fn encodes_values_inside_a_url() {
        let mut host = Host::new("GET", "/a%2Fb?to=//evil&n=1")
            .header("x", "a b/c?d#\u{e9}")
            .header("host", "[::1]:80/@evil");
        let scope = Scope { url: true, ..Scope::default() };
        let cases = [
            ("${path}?${query}", "/a%2Fb?to=//evil&n=1"),
            ("https://${host}/", "https://[::1]:80%2F%40evil/"),
            ("/to/${query:to}", "/to/%2F%2Fevil"),
            ("/${header:x}", "/a%20b%2Fc%3Fd%23%C3%A9"),
        ];
        for (text, want) in cases {
            assert_eq!(render(&mut host, text, scope, &[]), want, "{text}");
        }
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        let cases = [
            "$",
            "a $b",
            "${",
            "${method",
            "${}",
            "${Method}",
            "${nothing}",
            "${header:}",
            "${path:id}",
            "${status}",
            "${response:server}",
            "${env:HOME}",
        ];
        for text in cases {
            assert!(Template::parse(text, Scope::default()).is_err(), "{text}");
        }
    }

    #[test]
    fn knows_constants() {
        let constant = Template::parse("a$$b", Scope::default()).unwrap();
        assert_eq!(constant.constant(), Some(b"a$b".as_slice()));
        let variable = Template::parse("${path}", Scope::default()).unwrap();
        assert_eq!(variable.constant(), None);
    }
}
