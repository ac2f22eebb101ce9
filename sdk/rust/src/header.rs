use crate::{abi, buffer};

/// One list of header (or trailer) fields of the exchange.
///
/// Names are matched without regard to case. Setting, adding and removing trap when the host no longer
/// allows it: request fields after the request was sent on, response fields after they were sent, and
/// trailers without [`Features::TRAILERS`](crate::Features::TRAILERS).
#[derive(Clone, Copy)]
pub struct Headers {
    kind: u32,
}

impl Headers {
    pub(crate) const fn new(kind: u32) -> Self {
        Headers { kind }
    }

    /// The names in use, in lower case, in the order in which they first appear.
    pub fn names(&self) -> Values {
        Values::new(buffer::read_counted(|buf, limit| {
            // SAFETY: `buf` has room for `limit` bytes.
            unsafe { abi::get_header_names(self.kind, buf, limit) }
        }))
    }

    /// Every value of `name`, in order. Empty when the field is absent.
    pub fn values(&self, name: &str) -> Values {
        Values::new(buffer::read_counted(|buf, limit| {
            // SAFETY: `buf` has room for `limit` bytes and `name` outlives the call.
            unsafe { abi::get_header_values(self.kind, name.as_ptr(), name.len(), buf, limit) }
        }))
    }

    /// The first value of `name`, or `None` when the field is absent. Use [`Headers::values`] where a
    /// repeated field would be ambiguous.
    pub fn get(&self, name: &str) -> Option<Vec<u8>> {
        self.values(name).into_first()
    }

    /// Replaces every value of `name` by `value`.
    pub fn set(&self, name: &str, value: impl AsRef<[u8]>) {
        let value = value.as_ref();
        // SAFETY: both slices outlive the call.
        unsafe {
            abi::set_header_value(self.kind, name.as_ptr(), name.len(), value.as_ptr(), value.len())
        }
    }

    /// Adds one value to `name` and keeps those that are there.
    pub fn add(&self, name: &str, value: impl AsRef<[u8]>) {
        let value = value.as_ref();
        // SAFETY: both slices outlive the call.
        unsafe {
            abi::add_header_value(self.kind, name.as_ptr(), name.len(), value.as_ptr(), value.len())
        }
    }

    /// Removes every value of `name`; nothing happens when the field is absent.
    pub fn remove(&self, name: &str) {
        // SAFETY: `name` outlives the call.
        unsafe { abi::remove_header(self.kind, name.as_ptr(), name.len()) }
    }
}

impl Headers {
    /// Removes every field that many applications would take for one of `names` (in lower case): they
    /// see `x_user` and `x-user` as one field. For fields that only the policy may set.
    pub fn remove_alike(&self, names: &[impl AsRef<str>]) {
        if names.is_empty() {
            return;
        }
        let present = self.names();
        for field in present.iter().filter_map(|field| std::str::from_utf8(field).ok()) {
            if names.iter().any(|name| alike(field, name.as_ref())) {
                self.remove(field);
            }
        }
    }
}

/// Whether two names of fields differ in case and in dashes and underscores alone.
fn alike(one: &str, other: &str) -> bool {
    let plain = |byte: u8| if byte == b'_' { b'-' } else { byte.to_ascii_lowercase() };
    one.len() == other.len() && one.bytes().map(plain).eq(other.bytes().map(plain))
}

/// The values of one field (or the names of a list), as the host gave them: no value contains NUL.
pub struct Values {
    count: usize,
    bytes: Vec<u8>,
}

impl Values {
    pub(crate) fn new((count, bytes): (usize, Vec<u8>)) -> Self {
        Values { count, bytes }
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The values, in order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.bytes.split(|&byte| byte == 0).take(self.count)
    }

    /// The first value.
    pub fn first(&self) -> Option<&[u8]> {
        self.iter().next()
    }

    /// The value when there is exactly one.
    pub fn only(&self) -> Option<&[u8]> {
        if self.count == 1 { self.first() } else { None }
    }

    fn into_first(mut self) -> Option<Vec<u8>> {
        let length = self.first()?.len();
        self.bytes.truncate(length);
        Some(self.bytes)
    }
}

/// `text` in lower case, if it can be the name of a header field (an RFC 9110 token).
pub fn header_name(text: &str) -> Option<String> {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let valid = !text.is_empty() && text.bytes().all(token);
    valid.then(|| text.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use crate::Request;
    use crate::testing::Host;

    #[test]
    fn removes_what_looks_like_a_field() {
        let mut host = Host::new("GET", "/");
        for name in ["X-User", "x_user", "X-User_Id", "x-user-id", "x-user2", "xuser", "x_user"] {
            host = host.header(name, "v");
        }
        host.during(|| Request::new().headers().remove_alike(&["x-user", "x_user-id"]));
        let left: Vec<&str> = host.fields[0].iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(left, ["x-user2", "xuser"]);
    }
}
