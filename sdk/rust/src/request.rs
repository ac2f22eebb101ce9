use crate::{Body, Flow, Headers, Target, abi, buffer};

/// The request of the exchange that the host is asking about. Its setters work in the request phase
/// only; its getters work in both.
#[derive(Clone, Copy)]
pub struct Request(());

impl Request {
    pub(crate) const fn new() -> Self {
        Request(())
    }

    /// The method, as the client wrote it.
    pub fn method(&self) -> Vec<u8> {
        // SAFETY: the buffer has room for the limit it is given with.
        buffer::read(|buf, limit| unsafe { abi::get_method(buf, limit) })
    }

    /// Replaces the method, which must not be empty.
    pub fn set_method(&self, method: impl AsRef<[u8]>) {
        let method = method.as_ref();
        // SAFETY: `method` outlives the call.
        unsafe { abi::set_method(method.as_ptr(), method.len()) }
    }

    /// Path and query, percent-encoded; `/` rather than empty.
    pub fn target(&self) -> Target {
        // SAFETY: the buffer has room for the limit it is given with.
        Target::new(buffer::read(|buf, limit| unsafe { abi::get_uri(buf, limit) }))
    }

    /// Replaces path and query. The caller has to encode them.
    pub fn set_target(&self, target: impl AsRef<[u8]>) {
        let target = target.as_ref();
        // SAFETY: `target` outlives the call.
        unsafe { abi::set_uri(target.as_ptr(), target.len()) }
    }

    /// The protocol the client speaks, for instance `HTTP/1.1` or `HTTP/2.0`.
    pub fn protocol(&self) -> Vec<u8> {
        // SAFETY: the buffer has room for the limit it is given with.
        buffer::read(|buf, limit| unsafe { abi::get_protocol_version(buf, limit) })
    }

    /// The client's address and port, for instance `192.0.2.1:1234` or `[2001:db8::1]:1234`.
    pub fn source(&self) -> Vec<u8> {
        // SAFETY: the buffer has room for the limit it is given with.
        buffer::read(|buf, limit| unsafe { abi::get_source_addr(buf, limit) })
    }

    /// The client's address without port and brackets.
    pub fn client_ip(&self) -> Vec<u8> {
        let mut source = self.source();
        if let Some(colon) = source.iter().rposition(|&byte| byte == b':') {
            source.truncate(colon);
        }
        if source.first() == Some(&b'[') && source.last() == Some(&b']') {
            source.pop();
            source.remove(0);
        }
        source
    }

    /// The host that the client asked for, with its port if it named one; empty when it named none.
    pub fn host(&self) -> Vec<u8> {
        self.headers().get("host").unwrap_or_default()
    }

    /// The host in lower case, without port and without the root's dot: all spellings of one host are the
    /// same.
    pub fn bare_host(&self) -> Vec<u8> {
        let mut host = self.host();
        let colon = host.iter().rposition(|&byte| byte == b':');
        let bracket = host.iter().rposition(|&byte| byte == b']');
        if let Some(colon) = colon.filter(|&colon| bracket.is_none_or(|bracket| bracket < colon)) {
            host.truncate(colon);
        }
        if host.last() == Some(&b'.') {
            host.pop();
        }
        host.make_ascii_lowercase();
        host
    }

    /// The value of the first cookie named `name`, as it was sent.
    pub fn cookie(&self, name: &str) -> Option<Vec<u8>> {
        self.cookies(name).into_iter().next()
    }

    /// The values of all cookies named `name`, as they were sent.
    pub fn cookies(&self, name: &str) -> Vec<Vec<u8>> {
        let fields = self.headers().values("cookie");
        let cookies = fields.iter().flat_map(|field| field.split(|&byte| byte == b';'));
        cookies.filter_map(|cookie| cookie_value(cookie, name)).map(<[u8]>::to_vec).collect()
    }

    /// Removes the cookies named `name` and leaves the others as they are.
    pub fn remove_cookie(&self, name: &str) {
        let fields = self.headers().values("cookie");
        self.headers().remove("cookie");
        for field in fields.iter() {
            let cookies = field.split(|&byte| byte == b';');
            let kept: Vec<&[u8]> =
                cookies.filter(|cookie| cookie_value(cookie, name).is_none()).collect();
            let kept = kept.join(&b';');
            if !kept.trim_ascii().is_empty() {
                self.headers().add("cookie", kept.trim_ascii());
            }
        }
    }

    /// The request's header fields.
    pub fn headers(&self) -> Headers {
        Headers::new(abi::REQUEST)
    }

    /// The request's trailer fields.
    pub fn trailers(&self) -> Headers {
        Headers::new(abi::REQUEST_TRAILERS)
    }

    /// The request's body.
    pub fn body(&self) -> Body {
        Body::new(abi::REQUEST)
    }

    /// Starts an answer of the policy's own; the request is not sent on.
    pub fn answer(&self, status: u16) -> Answer {
        // SAFETY: no memory is shared.
        unsafe { abi::set_status_code(u32::from(status)) }
        Answer(())
    }
}

/// The value of a `name=value` pair, if it is the cookie's.
fn cookie_value<'a>(cookie: &'a [u8], name: &str) -> Option<&'a [u8]> {
    cookie.trim_ascii().strip_prefix(name.as_bytes())?.strip_prefix(b"=")
}

/// An answer in the making. End it with [`Answer::text`], [`Answer::body`] or [`Answer::empty`] and
/// return the [`Flow`] that you get.
#[must_use = "return the flow that ends the answer"]
pub struct Answer(());

impl Answer {
    /// Sets one header field of the answer.
    pub fn header(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        Headers::new(abi::RESPONSE).set(name, value);
        self
    }

    /// Ends the answer with a plain text.
    pub fn text(self, text: &str) -> Flow {
        self.body("text/plain; charset=utf-8", text)
    }

    /// Ends the answer with a body of the given content type.
    pub fn body(self, content_type: &str, body: impl AsRef<[u8]>) -> Flow {
        let answer = self.header("content-type", content_type);
        Body::new(abi::RESPONSE).write(body);
        answer.empty()
    }

    /// Ends the answer without a body.
    pub fn empty(self) -> Flow {
        Flow::Answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Host;

    #[test]
    fn finds_cookies() {
        let mut host = Host::new("GET", "/")
            .header("cookie", "a=1; sid=x=y;b=")
            .header("Cookie", "sid=second; c=3");
        let cases = [
            ("a", Some("1")),
            ("sid", Some("x=y")),
            ("b", Some("")),
            ("c", Some("3")),
            ("si", None),
        ];
        for (name, want) in cases {
            let got = host.during(|| Request::new().cookie(name));
            assert_eq!(got.as_deref(), want.map(str::as_bytes), "{name}");
        }
    }

    #[test]
    fn removes_cookies() {
        let cases: [(&[&str], &[&str]); 4] = [
            (&["a=1; sid=x; b=2"], &["a=1; b=2"]),
            (&["sid=x", "a=1;sid=y"], &["a=1"]),
            (&["sid=x"], &[]),
            (&["asid=1; sid2=2"], &["asid=1; sid2=2"]),
        ];
        for (sent, want) in cases {
            let mut host = Host::new("GET", "/");
            for field in sent {
                host = host.header("cookie", field);
            }
            let got = host.during(|| {
                Request::new().remove_cookie("sid");
                Request::new().cookies("sid")
            });
            assert!(got.is_empty());
            assert_eq!(host.request_header("cookie"), want, "{sent:?}");
        }
    }

    #[test]
    fn bare_hosts_have_one_spelling() {
        let cases = [
            ("Example.COM", "example.com"),
            ("example.com:8080", "example.com"),
            ("example.com.:443", "example.com"),
            ("[::1]:80", "[::1]"),
            ("[::1]", "[::1]"),
            ("", ""),
        ];
        for (sent, want) in cases {
            let mut host = Host::new("GET", "/").header("host", sent);
            assert_eq!(host.during(|| Request::new().bare_host()), want.as_bytes(), "{sent}");
        }
    }

    #[test]
    fn client_ip_is_the_source_without_port() {
        let cases = [("192.0.2.1:1234", "192.0.2.1"), ("[2001:db8::1]:80", "2001:db8::1")];
        for (source, want) in cases {
            let mut host = Host::new("GET", "/");
            host.source = source.into();
            assert_eq!(host.during(|| Request::new().client_ip()), want.as_bytes());
        }
    }

    #[test]
    fn values_longer_than_the_first_buffer_arrive_whole() {
        let long = "/".repeat(5000);
        let mut host = Host::new("GET", &long).header("x", &long).header("x", "2");
        host.during(|| {
            assert_eq!(Request::new().target().as_bytes(), long.as_bytes());
            let values = Request::new().headers().values("X");
            let values: Vec<&[u8]> = values.iter().collect();
            assert_eq!(values, [long.as_bytes(), b"2"]);
        });
    }
}
