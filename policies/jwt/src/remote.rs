use std::sync::{Arc, Mutex};

use ergo_sdk::http::{self, Call};
use ergo_sdk::kv::{self, KvError};
use ergo_sdk::log::{self, Level};
use ergo_sdk::{base64, crypto};

use crate::keys::KeySet;

/// An instance asks what the others know this often at most.
const LOOK_MS: u64 = 1000;

/// The longest pause after failures.
const MAX_PAUSE_MS: u64 = 300_000;

/// A JWK Set at a URL.
///
/// What is known of it is shared by all instances: the set, when it was fetched, and until when nobody may
/// fetch again. An instance keeps a copy and asks for a newer one when its own is old, or when a token
/// names a key that is not in it.
pub struct Remote {
    pub url: String,
    pub refresh_ms: u64,
    pub stale_ms: u64,
    pub pause_ms: u64,
    state: Mutex<State>,
}

#[derive(Clone, Default)]
struct State {
    /// The set, and the text that it was read from.
    set: Option<(Arc<KeySet>, String)>,
    fetched_ms: u64,
    /// Nobody fetches before.
    next_ms: u64,
    /// In a row.
    failures: u32,
    /// Of what the instances share; 0 for nothing.
    version: u64,
    /// When this instance last asked what they share.
    looked_ms: u64,
    /// Counts the sets that this instance has had.
    generation: u64,
}

impl Remote {
    /// A set that nobody has fetched.
    pub fn new(url: String, refresh_ms: u64, stale_ms: u64, pause_ms: u64) -> Self {
        Remote { url, refresh_ms, stale_ms, pause_ms, state: Mutex::default() }
    }

    /// Which set this is, if it is fresh: what it has verified need not be verified again.
    pub fn generation(&self, now_ms: u64) -> Option<u64> {
        let state = self.state();
        self.is_fresh(&state, now_ms).then_some(state.generation)
    }

    /// A set that has what is `wanted`, if one can be had; else the set that there is, and `None` if
    /// there is none that may still be used.
    pub fn keys(
        &self,
        now_ms: u64,
        wanted: impl Fn(&KeySet) -> bool,
    ) -> Option<(Arc<KeySet>, u64)> {
        let mut state = self.state();
        let serves = |state: &State| {
            self.is_fresh(state, now_ms) && state.set.as_ref().is_some_and(|(set, _)| wanted(set))
        };
        if !serves(&state) && state.looked_ms.abs_diff(now_ms) >= LOOK_MS {
            self.look(&mut state, now_ms);
        }
        if !serves(&state) && self.may_fetch(&mut state, now_ms) {
            self.fetch(&mut state, now_ms);
        }
        let usable = state.fetched_ms.saturating_add(self.refresh_ms + self.stale_ms) > now_ms;
        state.set.as_ref().filter(|_| usable).map(|(set, _)| (set.clone(), state.generation))
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// A set from the future is not: the clock was set back, and nobody knows how old it is.
    fn is_fresh(&self, state: &State, now_ms: u64) -> bool {
        state.set.is_some()
            && state.fetched_ms <= now_ms
            && state.fetched_ms.saturating_add(self.refresh_ms) > now_ms
    }

    fn key(&self) -> String {
        // Keys of the store are short, URLs need not be.
        let digest =
            crypto::digest(crypto::Digest::Sha256, self.url.as_bytes()).unwrap_or_default();
        format!("jwks:{}", base64::encode(&digest))
    }

    /// Takes over what the instances share.
    fn look(&self, state: &mut State, now_ms: u64) {
        state.looked_ms = now_ms;
        let Ok((text, version)) = kv::get(self.key()) else { return };
        if version == state.version {
            return;
        }
        if let Some(shared) = std::str::from_utf8(&text).ok().and_then(|text| read(state, text)) {
            *state = State { version, looked_ms: now_ms, ..shared };
        }
    }

    /// Whether it is on this instance to fetch: then no other one does. Only while the very first fetch is
    /// under way elsewhere it does so too, as it has nothing to answer by meanwhile. Where nothing is shared
    /// each instance is for itself.
    fn may_fetch(&self, state: &mut State, now_ms: u64) -> bool {
        let is_first = |state: &State| state.set.is_none() && state.failures == 0;
        if state.next_ms > now_ms {
            return is_first(state);
        }
        let claimed = State { next_ms: now_ms + self.pause_ms, ..state.clone() };
        match kv::set_if(self.key(), claimed.to_string(), self.ttl_ms(), state.version) {
            Ok(version) => *state = State { version, ..claimed },
            Err(KvError::Changed) => {
                self.look(state, now_ms);
                return is_first(state);
            }
            Err(_) => *state = claimed,
        }
        true
    }

    fn fetch(&self, state: &mut State, now_ms: u64) {
        match self.download() {
            Ok((set, text)) => {
                if state.set.as_ref().is_none_or(|(old, _)| **old != set) {
                    state.generation += 1;
                }
                state.set = Some((Arc::new(set), text));
                state.fetched_ms = now_ms;
                state.next_ms = now_ms + self.pause_ms;
                state.failures = 0;
            }
            Err(problem) => {
                log::write(Level::Warn, &format!("{}: {problem}", self.url));
                state.failures = state.failures.saturating_add(1);
                let doubled = self.pause_ms.saturating_mul(1 << (state.failures - 1).min(16));
                state.next_ms = now_ms + doubled.min(MAX_PAUSE_MS.max(self.pause_ms));
            }
        }
        if let Ok(version) = kv::set(self.key(), state.to_string(), self.ttl_ms()) {
            state.version = version;
        }
    }

    fn download(&self) -> Result<(KeySet, String), String> {
        let fields = [("accept", "application/jwk-set+json, application/json")];
        let answered = http::fetch(&Call { fields: &fields, ..Call::get(&self.url) })
            .map_err(|error| format!("{error:?}"))?;
        if answered.status != 200 {
            return Err(format!("status {}", answered.status));
        }
        let set = KeySet::parse(&answered.body)?;
        let text = String::from_utf8(answered.body).map_err(|_| "not UTF-8".to_owned())?;
        Ok((set, text))
    }

    fn ttl_ms(&self) -> u64 {
        self.refresh_ms + self.stale_ms + MAX_PAUSE_MS
    }
}

/// As the instances share it: a line of numbers and the set's text.
impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = self.set.as_ref().map_or("", |(_, text)| text);
        write!(f, "{} {} {}\n{text}", self.fetched_ms, self.next_ms, self.failures)
    }
}

/// Reads what another instance, or another version of this policy, has written.
fn read(state: &State, shared: &str) -> Option<State> {
    let (line, text) = shared.split_once('\n')?;
    let mut numbers = line.split(' ').map(|number| number.parse::<u64>().ok());
    let (fetched_ms, next_ms, failures) = (numbers.next()??, numbers.next()??, numbers.next()??);
    let mut read = State { fetched_ms, next_ms, failures: failures as u32, ..state.clone() };
    if !text.is_empty() && state.set.as_ref().is_none_or(|(_, old)| old != text) {
        read.set = Some((Arc::new(KeySet::parse(text.as_bytes()).ok()?), text.to_owned()));
        read.generation += 1;
    }
    Some(read)
}
