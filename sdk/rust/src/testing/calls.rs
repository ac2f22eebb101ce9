//! The imports of calls to other hosts, acting on the [`Host`](super::Host) of the running test.
#![allow(
    clippy::missing_safety_doc,
    reason = "the ABI's contract: pointers are valid for their lengths"
)]

use super::abi::{give, text, with};
use crate::http::Answered;

#[allow(clippy::too_many_arguments, reason = "the ABI has them")]
pub unsafe fn start_call(
    method: *const u8,
    method_length: usize,
    url: *const u8,
    url_length: usize,
    fields: *const u8,
    fields_length: usize,
    body: *const u8,
    body_length: usize,
    _: u32,
    handle: *mut u32,
) -> u32 {
    let parts = unsafe {
        [
            text(method, method_length),
            text(url, url_length),
            text(fields, fields_length),
            text(body, body_length),
        ]
    };
    with(|host| {
        host.calls.push(parts.join(" "));
        if host.answers.is_empty() {
            return 5;
        }
        let answer = host.answers.remove(0);
        host.given.push(answer);
        host.open_calls += 1;
        unsafe { handle.write(host.given.len() as u32 - 1) };
        0
    })
}

#[allow(clippy::too_many_arguments, reason = "the ABI has them")]
pub unsafe fn send_call(
    method: *const u8,
    method_length: usize,
    url: *const u8,
    url_length: usize,
    fields: *const u8,
    fields_length: usize,
    body: *const u8,
    body_length: usize,
    timeout: u32,
) -> u32 {
    let mut handle = 0;
    let status = unsafe {
        start_call(
            method,
            method_length,
            url,
            url_length,
            fields,
            fields_length,
            body,
            body_length,
            timeout,
            &mut handle,
        )
    };
    if status == 0 {
        unsafe { close_call(handle) };
    }
    status
}

fn given<T>(handle: u32, act: impl FnOnce(&Answered) -> T) -> T {
    with(|host| act(&host.given[handle as usize]))
}

pub unsafe fn await_call(_: u32, _: u32) -> u32 {
    0
}

pub unsafe fn get_call_status(handle: u32) -> u32 {
    given(handle, |answer| answer.status)
}

pub unsafe fn get_call_fields(handle: u32, kind: u32, buf: *mut u8, limit: usize) -> usize {
    given(handle, |answer| {
        let fields = if kind == 0 { &answer.header } else { &answer.trailer };
        let list: Vec<u8> = fields
            .iter()
            .flat_map(|(name, value)| [&name[..], b"\0", &value[..], b"\0"].concat())
            .collect();
        unsafe { give(&list, buf, limit) }
    })
}

pub unsafe fn get_call_body_length(handle: u32) -> usize {
    given(handle, |answer| answer.body.len())
}

pub unsafe fn read_call_body(handle: u32, offset: usize, buf: *mut u8, limit: usize) -> usize {
    given(handle, |answer| {
        let length = limit.min(answer.body.len() - offset);
        unsafe { give(&answer.body[offset..offset + length], buf, limit) }
    })
}

pub unsafe fn close_call(_: u32) -> u32 {
    with(|host| host.open_calls -= 1);
    0
}
