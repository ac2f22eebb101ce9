//! The fields `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-11), which are
//! structured fields (RFC 9651), and the problem type `quota-exceeded`.

use crate::limit::Limit;

/// What an exchange's context has room for: a limit's number and what is left of it.
const LEFT_BITS: u32 = 27;
const MAX_LEFT: u32 = (1 << LEFT_BITS) - 1;

/// The fields, as far as they are the same for all exchanges.
pub struct Fields {
    policy: String,
    names: Vec<String>,
}

impl Fields {
    /// Those of some limits.
    pub fn of(limits: &[Limit]) -> Self {
        let policies: Vec<String> = limits.iter().map(policy).collect();
        let names = limits.iter().map(|limit| limit.name().to_owned()).collect();
        Fields { policy: policies.join(", "), names }
    }

    /// `RateLimit-Policy`.
    pub fn policy(&self) -> &str {
        &self.policy
    }

    /// `RateLimit` of a request that passed, by its context.
    pub fn left(&self, context: u32) -> String {
        let index = (context >> LEFT_BITS) as usize - 1;
        format!("\"{}\";r={}", self.names[index], context & MAX_LEFT)
    }

    /// `RateLimit` of a request that was refused by a limit.
    pub fn spent(&self, index: usize, seconds: u64) -> String {
        format!("\"{}\";r=0;t={seconds}", self.names[index])
    }
}

/// One limit as a member of the field. A time of less than a second has no place in it.
fn policy(limit: &Limit) -> String {
    let (requests, per_ms) = limit.rate();
    let mut item = format!("\"{}\";q={requests}", limit.name());
    if per_ms >= 1000 {
        item.push_str(&format!(";w={}", per_ms / 1000));
    }
    if limit.quota() != requests {
        item.push_str(&format!(";ergo-burst={}", limit.quota()));
    }
    item
}

/// The context by which the response phase knows which limit has the least left. It is not 0.
pub fn context(index: usize, left: u32) -> u32 {
    (index as u32 + 1) << LEFT_BITS | left.min(MAX_LEFT)
}

/// The body of a refusal (RFC 9457).
pub fn problem(name: &str) -> String {
    [
        r#"{"type":"https://iana.org/assignments/http-problem-types#quota-exceeded","title":"Too many requests","status":429,"violated-policies":[""#,
        name,
        "\"]}\n",
    ]
    .concat()
}
