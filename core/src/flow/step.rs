//! What the host has to do next, as a value whose answer is the only legal next call.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use zeroize::Zeroize;

use super::{Effect, Flow, Reply};
use crate::UnixTime;
use crate::http::message::{Request, Response};
use crate::jose::algorithm::{Algorithm, AlgorithmSet};
use crate::jose::jwk::PublicJwk;
use crate::jose::signature::Signature;
use crate::jose::thumbprint::Thumbprint;
use crate::key::{KeyProtection, SigningInput};
use crate::oauth::FlowError;
#[cfg(feature = "dpop")]
use crate::replay::{Inserted, ReplayEntry};

mod owner;
mod server;

pub use owner::KeyOwner;
pub use server::Question;
pub(crate) use server::{Asking, Sharing};
#[cfg(feature = "dpop")]
pub(crate) use server::{SHARED_TIMEOUT, Task};

/// The host's own error, handed through untouched.
pub type HostError = Box<dyn core::error::Error + Send + Sync>;

/// A flow that is finished, or what it needs from the host to go on.
///
/// Each variant says what is wanted and takes the answer by `resume`, together with the time. Dropping a step abandons
/// its flow; the host then gives back the locks that the flow holds.
#[must_use = "a flow goes on only when its step is resumed"]
pub enum Step<T> {
    /// The flow is finished.
    Done(T),
    /// Make a new key that signs proofs.
    CreateKey(CreateKey<T>),
    /// Delete a key whose intent or session has ended.
    DeleteKey(DeleteKey<T>),
    /// Sign with a key.
    Sign(Sign<T>),
    /// Send a request.
    Fetch(Fetch<T>),
    /// Take a lock that holds across tasks and processes.
    Lock(Lock<T>),
    /// Give a lock back.
    Unlock(Unlock<T>),
    /// Read a stored value.
    Load(Load<T>),
    /// Store, replace or delete a value, if nobody else has meanwhile.
    Save(Save<T>),
    /// Wait.
    Wait(Wait<T>),
    /// Wait for work that many flows share.
    Share(Share<T>),
    /// Ask a source of the host's own.
    Ask(Ask<T>),
    /// Insert an entry into the replay store of the host.
    #[cfg(feature = "dpop")]
    Insert(Insert<T>),
}

/// Something a host stores: `session/…`, `login/…` or `registration/…`. Each value holds secrets.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Slot(pub(crate) String);

impl Slot {
    /// The name: a kind, a slash and a text with arbitrary characters of 1 to 2,048 bytes. Encode it before it becomes the
    /// name of a file.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A stored value and the version it was stored with.
#[derive(Clone, PartialEq, Eq)]
pub struct Stored {
    /// The number that [`Save::version`] said.
    pub version: u64,
    /// The bytes.
    pub value: Vec<u8>,
}

/// What is stored is a session: tokens, verifiers of codes, clients' secrets.
impl Drop for Stored {
    fn drop(&mut self) {
        self.value.as_mut_slice().zeroize();
    }
}

impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stored(version {}, {} bytes)", self.version, self.value.len())
    }
}

/// What became of a [`Save`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Saved {
    /// The value is stored, durably.
    Stored,
    /// The stored version is another than [`Save::expected`]; nothing was changed.
    Conflict,
}

/// A key the host made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CreatedKey {
    /// Its public part.
    pub public_key: PublicJwk,
    /// What it signs with: one of [`CreateKey::algorithms`].
    pub algorithm: Algorithm,
    /// Where it lives, as the host claims.
    pub protection: KeyProtection,
    /// Who deletes it.
    pub owner: KeyOwner,
}

/// Why a host cannot use a key.
#[derive(Debug)]
pub enum KeyFault {
    /// There is no such key any more: deleted, or the device was restored.
    Missing,
    /// There is a key under its name, but it is another one.
    Changed,
    /// It is there and cannot be used now: locked, permission refused, device unreachable.
    Unreadable(HostError),
}

/// Why a request got no answer.
///
/// The core repeats what it can: a request that was not sent up to twice, one whose answer was lost only where asking twice changes
/// nothing (metadata, keys, introspection).
///
/// # Security
/// `NotSent` about a request that was sent lets the server carry it out twice, each time with a fresh proof. A host that does not know
/// says `Lost`.
#[derive(Debug)]
pub enum FetchFailed {
    /// No byte of the request left: the name was not found, the connection was refused, the TLS handshake failed. A connection that was
    /// kept open and broke is not of these: the request may have arrived.
    NotSent(HostError),
    /// Anything else: the request may have been carried out.
    Lost(HostError),
}

impl FetchFailed {
    /// The host's own error.
    pub fn into_error(self) -> HostError {
        let (Self::NotSent(error) | Self::Lost(error)) = self;
        error
    }
}

/// A host that says no more than that it failed does not know.
impl<E: Into<HostError>> From<E> for FetchFailed {
    fn from(error: E) -> Self {
        Self::Lost(error.into())
    }
}

/// What signs: the session's key, or the client's own key for `private_key_jwt`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyUse {
    /// The key that proofs are made with.
    Proof,
    /// The key the client authenticates with (RFC 7523 section 2.2).
    ClientAssertion,
}

#[derive(Clone, Debug)]
pub(crate) struct KeyWanted {
    pub(crate) algorithms: AlgorithmSet,
    pub(crate) protections: Vec<KeyProtection>,
}

#[derive(Clone)]
pub(crate) struct Signing {
    pub(crate) purpose: KeyUse,
    pub(crate) thumbprint: Thumbprint,
    pub(crate) algorithm: Algorithm,
    pub(crate) message: Vec<u8>,
    pub(crate) digest: &'static dyn crate::crypto::Digest,
}

#[derive(Clone)]
pub(crate) struct Fetching {
    pub(crate) request: Request,
    pub(crate) max_body: Option<usize>,
    pub(crate) timeout: Option<u64>,
}

#[derive(Clone)]
pub(crate) struct Saving {
    pub(crate) slot: Slot,
    pub(crate) expected: Option<u64>,
    pub(crate) version: u64,
    pub(crate) value: Option<Vec<u8>>,
}

impl Drop for Saving {
    fn drop(&mut self) {
        if let Some(value) = &mut self.value {
            value.as_mut_slice().zeroize();
        }
    }
}

impl Saving {
    /// A first version is no small number, so that whoever remembers a value that was deleted since does not take its successor
    /// for it.
    pub(crate) fn new(
        crypto: &crate::Crypto,
        now: UnixTime,
        slot: Slot,
        expected: Option<u64>,
        value: Option<Vec<u8>>,
    ) -> Result<Self, FlowError> {
        let version = match expected {
            Some(version) => version.saturating_add(1),
            None => {
                let mut random = [0; 2];
                crypto.random.fill(&mut random)?;
                now.secs().unsigned_abs().saturating_mul(1_000_000).saturating_add(u16::from_le_bytes(random).into())
            }
        };
        Ok(Self { slot, expected, version, value })
    }
}

macro_rules! steps {
    ($($(#[$doc:meta])* $(@ $feature:literal)? $name:ident($wanted:ty) -> $answer:ty;)*) => {
        $(
            $(#[$doc])*
            $(#[cfg(feature = $feature)])?
            #[must_use = "a flow goes on only when its step is resumed"]
            pub struct $name<T> { wanted: $wanted, flow: Flow<T> }

            $(#[cfg(feature = $feature)])?
            impl<T> $name<T> {
                /// Goes on with the host's answer. `now` is the host's clock.
                ///
                /// # Errors
                /// [`FlowError`] ends the flow.
                pub fn resume(self, answer: $answer, now: UnixTime) -> Result<Step<T>, FlowError> {
                    self.flow.resume(Reply::$name(answer), now)
                }
            }

            $(#[cfg(feature = $feature)])?
            impl<T> fmt::Debug for $name<T> {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str(stringify!($name))
                }
            }
        )*

        impl<T: 'static> Step<T> {
            /// The same step of a flow with another result.
            pub fn map<U: 'static>(self, change: impl FnOnce(T) -> U + Send + 'static) -> Step<U> {
                match self {
                    Self::Done(result) => Step::Done(change(result)),
                    $($(#[cfg(feature = $feature)])? Self::$name(step) => {
                        Step::$name($name { wanted: step.wanted, flow: step.flow.map(change) })
                    })*
                }
            }
        }

        impl<T> Step<T> {
            pub(crate) fn of(effect: Effect, flow: Flow<T>) -> Self {
                match effect {
                    $($(#[cfg(feature = $feature)])? Effect::$name(wanted) => Self::$name($name { wanted, flow }),)*
                }
            }

            /// What is wanted: `done`, `create_key`, `delete_key`, `sign`, `fetch`, `lock`, `unlock`, `load`, `save`, `wait`, `share`, `ask`
            /// or `insert`.
            pub const fn name(&self) -> &'static str {
                match self {
                    Self::Done(_) => "done",
                    Self::CreateKey(_) => "create_key",
                    Self::DeleteKey(_) => "delete_key",
                    Self::Sign(_) => "sign",
                    Self::Fetch(_) => "fetch",
                    Self::Lock(_) => "lock",
                    Self::Unlock(_) => "unlock",
                    Self::Load(_) => "load",
                    Self::Save(_) => "save",
                    Self::Wait(_) => "wait",
                    Self::Share(_) => "share",
                    Self::Ask(_) => "ask",
                    #[cfg(feature = "dpop")]
                    Self::Insert(_) => "insert",
                }
            }
        }
    };
}

steps! {
    /// Make a new key, keep it under its thumbprint, and tell its public part.
    CreateKey(KeyWanted) -> Result<CreatedKey, HostError>;
    /// Delete a key that is not needed any more. A key that is gone already is no error.
    DeleteKey(Thumbprint) -> Result<(), HostError>;
    /// Sign a message with one of the host's keys.
    Sign(Signing) -> Result<Signature, KeyFault>;
    /// Send a request exactly as it is and do not follow redirects.
    Fetch(Fetching) -> Result<Response, FetchFailed>;
    /// Take the lock of this name, waiting for other tasks and processes that hold it.
    Lock((String, u64)) -> Result<(), HostError>;
    /// Give the lock of this name back.
    Unlock(String) -> Result<(), HostError>;
    /// Read what is stored in a slot; `None` if nothing is.
    Load(Slot) -> Result<Option<Stored>, HostError>;
    /// Store a value durably, if the slot still has the expected version.
    Save(Saving) -> Result<Saved, HostError>;
    /// Wait this long; answer when the time has passed.
    Wait(u64) -> ();
    /// Wait until the work of this name has ended, however it ended: many flows share it and it belongs to none of them.
    ///
    /// The first who waits is given the [task](Share::take_task) that does it. Run that task beside all requests, to its end or its
    /// time-out, even if the request that brought it is given up: its client could otherwise keep everyone else from an answer.
    Share(Sharing) -> ();
    /// Ask a source of the host's own.
    Ask(Asking) -> Result<Vec<u8>, HostError>;
    /// Insert an entry into the replay store of the host, in one atomic step, and tell its answer with the epoch it happened in.
    /// A store that fails has the answer [`Insertion::Unavailable`](crate::replay::Insertion::Unavailable).
    @"dpop" Insert(ReplayEntry) -> Inserted;
}

impl<T> CreateKey<T> {
    /// The algorithms the key may be for. The first that the host can do is best.
    pub const fn algorithms(&self) -> AlgorithmSet {
        self.wanted.algorithms
    }

    /// Where the key may live.
    pub fn protections(&self) -> &[KeyProtection] {
        &self.wanted.protections
    }
}

impl<T> DeleteKey<T> {
    /// Which key.
    pub const fn thumbprint(&self) -> Thumbprint {
        self.wanted
    }
}

impl<T> Sign<T> {
    /// Which key. The host compares it with the key it finds: another one is [`KeyFault::Changed`].
    pub const fn thumbprint(&self) -> Thumbprint {
        self.wanted.thumbprint
    }

    /// What the key is for.
    pub const fn purpose(&self) -> KeyUse {
        self.wanted.purpose
    }

    /// The message, and its digest for signers that want that.
    pub fn input(&self) -> SigningInput<'_> {
        SigningInput::new(self.wanted.algorithm, &self.wanted.message, self.wanted.digest)
    }

    /// Signs with a key in this process, or one that answers at once.
    ///
    /// # Errors
    /// [`FlowError`], see [`resume`](Self::resume).
    pub fn resume_with(self, signer: &(impl crate::key::Signer + ?Sized), now: UnixTime) -> Result<Step<T>, FlowError> {
        let answer = signer.sign(&self.input()).map_err(|error| KeyFault::Unreadable(Box::new(error)));
        self.resume(answer, now)
    }
}

impl<T> Fetch<T> {
    /// The request.
    pub const fn request(&self) -> &Request {
        &self.wanted.request
    }

    /// How many bytes of the response's body the core reads: more than that is an error of the host. With 0 the body is not read at all,
    /// however long it is. `None` means that the body belongs to the caller, who may stream it; the core then looks at status and fields
    /// alone.
    pub const fn max_body(&self) -> Option<usize> {
        self.wanted.max_body
    }

    /// How long the host waits for the whole answer at most, in seconds: under a lock it is below the lease. `None` leaves it to
    /// the host.
    pub const fn timeout(&self) -> Option<u64> {
        self.wanted.timeout
    }
}

impl<T> Lock<T> {
    /// The name: arbitrary characters.
    pub fn lock(&self) -> &str {
        &self.wanted.0
    }

    /// How long to wait for it, in seconds: the holder's requests end before. A host that has waited that long answers with an error,
    /// `lock_timeout` in the project's own hosts. It does not take the lock from a holder that lives, however slow that is: two
    /// refreshes beside each other use one refresh token twice, for which servers revoke the session. Only a lock that outlives its
    /// holder (a key in Redis) needs the lease as its lifetime.
    pub const fn lease(&self) -> u64 {
        self.wanted.1
    }
}

impl<T> Unlock<T> {
    /// The name of the lock.
    pub fn lock(&self) -> &str {
        &self.wanted
    }
}

impl<T> Load<T> {
    /// What to read.
    pub const fn slot(&self) -> &Slot {
        &self.wanted
    }
}

impl<T> Save<T> {
    /// Where to store.
    pub const fn slot(&self) -> &Slot {
        &self.wanted.slot
    }

    /// The version that must be stored now; `None` if nothing may be.
    pub const fn expected(&self) -> Option<u64> {
        self.wanted.expected
    }

    /// The version to store with the value: at most 2^53, greater than the expected one.
    pub const fn version(&self) -> u64 {
        self.wanted.version
    }

    /// The value to store, a secret; `None` to delete what is there.
    pub fn value(&self) -> Option<&[u8]> {
        self.wanted.value.as_deref()
    }
}

impl<T> Wait<T> {
    /// How long, in milliseconds: parts of a second between attempts at one request, whole seconds between questions of a device login.
    pub const fn milliseconds(&self) -> u64 {
        self.wanted
    }
}

impl<T> Step<T> {
    /// The result of a flow that is finished; `None` if it needs something from the host.
    pub fn finished(self) -> Option<T> {
        match self {
            Self::Done(result) => Some(result),
            _ => None,
        }
    }
}

impl<T> fmt::Debug for Step<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Step({})", self.name())
    }
}
