//! What a protection tells of its decisions: audit records and numbers.

use std::time::{Duration, Instant};

use http::request::Parts;
use keybound::audit::{AuditRecord, Facts, Occasion, Operation};
use keybound::server::resource;
use keybound::{Refusal, UnixTime};

use crate::audit::Writers;
use crate::metrics::Meter;
use crate::request;

/// Who is told of decisions. Without either nothing is measured.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    pub(crate) audit: Option<Writers>,
    pub(crate) meter: Meter,
}

impl Watch {
    /// When a decision begins, if that matters.
    pub(crate) fn begin(&self) -> Option<Instant> {
        (self.audit.is_some() || self.meter.is_on()).then(Instant::now)
    }

    /// A request was admitted or refused.
    pub(crate) fn admission(
        &self,
        parts: &Parts,
        admission: Result<&resource::Principal, &Refusal>,
        begun: Option<Instant>,
        now: impl FnOnce() -> UnixTime,
    ) {
        let Some(took) = begun.map(|begun| begun.elapsed()) else { return };
        let facts = admission.map_or_else(Refusal::facts, resource::Principal::facts);
        self.meter.decided(admission.err(), facts, took);
        if self.audit.is_some() {
            let route = request::route(parts);
            let occasion = Occasion { operation: Operation::Admission, time: now(), route, latency: Some(took) };
            self.record(&occasion, admission.err(), facts);
        }
    }

    /// An intent was carried out or refused.
    pub(crate) fn intent(
        &self,
        refusal: Option<&Refusal>,
        facts: Option<&Facts>,
        begun: Option<Instant>,
        now: impl FnOnce() -> UnixTime,
    ) {
        if self.audit.is_some() {
            let latency: Option<Duration> = begun.map(|begun| begun.elapsed());
            let occasion = Occasion { latency, ..Occasion::new(Operation::Intent, now()) };
            self.record(&occasion, refusal, facts);
        }
    }

    fn record(&self, occasion: &Occasion<'_>, refusal: Option<&Refusal>, facts: Option<&Facts>) {
        if let Some(writers) = &self.audit {
            writers.push(match refusal {
                None => AuditRecord::admitted(occasion, facts),
                Some(refusal) => AuditRecord::refused(occasion, refusal),
            });
        }
    }
}
