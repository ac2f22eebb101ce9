//! The configuration. README.md says what it means.

use ergo_sdk::{Config, ConfigError, Node, Object};

use crate::directives::MAX_SECONDS;
use crate::freshness::Defaults;
use crate::key::{Query, Rules};
use crate::purge::Purge;
use crate::vary::{Comparison, Comparisons};

/// What becomes of a response with Set-Cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetCookie {
    /// It is not stored.
    Refuse,
    /// It is stored without the field.
    Strip,
    /// It is stored as it is.
    Store,
}

/// How this use of the policy caches.
#[derive(Debug)]
pub struct Settings {
    /// This cache in Cache-Status; empty for no such field.
    pub name: String,
    pub key: Rules,
    /// Request fields that are removed from what may be stored, because no key has them.
    pub unkeyed: Vec<String>,
    pub defaults: Defaults,
    pub stale_on_error: u32,
    pub obey_clients: bool,
    pub set_cookie: SetCookie,
    /// Targeted fields, the most important first.
    pub targets: Vec<String>,
    /// This cache's name as a surrogate; empty if it is none.
    pub surrogate: String,
    pub comparisons: Comparisons,
    /// The response field that has tags; empty for none.
    pub tags: String,
    pub keep_tags: bool,
    pub purge: Option<Purge>,
    /// How long a request waits for another that fetches the same, in milliseconds.
    pub wait: u32,
}

/// Fields that applications take for a host, a path or a method, and that no key has.
const UNKEYED: [&str; 9] = [
    "x-forwarded-host",
    "x-forwarded-scheme",
    "x-host",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-host",
    "x-original-url",
    "x-rewrite-url",
];

/// A day.
const HEURISTIC_MAX: u32 = 86_400;

/// The longest that a request may wait for another.
const MAX_WAIT: u32 = 60;

impl Settings {
    pub fn configure(config: &Config) -> Result<Self, ConfigError> {
        let mut object = config.object()?;
        let settings = Settings {
            name: header_text(&mut object, "name", "ergo")?,
            key: object.optional("key").map_or(Ok(Rules::default()), |node| rules(&node))?,
            unkeyed: names(&mut object, "unkeyed", &UNKEYED)?,
            defaults: Defaults {
                heuristic_max: seconds(&mut object, "heuristic_max", HEURISTIC_MAX)?,
                ttl: object.optional("ttl").map_or(Ok(Vec::new()), |node| ttl(&node))?,
            },
            stale_on_error: seconds(&mut object, "stale_on_error", 0)?,
            obey_clients: object
                .optional("obey_clients")
                .map_or(Ok(true), |node| node.boolean())?,
            set_cookie: object
                .optional("set_cookie")
                .map_or(Ok(SetCookie::Refuse), |node| set_cookie(&node))?,
            targets: names(&mut object, "targets", &["cdn-cache-control"])?,
            surrogate: token(&mut object, "surrogate")?,
            comparisons: object
                .optional("vary")
                .map_or(Ok(Comparisons::default()), |node| comparisons(&node))?,
            tags: optional_name(&mut object, "tags", "cache-tag")?,
            keep_tags: object.flag("keep_tags")?,
            purge: object.optional("purge").map(|node| Purge::configure(&node)).transpose()?,
            wait: wait(&mut object)?,
        };
        object.finish()?;
        if settings.key.headers.iter().any(|name| settings.unkeyed.contains(name)) {
            return Err(object.error("key.headers has a field that unkeyed removes"));
        }
        Ok(settings)
    }
}

/// A duration: a whole number and s, m, h or d.
fn duration(node: &Node, max: u32) -> Result<u32, ConfigError> {
    let text = node.text()?;
    let wrong = || node.error(format!("expected a time such as 90s, 5m, 2h or 7d, at most {max}s"));
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    let factor = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    let number = number
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| number.parse::<u32>().ok())
        .flatten();
    number
        .and_then(|number| number.checked_mul(factor))
        .filter(|&seconds| seconds <= max)
        .ok_or_else(wrong)
}

fn seconds(object: &mut Object, key: &str, default: u32) -> Result<u32, ConfigError> {
    object.optional(key).map_or(Ok(default), |node| duration(&node, MAX_SECONDS))
}

fn wait(object: &mut Object) -> Result<u32, ConfigError> {
    Ok(object.optional("wait").map_or(Ok(10), |node| duration(&node, MAX_WAIT))? * 1000)
}

fn header_text(object: &mut Object, key: &str, default: &str) -> Result<String, ConfigError> {
    let Some(node) = object.optional(key) else { return Ok(default.to_owned()) };
    match node.header_value()? {
        text if text.is_ascii() => Ok(text.to_owned()),
        _ => Err(node.error("expected ASCII")),
    }
}

fn optional_name(object: &mut Object, key: &str, default: &str) -> Result<String, ConfigError> {
    match object.optional(key) {
        None => Ok(default.to_owned()),
        Some(node) if node.text()?.is_empty() => Ok(String::new()),
        Some(node) => node.header_name(),
    }
}

fn token(object: &mut Object, key: &str) -> Result<String, ConfigError> {
    let Some(node) = object.optional(key) else { return Ok(String::new()) };
    let text = node.text()?;
    if !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_') {
        return Err(node.error("expected letters, digits, - and _"));
    }
    Ok(text.to_owned())
}

fn names(object: &mut Object, key: &str, default: &[&str]) -> Result<Vec<String>, ConfigError> {
    match object.optional(key) {
        Some(node) => node.map(|name| name.header_name()),
        None => Ok(default.iter().map(|&name| name.to_owned()).collect()),
    }
}

fn texts(object: &mut Object, key: &str) -> Result<Option<Vec<String>>, ConfigError> {
    let Some(node) = object.optional(key) else { return Ok(None) };
    node.map(|name| name.text().map(str::to_owned)).map(Some)
}

fn ttl(node: &Node) -> Result<Vec<(u16, u32)>, ConfigError> {
    let members = node.object()?.members().map(|(status, node)| {
        let known = status
            .parse()
            .ok()
            .filter(|status| (200..600).contains(status) && ![206, 304].contains(status));
        let status = known
            .ok_or_else(|| node.error("expected a status from 200 to 599, but for 206 and 304"))?;
        Ok((status, duration(&node, MAX_SECONDS)?))
    });
    members.collect()
}

fn set_cookie(node: &Node) -> Result<SetCookie, ConfigError> {
    match node.text()? {
        "refuse" => Ok(SetCookie::Refuse),
        "strip" => Ok(SetCookie::Strip),
        "store" => Ok(SetCookie::Store),
        _ => Err(node.error("expected refuse, strip or store")),
    }
}

fn comparisons(node: &Node) -> Result<Comparisons, ConfigError> {
    let mut all = Comparisons::default();
    for (name, node) in node.object()?.members() {
        let comparison = match node.text()? {
            "exact" => Comparison::Exact,
            "list" => Comparison::List,
            "encoding" => Comparison::Encoding,
            "language" => Comparison::Language,
            "content-language" => Comparison::ContentLanguage,
            _ => {
                return Err(
                    node.error("expected exact, list, encoding, language or content-language")
                );
            }
        };
        let name = ergo_sdk::header_name(name)
            .ok_or_else(|| node.error("expected the name of a header field"))?;
        all.0.retain(|(known, _)| *known != name);
        all.0.push((name, comparison));
    }
    Ok(all)
}

fn rules(node: &Node) -> Result<Rules, ConfigError> {
    let mut object = node.object()?;
    let query = match (texts(&mut object, "query")?, texts(&mut object, "without_query")?) {
        (Some(_), Some(_)) => return Err(object.error("has both query and without_query")),
        (Some(only), None) => Query::Only(only),
        (None, Some(without)) => Query::Without(without),
        (None, None) => Query::All,
    };
    let rules = Rules {
        query,
        sort_query: object.flag("sort_query")?,
        headers: names(&mut object, "headers", &[])?,
        cookies: texts(&mut object, "cookies")?.unwrap_or_default(),
        any_host: object.flag("any_host")?,
    };
    object.finish()?;
    Ok(rules)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(json: &str) -> Result<Settings, ConfigError> {
        Settings::configure(&Config::parse(json.as_bytes())?)
    }

    #[test]
    fn nothing_has_to_be_said() {
        let s = settings("{}").unwrap();
        assert_eq!(
            (s.name.as_str(), s.set_cookie, s.stale_on_error),
            ("ergo", SetCookie::Refuse, 0)
        );
        assert_eq!((s.defaults.heuristic_max, s.wait, s.obey_clients), (86_400, 10_000, true));
        assert!(s.purge.is_none() && s.unkeyed.contains(&"x-forwarded-host".to_owned()));
    }

    #[test]
    fn all_can_be_said() {
        let s = settings(
            r#"{"name":"edge 1","key":{"query":["a"],"sort_query":true,"headers":["X-A"],"cookies":["c"],"any_host":true},
                "unkeyed":[],"heuristic_max":"0s","ttl":{"404":"10s","503":"1m"},"stale_on_error":"2h","obey_clients":false,
                "set_cookie":"strip","targets":["Edge-Cache-Control"],"surrogate":"edge","vary":{"Accept":"exact"},
                "tags":"","keep_tags":true,"wait":"1s"}"#,
        )
        .unwrap();
        assert_eq!(s.key.query, Query::Only(vec!["a".into()]));
        assert_eq!(s.defaults, Defaults { heuristic_max: 0, ttl: vec![(404, 10), (503, 60)] });
        assert_eq!((s.stale_on_error, s.wait), (7200, 1000));
        assert_eq!(s.targets, ["edge-cache-control"]);
        assert_eq!(s.comparisons.of("accept"), Comparison::Exact);
        assert_eq!(s.comparisons.of("accept-encoding"), Comparison::Encoding);
    }

    #[test]
    fn refuses_what_cannot_be_meant() {
        let cases = [
            (
                r#"{"heuristic_max":"1x"}"#,
                "config.heuristic_max: expected a time such as 90s, 5m, 2h or 7d, at most 2147483648s",
            ),
            (
                r#"{"wait":"2m"}"#,
                "config.wait: expected a time such as 90s, 5m, 2h or 7d, at most 60s",
            ),
            (
                r#"{"wait":""}"#,
                "config.wait: expected a time such as 90s, 5m, 2h or 7d, at most 60s",
            ),
            (
                r#"{"wait":"99999999999s"}"#,
                "config.wait: expected a time such as 90s, 5m, 2h or 7d, at most 60s",
            ),
            (
                r#"{"wait":"+1s"}"#,
                "config.wait: expected a time such as 90s, 5m, 2h or 7d, at most 60s",
            ),
            (
                r#"{"ttl":{"304":"1s"}}"#,
                "config.ttl.304: expected a status from 200 to 599, but for 206 and 304",
            ),
            (
                r#"{"key":{"query":[],"without_query":[]}}"#,
                "config.key: has both query and without_query",
            ),
            (
                r#"{"key":{"headers":["X-Host"]}}"#,
                "config: key.headers has a field that unkeyed removes",
            ),
            (r#"{"set_cookie":"yes"}"#, "config.set_cookie: expected refuse, strip or store"),
            (r#"{"vary":{"a b":"list"}}"#, "config.vary.a b: expected the name of a header field"),
            (r#"{"tpyo":1}"#, "config.tpyo: is not a known key"),
        ];
        for (json, want) in cases {
            assert_eq!(
                settings(json).err().map(|error| error.to_string()).as_deref(),
                Some(want),
                "{json}"
            );
        }
    }
}
