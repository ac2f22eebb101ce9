//! A host in memory, for unit tests of policies on the machine's own target.
//!
//! ```
//! use ergo_sdk::{Config, ConfigError, Flow, Policy, Request, testing::Host};
//!
//! struct Guard;
//!
//! impl Policy for Guard {
//!     fn configure(_: &Config) -> Result<Self, ConfigError> {
//!         Ok(Guard)
//!     }
//!
//!     fn request(&self, request: &Request) -> Flow {
//!         match request.headers().get("x-pass") {
//!             Some(_) => Flow::Continue,
//!             None => request.answer(403).text("no\n"),
//!         }
//!     }
//! }
//!
//! let mut host = Host::new("GET", "/");
//! assert_eq!(host.request(&Guard), Flow::Answer);
//! assert_eq!((host.status, host.response_body.as_slice()), (403, b"no\n".as_slice()));
//! ```
//!
//! It keeps to the ABI's buffer protocol, but does not know phases: what a policy may do when is for
//! tests in the real host.

pub mod cache;
mod calls;
mod content;
mod crypto;
mod grants;
pub mod kv;

pub use crypto::{Key, fake_signature};

use std::cell::RefCell;
use std::collections::HashMap;
use std::mem;

use crate::http::Answered;
use crate::{Config, ConfigError, Flow, Policy, Request, Response};

/// Header fields in order, with their names as they were given.
pub type Fields = Vec<(String, Vec<u8>)>;

/// One exchange and the host around it. Set the fields, run a phase, look at the fields.
#[derive(Default)]
#[allow(missing_docs, reason = "the names are those of the ABI")]
pub struct Host {
    pub method: Vec<u8>,
    pub target: Vec<u8>,
    pub protocol: String,
    pub source: String,
    pub status: u32,
    /// Header lists: request, response, request trailers, response trailers.
    pub fields: [Fields; 4],
    pub request_body: Vec<u8>,
    pub response_body: Vec<u8>,
    /// Level and message of every line logged.
    pub log: Vec<(i32, String)>,
    /// What every request for randomness is answered with.
    pub random: u64,
    pub annotations: Vec<(String, String)>,
    /// The upstreams that exist.
    pub upstreams: Vec<String>,
    pub upstream: Option<String>,
    pub fallbacks: Vec<String>,
    pub hash_key: Option<Vec<u8>>,
    pub timeout_ms: Option<u32>,
    pub retries: Option<u32>,
    /// Metrics that the policy has defined, in order.
    pub metrics: Vec<Metric>,
    /// Secrets by name.
    pub secrets: Vec<(String, Vec<u8>)>,
    pub clock: Clock,
    /// What the client came by.
    pub client_scheme: &'static str,
    /// Who the client is; empty for nobody.
    pub subject: String,
    /// What else is known of the client, by name.
    pub attributes: Vec<(String, String)>,
    /// The keys that the host uses for the policy.
    pub keys: Vec<Key>,
    /// Keys for content, by handle: what each encrypts with.
    content: Vec<Option<String>>,
    /// What `ergo_kv` holds.
    pub kv: HashMap<Vec<u8>, kv::Entry>,
    /// Whether its store is not available.
    pub kv_down: bool,
    kv_version: u64,
    /// What `ergo_cache` holds.
    pub cache: cache::Cache,
    /// What calls to other hosts are answered, one after another; beyond them none is granted.
    pub answers: Vec<Answered>,
    /// The calls that were made: method, URL, fields with NUL after each name and value, body.
    pub calls: Vec<String>,
    /// Calls that have begun and are not closed.
    pub open_calls: usize,
    /// The answers that were given, by handle.
    given: Vec<Answered>,
}

/// A metric that a policy has defined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metric {
    /// 0 counter, 1 gauge, 2 histogram.
    pub kind: u32,
    /// The name that the policy gave.
    pub name: String,
    /// Of a counter or gauge.
    pub value: i64,
    /// By a histogram.
    pub observed: Vec<i64>,
}

/// The time, in nanoseconds.
#[derive(Clone, Copy, Debug, Default)]
#[allow(missing_docs, reason = "the names are those of the ABI")]
pub struct Clock {
    pub wall: u64,
    pub monotonic: u64,
    pub began: u64,
    /// Until the exchange's deadline, if it has one.
    pub remaining: Option<u64>,
}

thread_local! {
    static HOST: RefCell<Host> = RefCell::default();
}

/// Configures a policy from JSON text.
pub fn configure<P: Policy>(config: &str) -> Result<P, ConfigError> {
    P::configure(&Config::parse(config.as_bytes())?)
}

impl Host {
    /// An exchange with this request and nothing else.
    pub fn new(method: &str, target: &str) -> Self {
        Host {
            method: method.into(),
            target: target.into(),
            protocol: "HTTP/1.1".into(),
            source: "192.0.2.1:1234".into(),
            client_scheme: "http",
            status: 200,
            ..Host::default()
        }
    }

    /// Adds a request header field.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.fields[0].push((name.into(), value.into()));
        self
    }

    /// The values of one request header field, as text.
    pub fn request_header(&self, name: &str) -> Vec<String> {
        values(&self.fields[0], name)
    }

    /// The values of one response header field, as text.
    pub fn response_header(&self, name: &str) -> Vec<String> {
        values(&self.fields[1], name)
    }

    fn body(&mut self, kind: u32) -> &mut Vec<u8> {
        if kind == 0 { &mut self.request_body } else { &mut self.response_body }
    }

    /// Runs the policy's request phase.
    pub fn request<P: Policy>(&mut self, policy: &P) -> Flow {
        self.during(|| policy.request(&Request::new()))
    }

    /// Runs the policy's response phase.
    pub fn response<P: Policy>(&mut self, policy: &P, context: u32) {
        self.during(|| policy.response(&Response::new(), context, false))
    }

    /// Runs the policy's response phase where nothing behind it could answer.
    pub fn failure<P: Policy>(&mut self, policy: &P, context: u32) {
        self.during(|| policy.response(&Response::new(), context, true))
    }

    /// Runs `act` with this as the host that the SDK's functions reach.
    pub fn during<T>(&mut self, act: impl FnOnce() -> T) -> T {
        HOST.set(mem::take(self));
        let result = act();
        *self = HOST.take();
        result
    }
}

fn values(fields: &Fields, name: &str) -> Vec<String> {
    let matching = fields.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
    matching.map(|(_, value)| String::from_utf8_lossy(value).into_owned()).collect()
}

/// The imports of a wasm module, acting on the [`Host`] of the running test.
#[allow(
    clippy::missing_safety_doc,
    reason = "the ABI's contract: pointers are valid for their lengths"
)]
pub(crate) mod abi {
    pub use super::calls::*;
    pub use super::content::{decrypt, drop_key, encrypt, unwrap, wrap};
    pub use super::crypto::{
        check_jwk, crypto_random, digest, equal, key_algorithm, key_id, open, password_verify,
        seal, sign, verify, verify_with,
    };
    pub use super::grants::*;
    use super::*;
    use std::slice;

    pub(super) unsafe fn bytes<'a>(from: *const u8, length: usize) -> &'a [u8] {
        // SAFETY: the caller keeps the ABI's contract.
        unsafe { slice::from_raw_parts(from, length) }
    }

    pub(super) unsafe fn text(from: *const u8, length: usize) -> String {
        // SAFETY: the caller keeps the ABI's contract.
        String::from_utf8_lossy(unsafe { bytes(from, length) }).into_owned()
    }

    /// The buffer protocol: writes what fits as a whole, returns what is needed.
    pub(super) unsafe fn give(value: &[u8], buf: *mut u8, limit: usize) -> usize {
        if value.len() <= limit {
            // SAFETY: the value fits the caller's buffer.
            unsafe { buf.copy_from(value.as_ptr(), value.len()) };
        }
        value.len()
    }

    pub(super) unsafe fn give_list(values: &[Vec<u8>], buf: *mut u8, limit: usize) -> u64 {
        let joined: Vec<u8> =
            values.iter().flat_map(|value| [value, &b"\0"[..]].concat()).collect();
        // SAFETY: passed on.
        let length = unsafe { give(&joined, buf, limit) };
        (values.len() as u64) << 32 | length as u64
    }

    pub(super) fn with<T>(act: impl FnOnce(&mut Host) -> T) -> T {
        HOST.with_borrow_mut(act)
    }

    pub unsafe fn enable_features(features: u32) -> u32 {
        features
    }

    pub unsafe fn get_config(_: *mut u8, _: usize) -> usize {
        0
    }

    pub unsafe fn write_log(level: i32, message: *const u8, length: usize) {
        let line = (level, unsafe { text(message, length) });
        with(|host| host.log.push(line));
    }

    pub unsafe fn log_enabled(_: i32) -> u32 {
        1
    }

    pub unsafe fn get_method(buf: *mut u8, limit: usize) -> usize {
        with(|host| unsafe { give(&host.method, buf, limit) })
    }

    pub unsafe fn set_method(method: *const u8, length: usize) {
        with(|host| host.method = unsafe { bytes(method, length) }.to_vec());
    }

    pub unsafe fn get_uri(buf: *mut u8, limit: usize) -> usize {
        with(|host| unsafe { give(&host.target, buf, limit) })
    }

    pub unsafe fn set_uri(uri: *const u8, length: usize) {
        with(|host| host.target = unsafe { bytes(uri, length) }.to_vec());
    }

    pub unsafe fn get_protocol_version(buf: *mut u8, limit: usize) -> usize {
        with(|host| unsafe { give(host.protocol.as_bytes(), buf, limit) })
    }

    pub unsafe fn get_source_addr(buf: *mut u8, limit: usize) -> usize {
        with(|host| unsafe { give(host.source.as_bytes(), buf, limit) })
    }

    pub unsafe fn get_header_names(kind: u32, buf: *mut u8, limit: usize) -> u64 {
        let mut names: Vec<Vec<u8>> = Vec::new();
        with(|host| {
            for (name, _) in &host.fields[kind as usize] {
                let name = name.to_ascii_lowercase().into_bytes();
                if !names.contains(&name) {
                    names.push(name);
                }
            }
        });
        unsafe { give_list(&names, buf, limit) }
    }

    pub unsafe fn get_header_values(
        kind: u32,
        name: *const u8,
        name_length: usize,
        buf: *mut u8,
        limit: usize,
    ) -> u64 {
        let name = unsafe { text(name, name_length) };
        let values: Vec<Vec<u8>> = with(|host| {
            let fields = host.fields[kind as usize].iter();
            let matching = fields.filter(|(key, _)| key.eq_ignore_ascii_case(&name));
            matching.map(|(_, value)| value.clone()).collect()
        });
        unsafe { give_list(&values, buf, limit) }
    }

    pub unsafe fn set_header_value(
        kind: u32,
        name: *const u8,
        name_length: usize,
        value: *const u8,
        value_length: usize,
    ) {
        unsafe {
            remove_header(kind, name, name_length);
            add_header_value(kind, name, name_length, value, value_length);
        }
    }

    pub unsafe fn add_header_value(
        kind: u32,
        name: *const u8,
        name_length: usize,
        value: *const u8,
        value_length: usize,
    ) {
        let field = unsafe { (text(name, name_length), bytes(value, value_length).to_vec()) };
        with(|host| host.fields[kind as usize].push(field));
    }

    pub unsafe fn remove_header(kind: u32, name: *const u8, name_length: usize) {
        let name = unsafe { text(name, name_length) };
        with(|host| {
            host.fields[kind as usize].retain(|(key, _)| !key.eq_ignore_ascii_case(&name));
        });
    }

    pub unsafe fn read_body(kind: u32, buf: *mut u8, limit: usize) -> u64 {
        with(|host| {
            let body = host.body(kind);
            let length = limit.min(body.len());
            let part: Vec<u8> = body.drain(..length).collect();
            unsafe { give(&part, buf, limit) };
            u64::from(body.is_empty()) << 32 | length as u64
        })
    }

    pub unsafe fn write_body(kind: u32, body: *const u8, length: usize) {
        let part = unsafe { bytes(body, length) };
        with(|host| host.body(kind).extend(part));
    }

    pub unsafe fn get_status_code() -> u32 {
        with(|host| host.status)
    }

    pub unsafe fn set_status_code(status: u32) {
        with(|host| host.status = status);
    }

    pub unsafe fn random_get(buf: *mut u8, length: usize) -> u32 {
        let bytes = with(|host| host.random.to_le_bytes());
        unsafe { buf.copy_from(bytes.as_ptr(), length.min(bytes.len())) };
        0
    }

    pub unsafe fn random_fill(buf: *mut u8, length: usize) {
        let bytes = with(|host| host.random.to_le_bytes());
        for (at, byte) in bytes.into_iter().cycle().take(length).enumerate() {
            unsafe { buf.add(at).write(byte) };
        }
    }

    pub unsafe fn set_upstream(name: *const u8, length: usize) -> u32 {
        let name = unsafe { text(name, length) };
        with(|host| {
            if !host.upstreams.contains(&name) {
                return 1;
            }
            host.upstream = Some(name);
            host.fallbacks.clear();
            0
        })
    }

    pub unsafe fn add_fallback(name: *const u8, length: usize) -> u32 {
        let name = unsafe { text(name, length) };
        with(|host| {
            if !host.upstreams.contains(&name) {
                return 1;
            }
            if host.fallbacks.len() == 4 {
                return 11;
            }
            host.fallbacks.push(name);
            0
        })
    }

    pub unsafe fn get_upstream(buf: *mut u8, limit: usize) -> usize {
        with(|host| {
            let name = host.upstream.as_deref().unwrap_or_default();
            unsafe { give(name.as_bytes(), buf, limit) }
        })
    }

    pub unsafe fn set_hash_key(key: *const u8, length: usize) -> u32 {
        let key = unsafe { bytes(key, length) }.to_vec();
        with(|host| host.hash_key = Some(key));
        0
    }

    pub unsafe fn set_timeout(milliseconds: u32) -> u32 {
        with(|host| host.timeout_ms = Some(milliseconds));
        0
    }

    pub unsafe fn set_retries(count: u32) -> u32 {
        if count > 10 {
            return 2;
        }
        with(|host| host.retries = Some(count));
        0
    }

    pub unsafe fn emit(
        level: i32,
        message: *const u8,
        length: usize,
        fields: *const u8,
        fields_length: usize,
    ) {
        let fields = unsafe { text(fields, fields_length) }.replace('\0', " ");
        let line = format!("{} {fields}", unsafe { text(message, length) });
        with(|host| host.log.push((level, line)));
    }

    pub unsafe fn annotate(
        key: *const u8,
        key_length: usize,
        value: *const u8,
        value_length: usize,
    ) {
        let field = unsafe { (text(key, key_length), text(value, value_length)) };
        with(|host| host.annotations.push(field));
    }
}
