//! Chooses where a request goes, by rules. See README.md.

mod action;
mod condition;
mod path;
mod rewrite;
mod split;
mod view;

use ergo_sdk::{Config, ConfigError, Flow, Node, Policy, Request};

use action::Action;
use condition::Condition;
use view::View;

/// The policy, as configured.
pub struct Router {
    rules: Vec<Rule>,
    /// How many different header fields the rules ask about.
    fields: usize,
    refuse_unmatched: bool,
}

struct Rule {
    condition: Condition,
    action: Action,
}

impl Policy for Router {
    fn configure(config: &Config) -> Result<Self, ConfigError> {
        let mut object = config.object()?;
        let mut names = Vec::new();
        let rules = object.required("rules")?.map(|node| Rule::configure(&node, &mut names))?;
        let refuse_unmatched = match object.optional("unmatched") {
            None => false,
            Some(node) => match node.text()? {
                "continue" => false,
                "refuse" => true,
                _ => return Err(node.error("expected continue or refuse")),
            },
        };
        object.finish()?;
        Ok(Router { rules, fields: names.len(), refuse_unmatched })
    }

    fn request(&self, request: &Request) -> Flow {
        let target = request.target();
        let Some(path) = target.normal_path() else {
            return request.answer(400).text("the path is ambiguous\n");
        };
        let view = View::new(request, &target, &path, self.fields);
        let mut captured = Vec::new();
        for rule in &self.rules {
            if rule.condition.holds(&view, &mut captured) {
                return rule.action.act(&view, &captured);
            }
        }
        if self.refuse_unmatched {
            return request.answer(404).text("there is nothing here\n");
        }
        Flow::Continue
    }
}

impl Rule {
    fn configure(node: &Node, names: &mut Vec<String>) -> Result<Self, ConfigError> {
        let mut object = node.object()?;
        let condition = Condition::configure(&mut object, names)?;
        let action = Action::configure(&mut object, condition.captures())?;
        object.finish()?;
        Ok(Rule { condition, action })
    }
}

ergo_sdk::policy!(Router);

#[cfg(test)]
mod tests;
