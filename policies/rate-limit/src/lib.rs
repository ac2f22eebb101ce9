//! Lets so many requests pass in so much time, by any key. See README.md.

mod cost;
mod headers;
mod key;
mod limit;
mod prefix;

use ergo_sdk::kv::{KvError, Taken};
use ergo_sdk::{Config, ConfigError, Flow, Policy, Request, Response, log};

use headers::Fields;
use limit::Limit;

/// How many limits there may be.
const MAX_LIMITS: usize = 16;

/// The policy, as configured.
pub struct RateLimit {
    limits: Vec<Limit>,
    fields: Option<Fields>,
    /// What happens to a request that could not be counted.
    pass_uncounted: bool,
}

/// What the limits say of a request.
enum Verdict {
    /// The limit of that number has the least left, so much of it.
    Pass(usize, u32),
    /// The limit of that number refuses for so many milliseconds.
    Refuse(usize, u64),
}

impl Policy for RateLimit {
    fn configure(config: &Config) -> Result<Self, ConfigError> {
        let mut object = config.object()?;
        let node = object.required("limits")?;
        let limits = node.map(|node| Limit::configure(&node))?;
        if limits.is_empty() || limits.len() > MAX_LIMITS {
            return Err(node.error("expected 1 to 16 limits"));
        }
        for (index, limit) in limits.iter().enumerate() {
            if limits[..index].iter().any(|other| other.name() == limit.name()) {
                return Err(
                    node.error(format!("expected different names, not two {}", limit.name()))
                );
            }
        }
        let fields = match object.optional("headers").map_or(Ok(true), |node| node.boolean())? {
            true => Some(Fields::of(&limits)),
            false => None,
        };
        let pass_uncounted = match object.optional("uncounted") {
            None => false,
            Some(node) => match node.text()? {
                "deny" => false,
                "allow" => true,
                _ => return Err(node.error("expected deny or allow")),
            },
        };
        object.finish()?;
        Ok(RateLimit { limits, fields, pass_uncounted })
    }

    fn request(&self, request: &Request) -> Flow {
        match self.judge(request) {
            Ok(Verdict::Pass(index, left)) => match &self.fields {
                Some(_) => Flow::ContinueWith(headers::context(index, left)),
                None => Flow::Continue,
            },
            Ok(Verdict::Refuse(index, wait)) => {
                let seconds = wait.div_ceil(1000).max(1);
                let mut answer = request.answer(429).header("retry-after", seconds.to_string());
                if let Some(fields) = &self.fields {
                    answer = answer.header("ratelimit-policy", fields.policy());
                    answer = answer.header("ratelimit", fields.spent(index, seconds));
                }
                answer.body("application/problem+json", headers::problem(self.limits[index].name()))
            }
            Err(error) => self.uncounted(request, error),
        }
    }

    fn response(&self, response: &Response, context: u32, _: bool) {
        if let (Some(fields), true) = (&self.fields, context != 0) {
            response.headers().set("ratelimit-policy", fields.policy());
            response.headers().set("ratelimit", fields.left(context));
        }
    }
}

impl RateLimit {
    /// Counts the request with all limits, or with none if one of them refuses it.
    fn judge(&self, request: &Request) -> Result<Verdict, KvError> {
        let mut asked: Vec<Asked> =
            self.limits.iter().map(|limit| Asked::of(limit, request)).collect();
        if let [_, _, ..] = asked[..] {
            // A single limit looks and counts at once.
            let mut longest = None;
            for (index, asked) in asked.iter_mut().enumerate() {
                let wait = asked.look()?;
                longest = longest.max(wait.map(|wait| (wait, index)));
            }
            if let Some((wait, index)) = longest {
                return Ok(Verdict::Refuse(index, wait));
            }
        }
        let mut least = (f64::INFINITY, 0, 0);
        for (index, asked) in asked.iter_mut().enumerate() {
            let taken = asked.count()?;
            if !taken.allowed {
                return Ok(Verdict::Refuse(index, taken.retry_after_ms));
            }
            let share = f64::from(taken.remaining) / f64::from(asked.limit.quota());
            if share < least.0 {
                least = (share, index, taken.remaining);
            }
        }
        Ok(Verdict::Pass(least.1, least.2))
    }

    /// What happens to a request that could not be counted.
    fn uncounted(&self, request: &Request, error: KvError) -> Flow {
        let why = match error {
            KvError::Full => "the state is full",
            KvError::Unavailable => "the shared store is gone",
            KvError::Kind => "a key holds what another limit counts in another way",
            _ => "the host refused",
        };
        log::write(log::Level::Warn, &["request is not counted: ", why].concat());
        if self.pass_uncounted {
            return Flow::Continue;
        }
        request.answer(503).header("retry-after", "1").text("requests cannot be counted now\n")
    }
}

/// One limit and a request.
struct Asked<'l> {
    limit: &'l Limit,
    key: Vec<u8>,
    cost: u32,
    /// What came of counting the request, once that was done.
    counted: Option<Taken>,
}

impl<'l> Asked<'l> {
    fn of(limit: &'l Limit, request: &Request) -> Self {
        Asked { limit, key: limit.key(request), cost: limit.cost(request), counted: None }
    }

    /// How long the limit would refuse the request, if it would.
    fn look(&mut self) -> Result<Option<u64>, KvError> {
        if self.limit.count(&self.key, 0)?.remaining >= self.cost {
            return Ok(None);
        }
        // This refuses, unless room was made since.
        let taken = self.count()?;
        Ok((!taken.allowed).then_some(taken.retry_after_ms))
    }

    fn count(&mut self) -> Result<Taken, KvError> {
        if let Some(taken) = self.counted {
            return Ok(taken);
        }
        let taken = self.limit.count(&self.key, self.cost)?;
        self.counted = Some(taken);
        Ok(taken)
    }
}

ergo_sdk::policy!(RateLimit);

#[cfg(test)]
mod tests;
