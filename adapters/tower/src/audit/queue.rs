//! The records that wait for a sink: a bounded queue for those that count most, and one for the rest.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use keybound::audit::AuditRecord;

use crate::metrics::Meter;

/// How many times as many vital records may wait as others.
const VITAL: usize = 4;

/// The records that wait for one sink.
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    limit: usize,
    lost: AtomicU64,
    meter: Meter,
}

#[derive(Default)]
struct State {
    vital: VecDeque<Arc<AuditRecord>>,
    others: VecDeque<Arc<AuditRecord>>,
    reopen: bool,
    closed: bool,
    /// The writer has ended.
    ended: bool,
}

/// What a writer has to do next.
pub(super) enum Task {
    Write(Arc<AuditRecord>),
    Reopen,
    End,
}

impl Queue {
    pub(super) fn new(limit: usize, meter: Meter) -> Self {
        Self { state: Mutex::default(), changed: Condvar::new(), limit, lost: AtomicU64::new(0), meter }
    }

    /// Lets a record wait, or loses it. The lock is held for a few instructions by either side, whatever the sink does.
    pub(super) fn push(&self, record: Arc<AuditRecord>) {
        let mut state = self.lock();
        let State { vital, others, ended, .. } = &mut *state;
        let (queue, limit) = match record.is_vital() {
            true => (vital, self.limit.saturating_mul(VITAL)),
            false => (others, self.limit),
        };
        if queue.len() >= limit || *ended {
            drop(state);
            return self.lose();
        }
        queue.push_back(record);
        drop(state);
        self.changed.notify_all();
    }

    /// Counts a lost record.
    pub(super) fn lose(&self) {
        self.lost.fetch_add(1, Ordering::Relaxed);
        self.meter.audit_lost();
    }

    pub(super) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// What is next, if anything is: what counts most is written first.
    pub(super) fn next(&self) -> Option<Task> {
        self.lock().next()
    }

    /// What is next, when something is.
    pub(super) fn wait(&self) -> Task {
        let mut state = self.lock();
        loop {
            if let Some(task) = state.next() {
                return task;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    pub(super) fn reopen(&self) {
        self.lock().reopen = true;
        self.changed.notify_all();
    }

    /// Takes no more records; the writer ends once it has written those that wait.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// The writer says that it has ended. What still waits is lost.
    pub(super) fn end(&self) {
        let mut state = self.lock();
        state.ended = true;
        let left = state.vital.len() + state.others.len();
        (state.vital, state.others) = (VecDeque::new(), VecDeque::new());
        drop(state);
        (0..left).for_each(|_| self.lose());
        self.changed.notify_all();
    }

    /// Waits until the writer has ended, but no longer than until `limit`. Whether it has.
    pub(super) fn ended_by(&self, limit: Instant) -> bool {
        let mut state = self.lock();
        while !state.ended {
            let Some(left) = limit.checked_duration_since(Instant::now()) else { return false };
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn next(&mut self) -> Option<Task> {
        if std::mem::take(&mut self.reopen) {
            return Some(Task::Reopen);
        }
        let record = self.vital.pop_front().or_else(|| self.others.pop_front());
        record.map(Task::Write).or(self.closed.then_some(Task::End))
    }
}
