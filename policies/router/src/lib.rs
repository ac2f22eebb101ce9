//! Chooses where a request goes, by rules. See README.md.

mod action;
mod answer;
mod condition;
mod expect;
mod expression;
mod host;
mod index;
mod path;
mod rewrite;
mod rules;
mod split;
mod sticky;
mod tree;
mod view;

use ergo_sdk::{Config, ConfigError, Flow, Policy, Request, Response};

use index::Index;
use rules::{Rule, Rules};
use sticky::Cookies;
use view::View;

/// The policy, as configured.
pub struct Router {
    rules: Vec<Rule>,
    index: Index,
    /// How many different header fields the rules ask about.
    fields: usize,
    cookies: Cookies,
    refuse_unmatched: bool,
}

impl Policy for Router {
    fn configure(config: &Config) -> Result<Self, ConfigError> {
        let mut object = config.object()?;
        let mut rules = Rules::new();
        let (inline, routes) = (object.optional("rules"), object.optional("routes"));
        if inline.is_none() && routes.is_none() {
            return Err(object.error("expected rules, routes, or both"));
        }
        if let Some(node) = inline {
            for node in node.list()? {
                rules.add(&node)?;
            }
        }
        if let Some(node) = routes {
            rules.add_text(&node)?;
        }
        let refuse_unmatched = match object.optional("unmatched") {
            None => false,
            Some(node) => match node.text()? {
                "continue" => false,
                "refuse" => true,
                _ => return Err(node.error("expected continue or refuse")),
            },
        };
        object.finish()?;
        let Rules { list, index, fields, cookies, .. } = rules;
        Ok(Router { rules: list, index, fields: fields.len(), cookies, refuse_unmatched })
    }

    fn request(&self, request: &Request) -> Flow {
        let target = request.target();
        let Some(path) = target.normal_path() else {
            return request.answer(400).text("the path is ambiguous\n");
        };
        let view = View::new(request, &target, &path, self.fields);
        let mut captured = Vec::new();
        for number in self.index.find(&view) {
            let rule = &self.rules[number as usize];
            if rule.condition.holds(&view, &mut captured) {
                return rule.action.act(&view, &captured);
            }
        }
        if self.refuse_unmatched {
            return request.answer(404).text("there is nothing here\n");
        }
        Flow::Continue
    }

    fn response(&self, response: &Response, context: u32, _: bool) {
        if let Some(cookie) = self.cookies.field(context) {
            response.headers().add("set-cookie", cookie);
        }
    }
}

ergo_sdk::policy!(Router);

#[cfg(test)]
mod tests;
