use ergo_sdk::template::Values;
use ergo_sdk::{ConfigError, Node, header_name, identity, random};

/// What makes a client stay with one share of a split.
pub struct Sticky {
    by: By,
    /// The number of the cookie that is set where the client sends none.
    cookie: Option<u8>,
}

enum By {
    Cookie(String),
    Header(String),
    Client,
    Identity,
}

/// The cookies that splits set, each once, by their numbers.
#[derive(Default)]
pub struct Cookies(Vec<Cookie>);

/// A cookie that makes a client stay.
#[derive(PartialEq)]
struct Cookie {
    name: String,
    /// What follows the value.
    attributes: String,
}

/// How many values a cookie may have: what the context of an exchange has room for beside its number.
const VALUE_BITS: u32 = 24;
const MAX_COOKIES: usize = 200;

impl Sticky {
    /// Reads what a client stays by. `cookies` collects those that are set.
    pub fn configure(node: &Node, cookies: &mut Cookies) -> Result<Self, ConfigError> {
        let mut object = node.object()?;
        let cookie = object.optional("cookie").map(|node| name(&node)).transpose()?;
        let header = object.optional("header").map(|node| name(&node)).transpose()?;
        let by = match (cookie, header, object.flag("client")?, object.flag("identity")?) {
            (Some(name), None, false, false) => By::Cookie(name),
            (None, Some(name), false, false) => By::Header(name),
            (None, None, true, false) => By::Client,
            (None, None, false, true) => By::Identity,
            _ => return Err(node.error("expected one of cookie, header, client and identity")),
        };
        let set = object.optional("set");
        object.finish()?;
        let cookie = match (set, &by) {
            (None, _) => None,
            (Some(node), By::Cookie(name)) => Some(cookies.add(&node, name)?),
            (Some(node), _) => return Err(node.error("expected a cookie beside it")),
        };
        Ok(Sticky { by, cookie })
    }

    /// What the request has.
    pub fn value(&self, values: Values) -> Option<Vec<u8>> {
        let value = match &self.by {
            By::Cookie(name) => values.request.cookie(name),
            By::Header(name) => values.request.headers().get(name),
            By::Client => Some(values.request.client_ip()),
            By::Identity => identity::subject().map(String::into_bytes),
        };
        value.filter(|value| !value.is_empty())
    }

    /// A value for a client that has none, if it is to be given one, and the context by which the
    /// response phase does so.
    pub fn draw(&self) -> Option<(Vec<u8>, u32)> {
        let number = random::number() as u32 & ((1 << VALUE_BITS) - 1);
        self.cookie.map(|cookie| (value(number), (u32::from(cookie) + 1) << VALUE_BITS | number))
    }
}

impl Cookies {
    fn add(&mut self, node: &Node, name: &str) -> Result<u8, ConfigError> {
        let mut object = node.object()?;
        let max_age =
            object.optional("max_age").map(|node| node.integer(1, 34_560_000)).transpose()?;
        let secure = object.optional("secure").map_or(Ok(true), |node| node.boolean())?;
        object.finish()?;
        let mut attributes = String::from("; Path=/; HttpOnly; SameSite=Lax");
        if secure {
            attributes.push_str("; Secure");
        }
        if let Some(seconds) = max_age {
            attributes.push_str(&format!("; Max-Age={seconds}"));
        }
        let cookie = Cookie { name: name.to_owned(), attributes };
        if let Some(known) = self.0.iter().position(|known| *known == cookie) {
            return Ok(known as u8);
        }
        if self.0.len() == MAX_COOKIES {
            return Err(node.error("expected at most 200 different cookies"));
        }
        self.0.push(cookie);
        Ok(self.0.len() as u8 - 1)
    }

    /// The `Set-Cookie` that a context asks for.
    pub fn field(&self, context: u32) -> Option<Vec<u8>> {
        let cookie = self.0.get(((context >> VALUE_BITS) as usize).checked_sub(1)?)?;
        let value = value(context & ((1 << VALUE_BITS) - 1));
        Some([cookie.name.as_bytes(), b"=", &value, cookie.attributes.as_bytes()].concat())
    }
}

/// The value of a cookie.
fn value(number: u32) -> Vec<u8> {
    format!("{number:06x}").into_bytes()
}

fn name(node: &Node) -> Result<String, ConfigError> {
    match header_name(node.text()?) {
        Some(_) => Ok(node.text()?.to_owned()),
        None => Err(node.error("expected the name of a cookie or header field")),
    }
}
