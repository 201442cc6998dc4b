//! A protected resource: a request in, a principal or the answer to send out.

use keybound::json::Value;
use keybound::server::Consumption;
use keybound::server::cors::Cors;
use keybound::server::forwarded::{Family, Hop, TrustedProxies};
pub use keybound::server::public::PublicPaths;
use keybound::server::resource::{self, EXPOSED_FIELDS, Principal, ResourcePolicy, Schemes};
use keybound::server::route::Routing;
use keybound::server::source::TargetSource;
use keybound::{Crypto, TargetUri};

use crate::audit::Notes;
use crate::cors::{Crossing, cors_of};
use crate::error::{Error, Own};
use crate::guards::{self, guards_of};
use crate::issuers::with_sources;
use crate::plain::{Options, one_of, pairs};
use crate::replay::MemoryStore;
use crate::verify::{Refusal, verifier_at};

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
    "audit",
    "cors",
    guards::LIMIT_CLIENTS,
];

/// Admits requests to a resource.
#[derive(Debug)]
pub struct ResourceServer {
    pub(crate) core: resource::ResourceServer,
    pub(crate) targets: TargetSource,
    pub(crate) crypto: Crypto,
    pub(crate) notes: Notes,
    pub(crate) cors: Option<Cors>,
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
    /// (`forwarded`, `x_forwarded`, `x_forwarded_with_port`), `hops` (which value counts, from the right, where proxies append; 0 where
    /// they replace what came in) and `client_addresses` (true if they set `X-Forwarded-For`, which limits by address need).
    ///
    /// Its guards are `limit_addresses`, `limit_keys` and `limit_clients`, objects with `rate` (requests a second) and `burst` (at once), and
    /// `breaker` (of the host's store), an object with any of `faults` (in a row) and `pause` (seconds).
    ///
    /// `cors`, an object with `origins` (as browsers send them, or `*` alone) and any of `methods`, `allowed_headers`, `exposed_headers` and
    /// `max_age` (seconds), lets pages of other origins call: preflights are refused with the answer to them, and answers say who may read them.
    ///
    /// `audit`, an object with `key` (the base64url of 32 bytes), has flows give records, by [`Flow::record`](crate::Flow::record).
    ///
    /// `verifier` are the options of a [`Verifier`](crate::Verifier); nonces are issued unless `nonces` is `false`, for this resource unless they
    /// name a `namespace`. And `store` is a replay store of this process: without it the host
    /// inserts entries.
    ///
    /// # Errors
    /// Misuse names what cannot be used.
    pub fn new(options: &str, verifier: &str, store: Option<&MemoryStore>, crypto: &Crypto) -> Result<Self, Error> {
        let options = Options::parse(options, &[OPTIONS, guards::OPTIONS].concat())?;
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
        let (targets, cors) = (targets(&options, policy.resource())?, cors_of(&options)?);
        let consumption = match store {
            _ if options.flag("danger_no_replay_store")? => Consumption::danger_nowhere(),
            Some(store) => Consumption::local(store.core.clone()),
            None => Consumption::by_host(),
        };
        let verifier = verifier_at(policy.resource(), verifier, crypto)?;
        let guards = guards_of(&options)?;
        guards.check_targets(&targets)?;
        let core = resource::ResourceServer::new(policy, verifier, consumption)?.guarded_by(&guards)?;
        let (notes, audit) = Notes::of(&options)?;
        let core = match audit {
            Some(audit) => core.audited(audit),
            None => core,
        };
        Ok(Self { core, targets, crypto: *crypto, notes, cors })
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

    /// Whether a request asks for the metadata of this resource, at the well-known place of its origin or behind the mount point (see
    /// [`TargetSource::asks_for`]): answer it with [`metadata`](Self::metadata), before anything else.
    pub fn asks_for_metadata(&self, method: &str, raw_target: &[u8], mount_path: &[u8], path: &[u8]) -> bool {
        let request = Routing { raw_target, mount_path, path };
        matches!(method, "GET" | "HEAD") && self.targets.asks_for(&self.metadata_path(), &request)
    }

    /// How often each verdict was given, as a JSON object: `keybound_requests_total`, an array of objects with `verdict`, `reason` and `count`;
    /// `keybound_replays_total`; `keybound_nonce_challenges_total`, an array of objects with `reason` and `count`.
    pub fn counters(&self) -> String {
        self.notes.counters()
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

/// The paths of an application that need no credentials.
///
/// # Errors
/// Misuse names the entry that cannot be used.
pub fn public_paths(entries: &[String]) -> Result<PublicPaths, Error> {
    entries.iter().try_fold(PublicPaths::default(), |paths, entry| {
        paths.and(entry).map_err(|defect| {
            Error::own(Own::PublicPath, format!("an entry of public is a decoded path, such as /health or /static/*; {entry:?} cannot be used: {defect}"))
        })
    })
}

pub(crate) fn described(principal: &Principal, crossing: &Crossing) -> Value {
    let mut headers: Vec<_> = principal.headers().into_iter().map(|(name, value)| (name, value.to_owned())).collect();
    headers.push(("Access-Control-Expose-Headers", EXPOSED_FIELDS.to_owned()));
    let headers = crossing.complete(headers);
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
        .with("headers", pairs(headers.iter().map(|(name, value)| (*name, value.as_str()))))
}

/// Where targets come from: the configured origin, or trusted proxies.
fn targets(options: &Options, resource: &str) -> Result<TargetSource, Error> {
    let unusable = |error: keybound::http::uri::UriError| Error::own(Own::OriginUnusable, error.to_string());
    let own = keybound::http::url::Url::parse(resource).map(|url| url.origin().to_owned()).unwrap_or_default();
    let mut targets = TargetUri::fixed(options.text("origin")?.unwrap_or(&own)).map_err(unusable)?;
    for origin in options.texts("also_origins")? {
        targets = targets.also_origin(origin).map_err(unusable)?;
    }
    if let Some(prefix) = options.text("path_prefix")? {
        targets = targets.path_prefix(prefix).map_err(|error| {
            Error::own(Own::PathPrefixUnusable, ["`path_prefix` cannot be used: ", &error.to_string()].concat())
        })?;
    }
    if let Some(mount_path) = options.text("mount_path")? {
        targets = targets.mounted_at(mount_path).map_err(|_| {
            Error::own(Own::MountPathUnusable, "a mount point is written /app, decoded: it begins with a slash, does not end with one, and has no dot segments")
        })?;
    }
    let Some(given) = options.value("proxies") else { return Ok(targets) };
    let given = Options::of(given.clone(), &["addresses", "family", "hops", "client_addresses"])?;
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
        let wrong = || Error::own(Own::WrongType, "an address is written like 10.0.0.1, 10.0.0.0/8 or fd00::/8");
        let (network, bits) = address.split_once('/').unwrap_or((address, ""));
        let network: std::net::IpAddr = network.parse().map_err(|_| wrong())?;
        proxies = match bits {
            "" => proxies.address(network),
            bits => proxies.network(network, bits.parse().map_err(|_| wrong())?),
        };
    }
    if given.flag("client_addresses")? {
        proxies = proxies.client_addresses();
    }
    Ok(targets.behind(proxies))
}
