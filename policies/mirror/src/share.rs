use ergo_sdk::json::Value;
use ergo_sdk::{ConfigError, Node, Object, Request, random};

/// Which requests are copied: a share of them by chance, and those that have a header field.
pub struct Share {
    /// Of 2^64.
    points: u64,
    header: Option<(String, Option<String>)>,
}

impl Share {
    /// Reads `percent` and `header`.
    pub fn configure(object: &mut Object) -> Result<Self, ConfigError> {
        let points = object.optional("percent").map_or(Ok(u64::MAX), |node| percent(&node))?;
        let header = match object.optional("header") {
            None => None,
            Some(node) => {
                let mut object = node.object()?;
                let name = object.required("name")?.header_name()?;
                let value = object.text("value")?.map(str::to_owned);
                object.finish()?;
                Some((name, value))
            }
        };
        Ok(Share { points, header })
    }

    /// Whether this request is one of them.
    pub fn takes(&self, request: &Request) -> bool {
        let has = self.header.as_ref().is_none_or(|(name, value)| {
            request.headers().values(name).iter().any(|found| match value {
                Some(value) => found == value.as_bytes(),
                None => true,
            })
        });
        has && (self.points == u64::MAX || random::number() < self.points)
    }
}

/// Reads a percentage, with decimals if need be.
fn percent(node: &Node) -> Result<u64, ConfigError> {
    let wrong = || node.error("expected a number above 0, up to 100");
    let Value::Number(digits) = node.value() else { return Err(wrong()) };
    match digits.parse::<f64>() {
        Ok(percent) if percent == 100.0 => Ok(u64::MAX),
        // Below 100 the product is below 2^64, to which it is rounded at most.
        Ok(percent) if percent > 0.0 && percent < 100.0 => {
            Ok((percent / 100.0 * 2f64.powi(64)) as u64)
        }
        _ => Err(wrong()),
    }
}
