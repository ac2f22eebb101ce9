//! Makes the exchange's response from a stored one (RFC 9111 section 4).

use ergo_sdk::cache::{self, CacheError, Changes};

use crate::answer::{Answer, Asked, NOT_IN_304, answer};
use crate::config::Settings;
use crate::entry::Found;
use crate::status::Status;

/// Serves a stored response as the request asks for it.
pub fn serve(
    settings: &Settings,
    found: &Found,
    asked: &Asked,
    now: i64,
    status: &Status,
) -> Result<(), CacheError> {
    let Found { entry, meta, .. } = found;
    let size = found.size();
    let mut changes = Changes::new();
    match answer(meta, found.status(), size, asked, now) {
        Answer::Whole => {
            found.serve(found.status(), 0, size)?;
        }
        Answer::NotModified => {
            cache::serve(entry.index, 304, 0, Some(0))?;
            NOT_IN_304.iter().for_each(|name| changes.remove(name));
        }
        Answer::Part { offset, length } => {
            found.serve(206, offset, length)?;
            let last = offset + length - 1;
            changes.set("content-range", format!("bytes {offset}-{last}/{size}"));
        }
        Answer::Unsatisfiable => {
            cache::serve(entry.index, 416, 0, Some(0))?;
            changes.set("content-range", format!("bytes */{size}"));
        }
    }
    changes.set("age", meta.age(now).to_string());
    finish(settings, changes, status)
}

/// Whether there is enough of a stored response for what the request asks.
pub fn suffices(found: &Found, asked: &Asked, now: i64) -> bool {
    match answer(&found.meta, found.status(), found.size(), asked, now) {
        Answer::Whole => found.has(0, found.size()),
        Answer::Part { offset, length } => found.has(offset, length),
        Answer::NotModified | Answer::Unsatisfiable => true,
    }
}

/// Adds what this cache says of itself, and takes out what is for it alone.
pub fn finish(
    settings: &Settings,
    mut changes: Changes,
    status: &Status,
) -> Result<(), CacheError> {
    if !settings.name.is_empty() {
        changes.add("cache-status", status.text(&settings.name));
    }
    if !settings.tags.is_empty() && !settings.keep_tags {
        changes.remove(&settings.tags);
    }
    changes.make()
}
