use crate::{Shared, Words, show};
use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action, MetricType, Status};
use std::cell::RefCell;
use std::rc::Rc;

/// Replaces a shared value by what f makes of it, as often as it takes.
pub fn change(key: &str, f: impl Fn(&str) -> String) -> String {
    loop {
        let (old, cas) = hostcalls::get_shared_data(key).unwrap();
        let next = f(std::str::from_utf8(&old.unwrap_or_default()).unwrap());
        match hostcalls::set_shared_data(key, Some(next.as_bytes()), cas) {
            Err(Status::CasMismatch) => continue,
            result => result.unwrap(),
        }
        return next;
    }
}

/// Numbers exchanges over all instances.
pub struct Count;

impl Context for Count {}

impl HttpContext for Count {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        let next = |old: &str| (old.parse::<u32>().unwrap_or(0) + 1).to_string();
        show("x-count", &change("count", next));
        Action::Continue
    }
}

/// queue ROLE NAME [VM]: a consumer keeps what comes, a producer sends x-job.
pub struct Queue {
    pub words: Words,
}

impl Context for Queue {}

impl HttpContext for Queue {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        if let (Some(jobs), _) = self.get_shared_data("jobs") {
            show("x-jobs", std::str::from_utf8(&jobs).unwrap());
        }
        if self.words.at(1) != "produce" {
            return Action::Continue;
        }
        let Some(id) = self.resolve_shared_queue(self.words.at(3), self.words.at(2)) else {
            show("x-queued", "not found");
            return Action::Continue;
        };
        let job = self.get_http_request_header("x-job").unwrap();
        self.enqueue_shared_queue(id, Some(job.as_bytes())).unwrap();
        show("x-queued", "yes");
        Action::Continue
    }
}

#[derive(Default)]
pub struct Meters {
    seen: u32,
    level: u32,
    sizes: u32,
}

impl Meters {
    pub fn define() -> Meters {
        Meters {
            seen: hostcalls::define_metric(MetricType::Counter, "seen").unwrap(),
            level: hostcalls::define_metric(MetricType::Gauge, "level").unwrap(),
            sizes: hostcalls::define_metric(MetricType::Histogram, "sizes").unwrap(),
        }
    }
}

pub struct Metrics {
    pub shared: Rc<RefCell<Shared>>,
}

impl Context for Metrics {}

impl HttpContext for Metrics {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        let meters = &self.shared.borrow().meters;
        hostcalls::increment_metric(meters.seen, 1).unwrap();
        hostcalls::increment_metric(meters.level, 2).unwrap();
        hostcalls::increment_metric(meters.level, -1).unwrap();
        hostcalls::record_metric(meters.sizes, 7).unwrap();
        let seen = hostcalls::get_metric(meters.seen).unwrap();
        let level = hostcalls::get_metric(meters.level).unwrap();
        show("x-metrics", &format!("{seen} {level}"));
        Action::Continue
    }
}
