//! Why discovery ended: what was asked, what was found there, and what would have been right.

use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;

use super::error::{DiscoveryDefect, FlowError, shown};

/// Why discovery ended, with the texts that show where to look.
///
/// Text of a server's in it has at most 300 visible ASCII characters, others replaced by `?`.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct DiscoveryFailure {
    /// What is wrong.
    pub defect: DiscoveryDefect,
    /// The URL that was asked, or all of them in order, separated by commas. `None` where nothing was asked.
    pub asked: Option<String>,
    /// The value that was found there.
    pub found: Option<String>,
    /// The value that would have been right.
    pub expected: Option<String>,
}

impl DiscoveryFailure {
    pub(super) const fn new(defect: DiscoveryDefect) -> Self {
        Self { defect, asked: None, found: None, expected: None }
    }

    pub(super) fn asked(mut self, url: &str) -> Self {
        self.asked = Some(url.into());
        self
    }

    pub(super) fn found(mut self, value: &str) -> Self {
        self.found = Some(shown(value, 300));
        self
    }

    pub(super) fn expected(mut self, value: &str) -> Self {
        self.expected = Some(value.into());
        self
    }
}

impl fmt::Display for DiscoveryFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.defect.fmt(f)?;
        for (what, text) in [("asked", &self.asked), ("found", &self.found), ("expected", &self.expected)] {
            if let Some(text) = text {
                write!(f, "; {what} {text}")?;
            }
        }
        Ok(())
    }
}

impl From<DiscoveryFailure> for FlowError {
    fn from(failure: DiscoveryFailure) -> Self {
        Self::Discovery(Box::new(failure))
    }
}

impl From<DiscoveryDefect> for FlowError {
    fn from(defect: DiscoveryDefect) -> Self {
        DiscoveryFailure::new(defect).into()
    }
}
