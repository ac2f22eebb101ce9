use ergo_sdk::Flow;
use ergo_sdk::base64;
use ergo_sdk::json::Value;
use ergo_sdk::testing::{Host, Key, configure, fake_signature};

use crate::Jwt;
use crate::claim::{self, Claim, Requirement};
use crate::denial::Denial;
use crate::keys::KeySet;
use crate::time::Clock;
use crate::token::Token;

mod remote;

fn value(text: &str) -> Value {
    Value::parse(text.as_bytes()).unwrap_or_else(|problem| panic!("{text}: {problem}"))
}

fn token(header: &str, claims: &str, signature: &[u8]) -> String {
    [header.as_bytes(), claims.as_bytes(), signature].map(base64::encode).join(".")
}

const ES256: &str = r#"{"alg":"ES256"}"#;

#[test]
fn tokens_are_read_in_one_way() {
    let text = token(
        r#"{"alg":"ES256","kid":"a","typ":"application/AT+JWT","jku":"x"}"#,
        r#"{"a":1}"#,
        &[7; 64],
    );
    let read = Token::parse(text.as_bytes()).unwrap();
    assert_eq!((read.algorithm.name, read.key_id.as_deref()), ("ES256", Some("a")));
    assert_eq!(read.kind.as_deref(), Some("at+jwt"));
    assert_eq!(read.claims.get("a").and_then(Value::as_integer), Some(1));
    assert_eq!(read.signature, [7; 64]);
    assert_eq!(
        [read.signed, &b"."[..], base64::encode(&[7; 64]).as_bytes()].concat(),
        text.as_bytes()
    );
}

#[test]
fn other_tokens_are_refused() {
    let good = token(ES256, "{}", &[7; 64]);
    assert!(Token::parse(good.as_bytes()).is_ok());
    let long = format!(r#"{{"alg":"ES256","x":"{}"}}"#, "x".repeat(5000));
    let long_id = format!(r#"{{"alg":"ES256","kid":"{}"}}"#, "x".repeat(257));
    let headers = [
        "",
        "[]",
        "{}",
        "{\"alg\":\"ES256\"",
        r#"{"alg":"ES256","alg":"ES256"}"#,
        r#"{"alg":"ES256","\u0061lg":"ES256"}"#,
        r#"{"alg":"none"}"#,
        r#"{"alg":"NONE"}"#,
        r#"{"alg":"es256"}"#,
        r#"{"alg":"ES256 "}"#,
        r#"{"alg":"ES256\u0000"}"#,
        r#"{"alg":["ES256"]}"#,
        r#"{"alg":null}"#,
        r#"{"alg":"ES256K"}"#,
        r#"{"alg":"RSA1_5"}"#,
        r#"{"alg":"ES256","crit":["exp"]}"#,
        r#"{"alg":"ES256","crit":[]}"#,
        r#"{"alg":"ES256","b64":false}"#,
        r#"{"alg":"ES256","b64":true}"#,
        r#"{"alg":"ES256","enc":"A256GCM"}"#,
        r#"{"alg":"ES256","zip":"DEF"}"#,
        r#"{"alg":"ES256","cty":"JWT"}"#,
        r#"{"alg":"ES256","cty":"application/jwt"}"#,
        r#"{"alg":"ES256","cty":1}"#,
        r#"{"alg":"ES256","kid":1}"#,
        r#"{"alg":"ES256","kid":null}"#,
        r#"{"alg":"ES256","typ":1}"#,
        &long,
        &long_id,
    ];
    let mut texts: Vec<String> =
        headers.iter().map(|header| token(header, "{}", &[7; 64])).collect();
    let claims = ["", "[]", "null", "\"{}\"", "{\"a\":1,\"a\":1}", "{}{}", "{} x", "\u{feff}{}"];
    texts.extend(claims.map(|claims| token(ES256, claims, &[7; 64])));
    texts.extend([0, 63, 65, 70, 72, 128].map(|length| token(ES256, "{}", &vec![0; length])));
    let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(100), "]".repeat(100));
    texts.push(token(ES256, &deep, &[7; 64]));
    let (start, _) = good.rsplit_once('.').unwrap();
    texts.extend([start.to_owned(), format!("{start}."), format!("{good}."), format!(".{good}")]);
    texts.extend([
        format!("{good}="),
        format!("{good}\n"),
        format!(" {good}"),
        format!("{good}.a.b"),
    ]);
    texts.extend([good.replacen('e', "+", 1), good.replace('.', ".."), String::new(), "..".into()]);
    for text in texts {
        assert!(Token::parse(text.as_bytes()).is_err(), "{text}");
    }
    let utf8 = [
        base64::encode(b"{\"alg\":\"ES256\",\"x\":\"\xff\"}"),
        "e30".into(),
        base64::encode(&[7; 64]),
    ];
    assert!(Token::parse(utf8.join(".").as_bytes()).is_err());
}

#[test]
fn times_are_plain_numbers() {
    let clock = Clock { leeway: 10, max_age: None };
    let aged = Clock { leeway: 10, max_age: Some(100) };
    let good = [
        (&clock, r#"{"exp":1001}"#, 1011),
        (&clock, r#"{"exp":991}"#, 1001),
        (&clock, r#"{"exp":2000.75,"nbf":1010,"iat":1010}"#, 2010),
        (&clock, r#"{"exp":253402300799}"#, 253_402_300_809),
        (&aged, r#"{"exp":2000,"iat":891}"#, 1001),
        (&aged, r#"{"exp":1001,"iat":1000}"#, 1011),
    ];
    for (clock, claims, ends) in good {
        assert_eq!(clock.check(&value(claims), 1000), Ok(ends), "{claims}");
    }
    let expired = [
        (&clock, r#"{"exp":990}"#),
        (&clock, r#"{"exp":0}"#),
        (&aged, r#"{"exp":2000,"iat":890}"#),
    ];
    for (clock, claims) in expired {
        assert_eq!(clock.check(&value(claims), 1000), Err(Denial::Expired), "{claims}");
    }
    let invalid = [
        (&clock, "{}"),
        (&clock, r#"{"exp":null}"#),
        (&clock, r#"{"exp":"2000"}"#),
        (&clock, r#"{"exp":true}"#),
        (&clock, r#"{"exp":[2000]}"#),
        (&clock, r#"{"exp":1e9}"#),
        (&clock, r#"{"exp":1E+400}"#),
        (&clock, r#"{"exp":2.0e3}"#),
        (&clock, r#"{"exp":-1}"#),
        (&clock, r#"{"exp":-0}"#),
        (&clock, r#"{"exp":253402300800}"#),
        (&clock, r#"{"exp":18446744073709551616}"#),
        (&clock, r#"{"exp":9007199254740993000000000}"#),
        (&clock, r#"{"exp":2000,"nbf":1011}"#),
        (&clock, r#"{"exp":2000,"nbf":"0"}"#),
        (&clock, r#"{"exp":2000,"iat":1011}"#),
        (&clock, r#"{"exp":2000,"iat":1e0}"#),
        (&aged, r#"{"exp":2000}"#),
    ];
    for (clock, claims) in invalid {
        let got = clock.check(&value(claims), 1000);
        assert!(matches!(got, Err(Denial::Invalid(_))), "{claims}: {got:?}");
    }
}

fn requirement(rule: &str) -> Requirement {
    let config = ergo_sdk::Config::parse(format!(r#"{{"r":{rule}}}"#).as_bytes()).unwrap();
    let mut object = config.object().unwrap();
    Requirement::configure(object.required("r").unwrap())
        .unwrap_or_else(|error| panic!("{rule}: {error}"))
}

#[test]
fn requirements_hold_or_not() {
    let claims = value(
        r#"{"a":"x","n":1,"b":true,"z":null,"l":["x","y",1],"w":"read write","o":{"p/q":{"~":["in"]}},"o.p":"dot"}"#,
    );
    let cases = [
        (r#"{"claim":"a"}"#, true),
        (r#"{"claim":"gone"}"#, false),
        (r#"{"claim":"z"}"#, false),
        (r#"{"claim":"a","equals":"x"}"#, true),
        (r#"{"claim":"a","equals":"X"}"#, false),
        (r#"{"claim":"n","equals":1}"#, true),
        (r#"{"claim":"n","equals":"1"}"#, false),
        (r#"{"claim":"b","equals":true}"#, true),
        (r#"{"claim":"b","equals":"true"}"#, false),
        (r#"{"claim":"l","equals":"x"}"#, false),
        (r#"{"claim":"a","one_of":["y","x"]}"#, true),
        (r#"{"claim":"a","one_of":["y"]}"#, false),
        (r#"{"claim":"l","contains":"y"}"#, true),
        (r#"{"claim":"l","contains":1}"#, true),
        (r#"{"claim":"l","contains":"1"}"#, false),
        (r#"{"claim":"w","contains":"write"}"#, true),
        (r#"{"claim":"w","contains":"writ"}"#, false),
        (r#"{"claim":"a","contains":"x"}"#, true),
        (r#"{"claim":"n","contains":1}"#, false),
        (r#"{"claim":"/o/p~1q/~0","contains":"in"}"#, true),
        (r#"{"claim":"/o/gone","contains":"in"}"#, false),
        (r#"{"claim":"/a/x"}"#, false),
        (r#"{"claim":"o.p","equals":"dot"}"#, true),
    ];
    for (rule, want) in cases {
        assert_eq!(requirement(rule).holds(&claims), want, "{rule}");
    }
    assert_eq!(Claim::named("a").of(&claims).and_then(Value::as_text), Some("x"));
}

#[test]
fn scopes_are_words_or_a_list() {
    let cases = [
        (r#"{"scope":"a b"}"#, true),
        (r#"{"scp":["b","a"]}"#, true),
        (r#"{"scp":"b a"}"#, true),
        (r#"{"scope":"a"}"#, false),
        (r#"{"scope":"ab"}"#, false),
        (r#"{"scope":"","scp":"a b"}"#, false),
        ("{}", false),
    ];
    for (claims, want) in cases {
        let scopes = ["a".to_owned(), "b".to_owned()];
        assert_eq!(claim::has_scopes(&value(claims), &scopes), want, "{claims}");
        assert!(claim::has_scopes(&value(claims), &[]));
    }
}

fn jwks(id: &str) -> String {
    format!(r#"{{"keys":[{{"kty":"EC","crv":"P-256","kid":"{id}","x":"AA","y":"AA"}}]}}"#)
}

#[test]
fn sets_keep_public_keys_for_signatures() {
    let ec = r#""kty":"EC","crv":"P-256","x":"AA","y":"AA""#;
    let keys = [
        (format!(r#"{{{ec}}}"#), true),
        (
            format!(
                r#"{{{ec},"use":"sig","key_ops":["verify"],"alg":"ES256","kid":"k","x5c":["AA"]}}"#
            ),
            true,
        ),
        (format!(r#"{{{ec},"use":"enc"}}"#), false),
        (format!(r#"{{{ec},"use":1}}"#), false),
        (format!(r#"{{{ec},"key_ops":["sign"]}}"#), false),
        (format!(r#"{{{ec},"alg":"RS256"}}"#), false),
        (format!(r#"{{{ec},"alg":"ECDH-ES"}}"#), false),
        (format!(r#"{{{ec},"d":"AA"}}"#), false),
        (r#"{"kty":"EC","crv":"secp256k1","x":"AA","y":"AA"}"#.into(), false),
        (r#"{"kty":"OKP","crv":"X25519","x":"AA"}"#.into(), false),
        (r#"{"kty":"oct","k":"AA"}"#.into(), false),
        ("1".into(), false),
    ];
    Host::new("GET", "/").during(|| {
        for (key, kept) in &keys {
            let set = KeySet::parse(format!(r#"{{"keys":[{key}]}}"#).as_bytes());
            assert_eq!(set.is_ok(), *kept, "{key}: {set:?}");
        }
        let many = vec![format!(r#"{{{ec}}}"#); 129].join(",");
        for set in
            ["", "[]", "{}", r#"{"keys":{}}"#, r#"{"keys":[]}"#, &format!(r#"{{"keys":[{many}]}}"#)]
        {
            assert!(KeySet::parse(set.as_bytes()).is_err(), "{set}");
        }
    });
}

/// A host with a key for HMAC, at a time.
fn keyed(seconds: u64) -> Host {
    let mut host = Host::new("GET", "/").header("x-user", "root").header("X_User", "root");
    host.keys = vec![Key::new("ours", "HS256", &["one"], &["verify"])];
    host.clock.wall = seconds * 1_000_000_000;
    host
}

fn signed(claims: &str) -> String {
    let start =
        [r#"{"alg":"HS256"}"#, claims].map(|part| base64::encode(part.as_bytes())).join(".");
    let signature = fake_signature("HS256", b"one", start.as_bytes());
    format!("Bearer {start}.{}", base64::encode(&signature))
}

const OURS: &str = r#"{"issuers":[{"issuer":"i","audiences":["*"],"key":"ours"}],"leeway":"0s","headers":{"x-user":"sub"},
    "attributes":{"group":"/g/h","mail":"mail"}}"#;

#[test]
fn tells_who_the_client_is() {
    let mut host = keyed(1000);
    let policy: Jwt = host.during(|| configure(OURS)).unwrap();
    let authorization = signed(r#"{"iss":"i","exp":1001,"sub":"alice","g":{"h":["a",1,true]}}"#);
    for now in [1000, 1000, 1001] {
        let mut host = keyed(now).header("authorization", &authorization);
        if now == 1001 {
            assert_eq!(
                (host.request(&policy), host.status),
                (Flow::Answer, 401),
                "remembered, and expired"
            );
            assert!(
                host.request_header("x-user").is_empty()
                    && host.request_header("x_user").is_empty()
            );
            assert_eq!(host.subject, "");
            continue;
        }
        assert_eq!(host.request(&policy), Flow::Continue);
        assert_eq!(host.subject, "alice");
        assert_eq!(host.attributes, [("group".to_owned(), "a,1,true".to_owned())]);
        assert_eq!(host.request_header("x-user"), ["alice"]);
        assert!(
            host.request_header("x_user").is_empty()
                && host.request_header("authorization").is_empty()
        );
    }
}

#[test]
fn a_token_without_a_subject_is_nobodys() {
    let mut host = keyed(1000);
    let policy: Jwt = host.during(|| configure(OURS)).unwrap();
    let mut host = keyed(1000).header("authorization", &signed(r#"{"iss":"i","exp":1001}"#));
    host.subject = "somebody".into();
    assert_eq!(host.request(&policy), Flow::Continue);
    assert_eq!((host.subject.as_str(), host.request_header("x-user").len()), ("", 0));
}

#[test]
fn claims_that_cannot_be_passed_on_are_refused() {
    let mut host = keyed(1000);
    let policy: Jwt = host.during(|| configure(OURS)).unwrap();
    let long = "x".repeat(4097);
    let claims = [
        r#""sub":"a\nb""#,
        r#""sub":"a\u0085b""#,
        r#""sub":" a""#,
        r#""sub":{"a":1}"#,
        r#""sub":[["a"]]"#,
        r#""sub":[null]"#,
        r#""sub":["a,b"]"#,
        r#""sub":"""#,
        r#""sub":"a","g":{"h":"b\u0000"}"#,
        &format!(r#""sub":"{long}""#),
    ];
    for claims in claims {
        let authorization = signed(&format!(r#"{{"iss":"i","exp":1001,{claims}}}"#));
        let mut host = keyed(1000).header("authorization", &authorization);
        assert_eq!((host.request(&policy), host.status), (Flow::Answer, 403), "{claims}");
    }
}

#[test]
fn refuses_configurations_that_cannot_be_meant() {
    let issuer =
        |more: &str| format!(r#"{{"issuers":[{{"issuer":"i","audiences":["a"],{more}}}]}}"#);
    let url = r#""jwks_url":"https://idp.example/""#;
    let top =
        |more: &str| format!(r#"{{"issuers":[{{"issuer":"i","audiences":["a"],{url}}}],{more}}}"#);
    let cases = [
        ("{}".into(), "config: issuers is missing"),
        (r#"{"issuers":[]}"#.into(), "config.issuers: expected at least one issuer"),
        (issuer(r#""jwks":"{}""#), "config.issuers[0].jwks: expected a JWK Set"),
        (
            issuer(r#""algorithms":["ES256"]"#),
            "config.issuers[0]: expected one of jwks, jwks_url and key",
        ),
        (
            issuer(&format!(r#"{url},"algorithms":["HS256"]"#)),
            "config.issuers[0].algorithms[0]: is no algorithm",
        ),
        (
            issuer(&format!(r#"{url},"algorithms":["none"]"#)),
            "config.issuers[0].algorithms[0]: is no algorithm",
        ),
        (
            issuer(r#""jwks_url":"http://idp.example/""#),
            "config.issuers[0].jwks_url: expected https://",
        ),
        (
            issuer(r#""jwks_url":"http://127.0.0.1.evil.example/""#),
            "config.issuers[0].jwks_url: expected https://",
        ),
        (
            issuer(&format!(r#"{url},"pause":"500ms""#)),
            "config.issuers[0]: expected a pause of 1s or more",
        ),
        (
            issuer(&format!(r#"{url},"refresh":"5s""#)),
            "config.issuers[0]: expected a pause of 1s or more",
        ),
        (top(r#""from":[]"#), "config.from: expected at least one place"),
        (top(r#""from":["query"]"#), "config.from[0]: expected \"bearer\""),
        (top(r#""from":[{"header":"Cookie"}]"#), "config.from[0]: expected \"bearer\""),
        (top(r#""from":[{"header":"a","query":"b"}]"#), "config.from[0]: expected one of"),
        (
            top(r#""headers":{"Authorization":"sub"}"#),
            "config.headers.Authorization: expected a header field",
        ),
        (
            top(r#""headers":{"x-a":"sub","X-A":"sub"}"#),
            "config.headers.X-A: expected a header field",
        ),
        (
            top(r#""from":[{"header":"x-t"}],"headers":{"X-T":"sub"}"#),
            "config.headers.X-T: expected a header",
        ),
        (
            top(r#""headers":{"x-a":{"claim":"a","as":"xml"}}"#),
            "config.headers.x-a.as: expected text or json",
        ),
        (
            top(r#""require":[{"claim":"a","equals":1,"one_of":[1]}]"#),
            "config.require[0]: expected one of",
        ),
        (
            top(r#""require":[{"claim":"a","equals":{}}]"#),
            "config.require[0].equals: expected a text",
        ),
        (top(r#""require":[{"claim":"/a//b"}]"#), "config.require[0].claim: expected the name"),
        (top(r#""scopes":["a b"]"#), "config.scopes[0]: expected a scope"),
        (top(r#""realm":"a\"b""#), "config.realm: expected text without quotes"),
        (top(r#""leeway":"5""#), "config.leeway: expected a duration"),
        (top(r#""audience":["a"]"#), "config.audience: is not a known key"),
    ];
    Host::new("GET", "/").during(|| {
        for (config, want) in &cases {
            let got = configure::<Jwt>(config).err().map(|error| error.to_string());
            assert!(got.as_deref().is_some_and(|got| got.starts_with(want)), "{config}: {got:?}");
        }
        assert!(configure::<Jwt>(&top(r#""realm":"shop""#)).is_ok());
    });
}
