use ergo_sdk::template::{Scope, Template, Values};
use ergo_sdk::{ConfigError, Node};

use crate::view::View;

/// How the path changes on its way. The query stays, unless a template has one of its own.
pub enum Rewrite {
    /// Takes one prefix away and puts another before.
    Prefix { strip: String, add: String },
    /// Another path altogether.
    Path(Template),
}

impl Rewrite {
    /// Reads `strip_prefix` and `add_prefix`, or `path`.
    pub fn configure(node: &Node, scope: Scope) -> Result<Self, ConfigError> {
        let mut object = node.object()?;
        let path = object.optional("path");
        let strip = object.optional("strip_prefix").map(|node| prefix(&node)).transpose()?;
        let add = object.optional("add_prefix").map(|node| prefix(&node)).transpose()?;
        object.finish()?;
        match (path, strip.is_some() || add.is_some()) {
            (Some(path), false) if path.text()?.starts_with('/') => {
                Ok(Rewrite::Path(Template::compile(&path, scope)?))
            }
            (Some(path), false) => Err(path.error("expected a path that begins with /")),
            (None, true) => Ok(Rewrite::Prefix {
                strip: strip.unwrap_or_default(),
                add: add.unwrap_or_default(),
            }),
            _ => Err(node.error("expected either path, or strip_prefix and add_prefix")),
        }
    }

    /// The new target.
    pub fn apply(&self, view: &View, values: Values) -> Vec<u8> {
        let mut target = match self {
            Rewrite::Path(template) => template.render(values),
            Rewrite::Prefix { strip, add } => {
                let rest = strip_segments(view.path, strip.as_bytes());
                let slash: &[u8] = if rest.is_empty() && add.is_empty() { b"/" } else { b"" };
                [add.as_bytes(), rest, slash].concat()
            }
        };
        if let (Some(query), false) = (view.target.query(), target.contains(&b'?')) {
            target.push(b'?');
            target.extend_from_slice(query);
        }
        target
    }
}

/// The path without the prefix, where the prefix ends with a whole segment; else the whole path.
fn strip_segments<'p>(path: &'p [u8], prefix: &[u8]) -> &'p [u8] {
    match path.strip_prefix(prefix) {
        Some(rest) if rest.is_empty() || rest.starts_with(b"/") => rest,
        _ => path,
    }
}

/// Reads a prefix: `/` and whole segments; a slash at its end is dropped.
fn prefix(node: &Node) -> Result<String, ConfigError> {
    let text = node.header_value()?;
    if !text.starts_with('/') || text.contains(['?', '#', ' ']) {
        return Err(node.error("expected a path that begins with / and has no query"));
    }
    Ok(text.trim_end_matches('/').to_owned())
}
