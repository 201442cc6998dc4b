//! What takes audit records: a function, events of tracing, or something of the host's.

use std::io;

use keybound::audit::AuditRecord;
use tracing::Dispatch;
use tracing::subscriber::NoSubscriber;

/// Takes audit records, one after another, on a thread that waits for nothing else.
pub trait AuditSink: Send + 'static {
    /// Writes a record.
    ///
    /// # Errors
    /// Why the record is lost. It is counted, and the next one is tried all the same.
    fn write(&mut self, record: &AuditRecord) -> io::Result<()>;

    /// Nothing waits for the sink: what it holds back can be written.
    ///
    /// # Errors
    /// Why that failed, for the log.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Begins anew where the sink writes to something that was moved away: see
    /// [`Protection::reopen_audit`](crate::Protection::reopen_audit).
    ///
    /// # Errors
    /// Why that failed, for the log; the sink goes on with what it has.
    fn reopen(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A function.
pub(super) struct Call<F>(pub(super) F);

impl<F: FnMut(&AuditRecord) + Send + 'static> AuditSink for Call<F> {
    fn write(&mut self, record: &AuditRecord) -> io::Result<()> {
        (self.0)(record);
        Ok(())
    }
}

/// Events of tracing.
pub(super) struct Events(Option<Dispatch>);

impl Events {
    /// Events for the subscriber that is in use here. If there is none yet, for the one that the process has when they are written.
    pub(super) fn here() -> Self {
        let dispatch = tracing::dispatcher::get_default(Clone::clone);
        Self((!dispatch.is::<NoSubscriber>()).then_some(dispatch))
    }
}

impl AuditSink for Events {
    fn write(&mut self, record: &AuditRecord) -> io::Result<()> {
        let write = || tracing::info!(target: "keybound::audit", %record);
        match &self.0 {
            Some(dispatch) => tracing::dispatcher::with_default(dispatch, write),
            None => write(),
        }
        Ok(())
    }
}
