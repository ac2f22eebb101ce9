use crate::{Words, show};
use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action, BufferType, Bytes};

/// Changes one body: its first word says which one, the second how.
pub struct Body {
    pub words: Words,
}

/// Returns what is held of a body.
pub fn read(which: BufferType, size: usize) -> Bytes {
    hostcalls::get_buffer(which, 0, size).unwrap().unwrap_or_default()
}

impl Body {
    fn change(&self, which: BufferType, size: usize, end: bool) -> Action {
        let how = self.words.at(2);
        if how != "stream" && !end {
            return Action::Pause;
        }
        match how {
            "stream" | "upper" => {
                let text = read(which, size).to_ascii_uppercase();
                hostcalls::set_buffer(which, 0, size, &text).unwrap();
            }
            "replace" => hostcalls::set_buffer(which, 0, size, b"replaced").unwrap(),
            "append" => hostcalls::set_buffer(which, size, 0, b"<tail>").unwrap(),
            "prepend" => hostcalls::set_buffer(which, 0, 0, b"<head>").unwrap(),
            _ => {}
        }
        Action::Continue
    }
}

impl Context for Body {}

impl HttpContext for Body {
    fn on_http_request_headers(&mut self, _: usize, end: bool) -> Action {
        if self.words.at(1) != "request" {
            return Action::Continue;
        }
        self.set_http_request_header("content-length", None);
        if self.words.at(2) == "gate" && !end { Action::Pause } else { Action::Continue }
    }

    fn on_http_request_body(&mut self, size: usize, end: bool) -> Action {
        if self.words.at(1) != "request" {
            return Action::Continue;
        }
        if self.words.at(2) == "gate" && end {
            show("x-body", &String::from_utf8(read(BufferType::HttpRequestBody, size)).unwrap());
            return Action::Continue;
        }
        self.change(BufferType::HttpRequestBody, size, end)
    }

    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        if self.words.at(1) == "response" {
            self.set_http_response_header("content-length", None);
        }
        Action::Continue
    }

    fn on_http_response_body(&mut self, size: usize, end: bool) -> Action {
        if self.words.at(1) != "response" {
            return Action::Continue;
        }
        self.change(BufferType::HttpResponseBody, size, end)
    }
}
