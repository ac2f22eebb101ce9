use std::collections::HashMap;

use ergo_sdk::json::Value;
use ergo_sdk::{ConfigError, Node};

use crate::action::Action;
use crate::condition::Condition;
use crate::index::Index;
use crate::sticky::Cookies;

/// How many rules may have regular expressions for paths: each of them is tried, whatever the path.
const MAX_EXPRESSIONS: usize = 256;

/// What happens to the requests that meet a condition.
pub struct Rule {
    pub condition: Condition,
    pub action: Action,
}

/// The rules, in the order in which they are tried, while they are read.
pub struct Rules {
    pub list: Vec<Rule>,
    pub index: Index,
    /// The names of the header fields that they ask about.
    pub fields: Vec<String>,
    pub cookies: Cookies,
    expressions: usize,
    /// What each rule's conditions are written as, and where.
    seen: HashMap<u128, Place>,
}

/// Where a rule stands.
#[derive(Clone, Copy)]
enum Place {
    Rules(u32),
    Routes(u32),
}

impl Rules {
    /// No rules.
    pub fn new() -> Self {
        Rules {
            list: Vec::new(),
            index: Index::new(),
            fields: Vec::new(),
            cookies: Cookies::default(),
            expressions: 0,
            seen: HashMap::new(),
        }
    }

    /// Reads the next rule of the configuration.
    pub fn add(&mut self, node: &Node) -> Result<(), ConfigError> {
        self.read(node, Place::Rules(self.list.len() as u32))
    }

    /// Reads rules from the text of a list in JSON, one at a time.
    pub fn add_text(&mut self, node: &Node) -> Result<(), ConfigError> {
        for (number, value) in Value::elements(node.text()?.as_bytes()).enumerate() {
            let value = value.map_err(|problem| node.error(problem))?;
            let place = Place::Routes(number as u32);
            self.read(&Node::new(&value, format!("config.routes[{number}]")), place)?;
        }
        Ok(())
    }

    fn read(&mut self, node: &Node, place: Place) -> Result<(), ConfigError> {
        let mut object = node.object()?;
        let condition = Condition::configure(&mut object, &mut self.fields)?;
        let action = Action::configure(&mut object, condition.captures(), &mut self.cookies)?;
        object.finish()?;
        self.expressions += condition.paths().iter().filter(|path| path.is_expression()).count();
        if self.expressions > MAX_EXPRESSIONS {
            return Err(node.error("expected at most 256 paths that are regular expressions"));
        }
        if let Some(first) = self.seen.insert(fingerprint(node.value()), place) {
            let problem =
                format!("has the conditions of {}, so it would never decide", first.name());
            return Err(node.error(problem));
        }
        self.index.insert(&condition, self.list.len() as u32);
        self.list.push(Rule { condition, action });
        Ok(())
    }
}

impl Place {
    fn name(self) -> String {
        match self {
            Place::Rules(number) => format!("rules[{number}]"),
            Place::Routes(number) => format!("routes[{number}]"),
        }
    }
}

/// A number that rules with the same conditions share, in whatever order these and their alternatives
/// are written; others do not, as far as 128 bits can tell them apart.
fn fingerprint(rule: &Value) -> u128 {
    const CONDITIONS: [&str; 7] =
        ["host", "path", "method", "header", "query", "cookie", "identity"];
    let Value::Object(members) = rule else { return 0 };
    let conditions = members.iter().filter(|(name, _)| CONDITIONS.contains(&name.as_str()));
    conditions.map(|(name, value)| member(name, value)).fold(0, u128::wrapping_add)
}

fn member(name: &str, value: &Value) -> u128 {
    let bare = |text: &str| match name {
        "host" => text.to_ascii_lowercase(),
        "path" => nameless(text),
        "header" => text.to_ascii_lowercase(),
        _ => text.to_owned(),
    };
    let sum = match value {
        Value::Array(elements) => elements.iter().map(|element| one(element, &bare)).collect(),
        Value::Object(members) => members
            .iter()
            .map(|(key, value)| {
                let key = if name == "header" { key.to_ascii_lowercase() } else { key.clone() };
                hash(&[key.as_bytes(), &member("", value).to_le_bytes()])
            })
            .collect(),
        value => vec![one(value, &bare)],
    };
    let mut sum: Vec<u128> = sum;
    sum.sort_unstable();
    sum.dedup();
    hash(&[name.as_bytes(), &sum.into_iter().fold(0, u128::wrapping_add).to_le_bytes()])
}

fn one(value: &Value, bare: &impl Fn(&str) -> String) -> u128 {
    match value {
        Value::String(text) => hash(&[b"text", bare(text).as_bytes()]),
        Value::Bool(true) => hash(&[b"true"]),
        Value::Bool(false) => hash(&[b"false"]),
        Value::Object(_) => member("", value),
        _ => 0,
    }
}

/// A path pattern without the names of its parts, which do not matter for what it fits.
fn nameless(pattern: &str) -> String {
    let segments =
        pattern.split('/').map(|segment| if segment.starts_with(':') { ":" } else { segment });
    segments.collect::<Vec<_>>().join("/")
}

/// FNV-1a of 128 bits, over parts that are told apart.
fn hash(parts: &[&[u8]]) -> u128 {
    let bytes = parts.iter().flat_map(|part| part.iter().copied().chain([0xff]));
    bytes.fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d, |hash: u128, byte| {
        (hash ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b)
    })
}
