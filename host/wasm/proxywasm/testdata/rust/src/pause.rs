use crate::{Plugin, Shared, Words, show};
use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, MapType};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

/// Pauses until the next tick, in the phase that the configuration says.
pub struct Tick {
    pub id: u32,
    pub words: Words,
    pub shared: Rc<RefCell<Shared>>,
}

impl Tick {
    fn pause(&self) -> Action {
        self.shared.borrow_mut().paused.push(self.id);
        Action::Pause
    }
}

impl Context for Tick {}

impl HttpContext for Tick {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        if self.words.at(2) == "response" { Action::Continue } else { self.pause() }
    }

    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        if self.words.at(2) == "response" { self.pause() } else { Action::Continue }
    }
}

impl Plugin {
    pub fn start_ticks(&self) {
        self.set_tick_period(Duration::from_millis(self.words.number(1).unwrap()));
    }

    /// Goes on with whatever waits.
    pub fn tick(&self) {
        if self.words.at(0) == "done" {
            self.set_tick_period(Duration::ZERO);
            log::info!("plugin done");
            self.done();
            return;
        }
        for id in self.shared.borrow_mut().paused.drain(..) {
            hostcalls::set_effective_context(id).unwrap();
            match self.words.at(2) {
                "request" => {
                    show("x-ticked", "yes");
                    hostcalls::resume_http_request().unwrap();
                }
                "response" => {
                    hostcalls::add_map_value(MapType::HttpResponseHeaders, "x-ticked", "yes")
                        .unwrap();
                    hostcalls::resume_http_response().unwrap();
                }
                _ => hostcalls::send_http_response(503, vec![], Some(b"ticked")).unwrap(),
            }
        }
    }
}
