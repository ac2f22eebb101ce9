use ergo_sdk::{ConfigError, Node};

/// A pattern of paths: `/exact`, `/prefix/*`, `/users/:id/posts`, and their mixtures. `:name` stands for
/// one whole segment that is not empty, `*` at the end for any rest, also an empty one.
#[derive(Debug)]
pub struct Pattern {
    segments: Vec<Segment>,
    open_ended: bool,
    /// The places of the named parts among all those of the rule, in the order of this pattern.
    slots: Vec<usize>,
}

#[derive(Debug)]
enum Segment {
    /// Fixed bytes of the path, slashes included.
    Literal(Vec<u8>),
    /// One segment of any content.
    Capture,
}

impl Pattern {
    /// Reads a pattern. `names` collects the named parts of all patterns of a rule; the rest that a final
    /// `*` stands for is named `*`.
    pub fn configure(node: &Node, names: &mut Vec<String>) -> Result<Self, ConfigError> {
        Self::parse(node.text()?, names).map_err(|problem| node.error(problem))
    }

    fn parse(text: &str, names: &mut Vec<String>) -> Result<Self, &'static str> {
        if !text.starts_with('/') || text.contains(['?', '#']) {
            return Err("expected a path that begins with / and has no query");
        }
        let (fixed, open_ended) = match text.strip_suffix("/*") {
            Some(fixed) => ([fixed, "/"].concat(), true),
            None => (text.to_owned(), false),
        };
        if fixed.contains('*') {
            return Err("expected * only at the end, after a slash");
        }
        let mut pattern = Pattern { segments: vec![], open_ended, slots: vec![] };
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
            if name.is_empty() || pattern.slots.contains(&slot) {
                return Err("expected a name of its own after :");
            }
            pattern.slots.push(slot);
            pattern.segments.push(Segment::Literal(std::mem::take(&mut literal).into()));
            pattern.segments.push(Segment::Capture);
        }
        pattern.segments.push(Segment::Literal(literal.into()));
        if open_ended {
            pattern.slots.push(slot_of("*", names));
        }
        Ok(pattern)
    }

    /// Whether the path fits. Then the places of its named parts in `captured` are filled and the others
    /// empty; else their content is not defined.
    pub fn matches<'p>(&self, path: &'p [u8], captured: &mut [&'p [u8]]) -> bool {
        captured.fill(b"");
        let mut slots = self.slots.iter();
        let mut rest = path;
        for segment in &self.segments {
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
                captured[*slots.next().expect("a slot for each part")] = part;
            }
        }
        if self.open_ended {
            captured[*slots.next().expect("a slot for the rest")] = rest;
        }
        self.open_ended || rest.is_empty()
    }
}

/// The place of `name` among `names`, where it is added if it is new.
fn slot_of(name: &str, names: &mut Vec<String>) -> usize {
    let known = names.iter().position(|known| known == name);
    known.unwrap_or_else(|| {
        names.push(name.to_owned());
        names.len() - 1
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_whole_paths() {
        let cases: [(&str, &str, Option<&[&str]>); 21] = [
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
    }
}
