//! The capabilities `ergo_identity`, by which a policy knows who the client is, and `ergo_identify`, by
//! which one that authenticates establishes it. Each needs the grant of its name.

use crate::header::Values;
use crate::{abi, buffer};

/// Why the host refused what a policy said of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdentityError {
    /// Nobody was identified.
    Nobody,
    /// The text is empty, too long, or has control characters.
    BadArgument,
    /// The request has already been sent on.
    TooLate,
    /// There are as many attributes, or as large ones, as may be.
    Full,
}

/// Who the client is, as a policy before this one has established it.
pub fn subject() -> Option<String> {
    // SAFETY: the buffer has room for the limit it is given with.
    let name = buffer::read(|buf, limit| unsafe { abi::get_subject(buf, limit) });
    if name.is_empty() { None } else { String::from_utf8(name).ok() }
}

/// The name of the policy that established who the client is.
pub fn identified_by() -> Option<String> {
    // SAFETY: the buffer has room for the limit it is given with.
    let name = buffer::read(|buf, limit| unsafe { abi::get_identifier(buf, limit) });
    if name.is_empty() { None } else { String::from_utf8(name).ok() }
}

/// What else is known of the client by that name.
pub fn attribute(name: &str) -> Option<String> {
    let value = buffer::read_found(|buf, limit| {
        // SAFETY: `buf` has room for `limit` bytes and `name` outlives the call.
        unsafe { abi::get_attribute(name.as_ptr(), name.len(), buf, limit) }
    });
    String::from_utf8(value?).ok()
}

/// The names that something is known by, in the order in which it was said.
pub fn attribute_names() -> Values {
    // SAFETY: the buffer has room for the limit it is given with.
    Values::new(buffer::read_counted(|buf, limit| unsafe { abi::get_attribute_names(buf, limit) }))
}

/// Establishes who the client is, for the policies that come later and the access log; what was known
/// before is gone. The text, of at most 1 KiB, has no control characters.
pub fn identify(subject: &str) -> Result<(), IdentityError> {
    // SAFETY: `subject` outlives the call.
    check(unsafe { abi::identify(subject.as_ptr(), subject.len()) })
}

/// Says more of who was identified, such as a group, in place of what was said by that name. Names have
/// at most 64 bytes, values 2 KiB; there are at most 32.
pub fn set_attribute(name: &str, value: &str) -> Result<(), IdentityError> {
    // SAFETY: both slices outlive the call.
    check(unsafe { abi::set_attribute(name.as_ptr(), name.len(), value.as_ptr(), value.len()) })
}

/// Makes the client nobody again.
pub fn forget() -> Result<(), IdentityError> {
    // SAFETY: no memory is shared.
    check(unsafe { abi::forget() })
}

fn check(status: u32) -> Result<(), IdentityError> {
    match status {
        0 => Ok(()),
        1 => Err(IdentityError::Nobody),
        3 => Err(IdentityError::TooLate),
        11 => Err(IdentityError::Full),
        _ => Err(IdentityError::BadArgument),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Host;

    #[test]
    fn who_the_client_is_reaches_the_host_and_comes_back() {
        let mut host = Host::new("GET", "/");
        host.during(|| {
            assert_eq!(subject(), None);
            assert_eq!(set_attribute("group", "dev"), Err(IdentityError::Nobody));
            assert_eq!(identify("a\nb"), Err(IdentityError::BadArgument));
            assert_eq!(identify("alice"), Ok(()));
            for (name, value) in [("group", "dev"), ("mail", ""), ("group", "admin")] {
                assert_eq!(set_attribute(name, value), Ok(()), "{name}");
            }
            assert_eq!(subject().as_deref(), Some("alice"));
            assert_eq!(identified_by().as_deref(), Some("host"));
            assert_eq!(attribute("group").as_deref(), Some("admin"));
            assert_eq!(attribute("mail").as_deref(), Some(""));
            assert_eq!(attribute("other"), None);
            assert_eq!(attribute_names().iter().collect::<Vec<_>>(), [b"group", &b"mail"[..]]);
        });
        assert_eq!(host.subject, "alice");
        host.during(|| assert_eq!(forget(), Ok(())));
        assert!(host.subject.is_empty() && host.attributes.is_empty());
    }

    #[test]
    fn every_status_has_its_meaning() {
        let cases = [
            (0, Ok(())),
            (1, Err(IdentityError::Nobody)),
            (2, Err(IdentityError::BadArgument)),
            (3, Err(IdentityError::TooLate)),
            (11, Err(IdentityError::Full)),
        ];
        for (status, want) in cases {
            assert_eq!(check(status), want, "{status}");
        }
    }
}
