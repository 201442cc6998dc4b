//! A flow in progress: ordinary code that waits for the host wherever it says `await`.
//!
//! Flows are written top to bottom as `async` functions, but nothing here is asynchronous in the sense of an executor: the
//! only thing they ever wait for is the host's answer to one step. A flow is polled once for each answer, and stops at the
//! next effect.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use spin::Mutex;

pub(crate) mod repeat;
pub mod step;

use self::step::{
    Asking, CreatedKey, FetchFailed, Fetching, HostError, KeyFault, KeyWanted, Saved, Saving, Sharing, Signing, Slot,
    Step, Stored,
};
use crate::UnixTime;
use crate::http::message::Response;
use crate::jose::signature::Signature;
use crate::jose::thumbprint::Thumbprint;
use crate::oauth::FlowError;
#[cfg(feature = "dpop")]
use crate::replay::{Inserted, ReplayEntry};

/// What a flow asks of the host: one variant for each step.
pub(crate) enum Effect {
    CreateKey(KeyWanted),
    DeleteKey(Thumbprint),
    Sign(Signing),
    Fetch(Fetching),
    Lock((String, u64)),
    Unlock(String),
    Load(Slot),
    Save(Saving),
    Wait(u64),
    Share(Sharing),
    Ask(Asking),
    #[cfg(feature = "dpop")]
    Insert(ReplayEntry),
}

/// What the host answered.
pub(crate) enum Reply {
    CreateKey(Result<CreatedKey, HostError>),
    DeleteKey(Result<(), HostError>),
    Sign(Result<Signature, KeyFault>),
    Fetch(Result<Response, FetchFailed>),
    Lock(Result<(), HostError>),
    Unlock(Result<(), HostError>),
    Load(Result<Option<Stored>, HostError>),
    Save(Result<Saved, HostError>),
    Wait(()),
    Share(()),
    Ask(Result<Vec<u8>, HostError>),
    #[cfg(feature = "dpop")]
    Insert(Inserted),
}

/// What passes between a flow and its steps.
struct Channel {
    now: UnixTime,
    effect: Option<Effect>,
    reply: Option<Reply>,
}

/// A flow's hold on its host.
#[derive(Clone)]
pub(crate) struct Io(Arc<Mutex<Channel>>);

/// A flow that stopped at an effect.
pub(crate) struct Flow<T> {
    future: Pin<Box<dyn Future<Output = Result<T, FlowError>> + Send>>,
    io: Io,
}

impl<T> Flow<T> {
    /// Runs a flow up to its first step.
    pub(crate) fn start<F>(now: UnixTime, flow: impl FnOnce(Io) -> F) -> Result<Step<T>, FlowError>
    where
        F: Future<Output = Result<T, FlowError>> + Send + 'static,
    {
        let io = Io(Arc::new(Mutex::new(Channel { now, effect: None, reply: None })));
        let future = Box::pin(flow(io.clone()));
        Self { future, io }.advance()
    }

    /// The same flow with another result.
    pub(crate) fn map<U: 'static>(self, change: impl FnOnce(T) -> U + Send + 'static) -> Flow<U>
    where
        T: 'static,
    {
        let Self { future, io } = self;
        Flow { future: Box::pin(async move { future.await.map(change) }), io }
    }

    pub(crate) fn resume(self, reply: Reply, now: UnixTime) -> Result<Step<T>, FlowError> {
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
    pub(crate) fn now(&self) -> UnixTime {
        self.0.lock().now
    }

    const fn ask<T>(&self, effect: Effect, read: Read<T>) -> Ask<'_, T> {
        Ask { io: self, effect: Some(effect), read }
    }

    pub(crate) fn create_key(&self, wanted: KeyWanted) -> Ask<'_, CreatedKey> {
        self.ask(Effect::CreateKey(wanted), |reply| match reply {
            Reply::CreateKey(answer) => answer.map_err(FlowError::Host),
            _ => Err(FlowError::Interrupted),
        })
    }

    pub(crate) fn delete_key(&self, thumbprint: Thumbprint) -> Ask<'_, ()> {
        self.ask(Effect::DeleteKey(thumbprint), done)
    }

    pub(crate) fn sign(&self, wanted: Signing) -> Ask<'_, Signature> {
        self.ask(Effect::Sign(wanted), |reply| match reply {
            Reply::Sign(answer) => answer.map_err(FlowError::from),
            _ => Err(FlowError::Interrupted),
        })
    }

    /// The response, or how the network failed: [`Attempts`](repeat::Attempts) say whether to send again.
    pub(crate) fn fetch(&self, wanted: Fetching) -> Ask<'_, Result<Response, FetchFailed>> {
        self.ask(Effect::Fetch(wanted), |reply| match reply {
            Reply::Fetch(answer) => Ok(answer),
            _ => Err(FlowError::Interrupted),
        })
    }

    pub(crate) fn lock(&self, name: &str, lease: u64) -> Ask<'_, ()> {
        self.ask(Effect::Lock((name.into(), lease)), done)
    }

    pub(crate) fn unlock(&self, name: &str) -> Ask<'_, ()> {
        self.ask(Effect::Unlock(name.into()), done)
    }

    pub(crate) fn load(&self, slot: Slot) -> Ask<'_, Option<Stored>> {
        self.ask(Effect::Load(slot), |reply| match reply {
            Reply::Load(answer) => answer.map_err(FlowError::Host),
            _ => Err(FlowError::Interrupted),
        })
    }

    pub(crate) fn save(&self, wanted: Saving) -> Ask<'_, Saved> {
        self.ask(Effect::Save(wanted), |reply| match reply {
            Reply::Save(answer) => answer.map_err(FlowError::Host),
            _ => Err(FlowError::Interrupted),
        })
    }

    pub(crate) fn wait(&self, milliseconds: u64) -> Ask<'_, ()> {
        self.ask(Effect::Wait(milliseconds), done)
    }

    /// Waits until work that many flows share has ended, however it ended.
    pub(crate) fn share(&self, wanted: Sharing) -> Ask<'_, ()> {
        self.ask(Effect::Share(wanted), done)
    }

    /// Asks a source of the host's own.
    pub(crate) fn ask_host(&self, wanted: Asking) -> Ask<'_, Vec<u8>> {
        self.ask(Effect::Ask(wanted), |reply| match reply {
            Reply::Ask(answer) => answer.map_err(FlowError::Host),
            _ => Err(FlowError::Interrupted),
        })
    }

    #[cfg(feature = "dpop")]
    pub(crate) fn insert(&self, entry: ReplayEntry) -> Ask<'_, Inserted> {
        self.ask(Effect::Insert(entry), |reply| match reply {
            Reply::Insert(answer) => Ok(answer),
            _ => Err(FlowError::Interrupted),
        })
    }
}

type Read<T> = fn(Reply) -> Result<T, FlowError>;

/// The answers that say no more than that it is done.
fn done(reply: Reply) -> Result<(), FlowError> {
    match reply {
        Reply::DeleteKey(answer) | Reply::Lock(answer) | Reply::Unlock(answer) => answer.map_err(FlowError::Host),
        Reply::Wait(()) | Reply::Share(()) => Ok(()),
        _ => Err(FlowError::Interrupted),
    }
}

/// One question to the host. Written by hand and not as an `async` function: flows ask in many places, and a state machine in each
/// made a third of what browsers have to load.
pub(crate) struct Ask<'io, T> {
    io: &'io Io,
    effect: Option<Effect>,
    read: Read<T>,
}

impl<T> Future for Ask<'_, T> {
    type Output = Result<T, FlowError>;

    #[inline(never)]
    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let mut channel = this.io.0.lock();
        if let Some(effect) = this.effect.take() {
            channel.effect = Some(effect);
            return Poll::Pending;
        }
        let reply = channel.reply.take();
        drop(channel);
        Poll::Ready(reply.map_or(Err(FlowError::Interrupted), this.read))
    }
}
