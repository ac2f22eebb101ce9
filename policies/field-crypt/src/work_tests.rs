//! What is done to values, with keys of a host in memory.

use ergo_sdk::Config;
use ergo_sdk::testing::{Host, Key};

use crate::refusal::Refusal;
use crate::rewrite::Change;
use crate::settings::{Field, Settings, Source};
use crate::work::Work;

/// Has a host that has these keys: `data`, with an old version, and `search`.
fn with_keys<T>(act: impl FnOnce() -> T) -> T {
    let mut host = Host::new("GET", "/");
    host.keys = vec![
        Key::new("data", "XAES-256-GCM", &["old", "new"], &["seal", "open"]),
        Key::new("search", "AES-256-SIV", &["s1"], &["seal", "open"]),
        Key::new("odd", "XAES-256-GCM", &["a b"], &["seal", "open"]),
    ];
    host.during(act)
}

fn settings(text: &str) -> Result<Settings, String> {
    let config = Config::parse(text.as_bytes()).unwrap();
    Settings::configure(&config).map_err(|error| error.to_string())
}

#[test]
fn says_what_is_left_out() {
    with_keys(|| {
        let made = settings(
            r#"{"key":"data","context":["subject","header:X-Tenant","text:a:b"],
                "request":{"encrypt":["$.a",{"path":"$.b","name":"b","key":"search","deterministic":true}]},
                "response":{"decrypt":["$.a"],"hold":0,"other":"refuse"}}"#,
        )
        .unwrap();
        let (request, response) = (made.request.unwrap(), made.response.unwrap());
        assert_eq!(
            made.context,
            [Source::Subject, Source::Header("x-tenant".into()), Source::Text("a:b".into())]
        );
        let field =
            |key: &str, name: &str| Field { encrypt: true, key: key.into(), name: name.into() };
        assert_eq!(request.fields, [field("data", "$['a']"), field("search", "b")]);
        assert_eq!(
            (request.hold, request.value_bytes, request.most()),
            (64 << 10, 64 << 10, 64 << 10)
        );
        assert!(!request.pass_other && !request.pass_unencrypted && !request.store);
        assert_eq!((response.hold, response.pass_other), (0, false));
        assert!(response.most() > (64 << 10) * 4 / 3);
    });
}

#[test]
fn refuses_what_cannot_be_meant() {
    let cases = [
        ("{}", "config: says neither request nor response: what is to be done?"),
        (
            r#"{"key":"data","request":{}}"#,
            "config.request: expected from one to 64 paths in encrypt and decrypt",
        ),
        (
            r#"{"key":"odd","request":{"encrypt":["$.a"]}}"#,
            "config.request.encrypt[0]: key odd has version a b: expected up to 64 letters, digits, '.', '_' or '-'",
        ),
        (
            r#"{"key":"data","request":{"encrypt":[{"path":"$.a","name":""}]}}"#,
            "config.request.encrypt[0]: has a name without letters",
        ),
        (
            r#"{"key":"data","context":["header:a b"],"request":{"encrypt":["$.a"]}}"#,
            "config.context[0]: expected the name of a header field behind header:",
        ),
        (
            r#"{"key":"data","request":{"encrypt":["$.a"],"store":true}}"#,
            "config.request.store: is not a known key",
        ),
        (
            r#"{"key":"data","response":{"decrypt":["$.a"],"unencrypted":"maybe"}}"#,
            "config.response.unencrypted: expected pass or refuse",
        ),
    ];
    with_keys(|| {
        for (text, want) in cases {
            assert_eq!(settings(text).err().as_deref(), Some(want), "{text}");
        }
    });
}

#[test]
fn what_was_encrypted_comes_back() {
    with_keys(|| {
        let made = settings(
            r#"{"key":"data","value_bytes":20,"request":{"encrypt":["$.a","$.b"]},"response":{"decrypt":["$.a","$.b"]}}"#,
        )
        .unwrap();
        let (request, response) = (made.request.unwrap(), made.response.unwrap());
        let (mut there, mut back) = (Work::new(&request, b"alice"), Work::new(&response, b"alice"));
        let long = format!("\"{}\"", "x".repeat(18));
        for value in ["null", "1.50", "\"\\u0061\"", "{\"a\" : []}", &long] {
            let (mut token, mut got) = (Vec::new(), b"<".to_vec());
            assert_eq!(there.change(0, value.as_bytes(), &mut token), Ok(true));
            assert!(token.starts_with(b"\"efc1:new:"), "{value}");
            assert_eq!(back.change(0, &token, &mut got), Ok(true));
            assert_eq!(got, format!("<{value}").as_bytes());
            assert_eq!(
                back.change(1, &token, &mut Vec::new()),
                Err(Refusal::Tampered),
                "another field"
            );
            let mut others = Work::new(&response, b"mallory");
            assert_eq!(
                others.change(0, &token, &mut Vec::new()),
                Err(Refusal::Tampered),
                "another client"
            );
        }
        assert_eq!((there.encrypted, back.decrypted), (5, 5));
        let longer = format!("\"{}\"", "x".repeat(19));
        assert_eq!(there.change(0, longer.as_bytes(), &mut Vec::new()), Err(Refusal::TooLarge));
        for (value, want) in [
            ("12", Refusal::NotEncrypted),
            ("\"efc2:new:AAAA\"", Refusal::NotEncrypted),
            ("\"efc1:new:\"", Refusal::Tampered),
            ("\"efc1:new:!\"", Refusal::Tampered),
            ("\"efc1:gone:AAAA\"", Refusal::UnknownKey),
        ] {
            assert_eq!(back.change(0, value.as_bytes(), &mut Vec::new()), Err(want), "{value}");
        }
    });
}

#[test]
fn what_somebody_else_sealed_has_to_be_one_value() {
    with_keys(|| {
        let made = settings(r#"{"key":"data","response":{"decrypt":["$.a"]}}"#).unwrap();
        let response = made.response.unwrap();
        let bound = crate::context::associated("$['a']", b"");
        for (plain, good) in [
            ("1", true),
            ("1 ", false),
            ("", false),
            ("1,2", false),
            ("\"a\":1", false),
            ("nul", false),
        ] {
            let sealed = ergo_sdk::crypto::seal("data", plain.as_bytes(), &bound).unwrap();
            let mut token = Vec::new();
            assert!(crate::token::write(&sealed, &mut token));
            let got = Work::new(&response, b"").change(0, &token, &mut Vec::new());
            assert_eq!(got, if good { Ok(true) } else { Err(Refusal::Tampered) }, "{plain}");
        }
    });
}
