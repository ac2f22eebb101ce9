use ergo_sdk::json::Value;
use ergo_sdk::{ConfigError, Node, Object, header_name, identity};

use crate::expect::Expect;
use crate::host::HostPattern;
use crate::path::Pattern;
use crate::view::View;

/// When a rule applies. Conditions are joined by and, the alternatives of one condition by or; one that
/// is absent always holds.
pub struct Condition {
    hosts: Box<[HostPattern]>,
    paths: Box<[Pattern]>,
    captures: Box<[String]>,
    methods: Box<[String]>,
    /// What few rules ask, apart from the others for their number's sake.
    rest: Option<Box<Rest>>,
}

/// The conditions beyond the request's line.
#[derive(Default)]
struct Rest {
    fields: Vec<(usize, String, Expect)>,
    parameters: Vec<(String, Expect)>,
    cookies: Vec<(String, Expect)>,
    identity: Vec<(Known, Expect)>,
}

/// Something that is known of the client.
enum Known {
    Subject,
    Attribute(String),
}

impl Condition {
    /// Reads a rule's conditions. `names` numbers the header fields of all rules.
    pub fn configure(rule: &mut Object, names: &mut Vec<String>) -> Result<Self, ConfigError> {
        let mut captures = Vec::new();
        Ok(Condition {
            hosts: one_or_several(rule, "host", |node| HostPattern::configure(&node))?,
            paths: one_or_several(rule, "path", |node| Pattern::configure(&node, &mut captures))?,
            captures: captures.into(),
            methods: one_or_several(rule, "method", method)?,
            rest: Rest::configure(rule, names)?.map(Box::new),
        })
    }

    /// The hosts that the rule is for; none for all.
    pub fn hosts(&self) -> &[HostPattern] {
        &self.hosts
    }

    /// The paths that the rule is for; none for all.
    pub fn paths(&self) -> &[Pattern] {
        &self.paths
    }

    /// The names that `${path:NAME}` may use in this rule.
    pub fn captures(&self) -> &[String] {
        &self.captures
    }

    /// Whether the request meets the condition. Then `captured` holds the parts of its path.
    pub fn holds<'r>(&self, view: &View<'r>, captured: &mut Vec<&'r [u8]>) -> bool {
        fits(&self.hosts, |host| host.fits(view.host()))
            && fits(&self.methods, |method| view.method() == method.as_bytes())
            && self.path_fits(view.path, captured)
            && self.rest.as_ref().is_none_or(|rest| rest.holds(view))
    }

    fn path_fits<'r>(&self, path: &'r [u8], captured: &mut Vec<&'r [u8]>) -> bool {
        captured.clear();
        captured.resize(self.captures.len(), b"");
        fits(&self.paths, |pattern| pattern.matches(path, captured))
    }
}

impl Rest {
    /// Reads these conditions, if there are any.
    fn configure(rule: &mut Object, names: &mut Vec<String>) -> Result<Option<Self>, ConfigError> {
        let rest = Rest {
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
            cookies: members(rule, "cookie", |name, node| match header_name(name) {
                Some(_) => Ok((name.to_owned(), Expect::configure(&node)?)),
                None => Err(node.error("expected the name of a cookie")),
            })?,
            identity: known(rule)?,
        };
        let none = rest.fields.is_empty() && rest.parameters.is_empty();
        let none = none && rest.cookies.is_empty() && rest.identity.is_empty();
        Ok((!none).then_some(rest))
    }

    fn holds(&self, view: &View) -> bool {
        let parameter = |(name, expect): &(String, Expect)| {
            let values: Vec<_> = view.target.parameter(name).collect();
            expect.holds(values.iter().map(Vec::as_slice))
        };
        let cookie = |(name, expect): &(String, Expect)| {
            expect.holds(view.request.cookie(name).as_deref().into_iter())
        };
        self.fields
            .iter()
            .all(|(index, name, expect)| expect.holds(view.field(*index, name).iter()))
            && self.parameters.iter().all(parameter)
            && self.cookies.iter().all(cookie)
            && self.identity.iter().all(|(known, expect)| {
                expect.holds(known.value().as_ref().map(String::as_bytes).into_iter())
            })
    }
}

impl Known {
    fn value(&self) -> Option<String> {
        match self {
            Known::Subject => identity::subject(),
            Known::Attribute(name) => identity::attribute(name),
        }
    }
}

/// Reads what the client's identity must be: true for anybody, false for nobody, or what is known of it.
fn known(rule: &mut Object) -> Result<Vec<(Known, Expect)>, ConfigError> {
    let Some(node) = rule.optional("identity") else {
        return Ok(Vec::new());
    };
    if let Value::Bool(_) = node.value() {
        return Ok(vec![(Known::Subject, Expect::configure(&node)?)]);
    }
    let mut object = node.object()?;
    let mut all = Vec::new();
    if let Some(node) = object.optional("subject") {
        all.push((Known::Subject, Expect::configure(&node)?));
    }
    all.extend(members(&mut object, "attribute", |name, node| {
        Ok((Known::Attribute(name.to_owned()), Expect::configure(&node)?))
    })?);
    object.finish()?;
    match all.is_empty() {
        true => Err(node.error("expected true, false, subject or attribute")),
        false => Ok(all),
    }
}

/// Whether there are no alternatives or one of them fits.
fn fits<T>(alternatives: &[T], fits: impl FnMut(&T) -> bool) -> bool {
    alternatives.is_empty() || alternatives.iter().any(fits)
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
) -> Result<Box<[T]>, ConfigError> {
    let Some(node) = object.optional(key) else {
        return Ok(Box::default());
    };
    match node.value() {
        Value::Array(elements) if elements.is_empty() => Err(node.error("expected at least one")),
        Value::Array(_) => node.map(make).map(Vec::into_boxed_slice),
        _ => Ok(Box::new([make(node)?])),
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
