use crate::{Words, show};
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action, Bytes};
use std::time::Duration;

/// Calls a gRPC method and waits for its end: grpc KIND UPSTREAM SERVICE METHOD.
/// KIND is unary, stream (sends two messages and the end) or cancel (sends one,
/// and cancels at the first that comes back).
pub struct Grpc {
    pub words: Words,
    pub received: Vec<Bytes>,
}

impl Grpc {
    fn call(&self) -> Result<u32, proxy_wasm::types::Status> {
        let (upstream, service, method) = (self.words.at(2), self.words.at(3), self.words.at(4));
        let metadata = vec![("x-meta", b"m".as_slice())];
        if self.words.at(1) == "unary" {
            return self.dispatch_grpc_call(
                upstream,
                service,
                method,
                metadata,
                Some(b"ping"),
                Duration::from_secs(5),
            );
        }
        let id = self.open_grpc_stream(upstream, service, method, metadata)?;
        self.send_grpc_stream_message(id, Some(b"one"), false);
        if self.words.at(1) == "stream" {
            self.send_grpc_stream_message(id, Some(b"two"), true);
        }
        Ok(id)
    }

    fn end(&self, status: u32) {
        show("x-grpc-status", &status.to_string());
        for message in &self.received {
            show("x-grpc", std::str::from_utf8(message).unwrap());
        }
        self.resume_http_request();
    }
}

impl HttpContext for Grpc {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        if let Err(status) = self.call() {
            show("x-grpc-status", &format!("refused {}", status as u32));
            return Action::Continue;
        }
        Action::Pause
    }
}

impl Context for Grpc {
    fn on_grpc_call_response(&mut self, _: u32, status: u32, size: usize) {
        if let Some(message) = self.get_grpc_call_response_body(0, size).filter(|m| !m.is_empty()) {
            self.received.push(message);
        }
        self.end(status);
    }

    fn on_grpc_stream_initial_metadata(&mut self, _: u32, _: u32) {
        if let Some(value) = self.get_grpc_stream_initial_metadata_value("x-first") {
            show("x-grpc-first", std::str::from_utf8(&value).unwrap());
        }
    }

    fn on_grpc_stream_message(&mut self, id: u32, size: usize) {
        let message = self.get_grpc_stream_message(0, size);
        self.received.extend(message);
        if self.words.at(1) == "cancel" {
            self.cancel_grpc_stream(id);
            self.end(1);
        }
    }

    fn on_grpc_stream_trailing_metadata(&mut self, _: u32, _: u32) {
        if let Some(value) = self.get_grpc_stream_trailing_metadata_value("x-last") {
            show("x-grpc-last", std::str::from_utf8(&value).unwrap());
        }
    }

    fn on_grpc_stream_close(&mut self, _: u32, status: u32) {
        self.end(status);
    }
}
