//! What is purged, and by whom.

use ergo_sdk::testing::Host;

use super::World;

#[test]
fn purges() {
    let config = r#"{"purge":{"method":"PURGE","path":"/.purge","networks":["192.0.2.1"]}}"#;
    let mut world = World::new(config, &[("cache-control", "max-age=60"), ("cache-tag", "x, y")]);
    let cases = [
        (Host::new("PURGE", "/a"), r#"{"purged":1}"#),
        (Host::new("PURGE", "/b"), r#"{"purged":0}"#),
        (Host::new("POST", "/.purge?url=/a"), r#"{"purged":1}"#),
        (Host::new("POST", "/.purge?url=/"), r#"{"purged":0}"#),
        (Host::new("POST", "/.purge?prefix=/"), r#"{"purged":1}"#),
        (Host::new("POST", "/.purge?tag=y"), r#"{"purged":1}"#),
        (Host::new("POST", "/.purge?tag=z"), r#"{"purged":0}"#),
    ];
    for (host, want) in cases {
        assert!(world.get(&[]).field("cache-tag").is_empty());
        let line = String::from_utf8(host.target.clone()).unwrap();
        let purged = world.send(host, &[]);
        assert_eq!((purged.host.status, purged.body().trim_end()), (200, want), "{line}");
        assert_eq!(world.store.stored.is_empty(), want.contains('1'), "{line}");
    }
    let mut stranger = Host::new("PURGE", "/a");
    stranger.source = "203.0.113.1:1".into();
    assert_eq!(world.send(stranger, &[]).host.status, 403);
    assert_eq!(world.send(Host::new("POST", "/.purge"), &[]).host.status, 400);
}

#[test]
fn a_soft_purge_has_it_validated() {
    let config = r#"{"purge":{"method":"PURGE","networks":["192.0.2.1"]}}"#;
    let mut world = World::new(config, &[("cache-control", "max-age=60"), ("etag", "\"a\"")]);
    world.get(&[]);
    world.send(Host::new("PURGE", "/a"), &[("purge-mode", "soft")]);
    let got = world.get(&[]);
    assert_eq!(got.field("cache-status"), "ergo; fwd=stale; fwd-status=304; ttl=60; stored");
    assert!(!world.get(&[]).forwarded);
}

#[test]
fn purging_is_closed_unless_told() {
    let mut world = World::new("{}", &[("cache-control", "max-age=60")]);
    world.get(&[]);
    assert!(world.send(Host::new("PURGE", "/a"), &[("authorization", "Bearer ")]).forwarded);
}

#[test]
fn that_other_hosts_do_not_know_of_a_purge_is_said() {
    let mut world = World::new(
        r#"{"purge":{"method":"PURGE","networks":["192.0.2.1"]}}"#,
        &[("cache-control", "max-age=60")],
    );
    world.get(&[]);
    world.store.untold = true;
    let got = world.send(Host::new("PURGE", "/a"), &[]);
    assert_eq!((got.forwarded, got.host.status), (false, 503));
    assert!(got.body().starts_with("purged here; other hosts"), "{}", got.body());
    assert!(world.store.stored.is_empty());
}
