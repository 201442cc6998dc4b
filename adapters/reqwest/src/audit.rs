//! What a client did, told to a function of the host's.

use std::fmt;
use std::sync::Arc;

use keybound::audit::AuditRecord;
use keybound::oauth;

type Function = dyn Fn(&AuditRecord) + Send + Sync;

/// Who is told, if anyone.
#[derive(Clone, Default)]
pub(crate) struct Audit(Option<Arc<Function>>);

impl Audit {
    pub(crate) fn to(function: impl Fn(&AuditRecord) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(function)))
    }

    /// Has the client keep what is told here.
    pub(crate) fn begin(&self, client: &oauth::Client) {
        if self.0.is_some() {
            client.keep_records();
        }
    }

    /// Tells what was done since the last time, by this flow or by others of the client.
    pub(crate) fn tell(&self, client: &oauth::Client) {
        if let Some(function) = &self.0 {
            client.take_records().iter().for_each(|record| function(record));
        }
    }
}

impl fmt::Debug for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Audit({})", self.0.is_some())
    }
}
