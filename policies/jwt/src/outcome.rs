use ergo_sdk::identity::{self, IdentityError};
use ergo_sdk::json::Value;
use ergo_sdk::{ConfigError, Node, Object, Request};

use crate::claim::Claim;
use crate::denial::Denial;
use crate::places::Places;

/// Fields that mean something to others than the upstream's application.
const RESERVED: [&str; 5] =
    ["authorization", "cookie", "host", "content-length", "transfer-encoding"];

const MAX_HEADERS: usize = 32;
const MAX_VALUE_BYTES: usize = 4096;

/// What claims come to behind this policy: fields of the request, and who the client is.
pub struct Outputs {
    /// Names in lower case.
    headers: Vec<String>,
    claims: Vec<(Claim, Form)>,
    subject: Claim,
    attributes: Vec<(String, Claim)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Text as it is; numbers and booleans as in JSON; lists of these with commas between.
    Text,
    /// JSON in ASCII.
    Json,
}

/// What one token comes to.
pub struct Outcome {
    /// A value for each header field.
    values: Vec<Option<String>>,
    subject: Option<String>,
    attributes: Vec<(usize, String)>,
}

impl Outputs {
    /// Reads `headers`, `subject` and `attributes`.
    pub fn configure(object: &mut Object, places: &Places) -> Result<Self, ConfigError> {
        let mut outputs = Outputs {
            headers: vec![],
            claims: vec![],
            subject: match object.optional("subject") {
                Some(node) => Claim::configure(&node)?,
                None => Claim::named("sub"),
            },
            attributes: vec![],
        };
        if let Some(node) = object.optional("headers") {
            for (name, node) in node.object()?.members() {
                let header = ergo_sdk::header_name(name)
                    .filter(|header| !outputs.headers.contains(header))
                    .filter(|header| {
                        !RESERVED.contains(&header.as_str()) && !places.has_field(header)
                    })
                    .ok_or_else(|| node.error("expected a header field of its own"))?;
                outputs.headers.push(header);
                outputs.claims.push(form(&node)?);
            }
            if outputs.headers.len() > MAX_HEADERS {
                return Err(node.error("expected at most 32 fields"));
            }
        }
        if let Some(node) = object.optional("attributes") {
            for (name, node) in node.object()?.members() {
                outputs.attributes.push((name.to_owned(), Claim::configure(&node)?));
            }
        }
        Ok(outputs)
    }

    /// Removes the fields that only this policy may set.
    pub fn strip(&self, request: &Request) {
        request.headers().remove_alike(&self.headers);
    }

    /// What the claims come to. A value that a field or an identity cannot carry, or that would be read as
    /// another one, is a reason to refuse and not to leave it out.
    pub fn of(&self, claims: &Value) -> Result<Outcome, Denial> {
        let unfit = Denial::Forbidden("a claim cannot be passed on");
        let text = |claim: &Claim, form: Form| match claim.of(claims) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => write(value, form).map(Some).ok_or(unfit),
        };
        let values = self.claims.iter().map(|(claim, form)| text(claim, *form));
        let mut attributes = Vec::new();
        for (index, (_, claim)) in self.attributes.iter().enumerate() {
            attributes.extend(text(claim, Form::Text)?.map(|value| (index, value)));
        }
        Ok(Outcome {
            values: values.collect::<Result<_, _>>()?,
            subject: text(&self.subject, Form::Text)?,
            attributes,
        })
    }

    /// Tells those that come later.
    pub fn apply(&self, outcome: &Outcome, request: &Request) -> Result<(), Denial> {
        self.identify(outcome)
            .map_err(|_| Denial::Forbidden("the host does not take the identity"))?;
        for (name, value) in self.headers.iter().zip(&outcome.values) {
            if let Some(value) = value {
                request.headers().set(name, value);
            }
        }
        Ok(())
    }

    fn identify(&self, outcome: &Outcome) -> Result<(), IdentityError> {
        let Some(subject) = &outcome.subject else {
            return identity::forget();
        };
        identity::identify(subject)?;
        for (index, value) in &outcome.attributes {
            identity::set_attribute(&self.attributes[*index].0, value)?;
        }
        Ok(())
    }
}

/// A field's claim: its name or path, or a table with the form too.
fn form(node: &Node) -> Result<(Claim, Form), ConfigError> {
    let Value::Object(_) = node.value() else {
        return Ok((Claim::configure(node)?, Form::Text));
    };
    let mut object = node.object()?;
    let claim = Claim::configure(&object.required("claim")?)?;
    let form = match object.optional("as") {
        None => Form::Text,
        Some(node) => match node.text()? {
            "text" => Form::Text,
            "json" => Form::Json,
            _ => return Err(node.error("expected text or json")),
        },
    };
    object.finish()?;
    Ok((claim, form))
}

fn write(value: &Value, form: Form) -> Option<String> {
    let text = match (form, value) {
        (Form::Json, value) => value.to_string(),
        (Form::Text, Value::Array(elements)) => {
            let texts: Option<Vec<String>> =
                elements.iter().map(|element| scalar(element)).collect();
            texts.filter(|texts| !texts.iter().any(|text| text.contains(',')))?.join(",")
        }
        (Form::Text, value) => scalar(value)?,
    };
    (text.len() <= MAX_VALUE_BYTES).then_some(text)
}

/// A single value as a text that stays as it is: no control characters, no space at its ends.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if text.contains(char::is_control) || text.trim() != text => None,
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}
