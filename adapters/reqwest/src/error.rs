//! What can go wrong when a flow is driven.

use std::fmt;

use keybound::Misuse;
use keybound::http::challenge::ChallengeError;
use keybound::oauth::{Demand, FlowError};
use keybound_files::LockTimeout;

/// Why a request or a flow failed.
#[non_exhaustive]
pub enum Error {
    /// The flow ended without a result. The host's own errors, of HTTP and of storage, are in [`FlowError::Host`].
    Flow(FlowError),
    /// The HTTP client could not be made, or the answer could not be read.
    Http(reqwest::Error),
    /// A request whose body was sent once and would have to be sent again. Send it again.
    Resend,
    /// The listener for the browser's return failed.
    Loopback(std::io::Error),
}

impl Error {
    /// The stable name of the error, for programs.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Flow(FlowError::Host(error)) if error.is::<LockTimeout>() => "lock_timeout",
            Self::Flow(error) => error.reason(),
            Self::Http(_) => "http",
            Self::Resend => "resend",
            Self::Loopback(_) => "loopback",
        }
    }

    /// Whether only a new login helps.
    pub fn needs_login(&self) -> bool {
        matches!(self, Self::Flow(error) if error.needs_login())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flow(FlowError::Host(error)) => chain(&**error, f),
            Self::Flow(error) => error.fmt(f),
            Self::Http(error) => chain(error, f),
            Self::Resend => {
                f.write_str("the server wants the request again, and its body can be sent only once; send it again")
            }
            Self::Loopback(error) => write!(f, "the browser's return could not be received: {error}"),
        }
    }
}

/// An error and its causes: the outermost of reqwest's texts says little.
fn chain(error: &(dyn std::error::Error + 'static), f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "{error}")?;
    let mut cause = error.source();
    while let Some(inner) = cause {
        write!(f, ": {inner}")?;
        cause = inner.source();
    }
    Ok(())
}

keybound::debug_as_text!(Error, with_reason);

impl std::error::Error for Error {}

impl From<FlowError> for Error {
    fn from(error: FlowError) -> Self {
        Self::Flow(error)
    }
}

impl From<Misuse> for Error {
    fn from(error: Misuse) -> Self {
        Self::Flow(error.into())
    }
}

impl From<reqwest::Error> for Error {
    fn from(error: reqwest::Error) -> Self {
        Self::Http(error)
    }
}

/// Why a challenge of the answer was ignored: a malformed line of `WWW-Authenticate`, beside which others may be good. Kept with
/// the response in its extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IgnoredChallenge(pub ChallengeError);

/// What a refused request needs, kept with the response in its extensions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Needs(pub Demand);

#[cfg(test)]
mod tests {
    use keybound::Misuse;

    use super::Error;

    #[test]
    fn what_main_shows_is_the_text_and_the_reason() {
        let error = Error::from(Misuse::InsecureUrl);
        assert_eq!(format!("{error:?}"), format!("{} (insecure_url)", Misuse::InsecureUrl));
    }
}
