//! From a resource to its authorization server (RFC 9728, RFC 8414, OpenID Connect Discovery).

use alloc::string::String;
use alloc::vec::Vec;

use super::client::{Client, Inner};
use super::error::{DiscoveryDefect, FlowError};
use super::flow::{Flow, Io};
use super::metadata::{AuthorizationServer, ProtectedResource, covers};
use super::step::{Fetching, Step};
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
    /// Finds out what protects `target`.
    ///
    /// `challenges` are those of a response with status 401, or none: `resource_metadata` says where the resource's metadata is,
    /// `scope` what the request needs. Without it the metadata is looked for at the well-known places (RFC 9728
    /// section 3), and if there is none, the target's own origin is asked for an authorization server. The metadata counts
    /// only if the resource it describes covers the target, and the server's only if its `issuer` is the one that was
    /// asked for.
    ///
    /// # Errors
    /// [`FlowError`], now or when the step is resumed.
    pub fn discover(
        &self,
        target: &str,
        challenges: &[Challenge],
        now: UnixTime,
    ) -> Result<Step<Discovered>, FlowError> {
        let (client, target, challenges) = (self.0.clone(), String::from(target), challenges.to_vec());
        Flow::start(now, |io| async move { discover(&io, &client, &target, &challenges).await })
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
    let server = server(io, client, issuer).await?;
    Ok(Discovered { resource: None, server, scope: None, assumed: false, origin: None })
}

pub(super) async fn discover(
    io: &Io,
    client: &Inner,
    target: &str,
    challenges: &[Challenge],
) -> Result<Discovered, FlowError> {
    let target = client.rule.given(&super::binding::provable(target))?;
    let metadata = challenges.iter().find_map(|challenge| challenge.param("resource_metadata"));
    let scope = challenges.iter().find_map(|challenge| challenge.param("scope")).map(String::from);
    let Some(resource) = resource(io, client, &target, metadata).await? else {
        let (server, assumed) = own_server(io, client, &target).await?;
        return Ok(Discovered { resource: None, server, scope, assumed, origin: Some(target.origin().into()) });
    };
    let mut named = resource.authorization_servers().peekable();
    if named.peek().is_none() {
        return Err(DiscoveryDefect::NoAuthorizationServer.into());
    }
    let accepted = |issuer: &&str| client.issuers.is_empty() || client.issuers.iter().any(|known| known == issuer);
    let issuer = String::from(named.find(accepted).ok_or(DiscoveryDefect::IssuerNotAccepted)?);
    drop(named);
    let server = server(io, client, &issuer).await?;
    Ok(Discovered { resource: Some(resource), server, scope, assumed: false, origin: None })
}

/// The metadata of the resource that `target` belongs to; `None` if it publishes none.
async fn resource(
    io: &Io,
    client: &Inner,
    target: &Url,
    metadata: Option<&str>,
) -> Result<Option<ProtectedResource>, FlowError> {
    let places = match metadata {
        Some(url) => alloc::vec![client.rule.published(url, "resource_metadata")?.as_str().into()],
        None => {
            let bare = Url::parse(target.without_query()).map_err(Misuse::Target)?;
            let root = Url::parse(&bare.root()).map_err(Misuse::Target)?;
            places([bare.well_known("oauth-protected-resource"), root.well_known("oauth-protected-resource")])
        }
    };
    for place in places {
        if let Some(body) = document(io, &place).await? {
            let resource = ProtectedResource::read(&body, client.rule)?;
            // A resource may publish for itself alone: its metadata must be about what was asked for (RFC 9728 section 3.3).
            let published = Url::parse(resource.resource()).map_err(|_| DiscoveryDefect::Url("resource"))?;
            if !covers(&published, target) {
                return Err(DiscoveryDefect::ResourceMismatch.into());
            }
            return Ok(Some(resource));
        }
    }
    if metadata.is_some() { Err(DiscoveryDefect::NotFound.into()) } else { Ok(None) }
}

/// The server at the target's own origin, for resources from before RFC 9728.
async fn own_server(io: &Io, client: &Inner, target: &Url) -> Result<(AuthorizationServer, bool), FlowError> {
    let origin = target.origin();
    if !client.issuers.is_empty() && !client.issuers.iter().any(|known| known == origin) {
        return Err(DiscoveryDefect::IssuerNotAccepted.into());
    }
    match server(io, client, origin).await {
        Err(FlowError::Discovery(DiscoveryDefect::NotFound)) if client.assumes_endpoints => {
            let at = |path: &str| alloc::format!("{origin}/{path}");
            let document = Value::object()
                .with("issuer", origin)
                .with("authorization_endpoint", at("authorize"))
                .with("token_endpoint", at("token"))
                .with("registration_endpoint", at("register"));
            Ok((AuthorizationServer::from_document(document, origin, client.rule)?, true))
        }
        found => Ok((found?, false)),
    }
}

/// The metadata of an authorization server: given by the caller, or fetched from one of its three places.
pub(super) async fn server(io: &Io, client: &Inner, issuer: &str) -> Result<AuthorizationServer, FlowError> {
    if let Some(given) = client.servers.iter().find(|document| document.text("issuer") == Some(issuer)) {
        return Ok(AuthorizationServer::from_document(given.clone(), issuer, client.rule)?);
    }
    let url = client.rule.published(issuer, "issuer")?;
    let appended = alloc::format!("{}/.well-known/openid-configuration", issuer.strip_suffix('/').unwrap_or(issuer));
    let inserted = url.well_known("openid-configuration");
    for place in places([url.well_known("oauth-authorization-server"), inserted, appended]) {
        if let Some(body) = document(io, &place).await? {
            return Ok(AuthorizationServer::read(&body, issuer, client.rule)?);
        }
    }
    Err(DiscoveryDefect::NotFound.into())
}

/// The places in order, each once.
fn places<const N: usize>(all: [String; N]) -> Vec<String> {
    let mut places: Vec<String> = Vec::with_capacity(N);
    for place in all {
        if !places.contains(&place) {
            places.push(place);
        }
    }
    places
}

/// The document at `url`; `None` if there is none.
async fn document(io: &Io, url: &str) -> Result<Option<Vec<u8>>, FlowError> {
    let request = Request::new("GET", url).with_field("Accept", "application/json");
    let mut response =
        io.fetch(Fetching { request, max_body: Some(MAX_METADATA), timeout: Some(super::post::TIMEOUT) }).await?;
    Ok((response.status == 200).then(|| core::mem::take(&mut response.body)))
}
