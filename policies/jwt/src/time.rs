use ergo_sdk::json::Value;

use crate::denial::Denial;

/// 9999-12-31: what is later is no time that anybody means, and sums with it do not overflow.
const LAST_SECOND: u64 = 253_402_300_799;

/// How the times of a token are judged, in seconds.
pub struct Clock {
    /// How far clocks may differ.
    pub leeway: u64,
    /// The oldest token that is taken; `None` for any age.
    pub max_age: Option<u64>,
}

impl Clock {
    /// Checks that a token is good now, and returns the first second at which it no longer is.
    pub fn check(&self, claims: &Value, now: u64) -> Result<u64, Denial> {
        let Some(expires) = seconds(claims, "exp")? else {
            return Err(Denial::Invalid("there is no exp"));
        };
        let issued = seconds(claims, "iat")?;
        let begins = seconds(claims, "nbf")?;
        if [issued, begins].into_iter().flatten().any(|time| time > now + self.leeway) {
            return Err(Denial::Invalid("iat or nbf is in the future"));
        }
        let mut ends = expires + self.leeway;
        if let Some(max_age) = self.max_age {
            let issued = issued.ok_or(Denial::Invalid("there is no iat"))?;
            ends = ends.min(issued + max_age + self.leeway);
        }
        if ends <= now { Err(Denial::Expired) } else { Ok(ends) }
    }
}

/// A NumericDate (RFC 7519 section 2) in whole seconds. Exponents and signs are refused: nobody writes
/// times like that, and readers differ about them.
fn seconds(claims: &Value, name: &str) -> Result<Option<u64>, Denial> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    let Value::Number(text) = value else {
        return Err(Denial::Invalid("a time is no number"));
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if !whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit()) {
        return Err(Denial::Invalid("a time is no plain number"));
    }
    match whole.parse() {
        Ok(seconds) if seconds <= LAST_SECOND => Ok(Some(seconds)),
        _ => Err(Denial::Invalid("a time is out of range")),
    }
}
