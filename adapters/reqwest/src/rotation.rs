//! A task that keeps a key ring: rotates it when that is due, and deletes what nothing uses any more.

use std::fmt::{self, Debug, Display};
use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use keybound::audit::{AuditRecord, Occasion, Operation};
use keybound::key::ring::{KeyRingStore, Rotation};
use keybound::oauth::host::{KeyHost, SessionHost, unused_keys};
use keybound::oauth::step::HostError;
use keybound::{Thumbprint, UnixTime};

use crate::ring::RotatingKeys;

/// How often the task looks, in seconds: other processes rotate and revoke as well, and marks for deletion wait an hour.
const LOOK: u64 = 900;
/// How soon it looks again after a failure, or while another process makes the next key, in seconds.
const SOON: u64 = 60;

/// What a [look](RotatingKeys::look) at the ring came to.
#[derive(Debug)]
pub enum Rotated {
    /// A key was made active, or deleted.
    Done(AuditRecord),
    /// Something could not be done, and is tried again by the next look.
    Failed(HostError),
}

/// Keeps a key ring until it is dropped: a thread that [looks](RotatingKeys::look) at it when it is due, each quarter of an hour, and a minute
/// after a failure.
///
/// ```no_run
/// # use keybound::key::ring::{MemoryKeyRing, RotationPolicy};
/// # use keybound_reqwest::{Memory, RotatingKeys};
/// use keybound_reqwest::{Files, Rotated, RotationTask};
///
/// # let policy = RotationPolicy::new(30 * 86_400, 7 * 86_400)?;
/// # let keys = RotatingKeys::builder(Memory::new(), MemoryKeyRing::default(), policy).open()?;
/// let sessions = Files::open("sessions")?;
/// let task = RotationTask::start(keys, sessions, |rotated| match rotated {
///     Rotated::Done(record) => println!("{record}"),
///     Rotated::Failed(error) => eprintln!("the key ring: {error}"),
/// })?;
/// # drop(task);
/// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
/// ```
#[must_use = "the task ends when it is dropped"]
pub struct RotationTask(Arc<Stop>);

#[derive(Default)]
struct Stop {
    is_over: Mutex<bool>,
    said: Condvar,
}

impl RotationTask {
    /// Begins. `sessions` is where the sessions are whose keys are in the ring; `told` is given what was done and what failed, on the
    /// task's thread.
    ///
    /// # Errors
    /// If the system has no thread for it.
    pub fn start<K, T>(
        keys: RotatingKeys<K, T>,
        sessions: impl SessionHost,
        mut told: impl FnMut(Rotated) + Send + 'static,
    ) -> io::Result<Self>
    where
        K: KeyHost,
        T: KeyRingStore + Send + Sync + 'static,
        T::Error: Debug + Display + Send + Sync + 'static,
    {
        let stop = Arc::new(Stop::default());
        let stopped = stop.clone();
        thread::Builder::new().name("keybound-rotation".into()).spawn(move || {
            loop {
                let pause = keys.look(&sessions, &mut told);
                if stopped.is_over_within(pause) {
                    return;
                }
            }
        })?;
        Ok(Self(stop))
    }
}

impl Stop {
    fn is_over_within(&self, pause: Duration) -> bool {
        let is_over = self.is_over.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.said.wait_timeout_while(is_over, pause, |is_over| !*is_over);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

impl Drop for RotationTask {
    /// A look that is under way is ended first, on its own thread; this does not wait for it.
    fn drop(&mut self) {
        *self.0.is_over.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.said.notify_all();
    }
}

impl Debug for RotationTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RotationTask")
    }
}

impl<K, T> RotatingKeys<K, T>
where
    K: KeyHost,
    T: KeyRingStore + Send + Sync + 'static,
    T::Error: Debug + Display + Send + Sync + 'static,
{
    /// Looks at the ring once: rotates it if that is due, deletes keys that have retired and that no session of `sessions` uses, and says
    /// for how long to wait until the next look. [`RotationTask`] does this all the time; a program with tasks of its own calls it
    /// on a thread that may block.
    ///
    /// A failure of one part keeps no other from being tried. While it is not known what sessions use, no key is deleted.
    pub fn look(&self, sessions: &impl SessionHost, mut told: impl FnMut(Rotated)) -> Duration {
        let (now, before) = (self.now(), self.active());
        let mut failures = Vec::new();
        let is_underway = match self.rotate() {
            Ok(rotation) => rotation == Rotation::Underway,
            Err(error) => {
                failures.push(error);
                false
            }
        };
        // Also after an error: another process may have been first.
        if self.active() != before {
            told(done(Operation::Rotation, self.active(), now));
        }
        let used = sessions.named_keys();
        let in_use = |key: &Thumbprint| used.as_ref().map_or(true, |used| used.contains(key));
        match self.purge(in_use) {
            Ok(purged) => purged.deleted.iter().for_each(|key| told(done(Operation::Deletion, *key, now))),
            Err(error) => failures.push(error),
        }
        match used {
            Ok(_) if self.has_all_sessions() => failures.extend(self.delete_unused(sessions, &mut told).err()),
            Ok(_) => {}
            Err(error) => failures.push(error),
        }
        let due = self.next_due().since(now).max(1);
        let pause = if is_underway || !failures.is_empty() { SOON } else { LOOK.min(due) };
        failures.into_iter().for_each(|error| told(Rotated::Failed(error)));
        Duration::from_secs(pause)
    }

    /// Deletes keys of sessions that nothing names any more, such as those of logins that no one completed.
    fn delete_unused(&self, sessions: &impl SessionHost, told: &mut dyn FnMut(Rotated)) -> Result<(), HostError> {
        let now = self.now();
        // Listed first: a key that is named in between is not taken for unused.
        let held = self.host().keys()?;
        for key in unused_keys(&held, &sessions.named_keys()?, now) {
            self.host().delete_key(key)?;
            told(done(Operation::Deletion, key, now));
        }
        Ok(())
    }
}

fn done(operation: Operation, key: Thumbprint, now: UnixTime) -> Rotated {
    Rotated::Done(AuditRecord::of_key(&Occasion::new(operation, now), key))
}

#[cfg(test)]
mod tests;
