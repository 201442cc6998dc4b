//! From a resource to its authorization server (RFC 9728, RFC 8414, OpenID Connect Discovery).

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use super::client::{Client, Inner};
use super::error::{DiscoveryDefect, FlowError};
use super::failure::DiscoveryFailure;
use super::flow::repeat::After;
use super::flow::{Flow, Io};
use super::metadata::{AuthorizationServer, ProtectedResource, UrlRule, is_same_issuer};
use super::post::{challenges, is_passing, parsed, send};
use super::step::{Fetching, Step};
use crate::crypto::SecureRandom;
use crate::http::challenge::Challenge;
use crate::http::message::Request;
use crate::http::url::Url;
use crate::json::Value;
use crate::{Misuse, UnixTime};

/// The longest metadata document, in bytes.
const MAX_METADATA: usize = 256 * 1024;

/// What a client knows about a resource before it logs in.
#[derive(Clone, Debug)]
pub struct Discovered {
    pub(super) resource: Option<ProtectedResource>,
    pub(super) server: AuthorizationServer,
    pub(super) scope: Option<String>,
    /// Whether the endpoints were guessed by `danger_assume_endpoints`.
    pub(super) assumed: bool,
    /// What tokens are for if nothing was published: the origin that was asked.
    pub(super) origin: Option<String>,
}

impl Discovered {
    /// The resource's metadata, if it publishes any.
    pub const fn resource(&self) -> Option<&ProtectedResource> {
        self.resource.as_ref()
    }

    /// The authorization server.
    pub const fn server(&self) -> &AuthorizationServer {
        &self.server
    }

    /// The scope that the resource's challenge asks for (RFC 6750 section 3).
    pub fn challenged_scope(&self) -> Option<&str> {
        self.scope.as_deref()
    }
}

impl Client {
    /// Finds out what protects `target`, and asks it first: a `GET` request without a token, whose body is not read.
    ///
    /// The challenges of its answer count: `resource_metadata` says where the resource's metadata is, `scope` what the request needs.
    /// Without them the metadata is looked for at the well-known places (RFC 9728
    /// section 3), and if there is none, the target's own origin is asked for an authorization server. The metadata counts
    /// only if the resource it describes covers the target, and the server's only if its `issuer` is the one that was
    /// asked for; a slash alone makes no difference where the issuer has no path.
    ///
    /// The next place is asked where one has no metadata: any status from 300 to 499, or a success without a JSON object. A
    /// place that cannot answer now (408, 425, 429, 500 and above, or an error of the host) ends the search, so that it leads
    /// to the same server on a bad day as on a good one. Requests to these places, and the first, are repeated twice where the network
    /// fails.
    ///
    /// # Errors
    /// [`FlowError`], now or when the step is resumed. Nothing is sent to a target that is not an `https` URL.
    pub fn discover(&self, target: &str, now: UnixTime) -> Result<Step<Discovered>, FlowError> {
        self.discover_with(target, None, None, now)
    }

    /// As [`discover`](Self::discover), with what is known already.
    ///
    /// `challenges` are those of a refusal at hand; the target is not asked then, nor if there are none in it. `issuer` is for resources
    /// that name none: it is asked instead of the target's own origin where the resource publishes no metadata, or names no
    /// authorization server in it. It never replaces one that is named; among several that are, it is preferred.
    ///
    /// # Errors
    /// [`FlowError`], now or when the step is resumed.
    pub fn discover_with(
        &self,
        target: &str,
        challenges: Option<&[Challenge]>,
        issuer: Option<&str>,
        now: UnixTime,
    ) -> Result<Step<Discovered>, FlowError> {
        let (client, target, challenges) = (self.0.clone(), String::from(target), challenges.map(<[_]>::to_vec));
        let issuer = issuer.map(String::from);
        Flow::start(now, |io| async move { discover(&io, &client, &target, challenges, issuer.as_deref()).await })
    }

    /// Finds an authorization server by its issuer identifier alone.
    ///
    /// # Errors
    /// [`FlowError`], now or when the step is resumed.
    pub fn discover_issuer(&self, issuer: &str, now: UnixTime) -> Result<Step<Discovered>, FlowError> {
        let (client, issuer) = (self.0.clone(), String::from(issuer));
        Flow::start(now, |io| async move { discover_issuer(&io, &client, &issuer).await })
    }
}

pub(super) async fn discover_issuer(io: &Io, client: &Inner, issuer: &str) -> Result<Discovered, FlowError> {
    client.rule.given(issuer)?;
    let server =
        Search::new(io, client.crypto.random, client.rule, &client.servers).server(&client.concrete(issuer)).await?;
    Ok(Discovered { resource: None, server, scope: None, assumed: false, origin: None })
}

pub(super) async fn discover(
    io: &Io,
    client: &Inner,
    target: &str,
    challenges: Option<Vec<Challenge>>,
    issuer: Option<&str>,
) -> Result<Discovered, FlowError> {
    let target = client.rule.given(&super::binding::provable(target))?;
    if let Some(issuer) = issuer {
        client.rule.given(issuer)?;
    }
    let issuer = issuer.map(|issuer| client.concrete(issuer));
    let issuer = issuer.as_deref();
    let challenges = match challenges {
        Some(challenges) => challenges,
        None => asked(io, client, &target).await?,
    };
    let metadata = challenges.iter().find_map(|challenge| challenge.param("resource_metadata"));
    let scope = challenges.iter().find_map(|challenge| challenge.param("scope")).map(String::from);
    let mut search = Search::new(io, client.crypto.random, client.rule, &client.servers);
    let resource = search.resource(&target, metadata).await?;
    let named = match &resource {
        Some(resource) => search.named(client, resource, issuer)?,
        None => None,
    };
    let (server, assumed) = match named.as_deref().or(issuer) {
        Some(issuer) => (search.server(issuer).await?, false),
        None if resource.is_some() => {
            return Err(search.failure(DiscoveryDefect::NoAuthorizationServer).into());
        }
        None => search.own_server(client, &target).await?,
    };
    let origin = resource.is_none().then(|| target.origin().into());
    Ok(Discovered { resource, server, scope, assumed, origin })
}

/// The metadata of an issuer, fetched from one of its three places.
pub(crate) async fn find_server(
    io: &Io,
    random: &'static dyn SecureRandom,
    rule: UrlRule,
    issuer: &str,
) -> Result<AuthorizationServer, FlowError> {
    Search::new(io, random, rule, &[]).server(issuer).await
}

/// The challenges that `target` answers a request without a token with. A challenge that cannot be read leads nowhere; the well-known
/// places still may.
async fn asked(io: &Io, client: &Inner, target: &Url) -> Result<Vec<Challenge>, FlowError> {
    let request = Request::new("GET", target.as_str()).with_field("Accept", "*/*");
    let wanted = Fetching { request, max_body: Some(0), timeout: Some(super::post::TIMEOUT) };
    Ok(challenges(&send(io, client.crypto.random, wanted, After::AnyFailure).await?).list)
}

/// A search, which remembers where it asked.
struct Search<'a> {
    io: &'a Io,
    rule: UrlRule,
    /// Metadata that was given.
    servers: &'a [Value],
    /// For the pauses before requests that are repeated. A server's searches have none: they are shared work, which is begun anew later.
    random: &'static dyn SecureRandom,
    asked: Vec<String>,
}

impl<'a> Search<'a> {
    const fn new(io: &'a Io, random: &'static dyn SecureRandom, rule: UrlRule, servers: &'a [Value]) -> Self {
        Self { io, rule, servers, random, asked: Vec::new() }
    }

    /// A failure that names the places that were asked.
    fn failure(&self, defect: DiscoveryDefect) -> DiscoveryFailure {
        DiscoveryFailure::new(defect).asked(&self.asked.join(", "))
    }

    /// The metadata of the resource that `target` belongs to; `None` if it publishes none.
    async fn resource(&mut self, target: &Url, metadata: Option<&str>) -> Result<Option<ProtectedResource>, FlowError> {
        const NAME: &str = "oauth-protected-resource";
        if let Some(url) = metadata {
            // What the resource says of itself is final: no other place speaks for it.
            let place = String::from(self.rule.published(url, "resource_metadata")?.as_str());
            let document = self.document(&place).await?.ok_or_else(|| self.failure(DiscoveryDefect::NotFound))?;
            return Ok(Some(ProtectedResource::read(document, &place, target)?));
        }
        let bare = Url::parse(target.without_query()).map_err(Misuse::Target)?;
        let root = Url::parse(&bare.root()).map_err(Misuse::Target)?;
        match self.first([bare.well_known(NAME), root.well_known(NAME)]).await? {
            Some((place, document)) => Ok(Some(ProtectedResource::read(document, &place, target)?)),
            None => Ok(None),
        }
    }

    /// The issuer that the resource names and this client uses, `preferred` if it is among several; `None` if it names none.
    fn named(
        &self,
        client: &Inner,
        resource: &ProtectedResource,
        preferred: Option<&str>,
    ) -> Result<Option<String>, FlowError> {
        let named: Vec<String> = resource.authorization_servers().map(|issuer| client.concrete(issuer)).collect();
        let named: Vec<&str> = named.iter().map(String::as_str).collect();
        if named.is_empty() {
            return Ok(None);
        }
        let accepted: Vec<&str> = named.iter().copied().filter(|issuer| client.accepts(issuer)).collect();
        if accepted.is_empty() {
            let failure = self.failure(DiscoveryDefect::IssuerNotAccepted).found(&named.join(", "));
            return Err(failure.expected(&client.issuers.join(", ")).into());
        }
        let is_preferred = |issuer: &&&str| preferred.is_some_and(|preferred| is_same_issuer(preferred, issuer));
        let usable = |issuer: &&&str| self.rule.published(issuer, "authorization_servers").is_ok();
        let chosen = accepted.iter().find(is_preferred).or_else(|| accepted.iter().find(usable)).or(accepted.first());
        let Some(chosen) = chosen else { return Ok(None) };
        let checked = self.rule.published(chosen, "authorization_servers");
        checked.map_err(|failure| failure.asked(&self.asked.join(", ")))?;
        Ok(Some((*chosen).into()))
    }

    /// The server at the target's own origin, for resources from before RFC 9728.
    async fn own_server(&mut self, client: &Inner, target: &Url) -> Result<(AuthorizationServer, bool), FlowError> {
        let origin = target.origin();
        if !client.accepts(origin) {
            let failure = self.failure(DiscoveryDefect::IssuerNotAccepted).found(origin);
            return Err(failure.expected(&client.issuers.join(", ")).into());
        }
        match self.server(origin).await {
            Err(FlowError::Discovery(failure))
                if failure.defect == DiscoveryDefect::NotFound && client.assumes_endpoints =>
            {
                let at = |path: &str| alloc::format!("{origin}/{path}");
                let document = Value::object()
                    .with("issuer", origin)
                    .with("authorization_endpoint", at("authorize"))
                    .with("token_endpoint", at("token"))
                    .with("registration_endpoint", at("register"));
                Ok((AuthorizationServer::read(document, origin)?, true))
            }
            found => Ok((found?, false)),
        }
    }

    /// The metadata of an authorization server: given by the caller, or fetched from one of its three places.
    async fn server(&mut self, issuer: &str) -> Result<AuthorizationServer, FlowError> {
        let is_it = |document: &&Value| document.text("issuer").is_some_and(|known| is_same_issuer(known, issuer));
        if let Some(given) = self.servers.iter().find(is_it) {
            return Ok(AuthorizationServer::read(given.clone(), issuer)?);
        }
        let url = self.rule.published(issuer, "issuer")?;
        match self.first(url.issuer_metadata_places()).await? {
            Some((place, document)) => {
                Ok(AuthorizationServer::read(document, issuer).map_err(|failure| failure.asked(&place))?)
            }
            None => Err(self.failure(DiscoveryDefect::NotFound).into()),
        }
    }

    /// The first document at these places, each asked once, and where it was.
    async fn first<const N: usize>(&mut self, places: [String; N]) -> Result<Option<(String, Value)>, FlowError> {
        for place in places {
            if !self.asked.contains(&place)
                && let Some(document) = self.document(&place).await?
            {
                return Ok(Some((place, document)));
            }
        }
        Ok(None)
    }

    /// The document at `url`; `None` if there is none. A redirect is not followed: servers send to their login page whatever
    /// they do not know.
    async fn document(&mut self, url: &str) -> Result<Option<Value>, FlowError> {
        self.asked.push(url.into());
        let request = Request::new("GET", url).with_field("Accept", "application/json");
        let wanted = Fetching { request, max_body: Some(MAX_METADATA), timeout: Some(super::post::TIMEOUT) };
        let response = send(self.io, self.random, wanted, After::AnyFailure).await?;
        match response.status {
            200 => Ok(parsed(&response.body)),
            status if status < 200 || is_passing(status) => {
                let failure = DiscoveryFailure::new(DiscoveryDefect::Unavailable).asked(url);
                Err(failure.found(&status.to_string()).into())
            }
            _ => Ok(None),
        }
    }
}
