use std::collections::BTreeMap;

use crate::condition::Condition;
use crate::host::HostPattern;
use crate::tree::Trees;
use crate::view::View;

/// Finds the rules that a request may meet by its host and path, without a look at the others. It may
/// find some that do not fit, and never leaves out one that does.
pub struct Index {
    trees: Trees,
    /// The tree of the rules that are for any host.
    anywhere: u32,
    /// The trees of those for one host.
    exact: BTreeMap<Box<[u8]>, u32>,
    /// The trees of those for all hosts that end with `.example.com`.
    suffix: BTreeMap<Box<[u8]>, u32>,
    /// The length of the longest of these, so that a long host is not looked for dot by dot.
    longest: usize,
}

impl Index {
    /// An index of no rules.
    pub fn new() -> Self {
        let mut trees = Trees::default();
        let anywhere = trees.plant();
        Index { trees, anywhere, exact: BTreeMap::new(), suffix: BTreeMap::new(), longest: 0 }
    }

    /// Adds the rule of that number.
    pub fn insert(&mut self, condition: &Condition, rule: u32) {
        if condition.hosts().is_empty() {
            self.insert_paths(self.anywhere, condition, rule);
        }
        for host in condition.hosts() {
            let (known, name) = match host {
                HostPattern::Exact(name) => (&mut self.exact, name),
                HostPattern::Suffix(name) => {
                    self.longest = self.longest.max(name.len());
                    (&mut self.suffix, name)
                }
            };
            let root = match known.get(name.as_bytes()) {
                Some(&root) => root,
                None => {
                    let root = self.trees.plant();
                    known.insert(name.as_bytes().into(), root);
                    root
                }
            };
            self.insert_paths(root, condition, rule);
        }
    }

    fn insert_paths(&mut self, root: u32, condition: &Condition, rule: u32) {
        if condition.paths().is_empty() {
            self.trees.insert_any(root, rule);
        }
        for path in condition.paths() {
            path.index(&mut self.trees, root, rule);
        }
    }

    /// The numbers of the rules that the request may meet, in order.
    pub fn find(&self, view: &View) -> Vec<u32> {
        let mut found = Vec::new();
        self.trees.find(self.anywhere, view.path, &mut found);
        if !self.exact.is_empty() {
            if let Some(&root) = self.exact.get(view.host()) {
                self.trees.find(root, view.path, &mut found);
            }
        }
        if !self.suffix.is_empty() {
            let host = view.host();
            let first = host.len().saturating_sub(self.longest).max(1);
            for dot in (first..host.len()).filter(|&at| host[at] == b'.') {
                if let Some(&root) = self.suffix.get(&host[dot..]) {
                    self.trees.find(root, view.path, &mut found);
                }
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}
