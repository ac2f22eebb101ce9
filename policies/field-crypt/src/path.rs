//! JSONPath queries: the subset of RFC 9535 that README.md describes.

use std::fmt;

/// Most segments of one query.
const MAX_SEGMENTS: usize = 32;

/// Largest index, so that a count of elements never wraps.
const MAX_INDEX: u32 = 999_999_999;

/// A query: what leads from the root to the values that it selects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    pub segments: Vec<Segment>,
}

/// One step down, or, for a descendant segment, any number of them and then one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    pub descendant: bool,
    pub selectors: Vec<Selector>,
}

/// What a step selects of an object or array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    Name(String),
    Index(u32),
    Wildcard,
}

impl Path {
    /// Reads a query. The error says what was expected at which character.
    pub fn parse(text: &str) -> Result<Path, String> {
        let mut reader = Reader { text: text.chars().collect(), at: 0 };
        if !reader.skip('$') {
            return Err(reader.expected("'$'"));
        }
        let mut segments = Vec::new();
        while reader.at < reader.text.len() {
            if segments.len() == MAX_SEGMENTS {
                return Err(format!("has more than {MAX_SEGMENTS} segments"));
            }
            segments.push(reader.segment()?);
        }
        Ok(Path { segments })
    }
}

/// The one spelling that all spellings of a query have in common: brackets, single quotes.
impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("$")?;
        for segment in &self.segments {
            f.write_str(if segment.descendant { "..[" } else { "[" })?;
            for (i, selector) in segment.selectors.iter().enumerate() {
                f.write_str(if i > 0 { "," } else { "" })?;
                match selector {
                    Selector::Name(name) => write_quoted(f, name)?,
                    Selector::Index(index) => write!(f, "{index}")?,
                    Selector::Wildcard => f.write_str("*")?,
                }
            }
            f.write_str("]")?;
        }
        Ok(())
    }
}

/// Writes a name as a normalized path has it (RFC 9535, 2.7).
fn write_quoted(f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
    f.write_str("'")?;
    for character in name.chars() {
        match character {
            '\u{8}' => f.write_str("\\b")?,
            '\t' => f.write_str("\\t")?,
            '\n' => f.write_str("\\n")?,
            '\u{c}' => f.write_str("\\f")?,
            '\r' => f.write_str("\\r")?,
            '\'' => f.write_str("\\'")?,
            '\\' => f.write_str("\\\\")?,
            control if control < ' ' => write!(f, "\\u{:04x}", u32::from(control))?,
            other => write!(f, "{other}")?,
        }
    }
    f.write_str("'")
}

struct Reader {
    text: Vec<char>,
    at: usize,
}

impl Reader {
    fn peek(&self) -> Option<char> {
        self.text.get(self.at).copied()
    }

    fn skip(&mut self, character: char) -> bool {
        let there = self.peek() == Some(character);
        self.at += usize::from(there);
        there
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(' ' | '\t' | '\n' | '\r')) {
            self.at += 1;
        }
    }

    fn expected(&self, what: &str) -> String {
        format!("expected {what} at character {}", self.at + 1)
    }

    fn segment(&mut self) -> Result<Segment, String> {
        let dots = usize::from(self.skip('.')) + usize::from(self.skip('.'));
        let selectors = match self.peek() {
            Some('[') if dots != 1 => self.brackets()?,
            Some('*') if dots > 0 => {
                self.at += 1;
                vec![Selector::Wildcard]
            }
            Some(first) if dots > 0 && is_name_first(first) => vec![self.shorthand()],
            _ if dots > 0 => return Err(self.expected("a name, '*' or, behind two dots, '['")),
            _ => return Err(self.expected("'.' or '['")),
        };
        Ok(Segment { descendant: dots == 2, selectors })
    }

    fn shorthand(&mut self) -> Selector {
        let start = self.at;
        while self.peek().is_some_and(|c| is_name_first(c) || c.is_ascii_digit()) {
            self.at += 1;
        }
        Selector::Name(self.text[start..self.at].iter().collect())
    }

    fn brackets(&mut self) -> Result<Vec<Selector>, String> {
        let mut selectors = Vec::new();
        self.at += 1;
        loop {
            self.space();
            selectors.push(self.selector()?);
            self.space();
            if self.skip(']') {
                return Ok(selectors);
            }
            if self.peek() == Some(':') {
                return Err(self.expected("no slice, these are not supported,"));
            }
            if !self.skip(',') {
                return Err(self.expected("',' or ']'"));
            }
        }
    }

    fn selector(&mut self) -> Result<Selector, String> {
        match self.peek() {
            Some(quote @ ('\'' | '"')) => {
                self.at += 1;
                self.quoted(quote).map(Selector::Name)
            }
            Some('*') => {
                self.at += 1;
                Ok(Selector::Wildcard)
            }
            Some('0'..='9') => self.index(),
            Some('?') => Err(self.expected("no filter, these are not supported,")),
            Some('-') => Err(self.expected("an index from the start")),
            Some(':') => Err(self.expected("no slice, these are not supported,")),
            _ => Err(self.expected("a name in quotes, an index or '*'")),
        }
    }

    fn index(&mut self) -> Result<Selector, String> {
        let start = self.at;
        while self.peek().is_some_and(|c| c.is_ascii_digit()) {
            self.at += 1;
        }
        let digits: String = self.text[start..self.at].iter().collect();
        match digits.parse() {
            Ok(index) if index <= MAX_INDEX && (digits == "0" || !digits.starts_with('0')) => {
                Ok(Selector::Index(index))
            }
            _ => {
                self.at = start;
                Err(self.expected(&format!("an index up to {MAX_INDEX} without leading zeros")))
            }
        }
    }

    fn quoted(&mut self, quote: char) -> Result<String, String> {
        let mut name = String::new();
        loop {
            match self.peek() {
                Some(end) if end == quote => {
                    self.at += 1;
                    return Ok(name);
                }
                Some('\\') => {
                    self.at += 1;
                    name.push(self.escape(quote)?);
                }
                Some(character) if character >= ' ' => {
                    self.at += 1;
                    name.push(character);
                }
                _ => return Err(self.expected("the end of a name in quotes")),
            }
        }
    }

    fn escape(&mut self, quote: char) -> Result<char, String> {
        let character = match self.peek() {
            Some('b') => '\u{8}',
            Some('t') => '\t',
            Some('n') => '\n',
            Some('f') => '\u{c}',
            Some('r') => '\r',
            Some(same @ ('/' | '\\')) => same,
            Some(same) if same == quote => same,
            Some('u') => return self.unicode(),
            _ => return Err(self.expected("an escape")),
        };
        self.at += 1;
        Ok(character)
    }

    fn unicode(&mut self) -> Result<char, String> {
        let mut code = self.hex4()?;
        if (0xd800..0xdc00).contains(&code) && self.skip('\\') {
            let low = self.hex4()?;
            if !(0xdc00..0xe000).contains(&low) {
                return Err(self.expected("a low surrogate before"));
            }
            code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        }
        char::from_u32(code).ok_or_else(|| self.expected("a whole character before"))
    }

    fn hex4(&mut self) -> Result<u32, String> {
        if !self.skip('u') {
            return Err(self.expected("'u'"));
        }
        let mut code = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|c| c.to_digit(16));
            code = code << 4 | digit.ok_or_else(|| self.expected("a hexadecimal digit"))?;
            self.at += 1;
        }
        Ok(code)
    }
}

fn is_name_first(character: char) -> bool {
    character.is_ascii_alphabetic() || character == '_' || !character.is_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_spelling_and_writes_one() {
        let cases = [
            ("$", "$"),
            ("$.a", "$['a']"),
            ("$.card.number", "$['card']['number']"),
            ("$['a']", "$['a']"),
            ("$[\"a\"]", "$['a']"),
            ("$[ 'a' , \"b\" ,3,*]", "$['a','b',3,*]"),
            ("$.*", "$[*]"),
            ("$[*]", "$[*]"),
            ("$[0][12]", "$[0][12]"),
            ("$..ssn", "$..['ssn']"),
            ("$..*", "$..[*]"),
            ("$..['a','b']", "$..['a','b']"),
            ("$..[0]", "$..[0]"),
            ("$.a..b.c", "$['a']..['b']['c']"),
            ("$._x9.é", "$['_x9']['é']"),
            (r#"$['it\'s']"#, r#"$['it\'s']"#),
            (r#"$["say \"\u0041\""]"#, r#"$['say "A"']"#),
            (r#"$['\ud83d\ude00']"#, "$['😀']"),
            (r#"$['\b\t\n\f\r\/\\']"#, r#"$['\b\t\n\f\r/\\']"#),
            (r#"$['\u0001']"#, r#"$['\u0001']"#),
            ("$['']", "$['']"),
        ];
        for (text, want) in cases {
            let path = Path::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(path.to_string(), want, "{text}");
            assert_eq!(Path::parse(want), Ok(path), "{want}");
        }
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        let cases = [
            ("", "expected '$' at character 1"),
            ("a", "expected '$' at character 1"),
            (" $", "expected '$' at character 1"),
            ("$ ", "expected '.' or '[' at character 2"),
            ("$a", "expected '.' or '[' at character 2"),
            ("$.", "expected a name, '*' or, behind two dots, '[' at character 3"),
            ("$.[0]", "expected a name, '*' or, behind two dots, '[' at character 3"),
            ("$...a", "expected a name, '*' or, behind two dots, '[' at character 4"),
            ("$.1a", "expected a name, '*' or, behind two dots, '[' at character 3"),
            ("$.a-b", "expected '.' or '[' at character 4"),
            ("$[]", "expected a name in quotes, an index or '*' at character 3"),
            ("$[a]", "expected a name in quotes, an index or '*' at character 3"),
            ("$['a'", "expected ',' or ']' at character 6"),
            ("$['a]", "expected the end of a name in quotes at character 6"),
            ("$['\\x']", "expected an escape at character 5"),
            ("$['\\\"']", "expected an escape at character 5"),
            ("$['\\ud800']", "expected a whole character before at character 10"),
            ("$['\\ud800\\u0041']", "expected a low surrogate before at character 16"),
            ("$['\\u00g1']", "expected a hexadecimal digit at character 8"),
            ("$[-1]", "expected an index from the start at character 3"),
            ("$[01]", "expected an index up to 999999999 without leading zeros at character 3"),
            (
                "$[9999999999]",
                "expected an index up to 999999999 without leading zeros at character 3",
            ),
            ("$[1:2]", "expected no slice, these are not supported, at character 4"),
            ("$[:2]", "expected no slice, these are not supported, at character 3"),
            ("$[?@.a]", "expected no filter, these are not supported, at character 3"),
        ];
        for (text, want) in cases {
            assert_eq!(Path::parse(text).unwrap_err(), want, "{text}");
        }
        assert!(Path::parse(&format!("${}", ".a".repeat(32))).is_ok());
        assert_eq!(
            Path::parse(&format!("${}", ".a".repeat(33))).unwrap_err(),
            "has more than 32 segments"
        );
    }
}
