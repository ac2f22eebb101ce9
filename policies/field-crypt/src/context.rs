//! What values are bound to: the associated data of their encryption.

use crate::head::Head;
use crate::refusal::Refusal;
use crate::settings::Source;

/// The first of all parts: what this is, and its version.
const FORM: &[u8] = b"ergo field-crypt 1";

/// Most bytes that come from a request.
const MAX_BYTES: usize = 4 << 10;

/// Who the client is, as earlier policies have established it.
pub trait Known {
    fn subject(&self) -> Option<String>;
    fn attribute(&self, name: &str) -> Option<String>;
}

/// What a request says of the sources, each with its name: what comes from one can't pass for what comes
/// from another.
pub fn gather(sources: &[Source], head: &Head, known: &impl Known) -> Result<Vec<u8>, Refusal> {
    let mut bytes = Vec::new();
    for source in sources {
        let value = match source {
            Source::Subject => known.subject().ok_or(Refusal::NoSubject)?.into_bytes(),
            Source::Attribute(name) => {
                known.attribute(name).ok_or(Refusal::NoSubject)?.into_bytes()
            }
            Source::Header(name) => head.only(name).ok_or(Refusal::NoContext)?.to_vec(),
            Source::Host => head.only(":authority").ok_or(Refusal::NoContext)?.to_ascii_lowercase(),
            Source::Path => {
                let target = head.only(":path").ok_or(Refusal::NoContext)?;
                target.split(|&byte| byte == b'?').next().unwrap_or_default().to_vec()
            }
            Source::Text(text) => text.clone().into_bytes(),
        };
        append(&mut bytes, name_of(source).as_bytes());
        append(&mut bytes, &value);
    }
    if bytes.len() > MAX_BYTES { Err(Refusal::NoContext) } else { Ok(bytes) }
}

/// The associated data of a field's values.
pub fn associated(field: &str, context: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(FORM.len() + field.len() + context.len() + 8);
    append(&mut bytes, FORM);
    append(&mut bytes, field.as_bytes());
    bytes.extend_from_slice(context);
    bytes
}

/// A source as the configuration writes it, but for a text, which is its own value.
fn name_of(source: &Source) -> String {
    match source {
        Source::Subject => "subject".into(),
        Source::Attribute(name) => format!("attribute:{name}"),
        Source::Header(name) => format!("header:{name}"),
        Source::Host => "host".into(),
        Source::Path => "path".into(),
        Source::Text(_) => "text".into(),
    }
}

/// Appends a part, its length in four bytes before it, so that no part can reach into the next.
fn append(bytes: &mut Vec<u8>, part: &[u8]) {
    bytes.extend_from_slice(&(part.len() as u32).to_be_bytes());
    bytes.extend_from_slice(part);
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Alice;

    impl Known for Alice {
        fn subject(&self) -> Option<String> {
            Some("alice".into())
        }

        fn attribute(&self, name: &str) -> Option<String> {
            (name == "group").then(|| "dev".into())
        }
    }

    struct Nobody;

    impl Known for Nobody {
        fn subject(&self) -> Option<String> {
            None
        }

        fn attribute(&self, _: &str) -> Option<String> {
            None
        }
    }

    fn head() -> Head {
        let fields = [
            (":authority", "Api.Example"),
            (":path", "/orders/7?x=/8"),
            ("x-tenant", "blue"),
            ("x-two", "1"),
            ("x-two", "2"),
        ];
        Head(
            fields
                .iter()
                .map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()))
                .collect(),
        )
    }

    #[test]
    fn gathers_what_values_are_bound_to() {
        let sources = [
            Source::Subject,
            Source::Attribute("group".into()),
            Source::Header("x-tenant".into()),
            Source::Host,
            Source::Path,
            Source::Text("eu".into()),
        ];
        let got = associated("$['a']", &gather(&sources, &head(), &Alice).unwrap());
        let want = concat!(
            "\0\0\0\x12ergo field-crypt 1",
            "\0\0\0\x06$['a']",
            "\0\0\0\x07subject",
            "\0\0\0\x05alice",
            "\0\0\0\x0fattribute:group",
            "\0\0\0\x03dev",
            "\0\0\0\x0fheader:x-tenant",
            "\0\0\0\x04blue",
            "\0\0\0\x04host",
            "\0\0\0\x0bapi.example",
            "\0\0\0\x04path",
            "\0\0\0\x09/orders/7",
            "\0\0\0\x04text",
            "\0\0\0\x02eu",
        );
        assert_eq!(String::from_utf8(got).unwrap(), want);
    }

    #[test]
    fn what_is_not_known_is_no_empty_value() {
        let gather_one = |source| gather(&[source], &head(), &Nobody);
        assert_eq!(gather_one(Source::Subject), Err(Refusal::NoSubject));
        assert_eq!(gather_one(Source::Attribute("group".into())), Err(Refusal::NoSubject));
        assert_eq!(gather_one(Source::Header("x-none".into())), Err(Refusal::NoContext));
        assert_eq!(gather_one(Source::Header("x-two".into())), Err(Refusal::NoContext));
        assert_eq!(gather_one(Source::Text("x".repeat(MAX_BYTES))), Err(Refusal::NoContext));
    }
}
