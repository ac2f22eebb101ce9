use ergo_sdk::json::Value;
use ergo_sdk::{ConfigError, Node, Object, header_name};

use crate::path::Pattern;
use crate::view::View;

/// When a rule applies. Conditions are joined by and, the alternatives of one condition by or; one that
/// is absent always holds.
pub struct Condition {
    hosts: Vec<HostPattern>,
    paths: Vec<Pattern>,
    captures: Vec<String>,
    methods: Vec<String>,
    fields: Vec<(usize, String, Expect)>,
    parameters: Vec<(String, Expect)>,
}

enum HostPattern {
    Exact(String),
    /// `.example.com` for `*.example.com`.
    Suffix(String),
}

/// What a header field or query parameter must be.
enum Expect {
    Present,
    Absent,
    Equal(String),
    Prefix(String),
}

impl Condition {
    /// Reads a rule's conditions. `names` numbers the header fields of all rules.
    pub fn configure(rule: &mut Object, names: &mut Vec<String>) -> Result<Self, ConfigError> {
        let mut captures = Vec::new();
        Ok(Condition {
            hosts: one_or_several(rule, "host", host)?,
            paths: one_or_several(rule, "path", |node| Pattern::configure(&node, &mut captures))?,
            captures,
            methods: one_or_several(rule, "method", method)?,
            fields: members(rule, "header", |name, node| {
                let Some(name) = header_name(name) else {
                    return Err(node.error("expected the name of a header field"));
                };
                let index = names.iter().position(|known| *known == name).unwrap_or(names.len());
                if index == names.len() {
                    names.push(name.clone());
                }
                Ok((index, name, Expect::configure(&node)?))
            })?,
            parameters: members(rule, "query", |name, node| {
                Ok((name.to_owned(), Expect::configure(&node)?))
            })?,
        })
    }

    /// The names that `${path:NAME}` may use in this rule.
    pub fn captures(&self) -> &[String] {
        &self.captures
    }

    /// Whether the request meets the condition. Then `captured` holds the parts of its path.
    pub fn holds<'r>(&self, view: &View<'r>, captured: &mut Vec<&'r [u8]>) -> bool {
        self.path_fits(view.path, captured)
            && fits(&self.methods, |method| view.method() == method.as_bytes())
            && fits(&self.hosts, |host| host.fits(view.host()))
            && self
                .fields
                .iter()
                .all(|(index, name, expect)| expect.holds(view.field(*index, name).iter()))
            && self.parameters.iter().all(|(name, expect)| match expect {
                Expect::Present | Expect::Absent => {
                    expect.holds(view.target.parameter(name).map(|_| b"".as_slice()))
                }
                _ => view.target.parameter(name).any(|value| expect.accepts(&value)),
            })
    }

    fn path_fits<'r>(&self, path: &'r [u8], captured: &mut Vec<&'r [u8]>) -> bool {
        captured.clear();
        captured.resize(self.captures.len(), b"");
        self.paths.is_empty() || self.paths.iter().any(|pattern| pattern.matches(path, captured))
    }
}

/// Whether there are no alternatives or one of them fits.
fn fits<T>(alternatives: &[T], fits: impl Fn(&T) -> bool) -> bool {
    alternatives.is_empty() || alternatives.iter().any(fits)
}

impl HostPattern {
    fn fits(&self, host: &[u8]) -> bool {
        match self {
            HostPattern::Exact(exact) => host == exact.as_bytes(),
            HostPattern::Suffix(suffix) => {
                host.len() > suffix.len() && host.ends_with(suffix.as_bytes())
            }
        }
    }
}

impl Expect {
    fn configure(node: &Node) -> Result<Self, ConfigError> {
        match node.value() {
            Value::Bool(true) => Ok(Expect::Present),
            Value::Bool(false) => Ok(Expect::Absent),
            Value::String(text) => Ok(match text.strip_suffix('*') {
                Some(prefix) => Expect::Prefix(prefix.to_owned()),
                None => Expect::Equal(text.to_owned()),
            }),
            _ => Err(node.error("expected a value, true (present) or false (absent)")),
        }
    }

    fn holds<'v>(&self, mut values: impl Iterator<Item = &'v [u8]>) -> bool {
        match self {
            Expect::Absent => values.next().is_none(),
            _ => values.any(|value| self.accepts(value)),
        }
    }

    fn accepts(&self, value: &[u8]) -> bool {
        match self {
            Expect::Present => true,
            Expect::Absent => false,
            Expect::Equal(text) => value == text.as_bytes(),
            Expect::Prefix(prefix) => value.starts_with(prefix.as_bytes()),
        }
    }
}

fn host(node: Node) -> Result<HostPattern, ConfigError> {
    let host = node.text()?.to_ascii_lowercase();
    let pattern = match host.strip_prefix('*') {
        Some(suffix) if suffix.len() > 1 && suffix.starts_with('.') => {
            HostPattern::Suffix(suffix.to_owned())
        }
        _ => HostPattern::Exact(host.clone()),
    };
    let bare = host.trim_start_matches("*.");
    let port = !bare.starts_with('[') && bare.contains(':');
    if bare.is_empty() || port || bare.contains(['*', '/', ' ']) {
        return Err(node.error("expected a host without port, or *.suffix"));
    }
    Ok(pattern)
}

fn method(node: Node) -> Result<String, ConfigError> {
    match header_name(node.text()?) {
        Some(name) if name.to_ascii_uppercase() == node.text()? => Ok(name.to_ascii_uppercase()),
        _ => Err(node.error("expected a method in capitals")),
    }
}

/// Reads a member that is one value or a list of them, which must not be empty.
fn one_or_several<'a, T>(
    object: &mut Object<'a>,
    key: &str,
    mut make: impl FnMut(Node<'a>) -> Result<T, ConfigError>,
) -> Result<Vec<T>, ConfigError> {
    let Some(node) = object.optional(key) else {
        return Ok(Vec::new());
    };
    match node.value() {
        Value::Array(elements) if elements.is_empty() => Err(node.error("expected at least one")),
        Value::Array(_) => node.map(make),
        _ => Ok(vec![make(node)?]),
    }
}

/// Reads the members of a member that is an object.
fn members<'a, T>(
    object: &mut Object<'a>,
    key: &str,
    mut make: impl FnMut(&'a str, Node<'a>) -> Result<T, ConfigError>,
) -> Result<Vec<T>, ConfigError> {
    match object.optional(key) {
        Some(node) => node.object()?.members().map(|(name, node)| make(name, node)).collect(),
        None => Ok(Vec::new()),
    }
}
