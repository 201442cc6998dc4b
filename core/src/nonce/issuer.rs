//! The server's nonces: issued and checked with a key alone, without remembering any.
//!
//! ```
//! use keybound::crypto::Crypto;
//! use keybound::nonce::Role::ResourceServer;
//! use keybound::nonce::issuer::{NonceIssuer, NonceKey, NonceKeys, NonceVerdict};
//! use keybound::replay::StoreEpoch;
//! use keybound::{Thumbprint, UnixTime};
//!
//! fn example(crypto: &Crypto, key: &Thumbprint, epoch: StoreEpoch) -> Result<(), Box<dyn std::error::Error>> {
//!     let keys = NonceKeys::new(NonceKey::generate(1, crypto.random)?);
//!     let issuer = NonceIssuer::new(crypto.mac, keys, "https://api.example.com");
//!
//!     let now = UnixTime::from_secs(1_700_000_000);
//!     let nonce = issuer.issue(ResourceServer, None, epoch, now)?;
//!     assert_eq!(nonce.as_str().len(), 40);
//!     // A minute later the proof that carries it arrives.
//!     match issuer.check(nonce.as_str(), ResourceServer, key, epoch, now.saturating_add(60)) {
//!         NonceVerdict::Valid(valid) if valid.renew => { /* answer with the next nonce */ }
//!         NonceVerdict::Valid(_) => {}
//!         NonceVerdict::Stale | NonceVerdict::Unknown => { /* challenge: use_dpop_nonce with a new nonce */ }
//!     }
//!     Ok(())
//! }
//! ```

use alloc::boxed::Box;
use core::fmt;

use subtle::ConstantTimeEq;

use super::keys::Ring;
pub use super::keys::{NonceKey, NonceKeyError, NonceKeys};
use super::{Nonce, Role};
use crate::base64url;
use crate::crypto::Mac;
use crate::jose::thumbprint::Thumbprint;
use crate::replay::StoreEpoch;
use crate::time::UnixTime;

/// The version of the format, first byte of every nonce.
const VERSION: u8 = 1;
/// Names what the MAC is for, so that a key used elsewhere by mistake makes no nonces.
const DOMAIN: &[u8] = b"keybound DPoP nonce";
/// Version, key id, step, epoch and tag.
const LEN: usize = 1 + 1 + 4 + 8 + TAG_LEN;
const TAG_LEN: usize = 16;
/// How many characters a nonce has.
pub(crate) const ISSUED_LEN: usize = base64url::encoded_len(LEN);
/// How many fields the MAC covers.
const FIELDS: usize = 9;

/// Issues nonces and recognises them again (RFC 9449 sections 8 and 9), without keeping a list.
///
/// A nonce is 40 base64url characters: version (1 byte), key id (1), time step (4), epoch (8) and the first 128
/// bits of an HMAC-SHA-256 over these, the [`NonceWindow`], the [`Role`], the namespace and, if bound, the
/// thumbprint of the client's key, each preceded by its length. Any node with the same keys, namespace, window
/// and binding accepts it; nobody else can make one.
///
/// The namespace names the service: nonces of one are worthless in another that shares its keys.
///
/// The epoch is that of the replay store the nonces are used with, and names one continuous life of it: it changes whenever the
/// store may have forgotten something. A proof with a nonce of the store's present epoch was made after that. The MAC covers the
/// epoch, so that a client cannot choose it. Without a store one number serves for ever.
///
/// *Security.* A nonce is not used up: it bounds the age of a proof by the server's clock, and the replay store
/// still has to see every proof. Who learns the key can make proofs ahead of time.
pub struct NonceIssuer {
    mac: &'static dyn Mac,
    keys: Ring,
    namespace: Box<str>,
    window: NonceWindow,
    bound: bool,
}

/// How long the time steps are, and with them how long a nonce is accepted.
///
/// A nonce names the step it was issued in. It is accepted in that step, in the one after it and, for nodes
/// whose clocks are behind, in the one before it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum NonceWindow {
    /// Steps of 30 s: a nonce is accepted for at least 30 s and for less than 60 s, and the clocks of nodes may
    /// differ by up to 30 s.
    #[default]
    Standard,
    /// Steps of 5 s: accepted for at least 5 s and for less than 10 s, the clocks may differ by up to 5 s. For
    /// the time in which the replay store is out of reach, where it bounds what a replay could gain.
    Short,
}

impl NonceWindow {
    /// The length of one step in seconds.
    pub const fn step_secs(self) -> u32 {
        match self {
            Self::Standard => 30,
            Self::Short => 5,
        }
    }

    /// The step that `now` lies in. Times before 1970 lie in the first one; times after the last one, the year
    /// 6053 or later, in none.
    fn step_at(self, now: UnixTime) -> Option<u32> {
        let step = now.secs().max(0).checked_div(i64::from(self.step_secs()))?;
        u32::try_from(step).ok()
    }

    fn start_of(self, step: u32) -> UnixTime {
        UnixTime::from_secs(i64::from(step).saturating_mul(i64::from(self.step_secs())))
    }

    /// The last second in which a nonce of `step` is accepted: that of the step after it.
    fn last_second_of(self, step: u32) -> UnixTime {
        let last_step = step.saturating_add(1);
        self.start_of(last_step).saturating_add(u64::from(self.step_secs())).saturating_sub(1)
    }
}

/// What a nonce that came back says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NonceVerdict {
    /// Issued by this service, for this role (and key), and still within its window.
    Valid(ValidNonce),
    /// Issued by this service, but outside its window: the client was away for a while. Answer with
    /// `use_dpop_nonce` and a new one (RFC 9449 section 8).
    Stale,
    /// Not a nonce of this service, or one for another role, namespace, window, client's key or a nonce key that
    /// has been rotated out. The answer is the same as for `Stale`; which of these it is stays untold.
    Unknown,
}

/// What is known about the time of a proof from its valid nonce.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ValidNonce {
    /// The start of the step the nonce was issued in; the proof was made then or later, by the issuing node's
    /// clock. It lies ahead of `now` if that clock is ahead of this one.
    pub issued_at: UnixTime,
    /// The last second in which this nonce is accepted, the whole window counted. A replay store that goes by
    /// nonces keeps the proof up to and including it.
    pub accepted_until: UnixTime,
    /// The epoch the nonce was issued in. Equal to the replay store's present epoch, it shows that the proof was
    /// made after the store began to remember.
    pub epoch: StoreEpoch,
    /// Whether to hand out the next nonce with the successful answer (RFC 9449 section 8.2).
    ///
    /// True when this one is of an earlier step, an earlier epoch or not of the current key: a client that takes
    /// what it is given and calls at least once per step is then never challenged again.
    pub renew: bool,
}

/// Why no nonce was issued.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum IssueError {
    /// Nonces of this issuer are bound to a key, and no thumbprint was given. The caller's mistake.
    ThumbprintMissing,
    /// The clock reads a year beyond those that a nonce can express (6053 for the standard window).
    ClockOutOfRange,
}

impl NonceIssuer {
    /// An issuer for the service called `namespace`, for example its own origin.
    ///
    /// `mac` is [`Crypto::mac`](crate::Crypto::mac). Nodes that answer for the same service need the same
    /// configured keys and the same `namespace`; one process alone may generate its key at start.
    pub fn new(mac: &'static dyn Mac, keys: NonceKeys, namespace: &str) -> Self {
        Self { mac, keys: Ring::new(keys), namespace: namespace.into(), window: NonceWindow::Standard, bound: false }
    }

    /// Binds each nonce to the key it is issued for: it is worthless in a proof made with another key.
    ///
    /// A request without a readable proof can then not be given a nonce.
    #[must_use]
    pub fn bound_to_thumbprint(mut self) -> Self {
        self.bound = true;
        self
    }

    /// Sets how long nonces are accepted. Nonces of another window are unknown here.
    #[must_use]
    pub fn with_window(mut self, window: NonceWindow) -> Self {
        self.window = window;
        self
    }

    /// Issues nonces under `new` from now on and still accepts those of the key before it, in a running server too.
    ///
    /// # Errors
    /// [`NonceKeyError`] as for [`NonceKeys::rotate`]; nothing has changed then.
    #[cfg(feature = "std")]
    pub fn rotate(&self, new: NonceKey) -> Result<(), NonceKeyError> {
        self.keys.rotate(new)
    }

    /// Issues nonces under `new` from now on and still accepts those of the key before it. Without `std` there is no lock that
    /// would let a running server do this.
    ///
    /// # Errors
    /// [`NonceKeyError`] as for [`NonceKeys::rotate`]; nothing has changed then.
    #[cfg(not(feature = "std"))]
    pub fn rotate(&mut self, new: NonceKey) -> Result<(), NonceKeyError> {
        self.keys.rotate(new)
    }

    /// The nonce to hand out at `now`, for servers of `role`, in this life of the replay store.
    ///
    /// `thumbprint` is that of the key in the request's proof; it matters only to an issuer
    /// [bound to thumbprints](Self::bound_to_thumbprint). Within one step the answer is always the same.
    /// A clock before 1970 counts as 1970.
    ///
    /// # Errors
    /// [`IssueError::ThumbprintMissing`] if nonces are bound and `thumbprint` is `None`;
    /// [`IssueError::ClockOutOfRange`] if `now` lies beyond the last step.
    pub fn issue(
        &self,
        role: Role,
        thumbprint: Option<&Thumbprint>,
        epoch: StoreEpoch,
        now: UnixTime,
    ) -> Result<Nonce, IssueError> {
        if self.bound && thumbprint.is_none() {
            return Err(IssueError::ThumbprintMissing);
        }
        let step = self.window.step_at(now).ok_or(IssueError::ClockOutOfRange)?.to_be_bytes();
        let epoch = epoch.to_u64().to_be_bytes();
        let (key_id, tag) = self.keys.read(|keys| {
            let key = keys.current();
            (key.id(), self.tag(key, step, epoch, role, thumbprint))
        });
        let content = [VERSION, key_id].into_iter().chain(step).chain(epoch).chain(tag);
        let mut bytes = [0; LEN];
        for (place, byte) in bytes.iter_mut().zip(content) {
            *place = byte;
        }
        Ok(Nonce(base64url::encode(&bytes).into_boxed_str()))
    }

    /// Judges the `nonce` claim of a proof whose signature has been verified and whose key has `thumbprint`.
    ///
    /// `epoch` is the store's life as far as it is known, and decides about [`renew`](ValidNonce::renew) alone: whether the epoch in
    /// a nonce vouches for a proof is the replay store's to say.
    ///
    /// Anything may be passed as `nonce`; what has not 40 characters is refused before any other work. Nothing is
    /// allocated.
    ///
    /// *Security.* The tag is compared in constant time. [`NonceVerdict::Stale`] is said of authentic nonces only.
    pub fn check(
        &self,
        nonce: &str,
        role: Role,
        thumbprint: &Thumbprint,
        epoch: StoreEpoch,
        now: UnixTime,
    ) -> NonceVerdict {
        let present = epoch;
        let mut bytes = [0; LEN];
        if base64url::decode_exact(nonce.as_bytes(), &mut bytes).is_err() {
            return NonceVerdict::Unknown;
        }
        let [version, key_id, s0, s1, s2, s3, e0, e1, e2, e3, e4, e5, e6, e7, tag @ ..] = bytes;
        let (step, epoch) = ([s0, s1, s2, s3], [e0, e1, e2, e3, e4, e5, e6, e7]);
        let known = self.keys.read(|keys| {
            let key = keys.find(key_id).filter(|_| version == VERSION)?;
            Some((self.tag(key, step, epoch, role, Some(thumbprint)), key_id == keys.current().id()))
        });
        let Some((expected, of_current_key)) = known else { return NonceVerdict::Unknown };
        if !bool::from(expected.ct_eq(&tag)) {
            return NonceVerdict::Unknown;
        }
        let (step, epoch) = (u32::from_be_bytes(step), StoreEpoch::from_u64(u64::from_be_bytes(epoch)));
        match self.window.step_at(now) {
            Some(current) if step.abs_diff(current) <= 1 => NonceVerdict::Valid(ValidNonce {
                issued_at: self.window.start_of(step),
                accepted_until: self.window.last_second_of(step),
                epoch,
                renew: step < current || epoch != present || !of_current_key,
            }),
            _ => NonceVerdict::Stale,
        }
    }

    /// The first 128 bits of the MAC; a shortened HMAC-SHA-256 is as good as its length (RFC 2104 section 5).
    fn tag(
        &self,
        key: &NonceKey,
        step: [u8; 4],
        epoch: [u8; 8],
        role: Role,
        thumbprint: Option<&Thumbprint>,
    ) -> [u8; TAG_LEN] {
        let role = match role {
            Role::AuthorizationServer => 1,
            Role::ResourceServer => 2,
        };
        let step_secs = self.window.step_secs().to_be_bytes();
        let bound_to: &[u8] = match thumbprint {
            Some(thumbprint) if self.bound => thumbprint.as_bytes(),
            _ => &[],
        };
        let fields: [&[u8]; FIELDS] =
            [DOMAIN, &[VERSION], &[key.id()], &step, &epoch, &step_secs, &[role], self.namespace.as_bytes(), bound_to];
        let lengths = fields.map(|field| u64::try_from(field.len()).unwrap_or(u64::MAX).to_be_bytes());
        let mut parts: [[&[u8]; 2]; FIELDS] = [[&[]; 2]; FIELDS];
        for (part, (length, field)) in parts.iter_mut().zip(lengths.iter().zip(fields)) {
            *part = [length, field];
        }
        let [tag @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] =
            self.mac.hmac_sha256(key.secret(), parts.as_flattened());
        tag
    }
}

impl fmt::Debug for NonceIssuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NonceIssuer")
            .field("keys", &self.keys)
            .field("namespace", &self.namespace)
            .field("window", &self.window)
            .field("bound", &self.bound)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for IssueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ThumbprintMissing => "nonces are bound to a key here, and no thumbprint was given",
            Self::ClockOutOfRange => "the clock is beyond the time that a nonce can express",
        })
    }
}

impl core::error::Error for IssueError {}
debug_as_text!(IssueError);

#[cfg(test)]
#[cfg(feature = "rustcrypto")]
mod tests;
