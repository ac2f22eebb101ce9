//! Write Ergo policies in Rust.
//!
//! A policy is a type that implements [`Policy`] and is registered once with [`policy!`]. It is built
//! as a `cdylib` for `wasm32-unknown-unknown` and speaks the http-wasm ABI (`http_handler`), so it
//! also runs in other hosts of that ABI as long as it uses none of Ergo's capability modules
//! ([`route`], [`log`]).
//!
//! ```
//! use ergo_sdk::{Config, ConfigError, Flow, Policy, Request};
//!
//! struct Teapot {
//!     path: String,
//! }
//!
//! impl Policy for Teapot {
//!     fn configure(config: &Config) -> Result<Self, ConfigError> {
//!         let mut object = config.object()?;
//!         let path = object.required("path")?.text()?.to_owned();
//!         object.finish()?;
//!         Ok(Teapot { path })
//!     }
//!
//!     fn request(&self, request: &Request) -> Flow {
//!         if request.target().path() == self.path.as_bytes() {
//!             return request.answer(418).text("short and stout\n");
//!         }
//!         Flow::Continue
//!     }
//! }
//!
//! ergo_sdk::policy!(Teapot);
//! ```
//!
//! A module imports only what its code uses: the linker drops every host function that is never
//! called. So a policy that calls nothing in [`route`] needs no grant for `ergo_route`, and one that
//! never reads a body has no `read_body` import.
//!
//! On any other target than wasm32 the host is replaced by [`testing::Host`], so policies have
//! ordinary unit tests.

mod abi;
mod body;
mod buffer;
mod config;
mod header;
pub mod json;
pub mod log;
mod policy;
pub mod random;
mod request;
mod response;
pub mod route;
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
pub use target::{Target, normalize_path, percent_decode};
