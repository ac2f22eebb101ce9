//! Compresses responses for clients that ask for it. See README.md.

pub mod encoder;
#[cfg(target_arch = "wasm32")]
mod guest;
pub mod head;
pub mod negotiate;
pub mod settings;
