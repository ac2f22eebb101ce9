use ergo_sdk::{ConfigError, Node};

/// One host, or all below one.
#[derive(Debug)]
pub enum HostPattern {
    Exact(String),
    /// `.example.com` for `*.example.com`.
    Suffix(String),
}

impl HostPattern {
    /// Reads a host without port, or `*.suffix`.
    pub fn configure(node: &Node) -> Result<Self, ConfigError> {
        let host = node.text()?.to_ascii_lowercase();
        let pattern = match host.strip_prefix('*') {
            Some(suffix) if suffix.len() > 1 && suffix.starts_with('.') => {
                HostPattern::Suffix(suffix.to_owned())
            }
            _ => HostPattern::Exact(host.clone()),
        };
        let bare = host.trim_start_matches("*.");
        let port = !bare.starts_with('[') && bare.contains(':');
        if bare.is_empty() || port || bare.contains(['*', '/', ' ']) {
            return Err(node.error("expected a host without port, or *.suffix"));
        }
        Ok(pattern)
    }

    /// Whether a host, in lower case and without port, is this one or below it.
    pub fn fits(&self, host: &[u8]) -> bool {
        match self {
            HostPattern::Exact(exact) => host == exact.as_bytes(),
            HostPattern::Suffix(suffix) => {
                host.len() > suffix.len() && host.ends_with(suffix.as_bytes())
            }
        }
    }
}
