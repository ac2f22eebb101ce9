#![doc = include_str!("../README.md")]
#![allow(clippy::test_attr_in_doctest, reason = "the README shows where a test goes")]

mod abi;
pub mod base64;
mod body;
mod buffer;
pub mod cache;
pub mod clock;
mod config;
pub mod connection;
pub mod crypto;
mod header;
pub mod http;
pub mod identity;
pub mod json;
pub mod kv;
pub mod log;
pub mod metric;
mod policy;
pub mod random;
mod request;
mod response;
pub mod route;
pub mod secret;
mod target;
pub mod template;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;

pub use body::Body;
pub use config::{Config, ConfigError, Node, Object};
pub use header::{Headers, Values, header_name};
pub use policy::{Features, Flow, Policy, Slot};
pub use request::{Answer, Request};
pub use response::Response;
pub use target::{Target, percent_decode};
