use ergo_sdk::json::Value;
use ergo_sdk::{ConfigError, Node, Request};

/// How much a request counts.
pub struct Cost {
    header: Option<String>,
    /// What counts without the header field, or with something else than a number in it.
    default: u32,
    max: u32,
}

impl Default for Cost {
    fn default() -> Self {
        Cost { header: None, default: 1, max: 1 }
    }
}

impl Cost {
    /// Reads a number, or a header field that says it. None is above `quota`, which nothing would pass.
    pub fn configure(node: &Node, quota: u32) -> Result<Self, ConfigError> {
        if let Value::Number(_) = node.value() {
            let default = node.integer(1, quota)?;
            return Ok(Cost { header: None, default, max: default });
        }
        let mut object = node.object()?;
        let header = object.required("header")?.header_name()?;
        let max = object.optional("max").map_or(Ok(quota), |node| node.integer(1, quota))?;
        let default = object.optional("default").map_or(Ok(1), |node| node.integer(1, max))?;
        object.finish()?;
        Ok(Cost { header: Some(header), default, max })
    }

    /// The cost of a request: at least 1, so that a field cannot make requests free.
    pub fn of(&self, request: &Request) -> u32 {
        let Some(name) = &self.header else { return self.default };
        let Some(value) = request.headers().get(name) else { return self.default };
        match value.iter().all(u8::is_ascii_digit) && !value.is_empty() {
            true => {
                let digits = std::str::from_utf8(&value).unwrap_or_default();
                digits.parse().unwrap_or(self.max).clamp(1, self.max)
            }
            false => self.default,
        }
    }
}
