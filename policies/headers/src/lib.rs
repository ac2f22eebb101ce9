//! Sets, adds and removes header fields of requests and responses. See README.md.

mod changes;

use ergo_sdk::{Config, ConfigError, Flow, Policy, Request, Response};

use changes::Changes;

/// The policy, as configured.
pub struct HeaderFields {
    request: Changes,
    response: Changes,
}

impl Policy for HeaderFields {
    fn configure(config: &Config) -> Result<Self, ConfigError> {
        let mut object = config.object()?;
        let mut changes = |key, response| match object.optional(key) {
            Some(node) => Changes::configure(&node, response),
            None => Ok(Changes::default()),
        };
        let policy = HeaderFields {
            request: changes("request", false)?,
            response: changes("response", true)?,
        };
        object.finish()?;
        Ok(policy)
    }

    fn request(&self, request: &Request) -> Flow {
        self.request.apply(request.headers(), request);
        Flow::Continue
    }

    fn response(&self, response: &Response, _context: u32, _is_error: bool) {
        self.response.apply(response.headers(), &response.request());
    }
}

ergo_sdk::policy!(HeaderFields);

#[cfg(test)]
mod tests {
    use super::*;
    use ergo_sdk::testing::{Host, configure};

    fn policy(config: &str) -> HeaderFields {
        configure(config).unwrap_or_else(|error| panic!("{config}: {error}"))
    }

    #[test]
    fn changes_requests() {
        let policy = policy(
            r#"{"request":{
                "remove":["X-Secret","x-internal-*"],
                "set":{"X-Mark":"${method} ${path}","x-none":"${header:gone}","x-empty":"","x-old":"${header:x-secret}"},
                "add":{"x-many":["1","${query:n}","${query:gone}"]}}}"#,
        );
        let mut host = Host::new("GET", "/p?n=2")
            .header("x-secret", "s")
            .header("X-Internal-User", "root")
            .header("x-internal", "kept")
            .header("x-mark", "forged")
            .header("x-mark", "twice")
            .header("x-none", "forged")
            .header("x-many", "0");
        assert_eq!(host.request(&policy), Flow::Continue);
        let want: [(&str, &[&str]); 8] = [
            ("x-secret", &[]),
            ("x-internal-user", &[]),
            ("x-internal", &["kept"]),
            ("x-mark", &["GET /p"]),
            ("x-none", &[]),
            ("x-empty", &[""]),
            ("x-old", &["s"]),
            ("x-many", &["0", "1", "2"]),
        ];
        for (name, values) in want {
            assert_eq!(host.request_header(name), values, "{name}");
        }
    }

    #[test]
    fn changes_responses() {
        let policy = policy(
            r#"{"response":{"remove":["server"],"set":{"x-seen":"${status} ${host} ${response:server}"}}}"#,
        );
        let mut host = Host::new("GET", "/").header("host", "example.com");
        host.fields[1].push(("Server".into(), b"origin/1".to_vec()));
        assert_eq!(host.request(&policy), Flow::Continue);
        assert_eq!(host.response_header("server"), ["origin/1"]);
        host.response(&policy, 0);
        assert!(host.response_header("server").is_empty());
        assert_eq!(host.response_header("x-seen"), ["200 example.com origin/1"]);
    }

    #[test]
    fn a_value_cannot_begin_another_field() {
        let policy = policy(r#"{"request":{"set":{"x-n":"${query:n}"}}}"#);
        let mut host = Host::new("GET", "/?n=a%0d%0aX-Admin:%201%00");
        host.request(&policy);
        assert_eq!(host.request_header("x-n"), ["aX-Admin: 1"]);
    }

    #[test]
    fn refuses_configurations_that_cannot_be_meant() {
        let cases = [
            (
                r#"{"request":{"set":{"a b":"x"}}}"#,
                "config.request.set.a b: expected the name of a header field",
            ),
            (
                r#"{"request":{"set":{"a":"x\ny"}}}"#,
                "config.request.set.a: expected text without control characters",
            ),
            (
                r#"{"request":{"set":{"a":"${status}"}}}"#,
                "config.request.set.a: there is no variable ${status} here",
            ),
            (r#"{"response":{"add":{"a":1}}}"#, "config.response.add.a: expected a string"),
            (
                r#"{"response":{"add":{"a":["x",1]}}}"#,
                "config.response.add.a[1]: expected a string",
            ),
            (
                r#"{"response":{"set":{"Content-Length":"1"}}}"#,
                "config.response.set.Content-Length: is the host's to set: it frames the message",
            ),
            (
                r#"{"request":{"remove":["*"]}}"#,
                "config.request.remove[0]: expected the name of a header field",
            ),
            (
                r#"{"request":{"remove":["transfer-*"]}}"#,
                "config.request.remove[0]: is the host's to set: it frames the message",
            ),
            (r#"{"request":{"drop":["a"]}}"#, "config.request.drop: is not a known key"),
            (r#"{"requests":{}}"#, "config.requests: is not a known key"),
        ];
        for (config, want) in cases {
            let got = configure::<HeaderFields>(config).err().map(|error| error.to_string());
            assert_eq!(got.as_deref(), Some(want), "{config}");
        }
    }
}
