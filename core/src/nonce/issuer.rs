//! The server's nonces: issued and checked with a key alone, without remembering any.
//!
//! ```
//! use keybound::crypto::Crypto;
//! use keybound::nonce::Role::ResourceServer;
//! use keybound::nonce::issuer::{NonceIssuer, NonceKey, NonceKeys, NonceVerdict};
//! use keybound::{Thumbprint, UnixTime};
//!
//! fn example(crypto: &Crypto, key: &Thumbprint) -> Result<(), Box<dyn std::error::Error>> {
//!     let keys = NonceKeys::new(NonceKey::generate(1, crypto.random)?);
//!     let issuer = NonceIssuer::new(crypto.mac, keys, "https://api.example.com");
//!
//!     let now = UnixTime::from_secs(1_700_000_000);
//!     let nonce = issuer.issue(ResourceServer, None, now)?;
//!     assert_eq!(nonce.as_str().len(), 40);
//!     // A minute later the proof that carries it arrives.
//!     match issuer.check(nonce.as_str(), ResourceServer, key, now.saturating_add(60)) {
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

pub use super::keys::{NonceKey, NonceKeyError, NonceKeys};
use super::{Nonce, Role};
use crate::base64url;
use crate::crypto::Mac;
use crate::jose::thumbprint::Thumbprint;
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
/// *Security.* A nonce is not used up: it bounds the age of a proof by the server's clock, and the replay store
/// still has to see every proof. Who learns the key can make proofs ahead of time.
pub struct NonceIssuer {
    mac: &'static dyn Mac,
    keys: NonceKeys,
    namespace: Box<str>,
    window: NonceWindow,
    bound: bool,
    epoch: u64,
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
    pub epoch: u64,
    /// Whether to hand out the next nonce with the successful answer (RFC 9449 section 8.2).
    ///
    /// True when this one is of an earlier step, an earlier epoch or not of the current key: a client that takes
    /// what it is given and calls at least once per step is then never challenged again.
    pub renew: bool,
}

/// Why no nonce was issued.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
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
        Self { mac, keys, namespace: namespace.into(), window: NonceWindow::Standard, bound: false, epoch: 0 }
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

    /// Sets the epoch that nonces carry from now on.
    ///
    /// An epoch names one continuous life of the replay store that the nonces are used with. It changes whenever
    /// the store may have forgotten something: a proof with a nonce of the store's present epoch was made after
    /// that. The epoch is covered by the MAC, so that a client cannot choose it.
    #[must_use]
    pub fn with_epoch(mut self, epoch: u64) -> Self {
        self.epoch = epoch;
        self
    }

    /// Sets the epoch of an issuer in use, as [`with_epoch`](Self::with_epoch) does for a new one.
    pub fn set_epoch(&mut self, epoch: u64) {
        self.epoch = epoch;
    }

    /// Issues nonces under `new` from now on and still accepts those of the key before it.
    ///
    /// # Errors
    /// [`NonceKeyError`] as for [`NonceKeys::rotate`]; nothing has changed then.
    pub fn rotate(&mut self, new: NonceKey) -> Result<(), NonceKeyError> {
        self.keys.rotate(new)
    }

    /// The nonce to hand out at `now`, for servers of `role`.
    ///
    /// `thumbprint` is that of the key in the request's proof; it matters only to an issuer
    /// [bound to thumbprints](Self::bound_to_thumbprint). Within one step the answer is always the same.
    /// A clock before 1970 counts as 1970.
    ///
    /// # Errors
    /// [`IssueError::ThumbprintMissing`] if nonces are bound and `thumbprint` is `None`;
    /// [`IssueError::ClockOutOfRange`] if `now` lies beyond the last step.
    pub fn issue(&self, role: Role, thumbprint: Option<&Thumbprint>, now: UnixTime) -> Result<Nonce, IssueError> {
        if self.bound && thumbprint.is_none() {
            return Err(IssueError::ThumbprintMissing);
        }
        let step = self.window.step_at(now).ok_or(IssueError::ClockOutOfRange)?.to_be_bytes();
        let epoch = self.epoch.to_be_bytes();
        let key = self.keys.current();
        let tag = self.tag(key, step, epoch, role, thumbprint);
        let content = [VERSION, key.id()].into_iter().chain(step).chain(epoch).chain(tag);
        let mut bytes = [0; LEN];
        for (place, byte) in bytes.iter_mut().zip(content) {
            *place = byte;
        }
        Ok(Nonce(base64url::encode(&bytes).into_boxed_str()))
    }

    /// Judges the `nonce` claim of a proof whose signature has been verified and whose key has `thumbprint`.
    ///
    /// Anything may be passed as `nonce`; what has not 40 characters is refused before any other work. Nothing is
    /// allocated.
    ///
    /// *Security.* The tag is compared in constant time. [`NonceVerdict::Stale`] is said of authentic nonces only.
    pub fn check(&self, nonce: &str, role: Role, thumbprint: &Thumbprint, now: UnixTime) -> NonceVerdict {
        let mut bytes = [0; LEN];
        if base64url::decode_exact(nonce.as_bytes(), &mut bytes).is_err() {
            return NonceVerdict::Unknown;
        }
        let [version, key_id, s0, s1, s2, s3, e0, e1, e2, e3, e4, e5, e6, e7, tag @ ..] = bytes;
        let (step, epoch) = ([s0, s1, s2, s3], [e0, e1, e2, e3, e4, e5, e6, e7]);
        let Some(key) = self.keys.find(key_id).filter(|_| version == VERSION) else {
            return NonceVerdict::Unknown;
        };
        let expected = self.tag(key, step, epoch, role, Some(thumbprint));
        if !bool::from(expected.ct_eq(&tag)) {
            return NonceVerdict::Unknown;
        }
        let (step, epoch) = (u32::from_be_bytes(step), u64::from_be_bytes(epoch));
        match self.window.step_at(now) {
            Some(current) if step.abs_diff(current) <= 1 => NonceVerdict::Valid(ValidNonce {
                issued_at: self.window.start_of(step),
                accepted_until: self.window.last_second_of(step),
                epoch,
                renew: step < current || epoch != self.epoch || key_id != self.keys.current().id(),
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
            .field("epoch", &self.epoch)
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

#[cfg(test)]
#[cfg(feature = "rustcrypto")]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use super::super::Role::{self, AuthorizationServer, ResourceServer};
    use super::super::{Nonce, cache::NonceCache};
    use super::{IssueError, LEN, NonceIssuer, NonceKey, NonceKeys, NonceVerdict, NonceWindow, ValidNonce, base64url};
    use crate::crypto::Mac;
    use crate::jose::thumbprint::Thumbprint;
    use crate::time::UnixTime;
    use alloc::format;
    use alloc::string::String;

    struct TestMac;

    impl Mac for TestMac {
        fn hmac_sha256(&self, key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
            use hmac::{KeyInit, Mac as _};
            let mut mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(key).unwrap();
            parts.iter().for_each(|part| mac.update(part));
            mac.finalize().into_bytes().into()
        }
    }

    const PHONE: Thumbprint = Thumbprint::from_bytes([1; 32]);
    const LAPTOP: Thumbprint = Thumbprint::from_bytes([2; 32]);
    /// The start of a step of either window.
    const NOON: UnixTime = UnixTime::from_secs(1_700_000_010);

    fn key(id: u8) -> NonceKey {
        NonceKey::from_secret(id, [id; 32]).unwrap()
    }

    fn issuer_named(namespace: &str) -> NonceIssuer {
        NonceIssuer::new(&TestMac, NonceKeys::new(key(1)), namespace)
    }

    fn issuer() -> NonceIssuer {
        issuer_named("https://api.example.com")
    }

    fn issue(issuer: &NonceIssuer, now: UnixTime) -> Nonce {
        issuer.issue(ResourceServer, Some(&PHONE), now).unwrap()
    }

    fn check(issuer: &NonceIssuer, nonce: &Nonce, now: UnixTime) -> NonceVerdict {
        issuer.check(nonce.as_str(), ResourceServer, &PHONE, now)
    }

    fn valid(verdict: NonceVerdict) -> ValidNonce {
        match verdict {
            NonceVerdict::Valid(valid) => valid,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_format_is_fixed() {
        let issuer = issuer().bound_to_thumbprint().with_epoch(0x0102_0304_0506_0708);
        let nonce = issue(&issuer, NOON);
        assert_eq!(nonce.as_str().len(), 40);
        assert_eq!(Nonce::parse(nonce.as_str().as_bytes()).unwrap(), nonce);
        let bytes = base64url::decode(nonce.as_str().as_bytes()).unwrap();
        assert_eq!(bytes[..14], [1, 1, 0x03, 0x60, 0xaa, 0x2b, 1, 2, 3, 4, 5, 6, 7, 8]);
        // HMAC-SHA-256 over the fields with their lengths, put together by hand.
        let mut message = alloc::vec::Vec::new();
        let fields: [&[u8]; 9] = [
            b"keybound DPoP nonce",
            &[1],
            &[1],
            &bytes[2..6],
            &bytes[6..14],
            &[0, 0, 0, 30],
            &[2],
            b"https://api.example.com",
            PHONE.as_bytes(),
        ];
        for field in fields {
            message.extend([0, 0, 0, 0, 0, 0, 0, u8::try_from(field.len()).unwrap()]);
            message.extend(field);
        }
        assert_eq!(bytes[14..], TestMac.hmac_sha256(&[1; 32], &[&message])[..16]);
    }

    #[test]
    fn a_nonce_of_one_role_is_unknown_in_the_other() {
        let issuer = issuer();
        for (mine, other) in [(AuthorizationServer, ResourceServer), (ResourceServer, AuthorizationServer)] {
            let nonce = issuer.issue(mine, None, NOON).unwrap();
            let judge = |role: Role| issuer.check(nonce.as_str(), role, &PHONE, NOON);
            valid(judge(mine));
            assert_eq!(judge(other), NonceVerdict::Unknown);
        }
    }

    #[test]
    fn namespaces_windows_and_keys_are_separate() {
        let nonce = issue(&issuer(), NOON);
        assert_eq!(check(&issuer_named("https://other.example.com"), &nonce, NOON), NonceVerdict::Unknown);
        assert_eq!(check(&issuer().with_window(NonceWindow::Short), &nonce, NOON), NonceVerdict::Unknown);
        let same_id = NonceKeys::new(NonceKey::from_secret(1, [9; 32]).unwrap());
        let other_key = NonceIssuer::new(&TestMac, same_id, "https://api.example.com");
        assert_eq!(check(&other_key, &nonce, NOON), NonceVerdict::Unknown);
        assert_ne!(issue(&other_key, NOON), nonce);
    }

    #[test]
    fn a_bound_nonce_works_with_its_key_alone() {
        let bound = issuer().bound_to_thumbprint();
        let nonce = issue(&bound, NOON);
        valid(check(&bound, &nonce, NOON));
        assert_eq!(bound.check(nonce.as_str(), ResourceServer, &LAPTOP, NOON), NonceVerdict::Unknown);
        assert_eq!(bound.issue(ResourceServer, None, NOON), Err(IssueError::ThumbprintMissing));
        // Bound and unbound issuers do not take each other's.
        assert_eq!(check(&issuer(), &nonce, NOON), NonceVerdict::Unknown);
        assert_eq!(check(&bound, &issue(&issuer(), NOON), NOON), NonceVerdict::Unknown);
        valid(issuer().check(issue(&issuer(), NOON).as_str(), ResourceServer, &LAPTOP, NOON));
    }

    #[test]
    fn the_key_before_is_accepted_and_the_one_before_that_is_not() {
        let mut issuer = issuer();
        let first = issue(&issuer, NOON);
        assert!(!valid(check(&issuer, &first, NOON)).renew);
        issuer.rotate(key(2)).unwrap();
        let second = issue(&issuer, NOON);
        assert!(valid(check(&issuer, &first, NOON)).renew);
        assert!(!valid(check(&issuer, &second, NOON)).renew);
        issuer.rotate(key(3)).unwrap();
        assert_eq!(check(&issuer, &first, NOON), NonceVerdict::Unknown);
        assert!(valid(check(&issuer, &second, NOON)).renew);
    }

    /// Nodes get the new key one by one; at no point does one refuse what another has issued.
    #[test]
    fn nodes_rotate_without_a_challenge() {
        let node = |keys| NonceIssuer::new(&TestMac, keys, "https://api.example.com");
        let with = |current, other| node(NonceKeys::new(key(current)).with_other(key(other)).unwrap());
        let phases = [node(NonceKeys::new(key(1))), with(1, 2), with(2, 1), node(NonceKeys::new(key(2)))];
        for pair in phases.windows(2) {
            valid(check(&pair[0], &issue(&pair[1], NOON), NOON));
            valid(check(&pair[1], &issue(&pair[0], NOON), NOON));
        }
    }

    #[test]
    fn the_window_is_exact_to_the_second() {
        for window in [NonceWindow::Standard, NonceWindow::Short] {
            let issuer = issuer().with_window(window);
            let step = i64::from(window.step_secs());
            for second in 0..2 * step {
                let issued = UnixTime::from_secs(NOON.secs() + second);
                let nonce = issue(&issuer, issued);
                let at_issue = valid(check(&issuer, &nonce, issued));
                assert_eq!(at_issue.issued_at.secs(), NOON.secs() + second / step * step);
                for later in -3 * step..4 * step {
                    let now = UnixTime::from_secs(issued.secs() + later);
                    let expected = now.secs() >= at_issue.issued_at.secs() - step && now <= at_issue.accepted_until;
                    match check(&issuer, &nonce, now) {
                        NonceVerdict::Valid(valid) => {
                            assert!(expected, "{second} {later}");
                            assert_eq!(valid.accepted_until, at_issue.accepted_until);
                            assert_eq!(valid.renew, now.secs() >= at_issue.issued_at.secs() + step);
                        }
                        verdict => assert_eq!((verdict, expected), (NonceVerdict::Stale, false), "{second} {later}"),
                    }
                }
                let life = at_issue.accepted_until.since(issued);
                assert!((u64::from(window.step_secs())..2 * u64::from(window.step_secs())).contains(&life));
            }
        }
    }

    #[test]
    fn every_changed_bit_and_length_is_noticed() {
        let issuer = issuer();
        let nonce = issue(&issuer, NOON);
        let bytes = base64url::decode(nonce.as_str().as_bytes()).unwrap();
        for index in 0..LEN {
            for bit in 0..8 {
                let mut changed = bytes.clone();
                changed[index] ^= 1 << bit;
                let text = base64url::encode(&changed);
                let verdict = issuer.check(&text, ResourceServer, &PHONE, NOON);
                assert_eq!(verdict, NonceVerdict::Unknown, "byte {index}, bit {bit}");
            }
        }
        for length in 0..100_usize {
            let text: String = nonce.as_str().chars().cycle().take(length).collect();
            let verdict = issuer.check(&text, ResourceServer, &PHONE, NOON);
            assert_eq!(matches!(verdict, NonceVerdict::Valid(_)), length == 40, "{length}");
        }
        for text in [
            "é".repeat(20),
            nonce.as_str().chars().take(39).chain(['=']).collect(),
            "\u{0}".repeat(40),
            "n".repeat(1 << 20),
        ] {
            assert_eq!(issuer.check(&text, ResourceServer, &PHONE, NOON), NonceVerdict::Unknown);
        }
    }

    #[test]
    fn the_epoch_comes_back_and_an_earlier_one_is_renewed() {
        let mut issuer = issuer().with_epoch(u64::MAX);
        let nonce = issue(&issuer, NOON);
        let before = valid(check(&issuer, &nonce, NOON));
        assert_eq!((before.epoch, before.renew), (u64::MAX, false));
        issuer.set_epoch(7);
        let after = valid(check(&issuer, &nonce, NOON));
        assert_eq!((after.epoch, after.renew), (u64::MAX, true));
        assert_eq!(valid(check(&issuer, &issue(&issuer, NOON), NOON)).epoch, 7);
    }

    #[test]
    fn clocks_out_of_range_have_an_outcome() {
        let issuer = issuer();
        let step_0 = issue(&issuer, UnixTime::from_secs(0));
        for before_1970 in [i64::MIN, -31, -1] {
            let now = UnixTime::from_secs(before_1970);
            assert_eq!(issue(&issuer, now), step_0);
            assert_eq!(valid(check(&issuer, &step_0, now)).accepted_until.secs(), 59);
        }
        assert_eq!(check(&issuer, &step_0, UnixTime::from_secs(60)), NonceVerdict::Stale);

        let end = i64::from(u32::MAX) * 30 + 29;
        let last = issue(&issuer, UnixTime::from_secs(end));
        assert_eq!(valid(check(&issuer, &last, UnixTime::from_secs(end))).accepted_until.secs(), end);
        for beyond in [end + 1, i64::MAX] {
            let now = UnixTime::from_secs(beyond);
            assert_eq!(issuer.issue(ResourceServer, None, now), Err(IssueError::ClockOutOfRange));
            assert_eq!(check(&issuer, &last, now), NonceVerdict::Stale);
        }
    }

    /// A client that keeps every nonce it is handed is challenged once and never again, also across a key rotation.
    #[test]
    fn steady_state_has_no_challenge() {
        const ORIGIN: &str = "https://api.example.com";
        for pause in 1..=30 {
            let mut issuer = issuer().bound_to_thumbprint();
            let mut client = NonceCache::new();
            let (mut challenges, mut renewals) = (0, 0);
            for second in (0..600).step_by(pause) {
                let now = NOON.saturating_add(second);
                if second / 300 == 1 && issuer.keys.current().id() == 1 {
                    issuer.rotate(key(2)).unwrap();
                }
                let sent = client.get(ORIGIN, ResourceServer, &PHONE).cloned();
                let handed_out = match sent.map(|nonce| check(&issuer, &nonce, now)) {
                    Some(NonceVerdict::Valid(valid)) if valid.renew => {
                        renewals += 1;
                        Some(issue(&issuer, now))
                    }
                    Some(NonceVerdict::Valid(_)) => None,
                    _ => {
                        challenges += 1;
                        Some(issue(&issuer, now))
                    }
                };
                let fields = handed_out.as_ref().map(|nonce| nonce.as_str().as_bytes());
                client.observe(ORIGIN, ResourceServer, &PHONE, fields.as_slice()).unwrap();
            }
            assert_eq!(challenges, 1, "a call every {pause} s");
            // One in each of the twenty steps but the first, and one for the new key where it came within a step.
            assert!((19..=20).contains(&renewals), "{renewals} renewals, a call every {pause} s");
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let shown = format!("{:?}", NonceIssuer::new(&TestMac, NonceKeys::new(key(0xab)), "n"));
        assert!(!shown.contains("171, 171"), "{shown}");
        fn shared_between_threads(_: &(impl Send + Sync)) {}
        shared_between_threads(&issuer());
    }
}
