//! Explaining a verdict to a developer: every check in order, and for the one that failed what was wrong.
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
use super::pending::PendingProof;
use super::presentation::Presentation;
use super::rejection::Rejection;
use crate::UnixTime;
use crate::json;
use crate::replay::StoreFloor;

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
pub enum Outcome {
    /// The proof passed.
    Passed,
    /// The proof failed here, and no later check was made.
    Failed(Failure),
    /// An earlier check failed; or this is the replay check, which an explanation never makes.
    NotReached,
}

/// Why a check failed, in plain sentences.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Failure {
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

    /// The one failure, if there is one.
    pub fn failure(&self) -> Option<&Failure> {
        self.findings.iter().find_map(|finding| match &finding.outcome {
            Outcome::Failed(failure) => Some(failure),
            Outcome::Passed | Outcome::NotReached => None,
        })
    }

    /// The explanation as a JSON object: `accepted` (every check but replay was passed), `reason` and `section` (`null`
    /// if accepted) and `checks`, each with `check`, `outcome` (`passed`, `failed` or `not_reached`) and, where it
    /// failed, `expected`, `found`, `cause` and `fix`.
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
                for (name, text) in failure.parts() {
                    out.push_str(",\"");
                    out.push_str(name);
                    out.push_str("\":");
                    json::write_string(text, &mut out);
                }
            }
            if self.rejection.is_none() && finding.check == Check::Replay {
                out.push_str(",\"note\":");
                json::write_string(NOT_CONSUMED, &mut out);
            }
            out.push('}');
        }
        out.push_str("]}");
        out
    }
}

impl Failure {
    fn parts(&self) -> [(&'static str, &str); 4] {
        [("expected", &self.expected), ("found", &self.found), ("cause", &self.cause), ("fix", &self.fix)]
    }
}

impl Outcome {
    /// A stable name for machines: `passed`, `failed` or `not_reached`.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed(_) => "failed",
            Self::NotReached => "not_reached",
        }
    }
}

/// One line for each check, and four more below the one that failed.
impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            let mark = match finding.outcome {
                Outcome::Passed => "ok",
                Outcome::Failed(_) => "FAILED",
                Outcome::NotReached => "-",
            };
            write!(f, "{mark:<6}  {:<10}  {}", finding.check.name(), finding.check.question())?;
            if let (Outcome::Failed(_), Some(rejection)) = (&finding.outcome, self.rejection) {
                write!(f, " [{}, {}]", rejection.reason(), rejection.section())?;
            }
            if let Outcome::Failed(failure) = &finding.outcome {
                for (name, text) in failure.parts() {
                    write!(f, "\n        {name:<10}  {text}")?;
                }
            }
            if self.rejection.is_none() && finding.check == Check::Replay {
                write!(f, " ({NOT_CONSUMED})")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

impl Verifier {
    /// Judges a proof as [`check`](Self::check) does and tells what came of every check, for the developer of a client
    /// or the operator of a server.
    ///
    /// It never consumes the proof: an explanation without a rejection says that every check but replay was passed. It
    /// costs more than `check`, within bounds.
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
        let judged = self.check(presentation, now);
        let unknown = judged.as_ref().ok().map(PendingProof::replay_entry).zip(floor);
        let unknown = unknown.filter(|(entry, floor)| !floor.vouches_for(entry));
        let rejection = judged.as_ref().err().copied().or(unknown.map(|_| Rejection::BeforeStoreFloor));
        let findings = Check::ALL
            .into_iter()
            .map(|check| {
                let outcome = match rejection {
                    Some(rejection) if check == rejection.check() => Outcome::Failed(match unknown {
                        Some((entry, floor)) => diagnose::before_floor(self, entry, &floor),
                        None => diagnose::diagnose(self, presentation, now, rejection),
                    }),
                    Some(rejection) if check > rejection.check() => Outcome::NotReached,
                    None if check == Check::Replay => Outcome::NotReached,
                    _ => Outcome::Passed,
                };
                Finding { check, outcome }
            })
            .collect();
        Explanation { rejection, findings }
    }
}
