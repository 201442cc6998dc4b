//! DPoP (RFC 9449): proofs that make a stolen OAuth access token worthless, made and judged.
//!
//! A client signs a small proof for each request with a key that never leaves it; a server accepts the token only
//! with a proof by the key that the token is bound to, once. This crate builds those proofs and judges them. It
//! does no IO, reads no clock and keeps no global state: the time is an argument, randomness and cryptography are a
//! [`Crypto`] that the application chooses, and what the host has to do is a value that the host gets.
//!
//! ```text
//!   the one contract
//!   ┌──────────────────────────────────────────────────────────────────────────────────┐
//!   │ Verifier::check ──► PendingProof ──► insert its entry into a store ──► settle    │
//!   │ A proof is accepted when settle gives a VerifiedProof, and at no time before.    │
//!   └──────────────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! # The canonical round
//!
//! ```toml
//! [dependencies]
//! keybound = "0.1"
//! ```
//!
#![cfg_attr(all(feature = "dpop", feature = "std", feature = "rustcrypto"), doc = "```")]
#![cfg_attr(not(all(feature = "dpop", feature = "std", feature = "rustcrypto")), doc = "```ignore")]
//! use keybound::key::{Signer, soft::SoftKey};
//! use keybound::replay::memory::MemoryStore;
//! use keybound::{Algorithm, Context, Policy, Presentation, ProofBuilder, RUSTCRYPTO, TargetUri, UnixTime, Verifier};
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let now = UnixTime::now();
//!     let key = SoftKey::generate(Algorithm::Es256, &RUSTCRYPTO)?;
//!     let proof = ProofBuilder::new("GET", "https://api.example.com/items?page=2")
//!         .access_token("the-token")
//!         .sign(&RUSTCRYPTO, &key, now)?;
//!
//!     let verifier = Verifier::new(Policy::default(), &RUSTCRYPTO);
//!     let store = MemoryStore::new(100_000, verifier.replay_agreement(), RUSTCRYPTO.random, now)?;
//!     // No earlier process accepted proofs. A server that restarts gives its verifier nonces instead.
//!     let store = store.danger_first_start();
//!
//!     let target = TargetUri::parse("https://api.example.com/items")?;
//!     let bound_to = key.public_key().thumbprint(RUSTCRYPTO.digest); // the token's cnf.jkt
//!     let proofs = [proof.as_str().as_bytes()];
//!     let context = Context::Resource { access_token: "the-token", bound_to };
//!     let presentation = Presentation::new("GET", &target, &proofs, context);
//!
//!     let verified = verifier.verify(&presentation, now, &store)?;
//!     assert_eq!(verified.thumbprint(), bound_to);
//!     let again = verifier.verify(&presentation, now, &store).unwrap_err();
//!     assert_eq!(again.to_string(), "the proof was used before");
//!     Ok(())
//! }
//! ```
//!
//! # Map
//!
//! | module | what is there |
//! |---|---|
//! | [`proof`] | making proofs; target URIs and where they come from |
//! | [`verify`] | judging proofs: policy, verdicts, refusals, explanations |
//! | [`replay`] | the store that makes a proof good for one use, its contract, the memory stores |
//! | [`nonce`] | server-provided nonces: the issuer and the client's cache |
//! | [`key`] | keys that sign, in this process or outside; rotation |
//! | [`jose`] | algorithms, public keys, thumbprints, signatures |
//! | [`crypto`] | the capabilities a provider offers, and the portable provider |
//! | [`flow`] | what a flow asks of its host, step by step |
//! | [`oauth`] | the OAuth 2.1 client, step by step |
//! | [`issuer`] | the keys of issuers: where they are, how long they count |
//! | [`intent`] | what a user agreed to, for one key, once |
//! | [`http`] | `WWW-Authenticate` challenges |
//! | [`server`] | protected resources and authorization servers |
//! | [`audit`] | what was decided about a request, as a record |
//! | [`guard`] | limits by address, key and client, and a breaker for the host's store |
//!
//! # Features
//!
//! `dpop`, `rustcrypto` and `std` are on by default; `ml-dsa` adds ML-DSA to the portable provider. Features add items and
//! never change what others do. Without `std` the crate needs `alloc` alone.
//!
//! # Errors
//!
//! Three kinds, never mixed: [`Rejection`], the peer is wrong; [`Misuse`], the caller is wrong; the host's own errors,
//! handed through untouched.
#![cfg_attr(not(feature = "std"), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

#[macro_use]
mod reasons;

#[cfg(all(feature = "dpop", feature = "oauth"))]
pub mod audit;
pub mod base64url;
pub mod crypto;
#[cfg_attr(not(feature = "dpop"), allow(dead_code, reason = "nothing makes keys for proofs then"))]
#[cfg(feature = "oauth")]
pub mod flow;
#[cfg(all(feature = "dpop", feature = "oauth"))]
pub mod guard;
mod hex;
pub mod http;
#[cfg(all(feature = "dpop", feature = "oauth"))]
pub mod intent;
#[cfg_attr(not(feature = "dpop"), allow(dead_code, reason = "without servers only ID tokens are read"))]
#[cfg(feature = "oauth")]
pub mod issuer;
pub mod jose;
#[cfg_attr(not(feature = "dpop"), allow(dead_code, unused_imports, reason = "without proofs only keys are read"))]
#[cfg(feature = "oauth")]
pub mod json;
#[cfg_attr(not(feature = "dpop"), allow(dead_code, unused_imports, reason = "without proofs only keys are read"))]
#[cfg(not(feature = "oauth"))]
mod json;
pub mod key;
mod level;
mod misuse;
#[cfg(feature = "dpop")]
pub mod nonce;
#[cfg_attr(not(feature = "dpop"), allow(dead_code, reason = "nothing makes keys for proofs then"))]
#[cfg(feature = "oauth")]
pub mod oauth;
#[cfg(feature = "dpop")]
pub mod proof;
#[cfg(feature = "dpop")]
pub mod replay;
#[cfg(feature = "dpop")]
pub mod server;
mod spelling;
mod time;
#[cfg(feature = "dpop")]
pub mod verify;

pub use crypto::Crypto;
#[cfg(all(feature = "std", feature = "rustcrypto"))]
pub use crypto::rustcrypto::RUSTCRYPTO;
pub use jose::algorithm::{Algorithm, AlgorithmSet};
pub use jose::thumbprint::Thumbprint;
pub use level::SecurityLevel;
pub use misuse::{Misuse, StoreDifference};
#[cfg(feature = "dpop")]
pub use proof::{Proof, build::ProofBuilder, target::TargetUri};
pub use spelling::Spelling;
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
