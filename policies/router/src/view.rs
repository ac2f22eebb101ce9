use std::cell::OnceCell;

use ergo_sdk::{Request, Target, Values};

/// What rules ask about a request, fetched from the host at most once and only when a rule asks.
pub struct View<'r> {
    /// The request itself.
    pub request: &'r Request,
    /// Path and query as the client sent them.
    pub target: &'r Target,
    /// The path in one spelling; patterns are matched against it.
    pub path: &'r [u8],
    method: OnceCell<Vec<u8>>,
    host: OnceCell<Vec<u8>>,
    fields: Vec<OnceCell<Values>>,
}

impl<'r> View<'r> {
    /// A view with room for `fields` different header fields.
    pub fn new(request: &'r Request, target: &'r Target, path: &'r [u8], fields: usize) -> Self {
        let fields = (0..fields).map(|_| OnceCell::new()).collect();
        View { request, target, path, method: OnceCell::new(), host: OnceCell::new(), fields }
    }

    /// The method.
    pub fn method(&self) -> &[u8] {
        self.method.get_or_init(|| self.request.method())
    }

    /// The host in lower case, without port and without the root's dot.
    pub fn host(&self) -> &[u8] {
        self.host.get_or_init(|| self.request.bare_host())
    }

    /// The values of the header field `name`, whose number is `index`.
    pub fn field(&self, index: usize, name: &str) -> &Values {
        self.fields[index].get_or_init(|| self.request.headers().values(name))
    }
}
