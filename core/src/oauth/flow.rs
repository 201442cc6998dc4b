//! A flow in progress: ordinary code that waits for the host wherever it says `await`.
//!
//! Flows are written top to bottom as `async` functions, but nothing here is asynchronous in the sense of an executor: the
//! only thing they ever wait for is the host's answer to one step. A flow is polled once for each answer, by
//! [`Flow::resume`], and stops at the next effect.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use core::future::{Future, poll_fn};
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use spin::Mutex;

use super::error::FlowError;
use super::step::{CreatedKey, Fetching, HostError, KeyFault, KeyWanted, Saved, Saving, Signing, Slot, Step, Stored};
use crate::UnixTime;
use crate::http::message::Response;
use crate::jose::signature::Signature;
use crate::jose::thumbprint::Thumbprint;

/// What a flow asks of the host: one variant for each step.
pub(super) enum Effect {
    CreateKey(KeyWanted),
    DeleteKey(Thumbprint),
    Sign(Signing),
    Fetch(Fetching),
    Lock((String, u64)),
    Unlock(String),
    Load(Slot),
    Save(Saving),
    Wait(u64),
}

/// What the host answered.
pub(super) enum Reply {
    CreateKey(Result<CreatedKey, HostError>),
    DeleteKey(Result<(), HostError>),
    Sign(Result<Signature, KeyFault>),
    Fetch(Result<Response, HostError>),
    Lock(Result<(), HostError>),
    Unlock(Result<(), HostError>),
    Load(Result<Option<Stored>, HostError>),
    Save(Result<Saved, HostError>),
    Wait(()),
}

/// What passes between a flow and its steps.
struct Channel {
    now: UnixTime,
    effect: Option<Effect>,
    reply: Option<Reply>,
}

/// A flow's hold on its host.
#[derive(Clone)]
pub(super) struct Io(Arc<Mutex<Channel>>);

/// A flow that stopped at an effect.
pub(super) struct Flow<T> {
    future: Pin<Box<dyn Future<Output = Result<T, FlowError>> + Send>>,
    io: Io,
}

impl<T> Flow<T> {
    /// Runs a flow up to its first step.
    pub(super) fn start<F>(now: UnixTime, flow: impl FnOnce(Io) -> F) -> Result<Step<T>, FlowError>
    where
        F: Future<Output = Result<T, FlowError>> + Send + 'static,
    {
        let io = Io(Arc::new(Mutex::new(Channel { now, effect: None, reply: None })));
        let future = Box::pin(flow(io.clone()));
        Self { future, io }.advance()
    }

    pub(super) fn resume(self, reply: Reply, now: UnixTime) -> Result<Step<T>, FlowError> {
        {
            let mut channel = self.io.0.lock();
            channel.now = now;
            channel.reply = Some(reply);
        }
        self.advance()
    }

    fn advance(mut self) -> Result<Step<T>, FlowError> {
        match self.future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(outcome) => outcome.map(Step::Done),
            Poll::Pending => {
                let effect = self.io.0.lock().effect.take();
                effect.map(|effect| Step::of(effect, self)).ok_or(FlowError::Interrupted)
            }
        }
    }
}

impl Io {
    /// The host's clock, as of its last answer.
    pub(super) fn now(&self) -> UnixTime {
        self.0.lock().now
    }

    async fn ask(&self, effect: Effect) -> Option<Reply> {
        self.0.lock().effect = Some(effect);
        let mut stopped = false;
        poll_fn(|_| {
            if stopped {
                return Poll::Ready(self.0.lock().reply.take());
            }
            stopped = true;
            Poll::Pending
        })
        .await
    }

    pub(super) async fn create_key(&self, wanted: KeyWanted) -> Result<CreatedKey, FlowError> {
        match self.ask(Effect::CreateKey(wanted)).await {
            Some(Reply::CreateKey(answer)) => answer.map_err(FlowError::Host),
            _ => Err(FlowError::Interrupted),
        }
    }

    pub(super) async fn delete_key(&self, thumbprint: Thumbprint) -> Result<(), FlowError> {
        match self.ask(Effect::DeleteKey(thumbprint)).await {
            Some(Reply::DeleteKey(answer)) => answer.map_err(FlowError::Host),
            _ => Err(FlowError::Interrupted),
        }
    }

    pub(super) async fn sign(&self, wanted: Signing) -> Result<Signature, FlowError> {
        match self.ask(Effect::Sign(wanted)).await {
            Some(Reply::Sign(answer)) => answer.map_err(FlowError::from),
            _ => Err(FlowError::Interrupted),
        }
    }

    pub(super) async fn fetch(&self, wanted: Fetching) -> Result<Response, FlowError> {
        match self.ask(Effect::Fetch(wanted)).await {
            Some(Reply::Fetch(answer)) => answer.map_err(FlowError::Host),
            _ => Err(FlowError::Interrupted),
        }
    }

    pub(super) async fn lock(&self, name: &str, lease: u64) -> Result<(), FlowError> {
        match self.ask(Effect::Lock((name.into(), lease))).await {
            Some(Reply::Lock(answer)) => answer.map_err(FlowError::Host),
            _ => Err(FlowError::Interrupted),
        }
    }

    pub(super) async fn unlock(&self, name: &str) -> Result<(), FlowError> {
        match self.ask(Effect::Unlock(name.into())).await {
            Some(Reply::Unlock(answer)) => answer.map_err(FlowError::Host),
            _ => Err(FlowError::Interrupted),
        }
    }

    pub(super) async fn load(&self, slot: Slot) -> Result<Option<Stored>, FlowError> {
        match self.ask(Effect::Load(slot)).await {
            Some(Reply::Load(answer)) => answer.map_err(FlowError::Host),
            _ => Err(FlowError::Interrupted),
        }
    }

    pub(super) async fn save(&self, wanted: Saving) -> Result<Saved, FlowError> {
        match self.ask(Effect::Save(wanted)).await {
            Some(Reply::Save(answer)) => answer.map_err(FlowError::Host),
            _ => Err(FlowError::Interrupted),
        }
    }

    pub(super) async fn wait(&self, seconds: u64) -> Result<(), FlowError> {
        match self.ask(Effect::Wait(seconds)).await {
            Some(Reply::Wait(())) => Ok(()),
            _ => Err(FlowError::Interrupted),
        }
    }
}
