//! Builder for `Protection`, with its defaults.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use keybound::audit::Audit;
use keybound::guard::{BreakerSettings, Guards, Limit};
use keybound::http::url::Url;
use keybound::key::Signer;
use keybound::nonce::issuer::{NonceIssuer, NonceKey, NonceKeys};
use keybound::replay::AsyncReplayStore;
use keybound::replay::memory::MemoryStore;
use keybound::server::cors::Cors;
use keybound::server::resource::{Introspection, IssuerProfile, ResourcePolicy, ResourceServer};
use keybound::server::source::TargetSource;
use keybound::server::{Consumption, JwkSet, KeySource};
use keybound::{Crypto, HeaderMemory, Misuse, Policy, TargetUri, UnixTime, Verifier};

use crate::audit::AuditLog;
use crate::drive::Driver;
use crate::metrics::Meter;
use crate::protection::{Protection, Setup};
use crate::sources::{AnyStore, FetchKeys, Introspect};
use crate::transport::Transport;
use crate::watch::Watch;

/// How many proofs the memory store holds, at 10 to 16 bytes each.
const CAPACITY: usize = 1_000_000;
/// How many headers of clients are remembered, at about 1 kB each.
const HEADERS: usize = 1024;

/// The provider unless another is chosen.
#[cfg(feature = "aws-lc")]
const DEFAULT_CRYPTO: Option<Crypto> = Some(keybound_aws_lc::AWS_LC);
#[cfg(not(feature = "aws-lc"))]
const DEFAULT_CRYPTO: Option<Crypto> = None;

impl Protection {
    /// Begins to describe the protection of the resource with this identifier, the URL that clients know it by:
    /// `https`, or `http` on loopback. Its origin is that of all targets.
    ///
    /// # Errors
    /// [`Misuse`] if it is no such URL.
    pub fn of(resource: &str) -> Result<Builder, Misuse> {
        Builder::new(ResourcePolicy::new(resource)?)
    }

    /// The same for a resource with rules of your own. Give its issuers to the builder, with their keys.
    ///
    /// # Errors
    /// [`Misuse`] if the resource has no usable origin.
    pub fn with_policy(policy: ResourcePolicy) -> Result<Builder, Misuse> {
        Builder::new(policy)
    }
}

/// Describes a [`Protection`]. Without more it accepts bound tokens alone, asks for nonces, remembers proofs in memory and
/// judges by [`Policy::default`].
pub struct Builder {
    policy: ResourcePolicy,
    proofs: Policy,
    crypto: Option<Crypto>,
    targets: TargetSource,
    keys: Vec<(String, Box<dyn FetchKeys>)>,
    introspection: Option<Box<dyn Introspect>>,
    signer: Option<Arc<dyn Signer + Send + Sync>>,
    transport: Option<Arc<dyn Transport>>,
    nonces: Nonces,
    store: Store,
    replay_shares: Option<usize>,
    first_start: bool,
    audit: Option<AuditLog>,
    meter: Meter,
    guards: Guards,
    cors: Option<Cors>,
    clock: Option<Box<dyn Fn() -> UnixTime + Send + Sync>>,
}

enum Nonces {
    Own,
    Given(NonceIssuer),
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
            signer: None,
            transport: default_transport(),
            nonces: Nonces::Own,
            store: Store::Memory(CAPACITY),
            replay_shares: None,
            first_start: false,
            audit: None,
            meter: Meter::default(),
            guards: Guards::new(),
            cors: None,
            clock: None,
        })
    }

    /// Accepts JWT access tokens of this issuer; its keys are fetched from where its metadata says.
    ///
    /// # Errors
    /// [`Misuse`] unless it is an `https` URL, or `http` on loopback.
    pub fn issuer(self, issuer: &str) -> Result<Self, Misuse> {
        Ok(Self { policy: self.policy.with_issuer(issuer)?, ..self })
    }

    /// Accepts JWT access tokens of this issuer, signed with these keys.
    ///
    /// # Errors
    /// [`Misuse`] unless it is an `https` URL, or `http` on loopback.
    pub fn issuer_with_keys(self, issuer: &str, keys: JwkSet) -> Result<Self, Misuse> {
        self.issuer_from(issuer, KeySource::Given(keys))
    }

    /// Accepts JWT access tokens of this issuer, whose keys are fetched from `jwks_uri`.
    ///
    /// # Errors
    /// [`Misuse`] unless both are `https` URLs, or `http` on loopback.
    pub fn issuer_with_keys_at(self, issuer: &str, jwks_uri: &str) -> Result<Self, Misuse> {
        self.issuer_from(issuer, KeySource::At(jwks_uri.to_owned()))
    }

    /// Accepts JWT access tokens of this issuer, whose keys come from `source`.
    ///
    /// # Errors
    /// [`Misuse`] unless it is an `https` URL, or `http` on loopback.
    pub fn issuer_with_source(self, issuer: &str, source: impl FetchKeys) -> Result<Self, Misuse> {
        let mut builder = self.issuer_from(issuer, KeySource::Host)?;
        builder.keys.retain(|(known, _)| known != issuer);
        builder.keys.push((issuer.to_owned(), Box::new(source)));
        Ok(builder)
    }

    fn issuer_from(self, issuer: &str, keys: KeySource) -> Result<Self, Misuse> {
        Ok(Self { policy: self.policy.with_issuer_keys(issuer, keys)?, ..self })
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

    /// Accepts tokens that are not JWTs of these issuers if the authorization server, asked at its introspection endpoint, says that
    /// they are active (RFC 7662). How answers are read without an `iss` is for [`ResourcePolicy::with_introspection_profile`] to say, by
    /// [`tokens`](Self::tokens).
    ///
    /// ```
    /// use keybound::oauth::{Credentials, Secret};
    /// use keybound::server::resource::Introspection;
    /// use keybound_tower::Protection;
    /// let credentials = Credentials::secret_basic("api", Secret::new("its-secret"));
    /// let introspection = Introspection::at("https://as.example.com/introspect", credentials)?;
    /// let protection = Protection::of("https://api.example.com")?.introspection(introspection).build()?;
    /// # Ok::<(), keybound::Misuse>(())
    /// ```
    #[must_use]
    pub fn introspection(self, introspection: Introspection) -> Self {
        Self { policy: self.policy.with_introspection(introspection), ..self }
    }

    /// The same, where `source` says what a token is.
    #[must_use]
    pub fn introspection_by(self, source: impl Introspect) -> Self {
        let mut builder = self.introspection(Introspection::by_host());
        builder.introspection = Some(Box::new(source));
        builder
    }

    /// Signs with this key what shows an authorization server who asks: for introspection with
    /// [`Credentials::private_key`](keybound::oauth::Credentials::private_key).
    #[must_use]
    pub fn signer(self, signer: impl Signer + Send + Sync + 'static) -> Self {
        Self { signer: Some(Arc::new(signer)), ..self }
    }

    /// Sends requests to authorization servers by this instead of reqwest. Needed without the feature `fetch`, unless all keys are given.
    #[must_use]
    pub fn transport(self, transport: impl Transport) -> Self {
        Self { transport: Some(Arc::new(transport)), ..self }
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

    /// Issues nonces with `issuer`, instead of one with a key made at the start. Processes that answer for one resource need the same
    /// keys, which [`Protection::nonces`] lets you rotate.
    #[must_use]
    pub fn nonces(self, issuer: NonceIssuer) -> Self {
        Self { nonces: Nonces::Given(issuer), ..self }
    }

    /// Asks for no nonces. Proofs made shortly before the server started are then refused with 503 for as long as they
    /// could have been used before: one `max_ahead` of the policy.
    #[must_use]
    pub fn without_nonces(self) -> Self {
        Self { nonces: Nonces::None, ..self }
    }

    /// Remembers proofs here: in a store that all processes of this resource share. One that is made for a policy, such as keybound-redis's, has
    /// to be made for that of [`proofs`](Self::proofs).
    #[must_use]
    pub fn replay_store<S>(self, store: S) -> Self
    where
        S: AsyncReplayStore + 'static,
        S::Error: fmt::Display,
    {
        Self { store: Store::Custom(Box::new(store)), ..self }
    }

    /// How many proofs the memory store holds, at least 1; a million by default. A full store refuses.
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

    /// Says that no earlier process served this resource, for tests: the memory store then takes proofs made before it from the first
    /// second on, also [without nonces](Self::without_nonces). See [`MemoryStore::danger_first_start`].
    ///
    /// # Security
    /// If one did, every proof used just before a restart can be used once more.
    #[must_use]
    pub fn danger_first_start(self) -> Self {
        Self { first_start: true, ..self }
    }

    /// Writes a record of each decision: see [`AuditLog`]. Otherwise nothing is kept for records.
    #[must_use]
    pub fn audit(self, log: AuditLog) -> Self {
        Self { audit: Some(log), ..self }
    }

    /// Counts decisions, and what the replay store does, by the `metrics` facade: for the recorder that the process has installed. Otherwise
    /// nothing is measured. The names are those of `docs/audit.md`.
    #[cfg(feature = "metrics")]
    #[must_use]
    pub fn metrics(self) -> Self {
        Self { meter: Meter::on(), ..self }
    }

    /// Limits the requests of each address to `rate` a second, and `burst` at once, whatever they are: IPv4 whole, IPv6 by its first 64 bits.
    /// What is more is refused with 429 and `Retry-After` before anything of it is read.
    ///
    /// The address is that of the connection ([`PeerAddress`](crate::PeerAddress), or axum's `ConnectInfo`), or what trusted proxies vouch for
    /// ([`TrustedProxies::client_addresses`](keybound::server::forwarded::TrustedProxies::client_addresses)). Requests without one share a limit.
    ///
    /// # Errors
    /// [`Misuse`] unless both are 1 to 1,000,000.
    pub fn limit_addresses(self, rate: u32, burst: u32) -> Result<Self, Misuse> {
        Ok(Self { guards: self.guards.limit_addresses(Limit::per_second(rate, burst)?), ..self })
    }

    /// Limits the admitted requests made with each key. Copies of a request that was seen are not charged to it, nor is what others sign.
    ///
    /// # Errors
    /// [`Misuse`] unless both are 1 to 1,000,000.
    pub fn limit_keys(self, rate: u32, burst: u32) -> Result<Self, Misuse> {
        Ok(Self { guards: self.guards.limit_keys(Limit::per_second(rate, burst)?), ..self })
    }

    /// Limits the requests with tokens of each client, whatever their keys: the last check, so that a refused request's proof is used up.
    ///
    /// # Errors
    /// [`Misuse`] unless both are 1 to 1,000,000.
    pub fn limit_clients(self, rate: u32, burst: u32) -> Result<Self, Misuse> {
        Ok(Self { guards: self.guards.limit_clients(Limit::per_second(rate, burst)?), ..self })
    }

    /// Leaves a replay store of your own alone while it fails: after some faults in a row requests are refused with 503 at once, until one that
    /// tries it finds it well.
    ///
    /// ```
    /// use keybound_tower::Protection;
    /// let builder = Protection::of("https://api.example.com")?
    ///     .limit_addresses(50, 100)?
    ///     .limit_keys(10, 20)?
    ///     .breaker(Default::default());
    /// # Ok::<(), keybound::Misuse>(())
    /// ```
    #[must_use]
    pub fn breaker(self, settings: BreakerSettings) -> Self {
        Self { guards: self.guards.breaker(settings), ..self }
    }

    /// Lets pages of other origins call: the layer answers their preflights itself, and its answers say who may read them. Without it, use a
    /// CORS layer outside of the protection's, which allows `Authorization` and `DPoP`.
    ///
    /// ```
    /// use keybound::server::cors::Cors;
    /// use keybound_tower::Protection;
    /// let builder = Protection::of("https://api.example.com")?.cors(Cors::of(&["https://app.example.com"])?);
    /// # Ok::<(), keybound::Misuse>(())
    /// ```
    #[must_use]
    pub fn cors(self, cors: Cors) -> Self {
        Self { cors: Some(cors), ..self }
    }

    /// Reads the time from here, for tests. Limits and the breaker then go by its seconds.
    #[must_use]
    pub fn clock(self, clock: impl Fn() -> UnixTime + Send + Sync + 'static) -> Self {
        Self { clock: Some(Box::new(clock)), ..self }
    }

    /// The protection.
    ///
    /// # Errors
    /// [`Misuse`] if it could never decide about a request: no issuer and no introspection, keys or answers that nothing can fetch,
    /// a policy that requires nonces without an issuer of them, an algorithm that the provider lacks, no provider; or if there is no
    /// randomness. [`Misuse::StoreDisagreement`] if the replay store is made for another policy than that of [`proofs`](Self::proofs).
    /// [`Misuse::LimitBehindProxies`] if addresses are limited behind proxies that do not say which.
    pub fn build(self) -> Result<Protection, Misuse> {
        let crypto = self.crypto.ok_or(Misuse::CryptoMissing)?;
        if self.transport.is_none() && self.policy.asks_over_network() {
            return Err(Misuse::TransportMissing);
        }
        self.guards.check_targets(&self.targets)?;
        // A clock for tests stands still unless it is moved; another is beside one that cannot be set.
        let started = self.clock.is_none().then(Instant::now);
        let clock = self.clock.unwrap_or_else(|| Box::new(UnixTime::now));
        let verifier = Verifier::new(self.proofs, &crypto).with_header_memory(Arc::new(HeaderMemory::new(HEADERS)));
        let verifier = match self.nonces {
            Nonces::Given(issuer) => verifier.with_nonces(issuer),
            Nonces::Own => verifier.with_nonces(own_nonces(&crypto, self.policy.resource())?),
            Nonces::None => verifier,
        };
        let (consumption, store) = match self.store {
            Store::Custom(store) => (Consumption::by_host().agreeing_on(store.agreed_on()), Some(store)),
            Store::None => (Consumption::danger_nowhere(), None),
            Store::Memory(0) => return Err(Misuse::PolicyBound("`replay_capacity` (at least 1)")),
            Store::Memory(capacity) => {
                let store = MemoryStore::new(capacity, verifier.replay_agreement(), crypto.random, clock())?;
                let store = if self.first_start { store.danger_first_start() } else { store };
                let store = match self.replay_shares {
                    Some(shares) => store.with_shares(shares)?,
                    None => store,
                };
                (Consumption::local(Arc::new(store)), None)
            }
        };
        let signer = self.signer.map(|signer| (signer.public_key().thumbprint(crypto.digest), signer));
        let (keys, introspection, transport) = (self.keys, self.introspection, self.transport);
        let (meter, epoch) = (self.meter, store.as_ref().map(|store| store.epoch_now()));
        let (shared, epoch) = (Mutex::default(), Mutex::new(epoch));
        let driver = Driver { clock, started, store, keys, introspection, signer, transport, shared, meter, epoch };
        let server = ResourceServer::new(self.policy, verifier, consumption)?.guarded_by(&self.guards)?;
        let (server, audit) = match self.audit.map(|log| log.begin(meter)) {
            Some((audit, writers)) => (server.audited(audit), Some(writers)),
            // How far clocks are apart is counted without records, too.
            None if meter.is_on() => (server.audited(Audit::without_key()), None),
            None => (server, None),
        };
        let watch = Watch { audit, meter };
        Ok(Protection::new(Setup { targets: self.targets, driver: Arc::new(driver), server, watch, cors: self.cors }))
    }
}

fn default_transport() -> Option<Arc<dyn Transport>> {
    #[cfg(feature = "fetch")]
    return Some(Arc::new(crate::transport::Http::default()));
    #[cfg(not(feature = "fetch"))]
    None
}

/// An issuer with a key of its own, for one process.
fn own_nonces(crypto: &Crypto, resource: &str) -> Result<NonceIssuer, Misuse> {
    let key = NonceKey::generate(1, crypto.random).map_err(|_| Misuse::Random)?;
    Ok(NonceIssuer::new(crypto.mac, NonceKeys::new(key), resource))
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("policy", &self.policy).field("proofs", &self.proofs).finish_non_exhaustive()
    }
}
