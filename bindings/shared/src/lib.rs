//! One facade over `keybound` for other languages: owned, `Send + Sync`, plain types, generics erased.
//!
//! The core decides, bindings translate: each of them wraps what is here and adds nothing about the protocol. Configuration
//! comes in as JSON objects with `snake_case` members, of which an unknown one is an error. What happens often (a proof, a
//! verdict) has plain arguments.
//!
//! **Byte strings.** Where JSON carries bytes (field values, bodies, digests, signatures), it carries a string whose characters
//! U+0000 to U+00FF are the bytes. Times are whole seconds since 1970.
//!
//! **Tables.** What Python, Node and WASM reach is written once, in `table.rs`, as macros that each binding expands in its own way.
//!
//! **Second use.** What can be used once (a pending proof, a step) answers `already_used` afterwards.
//!
//! ```
//! use keybound::RUSTCRYPTO;
//! use keybound_ffi::{Key, MemoryStore, Presented, ProofRequest, Verifier, proof};
//!
//! let now = 1_700_000_000;
//! let key = Key::generate("ES256", &RUSTCRYPTO)?;
//! let request = ProofRequest { method: "GET", url: "https://api.example.com/a", access_token: Some("t"), nonce: None };
//! let made = proof(&request, &key, &RUSTCRYPTO, now)?;
//!
//! let store = MemoryStore::new(100_000, "{}", &RUSTCRYPTO, now - 1000)?;
//! let verifier = Verifier::new("{}", &RUSTCRYPTO)?;
//! let bound_to = key.thumbprint();
//! let presented = Presented {
//!     method: "GET",
//!     url: "https://api.example.com/a",
//!     proofs: &[made.as_bytes()],
//!     access_token: Some("t"),
//!     bound_to: Some(&bound_to),
//!     expected_nonce: None,
//!     epoch: None,
//! };
//! assert_eq!(verifier.verify(&presented, &store, now)?.thumbprint, bound_to);
//! assert_eq!(verifier.verify(&presented, &store, now).unwrap_err().reason, "replayed");
//! # Ok::<(), keybound_ffi::Error>(())
//! ```

#![forbid(unsafe_code)]

#[cfg(feature = "servers")]
mod admission;
#[cfg(feature = "servers")]
mod audit;
#[cfg(feature = "servers")]
mod authorization;
#[cfg(feature = "client")]
mod client;
#[cfg(feature = "servers")]
mod cors;
mod error;
#[cfg(feature = "files")]
mod file_store;
mod files;
#[cfg(any(feature = "client", feature = "servers"))]
mod flow;
#[cfg(feature = "servers")]
mod guards;
#[cfg(feature = "servers")]
mod intent;
#[cfg(feature = "servers")]
mod issuers;
mod javascript;
mod key;
pub mod number;
mod plain;
mod presented;
mod proof;
mod redis;
mod refused;
mod replay;
#[cfg(feature = "servers")]
mod resource;
#[cfg(feature = "client")]
mod sweep;
mod table;
#[cfg(feature = "servers")]
mod token;
mod verify;

#[cfg(feature = "servers")]
pub use admission::{Incoming, OwnedIncoming, Principal, Target, field_lines};
#[cfg(feature = "servers")]
pub use authorization::AuthorizationServer;
#[cfg(feature = "client")]
pub use client::{Client, GivenCredentials, Handles, SharedHandles, session_info, session_member};
pub use error::{Error, Fault, Kind, Own, reasons};
#[cfg(feature = "files")]
pub use file_store::{
    FileLock, FileStore, FoundValue, UnusableKey, private_file, private_folder, replace_private_file,
};
pub use files::{
    FolderSweep, SAVE_LEASE, file_content, file_lock, file_name, file_place, file_rules, file_version, is_file_spoiled,
    is_sweep_due, lock_pause, text_of_file_name,
};
#[cfg(feature = "client")]
pub use flow::Device;
#[cfg(any(feature = "client", feature = "servers"))]
pub use flow::{Came, Flow, Handle, Reply, Seen, Step};
#[cfg(feature = "servers")]
pub use intent::{Intent, request_detail};
#[cfg(feature = "servers")]
pub use issuers::issuer_metadata_places;
pub use key::{Key, public_key, thumbprint};
pub use plain::{algorithm, algorithms, byte_string, bytes as from_byte_string, parse_thumbprint};
pub use presented::{OwnedPresented, Presented, byte_strings};
pub use proof::{NonceCache, ProofRequest, Unsigned, prepare, proof};
pub use redis::{Entries, RedisReplay, RedisTurn, redis_limits, redis_needs_tls};
pub use refused::explain_response;
pub use replay::{Entry, MemoryStore};
#[cfg(feature = "servers")]
pub use resource::{PublicPaths, ResourceServer, public_paths};
#[cfg(feature = "client")]
pub use sweep::Sweep;
#[cfg(feature = "servers")]
pub use token::access_token;
pub use verify::{Pending, Refusal, Verified, Verifier};

#[cfg(feature = "client")]
pub use keybound::oauth::{Discovered, Session};
pub use keybound::{Crypto, Spelling};
