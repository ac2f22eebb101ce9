use std::fmt;

use crate::header::header_name;
use crate::json::Value;

/// A policy's configuration: JSON, as the host hands it over.
pub struct Config(Value);

impl Config {
    /// Reads the configuration; no bytes at all mean `{}`.
    pub fn parse(bytes: &[u8]) -> Result<Self, ConfigError> {
        if bytes.is_empty() {
            return Ok(Config(Value::Object(Vec::new())));
        }
        match Value::parse(bytes) {
            Ok(value) => Ok(Config(value)),
            Err(problem) => Err(ConfigError::new("config", problem)),
        }
    }

    /// The configuration as the object that it has to be.
    pub fn object(&self) -> Result<Object<'_>, ConfigError> {
        Node { value: &self.0, path: "config".into() }.object()
    }
}

/// What is wrong with a configuration, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    path: String,
    problem: String,
}

impl ConfigError {
    /// A problem at `path`, for instance `config.keys[2].key`.
    pub fn new(path: impl Into<String>, problem: impl Into<String>) -> Self {
        ConfigError { path: path.into(), problem: problem.into() }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)?;
        f.write_str(": ")?;
        f.write_str(&self.problem)
    }
}

impl std::error::Error for ConfigError {}

/// One value of the configuration and its place in it.
#[derive(Clone)]
pub struct Node<'a> {
    value: &'a Value,
    path: String,
}

impl<'a> Node<'a> {
    /// A value that was read apart from the configuration, and how errors name its place.
    pub fn new(value: &'a Value, path: impl Into<String>) -> Self {
        Node { value, path: path.into() }
    }

    /// A problem with this value.
    pub fn error(&self, problem: impl Into<String>) -> ConfigError {
        ConfigError::new(self.path.clone(), problem)
    }

    /// The value itself, to tell apart what may have several types.
    pub fn value(&self) -> &'a Value {
        self.value
    }

    /// The value as text.
    pub fn text(&self) -> Result<&'a str, ConfigError> {
        match self.value {
            Value::String(text) => Ok(text),
            _ => Err(self.error("expected a string")),
        }
    }

    /// The value as the name of a header field (an RFC 9110 token), in lower case.
    pub fn header_name(&self) -> Result<String, ConfigError> {
        header_name(self.text()?).ok_or_else(|| self.error("expected the name of a header field"))
    }

    /// The value as text without control characters, as header values have to be.
    pub fn header_value(&self) -> Result<&'a str, ConfigError> {
        let value = self.text()?;
        if value.bytes().any(|byte| byte < b' ' || byte == 0x7f) {
            return Err(self.error("expected text without control characters"));
        }
        Ok(value)
    }

    /// The value as a whole number between `min` and `max`.
    pub fn integer(&self, min: u32, max: u32) -> Result<u32, ConfigError> {
        match self.value.as_integer() {
            Some(number) if number >= i64::from(min) && number <= i64::from(max) => {
                Ok(number as u32)
            }
            _ => Err(self.error(format!("expected a whole number from {min} to {max}"))),
        }
    }

    /// The value as a duration up to `max`, in milliseconds: a whole number with its unit, `ms`, `s`, `m`,
    /// `h` or `d`.
    pub fn milliseconds(&self, max: u64) -> Result<u64, ConfigError> {
        let text = self.text()?;
        let digits = text.trim_end_matches(|byte: char| byte.is_ascii_lowercase());
        let unit = match &text[digits.len()..] {
            "ms" => Some(1),
            "s" => Some(1000),
            "m" => Some(60_000),
            "h" => Some(3_600_000),
            "d" => Some(86_400_000),
            _ => None,
        };
        let number = Some(digits).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
        let duration = number.and_then(|digits| digits.parse::<u64>().ok()).zip(unit);
        match duration.and_then(|(number, unit)| number.checked_mul(unit)) {
            Some(milliseconds) if milliseconds <= max => Ok(milliseconds),
            _ => Err(self.error(format!(
                "expected a duration such as 250ms, 5s, 2m or 1h, at most {max}ms"
            ))),
        }
    }

    /// The value as true or false.
    pub fn boolean(&self) -> Result<bool, ConfigError> {
        match self.value {
            Value::Bool(value) => Ok(*value),
            _ => Err(self.error("expected true or false")),
        }
    }

    /// The elements of a list.
    pub fn list(&self) -> Result<Vec<Node<'a>>, ConfigError> {
        let Value::Array(elements) = self.value else {
            return Err(self.error("expected a list"));
        };
        let node = |(index, value)| Node { value, path: format!("{}[{index}]", self.path) };
        Ok(elements.iter().enumerate().map(node).collect())
    }

    /// The elements of a list, each made from its node.
    pub fn map<T>(
        &self,
        make: impl FnMut(Node<'a>) -> Result<T, ConfigError>,
    ) -> Result<Vec<T>, ConfigError> {
        self.list()?.into_iter().map(make).collect()
    }

    /// The members of an object.
    pub fn object(&self) -> Result<Object<'a>, ConfigError> {
        match self.value {
            Value::Object(members) => {
                Ok(Object { members, path: self.path.clone(), asked: vec![false; members.len()] })
            }
            _ => Err(self.error("expected an object")),
        }
    }
}

/// An object of the configuration. It remembers which members were asked for, so that
/// [`Object::finish`] can refuse the others.
pub struct Object<'a> {
    members: &'a [(String, Value)],
    path: String,
    asked: Vec<bool>,
}

impl<'a> Object<'a> {
    /// A problem with the object as a whole.
    pub fn error(&self, problem: impl Into<String>) -> ConfigError {
        ConfigError::new(self.path.clone(), problem)
    }

    /// The member named `key`, if it is there.
    pub fn optional(&mut self, key: &str) -> Option<Node<'a>> {
        let index = self.members.iter().position(|(name, _)| name == key)?;
        self.asked[index] = true;
        Some(self.node(index))
    }

    /// The member named `key`.
    pub fn required(&mut self, key: &str) -> Result<Node<'a>, ConfigError> {
        self.optional(key).ok_or_else(|| self.error(format!("{key} is missing")))
    }

    /// The text member named `key`, if it is there.
    pub fn text(&mut self, key: &str) -> Result<Option<&'a str>, ConfigError> {
        self.optional(key).map(|node| node.text()).transpose()
    }

    /// The boolean member named `key`, or false.
    pub fn flag(&mut self, key: &str) -> Result<bool, ConfigError> {
        self.optional(key).map_or(Ok(false), |node| node.boolean())
    }

    /// Every member with its name, in order; for objects whose keys are the operator's to choose.
    pub fn members(self) -> impl Iterator<Item = (&'a str, Node<'a>)> {
        let path = self.path;
        self.members
            .iter()
            .map(move |(key, value)| (key.as_str(), Node { value, path: format!("{path}.{key}") }))
    }

    /// Refuses members that nobody asked for.
    pub fn finish(&self) -> Result<(), ConfigError> {
        match self.asked.iter().position(|asked| !asked) {
            None => Ok(()),
            Some(index) => Err(self.node(index).error("is not a known key")),
        }
    }

    fn node(&self, index: usize) -> Node<'a> {
        let (key, value) = &self.members[index];
        Node { value, path: format!("{}.{key}", self.path) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        Config::parse(text.as_bytes()).expect("valid JSON")
    }

    #[test]
    fn no_bytes_are_an_empty_object() {
        let config = Config::parse(b"").unwrap();
        assert_eq!(config.object().unwrap().finish(), Ok(()));
    }

    #[test]
    fn errors_name_the_place() {
        let config = config(r#"{"keys":[{"key":"a"},{"key":1}],"on":"x","n":11,"more":{}}"#);
        let mut object = config.object().unwrap();
        let keys = object.required("keys").unwrap();
        let texts = keys.map(|node| node.object()?.required("key")?.text());
        assert_eq!(texts.unwrap_err().to_string(), "config.keys[1].key: expected a string");
        assert_eq!(object.flag("on").unwrap_err().to_string(), "config.on: expected true or false");
        let number = object.required("n").unwrap();
        assert_eq!(
            number.integer(0, 10).unwrap_err().to_string(),
            "config.n: expected a whole number from 0 to 10"
        );
        assert_eq!(number.integer(0, 11), Ok(11));
        assert_eq!(object.required("gone").err().unwrap().to_string(), "config: gone is missing");
        assert_eq!(object.finish().unwrap_err().to_string(), "config.more: is not a known key");
    }

    #[test]
    fn header_names_and_values_are_checked() {
        let config =
            config(r#"{"name":"X-Key","bad":"x key","none":"","value":"a\nb","text":"a é"}"#);
        let mut object = config.object().unwrap();
        assert_eq!(object.required("name").unwrap().header_name(), Ok("x-key".to_owned()));
        assert!(object.required("bad").unwrap().header_name().is_err());
        assert!(object.required("none").unwrap().header_name().is_err());
        assert!(object.required("value").unwrap().header_value().is_err());
        assert_eq!(object.required("text").unwrap().header_value(), Ok("a é"));
    }

    #[test]
    fn durations_have_units() {
        let cases = [
            ("0s", Some(0)),
            ("250ms", Some(250)),
            ("5s", Some(5000)),
            ("2m", Some(120_000)),
            ("1h", Some(3_600_000)),
            ("1d", Some(86_400_000)),
            ("86400001ms", None),
            ("2d", None),
            ("5", None),
            ("s", None),
            ("-5s", None),
            ("+5s", None),
            ("1.5s", None),
            ("99999999999999999999s", None),
            ("18446744073709551615d", None),
        ];
        for (text, want) in cases {
            let config = config(&format!(r#"{{"t":"{text}"}}"#));
            let node = config.object().unwrap().required("t").unwrap();
            assert_eq!(node.milliseconds(86_400_000).ok(), want, "{text}");
        }
    }

    #[test]
    fn a_configuration_has_to_be_an_object() {
        let error = config("[]").object().err().unwrap();
        assert_eq!(error.to_string(), "config: expected an object");
    }
}
