//! The imports of metrics, secrets, clocks and identity, acting on the [`Host`](super::Host) of the
//! running test.
#![allow(
    clippy::missing_safety_doc,
    reason = "the ABI's contract: pointers are valid for their lengths"
)]

use super::Metric;
use super::abi::{give, give_list, text, with};

pub unsafe fn define_metric(kind: u32, name: *const u8, length: usize, id: *mut u32) -> u32 {
    let name = unsafe { text(name, length) };
    with(|host| {
        let at = match host.metrics.iter().position(|metric| metric.name == name) {
            _ if name.is_empty() || length > 256 => return 2,
            Some(at) if host.metrics[at].kind != kind => return 12,
            Some(at) => at,
            None if host.metrics.len() == 256 => return 11,
            None => {
                host.metrics.push(Metric { kind, name, value: 0, observed: Vec::new() });
                host.metrics.len() - 1
            }
        };
        unsafe { id.write(at as u32) };
        0
    })
}

pub unsafe fn add_metric(id: u32, delta: i64) -> u32 {
    with(|host| host.metrics[id as usize].value += delta);
    0
}

pub unsafe fn record_metric(id: u32, value: i64) -> u32 {
    with(|host| match &mut host.metrics[id as usize] {
        metric if metric.kind == 2 => metric.observed.push(value),
        metric => metric.value = value,
    });
    0
}

pub unsafe fn metric_value(id: u32, value: *mut u64) -> u32 {
    with(|host| unsafe { value.write(host.metrics[id as usize].value as u64) });
    0
}

/// A getter that may find nothing.
unsafe fn give_found(value: Option<&[u8]>, buf: *mut u8, limit: usize) -> usize {
    match value {
        Some(value) => unsafe { give(value, buf, limit) },
        None => u32::MAX as usize,
    }
}

pub unsafe fn get_secret(name: *const u8, length: usize, buf: *mut u8, limit: usize) -> usize {
    let name = unsafe { text(name, length) };
    with(|host| {
        let found = host.secrets.iter().find(|(known, _)| *known == name);
        unsafe { give_found(found.map(|(_, value)| &value[..]), buf, limit) }
    })
}

pub unsafe fn clock_wall() -> u64 {
    with(|host| host.clock.wall)
}

pub unsafe fn clock_monotonic() -> u64 {
    with(|host| host.clock.monotonic)
}

pub unsafe fn clock_began() -> u64 {
    with(|host| host.clock.began)
}

pub unsafe fn clock_remaining() -> u64 {
    with(|host| host.clock.remaining.unwrap_or(i64::MAX as u64))
}

pub unsafe fn get_client_scheme(buf: *mut u8, limit: usize) -> usize {
    with(|host| unsafe { give(host.client_scheme.as_bytes(), buf, limit) })
}

pub unsafe fn get_subject(buf: *mut u8, limit: usize) -> usize {
    with(|host| unsafe { give(host.subject.as_bytes(), buf, limit) })
}

pub unsafe fn get_identifier(buf: *mut u8, limit: usize) -> usize {
    with(|host| {
        let by: &[u8] = if host.subject.is_empty() { b"" } else { b"host" };
        unsafe { give(by, buf, limit) }
    })
}

pub unsafe fn get_attribute(name: *const u8, length: usize, buf: *mut u8, limit: usize) -> usize {
    let name = unsafe { text(name, length) };
    with(|host| {
        let found = host.attributes.iter().find(|(known, _)| *known == name);
        unsafe { give_found(found.map(|(_, value)| value.as_bytes()), buf, limit) }
    })
}

pub unsafe fn get_attribute_names(buf: *mut u8, limit: usize) -> u64 {
    let names: Vec<Vec<u8>> =
        with(|host| host.attributes.iter().map(|(name, _)| name.clone().into_bytes()).collect());
    unsafe { give_list(&names, buf, limit) }
}

pub unsafe fn identify(subject: *const u8, length: usize) -> u32 {
    let subject = unsafe { text(subject, length) };
    if subject.is_empty() || subject.contains(char::is_control) {
        return 2;
    }
    with(|host| {
        host.subject = subject;
        host.attributes.clear();
    });
    0
}

pub unsafe fn set_attribute(
    name: *const u8,
    name_length: usize,
    value: *const u8,
    value_length: usize,
) -> u32 {
    let (name, value) = unsafe { (text(name, name_length), text(value, value_length)) };
    with(|host| {
        if name.is_empty() || name.contains(char::is_control) || value.contains(char::is_control) {
            return 2;
        }
        if host.subject.is_empty() {
            return 1;
        }
        match host.attributes.iter().position(|(known, _)| *known == name) {
            Some(at) => host.attributes[at].1 = value,
            None if host.attributes.len() == 32 => return 11,
            None => host.attributes.push((name, value)),
        }
        0
    })
}

pub unsafe fn forget() -> u32 {
    with(|host| {
        host.subject.clear();
        host.attributes.clear();
    });
    0
}
