//! What servers tell of their decisions: audit records, and counts.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use keybound::audit::{Audit, AuditKey, AuditRecord, Facts, Occasion, Operation, Verdict};
use keybound::flow::step::Step;
use keybound::json::Value;
use keybound::{Refusal, UnixTime, base64url};

use crate::error::{Error, Own};
use crate::flow::{Came, Flow};
use crate::plain::Options;

/// Where a flow leaves the record of what it came to.
pub(crate) type Slot = Arc<Mutex<Option<AuditRecord>>>;

/// What a server notes of its decisions.
#[derive(Clone)]
pub(crate) struct Notes {
    counts: Arc<Counts>,
    is_audited: bool,
}

/// How often each verdict was given for each reason: as many numbers as there are reasons.
#[derive(Default)]
struct Counts(Mutex<BTreeMap<(&'static str, &'static str), u64>>);

impl Notes {
    /// Notes for a server with these options, and what it is told to keep: `audit` is an object with `key`, the base64url of 32 bytes.
    pub(crate) fn of(options: &Options) -> Result<(Self, Option<Audit>), Error> {
        let audit = options.value("audit").map(|given| audit_of(given.clone())).transpose()?;
        Ok((Self { counts: Arc::default(), is_audited: audit.is_some() }, audit))
    }

    /// A flow whose end is counted and, if records are wanted, kept as one. `facts` gives what is known of one that was permitted.
    pub(crate) fn flow<T: 'static>(
        &self,
        operation: Operation,
        step: Step<Result<T, Box<Refusal>>>,
        facts: impl FnOnce(&T) -> Option<Facts> + Send + 'static,
        come: impl FnOnce(Result<T, Box<Refusal>>) -> Came + Send + 'static,
    ) -> Flow {
        let counts = Arc::clone(&self.counts);
        let slot = self.is_audited.then(Slot::default);
        let own = slot.clone();
        let step = step.map(move |result| {
            // Intents are carried out within requests, which were counted.
            if operation != Operation::Intent {
                counts.add(result.as_ref().err().map(|refusal| &**refusal));
            }
            if let Some(slot) = own {
                // The time is that at which the record is asked for.
                let occasion = Occasion::new(operation, UnixTime::from_secs(0));
                let record = match &result {
                    Ok(permitted) => AuditRecord::admitted(&occasion, facts(permitted).as_ref()),
                    Err(refusal) => AuditRecord::refused(&occasion, refusal),
                };
                *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(record);
            }
            come(result)
        });
        Flow::noted(step, slot)
    }

    /// What was counted, as JSON: an object whose members have the names of the metrics (`tests/contract/metrics.json`).
    pub(crate) fn counters(&self) -> String {
        self.counts.to_value().to_json()
    }
}

/// A record as JSON, with what the host knows of the request.
pub(crate) fn written(slot: &Slot, route: Option<&str>, microseconds: i64, now: i64) -> Option<String> {
    let record = slot.lock().unwrap_or_else(PoisonError::into_inner).take()?;
    let latency = u64::try_from(microseconds).ok().map(std::time::Duration::from_micros);
    let occasion = Occasion { route, latency, ..Occasion::new(record.operation, UnixTime::from_secs(now)) };
    Some(record.told(&occasion).to_json())
}

fn audit_of(given: Value) -> Result<Audit, Error> {
    let wrong = || Error::own(Own::AuditKey, "the key of audit records is 32 random bytes");
    let given = Options::of(given, &["key"])?;
    let mut secret = [0; 32];
    base64url::decode_exact(given.needed("key")?.as_bytes(), &mut secret).map_err(|_| wrong())?;
    Ok(Audit::with_key(AuditKey::from_secret(&secret).map_err(|_| wrong())?))
}

impl Counts {
    fn add(&self, refusal: Option<&Refusal>) {
        let verdict = refusal.map_or(Verdict::Admitted, Verdict::of);
        let reason = refusal.map_or("none", Refusal::reason);
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry((verdict.name(), reason)).or_default();
        *count = count.saturating_add(1);
    }

    fn to_value(&self) -> Value {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let replayed = keybound::Rejection::Replayed.reason();
        let replays = counts.iter().filter(|((_, reason), _)| *reason == replayed).map(|(_, count)| *count);
        let requests = counts.iter().map(|((verdict, reason), count)| {
            Value::object().with("verdict", *verdict).with("reason", *reason).with("count", *count)
        });
        let challenges = counts.iter().filter(|((verdict, _), _)| *verdict == Verdict::Challenged.name());
        let challenges =
            challenges.map(|((_, reason), count)| Value::object().with("reason", *reason).with("count", *count));
        Value::object()
            .with("keybound_requests_total", Value::Array(requests.collect()))
            .with("keybound_replays_total", replays.sum::<u64>())
            .with("keybound_nonce_challenges_total", Value::Array(challenges.collect()))
    }
}

impl fmt::Debug for Notes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notes").field("is_audited", &self.is_audited).finish_non_exhaustive()
    }
}
