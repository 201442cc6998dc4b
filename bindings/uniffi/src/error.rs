//! The errors of both languages: whose fault it is as the case, and one record of what is known.

use core::fmt;

use keybound_ffi as ffi;

use crate::plain::shown;

/// How these languages write the names of options in messages.
pub(crate) const SPELLING: ffi::Spelling = ffi::Spelling::Camel;

/// Why there is no result, by whose fault it is.
#[derive(Clone, PartialEq, Eq, Debug, uniffi::Error)]
pub enum KeyboundError {
    /// The peer's proof, token or intent was refused: send `fault.refusal`.
    Rejected {
        /// What is known.
        fault: Fault,
    },
    /// The calling program is wrong; `fault.detail` says what to do.
    Misuse {
        /// What is known.
        fault: Fault,
    },
    /// Only a new login helps: the session ended, or its key is lost or another one.
    LoginRequired {
        /// What is known.
        fault: Fault,
    },
    /// A flow of the client ended without its result, for example because a server refused.
    Flow {
        /// What is known.
        fault: Fault,
    },
    /// The host failed: a store, the network, a key that cannot be used now.
    Host {
        /// What is known.
        fault: Fault,
    },
}

/// What is known of an error.
#[derive(Clone, PartialEq, Eq, Debug, uniffi::Record)]
pub struct Fault {
    /// The stable name, for programs, for example `replayed`.
    pub reason: String,
    /// What was wrong and what to do, for people. It holds no secret.
    pub detail: String,
    /// The error code on the wire, for example `use_dpop_nonce`.
    #[uniffi(default)]
    pub code: Option<String>,
    /// The HTTP status: to answer with, or the one that was received.
    #[uniffi(default)]
    pub status: Option<i32>,
    /// Where the rule is written, for example `RFC 9449 section 4.3 check 8`.
    #[uniffi(default)]
    pub section: Option<String>,
    /// The answer to send, where a request was refused.
    #[uniffi(default)]
    pub refusal: Option<Refusal>,
}

/// A field of a request or response. Its text shows the name alone: tokens, proofs and cookies are values.
#[derive(Clone, PartialEq, Eq, Debug, uniffi::Record)]
#[uniffi::export(Display)]
pub struct Header {
    /// Its name; case does not count.
    pub name: String,
    /// Its value; what is not ASCII is Latin-1.
    pub value: String,
}

shown!(Header { name });

/// An answer to send instead of what was asked for.
#[derive(Clone, PartialEq, Eq, Debug, uniffi::Record)]
pub struct Refusal {
    /// The HTTP status.
    pub status: i32,
    /// Why, for logs. Not for the peer.
    pub reason: String,
    /// The error code on the wire (RFC 6750 section 3.1, RFC 9449 section 7.1).
    #[uniffi(default)]
    pub error: Option<String>,
    /// All fields to send.
    pub headers: Vec<Header>,
    /// The body.
    pub body: String,
}

impl KeyboundError {
    /// What is known, whatever the case.
    pub const fn fault(&self) -> &Fault {
        match self {
            Self::Rejected { fault }
            | Self::Misuse { fault }
            | Self::LoginRequired { fault }
            | Self::Flow { fault }
            | Self::Host { fault } => fault,
        }
    }
}

impl fmt::Display for KeyboundError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.fault().detail)
    }
}

impl std::error::Error for KeyboundError {}

impl From<ffi::Error> for KeyboundError {
    fn from(error: ffi::Error) -> Self {
        let fault = Fault {
            reason: error.reason.clone(),
            detail: error.detail(SPELLING),
            code: error.code.clone(),
            status: error.status.map(i32::from),
            section: error.section.clone(),
            refusal: error.refusal.as_deref().cloned().map(Into::into),
        };
        match error.kind {
            ffi::Kind::Rejected => Self::Rejected { fault },
            ffi::Kind::Misuse => Self::Misuse { fault },
            ffi::Kind::Flow if error.needs_login => Self::LoginRequired { fault },
            ffi::Kind::Flow => Self::Flow { fault },
            ffi::Kind::Host => Self::Host { fault },
        }
    }
}

impl From<ffi::Refusal> for Refusal {
    fn from(refusal: ffi::Refusal) -> Self {
        Self {
            status: refusal.status.into(),
            reason: refusal.reason,
            error: refusal.error,
            headers: refusal.headers.into_iter().map(|(name, value)| Header { name, value }).collect(),
            body: refusal.body,
        }
    }
}
