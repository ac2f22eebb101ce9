//! Whole exchanges with the fake host, whose messages have the form of real ones.

use ergo_sdk::base64;
use ergo_sdk::json::Value;
use ergo_sdk::testing::{Host, Key, configure};
use ergo_sdk::{ConfigError, Flow, Policy};

use crate::Jwe;
use crate::message::Message;
use crate::refusal::Refusal;

fn host() -> Host {
    let mut host = Host::new("POST", "/").header("content-type", "application/json");
    let uses = ["wrap", "unwrap"];
    host.keys = vec![
        Key::new("kw", "A256KW", &["old", "new"], &uses),
        Key::new("ec", "ECDH-ES", &["one"], &uses),
        Key::new("direct", "A256GCM", &["one"], &uses),
        Key::new("mac", "HS256", &["one"], &["sign"]),
    ];
    host
}

fn configured(config: &str) -> Result<Jwe, ConfigError> {
    host().during(|| configure(config))
}

/// Runs the request phase with a body.
fn request(config: &str, content_type: &str, body: &[u8]) -> (Host, Flow) {
    let mut host = host();
    host.request_body = body.to_vec();
    host.fields[0][0].1 = content_type.into();
    let policy: Jwe = host.during(|| configure(config)).unwrap();
    let flow = host.request(&policy);
    (host, flow)
}

fn encrypted(config: &str, body: &[u8]) -> (String, Vec<u8>) {
    let (host, flow) = request(config, "application/json", body);
    assert_eq!(flow, Flow::Continue);
    assert_eq!(host.open_keys(), 0);
    (host.request_header("content-type").remove(0), host.request_body)
}

fn count(host: &Host, name: &str) -> i64 {
    host.metrics.iter().find(|metric| metric.name == name).map_or(-1, |metric| metric.value)
}

const DECRYPT: &str = r#"{"request": {"decrypt": {"keys": ["kw", "ec", "direct"]}}}"#;

fn encrypt(keys: &str, serialization: &str) -> String {
    format!(
        r#"{{"request": {{"encrypt": {{"keys": [{keys}], "serialization": "{serialization}"}}}}}}"#
    )
}

#[test]
fn what_is_encrypted_is_decrypted() {
    let cases = [
        (r#""kw""#, "compact"),
        (r#""ec""#, "compact"),
        (r#""direct""#, "compact"),
        (r#""kw""#, "json"),
        (r#""ec""#, "json"),
        (r#""kw", {"name": "kw", "kid": "again"}"#, "json"),
    ];
    for (keys, serialization) in cases {
        let (media, message) = encrypted(&encrypt(keys, serialization), br#"{"secret": 1}"#);
        assert_eq!(media == "application/jose+json", serialization == "json");
        let (host, flow) = request(DECRYPT, &media, &message);
        assert_eq!(flow, Flow::Continue, "{keys} {serialization}");
        assert_eq!(host.request_body, br#"{"secret": 1}"#);
        assert_eq!(host.request_header("content-type"), ["application/json"]);
        assert_eq!((count(&host, "decrypted"), host.open_keys()), (1, 0));
    }
}

#[test]
fn a_header_names_algorithm_key_and_type() {
    let (_, message) = encrypted(&encrypt(r#""kw""#, "compact"), b"text");
    let message = Message::parse(&message).unwrap();
    let header = &message.recipients[0];
    let text = |name| header.text(name).unwrap();
    assert_eq!(text("alg"), Some("A256KW"));
    assert_eq!(text("enc"), Some("A256GCM"));
    assert_eq!(text("kid"), Some("new"));
    assert_eq!(text("cty"), Some("application/json"));
}

/// A compact message of a header.
fn with_header(header: &str) -> String {
    [&base64::encode(header.as_bytes()), "ZW5jcnlwdGVk", "AAAAAAAAAAAAAAAA", "YQ", "YWFhYWFhYWFhYWFhYWFhYQ"]
        .join(".")
}

#[test]
fn what_is_refused() {
    let (_, sound) = encrypted(&encrypt(r#""kw""#, "compact"), b"text");
    let sound = String::from_utf8(sound).unwrap();
    let forged = with_header(r#"{"alg":"A256KW","enc":"A256GCM","kid":"old"}"#);
    let header = |more: &str| with_header(&format!(r#"{{"alg":"A256KW","enc":"A256GCM"{more}}}"#));
    let cases: [(String, Refusal); 26] = [
        (String::new(), Refusal::Malformed),
        ("text".into(), Refusal::Malformed),
        ("....".into(), Refusal::Malformed),
        ([&sound, ".YQ"].concat(), Refusal::Malformed),
        (sound.rsplit_once('.').unwrap().0.into(), Refusal::Malformed),
        (sound[..sound.len() - 2].into(), Refusal::Forged),
        (sound.replacen("dGV4dA", "dGV4dB", 1), Refusal::Malformed),
        (sound.replacen("dGV4dA", "dGV4dQ", 1), Refusal::Forged),
        (sound.replacen("dGV4dA", "", 1), Refusal::Forged),
        (forged.clone(), Refusal::Forged),
        (header(""), Refusal::Forged),
        (header(r#","kid":"gone""#), Refusal::Key),
        (header(r#","kid":"""#), Refusal::Key),
        (header(r#","kid":1"#), Refusal::Malformed),
        (header(r#","zip":"DEF""#), Refusal::Algorithm),
        (header(r#","crit":["exp"],"exp":1"#), Refusal::Algorithm),
        (header(r#","alg":"dir""#), Refusal::Malformed),
        (header(r#","cty":"a\nb""#), Refusal::Malformed),
        (with_header(r#"{"alg":"A256KW"}"#), Refusal::Malformed),
        (with_header(r#"{"enc":"A256GCM"}"#), Refusal::Malformed),
        (with_header(r#"{"alg":"A256KW","enc":"A192GCM"}"#), Refusal::Algorithm),
        (with_header(r#"{"alg":"RSA1_5","enc":"A256GCM"}"#), Refusal::Algorithm),
        (
            with_header(r#"{"alg":"PBES2-HS256+A128KW","enc":"A256GCM","p2c":2147483647,"p2s":"AA"}"#),
            Refusal::Algorithm,
        ),
        (with_header(r#"{"alg":"dir","enc":"A128GCM"}"#), Refusal::Key),
        (with_header("[]"), Refusal::Malformed),
        (["A".repeat(8193).as_str(), "", "", "", ""].join("."), Refusal::TooLarge),
    ];
    for (message, refusal) in cases {
        let (host, flow) = request(DECRYPT, "application/jose", message.as_bytes());
        assert_eq!(flow, Flow::Answer, "{message}");
        let counter = ["refused_", refusal.word()].concat();
        assert_eq!(count(&host, &counter), 1, "{message}: {:?}", host.log);
        assert_eq!(host.status, u32::from(refusal.status()));
        assert_eq!(host.response_body, b"the body cannot be processed\n");
        assert_eq!(host.open_keys(), 0);
    }
}

#[test]
fn json_is_read_strictly() {
    let recipient = r#""header":{"alg":"A256KW"},"encrypted_key":"ZW5jcnlwdGVk""#;
    let rest = r#""unprotected":{"enc":"A256GCM"},"iv":"AAAAAAAAAAAAAAAA","ciphertext":"YQ","tag":"YQ""#;
    let sound = format!("{{{recipient},{rest}}}");
    assert_eq!(Message::parse(sound.as_bytes()).unwrap().recipients.len(), 1);
    let general = format!(r#"{{"recipients":[{{{recipient}}},{{}}],"aad":"YWFk",{rest}}}"#);
    let message = Message::parse(general.as_bytes()).unwrap();
    assert_eq!((message.recipients.len(), &message.associated[..]), (2, &b".YWFk"[..]));
    let many = vec![format!("{{{recipient}}}"); 17].join(",");
    for other in [
        format!(r#"{{"recipients":[],{rest}}}"#),
        format!(r#"{{"recipients":[{many}],{rest}}}"#),
        format!(r#"{{"recipients":[1],{rest}}}"#),
        format!(r#"{{"recipients":[{{{recipient}}}],{recipient},{rest}}}"#),
        sound.replace(r#"{"enc""#, r#"{"alg":"A256KW","enc""#),
        sound.replace(r#"{"enc":"A256GCM"}"#, "1"),
        sound.replace(r#""tag":"YQ""#, r#""tag":1"#),
        sound.replace(r#""tag":"YQ""#, r#""tag":"YQ","tag":"YQ""#),
        sound.replace(r#""tag":"YQ""#, r#""tag":"YQ","aad":"=""#),
        [&sound, "x"].concat(),
    ] {
        assert_eq!(Message::parse(other.as_bytes()).err(), Some(Refusal::Malformed), "{other}");
    }
}

/// A stranger chooses neither how many keys are tried nor which reason is told.
#[test]
fn tries_are_bounded() {
    let recipient = r#"{"header":{"alg":"A256KW"},"encrypted_key":"ZW5jcnlwdGVk"}"#;
    let many = vec![recipient; 16].join(",");
    let message = format!(
        r#"{{"unprotected":{{"enc":"A256GCM"}},"recipients":[{many}],"iv":"AAAAAAAAAAAAAAAA","ciphertext":"YQ","tag":"YQ"}}"#
    );
    let (host, flow) = request(DECRYPT, "application/jose+json", message.as_bytes());
    assert_eq!((flow, count(&host, "refused_forged"), host.open_keys()), (Flow::Answer, 1, 0));
    assert_eq!(host.keys_made(), 8);
}

#[test]
fn plain_bodies_pass_only_if_they_may() {
    let (host, flow) = request(DECRYPT, "application/json", b"{}");
    assert_eq!((flow, host.status, count(&host, "refused_plain")), (Flow::Answer, 415, 1));
    assert_eq!(request(DECRYPT, "application/json", b"").1, Flow::Continue);
    let loose = r#"{"request": {"decrypt": {"keys": ["kw"], "required": false}}}"#;
    let (_, flow) = request(loose, "application/json", b"{}");
    assert_eq!(flow, Flow::Continue);
}

#[test]
fn responses_are_encrypted_and_say_nothing_of_what_they_were() {
    let policy = configured(r#"{"response": {"encrypt": {"keys": ["kw"]}}}"#).unwrap();
    let mut exchange = host().header("accept-encoding", "gzip").header("range", "bytes=0-1");
    exchange.during(|| configure::<Jwe>(r#"{"response": {"encrypt": {"keys": ["kw"]}}}"#)).unwrap();
    assert_eq!(exchange.request(&policy), Flow::Continue);
    assert_eq!(exchange.request_header("accept-encoding"), ["identity"]);
    assert!(exchange.request_header("range").is_empty());
    exchange.fields[1] = vec![("content-type".into(), b"text/plain".into()), ("etag".into(), b"1".into())];
    exchange.response_body = b"hush".into();
    exchange.response(&policy, 0);
    assert_eq!(exchange.response_header("content-type"), ["application/jose"]);
    assert!(exchange.response_header("etag").is_empty());
    assert_ne!(exchange.response_body, b"hush");
}

#[test]
fn a_response_that_cannot_be_processed_shows_nothing() {
    let config = r#"{"response": {"encrypt": {"keys": ["kw"]}}}"#;
    let mut exchange = host();
    let policy: Jwe = exchange.during(|| configure(config)).unwrap();
    exchange.fields[1] =
        vec![("content-encoding".into(), b"gzip".into()), ("x-secret".into(), b"hush".into())];
    exchange.response_body = b"hush".into();
    exchange.response(&policy, 0);
    assert_eq!((exchange.status, count(&exchange, "refused_coded")), (502, 1));
    assert!(exchange.response_header("x-secret").is_empty());
    assert!(exchange.response_body.ends_with(b"the response cannot be processed\n"));
}

#[test]
fn configurations_that_cannot_be() {
    for (config, says) in [
        (r#"{"request": {}}"#, "either decrypt or encrypt"),
        (r#"{"request": {"decrypt": {"keys": []}}}"#, "one to eight keys"),
        (r#"{"request": {"decrypt": {"keys": ["none"]}}}"#, "a name of the policy's keys"),
        (r#"{"request": {"decrypt": {"keys": ["mac"]}}}"#, "it is of HS256"),
        (r#"{"request": {"decrypt": {"keys": ["kw"], "enc": ["none"]}}}"#, "an algorithm for content"),
        (r#"{"request": {"encrypt": {"keys": ["kw", "kw"]}}}"#, "one key"),
        (
            r#"{"request": {"encrypt": {"keys": ["kw", "ec"], "serialization": "json"}}}"#,
            "no other key beside one of ECDH-ES",
        ),
        (r#"{"request": {"encrypt": {"keys": ["direct"], "enc": "A128GCM"}}}"#, "a key of A128GCM"),
        (r#"{"request": {"encrypt": {"keys": ["kw"], "serialization": "xml"}}}"#, "compact or json"),
        (r#"{"request": {"encrypt": {"keys": ["kw"], "encs": 1}}}"#, "encs"),
    ] {
        let error = configured(config).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains(says), "{config}: {error}");
    }
}

#[test]
fn a_key_may_have_a_name_of_its_own() {
    let named = r#"{"name": "kw", "kid": "bob@example.com"}"#;
    let (media, message) = encrypted(&encrypt(named, "compact"), b"text");
    let parsed = Message::parse(&message).unwrap();
    assert_eq!(parsed.recipients[0].get("kid"), Some(&Value::String("bob@example.com".into())));
    let config = format!(r#"{{"request": {{"decrypt": {{"keys": [{named}]}}}}}}"#);
    assert_eq!(request(&config, &media, &message).1, Flow::Continue);
    assert_eq!(request(DECRYPT, &media, &message).1, Flow::Answer);
}

#[test]
fn phases_that_are_not_asked_for_do_nothing() {
    let mut exchange = host();
    let policy: Jwe = exchange.during(|| Jwe::configure(&ergo_sdk::Config::parse(b"{}").unwrap())).unwrap();
    exchange.request_body = b"text".into();
    exchange.response_body = b"text".into();
    assert_eq!(exchange.request(&policy), Flow::Continue);
    exchange.response(&policy, 0);
    assert_eq!((exchange.request_body, exchange.response_body), (b"text".into(), b"text".into()));
}
