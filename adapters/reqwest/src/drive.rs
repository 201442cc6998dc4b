//! The part of a driver that both clients share: every step except those that wait for others.

use std::sync::Arc;

use keybound::UnixTime;
use keybound::oauth::step::{Fetch, HostError, Lock, Wait};
use keybound::oauth::{FlowError, Step};

use crate::host::Host;

/// Where a flow stops for the network, for others or for time.
pub(crate) enum Pause<T> {
    Done(T),
    Fetch(Fetch<T>),
    Lock(Lock<T>),
    Wait(Wait<T>),
}

/// The locks that a flow holds.
#[derive(Default)]
pub(crate) struct Locks(Vec<(String, Box<dyn Send>)>);

impl Locks {
    /// Keeps a lock that was taken until it is given back.
    pub(crate) fn keep(&mut self, name: &str, held: Result<Box<dyn Send>, HostError>) -> Result<(), HostError> {
        self.0.push((name.into(), held?));
        Ok(())
    }
}

/// Answers steps from the host's keys and storage up to the next pause. It may block.
pub(crate) fn advance<T>(host: &Arc<dyn Host>, locks: &mut Locks, mut step: Step<T>) -> Result<Pause<T>, FlowError> {
    loop {
        let now = || host.now();
        step = match step {
            Step::Done(result) => return Ok(Pause::Done(result)),
            Step::Fetch(fetch) => return Ok(Pause::Fetch(fetch)),
            Step::Wait(wait) => return Ok(Pause::Wait(wait)),
            Step::CreateKey(step) => {
                let key = host.create_key(step.algorithms(), step.protections());
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
            Step::Lock(lock) => return Ok(Pause::Lock(lock)),
            Step::Unlock(step) => {
                locks.0.retain(|(name, _)| name != step.lock());
                step.resume(Ok(()), now())?
            }
        };
    }
}

/// The host's clock after a pause.
pub(crate) fn now(host: &Arc<dyn Host>) -> UnixTime {
    host.now()
}
