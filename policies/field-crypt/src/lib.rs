//! Encrypts and decrypts chosen fields of JSON bodies. See README.md.

pub mod automaton;
pub mod context;
#[cfg(target_arch = "wasm32")]
mod guest;
pub mod head;
pub mod meters;
pub mod path;
pub mod refusal;
pub mod rewrite;
pub mod scan;
pub mod settings;
#[cfg(test)]
mod tests;
pub mod token;
pub mod work;
#[cfg(test)]
mod work_tests;
