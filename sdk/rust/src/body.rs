use crate::abi;

/// One body of the exchange: a stream that is read and written in order, each side once.
///
/// Using [`Body::read`] makes the module import `read_body`, which tells the host that bodies matter to
/// this policy; `policy.toml` says how much of them (`[needs]`).
#[derive(Clone, Copy)]
pub struct Body {
    kind: u32,
}

impl Body {
    pub(crate) const fn new(kind: u32) -> Self {
        Body { kind }
    }

    /// Reads the next bytes into `buf` (which must not be empty) and returns how many there were and
    /// whether the body has ended.
    pub fn read(&self, buf: &mut [u8]) -> (usize, bool) {
        // SAFETY: `buf` is valid for writes of its length.
        let result = unsafe { abi::read_body(self.kind, buf.as_mut_ptr(), buf.len()) };
        (result as u32 as usize, result >> 32 != 0)
    }

    /// Reads what is left, up to `max` bytes. `None` when there is more.
    pub fn read_up_to(&self, max: usize) -> Option<Vec<u8>> {
        let mut body = Vec::new();
        let mut chunk = [0; 4096];
        loop {
            let (length, ended) = self.read(&mut chunk);
            if body.len() + length > max {
                return None;
            }
            body.extend_from_slice(&chunk[..length]);
            if ended {
                return Some(body);
            }
        }
    }

    /// Writes the next bytes; the first write of a phase replaces the body.
    pub fn write(&self, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref();
        // SAFETY: `bytes` outlives the call.
        unsafe { abi::write_body(self.kind, bytes.as_ptr(), bytes.len()) }
    }
}

#[cfg(test)]
mod tests {
    use crate::Request;
    use crate::testing::Host;

    #[test]
    fn bodies_are_read_up_to_a_bound() {
        let text = b"0123456789".repeat(1000);
        let cases = [(9_999, None), (10_000, Some(text.clone())), (20_000, Some(text.clone()))];
        for (max, want) in cases {
            let mut host = Host::new("POST", "/");
            host.request_body = text.clone();
            assert_eq!(host.during(|| Request::new().body().read_up_to(max)), want, "{max}");
        }
    }

    #[test]
    fn no_body_is_an_empty_one() {
        let mut host = Host::new("GET", "/");
        assert_eq!(host.during(|| Request::new().body().read_up_to(0)), Some(vec![]));
    }
}
