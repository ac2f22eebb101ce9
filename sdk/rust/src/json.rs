//! A small, strict JSON reader and writer (RFC 8259), for configurations and what strangers send: no
//! name appears twice in an object, and reading takes no more than the text's length times its logarithm.

use std::collections::BTreeSet;
use std::fmt;

/// Deepest nesting that is read.
const MAX_DEPTH: usize = 64;

/// One JSON value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number as it was written; see [`Value::as_integer`].
    Number(String),
    /// Text without its escapes.
    String(String),
    /// `[...]`
    Array(Vec<Value>),
    /// `{...}` in the order it was written; no name appears twice.
    Object(Vec<(String, Value)>),
}

impl Value {
    /// Reads one value and nothing after it. The error says what was expected at which byte.
    pub fn parse(text: &[u8]) -> Result<Value, String> {
        let mut parser = Parser { text, at: 0 };
        let value = parser.value(MAX_DEPTH)?;
        parser.space();
        match parser.at == text.len() {
            true => Ok(value),
            false => Err(parser.expected("the end")),
        }
    }

    /// Reads a list, and hands over each of its elements as it comes, so that a long one never lies in
    /// memory as a whole. The first error ends it.
    pub fn elements(text: &[u8]) -> Elements<'_> {
        Elements { parser: Parser { text, at: 0 }, state: State::Before }
    }

    /// The value as a whole number, if it is one.
    pub fn as_integer(&self) -> Option<i64> {
        match self {
            Value::Number(digits) => digits.parse().ok(),
            _ => None,
        }
    }

    /// The value as text, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// The member of an object, if it has it.
    pub fn get(&self, name: &str) -> Option<&Value> {
        match self {
            Value::Object(members) => {
                members.iter().find(|(key, _)| key == name).map(|(_, value)| value)
            }
            _ => None,
        }
    }
}

/// Writes the value without spaces and in ASCII alone.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => f.write_str("null"),
            Value::Bool(value) => write!(f, "{value}"),
            Value::Number(digits) => f.write_str(digits),
            Value::String(text) => write_text(f, text),
            Value::Array(elements) => {
                for (index, element) in elements.iter().enumerate() {
                    write!(f, "{}{element}", if index == 0 { "[" } else { "," })?;
                }
                f.write_str(if elements.is_empty() { "[]" } else { "]" })
            }
            Value::Object(members) => {
                for (index, (name, value)) in members.iter().enumerate() {
                    f.write_str(if index == 0 { "{" } else { "," })?;
                    write_text(f, name)?;
                    write!(f, ":{value}")?;
                }
                f.write_str(if members.is_empty() { "{}" } else { "}" })
            }
        }
    }
}

fn write_text(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_str("\"")?;
    for unit in text.encode_utf16() {
        match u8::try_from(unit) {
            Ok(byte @ (b'"' | b'\\')) => write!(f, "\\{}", char::from(byte))?,
            Ok(byte @ b' '..=b'~') => write!(f, "{}", char::from(byte))?,
            _ => write!(f, "\\u{unit:04x}")?,
        }
    }
    f.write_str("\"")
}

/// Whether a name stands there twice. Large objects are looked at by their order, because each name
/// would be compared with each other one.
fn repeats(members: &[(String, Value)]) -> bool {
    const FEW: usize = 16;
    if members.len() <= FEW {
        let twice = |(index, (name, _)): (usize, &(String, Value))| {
            members[..index].iter().any(|(other, _)| other == name)
        };
        return members.iter().enumerate().any(twice);
    }
    let mut names = BTreeSet::new();
    !members.iter().all(|(name, _)| names.insert(name))
}

/// The elements of a list, one after another; see [`Value::elements`].
pub struct Elements<'a> {
    parser: Parser<'a>,
    state: State,
}

enum State {
    Before,
    Between,
    Over,
}

impl Iterator for Elements<'_> {
    type Item = Result<Value, String>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.read().transpose();
        if !matches!(next, Some(Ok(_))) {
            self.state = State::Over;
        }
        next
    }
}

impl Elements<'_> {
    fn read(&mut self) -> Result<Option<Value>, String> {
        let parser = &mut self.parser;
        parser.space();
        let ended = match self.state {
            State::Over => return Ok(None),
            State::Before if !parser.skip(b'[') => return Err(parser.expected("'['")),
            State::Before => {
                parser.space();
                parser.skip(b']')
            }
            State::Between if parser.skip(b',') => false,
            State::Between if parser.skip(b']') => true,
            State::Between => return Err(parser.expected("',' or ']'")),
        };
        self.state = State::Between;
        if !ended {
            return parser.value(MAX_DEPTH - 1).map(Some);
        }
        parser.space();
        match parser.at == parser.text.len() {
            true => Ok(None),
            false => Err(parser.expected("the end")),
        }
    }
}

struct Parser<'a> {
    text: &'a [u8],
    at: usize,
}

impl Parser<'_> {
    fn expected(&self, what: &str) -> String {
        format!("not valid JSON: expected {what} at byte {}", self.at)
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Skips `byte` and says whether it was there.
    fn skip(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn value(&mut self, depth: usize) -> Result<Value, String> {
        if depth == 0 {
            return Err(self.expected("less nesting"));
        }
        self.space();
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => self.string().map(Value::String),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            Some(b'n') => self.word("null", Value::Null),
            _ => Err(self.expected("a value")),
        }
    }

    fn word(&mut self, word: &str, value: Value) -> Result<Value, String> {
        if !self.text[self.at..].starts_with(word.as_bytes()) {
            return Err(self.expected(word));
        }
        self.at += word.len();
        Ok(value)
    }

    fn array(&mut self, depth: usize) -> Result<Value, String> {
        self.at += 1;
        let mut elements = Vec::new();
        self.space();
        if self.skip(b']') {
            return Ok(Value::Array(elements));
        }
        loop {
            elements.push(self.value(depth - 1)?);
            self.space();
            if self.skip(b']') {
                return Ok(Value::Array(elements));
            }
            if !self.skip(b',') {
                return Err(self.expected("',' or ']'"));
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value, String> {
        self.at += 1;
        let mut members: Vec<(String, Value)> = Vec::new();
        self.space();
        if self.skip(b'}') {
            return Ok(Value::Object(members));
        }
        loop {
            self.space();
            let name = self.string()?;
            self.space();
            if !self.skip(b':') {
                return Err(self.expected("':'"));
            }
            members.push((name, self.value(depth - 1)?));
            self.space();
            if self.skip(b',') {
                continue;
            }
            if !self.skip(b'}') {
                return Err(self.expected("',' or '}'"));
            }
            return match repeats(&members) {
                true => Err(self.expected("each name once before")),
                false => Ok(Value::Object(members)),
            };
        }
    }

    fn number(&mut self) -> Result<Value, String> {
        let start = self.at;
        self.skip(b'-');
        if !self.skip(b'0') {
            self.digits()?;
        }
        if self.skip(b'.') {
            self.digits()?;
        }
        if self.skip(b'e') || self.skip(b'E') {
            let _ = self.skip(b'+') || self.skip(b'-');
            self.digits()?;
        }
        let digits = self.text[start..self.at].iter().copied().map(char::from);
        Ok(Value::Number(digits.collect()))
    }

    fn digits(&mut self) -> Result<(), String> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at > start { Ok(()) } else { Err(self.expected("a digit")) }
    }

    fn string(&mut self) -> Result<String, String> {
        if !self.skip(b'"') {
            return Err(self.expected("'\"'"));
        }
        let mut bytes = Vec::new();
        loop {
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => self.escape(&mut bytes)?,
                Some(byte) if byte >= 0x20 => {
                    bytes.push(byte);
                    self.at += 1;
                }
                _ => return Err(self.expected("a character or '\"'")),
            }
        }
        self.at += 1;
        String::from_utf8(bytes).map_err(|_| self.expected("UTF-8 before"))
    }

    fn escape(&mut self, bytes: &mut Vec<u8>) -> Result<(), String> {
        self.at += 1;
        let plain = match self.peek() {
            Some(byte @ (b'"' | b'\\' | b'/')) => byte,
            Some(b'b') => 0x08,
            Some(b'f') => 0x0c,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'u') => return self.unicode(bytes),
            _ => return Err(self.expected("an escape")),
        };
        self.at += 1;
        bytes.push(plain);
        Ok(())
    }

    /// Reads `uXXXX`, and the second half when it is one of a surrogate pair.
    fn unicode(&mut self, bytes: &mut Vec<u8>) -> Result<(), String> {
        let mut code = self.hex4()?;
        if (0xd800..0xdc00).contains(&code) && self.skip(b'\\') {
            let low = self.hex4()?;
            if !(0xdc00..0xe000).contains(&low) {
                return Err(self.expected("a low surrogate before"));
            }
            code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        }
        let Some(character) = char::from_u32(code) else {
            return Err(self.expected("a whole character before"));
        };
        bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        Ok(())
    }

    fn hex4(&mut self) -> Result<u32, String> {
        if !self.skip(b'u') {
            return Err(self.expected("'u'"));
        }
        let mut code = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            code = code << 4 | digit.ok_or_else(|| self.expected("a hexadecimal digit"))?;
            self.at += 1;
        }
        Ok(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hands_over_elements_one_by_one() {
        let read = |text: &str| Value::elements(text.as_bytes()).collect::<Result<Vec<_>, _>>();
        for whole in ["[]", " [ ] ", "[1]", "[1, {\"a\":[2]} ,\"b\"]\n"] {
            let Ok(Value::Array(want)) = Value::parse(whole.as_bytes()) else { panic!("{whole}") };
            assert_eq!(read(whole), Ok(want), "{whole}");
        }
        for broken in ["", "{}", "[", "[1", "[1,", "[1,]", "[,1]", "[1 2]", "[1]]", "[1] 2", "[a]"]
        {
            assert!(read(broken).is_err(), "{broken}");
        }
        let mut after = Value::elements(b"[1 2]");
        assert!(after.next().is_some_and(|first| first.is_ok()));
        assert!(after.next().is_some_and(|second| second.is_err()) && after.next().is_none());
    }

    #[test]
    fn reads_every_kind() {
        let text = r#" {"a":[null,true,false,-12,1.5e+3,""],"b":{"c":"x"},"":[]} "#;
        let want = Value::Object(vec![
            (
                "a".into(),
                Value::Array(vec![
                    Value::Null,
                    Value::Bool(true),
                    Value::Bool(false),
                    Value::Number("-12".into()),
                    Value::Number("1.5e+3".into()),
                    Value::String("".into()),
                ]),
            ),
            ("b".into(), Value::Object(vec![("c".into(), Value::String("x".into()))])),
            ("".into(), Value::Array(vec![])),
        ]);
        assert_eq!(Value::parse(text.as_bytes()), Ok(want));
    }

    #[test]
    fn reads_escapes() {
        let cases = [
            (r#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{c}\n\r\t"),
            (r#""\u00e9\u20AC""#, "é€"),
            (r#""\ud83d\ude00""#, "😀"),
            ("\"é\"", "é"),
        ];
        for (text, want) in cases {
            assert_eq!(Value::parse(text.as_bytes()), Ok(Value::String(want.into())), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_not_json() {
        let nested = "[".repeat(100) + &"]".repeat(100);
        let cases = [
            "",
            " ",
            "nul",
            "{",
            "[1,]",
            "{\"a\":1,}",
            "{a:1}",
            "{\"a\" 1}",
            "[1 2]",
            "01",
            "-",
            "1.",
            ".5",
            "1e",
            "\"",
            "\"\n\"",
            r#""\x""#,
            r#""\u12""#,
            r#""\ud800""#,
            r#""\ud800\u0041""#,
            r#""\udc00""#,
            "1 1",
            "{\"a\":1,\"a\":2}",
            &nested,
        ];
        for text in cases {
            assert!(Value::parse(text.as_bytes()).is_err(), "{text}");
        }
        assert!(Value::parse(b"\"\xff\"").is_err());
    }

    #[test]
    fn names_are_there_once_in_large_objects_too() {
        let mut text: String = (0..5000).map(|n| format!("\"{n}\":0,")).collect();
        text = format!("{{{text}\"last\":1}}");
        let value = Value::parse(text.as_bytes()).unwrap();
        assert_eq!(value.get("last").and_then(Value::as_integer), Some(1));
        assert!(Value::parse(text.replace("last", "17").as_bytes()).is_err());
    }

    #[test]
    fn writes_what_it_reads() {
        let text = r#"{"a":[null,true,false,-12,1.5e+3,"",[],{}],"b":{"c":"x\"\\"},"":"\u00e9\ud83d\ude00\u000a"}"#;
        let value = Value::parse(text.as_bytes()).unwrap();
        assert_eq!(value.to_string(), text);
        assert_eq!(value.get("b").and_then(|b| b.get("c")).and_then(Value::as_text), Some("x\"\\"));
        assert_eq!(
            (value.get("c"), Value::Null.get("c"), Value::Null.as_text()),
            (None, None, None)
        );
    }

    #[test]
    fn errors_say_where() {
        let error = Value::parse(b"{\"a\": }").unwrap_err();
        assert_eq!(error, "not valid JSON: expected a value at byte 6");
    }

    #[test]
    fn whole_numbers() {
        let cases = [("12", Some(12)), ("-3", Some(-3)), ("1.5", None), ("1e3", None)];
        for (text, want) in cases {
            assert_eq!(Value::parse(text.as_bytes()).unwrap().as_integer(), want, "{text}");
        }
    }
}
