//! What only servers ask for: work that many flows share, sources of the host's own, the replay store.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

#[cfg(feature = "dpop")]
use super::Insert;
use super::{Ask, HostError, Share, Step};
use crate::UnixTime;
use crate::oauth::{FlowError, Secret};
#[cfg(feature = "dpop")]
use crate::replay::ReplayEntry;

/// Work that many flows wait for, and the task that does it for the first of them.
pub(crate) struct Sharing {
    pub(crate) name: String,
    pub(crate) task: Option<Task>,
}

/// Begins work that belongs to no request.
pub(crate) type Task = Box<dyn FnOnce(UnixTime) -> Result<Step<()>, FlowError> + Send>;

/// What is asked of a source of the host's own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Question {
    /// The present keys of an issuer, as a JWK Set (RFC 7517 section 5) of at most 256 KiB; the subject is the issuer.
    Keys,
    /// What a token is: the body of an introspection response (RFC 7662 section 2.2) of at most 64 KiB; the subject is the token, a
    /// secret.
    Token,
}

pub(crate) struct Asking {
    pub(crate) question: Question,
    pub(crate) subject: Secret,
}

impl<T> Share<T> {
    /// The name of the work, unique for one server: arbitrary characters.
    pub fn name(&self) -> &str {
        &self.wanted.name
    }

    /// The task that does the work, for the first who waits for it; given out once. Where there is none it is under way already: wait
    /// for the one of the same [`name`](Self::name). If the host knows no task of that name, it has ended meanwhile or is about
    /// to begin: resume after a few milliseconds.
    ///
    /// # Errors
    /// [`FlowError`], if the work ended at once; for logs, the flow is resumed all the same.
    pub fn take_task(&mut self, now: UnixTime) -> Option<Result<Step<()>, FlowError>> {
        self.wanted.task.take().map(|task| task(now))
    }

    /// How long to wait at most, in seconds. The task goes on after that.
    pub const fn timeout(&self) -> u64 {
        SHARED_TIMEOUT
    }
}

/// How long a flow waits for work that it shares, and how long that work may take, in seconds.
pub(crate) const SHARED_TIMEOUT: u64 = 10;

impl<T> Ask<T> {
    /// What is asked.
    pub const fn question(&self) -> Question {
        self.wanted.question
    }

    /// What is asked about.
    pub fn subject(&self) -> &str {
        self.wanted.subject.expose()
    }

    /// How long the host waits for the answer at most, in seconds.
    pub const fn timeout(&self) -> u64 {
        SHARED_TIMEOUT
    }
}

#[cfg(feature = "dpop")]
impl<T> Insert<T> {
    /// What to insert, if it is not there yet.
    pub const fn entry(&self) -> &ReplayEntry {
        &self.wanted
    }
}

/// Answers a [`Question`] of which the host has learned already: its kind and the text it is about.
type Knows<'a> = dyn FnMut(Question, &str) -> Result<Vec<u8>, HostError> + 'a;

impl<T> Step<T> {
    /// Carries out a flow whose questions have answers at once: `know` tells the keys of issuers and what tokens are, and all else must
    /// have been given to the server. For tests, tools and servers that keep both themselves.
    ///
    /// # Errors
    /// [`FlowError`]; [`FlowError::Interrupted`] for a step that asks for anything else.
    pub fn answered(mut self, now: UnixTime, know: &mut Knows<'_>) -> Result<T, FlowError> {
        loop {
            self = match self {
                Self::Done(result) => return Ok(result),
                Self::Share(mut share) => {
                    if let Some(Ok(task)) = share.take_task(now) {
                        // What it failed for shows in the answer.
                        let _ = task.answered(now, know);
                    }
                    share.resume((), now)?
                }
                Self::Ask(ask) => {
                    let answer = know(ask.question(), ask.subject());
                    ask.resume(answer, now)?
                }
                _ => return Err(FlowError::Interrupted),
            };
        }
    }
}
