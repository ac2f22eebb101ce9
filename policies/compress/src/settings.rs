use ergo_sdk::{Config, ConfigError, Node};

use crate::encoder::Coding;

/// The policy, as configured.
pub struct Settings {
    /// The codings that it has, the best first.
    pub codings: Vec<Coding>,
    pub gzip_level: u32,
    pub brotli_level: u32,
    pub zstd_level: u32,
    /// Bodies known to be shorter stay as they are.
    pub min_bytes: u64,
    /// Media types in lower case; `type/*`, `*+suffix` and `*/*` stand for many.
    pub types: Vec<String>,
}

/// What is worth it: text, by any of its names.
const TYPES: [&str; 8] = [
    "text/*",
    "*+json",
    "*+xml",
    "application/json",
    "application/javascript",
    "application/xml",
    "application/x-ndjson",
    "application/wasm",
];

impl Settings {
    pub fn configure(config: &Config) -> Result<Self, ConfigError> {
        let mut object = config.object()?;
        let codings = match object.optional("codings") {
            Some(node) => node.map(coding)?,
            None => vec![Coding::Zstd, Coding::Brotli, Coding::Gzip],
        };
        let mut level = |key, default, most| match object.optional(key) {
            Some(node) => node.integer(1, most),
            None => Ok(default),
        };
        let (gzip_level, brotli_level) = (level("gzip_level", 5, 9)?, level("brotli_level", 4, 6)?);
        let zstd_level = level("zstd_level", 3, 9)?;
        let min_bytes = match object.optional("min_bytes") {
            Some(node) => node.integer(0, 1 << 30)?,
            None => 1024,
        };
        let types = match object.optional("types") {
            Some(node) => node.map(|node| node.text().map(str::to_ascii_lowercase))?,
            None => TYPES.map(str::to_owned).to_vec(),
        };
        object.finish()?;
        Ok(Settings { codings, gzip_level, brotli_level, zstd_level, min_bytes: min_bytes.into(), types })
    }

    pub fn level(&self, coding: Coding) -> u32 {
        match coding {
            Coding::Gzip => self.gzip_level,
            Coding::Brotli => self.brotli_level,
            Coding::Zstd => self.zstd_level,
        }
    }

    /// Whether a Content-Type is of the types.
    pub fn takes(&self, content_type: &str) -> bool {
        let media = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        !media.is_empty() && self.types.iter().any(|pattern| fits(pattern, &media))
    }
}

fn coding(node: Node) -> Result<Coding, ConfigError> {
    Coding::named(node.text()?).ok_or_else(|| node.error("expected zstd, br or gzip"))
}

fn fits(pattern: &str, media: &str) -> bool {
    if pattern == "*/*" {
        return true;
    }
    match (pattern.strip_suffix('*'), pattern.strip_prefix('*')) {
        (Some(start), _) => media.starts_with(start),
        (_, Some(end)) => media.ends_with(end),
        _ => media == pattern,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_types_that_are_configured() {
        let settings = Settings::configure(&Config::parse(b"").unwrap()).unwrap();
        for media in ["text/html", "TEXT/Plain; charset=utf-8", "image/svg+xml", "application/json"] {
            assert!(settings.takes(media), "{media}");
        }
        for media in ["", "image/png", "application/grpc", "application/jsonp", "texts/html"] {
            assert!(!settings.takes(media), "{media}");
        }
    }
}
