use ergo_sdk::http::Answered;
use ergo_sdk::testing::Host;

use super::{jwks, token};
use crate::keys::KeySet;
use crate::remote::Remote;
use crate::token::Token;

/// Has a key of that name.
fn named(id: &str) -> impl Fn(&KeySet) -> bool {
    let text = token(&format!(r#"{{"alg":"ES256","kid":"{id}"}}"#), "{}", &[7; 64]);
    move |set| set.has(&Token::parse(text.as_bytes()).unwrap())
}

fn answer(status: u32, body: &str) -> Answered {
    Answered { status, body: body.into(), ..Answered::default() }
}

const URL: &str = "https://idp.example/jwks";

/// Fresh for 100 s, usable for 1000 s more, fetched every 10 s at most.
fn remote() -> Remote {
    Remote::new(URL.into(), 100_000, 1_000_000, 10_000)
}

#[test]
fn sets_are_fetched_once_and_shared() {
    let (one, other) = (remote(), remote());
    let mut host = Host::new("GET", "/");
    host.answers = vec![answer(200, &jwks("a"))];
    host.during(|| {
        let has = |remote: &Remote, now: u64| {
            remote.keys(now, named("a")).is_some_and(|(set, _)| named("a")(&set))
        };
        assert!(has(&one, 1_000_000));
        assert!(has(&one, 1_099_999));
        assert_eq!(one.generation(1_099_999), Some(1));
        assert_eq!(other.generation(1_000_000), None);
        assert!(has(&other, 1_000_001), "the other instance takes it over");
        assert_eq!(one.generation(1_100_000), None, "no longer fresh");
    });
    assert_eq!(host.calls.len(), 1);
}

#[test]
fn unknown_keys_do_not_drive_fetches() {
    let remote = remote();
    let mut host = Host::new("GET", "/");
    host.answers = vec![answer(200, &jwks("a")), answer(200, &jwks("b"))];
    host.during(|| {
        for millisecond in 0..9_999 {
            let (set, generation) = remote.keys(1_000_000 + millisecond, named("b")).unwrap();
            assert!(!named("b")(&set));
            assert_eq!(generation, 1);
        }
    });
    assert_eq!(host.calls.len(), 1);
    host.during(|| {
        let (set, generation) = remote.keys(1_010_000, named("b")).unwrap();
        assert!(named("b")(&set) && !named("a")(&set));
        assert_eq!(generation, 2);
    });
    assert_eq!(host.calls.len(), 2);
}

#[test]
fn a_server_that_is_down_is_left_alone_and_old_keys_serve() {
    let remote = remote();
    let mut host = Host::new("GET", "/");
    host.answers = vec![
        answer(200, &jwks("a")),
        answer(500, ""),
        answer(200, "no set"),
        answer(302, &jwks("b")),
    ];
    let calls = |host: &Host| host.calls.len();
    let ask = |host: &mut Host, now: u64| host.during(|| remote.keys(now, named("a")).is_some());
    assert!(ask(&mut host, 1_000_000));
    assert!(ask(&mut host, 1_100_000));
    assert_eq!(calls(&host), 2);
    for (now, want) in [
        (1_109_999, 2),
        (1_110_000, 3),
        (1_129_999, 3),
        (1_130_000, 4),
        (1_169_999, 4),
        (1_170_000, 5),
    ] {
        assert!(ask(&mut host, now), "{now}");
        assert_eq!(calls(&host), want, "{now}");
    }
    assert!(ask(&mut host, 2_099_999));
    assert!(!ask(&mut host, 2_100_000), "too old");
    assert_eq!(host.log.len(), calls(&host) - 1);
}

#[test]
fn without_a_store_each_instance_is_for_itself() {
    let (one, other) = (remote(), remote());
    let mut host = Host::new("GET", "/");
    host.kv_down = true;
    host.answers = vec![answer(200, &jwks("a")), answer(200, &jwks("a"))];
    host.during(|| {
        assert!(one.keys(1_000_000, named("a")).is_some());
        assert!(one.keys(1_000_000, named("b")).is_some());
        assert!(other.keys(1_000_000, named("a")).is_some());
    });
    assert_eq!(host.calls.len(), 2);
}

#[test]
fn nothing_is_known_at_first_and_failures_wait() {
    let (one, other) = (remote(), remote());
    let mut host = Host::new("GET", "/");
    host.during(|| {
        assert!(one.keys(1_000_000, named("a")).is_none());
        assert!(other.keys(1_000_001, named("a")).is_none());
        assert!(one.keys(1_009_999, named("a")).is_none());
    });
    assert_eq!(host.calls.len(), 1);
}
