use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action, MapType};

/// Reads, adds, replaces and removes.
fn edit(map: MapType) -> Action {
    if let Some(first) = hostcalls::get_map_value(map, "x-in").unwrap() {
        hostcalls::add_map_value(map, "x-first", &first).unwrap();
    }
    let all = hostcalls::get_map(map).unwrap();
    let values: Vec<_> = all.iter().filter(|(n, _)| n == "x-in").map(|(_, v)| v.as_str()).collect();
    hostcalls::add_map_value(map, "x-all", &values.join("|")).unwrap();
    hostcalls::add_map_value(map, "x-added", "one").unwrap();
    hostcalls::add_map_value(map, "x-added", "two").unwrap();
    hostcalls::set_map_value(map, "x-replaced", Some("new")).unwrap();
    hostcalls::remove_map_value(map, "x-removed").unwrap();
    Action::Continue
}

pub struct Headers;

impl Context for Headers {}

impl HttpContext for Headers {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        edit(MapType::HttpRequestHeaders)
    }

    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        edit(MapType::HttpResponseHeaders)
    }
}

pub struct Trailers;

impl Context for Trailers {}

impl HttpContext for Trailers {
    fn on_http_request_trailers(&mut self, _: usize) -> Action {
        edit(MapType::HttpRequestTrailers)
    }

    fn on_http_response_trailers(&mut self, _: usize) -> Action {
        edit(MapType::HttpResponseTrailers)
    }
}

/// Sets a map as a whole: without x-drop-*, with two of x-pair. Values are bytes.
fn rewrite(map: MapType) -> Action {
    let all = hostcalls::get_map_bytes(map).unwrap();
    let mut kept: Vec<(&str, &[u8])> = all
        .iter()
        .filter(|(n, _)| !n.starts_with("x-drop-"))
        .map(|(n, v)| (n.as_str(), v.as_slice()))
        .collect();
    kept.extend([("x-pair", b"a".as_slice()), ("x-pair", b"b")]);
    hostcalls::set_map_bytes(map, kept).unwrap();
    Action::Continue
}

pub struct Pairs;

impl Context for Pairs {}

impl HttpContext for Pairs {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        rewrite(MapType::HttpRequestHeaders)
    }

    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        rewrite(MapType::HttpResponseHeaders)
    }
}

pub struct Pseudo;

impl Context for Pseudo {}

impl HttpContext for Pseudo {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        let path = self.get_http_request_header(":path").unwrap();
        self.set_http_request_header(":method", Some("PUT"));
        self.set_http_request_header(":path", Some(&format!("/moved?from={path}")));
        self.set_http_request_header(":authority", Some("moved.example"));
        Action::Continue
    }

    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        let status = self.get_http_response_header(":status").unwrap();
        self.add_http_response_header("x-status", &status);
        self.set_http_response_header(":status", Some("418"));
        Action::Continue
    }
}
