//! What the servers remember, all of it bounded and in memory.

use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use keybound::flow::step::Step;
use keybound::http::form::Form;
use keybound::http::url::Url;
use keybound::intent::Intent;
use keybound::json::Value;
use keybound::key::Signer;
use keybound::key::soft::SoftKey;
use keybound::nonce::issuer::{NonceIssuer, NonceKey, NonceKeys};
use keybound::oauth::FlowError;
use keybound::replay::memory::MemoryStore;
use keybound::replay::{Inserted, Insertion, ReplayEntry, ReplayStore};
use keybound::server::authorization::{AuthorizationServer, EndpointPolicy};
use keybound::server::resource::{ResourcePolicy, ResourceServer, Schemes};
use keybound::server::{Arrival, Consumption, JwkSet, KeySource};
use keybound::{
    Algorithm, Misuse, Policy, RUSTCRYPTO, SecurityLevel, TargetUri, Thumbprint, UnixTime, Verifier, base64url,
};

use super::api::INTENTS;
use super::client::Client;
use super::fault::Faults;
use super::http::{Incoming, Outgoing};
use super::options::Options;
use super::place::Places;

/// How many things of one kind are remembered.
const MAX_KEPT: usize = 10_000;
/// How many proofs are remembered.
const MAX_PROOFS: usize = 200_000;
/// The identifier of the key that signs access tokens.
pub(super) const KEY_ID: &str = "serve-1";

/// Both servers.
#[derive(Debug)]
pub(super) struct State {
    pub(super) issuer: String,
    pub(super) resource: String,
    /// What stands for a URL that is none.
    root: TargetUri,
    pub(super) places: Places,
    pub(super) options: Options,
    pub(super) signer: SoftKey,
    pub(super) keys: JwkSet,
    pub(super) proofs: MemoryStore,
    judges: RwLock<Judges>,
    faults: RwLock<Faults>,
    kept: Mutex<Kept>,
    /// How many refresh tokens were redeemed.
    pub(super) redeemed: AtomicU64,
}

/// What judges proofs, with the nonces that are taken now.
#[derive(Debug)]
struct Judges {
    authorization: AuthorizationServer,
    resource: ResourceServer,
    key_id: u8,
}

/// What is remembered between requests.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub(super) clients: Bounded<Client>,
    /// Identifiers whose documents could not be had a moment ago.
    pub(super) undescribed: Bounded<()>,
    pub(super) pushed: Bounded<Pushed>,
    pub(super) tickets: Bounded<Pushed>,
    pub(super) codes: Bounded<Code>,
    pub(super) devices: Bounded<Device>,
    pub(super) refresh: Bounded<Refresh>,
    pub(super) access: Bounded<Access>,
    pub(super) assertions: Bounded<()>,
}

/// An authorization request that was pushed, or waits for the user's decision.
#[derive(Clone, Debug)]
pub(super) struct Pushed {
    pub(super) client_id: String,
    pub(super) form: Form,
    pub(super) key: Option<Thumbprint>,
    /// It was not pushed at all but came with the browser.
    pub(super) by_redirect: bool,
}

/// What a token will be good for.
#[derive(Clone, Debug)]
pub(super) struct Granted {
    pub(super) client_id: String,
    pub(super) subject: String,
    pub(super) scope: String,
    pub(super) audience: String,
    pub(super) details: Option<Value>,
    /// Who acts for the subject (RFC 8693 section 4.1).
    pub(super) actor: Option<Value>,
    /// All tokens that come of one approval.
    pub(super) family: String,
}

#[derive(Clone, Debug)]
pub(super) struct Code {
    pub(super) granted: Granted,
    pub(super) redirect_uri: Option<String>,
    pub(super) challenge: String,
    pub(super) key: Option<Thumbprint>,
    pub(super) intent: Option<Intent>,
    pub(super) expires: UnixTime,
    pub(super) used: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Device {
    pub(super) granted: Granted,
    pub(super) user_code: String,
    pub(super) key: Option<Thumbprint>,
    pub(super) approved: Option<bool>,
    pub(super) approves_itself: Option<UnixTime>,
    pub(super) asked: UnixTime,
    pub(super) interval: u64,
    pub(super) expires: UnixTime,
}

#[derive(Clone, Debug)]
pub(super) struct Refresh {
    pub(super) granted: Granted,
    pub(super) key: Option<Thumbprint>,
    pub(super) used: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Access {
    pub(super) granted: Granted,
    pub(super) key: Option<Thumbprint>,
    pub(super) claims: Value,
    pub(super) revoked: bool,
}

/// A map that forgets what has ended and refuses when it is full.
#[derive(Debug)]
pub(super) struct Bounded<V>(HashMap<String, (V, UnixTime)>);

impl<V> Default for Bounded<V> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<V> Bounded<V> {
    /// Keeps a value until `until`.
    pub(super) fn insert(&mut self, name: &str, value: V, until: UnixTime, now: UnixTime) -> Result<(), Outgoing> {
        if self.0.len() >= MAX_KEPT {
            self.0.retain(|_, (_, end)| now < *end);
        }
        if self.0.len() >= MAX_KEPT {
            return Err(Outgoing::error(503, "temporarily_unavailable", "this development server is full; restart it"));
        }
        self.0.insert(name.into(), (value, until));
        Ok(())
    }

    pub(super) fn get(&self, name: &str, now: UnixTime) -> Option<&V> {
        self.0.get(name).filter(|(_, end)| now < *end).map(|(value, _)| value)
    }

    pub(super) fn get_mut(&mut self, name: &str, now: UnixTime) -> Option<&mut V> {
        self.0.get_mut(name).filter(|(_, end)| now < *end).map(|(value, _)| value)
    }

    pub(super) fn take(&mut self, name: &str, now: UnixTime) -> Option<V> {
        self.0.remove(name).filter(|(_, end)| now < *end).map(|(value, _)| value)
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = (&String, &mut V)> {
        self.0.iter_mut().map(|(name, (value, _))| (name, value))
    }

    pub(super) fn retain(&mut self, mut keep: impl FnMut(&V) -> bool) {
        self.0.retain(|_, (value, _)| keep(value));
    }
}

impl State {
    pub(super) fn new(origin: &str, options: Options) -> Result<Self, Misuse> {
        if options.level == SecurityLevel::Maximum && !options.nonces {
            return Err(Misuse::NonceIssuerMissing);
        }
        let signer = SoftKey::generate(Algorithm::Es256, &RUSTCRYPTO)?;
        let keys = JwkSet::default().with_key(Some(KEY_ID), signer.public_key().clone());
        let resource = options.resource.clone().unwrap_or_else(|| format!("{origin}/api"));
        let judges = Judges::new(origin, &resource, &keys, &options, 1)?;
        let agreement = judges.authorization.replay_agreement();
        // Nothing was issued before this moment, so nothing can have been used: the first proofs need not wait.
        let floor = UnixTime::from_secs(0);
        let proofs = MemoryStore::new(MAX_PROOFS, agreement, RUSTCRYPTO.random, floor).map_err(|_| Misuse::Random)?;
        let state = Self {
            places: Places::new(origin, &resource)?,
            issuer: origin.into(),
            resource,
            root: TargetUri::parse(&format!("{origin}/")).map_err(Misuse::Target)?,
            signer,
            keys,
            proofs,
            judges: RwLock::new(judges),
            faults: RwLock::new(options.faults.clone()),
            kept: Mutex::default(),
            redeemed: AtomicU64::new(0),
            options,
        };
        for known in state.options.clients.clone() {
            state.add_client(&known.client_id, Client::with_secret(known.secret))?;
        }
        for known in state.options.public_clients.clone() {
            state.add_client(&known.client_id, Client::public(known.redirect_uris))?;
        }
        Ok(state)
    }

    fn add_client(&self, id: &str, client: Client) -> Result<(), Misuse> {
        let (now, never) = (self.now(), UnixTime::from_secs(i64::MAX));
        self.kept().clients.insert(id, client, never, now).map_err(|_| Misuse::Name)
    }

    /// Whether tokens are issued for this resource.
    pub(super) fn is_resource(&self, name: &str) -> bool {
        self.resources().any(|known| known == name)
    }

    /// What tokens are issued for, the API here first.
    pub(super) fn resources(&self) -> impl Iterator<Item = &str> {
        [&self.resource].into_iter().chain(&self.options.also_resources).map(String::as_str)
    }

    /// The servers' clock.
    pub(super) fn now(&self) -> UnixTime {
        UnixTime::from_secs(self.options.clock.now().secs().saturating_add(self.faults().clock_skew))
    }

    /// The client with this identifier.
    pub(super) fn client(&self, id: &str) -> Option<Client> {
        self.kept().clients.get(id, self.now()).cloned()
    }

    /// The URL of the endpoint that a request came to, as clients know it.
    pub(super) fn target(&self, request: &Incoming) -> TargetUri {
        TargetUri::parse(&request.url).unwrap_or_else(|_| self.root.clone())
    }

    /// Whether this client gets bound tokens alone.
    pub(super) fn must_bind(&self, client: &Client) -> bool {
        client.must_bind || self.options.level == SecurityLevel::Maximum
    }

    pub(super) fn faults(&self) -> Faults {
        self.faults.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_faults(&self, faults: Faults) {
        *self.faults.write().unwrap_or_else(PoisonError::into_inner) = faults;
    }

    pub(super) fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn authorization(&self) -> AuthorizationServer {
        self.judges.read().unwrap_or_else(PoisonError::into_inner).authorization.clone()
    }

    pub(super) fn api(&self) -> ResourceServer {
        self.judges.read().unwrap_or_else(PoisonError::into_inner).resource.clone()
    }

    /// Makes every nonce issued so far worthless, if that is the fault.
    pub(super) fn spend_nonces(&self) -> Result<(), Outgoing> {
        if !self.faults().new_nonce_each_call || !self.options.nonces {
            return Ok(());
        }
        let mut judges = self.judges.write().unwrap_or_else(PoisonError::into_inner);
        let next = judges.key_id.wrapping_add(1).max(1);
        *judges = Judges::new(&self.issuer, &self.resource, &self.keys, &self.options, next)
            .map_err(|_| Outgoing::error(503, "temporarily_unavailable", "there is no randomness"))?;
        Ok(())
    }

    /// Carries out a flow of this server, which knows its own keys and asks for nothing but its store.
    pub(super) fn decided<T>(&self, begun: Result<Step<T>, FlowError>) -> Result<T, Outgoing> {
        let ended = |_| Outgoing::error(500, "server_error", "a flow of this server asks for what it has not");
        let mut step = begun.map_err(ended)?;
        loop {
            step = match step {
                Step::Done(result) => return Ok(result),
                Step::Insert(insert) => {
                    let inserted = self.consume(insert.entry(), self.now());
                    insert.resume(inserted, self.now()).map_err(ended)?
                }
                _ => return Err(ended(FlowError::Interrupted)),
            };
        }
    }

    /// How every request arrives: in the present life of the store.
    pub(super) fn arrival(&self) -> Arrival {
        Arrival::in_epoch(self.proofs.epoch())
    }

    /// Consumes a proof, or says that it cannot, if that is the fault.
    pub(super) fn consume(&self, entry: &ReplayEntry, now: UnixTime) -> Inserted {
        let Ok(inserted) = self.proofs.insert(entry, now);
        let insertion = if self.faults().store_failing { Insertion::Unavailable } else { inserted.insertion };
        Inserted { insertion, ..inserted }
    }

    pub(super) fn revoke_access_tokens(&self) {
        self.kept().access.values_mut().for_each(|(_, access)| access.revoked = true);
    }

    /// Takes back everything that came of one approval.
    pub(super) fn revoke_family(kept: &mut Kept, family: &str) {
        kept.refresh.retain(|refresh| refresh.granted.family != family);
        for (_, access) in kept.access.values_mut() {
            access.revoked |= access.granted.family == family;
        }
    }
}

impl Judges {
    fn new(issuer: &str, resource: &str, keys: &JwkSet, options: &Options, key_id: u8) -> Result<Self, Misuse> {
        let (proofs, schemes) = match options.level {
            SecurityLevel::Standard => (Policy::default(), Schemes::Both),
            SecurityLevel::Enhanced => (Policy::default(), Schemes::DpopOnly),
            SecurityLevel::Maximum => (Policy::fapi2(), Schemes::DpopOnly),
        };
        let mut of_tokens = Verifier::new(proofs.clone(), &RUSTCRYPTO);
        let mut verifier = Verifier::new(proofs, &RUSTCRYPTO);
        if options.nonces {
            let issuer_of = |namespace: &str| {
                let key = NonceKey::generate(key_id, RUSTCRYPTO.random).map_err(|_| Misuse::Random)?;
                Ok::<_, Misuse>(NonceIssuer::new(RUSTCRYPTO.mac, NonceKeys::new(key), namespace))
            };
            of_tokens = of_tokens.with_nonces(issuer_of(issuer)?);
            verifier = verifier.with_nonces(issuer_of(resource)?);
        }
        let path = Url::parse(resource).map_err(Misuse::Target)?.path().trim_end_matches('/').to_owned();
        // It is asked for with others, and is none of the API's.
        let scopes = options.scopes.iter().map(String::as_str).filter(|name| *name != "offline_access");
        let scopes: Vec<&str> = scopes.collect();
        let policy = ResourcePolicy::new(resource)?
            .with_intents_at(&format!("{path}{INTENTS}"))?
            .with_issuer_keys(issuer, KeySource::Given(keys.clone()))?
            .with_schemes(schemes)
            .with_scopes(&scopes)
            .with_name("keybound serve")
            .publishing_metadata();
        Ok(Self {
            authorization: AuthorizationServer::new(EndpointPolicy::new(), of_tokens, Consumption::by_host())?,
            resource: ResourceServer::new(policy, verifier, Consumption::by_host())?,
            key_id,
        })
    }
}

/// A new unguessable name.
pub(super) fn unguessable() -> Result<String, Outgoing> {
    let mut bytes = [0; 32];
    let unavailable = |_| Outgoing::error(503, "temporarily_unavailable", "there is no randomness");
    RUSTCRYPTO.random.fill(&mut bytes).map_err(unavailable)?;
    Ok(base64url::encode(&bytes))
}
