//! What is stored and stale is asked about (RFC 9111 section 4.3).

use super::{DATE, World};

#[test]
fn a_stale_response_is_validated() {
    let mut world = World::new(
        "{}",
        &[("cache-control", "max-age=10"), ("etag", "\"a\""), ("date", DATE), ("a", "1")],
    );
    world.get(&[]);
    world.now += 20;
    world.says(&[
        ("cache-control", "max-age=30"),
        ("etag", "\"a\""),
        ("date", "Sun, 06 Nov 1994 08:49:57 GMT"),
    ]);
    let second = world.get(&[("if-none-match", "\"b\""), ("if-modified-since", DATE)]);
    assert_eq!(second.host.request_header("if-none-match"), ["\"a\""]);
    assert!(second.host.request_header("if-modified-since").is_empty());
    assert_eq!(
        (second.host.status, second.body(), second.field("a")),
        (200, "0123456789", "1".into())
    );
    assert_eq!((second.number(), second.field("cache-control")), ("2".into(), "max-age=30".into()));
    assert_eq!(second.field("cache-status"), "ergo; fwd=stale; fwd-status=304; ttl=30; stored");
    world.now += 20;
    let third = world.get(&[]);
    assert_eq!((third.forwarded, third.field("age")), (false, "20".into()));
}

#[test]
fn the_clients_condition_is_answered_from_what_was_validated() {
    let mut world = World::new("{}", &[("cache-control", "max-age=10"), ("etag", "\"a\"")]);
    world.get(&[]);
    world.now += 20;
    let second = world.get(&[("if-none-match", "\"a\"")]);
    assert_eq!((second.forwarded, second.host.status, second.body()), (true, 304, ""));
    world.now += 20;
    let third = world.get(&[("range", "bytes=2-3")]);
    assert_eq!((third.forwarded, third.host.status, third.body()), (true, 206, "23"));
}

/// RFC 9111 section 4.3.4: a strong validator says which response is meant.
#[test]
fn a_304_with_another_tag_changes_no_field() {
    let mut world =
        World::new("{}", &[("cache-control", "max-age=10"), ("etag", "\"a\""), ("a", "1")]);
    world.get(&[]);
    world.now += 20;
    world.status = 304;
    world.says(&[("cache-control", "max-age=90"), ("etag", "\"b\""), ("a", "2"), ("b", "3")]);
    for _ in 0..2 {
        let got = world.get(&[]);
        assert_eq!((got.host.status, got.body(), got.number()), (200, "0123456789", "1".into()));
        assert_eq!(
            (got.field("etag"), got.field("a"), got.field("b")),
            ("\"a\"".into(), "1".into(), String::new())
        );
        assert_eq!(got.field("age"), "0");
    }
    assert_eq!(world.count, 2); // young again: the second was not asked for
    world.now += 10;
    assert!(world.get(&[]).forwarded);
}

#[test]
fn a_304_that_forbids_storing_ends_what_was_stored() {
    let mut world = World::new("{}", &[("cache-control", "max-age=10"), ("etag", "\"a\"")]);
    world.get(&[]);
    world.now += 20;
    world.says(&[("cache-control", "no-store"), ("etag", "\"a\"")]);
    assert_eq!(world.get(&[]).host.status, 200);
    assert!(world.store.stored.is_empty());
}

#[test]
fn a_304_to_the_clients_own_condition_passes() {
    let mut world = World::new("{}", &[("cache-control", "max-age=10"), ("last-modified", DATE)]);
    world.get(&[]);
    world.now += 20;
    world.says(&[("etag", "\"b\"")]);
    let second = world.get(&[("if-none-match", "\"b\"")]);
    assert_eq!(
        (second.host.status, second.field("cache-status").as_str()),
        (304, "ergo; fwd=stale; detail=status")
    );
    assert_eq!(world.store.stored[0].fields.len(), 4);
}

#[test]
fn conditions_and_ranges_are_answered_here() {
    let etag = ("etag", "\"a\"");
    let mut world =
        World::new("{}", &[("cache-control", "max-age=60"), etag, ("content-type", "text/plain")]);
    world.get(&[]);
    let cases: [(&[(&str, &str)], u32, &str, &str); 7] = [
        (&[("if-none-match", "W/\"a\"")], 304, "", ""),
        (&[("if-none-match", "\"b\"")], 200, "0123456789", ""),
        (&[("range", "bytes=0-1")], 206, "01", "bytes 0-1/10"),
        (&[("range", "bytes=-3")], 206, "789", "bytes 7-9/10"),
        (&[("range", "bytes=10-")], 416, "", "bytes */10"),
        (&[("range", "bytes=0-1,3-4")], 200, "0123456789", ""),
        (&[("range", "bytes=0-1"), ("if-range", "\"b\"")], 200, "0123456789", ""),
    ];
    for (fields, status, body, range) in cases {
        let got = world.get(fields);
        let seen = (got.forwarded, got.host.status, got.body(), got.field("content-range"));
        assert_eq!(seen, (false, status, body, range.into()), "{fields:?}");
        assert_eq!(got.field("content-type").is_empty(), status == 304, "{fields:?}");
        assert_eq!(got.field("etag"), "\"a\"", "{fields:?}");
    }
}
