//! A proxy-wasm plugin with the Rust SDK. What it does is the first word of its
//! configuration; ../README.md lists them.

mod body;
mod call;
mod grpc;
mod headers;
mod other;
mod pause;
mod state;

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{ContextType, LogLevel, MapType};
use std::cell::RefCell;
use std::rc::Rc;

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Trace);
    proxy_wasm::set_root_context(|_| Box::new(Plugin::default()));
}}

/// What all contexts of one use of the module share.
#[derive(Default)]
struct Shared {
    /// Contexts that the next tick goes on with.
    paused: Vec<u32>,
    /// What the call at the start came to.
    called: String,
    meters: state::Meters,
}

#[derive(Default)]
struct Plugin {
    words: Words,
    shared: Rc<RefCell<Shared>>,
}

/// The words of the configuration.
#[derive(Clone, Default)]
struct Words(Rc<Vec<String>>);

impl Words {
    /// Returns the n-th word, "" if there is none.
    fn at(&self, n: usize) -> &str {
        self.0.get(n).map_or("", String::as_str)
    }

    fn number<T: std::str::FromStr>(&self, n: usize) -> Option<T> {
        self.at(n).parse().ok()
    }
}

impl Context for Plugin {
    fn on_http_call_response(&mut self, _: u32, headers: usize, size: usize, trailers: usize) {
        let result = call::outcome(headers, size, trailers);
        self.shared.borrow_mut().called = result[0].1.clone();
    }

    fn on_done(&mut self) -> bool {
        if self.words.at(0) != "done" {
            return true;
        }
        self.set_tick_period(std::time::Duration::from_millis(1));
        false
    }
}

impl RootContext for Plugin {
    fn on_vm_start(&mut self, _: usize) -> bool {
        self.get_vm_configuration().as_deref() != Some(b"refuse")
    }

    fn on_configure(&mut self, _: usize) -> bool {
        let config = self.get_plugin_configuration().unwrap_or_default();
        let config = String::from_utf8(config).unwrap();
        self.words = Words(Rc::new(config.split_whitespace().map(String::from).collect()));
        match self.words.at(0) {
            "" | "refuse" => return false,
            "tick" => self.start_ticks(),
            "call" if self.words.at(1) == "start" => {
                self.shared.borrow_mut().called = "pending".into();
                call::dispatch(self, &self.words).unwrap();
            }
            "queue" if self.words.at(1) == "consume" => {
                self.register_shared_queue(self.words.at(2));
            }
            "metrics" => self.shared.borrow_mut().meters = state::Meters::define(),
            _ => {}
        }
        true
    }

    fn on_tick(&mut self) {
        self.tick();
    }

    fn on_queue_ready(&mut self, queue: u32) {
        while let Ok(Some(job)) = self.dequeue_shared_queue(queue) {
            let job = String::from_utf8(job).unwrap();
            state::change("jobs", |old| format!("{old}{job};"));
        }
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, id: u32) -> Option<Box<dyn HttpContext>> {
        let (words, shared) = (self.words.clone(), self.shared.clone());
        Some(match self.words.at(0) {
            "headers" => Box::new(headers::Headers),
            "pairs" => Box::new(headers::Pairs),
            "pseudo" => Box::new(headers::Pseudo),
            "trailers" => Box::new(headers::Trailers),
            "body" => Box::new(body::Body { words }),
            "answer" => Box::new(other::Answer { words }),
            "tick" => Box::new(pause::Tick { id, words, shared }),
            "call" => Box::new(call::Call { words, shared, open: 0 }),
            "grpc" => Box::new(grpc::Grpc { words, received: Vec::new() }),
            "count" => Box::new(state::Count),
            "queue" => Box::new(state::Queue { words }),
            "metrics" => Box::new(state::Metrics { shared }),
            "property" => Box::new(other::Property { words }),
            "foreign" => Box::new(other::Foreign { words }),
            "log" => Box::new(other::Levels),
            "done" => Box::new(other::Done),
            "panic" => Box::new(other::Panics),
            "close" => Box::new(other::Close { words }),
            _ => Box::new(other::Nothing),
        })
    }
}

/// Tells a result to whoever sees the request behind this plugin.
fn show(name: &str, value: &str) {
    hostcalls::add_map_value(MapType::HttpRequestHeaders, name, value).unwrap();
}
