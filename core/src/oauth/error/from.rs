//! Errors of parts of a flow as errors of the flow.

use super::{Downgrade, FlowError, RedirectDefect, StoredDefect};
use crate::Misuse;
use crate::crypto::RandomUnavailable;
use crate::jose::signature::SignatureError;
use crate::oauth::IdTokenDefect;
use crate::oauth::step::{FetchFailed, KeyFault};

impl From<Misuse> for FlowError {
    fn from(error: Misuse) -> Self {
        Self::Misuse(error)
    }
}

impl From<RandomUnavailable> for FlowError {
    fn from(error: RandomUnavailable) -> Self {
        Self::Misuse(error.into())
    }
}

impl From<SignatureError> for FlowError {
    fn from(error: SignatureError) -> Self {
        Self::Misuse(error.into())
    }
}

impl From<RedirectDefect> for FlowError {
    fn from(defect: RedirectDefect) -> Self {
        Self::Redirect(defect)
    }
}

impl From<IdTokenDefect> for FlowError {
    fn from(defect: IdTokenDefect) -> Self {
        Self::IdToken(defect)
    }
}

impl From<Downgrade> for FlowError {
    fn from(defect: Downgrade) -> Self {
        Self::Downgrade(defect)
    }
}

impl From<StoredDefect> for FlowError {
    fn from(defect: StoredDefect) -> Self {
        Self::Stored(defect)
    }
}

impl From<KeyFault> for FlowError {
    fn from(fault: KeyFault) -> Self {
        match fault {
            KeyFault::Missing => Self::KeyMissing,
            KeyFault::Changed => Self::KeyChanged,
            KeyFault::Unreadable(error) => Self::KeyUnreadable(error),
        }
    }
}

impl From<FetchFailed> for FlowError {
    fn from(failed: FetchFailed) -> Self {
        Self::Host(failed.into_error())
    }
}
