//! Keys that never leave an HSM: proofs signed through PKCS #11.
//!
//! A pair is made in the token, is sensitive and not extractable, and carries its thumbprint as `CKA_ID`. [`Pkcs11Keys`] is a host of
//! keys: give it to a client beside a place for sessions, or sign proofs with a [`TokenKey`] itself.
//!
//! ```toml
//! [dependencies]
//! keybound = "0.1"
//! keybound-pkcs11 = "0.1"
//! ```
//!
//! ```no_run
//! use keybound::oauth::step::KeyOwner;
//! use keybound::{AlgorithmSet, ProofBuilder, RUSTCRYPTO, UnixTime};
//! use keybound_pkcs11::{PinSource, Pkcs11Keys, Settings};
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let pin = PinSource::environment("KEYBOUND_PIN");
//!     let keys = Pkcs11Keys::open(Settings::new("/usr/lib/softhsm/libsofthsm2.so", "keybound", pin))?;
//!     let key = keys.create(AlgorithmSet::FAPI2, KeyOwner::Host)?;
//!     let proof = ProofBuilder::new("GET", "https://api.example.com/items").sign(&RUSTCRYPTO, &*key, UnixTime::now())?;
//!     println!("DPoP: {}", proof.as_str());
//!     Ok(())
//! }
//! ```
//!
//! # What holds
//! - The PIN is given to one token only, whose label and serial number are compared before every login. A PIN that the token refused
//!   is not tried again until its source changes, by any process of this user. The last attempts are left to a person.
//! - When a token goes away, every use fails with the cause, and never as a key that is gone. When it comes back, the next use logs in
//!   and finds the keys again.
//! - The first signature after each connection is verified.
//! - A module is finalised only if this crate initialised it, and after all calls have ended. `C_Logout` is never called: it would log
//!   out every thread of the process.
//! - A process forked from one that uses a token opens the keys anew.

/// The code in the guide.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/hsm.md")]
struct Guide;

mod error;
mod find;
mod generate;
mod keys;
mod marker;
mod module;
mod pin;
mod public;
mod remembered;
mod sessions;
mod settings;
mod signer;
mod token;

pub use error::{Error, Failure};
pub use keys::{ListedKey, Pkcs11Keys};
pub use pin::PinSource;
pub use settings::Settings;
pub use signer::TokenKey;
