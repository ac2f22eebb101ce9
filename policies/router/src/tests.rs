mod many;

use super::*;
use ergo_sdk::testing::{Host, configure};

fn policy(config: &str) -> Router {
    configure(config).unwrap_or_else(|error| panic!("{config}: {error}"))
}

fn host(method: &str, target: &str) -> Host {
    let mut host = Host::new(method, target);
    host.upstreams = ["a", "b", "c"].map(str::to_owned).into();
    host
}

/// The upstream that one rule with this condition lets a request reach.
fn matched(condition: &str, mut host: Host) -> bool {
    let policy = policy(&format!(r#"{{"rules":[{{{condition}"upstream":"a"}}]}}"#));
    assert_eq!(host.request(&policy), Flow::Continue);
    host.upstream.is_some()
}

#[test]
fn conditions() {
    let get = |target| host("GET", target);
    let named = |name| host("GET", "/").header("host", name);
    let known = |subject: &str, group: &str| {
        let mut host = host("GET", "/");
        host.subject = subject.into();
        host.attributes = vec![("group".into(), group.into())];
        host
    };
    let cases = [
        ("", get("/"), true),
        (r#""path":"/a","#, get("/a?x"), true),
        (r#""path":"/a","#, get("/b"), false),
        (r#""path":"/a","#, get("/%61"), true),
        (r#""path":["/a","/b/:x/*"],"method":"GET","#, get("/b"), false),
        (r#""method":"POST","#, get("/"), false),
        (r#""method":["POST","GET"],"#, get("/"), true),
        (r#""method":"GET","#, host("get", "/"), false),
        (r#""host":"a.example","#, named("A.example:80"), true),
        (r#""host":"a.example","#, named("b.a.example"), false),
        (r#""host":"a.example","#, get("/"), false),
        (r#""host":"*.example","#, named("a.b.example"), true),
        (r#""host":"*.example","#, named("example"), false),
        (r#""host":"*.example","#, named(".example"), false),
        (r#""host":"*.example","#, named("aexample"), false),
        (r#""header":{"X-A":"1"},"#, get("/").header("x-a", "1"), true),
        (r#""header":{"X-A":"1"},"#, get("/").header("x-a", "2").header("X-A", "1"), true),
        (r#""header":{"x-a":"1"},"#, get("/").header("x-a", "11"), false),
        (r#""header":{"x-a":"1*"},"#, get("/").header("x-a", "11"), true),
        (r#""header":{"x-a":true,"x-b":false},"#, get("/").header("x-a", ""), true),
        (
            r#""header":{"x-a":true,"x-b":false},"#,
            get("/").header("x-a", "").header("x-b", ""),
            false,
        ),
        (r#""header":{"x-a":true},"#, get("/"), false),
        (r#""query":{"v":"2"},"#, get("/?v=2"), true),
        (r#""query":{"v":"2"},"#, get("/?v=%32"), true),
        (r#""query":{"v":"2"},"#, get("/?v=1"), false),
        (r#""query":{"v":"2*"},"#, get("/?v=1&v=21"), true),
        (r#""query":{"v":true,"w":false},"#, get("/?v"), true),
        (r#""query":{"v":true,"w":false},"#, get("/?v&w"), false),
        (r#""path":"/a","method":"GET","header":{"x":"1"},"#, get("/a"), false),
        (r#""path":{"regex":"/[a-c]+"},"#, get("/abc"), true),
        (r#""path":{"regex":"/[a-c]+"},"#, get("/abc/"), false),
        (r#""path":["/x",{"regex":"/y"}],"#, get("/y"), true),
        (r#""header":{"x":{"regex":"[0-9]+"}},"#, get("/").header("x", "a").header("x", "7"), true),
        (r#""header":{"x":{"regex":"[0-9]+"}},"#, get("/").header("x", "7a"), false),
        (r#""cookie":{"a":"1","b":false},"#, get("/").header("cookie", "c=2; a=1"), true),
        (r#""cookie":{"a":"1","b":false},"#, get("/").header("cookie", "b=; a=1"), false),
        (r#""cookie":{"a":true},"#, get("/"), false),
        (r#""identity":false,"#, get("/"), true),
        (r#""identity":true,"#, get("/"), false),
        (r#""identity":true,"#, known("alice", ""), true),
        (
            r#""identity":{"subject":"al*","attribute":{"group":"dev"}},"#,
            known("alice", "dev"),
            true,
        ),
        (
            r#""identity":{"subject":"al*","attribute":{"group":"dev"}},"#,
            known("alice", "ops"),
            false,
        ),
        (r#""path":"/caf\u00e9","#, get("/caf%c3%A9"), true),
        (r#""path":"/a","#, get("/a%2F"), false),
        (r#""path":"/a/b","#, get("/a%2Fb"), false),
        (r#""path":"/a/b","#, get("/a//b"), false),
        (r#""path":"/a","#, get("/A"), false),
    ];
    for (condition, host, want) in cases {
        let target = String::from_utf8(host.target.clone()).unwrap();
        assert_eq!(matched(condition, host), want, "{condition} {target}");
    }
}

#[test]
fn one_path_pattern_of_several() {
    let several = r#""path":["/a","/b"],"#;
    assert!(matched(several, host("GET", "/b")));
    assert!(!matched(several, host("GET", "/c")));
}

#[test]
fn the_first_rule_that_fits_decides() {
    let policy = policy(
        r#"{"rules":[
            {"path":"/x/*","upstream":"a"},
            {"path":"/x/y","upstream":"b"},
            {"upstream":"c","timeout":"2s","retries":3,"hash_key":"${client_ip}${cookie:gone}"}]}"#,
    );
    let mut first = host("GET", "/x/y");
    assert_eq!(first.request(&policy), Flow::Continue);
    assert_eq!(
        (first.upstream.as_deref(), first.timeout_ms, first.retries),
        (Some("a"), None, None)
    );
    let mut last = host("GET", "/z");
    assert_eq!(last.request(&policy), Flow::Continue);
    assert_eq!(
        (last.upstream.as_deref(), last.timeout_ms, last.retries, last.hash_key.as_deref()),
        (Some("c"), Some(2000), Some(3), Some(b"192.0.2.1".as_slice()))
    );
}

#[test]
fn a_long_hash_key_is_cut_to_what_the_host_takes() {
    let policy = policy(r#"{"rules":[{"hash_key":"${header:x}"}]}"#);
    let mut host = host("GET", "/").header("x", &"k".repeat(5000));
    assert_eq!(host.request(&policy), Flow::Continue);
    assert_eq!(host.hash_key.map(|key| key.len()), Some(1024));
}

#[test]
fn unmatched_requests_go_on_or_are_refused() {
    let rules = r#""rules":[{"path":"/a","upstream":"a"}]"#;
    let mut open = host("GET", "/b");
    assert_eq!(open.request(&policy(&format!("{{{rules}}}"))), Flow::Continue);
    assert_eq!(open.upstream, None);
    let mut closed = host("GET", "/b");
    let refusing = policy(&format!(r#"{{{rules},"unmatched":"refuse"}}"#));
    assert_eq!(closed.request(&refusing), Flow::Answer);
    assert_eq!(closed.status, 404);
}

#[test]
fn ambiguous_paths_are_refused() {
    let policy = policy(r#"{"rules":[{"upstream":"a"}]}"#);
    for target in ["/a/../b", "/a/%2e%2E/b", "/./a", "/a/.%2e?x", "/%", "/%zz"] {
        let mut host = host("GET", target);
        assert_eq!(host.request(&policy), Flow::Answer, "{target}");
        assert_eq!((host.status, host.upstream), (400, None), "{target}");
    }
}

#[test]
fn rewrites() {
    let cases = [
        (r#""path":"/api/*","rewrite":{"strip_prefix":"/api"}"#, "/api/x?q=1", "/x?q=1"),
        (r#""rewrite":{"strip_prefix":"/api"}"#, "/api", "/"),
        (r#""rewrite":{"strip_prefix":"/api/"}"#, "/api/", "/"),
        (r#""rewrite":{"strip_prefix":"/api"}"#, "/apix", "/apix"),
        (r#""rewrite":{"strip_prefix":"/api"}"#, "/%61pi/%2fx%20", "/%2Fx%20"),
        (r#""rewrite":{"add_prefix":"/v1"}"#, "/x?", "/v1/x?"),
        (r#""rewrite":{"strip_prefix":"/api","add_prefix":"/v2/"}"#, "/api/x", "/v2/x"),
        (
            r#""path":"/u/:id/*","rewrite":{"path":"/users/${path:id}/${path:*}"}"#,
            "/u/7/a/b?q",
            "/users/7/a/b?q",
        ),
        (
            r#""path":"/u/:id","rewrite":{"path":"/u?id=${path:id}&v=${header:x-v|0}"}"#,
            "/u/7?q",
            "/u?id=7&v=0",
        ),
        (r#""path":["/a","/a/*"],"rewrite":{"path":"/b/${path:*}"}"#, "/a", "/b/"),
        (
            r#""path":["/a/:x","/a/:y/z"],"rewrite":{"path":"/${path:x|none}/${path:y|none}"}"#,
            "/a/1/z",
            "/none/1",
        ),
        (r#""rewrite":{"path":"/s/${query:q}"}"#, "/?q=../a b%3f", "/s/..%2Fa%20b%3F?q=../a b%3f"),
    ];
    for (rule, target, want) in cases {
        let mut host = host("GET", target);
        assert_eq!(host.request(&policy(&format!(r#"{{"rules":[{{{rule}}}]}}"#))), Flow::Continue);
        assert_eq!(String::from_utf8_lossy(&host.target), want, "{rule} {target}");
    }
}

#[test]
fn rewrites_lead_nowhere_else() {
    for value in ["..", "."] {
        for path in ["/s/${query:q}", "/s/${query:q}/data", "/${header:x-v}/s"] {
            let mut host = host("GET", &format!("/?q={value}")).header("x-v", value);
            let rule =
                format!(r#"{{"rules":[{{"upstream":"blue","rewrite":{{"path":"{path}"}}}}]}}"#);
            assert_eq!(host.request(&policy(&rule)), Flow::Answer, "{path} {value}");
            assert_eq!((host.status, host.upstream), (400, None), "{path} {value}");
        }
    }
}

#[test]
fn redirects() {
    let cases = [
        (
            r#"{"location":"https://new.example${target}","status":308}"#,
            "/a?b",
            308,
            "https://new.example/a?b",
        ),
        (r#"{"location":"https://${host}${path}"}"#, "/a?b", 307, "https://www.example:80/a"),
        (r#"{"location":"${target}"}"#, "//evil.example/x", 307, "/evil.example/x"),
        (r#"{"location":"${path}"}"#, "/\\/evil.example/", 307, "/evil.example/"),
        (r#"{"location":"/${path:*}"}"#, "//evil.example", 307, "/evil.example"),
        (r#"{"location":"//cdn.example${path}"}"#, "/a", 307, "//cdn.example/a"),
        (r#"{"location":"/to?u=${query:u}"}"#, "/?u=a%26b%0d%0ax:y", 307, "/to?u=a%26bx%3Ay"),
    ];
    for (redirect, target, status, location) in cases {
        let config = format!(r#"{{"rules":[{{"path":"/*","redirect":{redirect}}}]}}"#);
        let mut host = host("GET", target).header("host", "www.example:80");
        assert_eq!(host.request(&policy(&config)), Flow::Answer, "{target}");
        assert_eq!(host.status, status);
        assert_eq!(host.response_header("location"), [location]);
    }
}

#[test]
fn splits_stick_to_what_the_client_sends() {
    let policy = policy(
        r#"{"rules":[{"split":[{"upstream":"a","weight":1},{"upstream":"b"}],"sticky":{"cookie":"sid"}}]}"#,
    );
    let choose = |cookie: &str, random| {
        let mut host = host("GET", "/").header("cookie", cookie);
        host.random = random;
        assert_eq!(host.request(&policy), Flow::Continue);
        host.upstream.unwrap()
    };
    assert_eq!((choose("x=1", 0), choose("x=1", u64::MAX)), ("a".into(), "b".into()));
    let ids: Vec<String> = (0..20).map(|n| format!("sid={n}")).collect();
    let chosen: Vec<String> = ids.iter().map(|id| choose(id, 0)).collect();
    assert_eq!(chosen, ids.iter().map(|id| choose(id, u64::MAX)).collect::<Vec<_>>());
    assert!(chosen.contains(&"a".to_owned()) && chosen.contains(&"b".to_owned()));
}

#[test]
fn an_unknown_upstream_is_no_way_through() {
    let mut host = host("GET", "/");
    assert_eq!(host.request(&policy(r#"{"rules":[{"upstream":"gone"}]}"#)), Flow::Answer);
    assert_eq!(host.status, 503);
    assert_eq!(host.log, [(2, "upstream \"gone\": the manifest has none of this name".to_owned())]);
}

#[test]
fn refuses_configurations_that_cannot_be_meant() {
    let cases = [
        (r#""path":"a""#, ".path: expected a path that begins with / and has no query"),
        (r#""path":[]"#, ".path: expected at least one"),
        (r#""host":"a:80""#, ".host: expected a host without port, or *.suffix"),
        (r#""host":"a.*""#, ".host: expected a host without port, or *.suffix"),
        (r#""host":"*""#, ".host: expected a host without port, or *.suffix"),
        (r#""method":"get""#, ".method: expected a method in capitals"),
        (r#""header":{"a b":"1"}"#, ".header.a b: expected the name of a header field"),
        (
            r#""header":{"a":1}"#,
            ".header.a: expected a value, true (present), false (absent) or { regex = ... }",
        ),
        (r#""upstream":"a","split":[]"#, ".split: expected either upstream or split"),
        (r#""split":[]"#, ".split: expected at least one share with a weight above 0"),
        (
            r#""split":[{"upstream":"a","weight":-1}]"#,
            ".split[0].weight: expected a whole number from 0 to 1000000",
        ),
        (r#""upstream":"a","sticky":{"cookie":"c"}"#, ".sticky: expected a split beside it"),
        (
            r#""split":[{"upstream":"a"}],"sticky":{}"#,
            ".sticky: expected one of cookie, header, client and identity",
        ),
        (
            r#""split":[{"upstream":"a"}],"sticky":{"client":true,"set":{}}"#,
            ".sticky.set: expected a cookie beside it",
        ),
        (r#""fallback":"a""#, ".fallback: expected upstream or split beside it"),
        (r#""upstream":"a","fallback":[]"#, ".fallback: expected 1 to 4 upstreams"),
        (r#""identity":{}"#, ".identity: expected true, false, subject or attribute"),
        (r#""cookie":{"a b":true}"#, ".cookie.a b: expected the name of a cookie"),
        (r#""path":{"regex":"("}"#, ".path.regex: expected a regular expression: unclosed group"),
        (
            r#""path":{"regex":"(a{999}){999}"}"#,
            ".path.regex: is too large when it is compiled: expected fewer repetitions",
        ),
        (r#""path":"/a/../b""#, ".path: expected no . or .. segments, and two digits after %"),
        (r#""answer":{"status":100}"#, ".answer.status: expected a whole number from 200 to 599"),
        (
            r#""answer":{"status":204,"body":"x"}"#,
            ".answer.body: expected none: a response of this status has no body",
        ),
        (
            r#""answer":{"status":200,"header":{"Content-Length":"1"}}"#,
            ".answer.header.Content-Length: expected a header field of the response's own",
        ),
        (
            r#""answer":{"status":200},"retries":1"#,
            ".answer: expected to be alone: nothing else happens to the request",
        ),
        (
            r#""redirect":{"location":"/"},"upstream":"a""#,
            ".redirect: expected to be alone: nothing else happens to the request",
        ),
        (
            r#""redirect":{"location":"/","status":304}"#,
            ".redirect.status: expected 301, 302, 303, 307 or 308",
        ),
        (
            r#""redirect":{"location":"/${path:id}"}"#,
            ".redirect.location: there is no variable ${path:id} here",
        ),
        (
            r#""rewrite":{"path":"/","add_prefix":"/"}"#,
            ".rewrite: expected either path, or strip_prefix and add_prefix",
        ),
        (r#""rewrite":{"path":"${path}"}"#, ".rewrite.path: expected a path that begins with /"),
        (
            r#""timeout":"5""#,
            ".timeout: expected a duration such as 250ms, 5s, 2m or 1h, at most 3600000ms",
        ),
        (
            r#""timeout":"61m""#,
            ".timeout: expected a duration such as 250ms, 5s, 2m or 1h, at most 3600000ms",
        ),
        (r#""retries":11"#, ".retries: expected a whole number from 0 to 10"),
        (r#""to":"a""#, ".to: is not a known key"),
    ];
    for (rule, want) in cases {
        let config = format!(r#"{{"rules":[{{{rule}}}]}}"#);
        let got = configure::<Router>(&config).err().map(|error| error.to_string());
        assert_eq!(got, Some(format!("config.rules[0]{want}")), "{config}");
    }
    assert!(configure::<Router>("{}").is_err());
    assert!(configure::<Router>(r#"{"rules":[],"unmatched":"drop"}"#).is_err());
}

#[test]
fn fallbacks_are_named_to_the_host() {
    let policy = policy(r#"{"rules":[{"upstream":"a","fallback":["b","c"]}]}"#);
    let mut whole = host("GET", "/");
    assert_eq!(whole.request(&policy), Flow::Continue);
    assert_eq!(
        (whole.upstream.as_deref(), whole.fallbacks),
        (Some("a"), vec!["b".into(), "c".into()])
    );
    let mut partial = host("GET", "/");
    partial.upstreams = vec!["a".into(), "c".into()];
    assert_eq!(partial.request(&policy), Flow::Answer);
    assert_eq!(partial.status, 503);
}

#[test]
fn answers_by_itself() {
    let policy = policy(
        r#"{"rules":[{"path":"/hi/:who","answer":{"status":200,
            "header":{"Content-Type":"text/html","x-who":"${path:who}"},"body":"<p>hi"}},
            {"answer":{"status":410}}]}"#,
    );
    let mut hi = host("GET", "/hi/you");
    assert_eq!(hi.request(&policy), Flow::Answer);
    assert_eq!((hi.status, hi.response_body.as_slice()), (200, b"<p>hi".as_slice()));
    assert_eq!(hi.response_header("content-type"), ["text/html"]);
    assert_eq!(hi.response_header("x-who"), ["you"]);
    let mut gone = host("GET", "/");
    assert_eq!(gone.request(&policy), Flow::Answer);
    assert_eq!((gone.status, gone.response_body.len()), (410, 0));
}

#[test]
fn clients_stay_by_what_is_chosen() {
    let share = |sticky: &str, mut host: Host, random| {
        let config = format!(
            r#"{{"rules":[{{"split":[{{"upstream":"a"}},{{"upstream":"b"}}],"sticky":{sticky}}}]}}"#
        );
        host.random = random;
        assert_eq!(host.request(&policy(&config)), Flow::Continue);
        host.upstream.unwrap()
    };
    let client = |n| {
        let mut host = host("GET", "/");
        host.source = format!("192.0.2.{n}:1");
        host.subject = format!("user-{n}");
        host
    };
    for sticky in [r#"{"client":true}"#, r#"{"identity":true}"#] {
        let shares = |random| (0..20).map(|n| share(sticky, client(n), random)).collect::<Vec<_>>();
        assert_eq!(shares(0), shares(u64::MAX), "{sticky}");
        assert!(shares(0).contains(&"a".into()) && shares(0).contains(&"b".into()), "{sticky}");
    }
}

#[test]
fn a_cookie_makes_a_client_stay() {
    let policy = policy(
        r#"{"rules":[{"split":[{"upstream":"a"},{"upstream":"b"}],
            "sticky":{"cookie":"sid","set":{"max_age":60}}}]}"#,
    );
    let mut seen = Vec::new();
    for random in 0..20 {
        let mut first = host("GET", "/");
        first.random = random;
        let Flow::ContinueWith(context) = first.request(&policy) else { panic!("no context") };
        first.response(&policy, context);
        let [set] = &first.response_header("set-cookie")[..] else { panic!("no cookie") };
        let (pair, attributes) = set.split_once(';').unwrap();
        assert_eq!(attributes, " Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=60");
        let mut second = host("GET", "/").header("cookie", pair);
        assert_eq!(second.request(&policy), Flow::Continue);
        assert_eq!(second.upstream, first.upstream);
        seen.push(first.upstream.unwrap());
    }
    assert!(seen.contains(&"a".into()) && seen.contains(&"b".into()));
    let mut without = host("GET", "/");
    without.response(&policy, 0);
    without.response(&policy, u32::MAX);
    assert!(without.response_header("set-cookie").is_empty());
}
