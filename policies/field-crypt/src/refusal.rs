//! Why a message does not pass. Nothing here says anything of its content.

use crate::scan::Malformed;

/// Why a message does not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The body is not JSON.
    Malformed,
    /// A value is too large, or there are too many of them.
    TooLarge,
    /// A value that should be encrypted is not.
    NotEncrypted,
    /// An encrypted value was changed, cut, moved, or made for somebody else.
    Tampered,
    /// A value was encrypted with a key that there is not.
    UnknownKey,
    /// The body is of a type, or coded in a way, that cannot be looked into.
    OtherType,
    /// A part of a body cannot be looked into.
    Partial,
    /// What values are bound to is not known of this request.
    NoContext,
    /// The client is not known, and values are bound to it.
    NoSubject,
    /// Keys cannot be used at the moment.
    Unavailable,
}

impl Refusal {
    /// All of them.
    pub const ALL: [Refusal; 10] = [
        Refusal::Malformed,
        Refusal::TooLarge,
        Refusal::NotEncrypted,
        Refusal::Tampered,
        Refusal::UnknownKey,
        Refusal::OtherType,
        Refusal::Partial,
        Refusal::NoContext,
        Refusal::NoSubject,
        Refusal::Unavailable,
    ];

    /// What it is counted as.
    pub fn name(self) -> &'static str {
        match self {
            Refusal::Malformed => "malformed",
            Refusal::TooLarge => "too_large",
            Refusal::NotEncrypted => "not_encrypted",
            Refusal::Tampered => "tampered",
            Refusal::UnknownKey => "unknown_key",
            Refusal::OtherType => "other_type",
            Refusal::Partial => "partial",
            Refusal::NoContext => "no_context",
            Refusal::NoSubject => "no_subject",
            Refusal::Unavailable => "unavailable",
        }
    }

    /// The status that a request gets.
    pub fn request_status(self) -> u32 {
        match self {
            Refusal::Malformed
            | Refusal::NotEncrypted
            | Refusal::Tampered
            | Refusal::UnknownKey
            | Refusal::Partial
            | Refusal::NoContext => 400,
            Refusal::NoSubject => 403,
            Refusal::TooLarge => 413,
            Refusal::OtherType => 415,
            Refusal::Unavailable => 503,
        }
    }

    /// What a client is told of its request.
    pub fn reason(self) -> &'static str {
        match self {
            Refusal::Malformed => "the body is not valid JSON\n",
            Refusal::TooLarge => "a value in the body is too large\n",
            Refusal::NotEncrypted | Refusal::Tampered | Refusal::UnknownKey => {
                "a value in the body is not validly encrypted\n"
            }
            Refusal::OtherType => "the body has to be JSON, not coded\n",
            Refusal::Partial => "the body has to be a whole document\n",
            Refusal::NoContext => "the request lacks what its values are bound to\n",
            Refusal::NoSubject => "the client has to be known\n",
            Refusal::Unavailable => "try again later\n",
        }
    }
}

impl From<Malformed> for Refusal {
    fn from(_: Malformed) -> Refusal {
        Refusal::Malformed
    }
}
