use std::sync::OnceLock;

use crate::{Config, ConfigError, Request, Response, abi, buffer, log};

/// What happens to an exchange after a policy's request phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// The request goes on to the next policy.
    Continue,
    /// As [`Flow::Continue`]; the number comes back in the response phase.
    ContinueWith(u32),
    /// The policy has answered; only the policies already passed see the response.
    Answer,
}

impl Flow {
    /// The ABI's `ctx_next`: context in the upper half, 1 in the lower half to go on.
    pub fn to_abi(self) -> u64 {
        match self {
            Flow::Continue => 1,
            Flow::ContinueWith(context) => u64::from(context) << 32 | 1,
            Flow::Answer => 0,
        }
    }
}

/// Optional features of the http-wasm ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Features(u32);

impl Features {
    /// None of them.
    pub const NONE: Features = Features(0);
    /// The request body stays readable for those who come later.
    pub const BUFFER_REQUEST: Features = Features(1);
    /// The response is held back until the response phase is over.
    pub const BUFFER_RESPONSE: Features = Features(2);
    /// Trailers can be read and set.
    pub const TRAILERS: Features = Features(4);

    /// Both sets of features.
    pub const fn with(self, other: Features) -> Features {
        Features(self.0 | other.0)
    }

    /// The ABI's bits.
    pub const fn bits(self) -> u32 {
        self.0
    }
}

/// One policy: made once for each instance from its configuration, then asked about one exchange after
/// another. Keep per-exchange state in local variables or in [`Flow::ContinueWith`]: an instance of a
/// policy that declares itself stateless may serve other exchanges between the two phases.
pub trait Policy: Sized + Send + Sync + 'static {
    /// The features this policy cannot do without; the host is asked for them at the start.
    const FEATURES: Features = Features::NONE;

    /// Checks the configuration and prepares everything that a request can be spared.
    fn configure(config: &Config) -> Result<Self, ConfigError>;

    /// Decides about a request.
    fn request(&self, request: &Request) -> Flow {
        let _ = request;
        Flow::Continue
    }

    /// Sees the response to a request that this policy let pass. `context` is the number that
    /// [`Flow::ContinueWith`] carried, else 0; `is_error` says that nothing behind this policy could
    /// answer.
    fn response(&self, response: &Response, context: u32, is_error: bool) {
        let _ = (response, context, is_error);
    }
}

/// Where [`policy!`](crate::policy!) keeps an instance's policy.
pub struct Slot<P>(OnceLock<P>);

impl<P: Policy> Slot<P> {
    /// An empty slot.
    #[allow(clippy::new_without_default, reason = "only ever made in a static")]
    pub const fn new() -> Self {
        Slot(OnceLock::new())
    }

    /// The policy, configured on first use. A configuration that is not valid is logged and ends the
    /// instance: the host sees a trap, never a policy that lets everything pass.
    pub fn policy(&self) -> &P {
        self.0.get_or_init(|| match configure() {
            Ok(policy) => policy,
            Err(error) => {
                log::write(log::Level::Error, &error.to_string());
                std::process::abort()
            }
        })
    }

    /// The request phase.
    pub fn request(&self) -> u64 {
        self.policy().request(&Request::new()).to_abi()
    }

    /// The response phase.
    pub fn response(&self, context: u32, is_error: u32) {
        self.policy().response(&Response::new(), context, is_error != 0);
    }
}

fn configure<P: Policy>() -> Result<P, ConfigError> {
    std::panic::set_hook(Box::new(|panic| log::write(log::Level::Error, &panic.to_string())));
    if P::FEATURES != Features::NONE {
        let wanted = P::FEATURES.bits();
        // SAFETY: no memory is shared.
        if unsafe { abi::enable_features(wanted) } & wanted != wanted {
            return Err(ConfigError::new("config", "the host lacks a feature this policy needs"));
        }
    }
    // SAFETY: the buffer has room for the limit it is given with.
    let bytes = buffer::read(|buf, limit| unsafe { abi::get_config(buf, limit) });
    P::configure(&Config::parse(&bytes)?)
}

/// Makes a type that implements [`Policy`] the policy of this module: exports the functions of the
/// http-wasm ABI. The configuration is read when the host starts the instance (`_initialize`), or with
/// the first request in hosts that do not call that.
#[macro_export]
macro_rules! policy {
    ($policy:ty) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            static SLOT: $crate::Slot<$policy> = $crate::Slot::new();

            #[unsafe(no_mangle)]
            extern "C" fn _initialize() {
                SLOT.policy();
            }

            #[unsafe(no_mangle)]
            extern "C" fn handle_request() -> u64 {
                SLOT.request()
            }

            #[unsafe(no_mangle)]
            extern "C" fn handle_response(context: u32, is_error: u32) {
                SLOT.response(context, is_error)
            }
        };
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flow_as_the_abi_wants_it() {
        assert_eq!(Flow::Continue.to_abi(), 1);
        assert_eq!(Flow::ContinueWith(0xdead_beef).to_abi(), 0xdead_beef_0000_0001);
        assert_eq!(Flow::Answer.to_abi(), 0);
    }
}
