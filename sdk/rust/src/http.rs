//! The capability `ergo_http`: calls to other hosts. A policy that uses it needs the grant `ergo_http`,
//! and `[policy.NAME.http]` in the manifest says what it may call.
//!
//! ```no_run
//! use ergo_sdk::http;
//!
//! let response = http::fetch(&http::Call::get("https://idp.example.com/decide"))?;
//! assert_eq!(response.status, 200);
//! # Ok::<(), http::CallError>(())
//! ```

use crate::{abi, buffer};

/// Why a call has no response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallError {
    /// The method, URL, a field or the timeout cannot be sent.
    BadArgument,
    /// The response is still to come: ask again.
    Pending,
    /// The manifest does not grant the host, the upstream or the method.
    NotGranted,
    /// The host's address is a special one, which the manifest does not grant.
    Address,
    /// There was no whole response in time.
    Timeout,
    /// The request or the response is too large.
    TooLarge,
    /// Too many calls are under way.
    Busy,
    /// The host was not reached, or broke off.
    Failed,
}

/// What a policy asks another host.
#[derive(Clone, Debug)]
pub struct Call<'a> {
    /// The method.
    pub method: &'a str,
    /// `https://host/path`, `http://host:port/path` or `upstream://name/path`.
    pub url: &'a str,
    /// Header fields in order.
    pub fields: &'a [(&'a str, &'a str)],
    /// The body.
    pub body: &'a [u8],
    /// In milliseconds; 0, or more than the manifest's, is the manifest's.
    pub timeout_ms: u32,
}

impl<'a> Call<'a> {
    /// A GET of a URL, without fields.
    pub fn get(url: &'a str) -> Self {
        Call { method: "GET", url, fields: &[], body: &[], timeout_ms: 0 }
    }

    /// Begins the call and does not wait.
    pub fn begin(&self) -> Result<Pending, CallError> {
        let list = self.list()?;
        let mut handle = 0;
        // SAFETY: all slices outlive the call, and `handle` has room for what is written.
        let status = unsafe {
            abi::start_call(
                self.method.as_ptr(),
                self.method.len(),
                self.url.as_ptr(),
                self.url.len(),
                list.as_ptr(),
                list.len(),
                self.body.as_ptr(),
                self.body.len(),
                self.timeout_ms,
                &mut handle,
            )
        };
        check(status).map(|()| Pending { handle })
    }

    /// Makes the call for nobody: it outlives the exchange, and what is answered is dropped.
    pub fn send(&self) -> Result<(), CallError> {
        let list = self.list()?;
        // SAFETY: all slices outlive the call.
        check(unsafe {
            abi::send_call(
                self.method.as_ptr(),
                self.method.len(),
                self.url.as_ptr(),
                self.url.len(),
                list.as_ptr(),
                list.len(),
                self.body.as_ptr(),
                self.body.len(),
                self.timeout_ms,
            )
        })
    }

    /// The fields as the host reads them.
    fn list(&self) -> Result<Vec<u8>, CallError> {
        let mut list = Vec::new();
        for text in self.fields.iter().flat_map(|&(name, value)| [name, value]) {
            if text.bytes().any(|byte| byte == 0) {
                return Err(CallError::BadArgument);
            }
            list.extend(text.bytes());
            list.push(0);
        }
        Ok(list)
    }
}

/// The response to a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answered {
    /// The status, whatever it is: redirects are not followed.
    pub status: u32,
    /// Header fields by name, in lower case.
    pub header: Vec<(Vec<u8>, Vec<u8>)>,
    /// Trailer fields.
    pub trailer: Vec<(Vec<u8>, Vec<u8>)>,
    /// The whole body.
    pub body: Vec<u8>,
}

impl Answered {
    /// The first value of a header field.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        let mut fields = self.header.iter();
        fields
            .find(|(key, _)| key.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| &value[..])
    }
}

/// Makes a call and waits for its response.
pub fn fetch(call: &Call) -> Result<Answered, CallError> {
    call.begin()?.wait()
}

/// A call that has begun. Several can be under way, at most 16. Dropping it ends the call.
#[derive(Debug)]
pub struct Pending {
    handle: u32,
}

impl Pending {
    /// Waits until the response is there.
    pub fn wait(self) -> Result<Answered, CallError> {
        self.poll(u32::MAX)
    }

    /// Waits at most so many milliseconds; 0 is not at all. [`CallError::Pending`] says that it may be
    /// asked again.
    pub fn poll(&self, milliseconds: u32) -> Result<Answered, CallError> {
        // SAFETY: no memory is shared.
        check(unsafe { abi::await_call(self.handle, milliseconds) })?;
        Ok(Answered {
            // SAFETY: no memory is shared.
            status: unsafe { abi::get_call_status(self.handle) },
            header: self.fields(0),
            trailer: self.fields(1),
            body: self.body(),
        })
    }

    fn fields(&self, kind: u32) -> Vec<(Vec<u8>, Vec<u8>)> {
        // SAFETY: the buffer has room for the limit it is given with.
        let list = buffer::read(|buf, limit| unsafe {
            abi::get_call_fields(self.handle, kind, buf, limit)
        });
        let mut parts = list.split(|&byte| byte == 0);
        let mut fields = Vec::new();
        while let (Some(name), Some(value)) = (parts.next(), parts.next()) {
            fields.push((name.to_vec(), value.to_vec()));
        }
        fields
    }

    fn body(&self) -> Vec<u8> {
        // SAFETY: no memory is shared.
        let mut body = vec![0; unsafe { abi::get_call_body_length(self.handle) }];
        // SAFETY: the buffer has room for the limit it is given with.
        let read = unsafe { abi::read_call_body(self.handle, 0, body.as_mut_ptr(), body.len()) };
        body.truncate(read);
        body
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        // SAFETY: no memory is shared.
        unsafe { abi::close_call(self.handle) };
    }
}

fn check(status: u32) -> Result<(), CallError> {
    Err(match status {
        0 => return Ok(()),
        2 => CallError::BadArgument,
        4 => CallError::Pending,
        5 => CallError::NotGranted,
        6 => CallError::Address,
        7 => CallError::Timeout,
        8 => CallError::TooLarge,
        9 => CallError::Busy,
        _ => CallError::Failed,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Host;

    #[test]
    fn a_call_is_answered_by_the_host() {
        let mut host = Host::new("GET", "/");
        let long = "x".repeat(5000);
        let header = vec![(b"x-long".to_vec(), long.clone().into_bytes())];
        host.answers.push(Answered {
            status: 403,
            header,
            body: b"no".to_vec(),
            ..Default::default()
        });
        host.during(|| {
            let fields = [("x-user", "ada"), ("x-empty", "")];
            let call = Call {
                method: "POST",
                fields: &fields,
                body: b"b",
                ..Call::get("upstream://idp/")
            };
            let answered = fetch(&call).unwrap();
            assert_eq!((answered.status, answered.body.as_slice()), (403, b"no".as_slice()));
            assert_eq!(answered.get("X-Long"), Some(long.as_bytes()));
            assert_eq!(fetch(&call), Err(CallError::NotGranted));
            let nul = Call { fields: &[("a", "b\0c")], ..Call::get("upstream://idp/") };
            assert_eq!(fetch(&nul), Err(CallError::BadArgument));
            assert_eq!(nul.send(), Err(CallError::BadArgument));
        });
        assert_eq!(host.calls, ["POST upstream://idp/ x-user\0ada\0x-empty\0\0 b"; 2]);
        assert_eq!(host.open_calls, 0);
    }

    #[test]
    fn a_call_can_be_for_nobody() {
        let mut host = Host::new("GET", "/");
        host.answers.push(Answered::default());
        host.during(|| {
            let call = Call { body: b"b", fields: &[("a", "1")], ..Call::get("upstream://idp/") };
            assert_eq!(call.send(), Ok(()));
            assert_eq!(call.send(), Err(CallError::NotGranted));
        });
        assert_eq!(host.calls, ["GET upstream://idp/ a\01\0 b"; 2]);
        assert_eq!(host.open_calls, 0);
    }
}
