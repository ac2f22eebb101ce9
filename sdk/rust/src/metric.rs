//! The capability `ergo_metric`: metrics that only the policy can know of. A policy that uses it needs
//! the grant `ergo_metric`.
//!
//! Metrics belong to all instances of the policy. They are defined when it is configured, at most 256,
//! with names of at most 256 bytes; the same name is the same metric.

use crate::abi;

/// Why the host refused a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricError {
    /// The name is empty or too long.
    BadArgument,
    /// The policy has as many metrics as it may have.
    Full,
    /// The name is that of another kind of metric.
    OtherKind,
}

/// A metric that goes up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counter(u32);

impl Counter {
    /// Makes a counter.
    pub fn define(name: &str) -> Result<Self, MetricError> {
        define(0, name).map(Counter)
    }

    /// Counts `n` more.
    pub fn add(&self, n: u32) {
        if n > 0 {
            // SAFETY: no memory is shared.
            unsafe { abi::add_metric(self.0, i64::from(n)) };
        }
    }

    /// What all instances have counted.
    pub fn value(&self) -> u64 {
        value(self.0)
    }
}

/// A metric that goes up and down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gauge(u32);

impl Gauge {
    /// Makes a gauge.
    pub fn define(name: &str) -> Result<Self, MetricError> {
        define(1, name).map(Gauge)
    }

    /// Says what it is now.
    pub fn set(&self, value: i64) {
        // SAFETY: no memory is shared.
        unsafe { abi::record_metric(self.0, value) };
    }

    /// Changes it by `delta`.
    pub fn add(&self, delta: i64) {
        // SAFETY: no memory is shared.
        unsafe { abi::add_metric(self.0, delta) };
    }

    /// What it is now.
    pub fn value(&self) -> i64 {
        value(self.0) as i64
    }
}

/// A metric that counts observations by their size, in powers of two up to 2^36.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Histogram(u32);

impl Histogram {
    /// Makes a histogram.
    pub fn define(name: &str) -> Result<Self, MetricError> {
        define(2, name).map(Histogram)
    }

    /// Counts one observation; one beyond `i64::MAX` is not counted.
    pub fn observe(&self, value: u64) {
        // SAFETY: no memory is shared.
        unsafe { abi::record_metric(self.0, value as i64) };
    }
}

fn define(kind: u32, name: &str) -> Result<u32, MetricError> {
    let mut id = 0;
    // SAFETY: `name` and `id` outlive the call.
    match unsafe { abi::define_metric(kind, name.as_ptr(), name.len(), &mut id) } {
        0 => Ok(id),
        11 => Err(MetricError::Full),
        12 => Err(MetricError::OtherKind),
        _ => Err(MetricError::BadArgument),
    }
}

fn value(id: u32) -> u64 {
    let mut value = 0;
    // SAFETY: `value` outlives the call.
    unsafe { abi::metric_value(id, &mut value) };
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, Metric};

    #[test]
    fn metrics_reach_the_host() {
        let mut host = Host::new("GET", "/");
        host.during(|| {
            let hits = Counter::define("hits").unwrap();
            hits.add(2);
            hits.add(0);
            Counter::define("hits").unwrap().add(1);
            assert_eq!(hits.value(), 3);
            let depth = Gauge::define("depth").unwrap();
            depth.set(5);
            depth.add(-7);
            assert_eq!(depth.value(), -2);
            Histogram::define("size").unwrap().observe(10);
            assert_eq!(Gauge::define("hits"), Err(MetricError::OtherKind));
            assert_eq!(Gauge::define(""), Err(MetricError::BadArgument));
            for i in 3..256 {
                Counter::define(&i.to_string()).unwrap();
            }
            assert_eq!(Counter::define("more"), Err(MetricError::Full));
        });
        let size = Metric { kind: 2, name: "size".into(), value: 0, observed: vec![10] };
        assert_eq!(host.metrics[2], size);
        assert_eq!(host.metrics[0].value, 3);
    }
}
