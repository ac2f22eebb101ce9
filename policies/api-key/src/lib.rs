//! Lets a request pass only with a known API key. See README.md.

mod keys;

use ergo_sdk::{Config, ConfigError, Flow, Policy, Request, Target};

use keys::Keys;

/// The policy, as configured.
pub struct ApiKey {
    header: Option<String>,
    query: Option<String>,
    consumer_header: String,
    forward_key: bool,
    challenge: String,
    keys: Keys,
}

impl Policy for ApiKey {
    fn configure(config: &Config) -> Result<Self, ConfigError> {
        let mut object = config.object()?;
        let header = object.optional("header").map(|node| node.header_name()).transpose()?;
        let query = object.text("query")?.map(str::to_owned);
        if header.is_none() && query.as_deref().unwrap_or_default().is_empty() {
            return Err(object.error("says neither header nor query: where is the key?"));
        }
        let consumer_header = match object.optional("consumer_header") {
            Some(node) => node.header_name()?,
            None => "x-consumer".to_owned(),
        };
        if header.as_ref() == Some(&consumer_header) {
            return Err(object.error("header and consumer_header have to differ"));
        }
        let realm = match object.optional("realm") {
            Some(node) if node.header_value()?.contains(['"', '\\']) => {
                return Err(node.error("expected text without quotes and backslashes"));
            }
            Some(node) => node.header_value()?,
            None => "api",
        };
        let policy = ApiKey {
            header,
            query,
            consumer_header,
            forward_key: object.flag("forward_key")?,
            challenge: ["ApiKey realm=\"", realm, "\""].concat(),
            keys: Keys::configure(&object.required("keys")?)?,
        };
        object.finish()?;
        Ok(policy)
    }

    fn request(&self, request: &Request) -> Flow {
        let target = self.query.as_ref().map(|_| request.target());
        let key = self.presented(request, target.as_ref());
        let Some(consumer) = key.and_then(|key| self.keys.find(&key)) else {
            return self.deny(request);
        };
        self.remove_consumer(request);
        if let Some(name) = consumer {
            request.headers().set(&self.consumer_header, name);
        }
        if !self.forward_key {
            self.strip(request, target);
        }
        Flow::Continue
    }
}

impl ApiKey {
    /// The key that the client sent: the header's, else the query's. Two keys in one place are none: a
    /// policy or backend that looks at the other one would see a key that was never checked.
    fn presented(&self, request: &Request, target: Option<&Target>) -> Option<Vec<u8>> {
        if let Some(header) = &self.header {
            let values = request.headers().values(header);
            if !values.is_empty() {
                return values.only().map(<[u8]>::to_vec);
            }
        }
        let mut values = target?.parameter(self.query.as_deref()?);
        let first = values.next();
        if values.next().is_some() { None } else { first }
    }

    /// Refuses without saying whether the key was missing or wrong. The consumer header is removed here
    /// too: where one of several policies is enough, the request may still go on after this answer.
    fn deny(&self, request: &Request) -> Flow {
        self.remove_consumer(request);
        request
            .answer(401)
            .header("www-authenticate", &self.challenge)
            .header("cache-control", "no-store")
            .text("a valid API key is required\n")
    }

    /// Removes what the client sent in the consumer header, also under names with underscores.
    fn remove_consumer(&self, request: &Request) {
        request.headers().remove_alike(&[&self.consumer_header]);
    }

    fn strip(&self, request: &Request, target: Option<Target>) {
        if let Some(header) = &self.header {
            request.headers().remove(header);
        }
        if let (Some(query), Some(target)) = (&self.query, target) {
            let stripped = target.without_parameter(query);
            if stripped != target.as_bytes() {
                request.set_target(stripped);
            }
        }
    }
}

ergo_sdk::policy!(ApiKey);

#[cfg(test)]
mod tests {
    use super::*;
    use ergo_sdk::testing::{Host, configure};

    /// `printf hashed | sha256sum`
    const HASHED: &str = "1a06df824ed741b53c785079a6347f00eec5af82f9850775409ca69dff4068a6";

    fn policy(config: &str) -> ApiKey {
        configure(config).unwrap_or_else(|error| panic!("{config}: {error}"))
    }

    fn both() -> ApiKey {
        policy(
            r#"{"header":"X-API-Key","query":"key",
                "keys":["secret",{"key":"other","consumer":"alice"}]}"#,
        )
    }

    #[test]
    fn denies_without_the_right_key() {
        let requests = [
            Host::new("GET", "/"),
            Host::new("GET", "/").header("x-api-key", ""),
            Host::new("GET", "/").header("x-api-key", "secre"),
            Host::new("GET", "/").header("x-api-key", "secret "),
            Host::new("GET", "/").header("x-api-key", "Secret"),
            Host::new("GET", "/").header("x-api-key", "secret").header("x-api-key", "secret"),
            Host::new("GET", "/").header("x-api-key", "wrong").header("x-api-key", "secret"),
            Host::new("GET", "/?key=secret").header("x-api-key", "wrong"),
            Host::new("GET", "/?key="),
            Host::new("GET", "/?key"),
            Host::new("GET", "/?key=secret&key=secret"),
            Host::new("GET", "/?Key=secret"),
            Host::new("GET", "/key=secret"),
        ];
        for mut host in requests {
            host = host.header("x-consumer", "admin");
            assert_eq!(host.request(&both()), Flow::Answer);
            assert_eq!(host.status, 401);
            assert_eq!(host.response_header("www-authenticate"), ["ApiKey realm=\"api\""]);
            assert_eq!(host.response_body, b"a valid API key is required\n");
            assert!(host.request_header("x-consumer").is_empty());
        }
    }

    #[test]
    fn passes_with_a_key_and_strips_it() {
        let cases = [
            (Host::new("GET", "/p?a=1").header("x-api-key", "secret"), "/p?a=1", None),
            (Host::new("GET", "/p?a=1&key=secret"), "/p?a=1", None),
            (Host::new("GET", "/p?key=%73ecret"), "/p", None),
            (Host::new("GET", "/p?k%65y=other&b"), "/p?b", Some("alice")),
            (Host::new("GET", "/p?key=wrong").header("X-Api-Key", "other"), "/p", Some("alice")),
        ];
        for (host, target, consumer) in cases {
            let mut host = host.header("X-Consumer", "admin").header("x-consumer", "root");
            assert_eq!(host.request(&both()), Flow::Continue, "{target}");
            assert_eq!(host.target, target.as_bytes());
            assert!(host.request_header("x-api-key").is_empty());
            assert_eq!(host.request_header("x-consumer").first().map(String::as_str), consumer);
        }
    }

    #[test]
    fn removes_look_alikes_of_the_consumer_header() {
        for key in ["secret", "wrong"] {
            let mut host =
                Host::new("GET", "/").header("x-api-key", key).header("X_Consumer", "root");
            host.request(&both());
            assert!(host.request_header("x_consumer").is_empty(), "{key}");
        }
    }

    #[test]
    fn forwards_the_key_when_told_to() {
        let policy = policy(r#"{"header":"a","query":"k","keys":["s"],"forward_key":true}"#);
        let mut host = Host::new("GET", "/?k=s").header("a", "s");
        assert_eq!(host.request(&policy), Flow::Continue);
        assert_eq!(host.target, b"/?k=s");
        assert_eq!(host.request_header("a"), ["s"]);
    }

    #[test]
    fn knows_hashed_keys() {
        let config = format!(r#"{{"header":"a","keys":["sha256:{HASHED}"]}}"#);
        let policy = policy(&config);
        assert_eq!(Host::new("GET", "/").header("a", "hashed").request(&policy), Flow::Continue);
        assert_eq!(Host::new("GET", "/").header("a", HASHED).request(&policy), Flow::Answer);
        let spelled = format!("sha256:{HASHED}");
        assert_eq!(Host::new("GET", "/").header("a", &spelled).request(&policy), Flow::Answer);
    }

    #[test]
    fn refuses_configurations_that_cannot_be_meant() {
        let cases = [
            ("{}", "config: says neither header nor query: where is the key?"),
            (r#"{"header":"a"}"#, "config: keys is missing"),
            (r#"{"header":"a","keys":[]}"#, "config.keys: expected at least one key"),
            (
                r#"{"header":"a b","keys":["k"]}"#,
                "config.header: expected the name of a header field",
            ),
            (r#"{"header":"a","keys":[""]}"#, "config.keys[0]: expected a key that is not empty"),
            (
                r#"{"header":"a","keys":["k",{"key":"k","consumer":"b"}]}"#,
                "config.keys[1]: is there twice",
            ),
            (
                r#"{"header":"a","keys":["sha256:12"]}"#,
                "config.keys[0]: expected 64 hexadecimal digits after sha256:",
            ),
            (
                r#"{"header":"a","keys":[{"key":"k","name":"b"}]}"#,
                "config.keys[0].name: is not a known key",
            ),
            (
                r#"{"header":"x-consumer","keys":["k"]}"#,
                "config: header and consumer_header have to differ",
            ),
            (
                r#"{"header":"a","keys":["k"],"realm":"\""}"#,
                "config.realm: expected text without quotes and backslashes",
            ),
            (r#"{"header":"a","keys":["k"],"tpyo":1}"#, "config.tpyo: is not a known key"),
        ];
        for (config, want) in cases {
            let got = configure::<ApiKey>(config).err().map(|error| error.to_string());
            assert_eq!(got.as_deref(), Some(want), "{config}");
        }
    }
}
