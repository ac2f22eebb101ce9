//! Parts of representations, stored and combined.

use super::{DATE, World};

/// A cache before an origin with ten bytes, which says which of them it sends.
fn world() -> World {
    World::new("{}", &[])
}

impl World {
    /// The origin sends a part next.
    fn sends(&mut self, range: &str, body: &'static str, etag: &str) {
        self.status = 206;
        self.body = body;
        self.says(&[("cache-control", "max-age=60"), ("content-range", range), ("etag", etag)]);
    }

    /// Asks for a range: whether it was forwarded, the status, Content-Range and the body.
    fn range(&mut self, range: &str) -> (bool, u32, String, String) {
        let got = self.get(&[("range", range)]);
        (got.forwarded, got.host.status, got.field("content-range"), got.body().to_owned())
    }
}

fn served(range: &str, body: &str) -> (bool, u32, String, String) {
    (false, 206, format!("bytes {range}/10"), body.to_owned())
}

#[test]
fn a_part_answers_ranges_within_it() {
    let mut world = world();
    world.sends("bytes 4-9/10", "456789", "\"a\"");
    let first = world.get(&[("range", "bytes=4-")]);
    assert_eq!(first.field("cache-status"), "ergo; fwd=uri-miss; ttl=60; stored");
    assert_eq!(first.field("content-range"), "bytes 4-9/10");
    assert_eq!(world.range("bytes=4-9"), served("4-9", "456789"));
    assert_eq!(world.range("bytes=6-8"), served("6-8", "678"));
    assert_eq!(world.range("bytes=6-"), served("6-9", "6789"));
    assert_eq!(world.range("bytes=-1"), served("9-9", "9"));
    assert_eq!(world.range("bytes=-6"), served("4-9", "456789"));
    assert_eq!(world.range("bytes=10-"), (false, 416, "bytes */10".into(), String::new()));
    let got = world.get(&[("range", "bytes=4-5"), ("if-none-match", "\"a\"")]);
    assert_eq!((got.forwarded, got.host.status), (false, 304));
    let got = world.get(&[("range", "bytes=4-5"), ("if-range", "\"a\"")]);
    assert_eq!(
        (got.forwarded, got.body(), got.field("cache-status").as_str()),
        (false, "45", "ergo; hit; ttl=60")
    );
}

#[test]
fn what_a_part_lacks_is_asked_for() {
    let mut world = world();
    world.sends("bytes 4-9/10", "456789", "\"a\"");
    world.range("bytes=4-");
    for fields in [
        &[("range", "bytes=3-5")][..],
        &[("range", "bytes=-7")],
        &[],
        &[("range", "bytes=4-5"), ("if-range", "\"b\"")],
    ] {
        let got = world.get(fields);
        assert!(got.forwarded, "{fields:?}");
        assert!(got.field("cache-status").starts_with("ergo; fwd=partial"), "{fields:?}");
        assert!(got.host.request_header("if-none-match").is_empty(), "{fields:?}");
        let range = fields.iter().find(|(name, _)| *name == "range").map(|(_, value)| *value);
        assert_eq!(got.host.request_header("range").first().map(String::as_str), range);
    }
    let only = world.get(&[("cache-control", "only-if-cached")]);
    assert_eq!((only.forwarded, only.host.status), (false, 504));
}

#[test]
fn parts_with_one_strong_tag_are_combined() {
    let mut world = world();
    world.sends("bytes 0-4/10", "01234", "\"a\"");
    world.range("bytes=0-4");
    world.sends("bytes 6-9/10", "6789", "\"a\"");
    world.range("bytes=6-");
    assert!(world.range("bytes=3-7").0);
    world.sends("bytes 4-6/10", "456", "\"a\"");
    world.range("bytes=4-6");
    assert_eq!(world.range("bytes=3-7"), served("3-7", "34567"));
    let whole = world.get(&[]);
    assert_eq!((whole.forwarded, whole.host.status, whole.body()), (false, 200, "0123456789"));
    assert!(whole.field("content-range").is_empty());
    assert_eq!(whole.number(), "4"); // the newest part's fields
}

#[test]
fn parts_of_other_representations_are_not_combined() {
    for (range, etag) in [("bytes 5-9/10", "\"b\""), ("bytes 5-10/11", "\"a\"")] {
        let mut world = world();
        world.sends("bytes 0-4/10", "01234", "\"a\"");
        world.range("bytes=0-4");
        let body = if etag == "\"b\"" { "56789" } else { "56789a" };
        world.sends(range, body, etag);
        assert!(world.range("bytes=5-").0);
        assert!(world.get(&[]).forwarded, "{range} {etag}");
        assert!(world.range("bytes=0-4").0, "the newest says what there is: {range} {etag}");
    }
}

#[test]
fn parts_of_other_variants_are_not_combined() {
    let mut world = world();
    for (language, range, body) in
        [("en", "bytes 0-4/10", "01234"), ("de", "bytes 5-9/10", "56789")]
    {
        world.sends(range, body, "\"a\"");
        world.fields.push(("vary", "accept-language".into()));
        world.get(&[("range", "bytes=0-4"), ("accept-language", language)]);
    }
    let got = world.get(&[("range", "bytes=0-4"), ("accept-language", "en")]);
    assert_eq!((got.forwarded, got.body()), (false, "01234"));
    assert!(world.get(&[("accept-language", "en")]).forwarded);
}

#[test]
fn a_part_that_is_the_whole_is_a_200() {
    let mut world = world();
    world.sends("bytes 0-9/10", "0123456789", "\"a\"");
    world.range("bytes=0-");
    let got = world.get(&[]);
    assert_eq!((got.forwarded, got.host.status, got.body()), (false, 200, "0123456789"));
    assert!(got.field("content-range").is_empty());
    assert_eq!(world.range("bytes=1-2"), served("1-2", "12"));
}

#[test]
fn parts_that_nobody_may_store() {
    let cases: [(&[(&'static str, &str)], &str); 5] = [
        (&[("content-range", "bytes 4-9/10")], "01234"),
        (&[("content-range", "bytes 0-4/10"), ("content-length", "6")], "01234"),
        (&[("content-range", "bytes 0-4/*")], "01234"),
        (&[("content-range", "bytes 0-4/10"), ("cache-control", "no-store")], "01234"),
        (&[("content-type", "multipart/byteranges; boundary=x")], "01234"),
    ];
    for (fields, body) in cases {
        let mut world = world();
        world.sends("", body.to_owned().leak(), "\"a\"");
        world.says(fields);
        world.fields.extend([("etag", "\"a\"".into()), ("cache-control", "max-age=60".into())]);
        world.get(&[("range", "bytes=0-4")]);
        assert!(world.range("bytes=0-4").0, "{fields:?}");
    }
    let mut world = world();
    world.sends("bytes 0-4/10", "01234", "W/\"a\"");
    world.range("bytes=0-4");
    assert!(world.store.stored.is_empty());
    world.sends("bytes 0-4/10", "01234", "\"a\"");
    world.get(&[]); // who has not asked for a part gets none
    assert!(world.store.stored.is_empty());
}

#[test]
fn a_stale_part_is_validated() {
    let mut world = world();
    world.sends("bytes 0-4/10", "01234", "\"a\"");
    world.range("bytes=0-4");
    world.now += 90;
    let got = world.get(&[("range", "bytes=1-2")]);
    assert_eq!(got.host.request_header("if-none-match"), ["\"a\""]);
    assert_eq!((got.forwarded, got.host.status, got.body()), (true, 206, "12"));
    assert_eq!(got.field("cache-status"), "ergo; fwd=stale; fwd-status=304; ttl=60; stored");
    assert_eq!(world.range("bytes=1-2"), served("1-2", "12"));
    world.now += 90;
    world.sends("bytes 0-4/10", "abcde", "\"b\"");
    assert_eq!(world.range("bytes=0-4").3, "abcde");
    assert_eq!(world.range("bytes=1-2"), served("1-2", "bc"));
}

#[test]
fn as_many_parts_are_stored() {
    let mut world = World::new("{}", &[]);
    for first in 0..20 {
        world.sends(&format!("bytes {first}-{first}/100"), "x", "\"a\"");
        world.range(&format!("bytes={first}-{first}"));
    }
    assert_eq!(world.store.stored.len(), crate::part::MAX_PARTS);
    world.status = 200;
    world.says(&[("cache-control", "max-age=60"), ("date", DATE)]);
    world.get(&[]);
    assert!(!world.get(&[]).forwarded);
}

/// Whatever parts there are, of whatever they lack one is fetched, and all get the bytes they ask for.
#[test]
fn the_bytes_are_those_that_were_asked_for() {
    const WHOLE: &str = "0123456789abcdefghijklmnopqrstuvwxyz";
    let numbers: Vec<u8> = (0..WHOLE.len() as u8).collect();
    let mut served = 0;
    crate::random::bytes(&numbers, 200, |numbers| {
        let mut world = world();
        for pair in numbers.chunks_exact(2) {
            let (first, last) = (pair[0].min(pair[1]), pair[0].max(pair[1]));
            let want = &WHOLE[usize::from(first)..=usize::from(last)];
            let range = format!("{first}-{last}");
            world.sends(&format!("bytes {range}/{}", WHOLE.len()), want, "\"a\"");
            let (forwarded, status, has, body) = world.range(&format!("bytes={range}"));
            assert_eq!((status, body.as_str()), (206, want), "{range} of {numbers:?}");
            assert_eq!(has, format!("bytes {range}/{}", WHOLE.len()));
            served += u32::from(!forwarded);
        }
    });
    assert!(served > 1000, "only {served} were served from parts");
}
