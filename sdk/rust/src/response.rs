use crate::{Body, Headers, Request, abi};

/// The response of the exchange, in the response phase.
#[derive(Clone, Copy)]
pub struct Response(());

impl Response {
    pub(crate) const fn new() -> Self {
        Response(())
    }

    /// The request that this answers; read only by now.
    pub fn request(&self) -> Request {
        Request::new()
    }

    /// The status code.
    pub fn status(&self) -> u16 {
        // SAFETY: no memory is shared.
        unsafe { abi::get_status_code() as u16 }
    }

    /// Replaces the status code; needs [`Features::BUFFER_RESPONSE`](crate::Features::BUFFER_RESPONSE).
    pub fn set_status(&self, status: u16) {
        // SAFETY: no memory is shared.
        unsafe { abi::set_status_code(u32::from(status)) }
    }

    /// The response's header fields.
    pub fn headers(&self) -> Headers {
        Headers::new(abi::RESPONSE)
    }

    /// The response's trailer fields.
    pub fn trailers(&self) -> Headers {
        Headers::new(abi::RESPONSE_TRAILERS)
    }

    /// The response's body; needs [`Features::BUFFER_RESPONSE`](crate::Features::BUFFER_RESPONSE).
    pub fn body(&self) -> Body {
        Body::new(abi::RESPONSE)
    }
}
