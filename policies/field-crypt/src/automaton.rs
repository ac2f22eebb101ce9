//! All queries of one direction as one automaton over the steps from the root.

use std::collections::HashMap;

use crate::path::{Path, Selector};

/// Most states; queries with many descendant segments may multiply.
const MAX_STATES: usize = 1024;

/// A state of the automaton: what is known of a value's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State(u32);

/// Nothing at this place or below is selected.
pub const NOWHERE: State = State(0);

/// A deterministic automaton: its tables are made once, and a step is one look into them however many
/// queries there are.
pub struct Automaton {
    names: HashMap<Vec<u8>, usize>,
    indices: HashMap<u32, usize>,
    by_name: Vec<State>,
    by_index: Vec<State>,
    selects: Vec<Vec<usize>>,
    root: State,
    longest_name: usize,
}

/// A place in a query: how many of its segments lead to a value.
type Position = (usize, usize);

/// A step from a value to one of its children.
#[derive(Clone, Copy)]
enum Step<'a> {
    Name(Option<&'a str>),
    Index(Option<u32>),
}

impl Automaton {
    /// Compiles queries. Where several select a value, the first one does. The error says why that
    /// cannot be.
    pub fn compile(paths: &[Path]) -> Result<Automaton, String> {
        let (names, indices) = keys_of(paths);
        let mut automaton = Automaton {
            longest_name: names.iter().map(|name| name.len()).max().unwrap_or(0),
            names: numbered(names.iter().map(|name| name.as_bytes().to_vec())),
            indices: numbered(indices.iter().copied()),
            by_name: Vec::new(),
            by_index: Vec::new(),
            selects: Vec::new(),
            root: NOWHERE,
        };
        let mut builder = Builder { paths, sets: vec![Vec::new()], known: HashMap::new() };
        builder.known.insert(Vec::new(), NOWHERE);
        automaton.root = builder.state((0..paths.len()).map(|path| (path, 0)).collect());
        let steps_by_name = || names.iter().map(|name| Some(*name)).chain([None]).map(Step::Name);
        let steps_by_index =
            || indices.iter().map(|index| Some(*index)).chain([None]).map(Step::Index);
        let mut done = 0;
        while done < builder.sets.len() {
            if builder.sets.len() > MAX_STATES {
                return Err("these paths together are too many: use fewer with \"..\"".into());
            }
            automaton.selects.push(builder.selected(done));
            for step in steps_by_name() {
                automaton.by_name.push(builder.step(done, step));
            }
            for step in steps_by_index() {
                automaton.by_index.push(builder.step(done, step));
            }
            done += 1;
        }
        Ok(automaton)
    }

    /// An automaton that selects nothing.
    pub fn nothing() -> Automaton {
        Automaton {
            names: HashMap::new(),
            indices: HashMap::new(),
            by_name: vec![NOWHERE],
            by_index: vec![NOWHERE],
            selects: vec![Vec::new()],
            root: NOWHERE,
            longest_name: 0,
        }
    }

    /// Where the document's root is.
    pub fn root(&self) -> State {
        self.root
    }

    /// The number of the query that selects the values at a place.
    pub fn selected(&self, state: State) -> Option<usize> {
        self.selects[state.0 as usize].first().copied()
    }

    /// The queries that select what another one selects too.
    pub fn overlaps(&self) -> impl Iterator<Item = (usize, usize)> {
        self.selects
            .iter()
            .flat_map(|queries| queries.iter().skip(1).map(|&other| (queries[0], other)))
    }

    /// Where an object's member of that name is, in UTF-8.
    pub fn member(&self, state: State, name: &[u8]) -> State {
        let key = self.names.get(name).copied().unwrap_or(self.names.len());
        self.by_name[state.0 as usize * (self.names.len() + 1) + key]
    }

    /// Where an array's element is.
    pub fn element(&self, state: State, index: u32) -> State {
        let key = self.indices.get(&index).copied().unwrap_or(self.indices.len());
        self.by_index[state.0 as usize * (self.indices.len() + 1) + key]
    }

    /// No longer name is in any query.
    pub fn longest_name(&self) -> usize {
        self.longest_name
    }
}

struct Builder<'a> {
    paths: &'a [Path],
    sets: Vec<Vec<Position>>,
    known: HashMap<Vec<Position>, State>,
}

impl Builder<'_> {
    /// The state that stands for a set of positions.
    fn state(&mut self, mut set: Vec<Position>) -> State {
        set.sort_unstable();
        set.dedup();
        if let Some(state) = self.known.get(&set) {
            return *state;
        }
        let state = State(self.sets.len() as u32);
        self.known.insert(set.clone(), state);
        self.sets.push(set);
        state
    }

    /// The queries that end here, in their order.
    fn selected(&self, set: usize) -> Vec<usize> {
        let ends = |&&(path, at): &&Position| at == self.paths[path].segments.len();
        self.sets[set].iter().filter(ends).map(|&(path, _)| path).collect()
    }

    fn step(&mut self, from: usize, step: Step<'_>) -> State {
        let mut set = Vec::new();
        for &(path, at) in &self.sets[from] {
            let Some(segment) = self.paths[path].segments.get(at) else { continue };
            if segment.descendant {
                set.push((path, at));
            }
            if segment.selectors.iter().any(|selector| takes(selector, step)) {
                set.push((path, at + 1));
            }
        }
        self.state(set)
    }
}

fn takes(selector: &Selector, step: Step<'_>) -> bool {
    match (selector, step) {
        (Selector::Wildcard, _) => true,
        (Selector::Name(name), Step::Name(Some(key))) => name == key,
        (Selector::Index(index), Step::Index(Some(key))) => *index == key,
        _ => false,
    }
}

/// The names and indices that queries tell apart.
fn keys_of(paths: &[Path]) -> (Vec<&str>, Vec<u32>) {
    let (mut names, mut indices) = (Vec::new(), Vec::new());
    for selector in
        paths.iter().flat_map(|path| &path.segments).flat_map(|segment| &segment.selectors)
    {
        match selector {
            Selector::Name(name) => names.push(name.as_str()),
            Selector::Index(index) => indices.push(*index),
            Selector::Wildcard => {}
        }
    }
    names.sort_unstable();
    names.dedup();
    indices.sort_unstable();
    indices.dedup();
    (names, indices)
}

fn numbered<K: std::hash::Hash + Eq>(keys: impl Iterator<Item = K>) -> HashMap<K, usize> {
    keys.enumerate().map(|(number, key)| (key, number)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compiled(paths: &[&str]) -> Automaton {
        let paths: Vec<Path> = paths.iter().map(|path| Path::parse(path).unwrap()).collect();
        Automaton::compile(&paths).unwrap()
    }

    /// Which query selects the value at a place such as `a/0/b`.
    fn selected(automaton: &Automaton, place: &str) -> Option<usize> {
        let step = |state, key: &str| match key.parse() {
            Ok(index) => automaton.element(state, index),
            Err(_) => automaton.member(state, key.as_bytes()),
        };
        let state = place.split('/').filter(|key| !key.is_empty()).fold(automaton.root(), step);
        automaton.selected(state)
    }

    #[test]
    fn selects_what_a_query_does() {
        let cases = [
            ("$", "", true),
            ("$", "a", false),
            ("$.a", "a", true),
            ("$.a", "", false),
            ("$.a", "b", false),
            ("$.a", "a/a", false),
            ("$.a.b", "a/b", true),
            ("$.*", "a", true),
            ("$.*", "0", true),
            ("$.*", "a/b", false),
            ("$.a[*].b", "a/7/b", true),
            ("$.a[*].b", "a/x/b", true),
            ("$.a[1]", "a/1", true),
            ("$.a[1]", "a/0", false),
            ("$[0,'x']", "0", true),
            ("$[0,'x']", "x", true),
            ("$[0,'x']", "1", false),
            ("$..s", "s", true),
            ("$..s", "a/0/b/s", true),
            ("$..s", "s/s", true),
            ("$..s", "a/t", false),
            ("$.a..b.c", "a/x/b/c", true),
            ("$.a..b.c", "a/b/b/c", true),
            ("$.a..b.c", "b/c", false),
            ("$..*", "", false),
            ("$..*", "a/b/0", true),
        ];
        for (path, place, want) in cases {
            assert_eq!(selected(&compiled(&[path]), place).is_some(), want, "{path} at {place}");
        }
    }

    #[test]
    fn the_first_of_several_selects() {
        let automaton = compiled(&["$..b", "$.a.b", "$.a.*"]);
        assert_eq!(selected(&automaton, "a/b"), Some(0));
        assert_eq!(selected(&automaton, "a/c"), Some(2));
        assert_eq!(selected(&automaton, "c"), None);
        assert_eq!(automaton.overlaps().collect::<Vec<_>>(), [(0, 1), (0, 2)]);
    }

    #[test]
    fn what_leads_nowhere_is_known_at_once() {
        let automaton = compiled(&["$.a.b"]);
        assert_eq!(automaton.member(automaton.root(), b"x"), NOWHERE);
        assert_eq!(automaton.element(automaton.root(), 0), NOWHERE);
        assert_eq!(automaton.longest_name(), 1);
    }

    #[test]
    fn queries_that_multiply_are_refused() {
        let path = |n: u32| format!("$..a{}", "[*]".repeat(n as usize));
        assert!(Automaton::compile(&[Path::parse(&path(8)).unwrap()]).is_ok());
        let error = Automaton::compile(&[Path::parse(&path(16)).unwrap()]).err();
        assert!(error.is_some_and(|error| error.contains("too many")));
    }
}
