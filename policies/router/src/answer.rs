use ergo_sdk::template::{Scope, Template, Values};
use ergo_sdk::{ConfigError, Flow, Node, header_name};

const MAX_BODY_BYTES: usize = 64 << 10;

/// A response that the router gives itself.
pub struct Answer {
    status: u16,
    header: Vec<(String, Template)>,
    content_type: String,
    body: String,
}

impl Answer {
    /// Reads status, header fields and body.
    pub fn configure(node: &Node, scope: Scope) -> Result<Self, ConfigError> {
        let mut object = node.object()?;
        let status = object.required("status")?.integer(200, 599)? as u16;
        let mut content_type = "text/plain; charset=utf-8".to_owned();
        let mut header = Vec::new();
        if let Some(node) = object.optional("header") {
            for (name, node) in node.object()?.members() {
                match header_name(name).as_deref() {
                    Some("content-type") => content_type = node.header_value()?.to_owned(),
                    Some(name) if !about_connection(name) => {
                        header.push((name.to_owned(), Template::compile(&node, scope)?));
                    }
                    _ => return Err(node.error("expected a header field of the response's own")),
                }
            }
        }
        let body = match object.optional("body") {
            Some(node) => body(&node, status)?,
            None => String::new(),
        };
        object.finish()?;
        Ok(Answer { status, header, content_type, body })
    }

    /// Answers a request.
    pub fn act(&self, values: Values) -> Flow {
        let mut answer = values.request.answer(self.status);
        for (name, value) in &self.header {
            answer = answer.header(name, value.render(values));
        }
        match self.body.is_empty() {
            true => answer.empty(),
            false => answer.body(&self.content_type, &self.body),
        }
    }
}

fn body(node: &Node, status: u16) -> Result<String, ConfigError> {
    match node.text()? {
        text if !text.is_empty() && matches!(status, 204 | 205 | 304) => {
            Err(node.error("expected none: a response of this status has no body"))
        }
        text if text.len() > MAX_BODY_BYTES => Err(node.error("expected at most 64 KiB")),
        text => Ok(text.to_owned()),
    }
}

/// Whether a field is the host's to set.
fn about_connection(name: &str) -> bool {
    let those =
        ["connection", "content-length", "keep-alive", "trailer", "transfer-encoding", "upgrade"];
    those.contains(&name)
}
