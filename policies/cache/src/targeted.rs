//! Directives for this cache alone: targeted fields (RFC 9213), which are dictionaries of structured
//! fields (RFC 9651), and the older Surrogate-Control (Edge Architecture Specification).

use std::borrow::Cow;

use crate::directives::{
    Delta, Directive, Directives, MAX_SECONDS, ResponseDirectives, Scope, field_names, seconds,
};

/// Reads a targeted field. `None` means that it is to be ignored: it is empty or no dictionary.
pub fn parse(text: &[u8]) -> Option<ResponseDirectives> {
    let members = Parser { rest: text.trim_ascii() }.dictionary()?;
    if members.is_empty() {
        return None;
    }
    let mut all = ResponseDirectives::default();
    for (key, value) in &members {
        apply(&mut all, key, value);
    }
    Some(all)
}

/// A member whose value is not of the directive's type is ignored (RFC 9213 section 2.1).
fn apply(all: &mut ResponseDirectives, key: &[u8], value: &Value) {
    let yes = *value == Value::Boolean(true);
    match (key, value) {
        (b"max-age", Value::Integer(number)) => all.max_age = lifetime(*number),
        (b"s-maxage", Value::Integer(number)) => all.s_maxage = lifetime(*number),
        (b"stale-while-revalidate", Value::Integer(number)) => {
            all.stale_while_revalidate = lifetime(*number).valid();
        }
        (b"stale-if-error", Value::Integer(number)) => {
            all.stale_if_error = lifetime(*number).valid()
        }
        (b"no-store", _) => all.no_store = yes,
        (b"public", _) => all.public = yes,
        (b"must-revalidate", _) => all.must_revalidate = yes,
        (b"proxy-revalidate", _) => all.proxy_revalidate = yes,
        (b"must-understand", _) => all.must_understand = yes,
        (b"no-cache", _) => all.no_cache = scope(value),
        (b"private", _) => all.private = scope(value),
        _ => {}
    }
}

fn lifetime(number: i64) -> Delta {
    match u32::try_from(number) {
        Ok(seconds) => Delta::Seconds(seconds.min(MAX_SECONDS)),
        Err(_) if number > 0 => Delta::Seconds(MAX_SECONDS),
        Err(_) => Delta::Invalid,
    }
}

fn scope(value: &Value) -> Scope {
    match value {
        Value::Boolean(true) => Scope::Whole,
        Value::Text(names) => field_names(names).map_or(Scope::Whole, Scope::Fields),
        _ => Scope::None,
    }
}

/// Reads Surrogate-Control for the surrogate called `name`. Directives for others are left out;
/// `max-age=60+30` is fresh for 60 seconds and may be stale for 30 more.
pub fn surrogate<'a>(
    lines: impl Iterator<Item = &'a [u8]>,
    name: &str,
) -> Option<ResponseDirectives> {
    let mut all = ResponseDirectives::default();
    let mut known = false;
    for member in lines.flat_map(|line| line.split(|&byte| byte == b',')) {
        let (directive, target) = match member.iter().position(|&byte| byte == b';') {
            Some(at) => (&member[..at], Some(member[at + 1..].trim_ascii())),
            None => (member, None),
        };
        if target.is_some_and(|target| target != name.as_bytes()) {
            continue;
        }
        let Some(directive) = Directives::new(directive).next() else { continue };
        known |= see_surrogate(&mut all, directive);
    }
    known.then_some(all)
}

fn see_surrogate(all: &mut ResponseDirectives, directive: Directive) -> bool {
    let name = directive.name.to_ascii_lowercase();
    let Directive { value, sound, .. } = &directive;
    match name.as_slice() {
        b"no-store" => all.no_store = true,
        b"max-age" => {
            let text = value.as_deref().unwrap_or_default();
            let plus = text.iter().position(|&byte| byte == b'+');
            let (fresh, stale) = text.split_at(plus.unwrap_or(text.len()));
            all.max_age = seconds(fresh).filter(|_| *sound).map_or(Delta::Invalid, Delta::Seconds);
            all.stale_while_revalidate = stale.get(1..).and_then(seconds);
        }
        _ => return false,
    }
    true
}

/// What of a structured field's types a directive can have.
#[derive(Debug, PartialEq)]
enum Value {
    Integer(i64),
    Boolean(bool),
    Text(Vec<u8>),
    Other,
}

/// A strict parser: what it does not accept is no structured field.
struct Parser<'a> {
    rest: &'a [u8],
}

type Member<'a> = (&'a [u8], Value);

impl<'a> Parser<'a> {
    fn dictionary(mut self) -> Option<Vec<Member<'a>>> {
        let mut members: Vec<Member> = Vec::new();
        while !self.rest.is_empty() {
            let key = self.key()?;
            let value = if self.eat(b'=') { self.member()? } else { Value::Boolean(true) };
            self.parameters()?;
            members.retain(|(known, _)| *known != key);
            members.push((key, value));
            self.space(b" \t");
            if self.rest.is_empty() {
                break;
            }
            if !self.eat(b',') {
                return None;
            }
            self.space(b" \t");
            if self.rest.is_empty() {
                return None;
            }
        }
        Some(members)
    }

    fn eat(&mut self, byte: u8) -> bool {
        match self.rest.split_first() {
            Some((&first, rest)) if first == byte => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    fn space(&mut self, of: &[u8]) {
        while let Some((first, rest)) = self.rest.split_first() {
            if !of.contains(first) {
                break;
            }
            self.rest = rest;
        }
    }

    fn take(&mut self, allowed: impl Fn(u8) -> bool) -> &'a [u8] {
        let end = self.rest.iter().position(|&byte| !allowed(byte)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    fn key(&mut self) -> Option<&'a [u8]> {
        let first = *self.rest.first()?;
        if !first.is_ascii_lowercase() && first != b'*' {
            return None;
        }
        Some(self.take(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-.*".contains(&byte)
        }))
    }

    fn parameters(&mut self) -> Option<()> {
        while self.eat(b';') {
            self.space(b" ");
            self.key()?;
            if self.eat(b'=') {
                self.item()?;
            }
        }
        Some(())
    }

    fn member(&mut self) -> Option<Value> {
        if !self.eat(b'(') {
            return self.item();
        }
        loop {
            self.space(b" ");
            if self.eat(b')') {
                return Some(Value::Other);
            }
            self.item()?;
            self.parameters()?;
            if !matches!(self.rest.first(), Some(b' ' | b')')) {
                return None;
            }
        }
    }

    fn item(&mut self) -> Option<Value> {
        match self.rest.first()? {
            b'-' | b'0'..=b'9' => self.number(),
            b'"' => self.string(),
            b'?' => self.boolean(),
            b':' => self.bytes(),
            b'@' => {
                self.rest = &self.rest[1..];
                matches!(self.number()?, Value::Integer(_)).then_some(Value::Other)
            }
            b'*' | b'a'..=b'z' | b'A'..=b'Z' => {
                self.take(|byte| crate::directives::is_token(byte) || b":/".contains(&byte));
                Some(Value::Other)
            }
            _ => None,
        }
    }

    fn number(&mut self) -> Option<Value> {
        let sign = if self.eat(b'-') { -1 } else { 1 };
        let whole = self.take(|byte| byte.is_ascii_digit());
        if whole.is_empty() || whole.len() > 15 {
            return None;
        }
        if !self.eat(b'.') {
            let number =
                whole.iter().fold(0, |number, digit| number * 10 + i64::from(digit - b'0'));
            return Some(Value::Integer(sign * number));
        }
        let fraction = self.take(|byte| byte.is_ascii_digit());
        (whole.len() <= 12 && (1..=3).contains(&fraction.len())).then_some(Value::Other)
    }

    fn string(&mut self) -> Option<Value> {
        let mut text = Vec::new();
        let mut bytes = self.rest[1..].iter().enumerate();
        while let Some((at, &byte)) = bytes.next() {
            match byte {
                b'"' => {
                    self.rest = &self.rest[at + 2..];
                    return Some(Value::Text(text));
                }
                b'\\' => match bytes.next() {
                    Some((_, &escaped @ (b'"' | b'\\'))) => text.push(escaped),
                    _ => return None,
                },
                b' '..=b'~' => text.push(byte),
                _ => return None,
            }
        }
        None
    }

    fn boolean(&mut self) -> Option<Value> {
        let value = match self.rest.get(1)? {
            b'0' => false,
            b'1' => true,
            _ => return None,
        };
        self.rest = &self.rest[2..];
        Some(Value::Boolean(value))
    }

    fn bytes(&mut self) -> Option<Value> {
        self.rest = &self.rest[1..];
        self.take(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte));
        self.eat(b':').then_some(Value::Other)
    }
}

/// Writes `text` as a token if it can be one, else as a string, for Cache-Status (RFC 9211).
pub fn token_or_string(text: &str) -> Cow<'_, str> {
    let mut bytes = text.bytes();
    let token = bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'*')
        && bytes.all(|byte| crate::directives::is_token(byte) || b":/".contains(&byte));
    if token {
        return Cow::Borrowed(text);
    }
    Cow::Owned(format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dictionaries() {
        let all = parse(b"max-age=600, no-cache;x=1, stale-if-error=5, private=\"a, B\", t=(1 \"b\";c :YQ==:), u=tok/en:1").unwrap();
        assert_eq!(all.max_age, Delta::Seconds(600));
        assert_eq!(all.no_cache, Scope::Whole);
        assert_eq!(all.stale_if_error, Some(5));
        assert_eq!(all.private, Scope::Fields(vec!["a".into(), "b".into()]));
    }

    #[test]
    fn values_of_other_types_are_ignored() {
        let all =
            parse(b"max-age=\"600\", s-maxage=1.5, no-store=?0, must-revalidate=yes, public=?1")
                .unwrap();
        let want = ResponseDirectives { public: true, ..Default::default() };
        assert_eq!(all, want);
        assert_eq!(parse(b"max-age=-1").unwrap().max_age, Delta::Invalid);
        assert_eq!(parse(b"max-age=99999999999").unwrap().max_age, Delta::Seconds(MAX_SECONDS));
        assert_eq!(parse(b"max-age=1, max-age=2").unwrap().max_age, Delta::Seconds(2));
    }

    #[test]
    fn what_is_no_dictionary_is_ignored_as_a_whole() {
        let cases = [
            "",
            " ",
            "max-age=600,",
            ",max-age=600",
            "max-age=600 x",
            "Max-Age=600",
            "max-age=",
            "max-age =600",
            "max-age=600, &",
            "max-age=1234567890123456",
            "a=\"b",
            "a=\"\\x\"",
            "a=?2",
            "a=(1",
            "a=:b",
            "a=1.",
            "a=@1.5",
            "a;;b",
            "a=(1\"b\")",
        ];
        for text in cases {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn surrogate_control() {
        let read = |line: &str| surrogate([line.as_bytes()].into_iter(), "edge");
        assert_eq!(read("max-age=60").unwrap().max_age, Delta::Seconds(60));
        assert_eq!(read("x, MaX-aGe=60+30;edge").unwrap().stale_while_revalidate, Some(30));
        assert_eq!(read("max-age=60;other"), None);
        assert_eq!(read("max-age=60;other, max-age=5").unwrap().max_age, Delta::Seconds(5));
        assert_eq!(read("max-age= 60").unwrap().max_age, Delta::Invalid);
        assert!(read("no-store, content=\"ESI/1.0\"").unwrap().no_store);
        assert_eq!(read("content=\"ESI/1.0\""), None);
    }

    #[test]
    fn names_in_cache_status() {
        let cases = [
            ("ergo", "ergo"),
            ("a b", "\"a b\""),
            ("1", "\"1\""),
            ("a\"\\", "\"a\\\"\\\\\""),
            ("", "\"\""),
        ];
        for (text, want) in cases {
            assert_eq!(token_or_string(text), want);
        }
    }

    #[test]
    fn reads_anything() {
        crate::random::bytes(b"max-age=10, \"\\();:?.@*x\x00\xff", 4000, |text| {
            parse(text);
            surrogate([text].into_iter(), "x");
        });
    }
}
