//! Encrypts and decrypts whole bodies as JSON Web Encryption (RFC 7516). See README.md.

mod guest;
mod message;
mod opener;
mod refusal;
mod sealer;
mod settings;
#[cfg(test)]
mod tests;

pub use guest::Jwe;

ergo_sdk::policy!(Jwe);
