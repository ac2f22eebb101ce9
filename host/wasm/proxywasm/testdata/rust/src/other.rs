use crate::body::read;
use crate::{Words, show};
use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action, BufferType, GrpcStatusCode, MapType};

pub struct Nothing;

impl Context for Nothing {}

impl HttpContext for Nothing {}

/// answer PHASE STATUS [GRPC] answers in the place of whoever is behind.
pub struct Answer {
    pub words: Words,
}

impl Answer {
    fn send(&self, text: &[u8]) -> Action {
        let fields = vec![("X-Answer", "1"), ("X-Answer", "2")];
        if self.words.at(3) == "7" {
            let fields = fields.into_iter().map(|(n, v)| (n, v.as_bytes())).collect();
            let text = std::str::from_utf8(text).unwrap();
            self.send_grpc_response(GrpcStatusCode::PermissionDenied, Some(text), fields);
        } else {
            self.send_http_response(self.words.number(2).unwrap(), fields, Some(text));
        }
        Action::Pause
    }
}

impl Context for Answer {}

impl HttpContext for Answer {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        match self.words.at(1) {
            "headers" => self.send(b"answered"),
            "twice" => {
                self.send(b"first");
                self.send(b"second")
            }
            _ => Action::Continue,
        }
    }

    fn on_http_request_body(&mut self, size: usize, end: bool) -> Action {
        match self.words.at(1) {
            "body" if end => self.send(&read(BufferType::HttpRequestBody, size)),
            "body" => Action::Pause,
            _ => Action::Continue,
        }
    }

    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        if self.words.at(1) == "response" { self.send(b"answered") } else { Action::Continue }
    }
}

/// property PATH[=VALUE]...: shows properties, or sets them first.
pub struct Property {
    pub words: Words,
}

impl Context for Property {}

impl HttpContext for Property {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        for word in &self.words.0[1..] {
            let (name, value) = match word.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (word.as_str(), None),
            };
            let path: Vec<_> = name.split('.').collect();
            if let Some(value) = value {
                self.set_property(path.clone(), Some(value.as_bytes()));
            }
            match self.get_property(path) {
                Some(found) => {
                    show("x-property", &format!("{name}={}", std::str::from_utf8(&found).unwrap()))
                }
                None => show("x-property", &format!("{name}?")),
            }
        }
        Action::Continue
    }
}

/// foreign NAME [ARGUMENT] calls a function of the host.
pub struct Foreign {
    pub words: Words,
}

impl Context for Foreign {}

impl HttpContext for Foreign {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        match self.call_foreign_function(self.words.at(1), Some(self.words.at(2).as_bytes())) {
            Ok(result) => show(
                "x-foreign",
                &format!("[{}]", String::from_utf8(result.unwrap_or_default()).unwrap()),
            ),
            Err(status) => show("x-foreign", &format!("{status:?}")),
        }
        Action::Continue
    }
}

/// Logs at each level.
pub struct Levels;

impl Context for Levels {}

impl HttpContext for Levels {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        log::trace!("at trace");
        log::debug!("at debug");
        log::info!("at info");
        log::warn!("at warn");
        log::error!("at error");
        hostcalls::log(proxy_wasm::types::LogLevel::Critical, "at critical").unwrap();
        Action::Continue
    }
}

/// Logs what it sees at the end of an exchange.
pub struct Done;

impl Context for Done {}

impl HttpContext for Done {
    fn on_log(&mut self) {
        let method = self.get_http_request_header(":method").unwrap();
        let status = self.get_http_response_header(":status").unwrap_or("none".into());
        log::info!("done {method} {status}");
    }
}

impl Drop for Done {
    fn drop(&mut self) {
        log::info!("deleted");
    }
}

/// Panics where x-panic says.
pub struct Panics;

fn panic_at(phase: &str) -> Action {
    if hostcalls::get_map_value(MapType::HttpRequestHeaders, "x-panic").unwrap().as_deref()
        == Some(phase)
    {
        panic!("asked to, at the {phase}");
    }
    Action::Continue
}

impl Context for Panics {}

impl HttpContext for Panics {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        panic_at("request")
    }

    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        panic_at("response")
    }
}

/// close PHASE resets the exchange.
pub struct Close {
    pub words: Words,
}

impl Context for Close {}

impl HttpContext for Close {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        if self.words.at(1) == "request" {
            self.reset_http_request();
            return Action::Pause;
        }
        Action::Continue
    }

    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        if self.words.at(1) == "response" {
            self.reset_http_response();
            return Action::Pause;
        }
        Action::Continue
    }
}
