//! Sessions and software keys in a folder that its owner alone can read: the file store of all languages.
//!
//! What is decided is in [`keybound::oauth::files`]: names, contents, locks, and what a sweep deletes. This crate reads, writes and
//! locks. All calls block. The records of key rings are in folders beside those: [`FileKeyRing`].
//!
//! It is for drivers of another HTTP library and for bindings: with reqwest take `keybound_reqwest::Files`, which is this store with the
//! portable crypto provider and the present time.
//!
//! ```toml
//! [dependencies]
//! keybound = "0.1"
//! keybound-files = "0.1"
//! ```
//!
//! ```no_run
//! use keybound::key::KeyProtection;
//! use keybound::{AlgorithmSet, RUSTCRYPTO, UnixTime};
//! use keybound_files::Files;
//!
//! fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
//!     let files = Files::open("sessions", &RUSTCRYPTO, UnixTime::now())?;
//!     let key = files.create_key(AlgorithmSet::ALL, &[KeyProtection::Software], UnixTime::now())?;
//!     println!("{key:?}");
//!     files.save("session/work", None, 1, Some(b"{}"))?;
//!     assert_eq!(files.sessions()?, ["work"]);
//!     Ok(())
//! }
//! ```

mod error;
mod folder;
mod host;
mod keys;
mod lock;
mod ring;
mod store;
mod sweep;

pub use error::{NoKey, Unfit};
pub use folder::{make_private, read, replace, try_lock};
pub use host::describe;
pub use keys::generate;
pub use lock::{Lock, LockTimeout};
pub use ring::{FileKeyRing, UnreadableRing};
pub use store::Files;
pub use sweep::{Made, StoredFile};
