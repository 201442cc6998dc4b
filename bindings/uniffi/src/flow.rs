//! The client without IO: it begins flows, and each flow says step by step what its host has to do.

use keybound_ffi as ffi;

use crate::error::KeyboundError;
use crate::operation::CoreOperation;
use crate::options::ClientOptions;
use crate::plain::clock;
use crate::step::{Reply, Step};

/// An OAuth 2.1 client without IO, for hosts that do theirs in their own way; `KeyboundClient` does it for you. It holds no private
/// key, no token and no session.
#[derive(Debug, uniffi::Object)]
pub struct CoreClient(ffi::Client);

#[uniffi::export]
impl CoreClient {
    /// A client.
    ///
    /// Throws misuse, if an option cannot be used.
    #[uniffi::constructor]
    pub fn new(options: ClientOptions) -> Result<Self, KeyboundError> {
        Ok(Self(options.read()?.into()))
    }

    /// Begins an operation.
    ///
    /// Throws misuse, and what ends the flow at once.
    #[uniffi::method(default(now = None))]
    pub fn begin(&self, operation: &CoreOperation, now: Option<i64>) -> Result<CoreFlow, KeyboundError> {
        Ok(CoreFlow(self.0.start(operation.read()?, clock(now))?))
    }
}

/// A flow: what it wants, and what it is given.
#[derive(uniffi::Object)]
pub struct CoreFlow(ffi::Flow);

#[uniffi::export]
impl CoreFlow {
    /// What the host has to do. `Step::Done` comes once.
    ///
    /// Throws misuse after the flow has failed or its outcome was given.
    pub fn step(&self) -> Result<Step, KeyboundError> {
        Ok(self.0.look(Step::of)?)
    }

    /// Goes on with the host's answer, and says what is next.
    ///
    /// Throws misuse, if the reply does not fit: the flow then waits for one that does. Any other error ends the flow.
    #[uniffi::method(default(now = None))]
    pub fn resume(&self, reply: Reply, now: Option<i64>) -> Result<Step, KeyboundError> {
        self.0.answer(reply.read()?, clock(now))?;
        self.step()
    }
}
