//! Judging proofs: the verifier, the pair of check and settle, refusals and explanations.

use std::sync::{Arc, Mutex, PoisonError};

use keybound::json::Value;
use keybound::nonce::issuer::{NonceIssuer, NonceKey, NonceKeys, NonceWindow};
use keybound::replay::{Inserted, Insertion, ReplayStore, StoreEpoch};
use keybound::{
    Crypto, Explanation, HeaderMemory, Misuse, PendingProof, Policy, Presentation, Rejection, SettleError, Spelling,
    TimeSource, UnixTime, VerifiedProof, base64url,
};

use crate::error::{Error, Kind, Own};
use crate::plain::{Options, one_of, pairs};
use crate::presented::{OwnedPresented, Presented};
use crate::proof::role;
use crate::replay::{Entry, MemoryStore};

/// The members of a verifier's options.
pub(crate) const OPTIONS: &[&str] = &[
    "preset",
    "algorithms",
    "max_age",
    "max_ahead",
    "store_margin",
    "require_nonces",
    "nonce_replaces_iat",
    "bare_htu",
    "namespace",
    "nonces",
    "header_memory",
];

/// How many headers a memory holds at most: a gigabyte.
const MAX_HEADERS: usize = 1 << 20;

/// What a verified proof says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verified {
    /// The thumbprint of the key that made it.
    pub thumbprint: String,
    /// Its algorithm.
    pub algorithm: &'static str,
    /// Its `iat`.
    pub issued_at: i64,
    /// The nonce to hand out with the answer, when the present one ends soon.
    pub next_nonce: Option<String>,
}

/// An answer to send instead of what was asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The reason, for logs. Not for the peer.
    pub reason: String,
    /// The error code on the wire.
    pub error: Option<String>,
    /// All fields to send.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

/// Judges proofs by one policy.
#[derive(Clone, Debug)]
pub struct Verifier(Arc<keybound::Verifier>);

/// A proof that passed every check but replay.
pub struct Pending {
    verifier: Arc<keybound::Verifier>,
    epoch: StoreEpoch,
    request: OwnedPresented,
    entry: Entry,
    proof: Mutex<Option<PendingProof>>,
}

impl Verifier {
    /// A verifier. `options` is an object with any of `preset` (`default`, `fapi2`, `mcp`, `atproto`, `haip`), `algorithms`,
    /// `max_age`, `max_ahead`, `store_margin` (seconds), `require_nonces`, `nonce_replaces_iat`, `bare_htu`, `namespace`,
    /// `header_memory` (how many headers are remembered) and `nonces`, `true`, `false` or an object with `keys` (one or two, each with `id` and
    /// `secret`, the base64url of 32 bytes; a random one otherwise, good for one process), `namespace`, `bound_to_key` and `short`.
    ///
    /// # Errors
    /// Misuse, if an option cannot be used.
    pub fn new(options: &str, crypto: &Crypto) -> Result<Self, Error> {
        Ok(Self(Arc::new(verifier_of(options, crypto)?)))
    }

    /// Makes every check but replay.
    ///
    /// # Errors
    /// The rejection, with the refusal to send; misuse.
    pub fn check(&self, presented: &Presented<'_>, now: i64) -> Result<Pending, Error> {
        let (now, epoch) = (UnixTime::from_secs(now), epoch_of(presented.epoch)?);
        let proof = presented.with(epoch, |presentation| {
            self.0
                .check(presentation, now)
                .map_err(|error| refused(&self.0, SettleError::Rejected(error), presentation, now))
        })??;
        let entry = Entry::of(proof.replay_entry());
        let (verifier, request) = (Arc::clone(&self.0), OwnedPresented::of(presented));
        Ok(Pending { verifier, epoch, request, entry, proof: Mutex::new(Some(proof)) })
    }

    /// Checks a proof and consumes it in a store of this process, whose epoch counts unless one was presented.
    ///
    /// # Errors
    /// The rejection, with the refusal to send; misuse, also if the store is made for another policy.
    pub fn verify(&self, presented: &Presented<'_>, store: &MemoryStore, now: i64) -> Result<Verified, Error> {
        self.0.replay_agreement().check_store(store.core.agreement())?;
        let now = UnixTime::from_secs(now);
        let epoch = match presented.epoch {
            Some(epoch) => epoch_of(Some(epoch))?,
            None => store.core.epoch(),
        };
        presented.with(epoch, |presentation| {
            let judged = self.0.check(presentation, now).map_err(SettleError::Rejected).and_then(|pending| {
                let Ok(inserted) = store.core.insert(pending.replay_entry(), now);
                pending.settle(Inserted { epoch, ..inserted }, now)
            });
            judged.map(Verified::of).map_err(|error| refused(&self.0, error, presentation, now))
        })?
    }

    /// What came of every check, for the developer whose proof was refused: a JSON object, see [`Explanation::to_json`].
    /// It consumes nothing and is not for the peer.
    ///
    /// # Errors
    /// Misuse.
    pub fn explain(&self, presented: &Presented<'_>, now: i64, spelling: Spelling) -> Result<String, Error> {
        self.explanation(presented, None, now, spelling).map(|explanation| explanation.to_json())
    }

    /// The same where the proof would be consumed in this store, whose floor may be why it is refused.
    ///
    /// # Errors
    /// Misuse.
    pub fn explain_with_store(
        &self,
        presented: &Presented<'_>,
        store: &MemoryStore,
        now: i64,
        spelling: Spelling,
    ) -> Result<String, Error> {
        self.explanation(presented, Some(store), now, spelling).map(|explanation| explanation.to_json())
    }

    /// Both as the core has them, for bindings with types of their own.
    ///
    /// # Errors
    /// Misuse.
    pub fn explanation(
        &self,
        presented: &Presented<'_>,
        store: Option<&MemoryStore>,
        now: i64,
        spelling: Spelling,
    ) -> Result<Explanation, Error> {
        let (now, floor) = (UnixTime::from_secs(now), store.and_then(|store| store.core.floor()));
        presented.with(epoch_of(presented.epoch)?, |presentation| {
            self.0.explain_with_floor(presentation, now, floor).spelled(spelling)
        })
    }

    /// The answer to a request that the host refuses for a reason of its own choosing, for example `replayed`.
    ///
    /// # Errors
    /// Misuse, if there is no such reason.
    pub fn refuse(&self, reason: &str, presented: &Presented<'_>, now: i64) -> Result<Refusal, Error> {
        let rejection = Rejection::from_reason(reason);
        let rejection =
            rejection.ok_or_else(|| Error::own(Own::UnknownValue, "there is no rejection of this reason"))?;
        presented.with(epoch_of(presented.epoch)?, |presentation| {
            let role = presentation.context.role();
            Refusal::of(&self.0.refuse(rejection, role, presentation, UnixTime::from_secs(now)))
        })
    }

    /// A nonce for the next proof of any key; none without an issuer. The role is `resource` or `token`, `epoch` that of the replay store.
    ///
    /// # Errors
    /// Misuse, if the role or the epoch is none.
    pub fn fresh_nonce(&self, role_name: &str, epoch: Option<&str>, now: i64) -> Result<Option<String>, Error> {
        let nonce = self.0.fresh_nonce(role(role_name)?, epoch_of(epoch)?, UnixTime::from_secs(now));
        Ok(nonce.map(|nonce| nonce.as_str().into()))
    }

    /// The names of the algorithms that are accepted.
    pub fn algorithms(&self) -> Vec<&'static str> {
        self.0.policy().algorithms().iter().map(keybound::Algorithm::name).collect()
    }
}

impl Pending {
    /// What goes into the replay store.
    pub fn entry(&self) -> &Entry {
        &self.entry
    }

    /// Accepts or refuses the proof by the store's answer: `fresh`, `seen`, `unavailable`, `full`, `share_full` or `before_floor`, and by
    /// the epoch in which it answered: that of the request, unless given.
    ///
    /// # Errors
    /// The rejection, with the refusal to send; misuse for another word, if the epoch is none, or on second use.
    pub fn settle(&self, insertion: &str, epoch: Option<&str>, now: i64) -> Result<Verified, Error> {
        let epoch = epoch.map_or(Ok(self.epoch), |epoch| epoch_of(Some(epoch)))?;
        self.settle_with(Inserted::new(insertion_of(insertion)?, epoch), now)
    }

    fn settle_with(&self, inserted: Inserted, now: i64) -> Result<Verified, Error> {
        let (proof, now) = (self.take()?, UnixTime::from_secs(now));
        let settled = proof.settle(inserted, now);
        settled.map(Verified::of).map_err(|error| {
            let refused = |presented: &Presented<'_>| {
                presented.with(inserted.epoch, |presentation| refused(&self.verifier, error, presentation, now))
            };
            self.request.show(refused).unwrap_or_else(|misuse| misuse)
        })
    }

    /// Accepts the proof without a replay store: whoever sees the request can repeat it until the proof is too old.
    ///
    /// # Errors
    /// Misuse on second use.
    pub fn danger_skip_replay_check(&self) -> Result<Verified, Error> {
        Ok(Verified::of(self.take()?.danger_skip_replay_check()))
    }

    fn take(&self) -> Result<PendingProof, Error> {
        self.proof.lock().unwrap_or_else(PoisonError::into_inner).take().ok_or_else(Error::already_used)
    }
}

fn refused(verifier: &keybound::Verifier, error: SettleError, shown: &Presentation<'_>, now: UnixTime) -> Error {
    let refusal = verifier.refuse_undecided(error, shown.context.role(), shown, now);
    Error::from(error).answered(Refusal::of(&refusal))
}

impl Verified {
    /// All members as a JSON object.
    pub fn to_json(&self) -> String {
        Value::object()
            .with("thumbprint", self.thumbprint.as_str())
            .with("algorithm", self.algorithm)
            .with("issued_at", self.issued_at)
            .with_some("next_nonce", self.next_nonce.as_deref())
            .to_json()
    }

    fn of(proof: VerifiedProof) -> Self {
        Self {
            thumbprint: proof.thumbprint().to_string(),
            algorithm: proof.algorithm().name(),
            issued_at: proof.issued_at().secs(),
            next_nonce: proof.next_nonce().map(|nonce| nonce.as_str().into()),
        }
    }
}

impl Refusal {
    pub(crate) fn of(refusal: &keybound::Refusal) -> Self {
        Self {
            status: refusal.status(),
            reason: refusal.reason().into(),
            error: refusal.error().map(Into::into),
            headers: refusal.headers().iter().map(|(name, value)| ((*name).into(), value.clone())).collect(),
            body: refusal.body().into(),
        }
    }

    /// The error that goes with the answer, for a request that was refused.
    pub fn into_error(self) -> Error {
        let known = Rejection::from_reason(&self.reason).map(Error::from);
        let kind = if self.status == 503 { Kind::Host } else { Kind::Rejected };
        known.unwrap_or_else(|| Error::new(kind, &self.reason, ["refused: ", &self.reason].concat())).answered(self)
    }

    /// All members as a JSON object, `headers` as pairs.
    pub fn to_json(&self) -> String {
        self.to_value().to_json()
    }

    pub(crate) fn to_value(&self) -> Value {
        Value::object()
            .with("status", u64::from(self.status))
            .with("reason", self.reason.as_str())
            .with_some("error", self.error.as_deref())
            .with("headers", pairs(self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()))))
            .with("body", self.body.as_str())
    }
}

pub(crate) fn insertion_of(name: &str) -> Result<Insertion, Error> {
    use Insertion::{BeforeFloor, Fresh, Full, Seen, ShareFull, Unavailable};
    let table = [Fresh, Seen, Unavailable, Full, ShareFull, BeforeFloor].map(|insertion| (insertion.name(), insertion));
    one_of("what a store answers", name, &table)
}

/// The core's verifier with these options.
pub(crate) fn verifier_of(options: &str, crypto: &Crypto) -> Result<keybound::Verifier, Error> {
    verifier_with(&Options::parse(options, OPTIONS)?, None, crypto)
}

/// The same for a resource, which issues nonces unless the options say `false`, and only for itself unless they name a namespace.
#[cfg(feature = "servers")]
pub(crate) fn verifier_at(resource: &str, options: &str, crypto: &Crypto) -> Result<keybound::Verifier, Error> {
    verifier_with(&Options::parse(options, OPTIONS)?, Some(resource), crypto)
}

/// The same with options that were read, maybe among others.
pub(crate) fn verifier_with(
    options: &Options,
    resource: Option<&str>,
    crypto: &Crypto,
) -> Result<keybound::Verifier, Error> {
    let mut core = keybound::Verifier::new(policy(options)?, crypto);
    if let Some(issuer) = nonces(options, resource, crypto)? {
        core = core.with_nonces(issuer);
    }
    if let Some(capacity) = options.number("header_memory")? {
        let capacity = usize::try_from(capacity).unwrap_or(usize::MAX).min(MAX_HEADERS);
        core = core.with_header_memory(Arc::new(HeaderMemory::new(capacity)));
    }
    checked(options, core.check_configuration())?;
    Ok(core)
}

/// What was found about a configuration. Who names no algorithm permits those of the profile: one that this build lacks is refused as
/// `alg_unavailable`.
fn checked(options: &Options, found: Result<(), Misuse>) -> Result<(), Error> {
    match found {
        Err(Misuse::AlgorithmUnavailable(_)) if options.value("algorithms").is_none() => Ok(()),
        found => Ok(found?),
    }
}

pub(crate) fn policy(options: &Options) -> Result<Policy, Error> {
    type Preset = fn() -> Policy;
    let presets: [(&str, Preset); 5] = [
        ("default", Policy::default),
        ("fapi2", Policy::fapi2),
        ("mcp", Policy::mcp),
        ("atproto", Policy::atproto),
        ("haip", Policy::haip),
    ];
    let mut policy = one_of("a preset", options.text("preset")?.unwrap_or("default"), &presets)?();
    if let Some(algorithms) = options.algorithms("algorithms")? {
        policy = policy.with_algorithms(algorithms)?;
    }
    if let Some(seconds) = options.number("max_age")? {
        policy = policy.with_max_age(seconds)?;
    }
    if let Some(seconds) = options.number("max_ahead")? {
        policy = policy.with_max_ahead(seconds)?;
    }
    if let Some(seconds) = options.number("store_margin")? {
        policy = policy.with_store_margin(seconds)?;
    }
    if options.flag("require_nonces")? {
        policy = policy.requiring_nonces();
    }
    if options.flag("nonce_replaces_iat")? {
        policy = policy.with_time_source(TimeSource::Nonce);
    }
    if options.flag("bare_htu")? {
        policy = policy.requiring_bare_htu();
    }
    Ok(match options.text("namespace")? {
        Some(namespace) => policy.with_namespace(namespace),
        None => policy,
    })
}

fn nonces(options: &Options, resource: Option<&str>, crypto: &Crypto) -> Result<Option<NonceIssuer>, Error> {
    let given = match options.value("nonces") {
        Some(Value::Bool(false)) => return Ok(None),
        None if resource.is_none() => return Ok(None),
        None | Some(Value::Bool(true)) => Value::object(),
        Some(given) => given.clone(),
    };
    let given = Options::of(given, &["keys", "namespace", "bound_to_key", "short"])?;
    let mut keys = given.array("keys")?.iter().map(nonce_key);
    let mut ring = NonceKeys::new(match keys.next() {
        Some(key) => key?,
        None => NonceKey::generate(1, crypto.random).map_err(|_| Error::own(Own::Random, "no randomness"))?,
    });
    for other in keys {
        ring = ring.with_other(other?).map_err(|error| Error::own(Own::NonceKey, error.to_string()))?;
    }
    let mut issuer = NonceIssuer::new(crypto.mac, ring, given.text("namespace")?.or(resource).unwrap_or_default());
    if given.flag("bound_to_key")? {
        issuer = issuer.bound_to_thumbprint();
    }
    if given.flag("short")? {
        issuer = issuer.with_window(NonceWindow::Short);
    }
    Ok(Some(issuer))
}

/// A store's epoch: 64 bits, written in decimal because not every language has such numbers.
pub(crate) fn epoch_of(text: Option<&str>) -> Result<StoreEpoch, Error> {
    let number = text
        .unwrap_or("0")
        .parse()
        .map_err(|_| Error::own(Own::WrongType, "an epoch is a number below 2^64, as text"))?;
    Ok(StoreEpoch::from_u64(number))
}

fn nonce_key(value: &Value) -> Result<NonceKey, Error> {
    let key = Options::of(value.clone(), &["id", "secret"])?;
    let id = key.number("id")?.and_then(|id| u8::try_from(id).ok());
    let id = id.ok_or_else(|| Error::own(Own::NonceKey, "the id of a nonce key is a number from 0 to 255"))?;
    let mut secret = [0; 32];
    base64url::decode_exact(key.needed("secret")?.as_bytes(), &mut secret)
        .map_err(|_| Error::own(Own::NonceKey, "the secret of a nonce key is 32 random bytes as base64url"))?;
    NonceKey::from_secret(id, secret).map_err(|error| Error::own(Own::NonceKey, error.to_string()))
}
