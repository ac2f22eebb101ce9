//! Exchanges from the request to the response, with a store in memory.

mod parts;
mod purges;
mod validation;

use ergo_sdk::Flow;
use ergo_sdk::testing::{Host, cache, configure};

use crate::Cache;

const NOW: u64 = 784_111_777;
const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

/// A cache before an origin, and the time.
struct World {
    policy: Cache,
    store: cache::Cache,
    now: u64,
    /// What the origin answers, and a number of its own in each answer.
    status: u32,
    fields: Vec<(&'static str, String)>,
    body: &'static str,
    count: u32,
}

/// What came of an exchange.
struct Outcome {
    host: Host,
    /// Whether the origin was asked.
    forwarded: bool,
}

impl Outcome {
    fn field(&self, name: &str) -> String {
        self.host.response_header(name).join("|")
    }

    /// The number of the origin's answer that this is.
    fn number(&self) -> String {
        self.field("number")
    }

    fn body(&self) -> &str {
        std::str::from_utf8(&self.host.response_body).unwrap()
    }
}

impl World {
    fn new(config: &str, fields: &[(&'static str, &str)]) -> Self {
        let mut world = World {
            policy: configure(config).unwrap_or_else(|error| panic!("{config}: {error}")),
            store: cache::Cache::default(),
            now: NOW,
            status: 200,
            fields: Vec::new(),
            body: "0123456789",
            count: 0,
        };
        world.says(fields);
        world
    }

    fn says(&mut self, fields: &[(&'static str, &str)]) {
        self.fields = fields.iter().map(|&(name, value)| (name, value.to_owned())).collect();
    }

    fn get(&mut self, fields: &[(&str, &str)]) -> Outcome {
        self.send(Host::new("GET", "/a"), fields)
    }

    fn send(&mut self, host: Host, fields: &[(&str, &str)]) -> Outcome {
        self.carry(host, fields, false)
    }

    /// As [`World::get`], with nothing behind the cache.
    fn fail(&mut self, fields: &[(&str, &str)]) -> Outcome {
        self.carry(Host::new("GET", "/a"), fields, true)
    }

    fn carry(&mut self, host: Host, fields: &[(&str, &str)], failing: bool) -> Outcome {
        let mut host = host.header("host", "example.com");
        for (name, value) in fields {
            host = host.header(name, value);
        }
        host.clock.wall = self.now * 1_000_000_000;
        host.cache = std::mem::take(&mut self.store);
        host.cache.found.clear();
        let flow = host.request(&self.policy);
        let forwarded = flow != Flow::Answer;
        if forwarded {
            self.answer(&mut host, failing);
            if let Flow::ContinueWith(context) = flow {
                match failing {
                    true => host.failure(&self.policy, context),
                    false => host.response(&self.policy, context),
                }
            }
        }
        self.store = std::mem::take(&mut host.cache);
        Outcome { host, forwarded }
    }

    fn answer(&mut self, host: &mut Host, failing: bool) {
        self.count += 1;
        host.status = if failing { 502 } else { self.status };
        host.fields[1].clear();
        if failing {
            host.response_body = b"bad gateway".to_vec();
            return;
        }
        let etag = self.fields.iter().find(|(name, _)| *name == "etag").map(|(_, value)| value);
        if etag.is_some_and(|etag| host.request_header("if-none-match").contains(etag)) {
            host.status = 304;
        }
        host.fields[1] = self
            .fields
            .iter()
            .map(|(name, value)| ((*name).into(), value.clone().into()))
            .collect();
        host.fields[1].push(("number".into(), self.count.to_string().into_bytes()));
        let bodyless = host.status == 304 || host.method == b"HEAD";
        host.response_body = if bodyless { Vec::new() } else { self.body.into() };
    }
}

#[test]
fn a_fresh_response_is_served_again() {
    let mut world =
        World::new("{}", &[("cache-control", "max-age=60"), ("date", DATE), ("a", "1")]);
    let first = world.get(&[]);
    assert!(first.forwarded);
    assert_eq!(first.field("cache-status"), "ergo; fwd=uri-miss; ttl=60; stored");
    world.now += 10;
    let second = world.get(&[]);
    assert!(!second.forwarded);
    assert_eq!(
        (second.host.status, second.body(), second.field("a")),
        (200, "0123456789", "1".into())
    );
    assert_eq!((second.field("age"), second.field("date")), ("10".into(), DATE.into()));
    assert_eq!(second.field("cache-status"), "ergo; hit; ttl=50");
    world.now += 50;
    let third = world.get(&[]);
    assert_eq!((third.forwarded, third.number()), (true, "2".into()));
    assert_eq!(third.field("cache-status"), "ergo; fwd=stale; detail=\"not fresh\"");
}

#[test]
fn a_response_without_a_date_gets_one() {
    let mut world = World::new("{}", &[("cache-control", "max-age=60")]);
    assert_eq!(world.get(&[]).field("date"), DATE);
    assert_eq!(world.get(&[]).field("date"), DATE);
}

#[test]
fn what_may_not_be_stored_is_forwarded_each_time() {
    for said in ["no-store", "private", "max-age=0", "no-cache"] {
        let mut world = World::new("{}", &[("cache-control", said)]);
        for number in ["1", "2", "3"] {
            assert_eq!(world.get(&[]).number(), number, "{said}");
        }
        assert_eq!(
            world.store.joined.len(),
            1,
            "{said}: nobody waits for what was not stored a moment ago"
        );
        assert_eq!(world.store.released, 3, "{said}");
    }
}

#[test]
fn a_range_of_what_is_not_stored_is_the_origins() {
    let mut world = World::new("{}", &[("cache-control", "max-age=60")]);
    world.status = 206;
    let first = world.get(&[("range", "bytes=0-1")]);
    assert_eq!(first.host.request_header("range"), ["bytes=0-1"]);
    assert!(world.store.stored.is_empty() && world.store.joined.is_empty());
}

#[test]
fn a_head_is_answered_by_a_get() {
    let mut world = World::new("{}", &[("cache-control", "max-age=60"), ("etag", "\"a\"")]);
    world.get(&[]);
    let head = world.send(Host::new("HEAD", "/a"), &[]);
    assert_eq!((head.forwarded, head.host.status, head.body()), (false, 200, ""));
}

#[test]
fn a_head_renews_or_spoils_what_is_stored() {
    let cases = [("\"a\"", true), ("\"b\"", false)];
    for (etag, renewed) in cases {
        let mut world = World::new(
            "{}",
            &[("cache-control", "max-age=10"), ("last-modified", DATE), ("etag", "\"a\"")],
        );
        world.get(&[]);
        world.now += 20;
        world.says(&[("cache-control", "max-age=60"), ("last-modified", DATE), ("etag", etag)]);
        world.fields.retain(|(name, _)| *name != "etag" || !renewed);
        let head = world.send(Host::new("HEAD", "/a"), &[]);
        assert!(head.forwarded, "{etag}");
        assert_eq!(world.store.stored[0].purged, !renewed, "{etag}");
        assert_eq!(world.get(&[]).forwarded, !renewed, "{etag}");
    }
}

#[test]
fn errors_are_bridged() {
    let mut world = World::new("{}", &[("cache-control", "max-age=10, stale-if-error=60")]);
    world.get(&[]);
    world.now += 30;
    let failed = world.fail(&[]);
    assert_eq!(
        (failed.host.status, failed.body(), failed.number()),
        (200, "0123456789", "1".into())
    );
    assert_eq!(
        failed.field("cache-status"),
        "ergo; hit; fwd=stale; ttl=-20; detail=stale-if-error"
    );
    world.status = 503;
    let refused = world.get(&[]);
    assert_eq!((refused.host.status, refused.number()), (200, "1".into()));
    world.now += 60;
    world.says(&[]);
    assert_eq!((world.get(&[]).host.status, world.fail(&[]).body()), (503, "bad gateway"));
}

#[test]
fn errors_are_bridged_by_configuration() {
    let config = r#"{"stale_on_error":"60s"}"#;
    for (said, bridged) in [
        ("max-age=10", true),
        ("max-age=10, must-revalidate", false),
        ("max-age=10, stale-if-error=1", false),
    ] {
        let mut world = World::new(config, &[("cache-control", said)]);
        world.get(&[]);
        world.now += 30;
        assert_eq!(world.fail(&[]).host.status == 200, bridged, "{said}");
    }
}

#[test]
fn a_fresh_response_can_be_wanted_newer() {
    let mut world = World::new("{}", &[("cache-control", "max-age=60")]);
    world.get(&[]);
    world.now += 5;
    for field in
        [("cache-control", "no-cache"), ("cache-control", "max-age=1"), ("pragma", "no-cache")]
    {
        let got = world.get(&[field]);
        assert!(
            got.forwarded && got.field("cache-status").starts_with("ergo; fwd=request"),
            "{field:?}"
        );
        world.now += 5;
    }
    let mut deaf = World::new(r#"{"obey_clients":false}"#, &[("cache-control", "max-age=60")]);
    deaf.get(&[]);
    assert!(!deaf.get(&[("cache-control", "no-cache")]).forwarded);
}

#[test]
fn only_if_cached_asks_nobody() {
    let mut world = World::new("{}", &[("cache-control", "max-age=60")]);
    let asked = [("cache-control", "only-if-cached")];
    let missing = world.get(&asked);
    assert_eq!((missing.forwarded, missing.host.status), (false, 504));
    world.get(&[]);
    assert_eq!(world.get(&asked).host.status, 200);
}

#[test]
fn stale_while_it_is_renewed() {
    let said = [("cache-control", "max-age=10, stale-while-revalidate=60")];
    let mut world = World::new("{}", &said);
    world.get(&[]);
    world.now += 20;
    let stale = world.get(&[]);
    assert_eq!((stale.forwarded, stale.number(), world.store.refreshed), (false, "1".into(), 1));
    assert_eq!(stale.field("cache-status"), "ergo; hit; ttl=-10; detail=stale-while-revalidate");
    world.store.is_refresh = true;
    assert!(world.get(&[]).forwarded);
    world.store.is_refresh = false;
    let renewed = world.get(&[]);
    assert_eq!((renewed.forwarded, renewed.number()), (false, "2".into()));

    world.store.no_refresh = true;
    world.now += 20;
    world.store.joining = 2;
    assert!(!world.get(&[]).forwarded);
    world.store.joining = 0;
    assert!(world.get(&[]).forwarded);
}

#[test]
fn one_fetches_for_all() {
    let mut world = World::new("{}", &[("cache-control", "max-age=60")]);
    world.store.joining = 1;
    assert!(!world.get(&[]).forwarded);
    assert_eq!((world.count, world.store.joined.len()), (0, 1));
    world.store.joining = 2;
    assert!(world.get(&[]).forwarded);
    world.store.waited = true;
    assert_eq!(world.get(&[]).field("cache-status"), "ergo; hit; ttl=60; collapsed");
}

#[test]
fn those_who_may_get_something_else_do_not_wait() {
    let fields = [
        ("authorization", "Basic x"),
        ("range", "bytes=0-1"),
        ("cache-control", "no-cache"),
        ("cache-control", "no-store"),
    ];
    for field in fields {
        let mut world = World::new("{}", &[("cache-control", "max-age=60")]);
        world.get(&[field]);
        assert!(world.store.joined.is_empty(), "{field:?}");
    }
}

#[test]
fn responses_that_vary() {
    let mut world =
        World::new("{}", &[("cache-control", "max-age=60"), ("vary", "Accept-Language, x-a")]);
    world.get(&[("accept-language", "en, de"), ("x-a", "1")]);
    assert!(!world.get(&[("accept-language", "de,en"), ("X-A", " 1 ")]).forwarded);
    let other = world.get(&[("accept-language", "en"), ("x-a", "1")]);
    assert!(other.forwarded && other.field("cache-status").starts_with("ergo; fwd=vary-miss"));
    assert!(world.get(&[("accept-language", "en")]).forwarded);
    assert_eq!(world.store.stored.len(), 3);
    assert!(!world.get(&[("accept-language", "de, en"), ("x-a", "1")]).forwarded);
}

#[test]
fn a_variant_that_is_too_much_is_not_stored() {
    let long = "x".repeat(5000);
    let mut world = World::new("{}", &[("cache-control", "max-age=60"), ("vary", "x-a")]);
    let got = world.get(&[("x-a", &long)]);
    assert!(world.store.stored.is_empty());
    assert_eq!(
        got.field("cache-status"),
        "ergo; fwd=uri-miss; detail=\"the variant takes too much to describe\""
    );
    assert!(world.store.remembered.len() < 8192);
}

#[test]
fn changes_end_what_is_stored() {
    let fresh = [("cache-control", "max-age=60")];
    for (method, status, kept) in [
        ("POST", 200, false),
        ("M-SEARCH", 302, false),
        ("PUT", 500, true),
        ("DELETE", 404, true),
        ("OPTIONS", 200, true),
    ] {
        let mut world = World::new("{}", &fresh);
        world.get(&[]);
        world.status = status;
        world.send(Host::new(method, "/a"), &[]);
        world.status = 200;
        assert_eq!(world.get(&[]).forwarded, !kept, "{method} {status}");
    }
    for (name, value, kept) in [
        ("location", "/b", false),
        ("content-location", "b", false),
        ("location", "https://example.com/b", true),
        ("location", "http://other/b", true),
    ] {
        let mut world = World::new("{}", &fresh);
        world.send(Host::new("GET", "/b"), &[]);
        world.says(&[(name, value)]);
        world.send(Host::new("POST", "/a"), &[]);
        assert_eq!(world.send(Host::new("GET", "/b"), &[]).forwarded, !kept, "{name}: {value}");
    }
}

#[test]
fn a_post_can_answer_a_get() {
    let mut world =
        World::new("{}", &[("cache-control", "max-age=60"), ("content-location", "/a")]);
    world.send(Host::new("POST", "/a"), &[]);
    assert!(!world.get(&[]).forwarded);
    world.says(&[("cache-control", "max-age=60"), ("content-location", "/b")]);
    world.send(Host::new("POST", "/a"), &[]);
    assert!(world.get(&[]).forwarded);
}

#[test]
fn a_response_to_one_is_not_for_others() {
    let mut world = World::new("{}", &[("cache-control", "max-age=60")]);
    assert!(
        world
            .get(&[("authorization", "Basic x")])
            .field("cache-status")
            .ends_with("detail=authorization")
    );
    assert!(world.store.stored.is_empty());
    let mut world = World::new("{}", &[("cache-control", "max-age=60"), ("set-cookie", "sid=1")]);
    world.get(&[]);
    assert!(world.store.stored.is_empty());
    let mut world = World::new(
        r#"{"set_cookie":"strip"}"#,
        &[("cache-control", "max-age=60"), ("set-cookie", "sid=1")],
    );
    assert_eq!(world.get(&[]).field("set-cookie"), "sid=1");
    let second = world.get(&[]);
    assert_eq!((second.forwarded, second.field("set-cookie")), (false, String::new()));
}

#[test]
fn what_no_key_has_goes_nowhere() {
    let config = r#"{"key":{"without_query":["utm_*"]}}"#;
    let mut world = World::new(config, &[("cache-control", "max-age=60")]);
    let poison = [
        ("x-forwarded-host", "evil.example"),
        ("x-original-url", "/admin"),
        ("x-http-method-override", "DELETE"),
        ("x-kept", "1"),
    ];
    let first = world.send(Host::new("GET", "/a?utm_source=<script>&b=1"), &poison);
    for (name, _) in &poison[..3] {
        assert!(first.host.request_header(name).is_empty(), "{name}");
    }
    assert_eq!(first.host.request_header("x-kept"), ["1"]);
    assert_eq!(first.host.target, b"/a?b=1");
    assert!(!world.send(Host::new("GET", "/a?b=1"), &[]).forwarded);
    let post = world.send(Host::new("POST", "/a"), &poison);
    assert_eq!(post.host.request_header("x-forwarded-host"), ["evil.example"]);
}

#[test]
fn paths_that_look_alike_are_others() {
    let mut world = World::new("{}", &[("cache-control", "max-age=60")]);
    for path in [
        "/account",
        "/account/x.css",
        "/account;x.css",
        "/account%2fx.css",
        "/account/../account",
        "//account",
        "/account?x.css",
    ] {
        assert!(world.send(Host::new("GET", path), &[]).forwarded, "{path}");
    }
    world.store.scheme = "https".into();
    assert!(world.send(Host::new("GET", "/account"), &[]).forwarded);
}

#[test]
fn a_key_that_is_too_long_is_bypassed() {
    let path = format!("/{}", "x".repeat(3000));
    let mut world = World::new("{}", &[("cache-control", "max-age=60")]);
    let got = world.send(Host::new("GET", &path), &[]);
    assert_eq!(
        (got.field("cache-status"), world.store.stored.len()),
        ("ergo; fwd=bypass".into(), 0)
    );
    assert!(
        world.get(&[("if-match", "\"a\"")]).field("cache-status").starts_with("ergo; fwd=bypass")
    );
}

#[test]
fn surrogates() {
    let mut world = World::new(
        r#"{"surrogate":"edge"}"#,
        &[("surrogate-control", "max-age=60;edge"), ("cache-control", "no-store")],
    );
    let first = world.get(&[]);
    assert_eq!(first.host.request_header("surrogate-capability"), ["edge=\"Surrogate/1.0\""]);
    assert!(!world.get(&[]).forwarded);
}

#[test]
fn upgrades_pass() {
    let mut world = World::new("{}", &[("cache-control", "max-age=60")]);
    let got = world.get(&[("upgrade", "websocket")]);
    assert!(got.forwarded && got.field("cache-status").is_empty() && world.store.stored.is_empty());
}
