use ergo_sdk::json::Value;
use ergo_sdk::{ConfigError, Node};

/// Where a claim stands: a name, or a path such as `/realm_access/roles` to one within objects.
pub struct Claim(Vec<String>);

impl Claim {
    /// Reads the name or path of a claim. A path is a JSON Pointer (RFC 6901).
    pub fn configure(node: &Node) -> Result<Self, ConfigError> {
        let text = node.text()?;
        let names: Vec<String> = match text.strip_prefix('/') {
            Some(path) => {
                path.split('/').map(|name| name.replace("~1", "/").replace("~0", "~")).collect()
            }
            None => vec![text.to_owned()],
        };
        if names.iter().any(String::is_empty) {
            return Err(
                node.error("expected the name of a claim, or a path such as /realm_access/roles")
            );
        }
        Ok(Claim(names))
    }

    /// A claim by its name.
    pub fn named(name: &str) -> Self {
        Claim(vec![name.to_owned()])
    }

    /// What the claims say there.
    pub fn of<'a>(&self, claims: &'a Value) -> Option<&'a Value> {
        self.0.iter().try_fold(claims, |value, name| value.get(name))
    }
}

/// What a claim has to be for a request to pass.
pub struct Requirement {
    claim: Claim,
    rule: Rule,
}

enum Rule {
    Present,
    Equals(Value),
    OneOf(Vec<Value>),
    /// An element of a list, or a word of a text.
    Contains(Value),
}

impl Requirement {
    /// Reads `{ claim, equals | one_of | contains }`; a claim alone only has to be there.
    pub fn configure(node: Node) -> Result<Self, ConfigError> {
        let mut object = node.object()?;
        let claim = Claim::configure(&object.required("claim")?)?;
        let equals = object.optional("equals");
        let one_of = object.optional("one_of");
        let contains = object.optional("contains");
        let rule = match (equals, one_of, contains) {
            (None, None, None) => Rule::Present,
            (Some(node), None, None) => Rule::Equals(scalar(&node)?),
            (None, Some(node), None) => Rule::OneOf(node.map(|node| scalar(&node))?),
            (None, None, Some(node)) => Rule::Contains(scalar(&node)?),
            _ => return Err(object.error("expected one of equals, one_of and contains")),
        };
        object.finish()?;
        Ok(Requirement { claim, rule })
    }

    /// Whether the claims have it. `null` is as good as nothing.
    pub fn holds(&self, claims: &Value) -> bool {
        let Some(value) = self.claim.of(claims).filter(|value| **value != Value::Null) else {
            return false;
        };
        match &self.rule {
            Rule::Present => true,
            Rule::Equals(wanted) => value == wanted,
            Rule::OneOf(wanted) => wanted.contains(value),
            Rule::Contains(wanted) => contains(value, wanted),
        }
    }
}

/// Whether a list has a value, or a text separated by spaces has a word.
fn contains(value: &Value, wanted: &Value) -> bool {
    match (value, wanted) {
        (Value::Array(elements), wanted) => elements.contains(wanted),
        (Value::String(text), Value::String(word)) => text.split(' ').any(|other| other == word),
        _ => false,
    }
}

/// Whether the claims give every one of `scopes`, in `scope` (RFC 8693 section 4.2) or `scp`.
pub fn has_scopes(claims: &Value, scopes: &[String]) -> bool {
    let given = claims.get("scope").or_else(|| claims.get("scp"));
    let has =
        |scope: &String| given.is_some_and(|given| contains(given, &Value::String(scope.clone())));
    scopes.iter().all(has)
}

fn scalar(node: &Node) -> Result<Value, ConfigError> {
    match node.value() {
        value @ (Value::String(_) | Value::Number(_) | Value::Bool(_)) => Ok(value.clone()),
        _ => Err(node.error("expected a text, a number or true or false")),
    }
}
