//! Explanations: of a proof's checks, and of a refused response.

use keybound::UnixTime;
use keybound::oauth::refused;
use keybound::verify::explain::{self, Outcome};
use keybound_ffi as ffi;

use crate::error::{Header, KeyboundError, SPELLING};
use crate::plain::{field_bytes, shown};

/// What came of every check of a proof.
#[derive(Clone, PartialEq, Eq, Debug, uniffi::Record)]
pub struct Explanation {
    /// Whether every check but replay was passed.
    pub accepted: bool,
    /// Why not: the rejection's stable name.
    pub reason: Option<String>,
    /// Where the rule is written.
    pub section: Option<String>,
    /// Each check, in order.
    pub checks: Vec<CheckResult>,
    /// All of it as JSON, as `keybound explain --format json` prints it.
    pub json: String,
}

/// What came of one check.
#[derive(Clone, PartialEq, Eq, Debug, uniffi::Record)]
pub struct CheckResult {
    /// Its stable name, for example `signature`.
    pub check: String,
    /// What it asks.
    pub question: String,
    /// What came of it.
    pub outcome: CheckOutcome,
    /// Why it failed: the rejection's stable name. That of the first failed check is the verdict; verification does not get to the others.
    pub reason: Option<String>,
    /// Where that is required.
    pub section: Option<String>,
    /// The failed check for which this one could not be made.
    pub because: Option<String>,
    /// What it wanted, if it failed.
    pub expected: Option<String>,
    /// What was there instead.
    pub found: Option<String>,
    /// What most likely led to it.
    pub cause: Option<String>,
    /// How to fix it.
    pub fix: Option<String>,
}

/// What came of a check.
#[derive(Clone, Copy, PartialEq, Eq, Debug, uniffi::Enum)]
pub enum CheckOutcome {
    /// It was passed.
    Passed,
    /// It failed.
    Failed,
    /// It was not made: it depends on one that failed, or it is the replay check of a proof that passed all others.
    NotJudged,
}

impl From<explain::Explanation> for Explanation {
    fn from(explanation: explain::Explanation) -> Self {
        let checks = explanation.findings().iter().map(|finding| {
            let failure = match &finding.outcome {
                Outcome::Failed(failure) => Some(failure),
                _ => None,
            };
            CheckResult {
                check: finding.check.name().into(),
                question: finding.check.question().into(),
                outcome: match &finding.outcome {
                    Outcome::Passed => CheckOutcome::Passed,
                    Outcome::Failed(_) => CheckOutcome::Failed,
                    _ => CheckOutcome::NotJudged,
                },
                reason: failure.map(|failure| failure.rejection.reason().into()),
                section: failure.map(|failure| failure.rejection.section().into()),
                because: match &finding.outcome {
                    Outcome::NotJudged { because } => because.map(|failed| failed.name().into()),
                    _ => None,
                },
                expected: failure.map(|failure| failure.expected.clone()),
                found: failure.map(|failure| failure.found.clone()),
                cause: failure.map(|failure| failure.cause.clone()),
                fix: failure.map(|failure| failure.fix.clone()),
            }
        });
        let rejection = explanation.rejection();
        Self {
            accepted: rejection.is_none(),
            reason: rejection.map(|rejection| rejection.reason().into()),
            section: rejection.map(|rejection| rejection.section().into()),
            checks: checks.collect(),
            json: explanation.to_json(),
        }
    }
}

/// A response that refused a request.
#[derive(Clone, PartialEq, Eq, Debug, uniffi::Record)]
#[uniffi::export(Display)]
pub struct RefusedResponse {
    /// Its status.
    pub status: i32,
    /// All its fields.
    pub headers: Vec<Header>,
    /// Its body, or the beginning of it.
    #[uniffi(default)]
    pub body: Vec<u8>,
    /// The client's clock when it came.
    #[uniffi(default)]
    pub now: Option<i64>,
    /// When the proof was made, by the client's clock.
    #[uniffi(default)]
    pub proof_issued_at: Option<i64>,
}

shown!(RefusedResponse { status });

/// What is wrong with a request that was refused, and what to do. Text of the server's in it is escaped and cut.
#[derive(Clone, PartialEq, Eq, Debug, uniffi::Record)]
pub struct Advice {
    /// What is wrong, in a sentence.
    pub wrong: String,
    /// What most likely led to it.
    pub cause: String,
    /// What to do.
    pub next: String,
    /// The error on the wire, for example `use_dpop_nonce`.
    pub error: Option<String>,
    /// The stable name of the defect, where the server says it.
    pub reason: Option<String>,
    /// The server's nonce.
    pub nonce: Option<String>,
    /// How far the server's clock is ahead of the client's, in seconds.
    pub clock_offset: Option<i64>,
    /// How old the proof was by the server's clock, in seconds; negative if it came from the future.
    pub proof_age: Option<i64>,
    /// Each challenge, in order.
    pub challenges: Vec<ChallengeAdvice>,
    /// All of it as JSON, as `keybound explain --format json` prints it.
    pub json: String,
}

/// What one challenge asks for.
#[derive(Clone, PartialEq, Eq, Debug, uniffi::Record)]
pub struct ChallengeAdvice {
    /// Its scheme, for example `DPoP`.
    pub scheme: String,
    /// Its error.
    pub error: Option<String>,
    /// The algorithms that the server accepts (`algs`).
    pub algorithms: Vec<String>,
    /// The scope that it asks for.
    pub scope: Option<String>,
    /// What the challenge means.
    pub meaning: String,
    /// What to do about it.
    pub next: String,
}

/// Says what is wrong with a request that was refused, what led to it and what to do: for the developer of the client.
///
/// Throws misuse, if the status is none.
#[uniffi::export]
pub fn explain_response(response: RefusedResponse) -> Result<Advice, KeyboundError> {
    let status = u16::try_from(response.status)
        .map_err(|_| ffi::Error::own(ffi::Own::WrongType, "a status has three digits"))?;
    let fields: Vec<(&str, Vec<u8>)> =
        response.headers.iter().map(|header| (header.name.as_str(), field_bytes(&header.value))).collect();
    let fields: Vec<(&str, &[u8])> = fields.iter().map(|(name, value)| (*name, value.as_slice())).collect();
    let mut refused = refused::RefusedResponse::new(status, &fields);
    refused.body = &response.body;
    refused.now = response.now.map(UnixTime::from_secs);
    refused.proof_iat = response.proof_issued_at.map(UnixTime::from_secs);
    let advice = refused::Advice::of(&refused).spelled(SPELLING);
    let json = advice.to_json();
    let challenges = advice.challenges.into_iter().map(|challenge| ChallengeAdvice {
        scheme: challenge.scheme,
        error: challenge.error,
        algorithms: challenge.algs,
        scope: challenge.scope,
        meaning: challenge.meaning.into(),
        next: challenge.next,
    });
    Ok(Advice {
        challenges: challenges.collect(),
        wrong: advice.wrong,
        cause: advice.cause,
        next: advice.next,
        error: advice.error,
        reason: advice.reason.map(Into::into),
        nonce: match advice.nonce {
            refused::NonceSeen::Present(nonce) => Some(nonce),
            _ => None,
        },
        clock_offset: advice.clock_offset,
        proof_age: advice.proof_age,
        json,
    })
}

/// Every reason a proof or token can be refused for, as JSON: `rejections` (`reason`, `check`, `section`, `meaning`, `cause`,
/// `fix`), `token_rejections` (`reason`, `status`, `error`, `meaning`) and `checks` (`check`, `question`).
#[uniffi::export]
pub fn reasons() -> String {
    ffi::reasons(SPELLING)
}
