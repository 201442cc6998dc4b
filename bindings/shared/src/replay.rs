//! Replay entries, for stores of the host's own, and the store of one process.

use std::sync::Arc;

use keybound::json::Value;
use keybound::replay::memory::MemoryStore as Core;
use keybound::replay::{ReplayAgreement, ReplayEntry, ReplayEntryParts, ReplayKey, ReplayStore};
use keybound::{Crypto, UnixTime};

use crate::error::{Error, Own};
use crate::plain::{Options, byte_string, parse_thumbprint};
use crate::verify::{OPTIONS, epoch_of, policy};

/// The members of an entry as JSON.
const MEMBERS: &[&str] =
    &["key", "thumbprint", "timed_at", "max_ahead", "expires_at", "keep_until", "agreement", "nonce_epoch"];

/// One proof as a store sees it. The same proof gives the same entry whenever it comes.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Names the proof: 16 bytes, the only part that decides whether it was seen.
    pub key: [u8; 16],
    /// The thumbprint of its key, by which a store limits what one client can hold of it.
    pub thumbprint: String,
    /// The time it is judged by.
    pub timed_at: i64,
    /// How many seconds in the future that may lie. A store that began at `floor` answers `before_floor` to entries timed at or
    /// before `floor + max_ahead`, unless `nonce_epoch` is its own.
    pub max_ahead: u64,
    /// The last instant at which the proof can be accepted.
    pub expires_at: i64,
    /// The last instant at which a store must still know it.
    pub keep_until: i64,
    /// What all verifiers that share a store agree on: 16 bytes. An entry with another one is answered `unavailable`.
    pub agreement: [u8; 16],
    /// The epoch inside its nonce, a number below 2^64 as text.
    pub nonce_epoch: Option<String>,
    pub(crate) core: ReplayEntry,
}

impl Entry {
    pub(crate) fn of(entry: &ReplayEntry) -> Self {
        Self {
            key: *entry.key().as_bytes(),
            thumbprint: entry.thumbprint().to_string(),
            timed_at: entry.timed_at().secs(),
            max_ahead: entry.max_ahead(),
            expires_at: entry.expires_at().secs(),
            keep_until: entry.keep_until().secs(),
            agreement: *entry.agreement().as_bytes(),
            nonce_epoch: entry.nonce_epoch().map(|epoch| epoch.to_u64().to_string()),
            core: *entry,
        }
    }

    /// An entry from the text of [`to_json`](Self::to_json), for tests of stores and for entries that another process made of checked proofs.
    ///
    /// # Errors
    /// Misuse, if it is another text.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let members = Options::parse(text, MEMBERS)?;
        let time = |name| members.integer(name)?.ok_or_else(|| Error::missing(name)).map(UnixTime::from_secs);
        let half = |name| {
            let bytes = members.bytes(name)?.ok_or_else(|| Error::missing(name))?;
            bytes
                .try_into()
                .map_err(|_| Error::own(Own::WrongType, ["`", name, "` has to be a byte string of 16"].concat()))
        };
        let (expires_at, keep_until) = (time("expires_at")?, time("keep_until")?);
        Ok(Self::of(&ReplayEntry::from_parts(ReplayEntryParts {
            key: ReplayKey::from_bytes(half("key")?),
            thumbprint: parse_thumbprint(members.needed("thumbprint")?)?,
            timed_at: time("timed_at")?,
            max_ahead: members.number("max_ahead")?.ok_or_else(|| Error::missing("max_ahead"))?,
            expires_at,
            store_margin: keep_until.since(expires_at),
            nonce_epoch: members.text("nonce_epoch")?.map(|epoch| epoch_of(Some(epoch))).transpose()?,
            agreement: ReplayAgreement::from_bytes(half("agreement")?),
        })))
    }

    /// For how many seconds from `now` a store must keep it: at least 1.
    pub fn lifetime(&self, now: i64) -> u64 {
        self.core.lifetime(UnixTime::from_secs(now))
    }

    /// All members as JSON, `key` and `agreement` as byte strings.
    pub fn to_json(&self) -> String {
        self.to_value().to_json()
    }

    pub(crate) fn to_value(&self) -> Value {
        Value::object()
            .with("key", byte_string(&self.key))
            .with("thumbprint", self.thumbprint.as_str())
            .with("timed_at", self.timed_at)
            .with("max_ahead", self.max_ahead)
            .with("expires_at", self.expires_at)
            .with("keep_until", self.keep_until)
            .with("agreement", byte_string(&self.agreement))
            .with_some("nonce_epoch", self.nonce_epoch.as_deref())
    }
}

/// The replay store of one process: bounded, and no proof it took is forgotten early. After a fork it answers `unavailable`.
#[derive(Debug)]
pub struct MemoryStore {
    pub(crate) core: Arc<Core>,
}

impl MemoryStore {
    /// A store for at most `capacity` proofs of verifiers with these options, which begins to remember at `now`. `options` may hold
    /// besides `shares`, into how many shares the capacity is divided, of which one key holds at most one once half is used (64
    /// unless given), and `danger_first_start`: true says that no earlier process accepted proofs, so that those made before the store are
    /// taken from its first second on (see [`keybound::replay::StoreFloor::danger_first_start`]).
    ///
    /// # Errors
    /// Misuse, if the options cannot be used; the host's, if there is no randomness.
    pub fn new(capacity: u32, options: &str, crypto: &Crypto, now: i64) -> Result<Self, Error> {
        let options = Options::parse(options, &[OPTIONS, &["shares", "danger_first_start"]].concat())?;
        let agreement = policy(&options)?.replay_agreement(crypto.digest);
        let capacity = usize::try_from(capacity).unwrap_or(usize::MAX);
        let core = Core::new(capacity, agreement, crypto.random, UnixTime::from_secs(now))?;
        let shares = options.number("shares")?.map(|shares| usize::try_from(shares).unwrap_or(usize::MAX));
        let core = match shares {
            Some(shares) => core.with_shares(shares)?,
            None => core,
        };
        let core = if options.flag("danger_first_start")? { core.danger_first_start() } else { core };
        Ok(Self { core: Arc::new(core) })
    }

    /// Whether verifiers with these options can use this store: it refuses the proofs of others.
    ///
    /// # Errors
    /// Misuse of the reason `store_disagreement`, with what differs; of another, if the options cannot be used.
    pub fn check_policy(&self, options: &str, crypto: &Crypto) -> Result<(), Error> {
        let policy = policy(&Options::parse(options, OPTIONS)?)?;
        Ok(policy.replay_agreement(crypto.digest).check_store(self.core.agreement())?)
    }

    /// Inserts an entry, if it is not there: `fresh`, `seen`, `unavailable`, `full`, `share_full` or `before_floor`.
    pub fn insert(&self, entry: &Entry, now: i64) -> &'static str {
        let Ok(inserted) = self.core.insert(&entry.core, UnixTime::from_secs(now));
        inserted.insertion.name()
    }

    /// The store's present life, for [`Presented::epoch`](crate::Presented::epoch).
    pub fn epoch(&self) -> String {
        self.core.epoch().to_u64().to_string()
    }

    /// How many proofs it holds, for metrics.
    pub fn held(&self) -> usize {
        self.core.held()
    }

    /// Whether this is the copy in a forked child.
    pub fn was_forked(&self) -> bool {
        self.core.was_forked()
    }
}
