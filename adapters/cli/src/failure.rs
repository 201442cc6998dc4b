//! How a command ends: its exit code, and the error where there is one.

use std::fmt;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use keybound::key::SignerError;
use keybound::{Misuse, Spelling};

/// A command did what it was asked to do; this is the answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    /// Accepted, or done: exit code 0.
    Accepted,
    /// Refused, or something went otherwise than told: exit code 1.
    Refused,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Accepted => Self::SUCCESS,
            Outcome::Refused => Self::from(1),
        }
    }
}

/// A command gave no answer. The message says what to do next and holds no secret.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    message: String,
}

impl Failure {
    /// It was asked in a wrong way: exit code 2.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { code: 2, message: message.into() }
    }

    /// It could not be done: exit code 1.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self { code: 1, message: message.into() }
    }

    /// Nothing could be decided: exit code 3.
    pub(crate) fn undecided(message: impl Into<String>) -> Self {
        Self { code: 3, message: message.into() }
    }

    /// A file could not be read or written.
    pub(crate) fn file(what: &str, path: &Path, error: &io::Error) -> Self {
        Self::undecided(format!("cannot {what} {}: {}", path.display(), lower(error)))
    }

    /// Standard output is gone. A reader that had enough is told nothing.
    pub(crate) fn output(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::undecided(""),
            _ => Self::undecided(format!("cannot write to standard output: {}", lower(error))),
        }
    }

    /// What to tell; empty if there is nothing to.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }
}

/// An operating system's sentence, as part of ours.
fn lower(error: &io::Error) -> String {
    let text = error.to_string();
    let mut chars = text.chars();
    chars.next().map(|first| first.to_lowercase().chain(chars).collect()).unwrap_or_default()
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<Failure> for ExitCode {
    fn from(failure: Failure) -> Self {
        Self::from(failure.code)
    }
}

impl From<Misuse> for Failure {
    fn from(misuse: Misuse) -> Self {
        Self::usage(Spelling::Switch.spelled(&misuse.to_string()))
    }
}

impl From<SignerError> for Failure {
    fn from(error: SignerError) -> Self {
        match error {
            SignerError::Misuse(misuse) => misuse.into(),
            other => Self::undecided(format!("the key cannot sign: {other}")),
        }
    }
}
