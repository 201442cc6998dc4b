//! DPoP (RFC 9449) proofs, made and judged.
#![cfg_attr(not(feature = "std"), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod base64url;
pub mod crypto;
pub mod http;
pub mod jose;
mod json;
pub mod key;
mod misuse;
#[cfg(feature = "dpop")]
pub mod nonce;
#[cfg(feature = "dpop")]
pub mod proof;
#[cfg(feature = "dpop")]
pub mod replay;
mod time;
#[cfg(feature = "dpop")]
pub mod verify;

pub use crypto::Crypto;
#[cfg(all(feature = "std", feature = "rustcrypto"))]
pub use crypto::rustcrypto::RUSTCRYPTO;
pub use jose::algorithm::{Algorithm, AlgorithmSet};
pub use jose::thumbprint::Thumbprint;
pub use misuse::Misuse;
#[cfg(feature = "dpop")]
pub use proof::{Proof, build::ProofBuilder, target::TargetUri};
pub use time::UnixTime;
#[cfg(all(feature = "dpop", feature = "std"))]
pub use verify::headers::HeaderMemory;
#[cfg(feature = "dpop")]
pub use verify::{
    CheckOnly, Verifier,
    check::Check,
    explain::{Explanation, Failure, Finding, Outcome},
    pending::{PendingProof, SettleError, UnconsumedProof, VerifiedProof, VerifyError},
    policy::{NonceMode, Policy, TimeSource},
    presentation::{Context, Presentation},
    refusal::Refusal,
    rejection::Rejection,
};
