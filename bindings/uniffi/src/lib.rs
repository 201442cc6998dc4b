//! What Swift and Kotlin share: the facade as objects, records and enums of UniFFI. It translates and decides nothing.
//!
//! The code that UniFFI generates from this crate is the public API of both languages for keys, proofs, verdicts, explanations
//! and flows, documentation included; clients, stores and HTTP are written in the languages themselves. Steps come out as one
//! enumeration and answers go in as another: nothing here calls back into the host, waits or takes long.
//!
//! Numbers are signed, because Java has no others. `now` is in whole seconds since 1970, and the system's clock without it.

// Records cross the boundary as values, and an error is one of them.
#![allow(clippy::result_large_err)]

uniffi::setup_scaffolding!("keybound");

mod error;
mod explain;
mod files;
mod flow;
mod intent;
mod key;
mod operation;
mod options;
mod outcome;
mod plain;
mod proof;
mod replay;
mod session;
mod step;
mod sweep;
mod verify;

pub use error::{Fault, Header, KeyboundError, Refusal};
pub use explain::{
    Advice, ChallengeAdvice, CheckOutcome, CheckResult, Explanation, RefusedResponse, explain_response, reasons,
};
pub use files::{
    FileFolder, FileLock, FiledKey, FiledMark, FiledValue, SavingLock, is_sweep_due, lock_pause, lock_timeout,
    private_file, private_folder, replace_private_file, saving_lock, stored_file_name, try_lock_file,
};
pub use flow::{CoreClient, CoreFlow};
pub use intent::{Intent, request_detail};
pub use key::{Key, Signature, SignatureEncoding, thumbprint};
pub use operation::{CallBody, CallRequest, CoreOperation, ExchangeRequest, HeldToken, SessionRequest, SessionStart};
pub use options::{ClientOptions, Credentials, NonceKey, NonceOptions, Preset, SecurityLevel, VerifierOptions};
pub use outcome::{Answer, Authorization, Demand, DevicePrompt, IssuedToken, Outcome};
pub use proof::{NonceCache, ServerRole, UnsignedProof, prepare, proof};
pub use replay::{Insertion, MemoryReplayStore, ReplayEntry};
pub use session::{DeviceLogin, Discovered, Session, SessionInfo};
pub use step::{
    CreatedKey, HttpBody, HttpRequest, HttpResponse, KeyPurpose, Protection, Reply, SigningRequest, Step, StoredValue,
};
pub use sweep::{Sweep, Swept, SweptSlot};
pub use verify::{PendingProof, PresentedProof, VerifiedProof, Verifier};

/// The provider of this build.
#[cfg(feature = "aws-lc")]
pub(crate) const CRYPTO: keybound::Crypto = keybound_aws_lc::AWS_LC;

/// The provider of this build.
#[cfg(all(feature = "rustcrypto", not(feature = "aws-lc")))]
pub(crate) const CRYPTO: keybound::Crypto = keybound::RUSTCRYPTO;

#[cfg(not(any(feature = "aws-lc", feature = "rustcrypto")))]
compile_error!("keybound-uniffi needs a crypto provider: enable the feature `rustcrypto` or `aws-lc`");
