//! Builder for `Protection`, with its defaults.

use std::fmt;
use std::sync::{Arc, RwLock};

use keybound::http::url::Url;
use keybound::nonce::issuer::{NonceIssuer, NonceKey, NonceKeys};
use keybound::replay::AsyncReplayStore;
use keybound::replay::memory::MemoryStore;
use keybound::server::JwkSet;
use keybound::server::resource::{IssuerProfile, ResourcePolicy, ResourceServer};
use keybound::server::source::TargetSource;
use keybound::{Crypto, HeaderMemory, Misuse, Policy, TargetUri, UnixTime, Verifier};

use crate::introspection::{Introspection, Introspector};
use crate::keys::{IssuerKeys, KeySource};
use crate::protection::{Protection, Setup, epoch};
use crate::replay::{AnyStore, Replay};

/// How many proofs the memory store holds, at 10 to 16 bytes each.
const CAPACITY: usize = 1_000_000;
/// How many headers of clients are remembered, at about 1 kB each.
const HEADERS: usize = 1024;

/// The provider unless another is chosen.
#[cfg(feature = "aws-lc")]
const DEFAULT_CRYPTO: Option<Crypto> = Some(keybound_aws_lc::AWS_LC);
#[cfg(not(feature = "aws-lc"))]
const DEFAULT_CRYPTO: Option<Crypto> = None;

type MakeIssuer = Box<dyn Fn() -> NonceIssuer + Send + Sync>;

/// Describes a [`Protection`]. Without more it accepts bound tokens alone, asks for nonces, remembers proofs in memory and
/// judges by [`Policy::default`].
pub struct Builder {
    policy: ResourcePolicy,
    proofs: Policy,
    crypto: Option<Crypto>,
    targets: TargetSource,
    keys: Vec<(String, IssuerKeys)>,
    introspection: Option<Box<dyn Introspection>>,
    nonces: Nonces,
    store: Store,
    replay_shares: Option<usize>,
    ignore_floor: bool,
    clock: Box<dyn Fn() -> UnixTime + Send + Sync>,
}

enum Nonces {
    Own,
    Given(MakeIssuer),
    None,
}

enum Store {
    Memory(usize),
    Custom(Box<dyn AnyStore>),
    None,
}

impl Builder {
    pub(crate) fn new(policy: ResourcePolicy) -> Result<Self, Misuse> {
        let origin = Url::parse(policy.resource()).map_err(Misuse::Target)?;
        Ok(Self {
            targets: TargetUri::fixed(origin.origin()).map_err(Misuse::Target)?,
            policy: policy.publishing_metadata(),
            proofs: Policy::default(),
            crypto: DEFAULT_CRYPTO,
            keys: Vec::new(),
            introspection: None,
            nonces: Nonces::Own,
            store: Store::Memory(CAPACITY),
            replay_shares: None,
            ignore_floor: false,
            clock: Box::new(UnixTime::now),
        })
    }

    /// Accepts JWT access tokens of this issuer; its keys are fetched from where its metadata says.
    ///
    /// # Errors
    /// [`Misuse`] unless it is an `https` URL, or `http` on loopback.
    #[cfg(feature = "fetch")]
    pub fn issuer(self, issuer: &str) -> Result<Self, Misuse> {
        self.issuer_with_source(issuer, crate::FetchedKeys::of_issuer(issuer))
    }

    /// Accepts JWT access tokens of this issuer, signed with these keys.
    ///
    /// # Errors
    /// [`Misuse`] unless it is an `https` URL, or `http` on loopback.
    pub fn issuer_with_keys(self, issuer: &str, keys: JwkSet) -> Result<Self, Misuse> {
        self.add(issuer, IssuerKeys::Given(Arc::new(keys)))
    }

    /// Accepts JWT access tokens of this issuer, whose keys come from `source`.
    ///
    /// # Errors
    /// [`Misuse`] unless it is an `https` URL, or `http` on loopback.
    pub fn issuer_with_source(self, issuer: &str, source: impl KeySource) -> Result<Self, Misuse> {
        self.add(issuer, IssuerKeys::fetched(source))
    }

    /// Takes the tokens of this issuer for what its server writes, where that is not what RFC 9068 says: see [`IssuerProfile`]. The issuer
    /// itself, with its keys, is named by one of the methods above.
    ///
    /// ```
    /// use keybound::server::{JwkSet, resource::IssuerProfile};
    /// use keybound_tower::Protection;
    /// let issuer = "https://id.example.com/realms/main";
    /// let builder = Protection::of("https://api.example.com")?
    ///     .issuer_with_keys(issuer, JwkSet::default())?
    ///     .issuer_profile(issuer, IssuerProfile::keycloak())?;
    /// # Ok::<(), keybound::Misuse>(())
    /// ```
    ///
    /// # Errors
    /// [`Misuse`] unless it is an `https` URL, or `http` on loopback.
    pub fn issuer_profile(mut self, issuer: &str, profile: IssuerProfile) -> Result<Self, Misuse> {
        self.policy = self.policy.with_issuer_profile(issuer, profile)?;
        Ok(self)
    }

    fn add(mut self, issuer: &str, keys: IssuerKeys) -> Result<Self, Misuse> {
        // A profile may have been given before.
        if self.policy.issuers().all(|known| known != issuer) {
            self.policy = self.policy.with_issuer(issuer)?;
        }
        self.keys.push((issuer.to_owned(), keys));
        Ok(self)
    }

    /// Accepts tokens that are not JWTs of these issuers if `source` says that they are active. How answers are read without an `iss`
    /// is for [`ResourcePolicy::with_introspection_profile`] to say, by [`tokens`](Self::tokens).
    #[must_use]
    pub fn introspection(self, source: impl Introspection) -> Self {
        let policy = self.policy.with_introspection();
        let introspection: Option<Box<dyn Introspection>> = Some(Box::new(source));
        Self { policy, introspection, ..self }
    }

    /// Changes the rules for requests and tokens: schemes, audiences, scopes in challenges.
    ///
    /// ```
    /// use keybound::server::resource::Schemes;
    /// use keybound_tower::Protection;
    /// let builder = Protection::of("https://api.example.com")?.tokens(|policy| policy.with_schemes(Schemes::Both));
    /// # Ok::<(), keybound::Misuse>(())
    /// ```
    #[must_use]
    pub fn tokens(self, change: impl FnOnce(ResourcePolicy) -> ResourcePolicy) -> Self {
        Self { policy: change(self.policy), ..self }
    }

    /// Takes tokens with `authorization_details` (RFC 9396) at this path, whose handler carries intents out by
    /// [`Protection::carry_out`]. Everywhere else such a token is refused: it is good for nothing else. The path is the one that
    /// clients see; `/x/*` is all below `/x/`.
    ///
    /// # Errors
    /// [`Misuse`] unless it is an absolute path.
    pub fn intents_at(mut self, path: &str) -> Result<Self, Misuse> {
        self.policy = self.policy.with_intents_at(path)?;
        Ok(self)
    }

    /// Judges proofs by this policy.
    #[must_use]
    pub fn proofs(self, policy: Policy) -> Self {
        Self { proofs: policy, ..self }
    }

    /// Computes with this provider instead of `keybound_aws_lc::AWS_LC`. Needed without the feature `aws-lc`: give
    /// [`RUSTCRYPTO`](keybound::RUSTCRYPTO), which builds without a C compiler and takes several times as long for each proof,
    /// forged ones included.
    #[must_use]
    pub fn crypto(self, crypto: &Crypto) -> Self {
        Self { crypto: Some(*crypto), ..self }
    }

    /// Takes targets from here instead of the resource's origin: other origins, a path prefix, trusted proxies.
    #[must_use]
    pub fn targets(self, source: TargetSource) -> Self {
        Self { targets: source, ..self }
    }

    /// Issues nonces with what `make` gives: called at once, and again when the replay store begins a new life. Processes that
    /// answer for one resource need the same keys.
    #[must_use]
    pub fn nonces(self, make: impl Fn() -> NonceIssuer + Send + Sync + 'static) -> Self {
        Self { nonces: Nonces::Given(Box::new(make)), ..self }
    }

    /// Asks for no nonces. Proofs made shortly before the server started are then refused with 503 for as long as they
    /// could have been used before: one `max_ahead` of the policy.
    #[must_use]
    pub fn without_nonces(self) -> Self {
        Self { nonces: Nonces::None, ..self }
    }

    /// Remembers proofs here: in a store that all processes of this resource share.
    #[must_use]
    pub fn replay_store<S>(self, store: S) -> Self
    where
        S: AsyncReplayStore + 'static,
        S::Error: fmt::Display,
    {
        Self { store: Store::Custom(Box::new(store)), ..self }
    }

    /// How many proofs the memory store holds; a million by default. A full store refuses.
    #[must_use]
    pub fn replay_capacity(self, proofs: usize) -> Self {
        Self { store: Store::Memory(proofs), ..self }
    }

    /// Divides the memory store into so many shares, 1 to 4,096; 64 unless told otherwise. Once half of it is used, one key holds at
    /// most one of them, and with 1 it may hold everything: for a gateway that signs with one key.
    #[must_use]
    pub fn replay_shares(self, shares: usize) -> Self {
        Self { replay_shares: Some(shares), ..self }
    }

    /// Remembers no proofs.
    ///
    /// # Security
    /// Whoever sees a request can repeat it until its proof is too old.
    #[must_use]
    pub fn danger_no_replay_store(self) -> Self {
        Self { store: Store::None, ..self }
    }

    /// Skips the start-up window. Use only if no other process served this resource in the last minutes.
    ///
    /// # Security
    /// If it was, every proof used just before a restart can be used once more.
    #[must_use]
    pub fn danger_ignore_floor(self) -> Self {
        Self { ignore_floor: true, ..self }
    }

    /// Reads the time from here, for tests.
    #[must_use]
    pub fn clock(self, clock: impl Fn() -> UnixTime + Send + Sync + 'static) -> Self {
        Self { clock: Box::new(clock), ..self }
    }

    /// The protection.
    ///
    /// # Errors
    /// [`Misuse`] if it could never decide about a request: no issuer and no introspection, an issuer without a source of its keys,
    /// a policy that requires nonces without an issuer of them, an algorithm that the provider lacks, no provider; or if there is no
    /// randomness.
    pub fn build(self) -> Result<Protection, Misuse> {
        let Self {
            policy,
            proofs,
            crypto,
            targets,
            keys,
            introspection,
            nonces,
            store,
            replay_shares,
            ignore_floor,
            clock,
        } = self;
        let crypto = crypto.ok_or(Misuse::CryptoMissing)?;
        let has_keys = |issuer: &str| keys.iter().any(|(known, _)| known == issuer);
        let accepts_nothing = policy.issuers().next().is_none() && !policy.introspects();
        if accepts_nothing || !policy.issuers().all(has_keys) || policy.introspects() != introspection.is_some() {
            return Err(Misuse::TokenSourceMissing);
        }
        let make_issuer: Option<MakeIssuer> = match nonces {
            Nonces::Given(make) => Some(make),
            Nonces::None => None,
            Nonces::Own => Some(own_nonces(&crypto, policy.resource())?),
        };
        let verifier = {
            let headers = Arc::new(HeaderMemory::new(HEADERS));
            move |epoch: u64| {
                let verifier = Verifier::new(proofs.clone(), &crypto).with_header_memory(Arc::clone(&headers));
                match &make_issuer {
                    Some(make) => verifier.with_nonces(make().with_epoch(epoch)),
                    None => verifier,
                }
            }
        };
        let first = verifier(0);
        first.check_configuration()?;
        let replay = match store {
            Store::Custom(store) => Some(Replay::Custom(store)),
            Store::None => None,
            Store::Memory(capacity) => {
                let now = clock();
                // A proof is timed by the floor and, at most, one `max_ahead` beyond it.
                let lead = first.policy().max_age() + first.policy().max_ahead() + 1;
                let floor = if ignore_floor { now.saturating_sub(lead) } else { now };
                let agreement = first.replay_agreement();
                let store = MemoryStore::new(capacity, agreement, crypto.random, floor)?;
                Some(Replay::Memory(Box::new(match replay_shares {
                    Some(shares) => store.with_shares(shares)?,
                    None => store,
                })))
            }
        };
        let introspection = introspection.map(|source| Introspector::new(source, &crypto));
        let rules = policy.clone();
        let make_server =
            move |epoch: keybound::replay::StoreEpoch| ResourceServer::new(rules.clone(), verifier(epoch.to_u64()));
        let epoch = epoch(replay.as_ref());
        let server = make_server(epoch);
        server.check_configuration()?;
        let server = RwLock::new((epoch, server));
        let make_server = Box::new(make_server);
        Ok(Protection::new(Setup { policy, targets, keys, introspection, replay, clock, make_server, server }))
    }
}

/// An issuer with a key of its own, for one process.
fn own_nonces(crypto: &Crypto, resource: &str) -> Result<MakeIssuer, Misuse> {
    let mut secret = [0; 32];
    crypto.random.fill(&mut secret)?;
    let (mac, namespace) = (crypto.mac, resource.to_owned());
    NonceKey::from_secret(1, secret).map_err(|_| Misuse::Random)?;
    Ok(Box::new(move || {
        let key = NonceKey::from_secret(1, secret).expect("the same secret made a key before");
        NonceIssuer::new(mac, NonceKeys::new(key), &namespace)
    }))
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("policy", &self.policy).field("proofs", &self.proofs).finish_non_exhaustive()
    }
}
