//! Audit records of a protection, and where they go.
//!
//! Each sink has a thread and two bounded queues: one for admissions, replays and tokens shown with another key, and one for all other
//! refusals, which anyone can cause in any number. A request puts its record into them and goes on; a sink that lags or fails loses records,
//! refusals first, and what is lost is counted.

mod file;
mod queue;
mod sink;
mod writer;

pub use file::JsonLines;
pub use keybound::audit::{AuditKey, AuditKeyError, AuditRecord, Operation, Verdict};
pub use sink::AuditSink;
pub(crate) use writer::Writers;

use std::fmt;

use keybound::audit::Audit;

use crate::metrics::Meter;
use sink::{Call, Events};

/// How many records wait for a sink, beside as many that are vital.
const WAITING: usize = 1_024;

/// Where the audit records of a protection go, and the key by which they name tokens.
///
/// ```
/// use keybound_tower::Protection;
/// use keybound_tower::audit::{AuditKey, AuditLog, JsonLines};
/// # let folder = std::env::temp_dir().join(format!("keybound-audit-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// # let path = folder.join("audit.jsonl");
/// # let secret = [7; 32];
/// let key = AuditKey::from_secret(&secret)?;
/// let log = AuditLog::new(key).to_file(JsonLines::open(&path)?.rotate_at(64 << 20).keep(8)).to_tracing();
/// let protection = Protection::of("https://api.example.com")?.issuer("https://as.example.com")?.audit(log).build()?;
/// # drop(protection);
/// # std::fs::remove_dir_all(&folder)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct AuditLog {
    audit: Audit,
    sinks: Vec<Box<dyn AuditSink>>,
    waiting: usize,
}

impl AuditLog {
    /// A log that names tokens by their HMAC under `key`: the same key on all servers whose records are compared.
    pub fn new(key: AuditKey) -> Self {
        Self { audit: Audit::with_key(key), sinks: Vec::new(), waiting: WAITING }
    }

    /// Calls `function` with each record, on a thread of its own. A panic in it loses that record.
    #[must_use]
    pub fn to(self, function: impl FnMut(&AuditRecord) + Send + 'static) -> Self {
        self.to_sink(Call(function))
    }

    /// Writes each record as an event of `tracing` with the target `keybound::audit`, level INFO and the field `record`, its JSON.
    #[must_use]
    pub fn to_tracing(self) -> Self {
        self.to_sink(Events::here())
    }

    /// Writes each record as a line of a file.
    #[must_use]
    pub fn to_file(self, file: JsonLines) -> Self {
        self.to_sink(file)
    }

    /// Gives each record to a sink of the host's.
    #[must_use]
    pub fn to_sink(mut self, sink: impl AuditSink) -> Self {
        self.sinks.push(Box::new(sink));
        self
    }

    /// How many refusals may wait for each sink; 1,024 unless told otherwise. Four times as many admissions, replays and mismatches of keys may.
    /// A record takes about 300 bytes.
    #[must_use]
    pub fn waiting(self, records: usize) -> Self {
        Self { waiting: records, ..self }
    }

    /// Begins to write. What the server is told to keep goes with it.
    pub(crate) fn begin(self, meter: Meter) -> (Audit, Writers) {
        let Self { audit, sinks, waiting } = self;
        (audit, Writers::begin(sinks, waiting, meter))
    }
}

impl fmt::Debug for AuditLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditLog")
            .field("sinks", &self.sinks.len())
            .field("waiting", &self.waiting)
            .finish_non_exhaustive()
    }
}
