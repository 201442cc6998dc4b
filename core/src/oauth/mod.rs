//! The OAuth 2.1 client: flows that say what they need from the host, step by step.
//!
//! A [`Client`] finds the authorization server of a resource, registers, logs in, and sends requests with the
//! [`Session`] that comes of it. Each flow is a [`Step`]: either done, or a request to the host (send this, sign this, store
//! this) whose answer is given to `resume`. Nothing here does IO, so the same flows run on threads, on any executor, in a
//! browser and on a phone.
//!
//! # A driver that blocks
//!
//! ```
//! # #[cfg(feature = "std")] {
//! use keybound::UnixTime;
//! use keybound::oauth::{FlowError, Step};
//! # use keybound::oauth::step::*;
//! # use keybound::http::message::{Request, Response};
//! # use keybound::key::soft::SoftKey;
//! # type Said<T> = Result<T, HostError>;
//! # struct Host;
//! # impl Host {
//! #     fn create_key(&self, _: keybound::AlgorithmSet) -> Said<CreatedKey> { todo!() }
//! #     fn delete_key(&self, _: keybound::Thumbprint) -> Said<()> { todo!() }
//! #     fn key(&self, _: keybound::Thumbprint) -> Result<SoftKey, KeyFault> { todo!() }
//! #     fn send(&self, _: &Request) -> Result<Response, FetchFailed> { todo!() }
//! #     fn lock(&self, _: &str) -> Said<()> { todo!() }
//! #     fn unlock(&self, _: &str) -> Said<()> { todo!() }
//! #     fn load(&self, _: &Slot) -> Said<Option<Stored>> { todo!() }
//! #     fn save(&self, _: &Slot, _: Option<u64>, _: u64, _: Option<&[u8]>) -> Said<Saved> { todo!() }
//! # }
//!
//! fn run<T>(host: &Host, mut step: Step<T>) -> Result<T, FlowError> {
//!     let now = UnixTime::now;
//!     loop {
//!         step = match step {
//!             Step::Done(result) => return Ok(result),
//!             Step::CreateKey(step) => { let key = host.create_key(step.algorithms()); step.resume(key, now())? }
//!             Step::DeleteKey(step) => { let gone = host.delete_key(step.thumbprint()); step.resume(gone, now())? }
//!             Step::Sign(step) => match host.key(step.thumbprint()) {
//!                 Ok(key) => step.resume_with(&key, now())?,
//!                 Err(fault) => step.resume(Err(fault), now())?,
//!             },
//!             Step::Fetch(step) => { let response = host.send(step.request()); step.resume(response, now())? }
//!             Step::Lock(step) => { let held = host.lock(step.lock()); step.resume(held, now())? }
//!             Step::Unlock(step) => { let free = host.unlock(step.lock()); step.resume(free, now())? }
//!             Step::Load(step) => { let stored = host.load(step.slot()); step.resume(stored, now())? }
//!             Step::Save(step) => {
//!                 let saved = host.save(step.slot(), step.expected(), step.version(), step.value());
//!                 step.resume(saved, now())?
//!             }
//!             // What servers ask for.
//!             Step::Share(_) | Step::Ask(_) | Step::Insert(_) => return Err(FlowError::Interrupted),
//!             Step::Wait(step) => {
//!                 std::thread::sleep(std::time::Duration::from_millis(step.milliseconds()));
//!                 step.resume((), now())?
//!             }
//!         }
//!     }
//! }
//! # }
//! ```
//!
//! # A driver that awaits
//!
//! The same with `await`: no callback is called from inside, so no executor is prescribed.
//!
//! ```
//! # #[cfg(feature = "std")] {
//! use keybound::UnixTime;
//! use keybound::oauth::{FlowError, Step};
//! # use keybound::oauth::step::*;
//! # use keybound::http::message::{Request, Response};
//! # use keybound::jose::signature::Signature;
//! # use keybound::key::SigningInput;
//! # type Said<T> = Result<T, HostError>;
//! # struct Host;
//! # impl Host {
//! #     async fn create_key(&self, _: keybound::AlgorithmSet) -> Said<CreatedKey> { todo!() }
//! #     async fn delete_key(&self, _: keybound::Thumbprint) -> Said<()> { todo!() }
//! #     async fn sign(&self, _: keybound::Thumbprint, _: SigningInput<'_>) -> Result<Signature, KeyFault> { todo!() }
//! #     async fn send(&self, _: &Request) -> Result<Response, FetchFailed> { todo!() }
//! #     async fn lock(&self, _: &str) -> Said<()> { todo!() }
//! #     async fn unlock(&self, _: &str) -> Said<()> { todo!() }
//! #     async fn load(&self, _: &Slot) -> Said<Option<Stored>> { todo!() }
//! #     async fn save(&self, _: &Slot, _: Option<u64>, _: u64, _: Option<&[u8]>) -> Said<Saved> { todo!() }
//! #     async fn sleep(&self, _: u64) {}
//! # }
//!
//! async fn run<T>(host: &Host, mut step: Step<T>) -> Result<T, FlowError> {
//!     let now = UnixTime::now;
//!     loop {
//!         step = match step {
//!             Step::Done(result) => return Ok(result),
//!             Step::CreateKey(step) => { let key = host.create_key(step.algorithms()).await; step.resume(key, now())? }
//!             Step::DeleteKey(step) => { let gone = host.delete_key(step.thumbprint()).await; step.resume(gone, now())? }
//!             Step::Sign(step) => { let bytes = host.sign(step.thumbprint(), step.input()).await; step.resume(bytes, now())? }
//!             Step::Fetch(step) => { let response = host.send(step.request()).await; step.resume(response, now())? }
//!             Step::Lock(step) => { let held = host.lock(step.lock()).await; step.resume(held, now())? }
//!             Step::Unlock(step) => { let free = host.unlock(step.lock()).await; step.resume(free, now())? }
//!             Step::Load(step) => { let stored = host.load(step.slot()).await; step.resume(stored, now())? }
//!             Step::Save(step) => {
//!                 let saved = host.save(step.slot(), step.expected(), step.version(), step.value()).await;
//!                 step.resume(saved, now())?
//!             }
//!             Step::Wait(step) => { host.sleep(step.milliseconds()).await; step.resume((), now())? }
//!             // What servers ask for.
//!             Step::Share(_) | Step::Ask(_) | Step::Insert(_) => return Err(FlowError::Interrupted),
//!         }
//!     }
//! }
//! # }
//! ```

#[cfg(feature = "dpop")]
mod adopt;
mod audit;
#[cfg_attr(not(feature = "dpop"), path = "unbound.rs")]
mod binding;
mod call;
mod client;
mod clock;
mod credentials;
pub mod details;
mod device;
mod discovery;
mod end;
mod error;
mod failure;
pub mod files;
mod grant;
#[cfg(feature = "std")]
pub mod host;
mod id_token;
mod kept;
mod login;
mod members;
pub mod metadata;
mod operation;
mod pkce;
mod post;
mod recent;
#[cfg(feature = "dpop")]
pub mod refused;
mod registration;
#[cfg(feature = "dpop")]
mod rekey;
mod renew;
mod request;
mod secret;
mod session;
mod state;
mod sweep;
mod switches;
mod token;
#[cfg(feature = "dpop")]
mod turns;

use crate::flow;
pub use crate::flow::step;
#[cfg(feature = "dpop")]
pub use adopt::HeldToken;
pub use call::{Answer, Demand};
pub use client::{Client, ClientBuilder};
pub use credentials::Credentials;
pub use device::DeviceAuthorization;
pub use discovery::Discovered;
#[cfg(feature = "dpop")]
pub(crate) use discovery::find_server;
#[cfg(feature = "dpop")]
pub(crate) use end::ask_about;
pub use error::{
    AnswerDefect, Denial, DiscoveryDefect, Downgrade, Endpoint, FlowError, RedirectDefect, StoredDefect, shown,
};
pub use failure::DiscoveryFailure;
pub use grant::{IssuedToken, TokenExchange};
pub use id_token::IdTokenDefect;
pub use login::Authorization;
pub use members::Subject;
pub use operation::{Operation, Outcome};
pub(crate) use post::send;
pub use request::SessionRequest;
pub use secret::Secret;
pub use session::Session;
pub use step::Step;
pub use sweep::{Sweep, Swept};
