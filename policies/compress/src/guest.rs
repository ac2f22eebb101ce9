//! The policy as the host sees it: a plugin of proxy-wasm, because that ABI shows bodies piece by piece.

use std::cell::Cell;
use std::rc::Rc;

use ergo_sdk::Config;
use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, BufferType, ContextType, LogLevel, MapType};

use crate::encoder::{Coding, Encoder};
use crate::head::{self, Fields, Verdict};
use crate::negotiate::{self, Chosen};
use crate::settings::Settings;

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Warn);
    proxy_wasm::set_root_context(|_| Box::new(Root { plugin: None }));
}}

/// What all encoders of an instance may take of its memory. A response that finds no room
/// for any coding that its client takes stays as it is.
const ENCODERS_BYTES: usize = 32 << 20;

/// The host reads as much of a body at once; a piece that is shorter is all that was there.
const PIECE_BYTES: usize = 16 << 10;

const BODY: BufferType = BufferType::HttpResponseBody;
const HEAD: MapType = MapType::HttpResponseHeaders;

struct Root {
    plugin: Option<Rc<Plugin>>,
}

/// What all exchanges share.
struct Plugin {
    settings: Settings,
    /// Memory that encoders take.
    taken: Cell<usize>,
}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, _: usize) -> bool {
        let bytes = self.get_plugin_configuration().unwrap_or_default();
        match Config::parse(&bytes).and_then(|config| Settings::configure(&config)) {
            Ok(settings) => {
                self.plugin = Some(Rc::new(Plugin { settings, taken: Cell::new(0) }));
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
        let chosen = Chosen { codings: Vec::new(), identity_refused: false };
        Some(Box::new(Exchange { plugin, chosen, head_only: false, encoder: None, last: 0 }))
    }
}

/// One request and its response.
struct Exchange {
    plugin: Rc<Plugin>,
    chosen: Chosen,
    /// It is HEAD: the response has no body, whatever it says.
    head_only: bool,
    encoder: Option<Encoder>,
    /// Length of what the last piece became.
    last: usize,
}

impl Context for Exchange {}

impl HttpContext for Exchange {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        let fields = read(MapType::HttpRequestHeaders);
        self.head_only = fields.first(":method") == Some("HEAD");
        self.chosen = negotiate::choose(fields.all("accept-encoding"), &self.plugin.settings.codings);
        Action::Continue
    }

    fn on_http_response_headers(&mut self, _: usize, end: bool) -> Action {
        let fields = read(HEAD);
        let verdict = head::decide(&self.plugin.settings, &fields, self.head_only, end, &self.chosen);
        if verdict != Verdict::Alone && head::lacks_vary(&fields) {
            let _ = hostcalls::add_map_value(HEAD, "vary", "accept-encoding");
        }
        if verdict == Verdict::Compress {
            self.begin(&fields);
        }
        Action::Continue
    }

    fn on_http_response_body(&mut self, size: usize, end: bool) -> Action {
        if self.encoder.is_some() {
            let piece = hostcalls::get_buffer(BODY, 0, size).ok().flatten().unwrap_or_default();
            let made = self.encode(&piece, end);
            hostcalls::set_buffer(BODY, 0, size, &made).expect("the host takes a piece");
            self.last = made.len();
        }
        Action::Continue
    }

    /// Trailers follow on the last piece, which did not know that it was.
    fn on_http_response_trailers(&mut self, _: usize) -> Action {
        if self.encoder.is_some() {
            let made = self.encode(&[], true);
            hostcalls::set_buffer(BODY, self.last, 0, &made).expect("the host takes a piece");
        }
        Action::Continue
    }
}

impl Exchange {
    /// Says that the body is compressed, with the best coding that there is room for, if any.
    fn begin(&mut self, fields: &Fields) {
        let plugin = &self.plugin;
        let room = ENCODERS_BYTES - plugin.taken.get();
        let Some(&coding) = self.chosen.codings.iter().find(|coding| coding.bytes() <= room) else { return };
        plugin.taken.set(plugin.taken.get() + coding.bytes());
        self.encoder = Some(Encoder::new(coding, plugin.settings.level(coding)));
        let _ = hostcalls::set_map_value(HEAD, "content-encoding", Some(coding.name()));
        let _ = hostcalls::set_map_value(HEAD, "content-length", None);
        let _ = hostcalls::set_map_value(HEAD, "accept-ranges", None);
        if let Some(tag) = fields.first("etag").and_then(head::weakened) {
            let _ = hostcalls::set_map_value(HEAD, "etag", Some(&tag));
        }
    }

    /// Compresses a piece. One that is not full was all that the upstream had to say for now, and the client
    /// gets it now: events and endless responses go on as they come.
    fn encode(&mut self, piece: &[u8], end: bool) -> Vec<u8> {
        let Some(encoder) = &mut self.encoder else { return Vec::new() };
        let flush = !end && piece.len() < PIECE_BYTES;
        let mut made = encoder.write(piece, flush).expect("memory is written to");
        if let Some(encoder) = self.encoder.take_if(|_| end) {
            self.plugin.give_back(encoder.coding());
            made.extend(encoder.finish().expect("memory is written to"));
        }
        made
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if let Some(encoder) = &self.encoder {
            self.plugin.give_back(encoder.coding());
        }
    }
}

impl Plugin {
    fn give_back(&self, coding: Coding) {
        self.taken.set(self.taken.get() - coding.bytes());
    }
}

fn read(map: MapType) -> Fields {
    Fields(hostcalls::get_map_bytes(map).unwrap_or_default())
}
