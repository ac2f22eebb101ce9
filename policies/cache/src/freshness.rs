//! How long a response is fresh, how old it is, and so what it may be used for (RFC 9111 section 4.2).

use crate::date;
use crate::directives::{MAX_SECONDS, RequestDirectives, ResponseDirectives, Scope, seconds};
use crate::meta::Meta;

/// What a response says about time.
#[derive(Clone, Copy, Debug)]
pub struct Timing<'a> {
    pub status: u16,
    pub directives: &'a ResponseDirectives,
    /// The directives are those of a targeted field: Expires does not count then.
    pub targeted: bool,
    /// `None` if there is no Expires; one that says several things is invalid.
    pub expires: Option<&'a [u8]>,
    /// `None` if there is none that can be read.
    pub date: Option<i64>,
    pub last_modified: &'a [u8],
}

/// What the operator lets be fresh of which the origin says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Defaults {
    /// The longest that a heuristic may give; 0 for no heuristic.
    pub heuristic_max: u32,
    /// By status.
    pub ttl: Vec<(u16, u32)>,
}

/// How long a response is fresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// The origin said so.
    Explicit(u32),
    /// The operator said so, for this status.
    Configured(u32),
    /// A tenth of the time since it was modified.
    Heuristic(u32),
    Unknown,
}

impl Lifetime {
    pub fn seconds(self) -> u32 {
        match self {
            Lifetime::Explicit(seconds)
            | Lifetime::Configured(seconds)
            | Lifetime::Heuristic(seconds) => seconds,
            Lifetime::Unknown => 0,
        }
    }
}

/// Statuses that may be fresh although nobody said so (RFC 9110 section 15.1), but for 206.
pub const HEURISTIC: [u16; 12] = [200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 421, 501];

/// Computes the freshness lifetime as a shared cache does (RFC 9111 section 4.2.1).
pub fn lifetime(timing: &Timing, defaults: &Defaults, now: i64) -> Lifetime {
    let said = timing.directives;
    if let Some(seconds) = said.s_maxage.or_stale().or(said.max_age.or_stale()) {
        return Lifetime::Explicit(seconds);
    }
    let date = timing.date.unwrap_or(now);
    if let Some(expires) = timing.expires.filter(|_| !timing.targeted) {
        let left = date::parse(expires, now).map_or(0, |at| at - date);
        return Lifetime::Explicit(left.clamp(0, i64::from(MAX_SECONDS)) as u32);
    }
    if let Some(&(_, seconds)) = defaults.ttl.iter().find(|(status, _)| *status == timing.status) {
        return Lifetime::Configured(seconds);
    }
    if !said.public && !HEURISTIC.contains(&timing.status) {
        return Lifetime::Unknown;
    }
    match date::parse(timing.last_modified, now) {
        Some(modified) if modified < date && defaults.heuristic_max > 0 => {
            let tenth = ((date - modified) / 10).min(i64::from(defaults.heuristic_max));
            Lifetime::Heuristic(tenth as u32)
        }
        _ => Lifetime::Unknown,
    }
}

/// How old a response is when it arrives (RFC 9111 section 4.2.3): `delay` is what the request took.
pub fn initial_age<'a>(
    age: impl Iterator<Item = &'a [u8]>,
    date: Option<i64>,
    delay: u32,
    now: i64,
) -> u32 {
    let apparent = date.map_or(0, |date| (now - date).clamp(0, i64::from(MAX_SECONDS)) as u32);
    let stated = stated_age(age).unwrap_or(MAX_SECONDS);
    apparent.max(stated.saturating_add(delay)).min(MAX_SECONDS)
}

/// Reads Age. Of a list that one sender wrote the first member counts (RFC 9111 section 5.1); several
/// lines, also when somebody has joined them with comma and space, are two opinions. Those, and what
/// is no number, make the response too old to be fresh.
fn stated_age<'a>(mut lines: impl Iterator<Item = &'a [u8]>) -> Option<u32> {
    let Some(line) = lines.next() else { return Some(0) };
    if lines.next().is_some() || !line.iter().all(|byte| byte.is_ascii_digit() || *byte == b',') {
        return None;
    }
    seconds(line.split(|&byte| byte == b',').next()?)
}

/// What a stored response may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usable {
    Fresh,
    /// Stale, but the client said that it takes it.
    Stale,
    /// Stale, and to be had while it is renewed (RFC 5861).
    WhileRevalidated,
    /// Once the origin has said that it is still good.
    Validated,
}

/// Decides about a stored response; `purged` says that somebody purged it softly.
pub fn usable(meta: &Meta, purged: bool, asked: &RequestDirectives, now: i64) -> Usable {
    let age = meta.age(now);
    if meta.no_cache || asked.no_cache || asked.max_age.is_some_and(|max| age > max) {
        return Usable::Validated;
    }
    let left = i64::from(meta.lifetime) - i64::from(age);
    if left > 0 && !purged && left >= i64::from(asked.min_fresh.unwrap_or(0)) {
        return Usable::Fresh;
    }
    if meta.forbids_stale || asked.min_fresh.is_some() {
        return Usable::Validated;
    }
    let stale = -left;
    if !purged && asked.max_stale.is_some_and(|max| stale <= i64::from(max)) {
        return Usable::Stale;
    }
    match meta.while_revalidate {
        Some(window) if stale <= i64::from(window) => Usable::WhileRevalidated,
        _ => Usable::Validated,
    }
}

/// Whether a stored response may stand in for an error (RFC 5861 section 4, RFC 9111 section 4.2.4).
/// `limit` is how stale it may be where nobody said anything.
pub fn usable_on_error(meta: &Meta, asked: &RequestDirectives, limit: u32, now: i64) -> bool {
    if meta.no_cache || meta.forbids_stale || asked.no_cache {
        return false;
    }
    let stale = i64::from(meta.age(now)) - i64::from(meta.lifetime);
    let allowed = asked.stale_if_error.or(meta.if_error).unwrap_or(limit);
    stale <= i64::from(allowed)
}

/// Whether the whole response has to be validated before each use.
pub fn always_validated(directives: &ResponseDirectives) -> bool {
    directives.no_cache == Scope::Whole
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 784_111_777;
    const DATE: &[u8] = b"Sun, 06 Nov 1994 08:49:37 GMT";
    const LATER: &[u8] = b"Sun, 06 Nov 1994 08:50:37 GMT";
    const EARLIER: &[u8] = b"Sun, 06 Nov 1994 08:39:37 GMT";

    /// A response with these directives, changed further.
    fn of(line: &str, change: impl Fn(&mut Timing<'static>)) -> Lifetime {
        with(line, &Defaults { heuristic_max: 3600, ttl: vec![(503, 7)] }, change)
    }

    fn with(line: &str, defaults: &Defaults, change: impl Fn(&mut Timing<'static>)) -> Lifetime {
        let directives =
            Box::leak(Box::new(ResponseDirectives::parse([line.as_bytes()].into_iter())));
        let mut timing = Timing {
            status: 200,
            directives,
            targeted: false,
            expires: None,
            date: Some(NOW),
            last_modified: b"",
        };
        change(&mut timing);
        lifetime(&timing, defaults, NOW)
    }

    #[test]
    fn what_says_more_wins() {
        let all = |timing: &mut Timing| {
            timing.expires = Some(LATER);
            timing.last_modified = EARLIER;
        };
        assert_eq!(of("s-maxage=1, max-age=2", all), Lifetime::Explicit(1));
        assert_eq!(of("max-age=2", all), Lifetime::Explicit(2));
        assert_eq!(of("max-age=0", all), Lifetime::Explicit(0));
        assert_eq!(of("max-age=x", all), Lifetime::Explicit(0));
        assert_eq!(of("", all), Lifetime::Explicit(60));
        assert_eq!(of("", |timing| timing.last_modified = EARLIER), Lifetime::Heuristic(60));
        let targeted = |timing: &mut Timing| {
            all(timing);
            timing.targeted = true;
        };
        assert_eq!(of("", targeted), Lifetime::Heuristic(60));
    }

    #[test]
    fn expires_is_relative_to_date() {
        let expires = |expires: &'static [u8], date| {
            of("", |timing| {
                timing.expires = Some(expires);
                timing.date = date;
            })
        };
        assert_eq!(expires(DATE, Some(NOW)), Lifetime::Explicit(0));
        assert_eq!(expires(EARLIER, Some(NOW)), Lifetime::Explicit(0));
        assert_eq!(expires(b"0", Some(NOW)), Lifetime::Explicit(0));
        assert_eq!(expires(b"", Some(NOW)), Lifetime::Explicit(0));
        assert_eq!(expires(LATER, Some(NOW - 60)), Lifetime::Explicit(120));
        assert_eq!(expires(LATER, None), Lifetime::Explicit(60));
    }

    #[test]
    fn heuristics_only_where_they_are_allowed() {
        let modified = |status, last_modified: &'static [u8]| {
            move |timing: &mut Timing<'static>| {
                timing.status = status;
                timing.last_modified = last_modified;
            }
        };
        assert_eq!(of("", modified(404, EARLIER)), Lifetime::Heuristic(60));
        assert_eq!(of("", modified(403, EARLIER)), Lifetime::Unknown);
        assert_eq!(of("public", modified(599, EARLIER)), Lifetime::Heuristic(60));
        assert_eq!(of("", modified(503, EARLIER)), Lifetime::Configured(7));
        assert_eq!(of("max-age=1", modified(503, EARLIER)), Lifetime::Explicit(1));
        assert_eq!(of("", modified(200, LATER)), Lifetime::Unknown);
        assert_eq!(
            of("", modified(200, b"Thu, 01 Jan 1970 00:00:00 GMT")),
            Lifetime::Heuristic(3600)
        );
        assert_eq!(with("", &Defaults::default(), modified(200, EARLIER)), Lifetime::Unknown);
    }

    #[test]
    fn age_in_every_spelling() {
        let cases: [(&[&str], Option<u32>); 14] = [
            (&[], Some(0)),
            (&["7"], Some(7)),
            (&["007"], Some(7)),
            (&["99999999999"], Some(MAX_SECONDS)),
            (&["0,7200"], Some(0)),
            (&["7200,0"], Some(7200)),
            (&["0, 0"], None),
            (&["0", "0"], None),
            (&["abc"], None),
            (&["-1"], None),
            (&["1.0"], None),
            (&["1;a=b"], None),
            (&[""], None),
            (&[",1"], None),
        ];
        for (lines, want) in cases {
            assert_eq!(stated_age(lines.iter().map(|line| line.as_bytes())), want, "{lines:?}");
        }
    }

    #[test]
    fn the_greater_age_counts() {
        let age =
            |line: &str, date, delay| initial_age([line.as_bytes()].into_iter(), date, delay, NOW);
        assert_eq!(age("5", Some(NOW), 2), 7);
        assert_eq!(age("5", Some(NOW - 60), 2), 60);
        assert_eq!(age("5", Some(NOW + 60), 2), 7);
        assert_eq!(age("5", None, 0), 5);
        assert_eq!(age("x", None, 9), MAX_SECONDS);
    }

    fn stored(lifetime: u32) -> Meta {
        Meta { received: NOW, lifetime, ..Meta::default() }
    }

    fn asked(line: &str) -> RequestDirectives {
        RequestDirectives::parse([line.as_bytes()].into_iter())
    }

    #[test]
    fn what_requests_ask_of_freshness() {
        let cases = [
            ("", 5, Usable::Fresh),
            ("", 9, Usable::Fresh),
            ("", 10, Usable::Validated),
            ("no-cache", 0, Usable::Validated),
            ("max-age=0", 0, Usable::Fresh),
            ("max-age=0", 1, Usable::Validated),
            ("max-age=5", 5, Usable::Fresh),
            ("min-fresh=5", 5, Usable::Fresh),
            ("min-fresh=5", 6, Usable::Validated),
            ("max-stale=5", 15, Usable::Stale),
            ("max-stale=5", 16, Usable::Validated),
            ("max-stale", 1000, Usable::Stale),
            ("max-stale=5, min-fresh=1", 15, Usable::Validated),
            ("max-stale=5, max-age=12", 15, Usable::Validated),
        ];
        for (line, age, want) in cases {
            assert_eq!(
                usable(&stored(10), false, &asked(line), NOW + age),
                want,
                "{line} at {age}"
            );
        }
    }

    #[test]
    fn what_responses_say_goes_before() {
        let at = |meta: &Meta, line: &str, age| usable(meta, false, &asked(line), NOW + age);
        let strict = Meta { forbids_stale: true, while_revalidate: Some(100), ..stored(10) };
        assert_eq!(at(&strict, "max-stale", 11), Usable::Validated);
        assert_eq!(at(&strict, "", 5), Usable::Fresh);
        assert_eq!(at(&Meta { no_cache: true, ..stored(10) }, "max-stale", 0), Usable::Validated);
        let window = Meta { while_revalidate: Some(5), ..stored(10) };
        assert_eq!(at(&window, "", 15), Usable::WhileRevalidated);
        assert_eq!(at(&window, "", 16), Usable::Validated);
        assert_eq!(at(&window, "min-fresh=1", 12), Usable::Validated);
    }

    #[test]
    fn what_was_purged_softly_is_stale() {
        let soft = |meta: &Meta, line: &str| usable(meta, true, &asked(line), NOW + 1);
        assert_eq!(soft(&stored(10), ""), Usable::Validated);
        assert_eq!(soft(&stored(10), "max-stale"), Usable::Validated);
        assert_eq!(
            soft(&Meta { while_revalidate: Some(5), ..stored(10) }, ""),
            Usable::WhileRevalidated
        );
    }

    #[test]
    fn errors_are_bridged_only_where_allowed() {
        let ok = |meta: Meta, line: &str, limit, age| {
            usable_on_error(&meta, &asked(line), limit, NOW + age)
        };
        assert!(!ok(stored(10), "", 0, 11));
        assert!(ok(stored(10), "", 5, 15));
        assert!(!ok(stored(10), "", 5, 16));
        assert!(ok(stored(10), "stale-if-error=5", 0, 15));
        assert!(ok(Meta { if_error: Some(5), ..stored(10) }, "", 0, 15));
        assert!(!ok(Meta { if_error: Some(5), ..stored(10) }, "", 100, 16));
        assert!(!ok(Meta { forbids_stale: true, if_error: Some(5), ..stored(10) }, "", 100, 11));
        assert!(!ok(Meta { no_cache: true, ..stored(10) }, "", 100, 0));
        assert!(!ok(stored(10), "no-cache", 100, 11));
    }
}
