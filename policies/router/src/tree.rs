use crate::path::Segment;

/// Stands for no node or entry.
const NONE: u32 = u32::MAX;

/// A radix tree of path patterns: it finds the rules whose path a request may have without a look at the
/// others. Many trees share one of these; each has a root.
#[derive(Default)]
pub struct Trees {
    nodes: Vec<Node>,
    /// The literal text of all nodes.
    text: Vec<u8>,
    entries: Vec<Entry>,
}

/// What a path may go on with.
struct Node {
    /// Bytes of the path, in `text`; empty for a root and after a named segment.
    label: std::ops::Range<u32>,
    /// Nodes whose labels begin with different bytes, in the order of these.
    children: Vec<u32>,
    /// The node after any one segment.
    capture: u32,
    /// The first of the rules whose pattern ends here.
    ends: u32,
    /// The first of the rules whose pattern takes any rest from here on.
    tails: u32,
}

/// One of several rules in the same place.
struct Entry {
    rule: u32,
    next: u32,
}

impl Trees {
    /// A new tree.
    pub fn plant(&mut self) -> u32 {
        self.add(0..0)
    }

    /// Adds a rule that has any path.
    pub fn insert_any(&mut self, root: u32, rule: u32) {
        let first = self.entry(rule, self.nodes[root as usize].tails);
        self.nodes[root as usize].tails = first;
    }

    /// Adds a rule that has the path of these segments, or one that begins with them.
    pub fn insert(&mut self, root: u32, segments: &[Segment], open_ended: bool, rule: u32) {
        let mut at = root;
        for segment in segments {
            at = match segment {
                Segment::Literal(text) => self.descend(at, text),
                Segment::Capture => match self.nodes[at as usize].capture {
                    NONE => {
                        let after = self.add(0..0);
                        self.nodes[at as usize].capture = after;
                        after
                    }
                    after => after,
                },
            };
        }
        if open_ended {
            return self.insert_any(at, rule);
        }
        let first = self.entry(rule, self.nodes[at as usize].ends);
        self.nodes[at as usize].ends = first;
    }

    /// Appends the rules that may have this path to `found`, in no order, some perhaps twice.
    pub fn find(&self, root: u32, path: &[u8], found: &mut Vec<u32>) {
        let mut later = Vec::new();
        let mut next = Some((root, path));
        while let Some((at, rest)) = next {
            let node = &self.nodes[at as usize];
            self.collect(node.tails, found);
            if rest.is_empty() {
                self.collect(node.ends, found);
            }
            let literal = self.child(node, rest).and_then(|place| {
                let child = node.children[place];
                let rest = rest.strip_prefix(self.label(child))?;
                Some((child, rest))
            });
            let segment = rest.iter().position(|&byte| byte == b'/').unwrap_or(rest.len());
            if node.capture != NONE && segment > 0 {
                later.push((node.capture, &rest[segment..]));
            }
            next = literal.or_else(|| later.pop());
        }
    }

    fn collect(&self, mut entry: u32, found: &mut Vec<u32>) {
        while entry != NONE {
            found.push(self.entries[entry as usize].rule);
            entry = self.entries[entry as usize].next;
        }
    }

    /// Goes on by literal text, and makes the way where there is none.
    fn descend(&mut self, mut at: u32, mut text: &[u8]) -> u32 {
        while !text.is_empty() {
            let Some(place) = self.child(&self.nodes[at as usize], text) else {
                let start = self.text.len() as u32;
                self.text.extend_from_slice(text);
                let child = self.add(start..self.text.len() as u32);
                let label = |&known: &u32| self.label(known)[0] < text[0];
                let place = self.nodes[at as usize].children.partition_point(label);
                self.nodes[at as usize].children.insert(place, child);
                return child;
            };
            let child = self.nodes[at as usize].children[place];
            let label = self.label(child);
            let common = label.iter().zip(text).take_while(|(a, b)| a == b).count();
            at = match common == label.len() {
                true => child,
                false => self.split(at, place, common as u32),
            };
            text = &text[common..];
        }
        at
    }

    /// Puts a node between one and its child, after the first `length` bytes of the child's label.
    fn split(&mut self, parent: u32, place: usize, length: u32) -> u32 {
        let child = self.nodes[parent as usize].children[place];
        let label = self.nodes[child as usize].label.clone();
        let middle = self.add(label.start..label.start + length);
        self.nodes[middle as usize].children.push(child);
        self.nodes[child as usize].label.start += length;
        self.nodes[parent as usize].children[place] = middle;
        middle
    }

    /// The place of the child whose label begins as `text` does.
    fn child(&self, node: &Node, text: &[u8]) -> Option<usize> {
        let first = text.first()?;
        node.children.binary_search_by_key(first, |&child| self.label(child)[0]).ok()
    }

    fn label(&self, node: u32) -> &[u8] {
        let label = &self.nodes[node as usize].label;
        &self.text[label.start as usize..label.end as usize]
    }

    fn add(&mut self, label: std::ops::Range<u32>) -> u32 {
        self.nodes.push(Node {
            label,
            children: Vec::new(),
            capture: NONE,
            ends: NONE,
            tails: NONE,
        });
        self.nodes.len() as u32 - 1
    }

    fn entry(&mut self, rule: u32, next: u32) -> u32 {
        self.entries.push(Entry { rule, next });
        self.entries.len() as u32 - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::Pattern;

    fn tree(patterns: &[&str]) -> Trees {
        let mut trees = Trees::default();
        let root = trees.plant();
        for (rule, text) in patterns.iter().enumerate() {
            Pattern::parse(text, &mut vec![]).unwrap().index(&mut trees, root, rule as u32);
        }
        trees
    }

    #[test]
    fn finds_every_way_through() {
        let patterns = [
            "/", "/*", "/a", "/ab", "/a/:x", "/a/:y/c", "/a/b/c", "/:z/b/*", "/a/", "/a/:x/*",
            "/ab",
        ];
        let trees = tree(&patterns);
        let cases: [(&str, &[u32]); 8] = [
            ("/", &[0, 1]),
            ("/a", &[1, 2]),
            ("/ab", &[1, 3, 10]),
            ("/a/", &[1, 8]),
            ("/a/b", &[1, 4]),
            ("/a/b/c", &[1, 5, 6, 7, 9]),
            ("/a/bc/c", &[1, 5, 9]),
            ("*", &[]),
        ];
        for (path, want) in cases {
            let mut found = Vec::new();
            trees.find(0, path.as_bytes(), &mut found);
            found.sort_unstable();
            assert_eq!(found, want, "{path}");
        }
    }
}
