//! Makes the exchange's response from a stored one (RFC 9111 section 4).

use ergo_sdk::Headers;
use ergo_sdk::cache::{self, CacheError};

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
    let Found { entry, meta } = found;
    let headers = match answer(meta, entry.status, entry.size, asked, now) {
        Answer::Whole => cache::serve(entry.index, entry.status, 0, None)?,
        Answer::NotModified => {
            let headers = cache::serve(entry.index, 304, 0, Some(0))?;
            NOT_IN_304.iter().for_each(|name| headers.remove(name));
            headers
        }
        Answer::Part { offset, length } => {
            let headers = cache::serve(entry.index, 206, offset, Some(length))?;
            let last = offset + length - 1;
            headers.set("content-range", format!("bytes {offset}-{last}/{}", entry.size));
            headers
        }
        Answer::Unsatisfiable => {
            let headers = cache::serve(entry.index, 416, 0, Some(0))?;
            headers.set("content-range", format!("bytes */{}", entry.size));
            headers
        }
    };
    headers.set("age", meta.age(now).to_string());
    finish(settings, headers, status);
    Ok(())
}

/// Adds what this cache says of itself, and takes out what is for it alone.
pub fn finish(settings: &Settings, headers: Headers, status: &Status) {
    if !settings.name.is_empty() {
        headers.add("cache-status", status.text(&settings.name));
    }
    if !settings.tags.is_empty() && !settings.keep_tags {
        headers.remove(&settings.tags);
    }
}
