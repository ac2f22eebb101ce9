use ergo_sdk::{ConfigError, Node};
use regex::bytes::{Regex, RegexBuilder};

/// Bounds of one expression: its text, and what it is compiled to.
const MAX_TEXT_BYTES: usize = 1024;
const MAX_COMPILED_BYTES: usize = 256 << 10;

/// A regular expression that a whole value has to match. It is matched byte by byte, in time linear in
/// the value.
#[derive(Debug)]
pub struct Expression(Regex);

impl Expression {
    /// Reads `{ regex = "..." }`.
    pub fn configure(node: &Node) -> Result<Self, ConfigError> {
        let mut object = node.object()?;
        let node = object.required("regex")?;
        let text = node.text()?;
        object.finish()?;
        if text.len() > MAX_TEXT_BYTES {
            return Err(node.error("expected an expression of at most 1024 bytes"));
        }
        // Alone first: what is put around it must not make sense of a stray parenthesis.
        let whole = compile(text).and_then(|_| compile(&["\\A(?:", text, ")\\z"].concat()));
        whole.map(Expression).map_err(|error| node.error(problem(&error)))
    }

    /// Whether it matches the whole value.
    pub fn matches(&self, value: &[u8]) -> bool {
        self.0.is_match(value)
    }

    /// The names of its groups, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.capture_names().flatten()
    }

    /// The parts of the value that the named groups stand for, in order and empty for those that took no
    /// part, if it matches the whole value.
    pub fn captures<'v>(&self, value: &'v [u8]) -> Option<Vec<&'v [u8]>> {
        let found = self.0.captures(value)?;
        let part = |name| found.name(name).map_or(&b""[..], |part| part.as_bytes());
        Some(self.names().map(part).collect())
    }
}

fn compile(text: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(text).unicode(false).size_limit(MAX_COMPILED_BYTES).build()
}

/// The last line of what the library says, which draws a picture of the place.
fn problem(error: &regex::Error) -> String {
    if let regex::Error::CompiledTooBig(_) = error {
        return "is too large when it is compiled: expected fewer repetitions".into();
    }
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default();
    ["expected a regular expression: ", last.trim_start_matches("error: ")].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ergo_sdk::json::Value;

    fn expression(text: &str) -> Result<Expression, String> {
        let value = Value::Object(vec![("regex".into(), Value::String(text.into()))]);
        Expression::configure(&Node::new(&value, "x")).map_err(|error| error.to_string())
    }

    #[test]
    fn matches_whole_values() {
        let cases = [
            ("a|b", "b", true),
            ("a|b", "ab", false),
            ("a", "a\n", false),
            ("a.c", "a\u{e9}c", false), // bytes, of which this has two
            ("a..c", "a\u{e9}c", true),
            ("(?i)abc", "ABC", true),
            ("(?m)^a$", "a\na", false),
            ("[0-9]{1,3}", "123", true),
            ("[0-9]{1,3}", "1234", false),
        ];
        for (text, value, want) in cases {
            assert_eq!(expression(text).unwrap().matches(value.as_bytes()), want, "{text} {value}");
        }
    }

    #[test]
    fn captures_by_name() {
        let found = expression("/(?<a>[a-z]+)(?:/(?P<b>[0-9]+))?").unwrap();
        assert_eq!(found.names().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(found.captures(b"/x/7"), Some(vec![&b"x"[..], b"7"]));
        assert_eq!(found.captures(b"/x"), Some(vec![&b"x"[..], b""]));
        assert_eq!(found.captures(b"/7"), None);
    }

    #[test]
    fn what_is_costly_is_refused() {
        for text in ["a)(b", "(", "(?:a{1000}){1000}", "\\1", "(?=a)", &"a".repeat(1025)] {
            assert!(expression(text).is_err(), "{text}");
        }
        let long = [b"a".repeat(1 << 16), b"!".to_vec()].concat();
        assert!(!expression("(a|a)*(a|aa)*b").unwrap().matches(&long));
    }
}
