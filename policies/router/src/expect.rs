use ergo_sdk::json::Value;
use ergo_sdk::{ConfigError, Node};

use crate::expression::Expression;

/// What a value of the request must be: that of a header field, a parameter, a cookie or the client's
/// identity.
#[derive(Debug)]
pub enum Expect {
    Present,
    Absent,
    Equal(String),
    Prefix(String),
    Expression(Expression),
}

impl Expect {
    /// Reads a value, the beginning of one followed by `*`, true, false, or a regular expression.
    pub fn configure(node: &Node) -> Result<Self, ConfigError> {
        match node.value() {
            Value::Bool(true) => Ok(Expect::Present),
            Value::Bool(false) => Ok(Expect::Absent),
            Value::String(text) => Ok(match text.strip_suffix('*') {
                Some(prefix) => Expect::Prefix(prefix.to_owned()),
                None => Expect::Equal(text.to_owned()),
            }),
            Value::Object(_) => Expression::configure(node).map(Expect::Expression),
            _ => {
                Err(node
                    .error("expected a value, true (present), false (absent) or { regex = ... }"))
            }
        }
    }

    /// Whether one of the values is accepted, or, if none may be there, there is none.
    pub fn holds<'v>(&self, mut values: impl Iterator<Item = &'v [u8]>) -> bool {
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
            Expect::Expression(expression) => expression.matches(value),
        }
    }
}
