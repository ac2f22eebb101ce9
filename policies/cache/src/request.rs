//! The request phase: answer from what is stored, or send the request on.

use ergo_sdk::cache::{self, CacheError, Joined, RequestHead};
use ergo_sdk::{Flow, Request, Target, clock};

use crate::Cache;
use crate::answer::Asked;
use crate::directives::RequestDirectives;
use crate::entry::Found;
use crate::freshness::{Usable, usable};
use crate::memo::{MAX_FIELDS, Memo, Role};
use crate::purge::{Command, What};
use crate::serve;
use crate::status::{Forwarded, Status};

/// Fields that no response is selected by: they are about this connection or answered here.
const NOT_SELECTING: [&str; 12] = [
    "cache-control",
    "connection",
    "content-length",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "pragma",
    "range",
    "transfer-encoding",
];

/// A request on its way through the request phase.
struct Visit<'a> {
    cache: &'a Cache,
    request: &'a Request,
    /// Its head, as the client sent it.
    head: RequestHead,
    memo: Memo,
    now: i64,
}

/// What a request's response phase gets: that there is a memo.
pub const REMEMBERED: u32 = 1;

/// The time, in whole seconds.
pub fn now() -> i64 {
    clock::now().as_secs() as i64
}

impl Cache {
    /// Answers a request or sends it on.
    pub fn visit(&self, request: &Request) -> Flow {
        let head = RequestHead::read();
        let target = Target::new(head.target().to_vec());
        if let Some(flow) = self.purged(request, &head, &target) {
            return flow;
        }
        let role = match head.method() {
            b"GET" => Role::Get,
            b"HEAD" => Role::Head,
            b"OPTIONS" | b"TRACE" | b"CONNECT" => return Flow::Continue,
            _ => Role::Unsafe,
        };
        if head.has("upgrade") {
            return Flow::Continue;
        }
        let memo = Memo { role, post: head.method() == b"POST", ..Memo::default() };
        Visit { cache: self, request, head, memo, now: now() }.decide(target)
    }

    /// Does what a request to purge says; `None` if it is none.
    fn purged(&self, request: &Request, head: &RequestHead, target: &Target) -> Option<Flow> {
        let purge = self.settings.purge.as_ref()?;
        let only = |name: &str| {
            let mut values = head.values(name);
            values.next().filter(|_| values.next().is_none()).unwrap_or_default()
        };
        let client = request.client_ip();
        let (authorization, mode) = (only("authorization"), only("purge-mode"));
        let command = purge.read(head.method(), target, &client, authorization, mode);
        let (what, soft) = match command {
            Command::None => return None,
            Command::Forbidden => return Some(refusal(request, 403, "purging is not allowed\n")),
            Command::Malformed => {
                return Some(refusal(request, 400, "the purge cannot be understood\n"));
            }
            Command::Purge { what, soft } => (what, soft),
        };
        let (scheme, host) = (head.scheme(), head.host());
        let rules = &self.settings.key;
        let url = |target: &[u8]| self.url(scheme, host, target);
        let text = match what {
            What::This => url(target.as_bytes()),
            What::Url(target) => url(&target),
            What::Prefix(start) => [rules.prefix(scheme, host), start].concat(),
            What::Tag(tag) => return Some(purge_answer(request, cache::Purge::Tag(&tag), soft)),
        };
        Some(purge_answer(request, cache::Purge::Prefix(&text), soft))
    }

    /// What all keys of a target begin with.
    pub fn url(&self, scheme: &[u8], host: &[u8], target: &[u8]) -> Vec<u8> {
        let rules = &self.settings.key;
        let reduced = rules.reduced(&Target::new(target.to_vec()));
        rules.url(scheme, host, reduced.as_deref().unwrap_or(target))
    }
}

fn refusal(request: &Request, status: u16, text: &str) -> Flow {
    request.answer(status).header("cache-control", "no-store").text(text)
}

fn purge_answer(request: &Request, what: cache::Purge, soft: bool) -> Flow {
    match cache::purge(what, soft) {
        Ok(count) => {
            let answer = request.answer(200).header("cache-control", "no-store");
            answer.body("application/json", format!("{{\"purged\":{count}}}\n"))
        }
        Err(CacheError::Untold) => {
            refusal(request, 503, "purged here; other hosts will be told when that is possible\n")
        }
        Err(_) => refusal(request, 400, "the purge cannot be understood\n"),
    }
}

impl Visit<'_> {
    fn has(&self, name: &str) -> bool {
        self.head.has(name)
    }

    fn values(&self, name: &str) -> Vec<Vec<u8>> {
        self.head.values(name).map(<[u8]>::to_vec).collect()
    }

    fn joined(&self, name: &str) -> Vec<u8> {
        self.values(name).join(&b", "[..])
    }

    fn decide(mut self, target: Target) -> Flow {
        let settings = &self.cache.settings;
        let reduced = settings.key.reduced(&target);
        let target = reduced.as_deref().unwrap_or(target.as_bytes()).to_vec();
        self.memo.scheme = self.head.scheme().to_vec();
        self.memo.host = self.head.host().to_vec();
        self.memo.authorized = self.has("authorization");
        self.memo.cookies = self.has("cookie");
        self.read_directives();
        let mut key = settings.key.url(&self.memo.scheme, &self.memo.host, &target);
        let cookie = |name: &str| self.request.cookie(name).filter(|_| self.memo.cookies);
        let keyed = settings.key.complete(&mut key, |name| self.values(name), cookie);
        self.memo.key = key;
        self.memo.target = target;
        if self.memo.role == Role::Unsafe {
            return self.forward(Forwarded::Method, None);
        }
        self.memo.reduced = reduced.is_some();
        if !keyed || self.has("if-match") || self.has("if-unmodified-since") {
            self.memo.bypass = true;
            return self.forward(Forwarded::Bypass, None);
        }
        if self.head.is_refresh() {
            return self.refresh();
        }
        self.memo.asked.none_match = self.joined("if-none-match");
        self.memo.asked.modified_since = self.joined("if-modified-since");
        if self.memo.role == Role::Get {
            self.memo.asked.range = self.joined("range");
            self.memo.asked.if_range = self.joined("if-range");
        }
        self.look()
    }

    /// Has the origin renew what is stored: as a whole, whatever the request that this is a copy of wants.
    fn refresh(mut self) -> Flow {
        for name in ["if-none-match", "if-modified-since", "range", "if-range"] {
            self.request.headers().remove(name);
        }
        if self.memo.role == Role::Head {
            self.request.set_method("GET");
            self.memo.role = Role::Get;
        }
        let count = cache::lookup(&self.memo.key);
        let found =
            Found::select(count, &self.cache.settings.comparisons, |name| self.values(name));
        self.forward(Forwarded::Stale, found)
    }

    /// Reads Cache-Control; Pragma counts where there is none (RFC 9111 section 5.4).
    fn read_directives(&mut self) {
        if !self.cache.settings.obey_clients {
            return;
        }
        if self.has("cache-control") {
            let lines = self.values("cache-control");
            self.memo.asked.directives = RequestDirectives::parse(lines.iter().map(Vec::as_slice));
        } else if self.has("pragma") {
            let lines = self.values("pragma");
            let said = RequestDirectives::parse(lines.iter().map(Vec::as_slice));
            self.memo.asked.directives.no_cache = said.no_cache;
        }
    }

    /// Takes out what could change a response without being part of its key.
    fn strip(&self) {
        for name in &self.cache.settings.unkeyed {
            if self.has(name) {
                self.request.headers().remove(name);
            }
        }
        if self.memo.reduced {
            self.request.set_target(&self.memo.target);
        }
    }

    /// Looks for a stored response; where there is none that may be used, others may be fetching it.
    fn look(self) -> Flow {
        let count = cache::lookup(&self.memo.key);
        let selected =
            Found::select(count, &self.cache.settings.comparisons, |name| self.values(name));
        let some = selected.is_some();
        let found = selected.filter(|found| serve::suffices(found, &self.memo.asked, self.now));
        if let Some(flow) = found.as_ref().and_then(|found| self.answer(found)) {
            return flow;
        }
        if self.memo.asked.directives.only_if_cached {
            return self.unsatisfied();
        }
        if self.waits() && cache::join(&self.memo.key, self.cache.settings.wait) == Joined::Waits {
            return Flow::Answer;
        }
        let why = match &found {
            Some(found) if found.meta.left(self.now) > 0 && !found.entry.purged => {
                Forwarded::Request
            }
            Some(_) => Forwarded::Stale,
            None if some => Forwarded::Partial,
            None if count > 0 => Forwarded::VaryMiss,
            None => Forwarded::Miss,
        };
        self.forward(why, found)
    }

    /// Whether it is worth waiting for another request for the same: not where it is likely that the
    /// response is for this request alone.
    fn waits(&self) -> bool {
        let Asked { directives, range, .. } = &self.memo.asked;
        self.cache.settings.wait > 0
            && self.memo.role == Role::Get
            && !self.memo.authorized
            && range.is_empty()
            && !directives.no_cache
            && !directives.no_store
            && !self.cache.passes.knows(&self.memo.key, self.now)
    }

    /// Answers from a stored response if it may be used.
    fn answer(&self, found: &Found) -> Option<Flow> {
        let directives = &self.memo.asked.directives;
        let detail = match usable(&found.meta, found.entry.purged, directives, self.now) {
            Usable::Validated => return None,
            Usable::WhileRevalidated if self.renews() => return None,
            Usable::Fresh => "",
            Usable::Stale => "max-stale",
            Usable::WhileRevalidated => "stale-while-revalidate",
        };
        let status = Status {
            hit: true,
            ttl: Some(found.meta.left(self.now)),
            collapsed: found.entry.waited,
            detail,
            ..Status::default()
        };
        serve::serve(&self.cache.settings, found, &self.memo.asked, self.now, &status).ok()?;
        Some(Flow::Answer)
    }

    /// Sees to it that a stale response is renewed while it is served. Where the host can't do it in the
    /// background, one request does: whether it is this one.
    fn renews(&self) -> bool {
        cache::refresh().is_err() && cache::join(&self.memo.key, 0) == Joined::Leads
    }

    /// RFC 9111 section 5.2.1.7.
    fn unsatisfied(&self) -> Flow {
        let name = &self.cache.settings.name;
        let mut answer = self.request.answer(504).header("cache-control", "no-store");
        if !name.is_empty() {
            let status = Status { detail: "only-if-cached", ..Status::default() };
            answer = answer.header("cache-status", status.text(name));
        }
        answer.text("not in the cache\n")
    }

    fn forward(mut self, why: Forwarded, found: Option<Found>) -> Flow {
        self.memo.forwarded = why.code();
        if self.memo.role != Role::Unsafe {
            self.strip();
        }
        if let Some(found) = found {
            self.memo.entry = Some(found.entry.index);
            self.memo.validates = self.validate(&found);
        }
        if self.memo.role != Role::Unsafe || self.memo.post {
            self.remember_fields();
        }
        self.announce();
        match cache::remember(&self.memo.encode()) {
            Ok(()) => Flow::ContinueWith(REMEMBERED),
            Err(_) => Flow::Continue,
        }
    }

    /// Asks the origin about a stored response, in place of what the client asks (RFC 9111 section
    /// 4.3.1): a 304 then means that response, and the client's condition is answered from it.
    fn validate(&self, found: &Found) -> bool {
        let (headers, validators) = (self.request.headers(), &found.meta.validators);
        let own = !self.memo.asked.none_match.is_empty();
        if !validators.any() || validators.etag.is_empty() && own {
            return false;
        }
        match validators.etag.is_empty() {
            true => headers.remove("if-none-match"),
            false => headers.set("if-none-match", &validators.etag),
        }
        match validators.last_modified.is_empty() {
            true => headers.remove("if-modified-since"),
            false => headers.set("if-modified-since", &validators.last_modified),
        }
        true
    }

    /// Keeps the fields that a response may vary by.
    fn remember_fields(&mut self) {
        let mut room = MAX_FIELDS;
        for (at, (name, _)) in self.head.fields().enumerate() {
            let seen = self.head.fields().take(at).any(|(known, _)| known == name);
            if seen || NOT_SELECTING.contains(&name) {
                continue;
            }
            let values = self.values(name);
            let size = name.len() + values.iter().map(|value| value.len() + 4).sum::<usize>() + 8;
            if size > room {
                self.memo.missing.push(name.to_owned());
                continue;
            }
            room -= size;
            self.memo.fields.push((name.to_owned(), values));
        }
    }

    /// Tells the origin that there is a surrogate.
    fn announce(&self) {
        let name = &self.cache.settings.surrogate;
        if !name.is_empty() {
            self.request.headers().add("surrogate-capability", format!("{name}=\"Surrogate/1.0\""));
        }
    }
}
