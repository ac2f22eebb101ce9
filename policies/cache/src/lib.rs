//! Answers requests from stored responses, as a shared HTTP cache (RFC 9111). See README.md.

mod answer;
mod codec;
mod config;
mod date;
mod directives;
mod entry;
mod fields;
mod freshness;
mod key;
mod memo;
mod meta;
mod part;
mod passes;
mod purge;
#[cfg(test)]
mod random;
mod range;
mod reply;
mod request;
mod response;
mod serve;
mod site;
mod status;
mod targeted;
#[cfg(test)]
mod tests;
mod validator;
mod vary;

use ergo_sdk::{Config, ConfigError, Flow, Policy, Request, Response};

use config::Settings;
use passes::Passes;

/// The policy, as configured.
pub struct Cache {
    settings: Settings,
    passes: Passes,
}

impl Policy for Cache {
    fn configure(config: &Config) -> Result<Self, ConfigError> {
        Ok(Cache { settings: Settings::configure(config)?, passes: Passes::default() })
    }

    fn request(&self, request: &Request) -> Flow {
        self.visit(request)
    }

    fn response(&self, response: &Response, context: u32, is_error: bool) {
        if context == request::REMEMBERED {
            self.meet(response, is_error);
        }
    }
}

ergo_sdk::policy!(Cache);
