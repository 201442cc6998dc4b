//! The part of a driver that is the same for every HTTP library: each step except those that wait for others.

use keybound::oauth::host::{Host, KeyFor};
use keybound::oauth::step::{Fetch, HostError, Lock, Wait};
use keybound::oauth::{FlowError, Step};

/// Where a flow stops for the network, for others or for time. To be resumed with the answer, and [`advance`]d again.
#[derive(Debug)]
pub enum Pause<T> {
    /// The flow is finished.
    Done(T),
    /// Send a request.
    Fetch(Fetch<T>),
    /// Take a lock, and [`keep`](Locks::keep) it.
    Lock(Lock<T>),
    /// Wait.
    Wait(Wait<T>),
}

/// The locks that a flow holds. They are given back with it.
#[derive(Default)]
pub struct Locks(Vec<(String, Box<dyn Send>)>);

impl Locks {
    /// Keeps a lock that was taken until the flow gives it back; what this returns is the step's answer.
    ///
    /// # Errors
    /// The host's own, if it was not taken.
    pub fn keep(&mut self, name: &str, held: Result<Box<dyn Send>, HostError>) -> Result<(), HostError> {
        self.0.push((name.into(), held?));
        Ok(())
    }
}

impl std::fmt::Debug for Locks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

/// Answers steps from the host's keys and storage up to the next pause. It may block.
///
/// # Errors
/// What ends the flow.
pub fn advance<T>(host: &dyn Host, locks: &mut Locks, mut step: Step<T>) -> Result<Pause<T>, FlowError> {
    loop {
        let now = || host.now();
        step = match step {
            Step::Done(result) => return Ok(Pause::Done(result)),
            Step::Fetch(fetch) => return Ok(Pause::Fetch(fetch)),
            Step::Wait(wait) => return Ok(Pause::Wait(wait)),
            Step::CreateKey(step) => {
                let key = host.create_key(step.algorithms(), step.protections(), KeyFor::Session);
                step.resume(key, now())?
            }
            Step::DeleteKey(step) => {
                let deleted = host.delete_key(step.thumbprint());
                step.resume(deleted, now())?
            }
            Step::Sign(step) => match host.signer(step.thumbprint()) {
                Ok(signer) => step.resume_with(&*signer, now())?,
                Err(fault) => step.resume(Err(fault), now())?,
            },
            Step::Load(step) => {
                let stored = host.load(step.slot());
                step.resume(stored, now())?
            }
            Step::Save(step) => {
                let saved = host.save(step.slot(), step.expected(), step.version(), step.value());
                step.resume(saved, now())?
            }
            // What servers ask for.
            Step::Share(_) | Step::Ask(_) | Step::Insert(_) => return Err(FlowError::Interrupted),
            Step::Lock(lock) => return Ok(Pause::Lock(lock)),
            Step::Unlock(step) => {
                locks.0.retain(|(name, _)| name != step.lock());
                step.resume(Ok(()), now())?
            }
        };
    }
}
