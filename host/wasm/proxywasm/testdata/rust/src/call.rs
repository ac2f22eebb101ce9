use crate::{Shared, Words, show};
use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action, BufferType, MapType, Status};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

/// Calls out as the configuration says: call PHASE UPSTREAM PATH MS.
pub fn dispatch(context: &dyn Context, words: &Words) -> Result<u32, Status> {
    let head = vec![
        (":method", "POST"),
        (":path", words.at(3)),
        (":authority", "callee.example"),
        ("x-call", "a"),
        ("x-call", "b"),
    ];
    let timeout = Duration::from_millis(words.number(4).unwrap());
    context.dispatch_http_call(
        words.at(2),
        head,
        Some(b"ping"),
        vec![("x-call-trailer", "t")],
        timeout,
    )
}

/// Returns what a call came to, as fields.
pub fn outcome(headers: usize, size: usize, trailers: usize) -> Vec<(String, String)> {
    if headers == 0 {
        return vec![("x-called".into(), "failed".into())];
    }
    let mut result = Vec::new();
    for (name, value) in hostcalls::get_map(MapType::HttpCallResponseHeaders).unwrap() {
        match name.as_str() {
            ":status" => result.push(("x-called".into(), value)),
            "x-reply" => result.push((name, value)),
            _ => {}
        }
    }
    if size > 0 {
        let text =
            hostcalls::get_buffer(BufferType::HttpCallResponseBody, 0, size).unwrap().unwrap();
        result.push(("x-call-body".into(), String::from_utf8(text).unwrap()));
    }
    if trailers > 0 {
        result.extend(hostcalls::get_map(MapType::HttpCallResponseTrailers).unwrap());
    }
    result
}

/// Waits for calls, in the phase that the configuration says.
pub struct Call {
    pub words: Words,
    pub shared: Rc<RefCell<Shared>>,
    pub open: u32,
}

impl Call {
    fn wait(&mut self, calls: u32) -> Action {
        for _ in 0..calls {
            if dispatch(self, &self.words).is_err() {
                self.add("x-called", "refused");
                return Action::Continue;
            }
            self.open += 1;
        }
        Action::Pause
    }

    fn add(&self, name: &str, value: &str) {
        if self.words.at(1) == "response" {
            self.add_http_response_header(name, value);
        } else {
            self.add_http_request_header(name, value);
        }
    }
}

impl Context for Call {
    fn on_http_call_response(&mut self, _: u32, headers: usize, size: usize, trailers: usize) {
        for (name, value) in outcome(headers, size, trailers) {
            self.add(&name, &value);
        }
        self.open -= 1;
        match self.words.at(1) {
            _ if self.open > 0 => {}
            "response" => self.resume_http_response(),
            _ => self.resume_http_request(),
        }
    }
}

impl HttpContext for Call {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        match self.words.at(1) {
            "request" => self.wait(1),
            "two" => self.wait(2),
            "start" => {
                show("x-called", &self.shared.borrow().called);
                Action::Continue
            }
            _ => Action::Continue,
        }
    }

    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        if self.words.at(1) == "response" { self.wait(1) } else { Action::Continue }
    }
}
