//! The capability `ergo_clock`: the time, and how much of it is left. A policy that uses it needs the
//! grant `ergo_clock`.

use std::time::Duration;

use crate::abi;

/// The time since 1970-01-01T00:00:00Z. It may be set, so it is no measure of how long something took.
pub fn now() -> Duration {
    // SAFETY: no memory is shared.
    Duration::from_nanos(unsafe { abi::clock_wall() })
}

/// A time that never goes back, since some moment.
pub fn monotonic() -> Duration {
    // SAFETY: no memory is shared.
    Duration::from_nanos(unsafe { abi::clock_monotonic() })
}

/// When the request's head was complete, on the clock of [`monotonic`].
pub fn began() -> Duration {
    // SAFETY: no memory is shared.
    Duration::from_nanos(unsafe { abi::clock_began() })
}

/// How long the exchange has until its deadline; `None` if it has none.
pub fn remaining() -> Option<Duration> {
    // SAFETY: no memory is shared.
    match unsafe { abi::clock_remaining() } {
        NO_DEADLINE => None,
        left => Some(Duration::from_nanos(left)),
    }
}

const NO_DEADLINE: u64 = i64::MAX as u64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Clock, Host};

    #[test]
    fn time_is_the_hosts() {
        let mut host = Host::new("GET", "/");
        host.clock =
            Clock { wall: 1_700_000_000_000_000_000, monotonic: 300, began: 100, remaining: None };
        host.during(|| {
            assert_eq!(now(), Duration::from_secs(1_700_000_000));
            assert_eq!(monotonic() - began(), Duration::from_nanos(200));
            assert_eq!(remaining(), None);
        });
        host.clock.remaining = Some(50);
        host.during(|| assert_eq!(remaining(), Some(Duration::from_nanos(50))));
    }
}
