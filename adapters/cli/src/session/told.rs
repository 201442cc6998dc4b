//! What is said of a failed login, call or logout, with which exit code.

use keybound::oauth;
use keybound::{Misuse, Spelling};
use keybound_reqwest::Error;

use crate::failure::Failure;

/// Something went wrong on the way: 3 if it could not be decided, else 1.
pub(super) fn failure(error: Error) -> Failure {
    match &error {
        Error::Flow(oauth::FlowError::Misuse(_)) => Failure::usage(told(&error)),
        Error::Flow(oauth::FlowError::Host(_)) | Error::Http(_) | Error::Loopback(_) => {
            Failure::undecided(told(&error))
        }
        // The server cannot answer now: nothing was decided.
        Error::Flow(oauth::FlowError::Answer(_, oauth::AnswerDefect::Status(429 | 500..=599))) => {
            Failure::undecided(format!("{}; try again later", told(&error)))
        }
        Error::Flow(oauth::FlowError::Discovery(failed)) if failed.defect == oauth::DiscoveryDefect::Unavailable => {
            Failure::undecided(told(&error))
        }
        _ => Failure::failed(told(&error)),
    }
}

/// An error's message with the names that this program's options have. It has none for servers on this machine, which it takes if the
/// URL names one.
fn told(error: &Error) -> String {
    match error {
        Error::Flow(oauth::FlowError::Misuse(Misuse::InsecureUrl)) => {
            "the URL is not https; http is for an API on this machine, and for its servers".to_owned()
        }
        Error::Flow(oauth::FlowError::Stored(oauth::StoredDefect::Loopback)) => {
            "the session belongs to a server on this machine, and the URL is elsewhere; name another session with --session"
                .to_owned()
        }
        _ => {
            let text = Spelling::Switch.spelled(&error.to_string());
            // What rustls says of a first byte that is not TLS.
            let hint = if text.contains("InvalidContentType") { "; the server does not speak TLS there: is it http://?" } else { "" };
            format!("{text}{hint}")
        }
    }
}
