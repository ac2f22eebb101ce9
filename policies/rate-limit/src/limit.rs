use ergo_sdk::kv::{self, Bucket, KvError, Taken, Window};
use ergo_sdk::{ConfigError, Node, Request};

use crate::cost::Cost;
use crate::key::Key;

/// The longest time that a limit is for: a week.
const MAX_PER_MS: u64 = 7 * 24 * 3_600_000;

/// So many requests in so much time, for each key.
pub struct Limit {
    name: String,
    key: Key,
    algorithm: Algorithm,
    cost: Cost,
}

enum Algorithm {
    Window(Window),
    Bucket(Bucket),
}

impl Limit {
    /// Reads one limit.
    pub fn configure(node: &Node) -> Result<Self, ConfigError> {
        let mut object = node.object()?;
        let name = object.required("name")?;
        let requests = object.required("requests")?.integer(1, 1_000_000_000)?;
        let per_ms = duration(&object.required("per")?)?;
        let burst = object.optional("burst");
        let algorithm = match (object.text("algorithm")?.unwrap_or("window"), &burst) {
            ("window", None) => Algorithm::Window(Window { limit: requests, per_ms }),
            ("window", Some(burst)) => {
                return Err(burst.error("expected algorithm = \"bucket\" beside it"));
            }
            ("bucket", burst) => {
                let burst =
                    burst.as_ref().map_or(Ok(requests), |node| node.integer(1, 1_000_000_000))?;
                Algorithm::Bucket(Bucket { tokens: requests, per_ms, burst })
            }
            _ => return Err(object.error("algorithm: expected window or bucket")),
        };
        let quota = algorithm.quota();
        let limit = Limit {
            key: Key::configure(&mut object, named(&name)?)?,
            name: named(&name)?.to_owned(),
            cost: object
                .optional("cost")
                .map_or(Ok(Cost::default()), |node| Cost::configure(&node, quota))?,
            algorithm,
        };
        object.finish()?;
        Ok(limit)
    }

    /// Its name, which the client is told.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The most that it ever lets pass at once.
    pub fn quota(&self) -> u32 {
        self.algorithm.quota()
    }

    /// So many requests, and in how many milliseconds.
    pub fn rate(&self) -> (u32, u32) {
        match self.algorithm {
            Algorithm::Window(window) => (window.limit, window.per_ms),
            Algorithm::Bucket(bucket) => (bucket.tokens, bucket.per_ms),
        }
    }

    /// The key that a request is counted by.
    pub fn key(&self, request: &Request) -> Vec<u8> {
        self.key.of(request)
    }

    /// How much a request counts.
    pub fn cost(&self, request: &Request) -> u32 {
        self.cost.of(request)
    }

    /// Counts so much by a key; with 0 only looks.
    pub fn count(&self, key: &[u8], cost: u32) -> Result<Taken, KvError> {
        match self.algorithm {
            Algorithm::Window(window) => kv::admit(key, window, cost),
            Algorithm::Bucket(bucket) => kv::take(key, bucket, cost),
        }
    }
}

impl Algorithm {
    fn quota(&self) -> u32 {
        match self {
            Algorithm::Window(window) => window.limit,
            Algorithm::Bucket(bucket) => bucket.burst,
        }
    }
}

fn named<'a>(node: &Node<'a>) -> Result<&'a str, ConfigError> {
    let name = node.text()?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    match (1..=32).contains(&name.len()) && name.chars().all(plain) {
        true => Ok(name),
        false => Err(node.error("expected 1 to 32 letters, digits, -, _ and .")),
    }
}

/// Reads a duration of at least 10 ms.
fn duration(node: &Node) -> Result<u32, ConfigError> {
    match node.milliseconds(MAX_PER_MS)? {
        0..10 => Err(node.error("expected at least 10ms")),
        milliseconds => Ok(milliseconds as u32),
    }
}
