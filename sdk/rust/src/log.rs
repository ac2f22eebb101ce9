//! Messages for the operator.
//!
//! [`write`] is part of http-wasm and needs no grant. [`emit`] and [`annotate`] are the capability
//! `ergo_log` and need the grant of that name.

use crate::abi;

/// How much a message matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Level {
    /// For the policy's author.
    Debug = -1,
    /// Ordinary operation.
    Info = 0,
    /// Something an operator should look at.
    Warn = 1,
    /// The policy could not do its work.
    Error = 2,
}

/// Writes one message to the host's log.
pub fn write(level: Level, message: &str) {
    // SAFETY: `message` outlives the call.
    unsafe { abi::write_log(level as i32, message.as_ptr(), message.len()) }
}

/// Whether the host keeps messages of this level; ask before making an expensive one.
pub fn enabled(level: Level) -> bool {
    // SAFETY: no memory is shared.
    unsafe { abi::log_enabled(level as i32) != 0 }
}

/// Writes one message with fields. Neither keys nor values may contain NUL: what follows one is cut.
pub fn emit(level: Level, message: &str, fields: &[(&str, &str)]) {
    let mut joined = Vec::new();
    for text in fields.iter().flat_map(|&(key, value)| [key, value]) {
        joined.extend(text.bytes().take_while(|&byte| byte != 0));
        joined.push(0);
    }
    // SAFETY: both slices outlive the call.
    unsafe {
        abi::emit(level as i32, message.as_ptr(), message.len(), joined.as_ptr(), joined.len())
    }
}

/// Adds a field to this exchange's line of the access log.
pub fn annotate(key: &str, value: impl AsRef<[u8]>) {
    let value = value.as_ref();
    // SAFETY: both slices outlive the call.
    unsafe { abi::annotate(key.as_ptr(), key.len(), value.as_ptr(), value.len()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Host;

    #[test]
    fn messages_reach_the_host() {
        let mut host = Host::new("GET", "/");
        host.during(|| {
            assert!(enabled(Level::Debug));
            write(Level::Warn, "plain");
            emit(Level::Info, "with", &[("key", "value\0hidden"), ("empty", "")]);
            annotate("consumer", "alice");
        });
        assert_eq!(host.log, [(1, "plain".into()), (0, "with key value empty  ".into())]);
        assert_eq!(host.annotations, [("consumer".into(), "alice".into())]);
    }
}
