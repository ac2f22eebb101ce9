//! Cache-Status (RFC 9211): what this cache did, for those who debug.

use crate::targeted::token_or_string;

/// Why a request was forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forwarded {
    /// Nothing is stored under its key.
    Miss,
    /// What is stored was made for other requests.
    VaryMiss,
    Stale,
    /// The client asked for it.
    Request,
    Method,
    /// The request can't be served from here.
    Bypass,
    /// Only parts are stored of what it asks.
    Partial,
}

impl Forwarded {
    const ALL: [Forwarded; 7] = [
        Forwarded::Miss,
        Forwarded::VaryMiss,
        Forwarded::Stale,
        Forwarded::Request,
        Forwarded::Method,
        Forwarded::Bypass,
        Forwarded::Partial,
    ];

    pub fn code(self) -> u8 {
        self as u8
    }

    pub fn of(code: u8) -> Self {
        Self::ALL.get(code as usize).copied().unwrap_or(Forwarded::Bypass)
    }

    fn text(self) -> &'static str {
        match self {
            Forwarded::Miss => "uri-miss",
            Forwarded::VaryMiss => "vary-miss",
            Forwarded::Stale => "stale",
            Forwarded::Request => "request",
            Forwarded::Method => "method",
            Forwarded::Bypass => "bypass",
            Forwarded::Partial => "partial",
        }
    }
}

/// One member of the field.
#[derive(Debug, Default)]
pub struct Status {
    pub hit: bool,
    pub forwarded: Option<Forwarded>,
    /// The origin's status, if the client gets another.
    pub forwarded_status: Option<u16>,
    pub stored: bool,
    pub collapsed: bool,
    pub ttl: Option<i64>,
    pub detail: &'static str,
}

impl Status {
    /// Writes the member for the cache called `name`.
    pub fn text(&self, name: &str) -> String {
        let mut text = String::with_capacity(128);
        text.push_str(&token_or_string(name));
        if self.hit {
            text.push_str("; hit");
        }
        if let Some(why) = self.forwarded {
            text.push_str("; fwd=");
            text.push_str(why.text());
        }
        if let Some(status) = self.forwarded_status {
            text.push_str("; fwd-status=");
            text.push_str(&status.to_string());
        }
        if let Some(ttl) = self.ttl {
            text.push_str("; ttl=");
            text.push_str(&ttl.to_string());
        }
        if self.stored {
            text.push_str("; stored");
        }
        if self.collapsed {
            text.push_str("; collapsed");
        }
        if !self.detail.is_empty() {
            text.push_str("; detail=");
            text.push_str(&token_or_string(self.detail));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members() {
        let hit = Status { hit: true, ttl: Some(-5), detail: "stale", ..Status::default() };
        assert_eq!(hit.text("ergo"), "ergo; hit; ttl=-5; detail=stale");
        let miss = Status {
            forwarded: Some(Forwarded::Miss),
            forwarded_status: Some(304),
            stored: true,
            collapsed: true,
            detail: "two words",
            ..Status::default()
        };
        let want = "\"a b\"; fwd=uri-miss; fwd-status=304; stored; collapsed; detail=\"two words\"";
        assert_eq!(miss.text("a b"), want);
    }

    #[test]
    fn reasons_have_codes() {
        for why in Forwarded::ALL {
            assert_eq!(Forwarded::of(why.code()), why);
        }
        assert_eq!(Forwarded::of(200), Forwarded::Bypass);
    }
}
