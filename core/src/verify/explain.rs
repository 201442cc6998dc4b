//! Explaining a verdict to a developer: every check in order, and for each that failed what was wrong.
//!
//! Verification ends at the first check that fails, which gives the verdict. An explanation goes on with every check that does not depend on
//! a failed one, so that several mistakes are found in one run.
//!
//! An explanation is for the eyes of whoever debugs a client or sets up a server. It never settles a proof and must
//! not be sent to the peer.
//!
//! ```
//! # #[cfg(all(feature = "std", feature = "rustcrypto"))] {
//! use keybound::{Context, Policy, Presentation, RUSTCRYPTO, TargetUri, UnixTime, Verifier};
//!
//! let verifier = Verifier::new(Policy::default(), &RUSTCRYPTO);
//! let target = TargetUri::parse("https://server.example.com/token").unwrap();
//! let proofs: [&[u8]; 1] = [b"DPoP eyJ0eXAiOiJkcG9wK2p3dCJ9.e30.AA"];
//! let presentation = Presentation::new("POST", &target, &proofs, Context::TokenEndpoint { dpop_jkt: None });
//! let explanation = verifier.explain(&presentation, UnixTime::from_secs(1_562_262_616));
//! assert_eq!(explanation.rejection().map(|rejection| rejection.reason()), Some("base64_non_canonical"));
//! assert!(explanation.failure().unwrap().found.contains("scheme"));
//! # }
//! ```

use alloc::borrow::ToOwned;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use super::Verifier;
use super::check::Check;
use super::diagnose;
use super::presentation::Presentation;
use super::rejection::Rejection;
use super::survey::{Survey, Unmet};
use crate::json;
use crate::replay::StoreFloor;
use crate::{Spelling, UnixTime};

/// What stands beside the check that no explanation makes.
const NOT_CONSUMED: &str =
    "explaining never consumes a proof: whether it was used before is for the replay store to say";

/// Every check of one verification, in order, with its outcome.
///
/// # Security
/// Peer text in it is escaped, cut to 200 characters and freed of queries and user information; hashes and nonces show
/// their first six characters; tokens, keys and signatures do not occur. Even so it tells more than a peer should
/// learn: keep it in logs and tools.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Explanation {
    rejection: Option<Rejection>,
    findings: Vec<Finding>,
}

/// One check and its outcome.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Finding {
    /// The check.
    pub check: Check,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of one check.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// The proof passed.
    Passed,
    /// The proof failed here.
    Failed(Failure),
    /// The check was not made.
    NotJudged {
        /// The failed check on whose result it depends; none for the replay check of a proof that passed all others: an explanation asks no
        /// store.
        because: Option<Check>,
    },
}

/// Why a check failed, in plain sentences.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Failure {
    /// The defect. That of the first failure is the verdict; verification does not get to the others.
    pub rejection: Rejection,
    /// What the check asks for.
    pub expected: String,
    /// What the proof has instead.
    pub found: String,
    /// What most likely led to it.
    pub cause: String,
    /// What to do.
    pub fix: String,
}

impl Failure {
    /// The fixed texts about `rejection`, for where nothing more precise is known.
    pub(super) fn general(rejection: Rejection) -> Self {
        Self {
            rejection,
            expected: rejection.check().question().to_owned(),
            found: rejection.to_string(),
            cause: rejection.cause().to_owned(),
            fix: rejection.fix().to_owned(),
        }
    }

    pub(super) fn expecting(self, expected: impl Into<String>) -> Self {
        Self { expected: expected.into(), ..self }
    }

    pub(super) fn finding(self, found: impl Into<String>) -> Self {
        Self { found: found.into(), ..self }
    }

    pub(super) fn because(self, cause: impl Into<String>) -> Self {
        Self { cause: cause.into(), ..self }
    }

    pub(super) fn fixed_by(self, fix: impl Into<String>) -> Self {
        Self { fix: fix.into(), ..self }
    }
}

impl Explanation {
    /// The verdict: the defect that was found; `None` if every check but replay was passed.
    pub const fn rejection(&self) -> Option<Rejection> {
        self.rejection
    }

    /// One finding for each check, in the order of [`Check::ALL`].
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// The failure that gave the verdict, if there is one: the first.
    pub fn failure(&self) -> Option<&Failure> {
        self.failures().next()
    }

    /// All failures, in the order of the checks.
    pub fn failures(&self) -> impl Iterator<Item = &Failure> {
        self.findings.iter().filter_map(|finding| match &finding.outcome {
            Outcome::Failed(failure) => Some(failure),
            Outcome::Passed | Outcome::NotJudged { .. } => None,
        })
    }

    /// The explanation as a JSON object: `accepted` (every check but replay was passed), `reason` and `section` (`null`
    /// if accepted) and `checks`, each with `check`, `outcome` (`passed`, `failed` or `not_judged`), where it
    /// failed `reason`, `section`, `expected`, `found`, `cause` and `fix`, and where it was not judged `because`, the failed check on which it
    /// depends. The replay check of an accepted proof has a `note` instead.
    pub fn to_json(&self) -> String {
        let mut out = String::from("{\"accepted\":");
        out.push_str(if self.rejection.is_none() { "true" } else { "false" });
        for (name, value) in [
            (",\"reason\":", self.rejection.map(Rejection::reason)),
            (",\"section\":", self.rejection.map(Rejection::section)),
        ] {
            out.push_str(name);
            match value {
                Some(text) => json::write_string(text, &mut out),
                None => out.push_str("null"),
            }
        }
        out.push_str(",\"checks\":[");
        for (position, finding) in self.findings.iter().enumerate() {
            out.push_str(if position > 0 { ",{\"check\":\"" } else { "{\"check\":\"" });
            out.push_str(finding.check.name());
            out.push_str("\",\"outcome\":\"");
            out.push_str(finding.outcome.name());
            out.push('"');
            if let Outcome::Failed(failure) = &finding.outcome {
                let named = [("reason", failure.rejection.reason()), ("section", failure.rejection.section())];
                for (name, text) in named.into_iter().chain(failure.parts()) {
                    out.push_str(",\"");
                    out.push_str(name);
                    out.push_str("\":");
                    json::write_string(text, &mut out);
                }
            }
            match finding.outcome {
                Outcome::NotJudged { because: Some(failed) } => {
                    out.push_str(",\"because\":\"");
                    out.push_str(failed.name());
                    out.push('"');
                }
                Outcome::NotJudged { because: None } => {
                    out.push_str(",\"note\":");
                    json::write_string(NOT_CONSUMED, &mut out);
                }
                Outcome::Passed | Outcome::Failed(_) => {}
            }
            out.push('}');
        }
        out.push_str("]}");
        out
    }

    /// The same with the names of options in this spelling: they are between backticks otherwise.
    #[must_use]
    pub fn spelled(mut self, spelling: Spelling) -> Self {
        for finding in &mut self.findings {
            if let Outcome::Failed(failure) = &mut finding.outcome {
                failure.fix = spelling.spelled(&failure.fix);
            }
        }
        self
    }
}

impl Failure {
    fn parts(&self) -> [(&'static str, &str); 4] {
        [("expected", &self.expected), ("found", &self.found), ("cause", &self.cause), ("fix", &self.fix)]
    }
}

impl Outcome {
    /// A stable name for machines: `passed`, `failed` or `not_judged`.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed(_) => "failed",
            Self::NotJudged { .. } => "not_judged",
        }
    }
}

/// One line for each check, and four more below each that failed.
impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            let mark = match finding.outcome {
                Outcome::Passed => "ok",
                Outcome::Failed(_) => "FAILED",
                Outcome::NotJudged { .. } => "-",
            };
            write!(f, "{mark:<6}  {:<10}  {}", finding.check.name(), finding.check.question())?;
            match &finding.outcome {
                Outcome::Passed => {}
                Outcome::Failed(failure) => {
                    write!(f, " [{}, {}]", failure.rejection.reason(), failure.rejection.section())?;
                    for (name, text) in failure.parts() {
                        write!(f, "\n        {name:<10}  {text}")?;
                    }
                }
                Outcome::NotJudged { because: Some(failed) } => write!(f, " (not judged because of {failed})")?,
                Outcome::NotJudged { because: None } => write!(f, " ({NOT_CONSUMED})")?,
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

impl Verifier {
    /// Judges a proof as [`check`](Self::check) does and tells what came of every check, for the developer of a client
    /// or the operator of a server. Where one failed, the later ones are made as well, unless they depend on it.
    ///
    /// It never consumes the proof: an explanation without a rejection says that every check but replay was passed. It
    /// costs more than `check`, within bounds: a handful of signature verifications at most.
    ///
    /// # Security
    /// Not for the peer, and not for every request of a server: switch it on where somebody is debugging.
    pub fn explain(&self, presentation: &Presentation<'_>, now: UnixTime) -> Explanation {
        self.explain_with_floor(presentation, now, None)
    }

    /// The same for a server whose replay store has this [floor](crate::replay::ReplayStore::floor): the nonce is judged in the store's
    /// present life, and a proof for which the store does not vouch is explained as `before_store_floor`.
    ///
    /// ```
    /// # #[cfg(all(feature = "std", feature = "rustcrypto"))] {
    /// use keybound::key::soft::SoftKey;
    /// use keybound::replay::{ReplayStore, memory::MemoryStore};
    /// use keybound::{Algorithm, Context, Policy, Presentation, ProofBuilder, RUSTCRYPTO, TargetUri, UnixTime, Verifier};
    ///
    /// let now = UnixTime::from_secs(1_700_000_000);
    /// let verifier = Verifier::new(Policy::default(), &RUSTCRYPTO);
    /// let store = MemoryStore::new(1_000, verifier.replay_agreement(), RUSTCRYPTO.random, now).unwrap();
    /// let key = SoftKey::generate(Algorithm::Es256, &RUSTCRYPTO).unwrap();
    /// let url = "https://server.example.com/token";
    /// let proof = ProofBuilder::new("POST", url).sign(&RUSTCRYPTO, &key, now).unwrap();
    /// let (target, proofs) = (TargetUri::parse(url).unwrap(), [proof.as_str().as_bytes()]);
    /// let presentation = Presentation::new("POST", &target, &proofs, Context::TokenEndpoint { dpop_jkt: None });
    ///
    /// let explanation = verifier.explain_with_floor(&presentation, now, store.floor());
    /// assert_eq!(explanation.rejection().map(|rejection| rejection.reason()), Some("before_store_floor"));
    /// # }
    /// ```
    pub fn explain_with_floor(
        &self,
        presentation: &Presentation<'_>,
        now: UnixTime,
        floor: Option<StoreFloor>,
    ) -> Explanation {
        let presentation = &floor.map_or(*presentation, |floor| presentation.in_epoch(floor.epoch()));
        let survey = Survey::of(self, presentation, now, floor);
        let before_floor = survey.unknown.map(|_| Rejection::BeforeStoreFloor);
        // The verdict is that of verification alone; the survey says what came of the checks that it does not get to.
        let rejection = self.check(presentation, now).err().or(before_floor);
        let state = |check: Check| match rejection? {
            verdict if check < verdict.check() => None,
            verdict if check == verdict.check() => Some(Unmet::Failed(verdict)),
            verdict if check == Check::Replay => {
                Some(before_floor.map_or(Unmet::Behind(verdict.check()), Unmet::Failed))
            }
            _ => survey.unmet(check),
        };
        let states = Check::ALL.map(|check| (check, state(check)));
        let failed: Vec<Rejection> = states
            .iter()
            .filter_map(|(_, state)| match state {
                Some(Unmet::Failed(rejection)) => Some(*rejection),
                Some(Unmet::Behind(_)) | None => None,
            })
            .collect();
        let mut failures = diagnose::diagnose(self, presentation, now, &failed, survey.unknown.zip(floor)).into_iter();
        let findings = states
            .into_iter()
            .map(|(check, state)| {
                let outcome = match state {
                    Some(Unmet::Failed(rejection)) => {
                        Outcome::Failed(failures.next().unwrap_or_else(|| Failure::general(rejection)))
                    }
                    Some(Unmet::Behind(failed)) => Outcome::NotJudged { because: Some(failed) },
                    None if check == Check::Replay => Outcome::NotJudged { because: None },
                    None => Outcome::Passed,
                };
                Finding { check, outcome }
            })
            .collect();
        Explanation { rejection, findings }
    }
}
