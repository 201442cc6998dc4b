//! A protected resource: a request in, a principal or the answer to send out.

use std::sync::{Mutex, PoisonError};

use keybound::flow::step::Step;
use keybound::intent::Intent as CoreIntent;
use keybound::json::Value;
use keybound::replay::{Inserted, Insertion, ReplayStore, StoreEpoch};
use keybound::server::forwarded::{Family, Hop, TrustedProxies};
use keybound::server::resource::{self, IncomingRequest, Principal, ResourcePolicy, Schemes};
use keybound::server::route::Routing;
use keybound::server::source::{RequestHead, TargetSource};
use keybound::server::{self, Consumption};
use keybound::{Crypto, TargetUri, UnixTime};

use crate::error::Error;
use crate::intent::Intent;
use crate::issuers::with_sources;
use crate::plain::{Options, one_of, pairs};
use crate::replay::{Entry, MemoryStore};
use crate::verify::{Refusal, epoch_of, insertion_of, verifier_of};

const OPTIONS: &[&str] = &[
    "resource",
    "issuers",
    "introspection",
    "introspection_profile",
    "allow_loopback",
    "danger_no_replay_store",
    "schemes",
    "audiences",
    "token_algorithms",
    "leeway",
    "require_client_id",
    "realm",
    "challenge_scope",
    "publish_metadata",
    "scopes",
    "name",
    "documentation",
    "intents_at",
    "origin",
    "also_origins",
    "path_prefix",
    "mount_path",
    "proxies",
];

/// The keys of an issuer.
#[derive(Debug)]
pub struct JwkSet(server::JwkSet);

impl JwkSet {
    /// Reads a JWK set (RFC 7517 section 5).
    ///
    /// # Errors
    /// The issuer's fault.
    pub fn parse(json: &[u8]) -> Result<Self, Error> {
        let set = server::JwkSet::parse(json);
        set.map(Self).map_err(|error| Error::new(crate::Kind::Host, "keys_malformed", error.to_string()))
    }
}

/// Admits requests to a resource.
#[derive(Debug)]
pub struct ResourceServer {
    pub(crate) core: resource::ResourceServer,
    pub(crate) targets: TargetSource,
    epoch: StoreEpoch,
    pub(crate) crypto: Crypto,
}

/// Where a request stands.
pub struct Access {
    state: Mutex<State>,
    epoch: StoreEpoch,
    crypto: Crypto,
}

enum State {
    Open(resource::Access),
    Granted(Box<Principal>),
    Refused(Refusal),
    Used,
}

impl ResourceServer {
    /// A resource. `options` is an object with `resource` (its identifier) and any of `issuers` (URLs, or objects with `issuer` and
    /// any of `profile`, `jwks_uri`, `keys`: a JWK Set, or `host` for `ask` steps), `introspection` (`true` for `ask` steps, or an object
    /// with `url` or `issuer`, `client_id`, `client_secret`, and any of `authentication`, `remembered_for`), `introspection_profile`,
    /// `allow_loopback` (false permits no `http` server on this machine), `danger_no_replay_store` (true remembers no proofs: anyone who
    /// sees a request can repeat it until its proof is too old), `schemes` (`dpop`, `dpop_and_bearer`, `bearer`), `audiences`,
    /// `token_algorithms`, `leeway`, `require_client_id`, `realm`, `challenge_scope`,
    /// `publish_metadata`, `scopes`, `name`, `documentation`, `intents_at` (paths whose handlers compare requests with the
    /// `authorization_details` of tokens and use them up; elsewhere such tokens are refused), and for the targets of requests
    /// `origin` (that of `resource` otherwise), `also_origins`, `path_prefix`, `mount_path` and `proxies`: an object with
    /// `addresses` (`10.0.0.1`, `10.0.0.0/8`), `family`
    /// (`forwarded`, `x_forwarded`, `x_forwarded_with_port`) and `hops` (which value counts, from the right, where proxies append; 0 where
    /// they replace what came in).
    ///
    /// `verifier` are the options of a [`Verifier`](crate::Verifier), and `epoch` is that of the replay store, and `store` one of this process: without it the host inserts entries.
    ///
    /// # Errors
    /// Misuse names what cannot be used.
    pub fn new(
        options: &str,
        verifier: &str,
        epoch: Option<&str>,
        store: Option<&MemoryStore>,
        crypto: &Crypto,
    ) -> Result<Self, Error> {
        let options = Options::parse(options, OPTIONS)?;
        let mut policy = ResourcePolicy::new(options.needed("resource")?)?;
        policy = with_sources(policy, &options)?;
        if let Some(name) = options.text("schemes")? {
            let table =
                [("dpop", Schemes::DpopOnly), ("dpop_and_bearer", Schemes::Both), ("bearer", Schemes::BearerOnly)];
            policy = policy.with_schemes(one_of("schemes", name, &table)?);
        }
        for audience in options.texts("audiences")? {
            policy = policy.with_audience(audience);
        }
        if let Some(algorithms) = options.algorithms("token_algorithms")? {
            policy = policy.with_token_algorithms(algorithms)?;
        }
        if let Some(seconds) = options.number("leeway")? {
            policy = policy.with_leeway(seconds)?;
        }
        if options.flag("require_client_id")? {
            policy = policy.requiring_client_id();
        }
        if let Some(realm) = options.text("realm")? {
            policy = policy.with_realm(realm)?;
        }
        if let Some(scope) = options.text("challenge_scope")? {
            policy = policy.with_challenge_scope(scope)?;
        }
        if options.flag("publish_metadata")? {
            policy = policy.publishing_metadata();
        }
        policy = policy.with_scopes(&options.texts("scopes")?);
        if let Some(name) = options.text("name")? {
            policy = policy.with_name(name);
        }
        if let Some(url) = options.text("documentation")? {
            policy = policy.with_documentation(url);
        }
        for path in options.texts("intents_at")? {
            policy = policy.with_intents_at(path)?;
        }
        let targets = targets(&options, policy.resource())?;
        let consumption = match store {
            _ if options.flag("danger_no_replay_store")? => Consumption::danger_nowhere(),
            Some(store) => Consumption::local(store.core.clone()),
            None => Consumption::by_host(),
        };
        let core = resource::ResourceServer::new(policy, verifier_of(verifier, crypto)?, consumption)?;
        Ok(Self { core, targets, epoch: epoch_of(epoch)?, crypto: *crypto })
    }

    /// Takes a request whose target URI the host knows.
    pub fn receive(&self, method: &str, url: &str, fields: &[(&str, &[u8])], now: i64) -> Access {
        self.judge(method, TargetUri::parse(url).ok(), fields, now)
    }

    /// Takes a request with its raw target as received (`/a%2Fb?c`), which never is a decoded path. The origin comes from the
    /// options, or from the trusted proxies they name; `peer` is the address of the connection.
    pub fn receive_raw(
        &self,
        method: &str,
        raw_target: &[u8],
        peer: Option<&str>,
        fields: &[(&str, &[u8])],
        now: i64,
    ) -> Access {
        let head = RequestHead { peer: peer.and_then(|peer| peer.parse().ok()), raw_target, fields };
        self.judge(method, self.targets.resolve(&head).ok(), fields, now)
    }

    fn judge(&self, method: &str, target: Option<TargetUri>, fields: &[(&str, &[u8])], now: i64) -> Access {
        let access = match target {
            None => resource::Access::Refused(self.core.refuse_target()),
            Some(target) => {
                let mut request = IncomingRequest::new(method, &target, fields);
                request.epoch = self.epoch;
                self.core.receive(&request, UnixTime::from_secs(now))
            }
        };
        Access { state: Mutex::new(State::of(access)), epoch: self.epoch, crypto: self.crypto }
    }

    /// The path that the application routes a request by, once it is known that the request did not choose its mount point: `mount_path` and
    /// `path` are what the server's interface states, decoded (see [`TargetSource::route`]). Ask this before anything is looked up by path.
    ///
    /// # Errors
    /// The answer to send: 400.
    pub fn route(&self, raw_target: &[u8], mount_path: &[u8], path: &[u8]) -> Result<String, Refusal> {
        let routed = self.targets.route(&Routing { raw_target, mount_path, path });
        routed.map_err(|error| Refusal::of(&self.core.refuse_route(error)))
    }

    /// The same as an object with `path` or `refusal`, in JSON.
    pub fn route_json(&self, raw_target: &[u8], mount_path: &[u8], path: &[u8]) -> String {
        let answer = match self.route(raw_target, mount_path, path) {
            Ok(path) => Value::object().with("path", path),
            Err(refusal) => Value::object().with("refusal", refusal.to_value()),
        };
        answer.to_json()
    }

    /// The answer to a principal that lacks one of `scopes`: 403. None, if it has them all.
    ///
    /// # Errors
    /// Misuse, if access is not granted.
    pub fn require_scopes(&self, access: &Access, scopes: &[&str]) -> Result<Option<Refusal>, Error> {
        access
            .granted(|principal| self.core.require_scopes(principal, scopes).err().map(|refusal| Refusal::of(&refusal)))
    }

    /// Compares a request, body included, with the intent that its token carries; `url` is the whole URL, query included. The entry
    /// goes into the replay store, and the answer to [`used_up`](Self::used_up): only then the intent is carried out.
    ///
    /// # Errors
    /// The rejection, with the refusal to send; misuse, if access is not granted.
    pub fn carry_out(&self, access: &Access, method: &str, url: &str, body: &[u8], now: i64) -> Result<Entry, Error> {
        let now = UnixTime::from_secs(now);
        access.granted(|principal| match self.core.carry_out(principal, method, url, body, now)? {
            Step::Insert(insert) => Ok(Entry::of(insert.entry())),
            Step::Done(Err(refusal)) => Err(Refusal::of(&refusal).into_error()),
            _ => Err(Error::already_used()),
        })?
    }

    /// Whether the intent is carried out, by what the store answered to the entry of the same request: `fresh`, `seen`,
    /// `unavailable`, `full` or `before_floor`.
    ///
    /// # Errors
    /// The rejection, with the refusal to send; misuse for another word, or if access is not granted.
    pub fn used_up(
        &self,
        access: &Access,
        method: &str,
        url: &str,
        body: &[u8],
        insertion: &str,
        now: i64,
    ) -> Result<(), Error> {
        let (insertion, now) = (insertion_of(insertion)?, UnixTime::from_secs(now));
        access.granted(|principal| {
            let settled = match self.core.carry_out(principal, method, url, body, now)? {
                Step::Insert(insert) => insert.resume(Inserted::new(insertion, self.epoch), now)?,
                decided => decided,
            };
            let settled = settled.finished().ok_or_else(Error::already_used)?;
            settled.map(drop).map_err(|refusal| Refusal::of(&refusal).into_error())
        })?
    }

    /// The answer to a principal whose token the host knows to be revoked: 401.
    ///
    /// # Errors
    /// Misuse, if access is not granted.
    pub fn refuse_revoked(&self, access: &Access) -> Result<Refusal, Error> {
        access.granted(|principal| Refusal::of(&self.core.refuse_revoked(principal)))
    }

    /// The metadata document (RFC 9728 section 2), to be served as JSON at [`metadata_path`](Self::metadata_path).
    pub fn metadata(&self) -> String {
        self.core.metadata().to_json()
    }

    /// The URL of the metadata.
    pub fn metadata_url(&self) -> String {
        self.core.policy().metadata_url()
    }

    /// The path of that URL.
    pub fn metadata_path(&self) -> String {
        self.core.policy().metadata_path()
    }
}

impl Access {
    /// Where it stands: an object with `state` and
    ///
    /// | `state` | members | go on with |
    /// |---|---|---|
    /// | `keys` | `issuer`, `kid`, `algorithm` | [`keys`](Self::keys) |
    /// | `introspection` | `token`, a secret | [`introspected`](Self::introspected) |
    /// | `insert` | those of an [`Entry`] | [`settle`](Self::settle), [`insert_into`](Self::insert_into) |
    /// | `granted` | `principal` | |
    /// | `refused` | `refusal` | |
    ///
    /// # Errors
    /// Misuse, if it was used already.
    pub fn state(&self) -> Result<String, Error> {
        self.lock().shown().map(|state| state.to_json()).ok_or_else(Error::already_used)
    }

    /// What goes into the replay store, in the state `insert`.
    pub fn entry(&self) -> Option<Entry> {
        match &*self.lock() {
            State::Open(resource::Access::Pending(pending)) => Some(Entry::of(pending.replay_entry())),
            _ => None,
        }
    }

    /// Whether `keys` can answer. If not, the issuer's set is to be fetched anew, but not more often than once in a while: anyone
    /// can send a token with an invented `kid`.
    pub fn is_answered_by(&self, keys: &JwkSet) -> bool {
        matches!(&*self.lock(), State::Open(resource::Access::NeedsKeys(wanted)) if wanted.is_answered_by(&keys.0))
    }

    /// Goes on with the issuer's keys.
    ///
    /// # Errors
    /// Misuse in another state.
    pub fn keys(&self, keys: &JwkSet, now: i64) -> Result<(), Error> {
        self.advance(|access| match access {
            resource::Access::NeedsKeys(wanted) => Ok(State::of(wanted.resume(&keys.0, UnixTime::from_secs(now)))),
            other => Err(Box::new(other)),
        })
    }

    /// Goes on with the body of the introspection endpoint's answer, whose status was 200.
    ///
    /// # Errors
    /// Misuse in another state.
    pub fn introspected(&self, answer: &[u8], now: i64) -> Result<(), Error> {
        self.advance(|access| match access {
            resource::Access::NeedsIntrospection(wanted) => {
                Ok(State::of(wanted.resume(answer, UnixTime::from_secs(now))))
            }
            other => Err(Box::new(other)),
        })
    }

    /// Refuses the request with 503, because keys or introspection cannot be had.
    ///
    /// # Errors
    /// Misuse in another state.
    pub fn unavailable(&self) -> Result<(), Error> {
        self.advance(|access| match access {
            resource::Access::NeedsKeys(wanted) => Ok(State::Refused(Refusal::of(&wanted.unavailable()))),
            resource::Access::NeedsIntrospection(wanted) => Ok(State::Refused(Refusal::of(&wanted.unavailable()))),
            other => Err(Box::new(other)),
        })
    }

    /// Admits or refuses the request by the replay store's answer: `fresh`, `seen`, `unavailable`, `full`, `share_full` or `before_floor`.
    ///
    /// # Errors
    /// Misuse for another word or in another state.
    pub fn settle(&self, insertion: &str, now: i64) -> Result<(), Error> {
        let insertion = insertion_of(insertion)?;
        self.settle_with(|_| insertion, now)
    }

    /// Consumes the proof in a store of this process.
    ///
    /// # Errors
    /// Misuse in another state.
    pub fn insert_into(&self, store: &MemoryStore, now: i64) -> Result<(), Error> {
        let time = UnixTime::from_secs(now);
        let insert = |entry: &keybound::replay::ReplayEntry| {
            let Ok(inserted) = store.core.insert(entry, time);
            inserted.insertion
        };
        self.settle_with(insert, now)
    }

    /// Admits the request without a replay store: anyone who sees it can repeat it until its proof is too old.
    ///
    /// # Errors
    /// Misuse in another state.
    pub fn danger_skip_replay_check(&self) -> Result<(), Error> {
        self.advance(|access| match access {
            resource::Access::Pending(pending) => Ok(State::Granted(Box::new(pending.danger_skip_replay_check()))),
            other => Err(Box::new(other)),
        })
    }

    fn settle_with(
        &self,
        insert: impl FnOnce(&keybound::replay::ReplayEntry) -> Insertion,
        now: i64,
    ) -> Result<(), Error> {
        self.advance(|access| match access {
            resource::Access::Pending(pending) => {
                let inserted = Inserted::new(insert(pending.replay_entry()), self.epoch);
                Ok(match pending.settle(inserted, UnixTime::from_secs(now)) {
                    Ok(principal) => State::Granted(Box::new(principal)),
                    Err(refusal) => State::Refused(Refusal::of(&refusal)),
                })
            }
            other => Err(Box::new(other)),
        })
    }

    /// The intent that the token carries.
    ///
    /// # Errors
    /// The peer's fault, if it carries none; misuse, if access is not granted.
    pub fn intent(&self) -> Result<Intent, Error> {
        let intent = self.granted(CoreIntent::of_token)??;
        Ok(Intent::from_core(intent, &self.crypto))
    }

    fn granted<T>(&self, read: impl FnOnce(&Principal) -> T) -> Result<T, Error> {
        match &*self.lock() {
            State::Granted(principal) => Ok(read(principal)),
            _ => Err(Error::misuse("not_granted", "access is not granted; drive the request to its end first")),
        }
    }

    fn advance(
        &self,
        step: impl FnOnce(resource::Access) -> Result<State, Box<resource::Access>>,
    ) -> Result<(), Error> {
        let mut state = self.lock();
        match std::mem::replace(&mut *state, State::Used) {
            State::Open(access) => match step(access) {
                Ok(next) => {
                    *state = next;
                    Ok(())
                }
                Err(access) => {
                    *state = State::Open(*access);
                    Err(Error::misuse("reply_mismatch", "the request waits for something else; look at its state"))
                }
            },
            other => {
                *state = other;
                Err(Error::already_used())
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn of(access: resource::Access) -> Self {
        match access {
            resource::Access::Granted(principal) => Self::Granted(principal),
            resource::Access::Refused(refusal) => Self::Refused(Refusal::of(&refusal)),
            open => Self::Open(open),
        }
    }

    fn shown(&self) -> Option<Value> {
        let state = |name: &str| Value::object().with("state", name);
        Some(match self {
            Self::Open(resource::Access::NeedsKeys(wanted)) => state("keys")
                .with("issuer", wanted.issuer())
                .with_some("kid", wanted.kid())
                .with("algorithm", wanted.algorithm().name()),
            Self::Open(resource::Access::NeedsIntrospection(wanted)) => {
                state("introspection").with("token", wanted.token())
            }
            Self::Open(resource::Access::Pending(pending)) => {
                state("insert").with("entry", Entry::of(pending.replay_entry()).to_value())
            }
            Self::Granted(principal) => state("granted").with("principal", described(principal)),
            Self::Refused(refusal) => state("refused").with("refusal", refusal.to_value()),
            Self::Open(_) | Self::Used => return None,
        })
    }
}

pub(crate) fn described(principal: &Principal) -> Value {
    Value::object()
        .with_some("subject", principal.subject())
        .with_some("client_id", principal.client_id())
        .with_some("issuer", principal.issuer())
        .with("audience", principal.audience().collect::<Value>())
        .with("scopes", principal.scopes().collect::<Value>())
        .with_some("expires_at", principal.expires_at())
        .with_some("thumbprint", principal.thumbprint().map(|thumbprint| thumbprint.to_string()))
        .with_some("authorization_details", principal.authorization_details().cloned())
        .with("claims", principal.claims().clone())
        .with("headers", pairs(principal.headers().into_iter()))
}

/// Where targets come from: the configured origin, or trusted proxies.
fn targets(options: &Options, resource: &str) -> Result<TargetSource, Error> {
    let unusable = |error: keybound::http::uri::UriError| Error::misuse("origin_unusable", error.to_string());
    let own = keybound::http::url::Url::parse(resource).map(|url| url.origin().to_owned()).unwrap_or_default();
    let mut targets = TargetUri::fixed(options.text("origin")?.unwrap_or(&own)).map_err(unusable)?;
    for origin in options.texts("also_origins")? {
        targets = targets.also_origin(origin).map_err(unusable)?;
    }
    if let Some(prefix) = options.text("path_prefix")? {
        targets = targets.path_prefix(prefix).map_err(unusable)?;
    }
    if let Some(mount_path) = options.text("mount_path")? {
        targets = targets.mounted_at(mount_path).map_err(|_| {
            Error::misuse("mount_path_unusable", "a mount point is written /app, decoded: it begins with a slash, does not end with one, and has no dot segments")
        })?;
    }
    let Some(given) = options.value("proxies") else { return Ok(targets) };
    let given = Options::of(given.clone(), &["addresses", "family", "hops"])?;
    let families = [
        ("forwarded", Family::Forwarded),
        ("x_forwarded", Family::XForwarded),
        ("x_forwarded_with_port", Family::XForwardedWithPort),
    ];
    let hops = given.number("hops")?.unwrap_or(0);
    let hop = match u8::try_from(hops).unwrap_or(u8::MAX) {
        0 => Hop::Only,
        places => Hop::FromRight(places),
    };
    let mut proxies = TrustedProxies::new(one_of("a family", given.needed("family")?, &families)?, hop);
    for address in given.texts("addresses")? {
        let wrong = || Error::misuse("wrong_type", "an address is written like 10.0.0.1, 10.0.0.0/8 or fd00::/8");
        let (network, bits) = address.split_once('/').unwrap_or((address, ""));
        let network: std::net::IpAddr = network.parse().map_err(|_| wrong())?;
        proxies = match bits {
            "" => proxies.address(network),
            bits => proxies.network(network, bits.parse().map_err(|_| wrong())?),
        };
    }
    Ok(targets.behind(proxies))
}
