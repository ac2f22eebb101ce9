use super::*;
use ergo_sdk::http::Answered;
use ergo_sdk::testing::{Host, configure};

fn policy(more: &str) -> Mirror {
    let config = format!(r#"{{"to":"upstream://shadow/"{more}}}"#);
    configure(&config).unwrap_or_else(|error| panic!("{config}: {error}"))
}

/// The copies that are made of a request.
fn copies(policy: &Mirror, mut host: Host) -> Vec<String> {
    host.answers.push(Answered::default());
    let before = (host.target.clone(), host.fields[0].clone());
    assert_eq!(host.request(policy), Flow::Continue);
    assert_eq!((&host.target, &host.fields[0]), (&before.0, &before.1), "the request is as it was");
    assert_eq!(host.open_calls, 0);
    host.calls
}

#[test]
fn a_copy_is_marked_and_has_no_credentials() {
    let request = || {
        Host::new("GET", "/a?b=c")
            .header("host", "www.example")
            .header("accept", "text/html")
            .header("accept", "*/*")
            .header("cookie", "sid=1")
            .header("authorization", "Bearer t")
            .header("x-tenant", "s")
    };
    assert_eq!(
        copies(&policy(""), request()),
        [
            "GET upstream://shadow/a?b=c x-mirrored\01\0host\0www.example\0accept\0text/html\0accept\0*/*\0x-tenant\0s\0 "
        ]
    );
    let all = policy(r#","credentials":true,"strip":["X-Tenant","accept"],"mark":"X-Copy""#);
    assert_eq!(
        copies(&all, request()),
        [
            "GET upstream://shadow/a?b=c x-copy\01\0host\0www.example\0cookie\0sid=1\0authorization\0Bearer t\0 "
        ]
    );
}

#[test]
fn what_carries_credentials() {
    let of = |policy: &Mirror, name: &str| {
        let host = Host::new("GET", "/").header("host", "www.example").header(name, "v");
        copies(policy, host)[0].contains(&format!("\0{name}\0v\0"))
    };
    let usual = policy("");
    let own = policy(r#","strip":["X-Internal-*","*-ticket","x_session"]"#);
    let all = policy(r#","credentials":true"#);
    for name in [
        "authorization",
        "proxy-authorization",
        "proxy_authorization",
        "cookie",
        "api-key",
        "x-api-key",
        "x_api_key",
        "ocp-apim-api-key",
        "apikey",
        "x-apikey",
        "x-auth-token",
        "x-csrf-token",
        "x-amz-security-token",
        "x-client-secret",
        "x-hub-signature",
        "x-password",
        "cf-access-jwt-assertion",
        "x-forwarded-client-cert",
        "client-cert",
        "client-cert-chain",
    ] {
        assert!(!of(&usual, name) && !of(&own, name), "{name} is copied");
        assert!(of(&all, name), "{name} is not copied");
    }
    for name in ["x-internal-", "x-internal-user", "x_internal_user", "a-ticket", "x-session"] {
        assert!(of(&usual, name) && !of(&own, name), "{name}");
    }
    for name in ["accept", "x-keyboard", "token", "x-internal", "ticket", "x-sessions", "cookie2"] {
        assert!(of(&own, name), "{name} is not copied");
    }
}

#[test]
fn short_bodies_are_copied() {
    let post = |length: &str, body: &str| {
        let mut host = Host::new("POST", "/").header("content-length", length);
        host.request_body = body.into();
        host
    };
    let small = policy(r#","max_body":4"#);
    assert!(copies(&small, post("4", "body"))[0].ends_with(" body"));
    assert_eq!(copies(&small, post("0", "")).len(), 1);
    assert_eq!(copies(&small, post("5", "bodys")).len(), 0);
    assert_eq!(copies(&small, post("4", "bodys")).len(), 0);
    assert_eq!(copies(&small, post("4", "bod")).len(), 0);
    assert_eq!(copies(&small, post("-1", "bod")).len(), 0);
    assert_eq!(copies(&small, Host::new("POST", "/")).len(), 0, "a body that streams");
    assert_eq!(copies(&small, Host::new("DELETE", "/")).len(), 1);
}

#[test]
fn what_is_copied() {
    let get = || Host::new("GET", "/");
    let cases: [(&str, Host, usize); 13] = [
        ("", get(), 1),
        ("", get().header("X-Mirrored", "1"), 0),
        ("", Host::new("OPTIONS", "*"), 0),
        (r#","methods":["POST"]"#, get(), 0),
        (r#","methods":["POST","GET"]"#, get(), 1),
        (r#","methods":["GET"]"#, Host::new("get", "/"), 0),
        (r#","header":{"name":"x-a"}"#, get(), 0),
        (r#","header":{"name":"X-A"}"#, get().header("x-a", ""), 1),
        (r#","header":{"name":"x-a","value":"1"}"#, get().header("x-a", "2"), 0),
        (r#","header":{"name":"x-a","value":"1"}"#, get().header("x-a", "2").header("x-a", "1"), 1),
        (r#","percent":100"#, get(), 1),
        (r#","percent":0.001"#, get(), 1),
        (r#","mark":"x-other""#, get().header("x-mirrored", "1"), 1),
    ];
    for (more, host, want) in cases {
        assert_eq!(copies(&policy(more), host).len(), want, "{more}");
    }
}

#[test]
fn so_many_percent() {
    for (percent, border) in [("25", 1 << 62), ("0.5", 92_233_720_368_547_758_u64)] {
        let policy = policy(&format!(r#","percent":{percent}"#));
        for (random, want) in [(0, 1), (border - 4096, 1), (border + 4096, 0), (u64::MAX, 0)] {
            let mut host = Host::new("GET", "/");
            host.random = random;
            assert_eq!(copies(&policy, host).len(), want, "{percent} % at {random}");
        }
    }
}

#[test]
fn a_copy_that_cannot_be_made_changes_nothing() {
    let mut host = Host::new("GET", "/");
    assert_eq!(host.request(&policy("")), Flow::Continue);
    assert_eq!(
        host.log,
        [(1, "no copy: the manifest grants neither its host nor its method".to_owned())]
    );
}

#[test]
fn refuses_configurations_that_cannot_be_meant() {
    let cases = [
        ("{}", "config: to is missing"),
        (
            r#"{"to":"shadow"}"#,
            "config.to: expected https://host, http://host:port or upstream://name",
        ),
        (
            r#"{"to":"https://a/b"}"#,
            "config.to: expected https://host, http://host:port or upstream://name",
        ),
        (
            r#"{"to":"https://u@a"}"#,
            "config.to: expected https://host, http://host:port or upstream://name",
        ),
        (
            r#"{"to":"upstream://a","percent":0}"#,
            "config.percent: expected a number above 0, up to 100",
        ),
        (
            r#"{"to":"upstream://a","percent":101}"#,
            "config.percent: expected a number above 0, up to 100",
        ),
        (
            r#"{"to":"upstream://a","percent":"5"}"#,
            "config.percent: expected a number above 0, up to 100",
        ),
        (
            r#"{"to":"upstream://a","max_body":65536}"#,
            "config.max_body: expected a whole number from 0 to 65535",
        ),
        (
            r#"{"to":"upstream://a","methods":["get"]}"#,
            "config.methods[0]: expected a method in capitals",
        ),
        (
            r#"{"to":"upstream://a","mark":"a b"}"#,
            "config.mark: expected the name of a header field",
        ),
        (
            r#"{"to":"upstream://a","strip":["*"]}"#,
            "config.strip[0]: expected a name with at most one *, before or after it",
        ),
        (
            r#"{"to":"upstream://a","strip":["*-a-*"]}"#,
            "config.strip[0]: expected a name with at most one *, before or after it",
        ),
        (r#"{"to":"upstream://a","header":{}}"#, "config.header: name is missing"),
        (r#"{"to":"upstream://a","from":1}"#, "config.from: is not a known key"),
    ];
    for (config, want) in cases {
        let got = configure::<Mirror>(config).err().map(|error| error.to_string());
        assert_eq!(got.as_deref(), Some(want), "{config}");
    }
}
