//! Replay protection: a proof is accepted at most once (RFC 9449 section 11.1).
//!
//! A verifier that has checked everything else of a proof turns it into a [`ReplayEntry`] and asks a store,
//! in one atomic step, whether the entry was there before. The store's answer is an [`Insertion`], and with it the
//! [`StoreEpoch`] it was given in; only [`Insertion::Fresh`] accepts the proof.
//!
//! - A store that answers at once implements [`ReplayStore`]; one behind a network [`AsyncReplayStore`].
//! - `memory` holds the store for one process (feature `std`), `redis` the protocol of one for many (feature `std`).
//! - [`contract`] is the suite of checks that every store must pass, yours included.
//!
//! ```
//! use keybound::replay::{ReplayAgreement, ReplayEntry, ReplayEntryParts, ReplayKey};
//! use keybound::{Thumbprint, UnixTime};
//!
//! let entry = ReplayEntry::from_parts(ReplayEntryParts {
//!     key: ReplayKey::from_bytes([7; 16]),
//!     thumbprint: Thumbprint::from_bytes([1; 32]),
//!     timed_at: UnixTime::from_secs(1_000),
//!     max_ahead: 10,
//!     expires_at: UnixTime::from_secs(1_060),
//!     store_margin: 60,
//!     nonce_epoch: None,
//!     agreement: ReplayAgreement::from_bytes([0; 16]),
//! });
//! assert_eq!(entry.keep_until(), UnixTime::from_secs(1_120));
//! assert_eq!(entry.lifetime(UnixTime::from_secs(1_005)), 116);
//! ```

pub mod contract;
mod entry;
mod floor;
mod insertion;
mod key;
#[cfg(feature = "std")]
pub mod memory;
#[cfg(feature = "std")]
pub mod redis;
mod store;

pub use entry::{ReplayEntry, ReplayEntryParts, StoreEpoch};
pub use floor::StoreFloor;
pub use insertion::{Inserted, Insertion};
pub use key::{ReplayAgreement, ReplayKey};
pub use store::{AsyncReplayStore, BoxFuture, Immediate, ReplayStore};
