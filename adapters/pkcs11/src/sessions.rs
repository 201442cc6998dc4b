//! A connection to a token: its sessions, one for each thread that uses it, all under one login.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use cryptoki::context::Pkcs11;
use cryptoki::mechanism::MechanismType;
use cryptoki::session::Session;
use cryptoki::slot::Slot;

use crate::error::Error;
use crate::module::Calls;

/// A connection, from one login to the next. Handles of keys mean something within one alone.
///
/// Sessions are closed by [`retire`](Self::retire) and never by being dropped: after a restart of the module their numbers are those
/// of others.
pub(crate) struct Link {
    /// Counts connections: a later one has a higher number.
    pub(crate) epoch: u64,
    /// The module's when the connection was made.
    pub(crate) generation: u64,
    pub(crate) slot: Slot,
    pub(crate) mechanisms: Vec<MechanismType>,
    context: Pkcs11,
    /// Stays open, since with the last session the login ends.
    keeper: Mutex<Option<Session>>,
    idle: Mutex<Vec<Session>>,
    is_retired: AtomicBool,
}

impl Link {
    /// A connection whose session `keeper` is logged in.
    pub(crate) fn new(calls: &Calls<'_>, epoch: u64, slot: Slot, keeper: Session) -> Result<Self, Error> {
        Ok(Self {
            epoch,
            generation: calls.generation(),
            slot,
            mechanisms: calls.context().get_mechanism_list(slot)?,
            context: calls.context().clone(),
            keeper: Mutex::new(Some(keeper)),
            idle: Mutex::default(),
            is_retired: AtomicBool::new(false),
        })
    }

    /// Lends a session for searching, to one thread at a time.
    ///
    /// The caller holds a [`Permit`].
    pub(crate) fn search<T>(
        &self,
        calls: &Calls<'_>,
        work: impl FnOnce(&Session) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let _turn = calls.catalogue();
        self.with_session(work)
    }

    /// Lends a session for signing. One in which something failed is thrown away: what it was doing may go on in it.
    ///
    /// The caller holds [`Calls`] and a [`Permit`].
    pub(crate) fn with_session<T>(&self, work: impl FnOnce(&Session) -> Result<T, Error>) -> Result<T, Error> {
        let idle = locked(&self.idle).pop();
        let session = match idle {
            Some(session) => session,
            None => self.context.open_ro_session_no_drop(self.slot)?,
        };
        let done = work(&session);
        if done.is_ok() && !self.is_retired.load(Ordering::Acquire) {
            locked(&self.idle).push(session);
            // It may have been retired meanwhile.
            if self.is_retired.load(Ordering::Acquire) {
                self.close_idle();
            }
        } else {
            // A session that cannot be closed is gone already.
            drop(session.close());
        }
        done
    }

    /// Lends a session that can make and destroy keys, to one thread at a time.
    ///
    /// The caller holds a [`Permit`].
    pub(crate) fn write<T>(
        &self,
        calls: &Calls<'_>,
        work: impl FnOnce(&Session) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let _turn = calls.catalogue();
        let session = self.context.open_rw_session_no_drop(self.slot)?;
        let done = work(&session);
        drop(session.close());
        done
    }

    /// Closes the sessions that are not in use, and lets the others be closed when they are given back.
    ///
    /// It logs no one out: there is another connection already, or the module has forgotten all.
    pub(crate) fn retire(&self, calls: &Calls<'_>) {
        self.is_retired.store(true, Ordering::Release);
        if calls.generation() == self.generation {
            self.close_idle();
            if let Some(keeper) = locked(&self.keeper).take() {
                drop(keeper.close());
            }
        }
    }

    fn close_idle(&self) {
        let idle = std::mem::take(&mut *locked(&self.idle));
        for session in idle {
            drop(session.close());
        }
    }
}

/// So many callers at once, and the others wait.
pub(crate) struct Permits {
    free: Mutex<usize>,
    freed: Condvar,
    most: usize,
    wait: Duration,
}

/// The right to use a session. It is given back when it is dropped.
pub(crate) struct Permit<'a>(&'a Permits);

impl Permits {
    pub(crate) fn new(most: usize, wait: Duration) -> Self {
        let most = most.max(1);
        Self { free: Mutex::new(most), freed: Condvar::new(), most, wait }
    }

    pub(crate) fn take(&self) -> Result<Permit<'_>, Error> {
        let end = Instant::now().checked_add(self.wait);
        let mut free = locked(&self.free);
        while *free == 0 {
            let left = end.map_or(self.wait, |end| end.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return Err(Error::Busy { sessions: self.most });
            }
            free = self.freed.wait_timeout(free, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        *free = free.saturating_sub(1);
        Ok(Permit(self))
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        let mut free = locked(&self.0.free);
        *free = free.saturating_add(1);
        self.0.freed.notify_one();
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
