//! What a response of the origin means to this cache: whether it is stored, and as what (RFC 9111
//! section 3).

use crate::config::{SetCookie, Settings};
use crate::date;
use crate::directives::{Delta, ResponseDirectives, Scope};
use crate::fields::{Fields, named_by_connection, never_stored};
use crate::freshness::{HEURISTIC, Lifetime, Timing, always_validated, initial_age, lifetime};
use crate::meta::{MAX_VALIDATOR, Meta};
use crate::targeted;
use crate::validator::Validators;
use crate::vary;

/// The head of a response, read.
#[derive(Debug)]
pub struct Reply<'a> {
    status: u16,
    fields: &'a Fields,
    directives: ResponseDirectives,
    targeted: bool,
    now: i64,
}

/// What of the request matters to whether its response is stored.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked {
    pub no_store: bool,
    pub authorized: bool,
    pub cookies: bool,
    /// It was a POST, whose response answers a GET only if the origin says how long.
    pub post: bool,
    /// How long the response took, in seconds.
    pub delay: u32,
}

/// How a response is stored.
#[derive(Debug, PartialEq, Eq)]
pub struct Plan {
    pub meta: Meta,
    /// The fields that it varies by.
    pub vary: Vec<String>,
    /// Fields that are not stored with it.
    pub left_out: Vec<String>,
}

/// Statuses whose meaning for a cache is known here (must-understand).
const UNDERSTOOD: [u16; 37] = [
    200, 201, 202, 203, 204, 205, 300, 301, 302, 303, 307, 308, 400, 401, 402, 403, 404, 405, 406,
    407, 408, 409, 410, 411, 412, 413, 414, 415, 417, 421, 422, 426, 500, 501, 502, 503, 504,
];

impl<'a> Reply<'a> {
    /// Reads a response. Of several fields that have directives the one for this cache alone counts.
    pub fn read(status: u16, fields: &'a Fields, settings: &Settings, now: i64) -> Self {
        let targeted = Self::targeted(fields, settings);
        Reply {
            status,
            fields,
            targeted: targeted.is_some(),
            directives: targeted
                .unwrap_or_else(|| ResponseDirectives::parse(fields.all("cache-control"))),
            now,
        }
    }

    fn targeted(fields: &Fields, settings: &Settings) -> Option<ResponseDirectives> {
        if !settings.surrogate.is_empty() {
            let said = targeted::surrogate(fields.all("surrogate-control"), &settings.surrogate);
            if said.is_some() {
                return said;
            }
        }
        settings.targets.iter().find_map(|name| {
            let lines: Vec<&[u8]> = fields.all(name).collect();
            targeted::parse(&lines.join(&b", "[..]))
        })
    }

    fn date(&self) -> Option<i64> {
        date::parse(self.fields.only("date"), self.now)
    }

    fn lifetime(&self, settings: &Settings) -> Lifetime {
        let expires = self.fields.has("expires").then(|| self.fields.only("expires"));
        let timing = Timing {
            status: self.status,
            directives: &self.directives,
            targeted: self.targeted,
            expires,
            date: self.date(),
            last_modified: self.fields.only("last-modified"),
        };
        lifetime(&timing, &settings.defaults, self.now)
    }

    fn meta(&self, settings: &Settings, lifetime: Lifetime, delay: u32) -> Meta {
        let short = |name: &str| {
            let value = self.fields.only(name);
            if value.len() <= MAX_VALIDATOR { value.to_vec() } else { Vec::new() }
        };
        Meta {
            received: self.now,
            initial_age: initial_age(self.fields.all("age"), self.date(), delay, self.now),
            lifetime: lifetime.seconds(),
            no_cache: always_validated(&self.directives),
            forbids_stale: self.directives.forbids_stale(),
            while_revalidate: self.directives.stale_while_revalidate,
            if_error: self
                .directives
                .stale_if_error
                .or((settings.stale_on_error > 0).then_some(settings.stale_on_error)),
            validators: Validators {
                etag: short("etag"),
                last_modified: short("last-modified"),
                date: self.date().unwrap_or(self.now),
            },
            part: None,
        }
    }

    /// How the response is stored, or why it is not.
    pub fn plan(&self, settings: &Settings, asked: &Asked) -> Result<Plan, &'static str> {
        let said = &self.directives;
        self.permitted(settings, asked)?;
        let lifetime = self.lifetime(settings);
        if matches!(lifetime, Lifetime::Heuristic(_) | Lifetime::Unknown)
            && (asked.cookies || asked.post)
        {
            return Err("no explicit freshness");
        }
        let vary = vary::fields(self.fields.all("vary")).ok_or("varies by everything")?;
        let meta = self.meta(settings, lifetime, asked.delay);
        if lifetime == Lifetime::Unknown && !said.public && !HEURISTIC.contains(&self.status) {
            return Err("status without explicit freshness");
        }
        if lifetime == Lifetime::Unknown && !meta.validators.any() {
            return Err("neither fresh nor validated");
        }
        if meta.no_cache && !meta.validators.any() {
            return Err("no-cache without a validator");
        }
        let bridges = meta.while_revalidate.is_some() || meta.if_error.is_some();
        if meta.left(self.now) <= 0 && !meta.validators.any() && !bridges {
            return Err("not fresh");
        }
        let mut left_out = named_by_connection(self.fields);
        left_out.extend(said.no_cache.fields().iter().chain(said.private.fields()).cloned());
        if settings.set_cookie == SetCookie::Strip {
            left_out.push("set-cookie".into());
        }
        Ok(Plan { meta, vary, left_out })
    }

    /// Whether it may be stored at all.
    fn permitted(&self, settings: &Settings, asked: &Asked) -> Result<(), &'static str> {
        let said = &self.directives;
        let understood = UNDERSTOOD.contains(&self.status);
        let shared = said.public || said.must_revalidate || said.s_maxage != Delta::Absent;
        let cookie = self.fields.has("set-cookie") && settings.set_cookie == SetCookie::Refuse;
        let refusals = [
            (!(200..=599).contains(&self.status) || matches!(self.status, 206 | 304), "status"),
            (asked.no_store, "request no-store"),
            (said.must_understand && !understood, "must-understand"),
            (said.no_store && !said.must_understand, "no-store"),
            (said.private == Scope::Whole, "private"),
            (asked.authorized && !shared, "authorization"),
            (cookie, "set-cookie"),
        ];
        match refusals.into_iter().find(|(refused, _)| *refused) {
            Some((_, why)) => Err(why),
            None => Ok(()),
        }
    }
}

/// The fields to store of those that there are.
pub fn storable(fields: &Fields, left_out: &[String]) -> Fields {
    let kept = |name: &String| !never_stored(name) && !left_out.contains(name);
    Fields(fields.0.iter().filter(|(name, _)| kept(name)).cloned().collect())
}

/// The tags in a field: words between commas or spaces.
pub fn tags<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Vec<Vec<u8>> {
    let words = lines.flat_map(|line| line.split(|byte| b", \t".contains(byte)));
    let mut tags: Vec<Vec<u8>> = words
        .filter(|word| !word.is_empty() && word.len() <= MAX_TAG)
        .map(<[u8]>::to_vec)
        .collect();
    tags.sort();
    tags.dedup();
    tags.truncate(MAX_TAGS);
    tags
}

/// What is longer, or more, is no tag.
const MAX_TAG: usize = 256;
const MAX_TAGS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use ergo_sdk::Config;

    const NOW: i64 = 784_111_777;

    fn settings(json: &str) -> Settings {
        Settings::configure(&Config::parse(json.as_bytes()).unwrap()).unwrap()
    }

    fn plan(
        json: &str,
        status: u16,
        asked: Asked,
        list: &[(&str, &str)],
    ) -> Result<Plan, &'static str> {
        let fields = Fields(
            list.iter().map(|(name, value)| ((*name).into(), value.as_bytes().to_vec())).collect(),
        );
        let settings = settings(json);
        Reply::read(status, &fields, &settings, NOW).plan(&settings, &asked)
    }

    #[test]
    fn what_is_not_stored() {
        let all = Asked::default();
        let authorized = Asked { authorized: true, ..all };
        let cases: [(u16, Asked, &[(&str, &str)], &str); 19] = [
            (200, all, &[], "neither fresh nor validated"),
            (200, all, &[("cache-control", "no-store, max-age=9")], "no-store"),
            (200, all, &[("cache-control", "private, max-age=9")], "private"),
            (200, all, &[("cache-control", "max-age=9"), ("vary", "*")], "varies by everything"),
            (200, all, &[("cache-control", "max-age=9"), ("set-cookie", "a=b")], "set-cookie"),
            (200, all, &[("cache-control", "no-cache, max-age=9")], "no-cache without a validator"),
            (200, all, &[("cache-control", "max-age=9"), ("age", "9")], "not fresh"),
            (503, all, &[("etag", "\"a\"")], "status without explicit freshness"),
            (206, all, &[("cache-control", "max-age=9")], "status"),
            (304, all, &[("cache-control", "max-age=9")], "status"),
            (101, all, &[("cache-control", "max-age=9")], "status"),
            (599, all, &[("cache-control", "max-age=9, must-understand")], "must-understand"),
            (
                200,
                Asked { no_store: true, ..all },
                &[("cache-control", "max-age=9")],
                "request no-store",
            ),
            (200, authorized, &[("cache-control", "max-age=9")], "authorization"),
            (200, authorized, &[("expires", "Sun, 06 Nov 1994 08:50:37 GMT")], "authorization"),
            (200, authorized, &[("cache-control", "proxy-revalidate, max-age=9")], "authorization"),
            (
                200,
                Asked { cookies: true, ..all },
                &[("last-modified", "Sun, 06 Nov 1993 08:49:37 GMT")],
                "no explicit freshness",
            ),
            (
                200,
                Asked { post: true, ..all },
                &[("last-modified", "Sun, 06 Nov 1993 08:49:37 GMT")],
                "no explicit freshness",
            ),
            (
                200,
                all,
                &[("cdn-cache-control", "no-store"), ("cache-control", "max-age=9")],
                "no-store",
            ),
        ];
        for (status, asked, list, want) in cases {
            assert_eq!(plan("{}", status, asked, list), Err(want), "{list:?}");
        }
    }

    #[test]
    fn what_is_stored_and_how_long() {
        let all = Asked::default();
        let authorized = Asked { authorized: true, ..all };
        let cases: [(&str, u16, Asked, &[(&str, &str)], u32); 14] = [
            ("{}", 200, all, &[("cache-control", "max-age=9")], 9),
            ("{}", 599, all, &[("cache-control", "max-age=9")], 9),
            ("{}", 200, all, &[("cache-control", "no-store, must-understand, max-age=9")], 9),
            ("{}", 200, all, &[("cache-control", "private=\"a\", max-age=9")], 9),
            ("{}", 200, all, &[("etag", "\"a\"")], 0),
            ("{}", 200, Asked { cookies: true, ..all }, &[("cache-control", "max-age=9")], 9),
            ("{}", 200, authorized, &[("cache-control", "public, max-age=9")], 9),
            ("{}", 200, authorized, &[("cache-control", "must-revalidate, max-age=9")], 9),
            ("{}", 200, authorized, &[("cache-control", "s-maxage=9")], 9),
            (
                "{}",
                200,
                all,
                &[("cdn-cache-control", "max-age=5"), ("cache-control", "no-store")],
                5,
            ),
            (
                "{}",
                200,
                all,
                &[("cdn-cache-control", "Max-Age=5"), ("cache-control", "max-age=9")],
                9,
            ),
            (
                r#"{"surrogate":"s"}"#,
                200,
                all,
                &[("surrogate-control", "max-age=3"), ("cdn-cache-control", "max-age=5")],
                3,
            ),
            (r#"{"ttl":{"404":"4s"}}"#, 404, all, &[], 4),
            (
                r#"{"set_cookie":"store"}"#,
                200,
                all,
                &[("cache-control", "max-age=9"), ("set-cookie", "a=b")],
                9,
            ),
        ];
        for (json, status, asked, list, want) in cases {
            assert_eq!(
                plan(json, status, asked, list).map(|plan| plan.meta.lifetime),
                Ok(want),
                "{list:?}"
            );
        }
    }

    #[test]
    fn fields_that_are_not_stored() {
        let fields = [
            ("cache-control", "max-age=9, private=\"a\", no-cache=\"B\""),
            ("connection", "x-hop"),
            ("set-cookie", "s=1"),
            ("a", "1"),
            ("age", "5"),
            ("c", "3"),
            ("x-hop", "1"),
        ];
        let plan = plan(r#"{"set_cookie":"strip"}"#, 200, Asked::default(), &fields).unwrap();
        let all = Fields(
            fields
                .iter()
                .map(|(name, value)| ((*name).into(), value.as_bytes().to_vec()))
                .collect(),
        );
        let names: Vec<String> =
            storable(&all, &plan.left_out).0.into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["cache-control", "c"]);
        assert_eq!(plan.meta.initial_age, 5);
    }

    #[test]
    fn words_are_tags() {
        let lines: [&[u8]; 2] = [b"b, a  c", b"a"];
        assert_eq!(tags(lines.into_iter()), [b"a", b"b", b"c"]);
        let long = vec![b'x'; MAX_TAG + 1];
        assert!(tags([long.as_slice()].into_iter()).is_empty());
        let many: Vec<String> = (0..100).map(|n| n.to_string()).collect();
        assert_eq!(tags([many.join(" ").as_bytes()].into_iter()).len(), MAX_TAGS);
    }
}
