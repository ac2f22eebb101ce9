use super::*;
use ergo_sdk::testing::{Host, configure};

fn policy(config: &str) -> RateLimit {
    configure(config).unwrap_or_else(|error| panic!("{config}: {error}"))
}

/// A limit by client, with what else is said of it.
fn limit(more: &str) -> String {
    format!(r#"{{"name":"a","key":"client","requests":2,"per":"1m"{more}}}"#)
}

fn one(more: &str) -> RateLimit {
    policy(&format!(r#"{{"limits":[{}]}}"#, limit(more)))
}

/// Sends a request after what another has left behind, and returns whether it passed.
fn passes(policy: &RateLimit, host: &mut Host) -> bool {
    host.fields[1].clear();
    !matches!(host.request(policy), Flow::Answer)
}

#[test]
fn so_many_pass_and_no_more() {
    for algorithm in ["window", "bucket"] {
        let policy = one(&format!(r#","algorithm":"{algorithm}""#));
        let mut host = Host::new("GET", "/");
        for left in [1, 0] {
            let Flow::ContinueWith(context) = host.request(&policy) else { panic!("refused") };
            host.response(&policy, context);
            assert_eq!(host.response_header("ratelimit"), [format!(r#""a";r={left}"#)]);
            assert_eq!(host.response_header("ratelimit-policy"), [r#""a";q=2;w=60"#]);
            host.fields[1].clear();
        }
        assert_eq!(host.request(&policy), Flow::Answer);
        assert_eq!(host.status, 429);
        let wait = host.response_header("retry-after").concat();
        assert_eq!(host.response_header("ratelimit"), [format!(r#""a";r=0;t={wait}"#)]);
        assert_eq!(wait, if algorithm == "window" { "60" } else { "30" });
        assert!(
            String::from_utf8_lossy(&host.response_body).contains(r#""violated-policies":["a"]"#)
        );
        host.source = "192.0.2.2:1".into();
        assert!(passes(&policy, &mut host), "another client");
    }
}

#[test]
fn fields_can_be_left_out() {
    let policy = policy(&format!(r#"{{"limits":[{}],"headers":false}}"#, limit("")));
    let mut host = Host::new("GET", "/");
    assert_eq!(host.request(&policy), Flow::Continue);
    assert_eq!(host.request(&policy), Flow::Continue);
    assert_eq!(host.request(&policy), Flow::Answer);
    assert_eq!(host.response_header("ratelimit"), [""; 0]);
    assert_eq!(host.response_header("retry-after"), ["60"]);
}

#[test]
fn keys() {
    let keyed = |key: &str| {
        policy(&format!(r#"{{"limits":[{{"name":"a","key":{key},"requests":1,"per":"1m"}}]}}"#))
    };
    type Change = fn(&mut Host);
    let cases: [(&str, Change); 11] = [
        (r#""client""#, |host| host.source = "[2001:db8::1]:1".into()),
        (r#""identity""#, |host| host.subject = "bob".into()),
        (r#""attribute:group""#, |host| host.attributes[0].1 = "ops".into()),
        (r#""host""#, |host| host.fields[0][0].1 = b"other.example".to_vec()),
        (r#""method""#, |host| host.method = b"PUT".to_vec()),
        (r#""path""#, |host| host.target = b"/b".to_vec()),
        (r#""route""#, |host| host.upstream = Some("green".into())),
        (r#""header:x-a""#, |host| host.fields[0][1].1 = b"2".to_vec()),
        (r#""cookie:c""#, |host| host.fields[0][2].1 = b"c=2".to_vec()),
        (r#""param:p""#, |host| host.target = b"/%61?p=2".to_vec()),
        (r#"["path","header:x-a"]"#, |host| host.target = b"/b".to_vec()),
    ];
    for (key, change) in cases {
        let policy = keyed(key);
        let mut host = Host::new("GET", "/a?p=1")
            .header("host", "A.example")
            .header("x-a", "1")
            .header("cookie", "c=1");
        host.subject = "alice".into();
        host.attributes = vec![("group".into(), "dev".into())];
        host.upstream = Some("blue".into());
        assert!(passes(&policy, &mut host), "{key}");
        assert!(!passes(&policy, &mut host), "{key}");
        change(&mut host);
        assert!(passes(&policy, &mut host), "{key}: another value");
        assert!(!passes(&policy, &mut host), "{key}: another value");
    }
    let all = keyed("[]");
    let mut host = Host::new("GET", "/");
    assert!(passes(&all, &mut host));
    host.source = "192.0.2.2:1".into();
    assert!(!passes(&all, &mut host), "one count for all");
}

#[test]
fn spellings_of_one_host_share_a_count() {
    let policy = policy(r#"{"limits":[{"name":"a","key":"host","requests":1,"per":"1m"}]}"#);
    let mut host = Host::new("GET", "/").header("host", "a.example");
    assert!(passes(&policy, &mut host));
    for spelling in ["A.Example", "a.example:80", "a.example:81", "a.example.", "a.example.:80"] {
        host.fields[0][0].1 = spelling.into();
        assert!(!passes(&policy, &mut host), "{spelling}");
    }
}

#[test]
fn values_cannot_be_shifted_from_one_part_to_the_next() {
    let policy = policy(
        r#"{"limits":[{"name":"a","key":["header:a","header:b"],"requests":1,"per":"1m"}]}"#,
    );
    let mut first = Host::new("GET", "/").header("a", "x").header("b", "y:1=z");
    assert!(passes(&policy, &mut first));
    let mut second = Host::new("GET", "/").header("a", "x:5=y").header("b", "z");
    second.kv = first.kv;
    assert!(passes(&policy, &mut second));
}

#[test]
fn long_values_are_told_apart() {
    let policy = policy(r#"{"limits":[{"name":"a","key":"header:x","requests":1,"per":"1m"}]}"#);
    let long = "k".repeat(10_000);
    let mut host = Host::new("GET", "/").header("x", &long);
    assert!(passes(&policy, &mut host));
    assert!(!passes(&policy, &mut host));
    host.fields[0][0].1[9_999] = b'l';
    assert!(passes(&policy, &mut host));
    assert!(host.kv.keys().all(|key| key.len() < 100));
}

#[test]
fn what_a_request_costs() {
    let cases: [(&str, Option<&str>, usize); 9] = [
        (r#"5"#, None, 2),
        (r#"{"header":"x-cost"}"#, None, 10),
        (r#"{"header":"x-cost"}"#, Some("5"), 2),
        (r#"{"header":"x-cost"}"#, Some("0"), 10),
        (r#"{"header":"x-cost"}"#, Some("-5"), 10),
        (r#"{"header":"x-cost","default":5}"#, Some("many"), 2),
        (r#"{"header":"x-cost","max":5}"#, Some("99999999999999999999"), 2),
        (r#"{"header":"x-cost"}"#, Some("11"), 1),
        (r#"{"header":"x-cost","default":10}"#, Some(""), 1),
    ];
    for (cost, value, want) in cases {
        let policy = policy(&format!(
            r#"{{"limits":[{{"name":"a","key":"client","requests":10,"per":"1m","cost":{cost}}}]}}"#
        ));
        let mut host = Host::new("GET", "/");
        if let Some(value) = value {
            host = host.header("X-Cost", value);
        }
        let passed = (0..20).filter(|_| passes(&policy, &mut host)).count();
        assert_eq!(passed, want, "{cost} {value:?}");
    }
}

#[test]
fn of_several_limits_the_strictest_answers_and_the_others_do_not_count() {
    let policy = policy(
        r#"{"limits":[
            {"name":"wide","key":"client","requests":10,"per":"1h"},
            {"name":"narrow","key":"client","requests":2,"per":"1s","algorithm":"bucket"},
            {"name":"long","key":["client","path"],"requests":2,"per":"1d"}]}"#,
    );
    let mut host = Host::new("GET", "/a");
    assert!(passes(&policy, &mut host) && passes(&policy, &mut host));
    for _ in 0..5 {
        assert!(!passes(&policy, &mut host));
        assert_eq!(host.response_header("retry-after"), ["86400"]);
        assert_eq!(host.response_header("ratelimit"), [r#""long";r=0;t=86400"#]);
        assert_eq!(
            host.response_header("ratelimit-policy"),
            [r#""wide";q=10;w=3600, "narrow";q=2;w=1, "long";q=2;w=86400"#]
        );
    }
    host.kv.retain(|key, _| !key.starts_with(b"narrow") && !key.starts_with(b"long"));
    let Flow::ContinueWith(context) = host.request(&policy) else { panic!("refused") };
    host.fields[1].clear();
    host.response(&policy, context);
    assert_eq!(host.response_header("ratelimit"), [r#""narrow";r=1"#]);
    let counted = host.kv.iter().find(|(key, _)| key.starts_with(b"wide"));
    assert_eq!(counted.map(|(_, entry)| entry), Some(&ergo_sdk::testing::kv::Entry::Window(3)));
}

#[test]
fn what_cannot_be_counted_is_refused_unless_it_is_to_pass() {
    let mut host = Host::new("GET", "/");
    host.kv_down = true;
    assert_eq!(host.request(&one("")), Flow::Answer);
    assert_eq!((host.status, host.response_header("retry-after")), (503, vec!["1".into()]));
    assert_eq!(host.log, [(1, "request is not counted: the shared store is gone".to_owned())]);
    let open = policy(&format!(r#"{{"limits":[{}],"uncounted":"allow"}}"#, limit("")));
    assert_eq!(host.request(&open), Flow::Continue);
}

#[test]
fn refuses_configurations_that_cannot_be_meant() {
    let cases = [
        (r#","algorithm":"leaky""#, "limits[0]: algorithm: expected window or bucket"),
        (r#","burst":3"#, r#"limits[0].burst: expected algorithm = "bucket" beside it"#),
        (r#","cost":3"#, "limits[0].cost: expected a whole number from 1 to 2"),
        (
            r#","cost":{"header":"x","max":3}"#,
            "limits[0].cost.max: expected a whole number from 1 to 2",
        ),
        (r#","cost":{}"#, "limits[0].cost: header is missing"),
        (r#","ipv6_prefix":129"#, "limits[0].ipv6_prefix: expected a whole number from 0 to 128"),
        (r#","to":1"#, "limits[0].to: is not a known key"),
    ];
    for (more, want) in cases {
        let config = format!(r#"{{"limits":[{}]}}"#, limit(more));
        let got = configure::<RateLimit>(&config).err().map(|error| error.to_string());
        assert!(got.as_ref().is_some_and(|got| got.contains(want)), "{more}: {got:?}");
    }
    let whole = [
        ("{}", "config: limits is missing"),
        (r#"{"limits":[]}"#, "config.limits: expected 1 to 16 limits"),
        (
            r#"{"limits":[{"name":"a b","key":[],"requests":1,"per":"1s"}]}"#,
            "config.limits[0].name: expected 1 to 32 letters, digits, -, _ and .",
        ),
        (
            r#"{"limits":[{"name":"a","key":"ip","requests":1,"per":"1s"}]}"#,
            "config.limits[0].key: expected client, identity, host, method, path, route, or attribute:, header:, cookie: or param: and a name",
        ),
        (
            r#"{"limits":[{"name":"a","key":"header:","requests":1,"per":"1s"}]}"#,
            "config.limits[0].key: expected client, identity, host, method, path, route, or attribute:, header:, cookie: or param: and a name",
        ),
        (
            r#"{"limits":[{"name":"a","key":"path","requests":1,"per":"1s","ipv4_prefix":24}]}"#,
            "config.limits[0].key: expected client, which a prefix is for",
        ),
        (
            r#"{"limits":[{"name":"a","key":[],"requests":1,"per":"8d"}]}"#,
            "config.limits[0].per: expected a duration such as 250ms, 5s, 2m or 1h, at most 604800000ms",
        ),
        (
            r#"{"limits":[{"name":"a","key":[],"requests":1,"per":"9ms"}]}"#,
            "config.limits[0].per: expected at least 10ms",
        ),
        (
            r#"{"limits":[{"name":"a","key":[],"requests":1,"per":"1s"},{"name":"a","key":[],"requests":1,"per":"1s"}]}"#,
            "config.limits: expected different names, not two a",
        ),
    ];
    for (config, want) in whole {
        let got = configure::<RateLimit>(config).err().map(|error| error.to_string());
        assert_eq!(got.as_deref(), Some(want), "{config}");
    }
}
