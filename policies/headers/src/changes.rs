use std::borrow::Cow;

use ergo_sdk::json::Value;
use ergo_sdk::template::{Scope, Template, Values};
use ergo_sdk::{ConfigError, Headers, Node, Request, header_name};

/// Fields that frame a message or belong to one connection. The host answers for them.
const FRAMING: [&str; 7] =
    ["connection", "content-length", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"];

const FRAMING_PROBLEM: &str = "is the host's to set: it frames the message";

/// What happens to one list of header fields. Every value is taken before anything changes; then fields
/// are removed, set and added, in this order.
#[derive(Default)]
pub struct Changes {
    remove: Vec<String>,
    remove_prefixes: Vec<String>,
    set: Vec<(String, Template)>,
    add: Vec<(String, Template)>,
}

impl Changes {
    /// Reads `set`, `add` and `remove`. Values may use the response where there is one.
    pub fn configure(node: &Node, response: bool) -> Result<Self, ConfigError> {
        let scope = Scope { response, ..Scope::default() };
        let mut object = node.object()?;
        let mut changes = Changes::default();
        if let Some(node) = object.optional("remove") {
            for name in node.list()? {
                changes.add_removal(&name)?;
            }
        }
        if let Some(node) = object.optional("set") {
            changes.set = fields(&node, scope, false)?;
        }
        if let Some(node) = object.optional("add") {
            changes.add = fields(&node, scope, true)?;
        }
        object.finish()?;
        Ok(changes)
    }

    fn add_removal(&mut self, node: &Node) -> Result<(), ConfigError> {
        let name = own_name(node.text()?, node)?;
        let Some(prefix) = name.strip_suffix('*') else {
            self.remove.push(name);
            return Ok(());
        };
        if prefix.is_empty() {
            return Err(node.error("expected the name of a header field"));
        }
        if FRAMING.iter().any(|field| field.starts_with(prefix)) {
            return Err(node.error(FRAMING_PROBLEM));
        }
        self.remove_prefixes.push(prefix.to_owned());
        Ok(())
    }

    /// Makes the changes to `headers`, with values from the exchange of `request`.
    pub fn apply(&self, headers: Headers, request: &Request) {
        // What is constant stays so, and costs no memory.
        let values = Values { request, captures: &[] };
        let rendered: Vec<_> = self.templates().map(|template| template.render(values)).collect();
        let mut rendered = rendered.into_iter();
        for name in &self.remove {
            headers.remove(name);
        }
        if !self.remove_prefixes.is_empty() {
            self.remove_by_prefix(headers);
        }
        for (name, template) in &self.set {
            match value(template, &mut rendered) {
                Some(value) => headers.set(name, value),
                None => headers.remove(name),
            }
        }
        for (name, template) in &self.add {
            if let Some(value) = value(template, &mut rendered) {
                headers.add(name, value);
            }
        }
    }

    /// The templates that have variables, in the order in which their values are needed.
    fn templates(&self) -> impl Iterator<Item = &Template> {
        let fields = self.set.iter().chain(&self.add);
        fields.map(|(_, template)| template).filter(|template| template.constant().is_none())
    }

    fn remove_by_prefix(&self, headers: Headers) {
        for name in headers.names().iter().filter_map(|name| std::str::from_utf8(name).ok()) {
            if self.remove_prefixes.iter().any(|prefix| name.starts_with(prefix.as_str())) {
                headers.remove(name);
            }
        }
    }
}

/// The template's value for this exchange, the next of `rendered` if it has variables; `None` when these
/// left nothing.
fn value<'a>(
    template: &'a Template,
    rendered: &mut impl Iterator<Item = Vec<u8>>,
) -> Option<Cow<'a, [u8]>> {
    match template.constant() {
        Some(constant) => Some(Cow::Borrowed(constant)),
        None => rendered.next().filter(|value| !value.is_empty()).map(Cow::Owned),
    }
}

/// Reads an object of field names and values; with `several`, a value may be a list.
fn fields(
    node: &Node,
    scope: Scope,
    several: bool,
) -> Result<Vec<(String, Template)>, ConfigError> {
    let mut fields = Vec::new();
    for (name, node) in node.object()?.members() {
        let name = own_name(name, &node)?;
        match node.value() {
            Value::Array(_) if several => {
                for element in node.list()? {
                    fields.push((name.clone(), Template::compile(&element, scope)?));
                }
            }
            _ => fields.push((name, Template::compile(&node, scope)?)),
        }
    }
    Ok(fields)
}

/// The name of a field that is a policy's to change.
fn own_name(name: &str, node: &Node) -> Result<String, ConfigError> {
    let Some(name) = header_name(name) else {
        return Err(node.error("expected the name of a header field"));
    };
    if FRAMING.contains(&name.as_str()) {
        return Err(node.error(FRAMING_PROBLEM));
    }
    Ok(name)
}
