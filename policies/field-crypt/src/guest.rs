//! The policy as the host sees it: a plugin of proxy-wasm, because that ABI shows bodies piece by piece.

use std::panic;
use std::rc::Rc;

use ergo_sdk::{Config, identity};
use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, BufferType, ContextType, LogLevel, MapType};

use crate::context::{self, Known};
use crate::head::{Content, Head, STALE};
use crate::meters::Meters;
use crate::refusal::Refusal;
use crate::rewrite::{Held, Rewriter};
use crate::settings::{Direction, Settings};
use crate::work::Work;

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Warn);
    // A panic's message may have in it what it was about, which may be a plaintext.
    panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        let _ = hostcalls::log(LogLevel::Critical, &format!("panic at {place}"));
    }));
    proxy_wasm::set_root_context(|_| Box::new(Root { plugin: None }));
}}

struct Root {
    plugin: Option<Rc<Plugin>>,
}

/// What all exchanges share.
struct Plugin {
    settings: Settings,
    meters: Meters,
}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, _: usize) -> bool {
        let bytes = self.get_plugin_configuration().unwrap_or_default();
        match Config::parse(&bytes).and_then(|config| Settings::configure(&config)) {
            Ok(settings) => {
                self.plugin = Some(Rc::new(Plugin { settings, meters: Meters::define() }));
                true
            }
            Err(error) => {
                let _ = hostcalls::log(LogLevel::Error, &error.to_string());
                false
            }
        }
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        let plugin = self.plugin.clone()?;
        Some(Box::new(Exchange { plugin, bound: Vec::new(), passages: [None, None], over: false }))
    }
}

/// One request and its response.
struct Exchange {
    plugin: Rc<Plugin>,
    /// What values are bound to.
    bound: Vec<u8>,
    passages: [Option<Passage>; 2],
    /// It was refused.
    over: bool,
}

/// A body on its way.
struct Passage {
    rewriter: Rewriter,
    /// The head waits until so much of the body was looked at; 0: it does not.
    hold: usize,
}

/// A direction.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Request,
    Response,
}

impl Way {
    fn head(self) -> MapType {
        match self {
            Way::Request => MapType::HttpRequestHeaders,
            Way::Response => MapType::HttpResponseHeaders,
        }
    }

    fn trailers(self) -> MapType {
        match self {
            Way::Request => MapType::HttpRequestTrailers,
            Way::Response => MapType::HttpResponseTrailers,
        }
    }

    fn body(self) -> BufferType {
        match self {
            Way::Request => BufferType::HttpRequestBody,
            Way::Response => BufferType::HttpResponseBody,
        }
    }

    fn of(self, settings: &Settings) -> Option<&Direction> {
        match self {
            Way::Request => settings.request.as_ref(),
            Way::Response => settings.response.as_ref(),
        }
    }
}

/// The part of a body that the host holds.
struct Buffer(BufferType);

impl Held for Buffer {
    fn bytes(&self, start: usize, end: usize) -> Vec<u8> {
        hostcalls::get_buffer(self.0, start, end - start).ok().flatten().unwrap_or_default()
    }

    fn replace(&mut self, start: usize, bytes: &[u8]) {
        let _ = hostcalls::set_buffer(self.0, start, usize::MAX - start, bytes);
    }
}

/// Whom `ergo_identity` knows.
struct Identity;

impl Known for Identity {
    fn subject(&self) -> Option<String> {
        identity::subject()
    }

    fn attribute(&self, name: &str) -> Option<String> {
        identity::attribute(name)
    }
}

impl Exchange {
    /// Looks at a request's head, and makes ready for its body and for the response.
    fn request_head(&mut self, ends: bool) -> Result<Action, Refusal> {
        let settings = &self.plugin.settings;
        let head = head_of(Way::Request);
        let begun = match Way::Request.of(settings) {
            Some(direction) if !ends => begin(direction, &head, Way::Request)?,
            _ => None,
        };
        if begun.is_some() || settings.response.is_some() {
            self.bound = context::gather(&settings.context, &head, &Identity)?;
        }
        if settings.response.is_some() {
            // What comes back has to be whole, and readable.
            remove(Way::Request, &["range", "if-range"]);
            set(Way::Request, "accept-encoding", b"identity");
        }
        Ok(self.start(Way::Request, begun, ends))
    }

    /// Looks at a response's head, and makes ready for its body.
    fn response_head(&mut self, ends: bool) -> Result<Action, Refusal> {
        let Some(direction) = &self.plugin.settings.response else { return Ok(Action::Continue) };
        if is_of_host() {
            return Ok(Action::Continue);
        }
        let head = head_of(Way::Response);
        let ends = ends || matches!(head.only(":status"), Some(b"204" | b"304"));
        let begun = match begin(direction, &head, Way::Response) {
            Err(_) if ends => None,
            begun => begun?,
        };
        // Without a body, the head may still be that of one which would change.
        if begun.is_none() && (!ends || head.has("content-type")) {
            return Ok(Action::Continue);
        }
        if let Some(tag) = head.weakened() {
            set(Way::Response, "etag", &tag);
        }
        remove(Way::Response, &["accept-ranges"]);
        if !direction.store && direction.fields.iter().any(|field| !field.encrypt) {
            set(Way::Response, "cache-control", b"no-store");
            remove(Way::Response, &["cdn-cache-control", "surrogate-control", "expires"]);
        }
        Ok(self.start(Way::Response, begun, ends))
    }

    /// Has a body looked at. Its head waits, if it is to.
    fn start(&mut self, way: Way, begun: Option<Passage>, ends: bool) -> Action {
        let Some(passage) = begun else { return Action::Continue };
        remove(way, &["content-length"]);
        remove(way, &STALE);
        if ends {
            return Action::Continue;
        }
        let waits = passage.hold > 0;
        self.passages[way as usize] = Some(passage);
        if waits { Action::Pause } else { Action::Continue }
    }

    /// Looks at what came of a body. Values of which the end is not here stay with the host.
    fn body(&mut self, way: Way, size: usize, end: bool) -> Result<Action, Refusal> {
        let plugin = &self.plugin;
        let passage = self.passages[way as usize].as_mut();
        let (Some(passage), Some(direction)) = (passage, way.of(&plugin.settings)) else {
            return Ok(Action::Continue);
        };
        let mut work = Work::new(direction, &self.bound);
        let mut held = Buffer(way.body());
        let result = passage.rewriter.read(&direction.automaton, &mut held, size, end, &mut work);
        plugin.meters.count(&work);
        let held = result?;
        if !end && (held < passage.hold || !passage.rewriter.is_whole()) {
            return Ok(Action::Pause);
        }
        passage.hold = 0;
        passage.rewriter.pass();
        Ok(Action::Continue)
    }

    /// The end of a body that trailers follow.
    fn trailers(&mut self, way: Way) -> Result<Action, Refusal> {
        let Some(passage) = &self.passages[way as usize] else { return Ok(Action::Continue) };
        let seen = passage.rewriter.seen();
        for name in STALE.into_iter().chain(["etag"]) {
            let _ = hostcalls::set_map_value(way.trailers(), name, None);
        }
        self.body(way, seen, true)
    }

    /// Goes on as was decided, or refuses the exchange. What is beyond that has no effect.
    fn conclude(&mut self, way: Way, decided: Result<Action, Refusal>) -> Action {
        let refusal = match decided {
            Ok(action) => return action,
            Err(refusal) => refusal,
        };
        self.over = true;
        self.plugin.meters.refused(way == Way::Request, refusal);
        let (status, reason) = match way {
            Way::Request => (refusal.request_status(), refusal.reason()),
            Way::Response => (502, "502 Bad Gateway\n"),
        };
        let mut fields =
            vec![("content-type", "text/plain; charset=utf-8"), ("cache-control", "no-store")];
        if refusal == Refusal::OtherType && way == Way::Request {
            fields.extend([("accept", "application/json"), ("accept-encoding", "identity")]);
        }
        let _ = hostcalls::send_http_response(status, fields, Some(reason.as_bytes()));
        Action::Pause
    }
}

/// Makes ready for a body that is to be looked at; `None` lets it pass.
fn begin(direction: &Direction, head: &Head, way: Way) -> Result<Option<Passage>, Refusal> {
    let lines = match head.content()? {
        Content::Json { lines } => lines,
        Content::Other if direction.pass_other => return Ok(None),
        Content::Other => return Err(Refusal::OtherType),
    };
    let rewriter = Rewriter::new(&direction.automaton, lines, direction.most());
    // Who gets lines wants each when it comes.
    let hold = if lines && way == Way::Response { 0 } else { direction.hold };
    Ok(Some(Passage { rewriter, hold }))
}

fn head_of(way: Way) -> Head {
    Head(hostcalls::get_map_bytes(way.head()).unwrap_or_default())
}

fn set(way: Way, name: &str, value: &[u8]) {
    let _ = hostcalls::set_map_value_bytes(way.head(), name, Some(value));
}

fn remove(way: Way, names: &[&str]) {
    for name in names {
        let _ = hostcalls::set_map_value(way.head(), name, None);
    }
}

/// Whether a response is the host's own, because the exchange failed.
fn is_of_host() -> bool {
    let details = hostcalls::get_property(vec!["response", "code_details"]);
    details.ok().flatten().is_some_and(|details| details != b"via_upstream")
}

impl Context for Exchange {}

impl HttpContext for Exchange {
    fn on_http_request_headers(&mut self, _: usize, ends: bool) -> Action {
        let decided = self.request_head(ends);
        self.conclude(Way::Request, decided)
    }

    fn on_http_request_body(&mut self, size: usize, ends: bool) -> Action {
        if self.over {
            return Action::Pause;
        }
        let decided = self.body(Way::Request, size, ends);
        self.conclude(Way::Request, decided)
    }

    fn on_http_request_trailers(&mut self, _: usize) -> Action {
        if self.over {
            return Action::Pause;
        }
        let decided = self.trailers(Way::Request);
        self.conclude(Way::Request, decided)
    }

    fn on_http_response_headers(&mut self, _: usize, ends: bool) -> Action {
        if self.over {
            return Action::Continue;
        }
        let decided = self.response_head(ends);
        self.conclude(Way::Response, decided)
    }

    fn on_http_response_body(&mut self, size: usize, ends: bool) -> Action {
        if self.over {
            return Action::Pause;
        }
        let decided = self.body(Way::Response, size, ends);
        self.conclude(Way::Response, decided)
    }

    fn on_http_response_trailers(&mut self, _: usize) -> Action {
        if self.over {
            return Action::Pause;
        }
        let decided = self.trailers(Way::Response);
        self.conclude(Way::Response, decided)
    }
}
