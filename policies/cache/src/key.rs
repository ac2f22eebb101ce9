//! Under what a response is stored (RFC 9111 section 2), as the operator says.

use ergo_sdk::Target;

/// What of the query is part of the key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Query {
    #[default]
    All,
    /// These parameters alone.
    Only(Vec<String>),
    /// All but these; a name that ends in `*` stands for all that begin so.
    Without(Vec<String>),
}

impl Query {
    fn keeps(&self, name: &[u8]) -> bool {
        match self {
            Query::All => true,
            Query::Only(names) => names.iter().any(|pattern| fits(pattern, name)),
            Query::Without(names) => !names.iter().any(|pattern| fits(pattern, name)),
        }
    }
}

fn fits(pattern: &str, name: &[u8]) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start.as_bytes()),
        None => name == pattern.as_bytes(),
    }
}

/// How keys are made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    pub query: Query,
    /// Parameters in another order are the same.
    pub sort_query: bool,
    /// Fields of the request, in lower case, whose values are part of the key.
    pub headers: Vec<String>,
    pub cookies: Vec<String>,
    /// The host is no part of it: all hosts have the same answers.
    pub any_host: bool,
}

/// A key that is longer is none: what it stands for is not stored.
pub const MAX_KEY: usize = 2048;

impl Rules {
    /// The target as it is known here: without parameters that are not part of the key. The origin gets
    /// it too, so what is not in the key can't change the answer.
    pub fn reduced(&self, target: &Target) -> Option<Vec<u8>> {
        if self.query == Query::All {
            return None;
        }
        let query = target.query()?;
        let kept: Vec<&[u8]> = parameters(query).filter(|p| self.query.keeps(&name(p))).collect();
        let reduced = with_query(target.path(), &kept);
        (reduced != target.as_bytes()).then_some(reduced)
    }

    /// The key of a URL: all keys of it begin with this.
    pub fn url(&self, scheme: &[u8], host: &[u8], target: &[u8]) -> Vec<u8> {
        let mut key = Vec::with_capacity(scheme.len() + host.len() + target.len() + 4);
        self.begin(&mut key, scheme, host);
        match target.iter().position(|&byte| byte == b'?') {
            Some(at) if self.sort_query => {
                let mut all: Vec<&[u8]> = parameters(&target[at + 1..]).collect();
                all.sort();
                key.extend(with_query(&target[..at], &all));
            }
            _ => key.extend_from_slice(target),
        }
        key.push(b'\n');
        key
    }

    /// What all keys of a host begin with.
    pub fn prefix(&self, scheme: &[u8], host: &[u8]) -> Vec<u8> {
        let mut key = Vec::new();
        self.begin(&mut key, scheme, host);
        key
    }

    fn begin(&self, key: &mut Vec<u8>, scheme: &[u8], host: &[u8]) {
        key.extend_from_slice(scheme);
        key.extend_from_slice(b"://");
        if !self.any_host {
            let default: &[u8] = if scheme == b"https" { b":443" } else { b":80" };
            key.extend_from_slice(host.strip_suffix(default).unwrap_or(host));
        }
        key.make_ascii_lowercase();
    }

    /// Adds what else of the request is part of the key, and says whether the key can be one. `field`
    /// gives the values of a field, `cookie` those of a cookie.
    pub fn complete(
        &self,
        key: &mut Vec<u8>,
        field: impl Fn(&str) -> Vec<Vec<u8>>,
        cookie: impl Fn(&str) -> Option<Vec<u8>>,
    ) -> bool {
        for name in &self.headers {
            append(key, name, &field(name));
        }
        for name in &self.cookies {
            append(key, name, cookie(name).as_slice());
        }
        key.len() <= MAX_KEY
    }
}

/// Adds a part so that no other values make the same key.
fn append(key: &mut Vec<u8>, name: &str, values: &[Vec<u8>]) {
    key.extend(name.as_bytes());
    for value in values {
        key.push(1);
        key.extend(value);
    }
    key.push(b'\n');
}

fn with_query(path: &[u8], parameters: &[&[u8]]) -> Vec<u8> {
    let mut target = path.to_vec();
    for (index, parameter) in parameters.iter().enumerate() {
        target.push(if index == 0 { b'?' } else { b'&' });
        target.extend(*parameter);
    }
    target
}

fn parameters(query: &[u8]) -> impl Iterator<Item = &[u8]> {
    query.split(|&byte| byte == b'&').filter(|parameter| !parameter.is_empty())
}

/// The decoded name of a parameter.
fn name(parameter: &[u8]) -> Vec<u8> {
    let end = parameter.iter().position(|&byte| byte == b'=').unwrap_or(parameter.len());
    ergo_sdk::percent_decode(&parameter[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(text: &str) -> Target {
        Target::new(text.as_bytes().to_vec())
    }

    fn url(rules: &Rules, scheme: &str, host: &str, target: &str) -> String {
        String::from_utf8(rules.url(scheme.as_bytes(), host.as_bytes(), target.as_bytes())).unwrap()
    }

    #[test]
    fn a_url_is_a_key() {
        let rules = Rules::default();
        assert_eq!(url(&rules, "http", "Example.com:80", "/a?b"), "http://example.com/a?b\n");
        assert_eq!(url(&rules, "https", "example.com:443", "/"), "https://example.com/\n");
        assert_eq!(url(&rules, "https", "example.com:80", "/"), "https://example.com:80/\n");
        let any = Rules { any_host: true, ..Rules::default() };
        assert_eq!(url(&any, "http", "example.com", "/a"), "http:///a\n");
    }

    #[test]
    fn paths_in_other_spellings_are_other_keys() {
        let spellings = [
            "/a/b",
            "/a//b",
            "/a/./b",
            "/a/x/../b",
            "/a%2fb",
            "/a/%62",
            "/a/b/",
            "/a/b;x",
            "/A/b",
            "/a/b?",
        ];
        let mut keys: Vec<String> =
            spellings.iter().map(|path| url(&Rules::default(), "http", "h", path)).collect();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), spellings.len());
    }

    #[test]
    fn the_order_of_parameters() {
        let rules = Rules { sort_query: true, ..Rules::default() };
        assert_eq!(url(&rules, "http", "h", "/?b=1&a=2&&a=1"), "http://h/?a=1&a=2&b=1\n");
        assert_eq!(url(&Rules::default(), "http", "h", "/?b=1&a=2"), "http://h/?b=1&a=2\n");
    }

    #[test]
    fn parameters_that_are_not_part_of_it_go_nowhere() {
        let without =
            |names: &[&str]| Query::Without(names.iter().map(|&name| name.into()).collect());
        let only = |names: &[&str]| Query::Only(names.iter().map(|&name| name.into()).collect());
        let cases = [
            (Query::All, "/p?a&b", None),
            (without(&["utm_*", "x"]), "/p?utm_source=1&a=1&x&utm%5fid=3", Some("/p?a=1")),
            (without(&["x"]), "/p?a=1", None),
            (without(&["x"]), "/p", None),
            (only(&["a"]), "/p?b=1&a=2&c", Some("/p?a=2")),
            (only(&[]), "/p?b", Some("/p")),
        ];
        for (query, text, want) in cases {
            let got = Rules { query, ..Rules::default() }.reduced(&target(text));
            assert_eq!(got.as_deref(), want.map(str::as_bytes), "{text}");
        }
    }

    #[test]
    fn fields_and_cookies_that_are_part_of_it() {
        let rules = Rules {
            headers: vec!["x-a".into(), "x-b".into()],
            cookies: vec!["c".into()],
            ..Rules::default()
        };
        let key = |a: &[&str], b: &[&str], cookie: Option<&str>| {
            let mut key = b"u\n".to_vec();
            let values =
                |list: &[&str]| list.iter().map(|value| value.as_bytes().to_vec()).collect();
            let field = |name: &str| values(if name == "x-a" { a } else { b });
            assert!(rules.complete(&mut key, field, |_| cookie.map(Into::into)));
            key
        };
        let all = [
            key(&[], &[], None),
            key(&[""], &[], None),
            key(&["1"], &[], None),
            key(&[], &["1"], None),
            key(&["1", "2"], &[], None),
            key(&["12"], &[], None),
            key(&[], &[], Some("1")),
            key(&[], &[], Some("")),
        ];
        for (index, one) in all.iter().enumerate() {
            assert!(!all[..index].contains(one), "{index}");
        }
    }

    #[test]
    fn a_key_is_bounded() {
        let long = vec![b'x'; MAX_KEY];
        let mut key = Rules::default().url(b"http", b"h", &long);
        assert!(!Rules::default().complete(&mut key, |_| vec![], |_| None));
    }
}
