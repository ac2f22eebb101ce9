use ergo_sdk::log::{self, Level};
use ergo_sdk::{Flow, Request};

/// Why a request does not pass. What stands in brackets is for the log: clients are not told which of
/// the checks failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// There is no token.
    Missing,
    /// There are several tokens, or more than a token.
    Ambiguous,
    /// The token is not one, or not one of ours, or not meant for us.
    Invalid(&'static str),
    /// The token was good until it expired.
    Expired,
    /// The token is good, and does not give enough.
    Forbidden(&'static str),
    /// There are no keys to verify it by.
    Unavailable(&'static str),
}

/// Seconds after which keys may be there.
const RETRY_AFTER: &str = "5";

/// How refusals are told to clients: RFC 6750 section 3, RFC 9728 section 5.1.
pub struct Challenge {
    /// `Bearer realm="..."` and where the resource is described.
    pub start: String,
    /// Scopes that requests need, separated by spaces.
    pub scope: String,
}

impl Challenge {
    /// Answers a request that does not pass.
    pub fn answer(&self, request: &Request, denial: Denial) -> Flow {
        if log::enabled(Level::Debug) {
            log::write(Level::Debug, &format!("refused: {denial:?}"));
        }
        let (status, error, text) = match denial {
            Denial::Missing => (401, "", "a token is required\n"),
            Denial::Ambiguous => (400, "invalid_request", "exactly one token is required\n"),
            Denial::Invalid(_) => (401, "invalid_token", "the token is not valid\n"),
            Denial::Expired => (401, "invalid_token", "the token has expired\n"),
            Denial::Forbidden(_) => (403, "insufficient_scope", "the token does not allow this\n"),
            Denial::Unavailable(_) => (503, "", "tokens cannot be verified now\n"),
        };
        let answer = request.answer(status).header("cache-control", "no-store");
        if status == 503 {
            return answer.header("retry-after", RETRY_AFTER).text(text);
        }
        answer.header("www-authenticate", self.field(error, denial)).text(text)
    }

    fn field(&self, error: &str, denial: Denial) -> String {
        let mut field = self.start.clone();
        if !error.is_empty() {
            field += &format!(", error=\"{error}\"");
        }
        if denial == Denial::Expired {
            field += ", error_description=\"the token has expired\"";
        }
        if !self.scope.is_empty() && matches!(denial, Denial::Missing | Denial::Forbidden(_)) {
            field += &format!(", scope=\"{}\"", self.scope);
        }
        field
    }
}
