//! The threads that give records to sinks.

use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use keybound::audit::AuditRecord;

use super::queue::{Queue, Task};
use super::sink::AuditSink;
use crate::metrics::Meter;

/// How long the end of a protection waits for its sinks.
const A_LAST_WHILE: Duration = Duration::from_secs(2);

/// The writers of a protection, one for each sink. Dropping them writes what waits and ends the threads.
pub(crate) struct Writers(Vec<Writer>);

struct Writer {
    queue: Arc<Queue>,
    thread: Option<ThreadId>,
}

impl Writers {
    pub(super) fn begin(sinks: Vec<Box<dyn AuditSink>>, limit: usize, meter: Meter) -> Self {
        Self(sinks.into_iter().map(|sink| Writer::begin(sink, Arc::new(Queue::new(limit, meter)))).collect())
    }

    /// Gives a record to all sinks, without waiting for any.
    pub(crate) fn push(&self, record: AuditRecord) {
        let record = Arc::new(record);
        self.0.iter().for_each(|writer| writer.queue.push(Arc::clone(&record)));
    }

    /// How many records were lost, all sinks together.
    pub(crate) fn lost(&self) -> u64 {
        self.0.iter().map(|writer| writer.queue.lost()).sum()
    }

    pub(crate) fn reopen(&self) {
        self.0.iter().for_each(|writer| writer.queue.reopen());
    }
}

impl Writer {
    fn begin(mut sink: Box<dyn AuditSink>, queue: Arc<Queue>) -> Self {
        let own = Arc::clone(&queue);
        let thread = thread::Builder::new().name("keybound-audit".into()).spawn(move || write(&own, &mut *sink));
        if let Err(error) = &thread {
            tracing::error!(target: "keybound", %error, "no thread for audit records: all are lost");
            queue.end();
        }
        Self { queue, thread: thread.ok().map(|thread| thread.thread().id()) }
    }
}

impl Drop for Writers {
    fn drop(&mut self) {
        self.0.iter().for_each(|writer| writer.queue.close());
        let limit = Instant::now() + A_LAST_WHILE;
        for Writer { queue, thread } in &self.0 {
            // A function that holds the last reference to its own protection must not wait for itself.
            if *thread != Some(thread::current().id()) && !queue.ended_by(limit) {
                tracing::warn!(target: "keybound", "an audit sink did not end in time; its last records may be lost");
            }
        }
    }
}

/// Writes until the queue is closed and empty.
fn write(queue: &Queue, sink: &mut dyn AuditSink) {
    let mut told = 0;
    let mut is_flushed = true;
    loop {
        let task = match queue.next() {
            Some(task) => task,
            None => {
                if !std::mem::replace(&mut is_flushed, true) {
                    tell(guarded(|| sink.flush()), "an audit sink could not be flushed");
                }
                told = tell_lost(queue.lost(), told);
                queue.wait()
            }
        };
        match task {
            Task::Write(record) => {
                is_flushed = false;
                if let Err(error) = guarded(|| sink.write(&record)) {
                    tracing::debug!(target: "keybound", %error, "an audit record is lost");
                    queue.lose();
                }
            }
            Task::Reopen => tell(guarded(|| sink.reopen()), "an audit sink could not be reopened"),
            Task::End => break,
        }
    }
    tell(guarded(|| sink.flush()), "an audit sink could not be flushed");
    tell_lost(queue.lost(), told);
    queue.end();
}

/// A sink of the host's that panics loses a record, not the thread.
fn guarded(act: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    catch_unwind(AssertUnwindSafe(act)).unwrap_or_else(|_| Err(io::Error::other("the sink panicked")))
}

fn tell(result: io::Result<()>, what: &str) {
    if let Err(error) = result {
        tracing::warn!(target: "keybound", %error, "{what}");
    }
}

/// Says once a flood is over how many records it cost.
fn tell_lost(lost: u64, told: u64) -> u64 {
    if lost > told {
        tracing::warn!(target: "keybound", lost = lost - told, "audit records were lost: their sink failed or was too slow");
    }
    lost
}

impl fmt::Debug for Writers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writers").field("sinks", &self.0.len()).field("lost", &self.lost()).finish()
    }
}
