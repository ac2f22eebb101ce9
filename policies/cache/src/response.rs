//! The response phase: store what came, renew what was asked about, or bridge a failure.

use ergo_sdk::cache::{self, Changes, Head};
use ergo_sdk::{Headers, Response, clock};

use crate::Cache;
use crate::entry::Found;
use crate::fields::{Fields, never_stored, never_updated, same_validators};
use crate::freshness::usable_on_error;
use crate::memo::{Memo, Role};
use crate::meta::Meta;
use crate::part::{MAX_PARTS, Part};
use crate::reply::{Asked, Plan, Reply, storable, tags};
use crate::request::now;
use crate::serve;
use crate::site::Here;
use crate::status::{Forwarded, Status};
use crate::{date, vary};

/// Errors that a stale response may stand in for (RFC 5861 section 4).
const BRIDGED: [u16; 4] = [500, 502, 503, 504];

/// A response on its way through the response phase.
struct Return<'a> {
    cache: &'a Cache,
    memo: Memo,
    status: u16,
    headers: Headers,
    now: i64,
}

impl Cache {
    /// Sees a response, or, with `failed`, that there is none.
    pub fn meet(&self, response: &Response, failed: bool) {
        let Some(memo) = Memo::decode(&cache::recall()) else { return };
        let status = response.status();
        Return { cache: self, memo, status, headers: response.headers(), now: now() }.meet(failed);
    }
}

impl Return<'_> {
    fn meet(&self, failed: bool) {
        let broken = failed || BRIDGED.contains(&self.status);
        if broken && self.bridge(failed) {
            return;
        }
        if failed {
            return; // who waits for this exchange is told when it ends
        }
        if self.memo.bypass {
            return self.pass("");
        }
        match self.memo.role {
            Role::Unsafe => self.invalidate(),
            _ if self.status == 304 && self.memo.validates => self.renew(),
            Role::Get => self.keep(),
            Role::Head => self.learn(),
        }
    }

    /// Serves what is stored in place of an error, if it may be that stale.
    fn bridge(&self, failed: bool) -> bool {
        let sound = |found: &Found| !BRIDGED.contains(&found.status());
        let Some(found) = self.memo.entry.and_then(Found::again).filter(sound) else {
            return false;
        };
        let settings = &self.cache.settings;
        let directives = &self.memo.asked.directives;
        if !usable_on_error(&found.meta, directives, settings.stale_on_error, self.now) {
            return false;
        }
        let status = Status {
            hit: true,
            forwarded_status: (!failed).then_some(self.status),
            ttl: Some(found.meta.left(self.now)),
            detail: "stale-if-error",
            ..self.forwarded()
        };
        let served = serve::serve(settings, &found, &self.memo.asked, self.now, &status).is_ok();
        if served {
            cache::release();
        }
        served
    }

    fn forwarded(&self) -> Status {
        Status { forwarded: Some(Forwarded::of(self.memo.forwarded)), ..Status::default() }
    }

    /// Lets the response pass as it is.
    fn pass(&self, detail: &'static str) {
        if self.memo.role == Role::Get && !self.memo.bypass {
            self.cache.passes.learn(&self.memo.key, self.now);
        }
        cache::release();
        self.finish(Status { detail, ..self.forwarded() });
    }

    /// Says what became of the response at hand. Where that can't be, it passes as it is.
    fn finish(&self, status: Status) {
        let _ = serve::finish(&self.cache.settings, Changes::new(), &status);
    }

    fn fields(&self) -> Fields {
        Fields(cache::response_fields())
    }

    fn asked(&self) -> Asked {
        let delay = clock::monotonic().saturating_sub(clock::began()).as_secs();
        Asked {
            no_store: self.memo.asked.directives.no_store,
            authorized: self.memo.authorized,
            cookies: self.memo.cookies,
            post: self.memo.post,
            delay: u32::try_from(delay).unwrap_or(u32::MAX),
        }
    }

    /// Stores the response to a GET if that may be. A part may be stored if a 200 like it may.
    fn keep(&self) {
        let fields = self.dated();
        let settings = &self.cache.settings;
        let part = self.part(&fields);
        let status = if part.is_some() { 200 } else { self.status };
        match Reply::read(status, &fields, settings, self.now).plan(settings, &self.asked()) {
            Ok(mut plan) => {
                plan.meta.part = part;
                self.store(&fields, &plan);
            }
            Err(why) => self.pass(why),
        }
    }

    /// What the response is of its representation, if it is a part that can be stored.
    fn part(&self, fields: &Fields) -> Option<Part> {
        if self.status != 206 || self.memo.asked.range.is_empty() {
            return None;
        }
        let part = Part::of(fields)?;
        let asked_about = self.memo.entry.and_then(Found::again);
        let known = asked_about.is_some_and(|found| {
            found.has(0, found.size()) && found.meta.validators.etag == fields.only("etag")
        });
        let full = (0..).map_while(cache::entry).count() >= MAX_PARTS;
        (!known && (part.whole() || !full)).then_some(part)
    }

    /// The fields, with a Date in any case (RFC 9110 section 6.6.1).
    fn dated(&self) -> Fields {
        let mut fields = self.fields();
        if !fields.has("date") {
            let date = date::format(self.now);
            self.headers.set("date", &date);
            fields.0.push(("date".into(), date.into_bytes()));
        }
        fields
    }

    fn store(&self, fields: &Fields, plan: &Plan) {
        let settings = &self.cache.settings;
        let language = fields.has("content-language").then(|| fields.only("content-language"));
        let values = |name: &str| self.memo.values(name);
        let Some(mut variant) = vary::describe(&plan.vary, &settings.comparisons, language, values)
        else {
            return self.pass("the variant takes too much to describe");
        };
        let mut left_out = plan.left_out.clone();
        if let Some(part) = plan.meta.part {
            left_out.push("content-range".into());
            if !part.whole() {
                variant.extend(part.suffix());
            }
        }
        left_out.extend(
            fields.0.iter().map(|(name, _)| name).filter(|name| never_stored(name)).cloned(),
        );
        let head = Head {
            key: &self.memo.key,
            variant: &variant,
            meta: &plan.meta.encode(),
            tags: &self.tags(fields),
            left_out: &left_out,
        };
        match cache::store(&head) {
            Ok(()) => {
                self.cache.passes.forget(&self.memo.key);
                let ttl = Some(plan.meta.left(self.now));
                self.finish(Status { stored: true, ttl, ..self.forwarded() });
            }
            Err(_) => self.pass("the store does not take it"),
        }
    }

    fn tags(&self, fields: &Fields) -> Vec<Vec<u8>> {
        tags(fields.all(&self.cache.settings.tags))
    }

    /// The origin says that what is stored is still good (RFC 9111 section 4.3.4). It answers once more
    /// also where it may not be stored any longer. A 304 with the validators of another response says
    /// nothing of this one's fields: it is young again, as it is.
    fn renew(&self) {
        let Some(found) = self.memo.entry.and_then(Found::again) else {
            return self.pass("what was stored is gone");
        };
        let settings = &self.cache.settings;
        let (stored, newer) = (Fields(cache::fields(found.entry.index)), self.dated());
        let renewed = match same_validators(&stored, &newer) {
            true => self.update(&found, stored, &newer),
            false => self.rejuvenate(&found, &stored),
        };
        let (meta, kept) = match renewed {
            Some(meta) => (meta, true),
            None => (Meta { received: self.now, ..found.meta.clone() }, false),
        };
        let status = Status {
            forwarded_status: Some(304),
            stored: kept,
            ttl: Some(meta.left(self.now)),
            ..self.forwarded()
        };
        let found = found.renewed(meta);
        let _ = serve::serve(settings, &found, &self.memo.asked, self.now, &status);
        if !kept {
            let _ = cache::purge(cache::Purge::Key(&self.memo.key), false);
        }
        cache::release();
    }

    /// Takes newer fields into a stored response. `None` if it is gone, or may not be stored any longer.
    fn update(&self, found: &Found, stored: Fields, newer: &Fields) -> Option<Meta> {
        let settings = &self.cache.settings;
        let mut merged = stored;
        merged.update(newer, never_updated);
        // Age is never stored: it is that of the newer response.
        merged.0.extend(newer.0.iter().filter(|(name, _)| name == "age").cloned());
        let reply = Reply::read(found.status(), &merged, settings, self.now);
        let mut plan = reply.plan(settings, &self.asked()).ok()?;
        plan.meta.part = found.meta.part;
        let kept = storable(&merged, &plan.left_out);
        cache::update(found.entry.index, &kept.0, &plan.meta.encode()).ok()?;
        Some(plan.meta)
    }

    /// Lets a stored response count its age from now, and leaves it as it is. `None` if it is gone.
    fn rejuvenate(&self, found: &Found, stored: &Fields) -> Option<Meta> {
        let initial_age = self.asked().delay;
        let meta = Meta { received: self.now, initial_age, ..found.meta.clone() };
        cache::update(found.entry.index, &stored.0, &meta.encode()).ok()?;
        Some(meta)
    }

    /// What a HEAD says of a stored response (RFC 9111 section 4.3.5): if it is the same one, its fields
    /// are newer, else it is stale.
    fn learn(&self) {
        let (Some(index), 200) = (self.memo.entry, self.status) else { return self.pass("") };
        let fields = self.dated();
        let Some(found) = Found::again(index).filter(|found| found.status() == 200) else {
            return self.pass("");
        };
        let known = &found.meta.validators;
        let same = |name: &str, known: &[u8]| !fields.has(name) || fields.only(name) == known;
        let length = fields.only("content-length");
        let agrees = same("etag", &known.etag)
            && same("last-modified", &known.last_modified)
            && (length.is_empty() || length == found.size().to_string().as_bytes());
        if !agrees {
            let _ = cache::purge(cache::Purge::Key(&self.memo.key), true);
        } else if self.update(&found, Fields(cache::fields(index)), &fields).is_some() {
            return self.finish(Status { stored: true, ..self.forwarded() });
        }
        self.pass("");
    }

    /// A change that went well makes what is stored of it useless (RFC 9111 section 4.4).
    fn invalidate(&self) {
        if !(200..400).contains(&self.status) {
            return self.pass("");
        }
        let here =
            Here { scheme: &self.memo.scheme, host: &self.memo.host, target: &self.memo.target };
        let _ = cache::purge(cache::Purge::Prefix(&self.url(&self.memo.target)), false);
        let mut same = false;
        for name in ["location", "content-location"] {
            let values = self.headers.values(name);
            let Some(target) = values.only().and_then(|value| here.resolve(value)) else {
                continue;
            };
            same |= name == "content-location" && target == self.memo.target;
            let _ = cache::purge(cache::Purge::Prefix(&self.url(&target)), false);
        }
        // A response to a POST that says that it is what a GET would get (RFC 9110 section 9.3.3).
        if self.memo.post && same && self.status == 200 {
            return self.keep();
        }
        self.pass("");
    }

    fn url(&self, target: &[u8]) -> Vec<u8> {
        self.cache.url(&self.memo.scheme, &self.memo.host, target)
    }
}
