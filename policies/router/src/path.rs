use ergo_sdk::json::Value;
use ergo_sdk::{ConfigError, Node, Target};

use crate::expression::Expression;
use crate::tree::Trees;

/// The longest pattern.
const MAX_TEXT_BYTES: usize = 1024;

/// A pattern of paths: `/exact`, `/prefix/*`, `/users/:id/posts`, and their mixtures, or a regular
/// expression. `:name` stands for one whole segment that is not empty, `*` at the end for any rest, also
/// an empty one.
#[derive(Debug)]
pub struct Pattern {
    form: Form,
    /// The places of the named parts among all those of the rule, in the order of this pattern.
    slots: Box<[u32]>,
}

#[derive(Debug)]
enum Form {
    Segments { segments: Box<[Segment]>, open_ended: bool },
    Expression(Box<Expression>),
}

/// A part of a pattern.
#[derive(Debug)]
pub enum Segment {
    /// Fixed bytes of the path, slashes included.
    Literal(Box<[u8]>),
    /// One segment of any content.
    Capture,
}

impl Pattern {
    /// Reads a pattern. `names` collects the named parts of all patterns of a rule; the rest that a final
    /// `*` stands for is named `*`.
    pub fn configure(node: &Node, names: &mut Vec<String>) -> Result<Self, ConfigError> {
        match node.value() {
            Value::Object(_) => {
                let expression = Expression::configure(node)?;
                let slots = expression.names().map(|name| slot_of(name, names)).collect();
                Ok(Pattern { form: Form::Expression(Box::new(expression)), slots })
            }
            _ => Self::parse(node.text()?, names).map_err(|problem| node.error(problem)),
        }
    }

    /// Reads a pattern that is no expression.
    pub fn parse(text: &str, names: &mut Vec<String>) -> Result<Self, &'static str> {
        if !text.starts_with('/') || text.contains(['?', '#']) {
            return Err("expected a path that begins with / and has no query");
        }
        if text.len() > MAX_TEXT_BYTES {
            return Err("expected a path of at most 1024 bytes");
        }
        let (fixed, open_ended) = match text.strip_suffix("/*") {
            Some(fixed) => ([fixed, "/"].concat(), true),
            None => (text.to_owned(), false),
        };
        if fixed.contains('*') {
            return Err("expected * only at the end, after a slash");
        }
        let mut segments = Vec::new();
        let mut slots = Vec::new();
        let mut literal = String::new();
        for (index, segment) in fixed.split('/').enumerate() {
            if index > 0 {
                literal.push('/');
            }
            let Some(name) = segment.strip_prefix(':') else {
                literal.push_str(segment);
                continue;
            };
            let slot = slot_of(name, names);
            if name.is_empty() || slots.contains(&slot) {
                return Err("expected a name of its own after :");
            }
            slots.push(slot);
            segments.push(Segment::Literal(in_one_spelling(&std::mem::take(&mut literal))?));
            segments.push(Segment::Capture);
        }
        segments.push(Segment::Literal(in_one_spelling(&literal)?));
        if open_ended {
            slots.push(slot_of("*", names));
        }
        let form = Form::Segments { segments: segments.into(), open_ended };
        Ok(Pattern { form, slots: slots.into() })
    }

    /// Adds the rule that has this pattern to a tree.
    pub fn index(&self, trees: &mut Trees, root: u32, rule: u32) {
        match &self.form {
            Form::Segments { segments, open_ended } => {
                trees.insert(root, segments, *open_ended, rule)
            }
            Form::Expression(_) => trees.insert_any(root, rule),
        }
    }

    /// Whether this is a regular expression.
    pub fn is_expression(&self) -> bool {
        matches!(self.form, Form::Expression(_))
    }

    /// Whether the path fits. Then the places of its named parts in `captured` are filled and the others
    /// empty; else their content is not defined.
    pub fn matches<'p>(&self, path: &'p [u8], captured: &mut [&'p [u8]]) -> bool {
        captured.fill(b"");
        match &self.form {
            Form::Segments { segments, open_ended } => {
                self.follow(segments, *open_ended, path, captured)
            }
            Form::Expression(expression) if self.slots.is_empty() => expression.matches(path),
            Form::Expression(expression) => match expression.captures(path) {
                Some(parts) => {
                    for (slot, part) in self.slots.iter().zip(parts) {
                        captured[*slot as usize] = part;
                    }
                    true
                }
                None => false,
            },
        }
    }

    fn follow<'p>(
        &self,
        segments: &[Segment],
        open_ended: bool,
        path: &'p [u8],
        captured: &mut [&'p [u8]],
    ) -> bool {
        let mut slots = self.slots.iter();
        let mut rest = path;
        for segment in segments {
            let length = match segment {
                Segment::Literal(literal) if rest.starts_with(literal) => literal.len(),
                Segment::Literal(_) => return false,
                Segment::Capture => {
                    rest.iter().position(|&byte| byte == b'/').unwrap_or(rest.len())
                }
            };
            let (part, tail) = rest.split_at(length);
            rest = tail;
            if let Segment::Capture = segment {
                if part.is_empty() {
                    return false;
                }
                captured[*slots.next().expect("a slot for each part") as usize] = part;
            }
        }
        if open_ended {
            captured[*slots.next().expect("a slot for the rest") as usize] = rest;
        }
        open_ended || rest.is_empty()
    }
}

/// Fixed text of a pattern in the spelling that paths are compared in: what no path can have as it is
/// written is escaped.
fn in_one_spelling(literal: &str) -> Result<Box<[u8]>, &'static str> {
    if literal.contains(|c: char| c <= ' ' || c == '\x7f') {
        return Err("expected %XX for spaces and control characters");
    }
    match Target::new(literal.into()).normal_path() {
        Some(path) => Ok(path.into()),
        None => Err("expected no . or .. segments, and two digits after %"),
    }
}

/// The place of `name` among `names`, where it is added if it is new.
fn slot_of(name: &str, names: &mut Vec<String>) -> u32 {
    let known = names.iter().position(|known| known == name);
    known.unwrap_or_else(|| {
        names.push(name.to_owned());
        names.len() - 1
    }) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_whole_paths() {
        let cases: [(&str, &str, Option<&[&str]>); 24] = [
            ("/", "/", Some(&[])),
            ("/", "/a", None),
            ("/a", "/a", Some(&[])),
            ("/a", "/a/", None),
            ("/a", "/ab", None),
            ("/a", "/A", None),
            ("/*", "/", Some(&[""])),
            ("/*", "/a/b", Some(&["a/b"])),
            ("/a/*", "/a", None),
            ("/a/*", "/a/", Some(&[""])),
            ("/a/*", "/a/b/c", Some(&["b/c"])),
            ("/a/*", "/ab/c", None),
            ("/u/:id", "/u/7", Some(&["7"])),
            ("/u/:id", "/u/", None),
            ("/u/:id", "/u/7/", None),
            ("/u/:id", "/u/7/8", None),
            ("/:a/x/:b/*", "/1/x/2/3/4", Some(&["1", "2", "3/4"])),
            ("/:a/x/:b/*", "/1/y/2/3", None),
            ("/:a", "/a%2Fb", Some(&["a%2Fb"])),
            ("/:a/:b", "//b", None),
            ("/x:y", "/x:y", Some(&[])),
            ("/%61%2fb", "/a%2Fb", Some(&[])),
            ("/é/:a", "/%C3%A9/1", Some(&["1"])),
            ("/a//b", "/a/b", None),
        ];
        for (pattern, path, want) in cases {
            let mut names = Vec::new();
            let parsed = Pattern::parse(pattern, &mut names).unwrap();
            let mut captured = vec![b"".as_slice(); names.len()];
            let matched = parsed.matches(path.as_bytes(), &mut captured);
            let got = matched.then_some(captured);
            let want = want.map(|parts| parts.iter().map(|part| part.as_bytes()).collect());
            assert_eq!(got, want, "{pattern} {path}");
        }
    }

    #[test]
    fn refuses_what_is_no_pattern() {
        for text in ["", "a", "*", "/a*", "/*/b", "/a/**", "/a?b", "/:", "/:a/:a", "/:a/*/"] {
            assert!(Pattern::parse(text, &mut vec![]).is_err(), "{text}");
        }
        for text in ["/a/../b", "/%2e", "/./*", "/%", "/%4", "/a b", "/a\n"] {
            assert!(Pattern::parse(text, &mut vec![]).is_err(), "{text}");
        }
        assert!(Pattern::parse(&["/", &"a".repeat(1024)].concat(), &mut vec![]).is_err());
    }
}
