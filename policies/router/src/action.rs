use ergo_sdk::json::Value;
use ergo_sdk::route::{self, RouteError};
use ergo_sdk::template::{Scope, Template, Values};
use ergo_sdk::{ConfigError, Flow, Node, Object, Target, log};

use crate::answer::Answer;
use crate::rewrite::Rewrite;
use crate::split::Split;
use crate::sticky::{Cookies, Sticky};
use crate::view::View;

/// The host's bounds.
const MAX_HASH_KEY_BYTES: usize = 1024;
const MAX_TIMEOUT_MS: u64 = 3_600_000;
const MAX_FALLBACKS: usize = 4;

/// What a rule does with a request.
pub enum Action {
    /// Answers with another place to look at.
    Redirect(Box<Redirect>),
    /// Answers by itself.
    Answer(Box<Answer>),
    /// Says where the request goes, and how.
    Route(Box<Route>),
}

/// Another place to look at.
pub struct Redirect {
    status: u16,
    location: Template,
    /// Whether the configured text itself names another host with `//`.
    names_host: bool,
}

/// Where a request goes, and how; what is absent stays as the manifest has it.
pub struct Route {
    destination: Destination,
    fallbacks: Box<[String]>,
    rewrite: Option<Rewrite>,
    hash_key: Option<Template>,
    timeout_ms: Option<u32>,
    retries: Option<u32>,
}

enum Destination {
    Unchanged,
    Upstream(String),
    Split(Split),
}

impl Action {
    /// Reads what a rule does. `captures` are the parts of the path that it names; `cookies` collects
    /// those that it sets.
    pub fn configure(
        rule: &mut Object,
        captures: &[String],
        cookies: &mut Cookies,
    ) -> Result<Self, ConfigError> {
        let scope = Scope { captures, url: true, ..Scope::default() };
        let redirect = rule.optional("redirect");
        let answer = rule.optional("answer");
        let route = Route::configure(rule, scope, cookies)?;
        let alone = |node: &Node, is_alone| match is_alone {
            true => Ok(()),
            false => Err(node.error("expected to be alone: nothing else happens to the request")),
        };
        match (redirect, answer) {
            (Some(redirect), answer) => {
                alone(&redirect, route.is_nothing() && answer.is_none())?;
                Ok(Action::Redirect(Box::new(Redirect::configure(&redirect, scope)?)))
            }
            (None, Some(answer)) => {
                alone(&answer, route.is_nothing())?;
                let scope = Scope { url: false, ..scope };
                Ok(Action::Answer(Box::new(Answer::configure(&answer, scope)?)))
            }
            (None, None) => Ok(Action::Route(Box::new(route))),
        }
    }

    /// Acts on a request.
    pub fn act(&self, view: &View, captured: &[&[u8]]) -> Flow {
        let values = Values { request: view.request, captures: captured };
        match self {
            Action::Redirect(redirect) => redirect.act(view, values),
            Action::Answer(answer) => answer.act(values),
            Action::Route(route) => match route.act(view, values) {
                Ok(None) => Flow::Continue,
                Ok(Some(context)) => Flow::ContinueWith(context),
                Err(Failure::Ambiguous) => view.request.answer(400).text("the path is ambiguous\n"),
                Err(Failure::Refused(error)) => {
                    log::write(log::Level::Error, &error);
                    view.request.answer(503).text("no route\n")
                }
            },
        }
    }
}

impl Redirect {
    fn configure(node: &Node, scope: Scope) -> Result<Self, ConfigError> {
        let mut object = node.object()?;
        let location = object.required("location")?;
        let status = match object.optional("status") {
            Some(node) => match node.integer(300, 399)? {
                status @ (301 | 302 | 303 | 307 | 308) => status as u16,
                _ => return Err(node.error("expected 301, 302, 303, 307 or 308")),
            },
            None => 307,
        };
        object.finish()?;
        Ok(Redirect {
            status,
            location: Template::compile(&location, scope)?,
            names_host: location.text()?.starts_with("//"),
        })
    }

    fn act(&self, view: &View, values: Values) -> Flow {
        let mut location = self.location.render(values);
        if !self.names_host {
            stay_on_host(&mut location);
        }
        view.request.answer(self.status).header("location", location).empty()
    }
}

/// Leaves one slash of several at the beginning: a path like `//evil.example/` or `/\evil.example/`,
/// taken from the request, would name another host.
fn stay_on_host(location: &mut Vec<u8>) {
    if location.first() == Some(&b'/') {
        let slash = |byte: &&u8| matches!(**byte, b'/' | b'\\');
        let extra = location[1..].iter().take_while(slash).count();
        location.drain(1..=extra);
    }
}

impl Route {
    fn configure(
        rule: &mut Object,
        scope: Scope,
        cookies: &mut Cookies,
    ) -> Result<Self, ConfigError> {
        let sticky = rule.optional("sticky");
        let destination = match (rule.text("upstream")?, rule.optional("split")) {
            (Some(_), Some(split)) => return Err(split.error("expected either upstream or split")),
            (Some(name), None) => Destination::Upstream(name.to_owned()),
            (None, Some(split)) => {
                let sticky = sticky.as_ref().map(|node| Sticky::configure(node, cookies));
                Destination::Split(Split::configure(&split, sticky.transpose()?)?)
            }
            (None, None) => Destination::Unchanged,
        };
        if let (Some(node), false) = (sticky, matches!(destination, Destination::Split(_))) {
            return Err(node.error("expected a split beside it"));
        }
        let fallbacks = fallbacks(rule, &destination)?;
        let field_scope = Scope { url: false, ..scope };
        Ok(Route {
            destination,
            fallbacks,
            rewrite: rule
                .optional("rewrite")
                .map(|node| Rewrite::configure(&node, scope))
                .transpose()?,
            hash_key: rule
                .optional("hash_key")
                .map(|node| Template::compile(&node, field_scope))
                .transpose()?,
            timeout_ms: rule.optional("timeout").map(|node| timeout(&node)).transpose()?,
            retries: rule.optional("retries").map(|node| node.integer(0, 10)).transpose()?,
        })
    }

    /// Whether the rule says nothing about the way of the request.
    fn is_nothing(&self) -> bool {
        matches!(self.destination, Destination::Unchanged)
            && self.rewrite.is_none()
            && self.hash_key.is_none()
            && self.timeout_ms.is_none()
            && self.retries.is_none()
    }

    /// Decides, and returns what the response phase is to be told.
    fn act(&self, view: &View, values: Values) -> Result<Option<u32>, Failure> {
        let target = self.rewrite.as_ref().map(|rewrite| Target::new(rewrite.apply(view, values)));
        // A value of the request may be "..", and its segment then be one that leads elsewhere.
        if target.as_ref().is_some_and(|target| target.normal_path().is_none()) {
            return Err(Failure::Ambiguous);
        }
        let mut context = None;
        match &self.destination {
            Destination::Unchanged => {}
            Destination::Upstream(name) => send_to(name, route::set_upstream)?,
            Destination::Split(split) => {
                let (name, told) = split.choose(values);
                context = told;
                send_to(name, route::set_upstream)?;
            }
        }
        for name in &self.fallbacks {
            send_to(name, route::add_fallback)?;
        }
        if let Some(template) = &self.hash_key {
            let mut key = template.render(values);
            key.truncate(MAX_HASH_KEY_BYTES);
            if !key.is_empty() {
                route::set_hash_key(key).map_err(|error| refused("hash key", error))?;
            }
        }
        if let Some(milliseconds) = self.timeout_ms {
            route::set_timeout_ms(milliseconds).map_err(|error| refused("timeout", error))?;
        }
        if let Some(count) = self.retries {
            route::set_retries(count).map_err(|error| refused("retries", error))?;
        }
        if let Some(target) = target {
            view.request.set_target(target.as_bytes());
        }
        Ok(context)
    }
}

/// Why a request does not go where the rule says.
enum Failure {
    /// Its new path means different things to those who read it.
    Ambiguous,
    /// The host does not take what was decided.
    Refused(String),
}

/// Reads the upstreams that stand in for the rule's own.
fn fallbacks(rule: &mut Object, destination: &Destination) -> Result<Box<[String]>, ConfigError> {
    let Some(node) = rule.optional("fallback") else {
        return Ok(Box::default());
    };
    if matches!(destination, Destination::Unchanged) {
        return Err(node.error("expected upstream or split beside it"));
    }
    let names = match node.value() {
        Value::Array(_) => node.map(|node| node.text().map(str::to_owned))?,
        _ => vec![node.text()?.to_owned()],
    };
    match names.len() {
        1..=MAX_FALLBACKS => Ok(names.into()),
        _ => Err(node.error("expected 1 to 4 upstreams")),
    }
}

fn send_to(upstream: &str, decide: impl Fn(&str) -> Result<(), RouteError>) -> Result<(), Failure> {
    decide(upstream).map_err(|error| refused(&["upstream \"", upstream, "\""].concat(), error))
}

fn refused(what: &str, error: RouteError) -> Failure {
    let why = match error {
        RouteError::NotFound => "the manifest has none of this name",
        RouteError::BadArgument => "the host refused the value",
        RouteError::Full => "the host takes no more",
        RouteError::TooLate => "the request was already sent on",
    };
    Failure::Refused([what, ": ", why].concat())
}

/// Reads how long the upstream has in all.
fn timeout(node: &Node) -> Result<u32, ConfigError> {
    match node.milliseconds(MAX_TIMEOUT_MS)? {
        0 => Err(node.error("expected more than 0")),
        milliseconds => Ok(milliseconds as u32),
    }
}
