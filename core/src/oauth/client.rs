//! The client: what it is configured with, and what its flows share.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use spin::Mutex;

use super::binding::Memory;
use super::clock::Clocks;
use super::credentials::Credentials;
use super::error::FlowError;
use super::flow::Io;
use super::metadata::UrlRule;
use super::step::{KeyUse, Signing};
use crate::http::url::Url;
use crate::jose::jwk::PublicJwk;
use crate::jose::signature::Signature;
use crate::jose::thumbprint::Thumbprint;
use crate::json::Value;
use crate::key::KeyProtection;
use crate::key::checked::verify_own;
use crate::{Algorithm, AlgorithmSet, Crypto, Misuse, SecurityLevel};

/// An OAuth 2.1 client: its configuration, and what its flows share. Cloning it shares both.
///
/// It sends nothing. Programs that use reqwest give it to `keybound_reqwest::Client`, or its `blocking::Client`, and call the methods of that.
///
/// It holds no private key, no token and no session. All its flows are [`Step`](super::Step)s.
#[derive(Clone)]
pub struct Client(pub(super) Arc<Inner>);

/// What a [`Client`] is configured with.
#[must_use]
pub struct ClientBuilder(Box<Inner>);

pub(super) struct Inner {
    pub(super) crypto: Crypto,
    pub(super) level: SecurityLevel,
    pub(super) redirect_uri: Option<String>,
    pub(super) credentials: Vec<(String, Credentials)>,
    pub(super) metadata_document: Option<String>,
    pub(super) registration: Option<Value>,
    pub(super) rule: UrlRule,
    pub(super) issuers: Vec<String>,
    pub(super) tenant: Option<String>,
    pub(super) servers: Vec<Value>,
    pub(super) origins: Vec<String>,
    pub(super) algorithms: AlgorithmSet,
    pub(super) protections: &'static [KeyProtection],
    pub(super) pushes_proof: bool,
    pub(super) assumes_pkce: bool,
    pub(super) assumes_endpoints: bool,
    pub(super) accepts_bearer: bool,
    pub(super) shared: Mutex<ClientParts>,
    /// What its sessions know it by.
    pub(super) identity: Arc<()>,
}

/// What the flows of one client learn from each other.
#[derive(Default)]
pub(super) struct ClientParts {
    pub(super) memory: Memory,
    pub(super) clocks: Clocks,
    /// Keys whose first signature was verified.
    checked: Vec<Thumbprint>,
    /// There if records are kept.
    #[cfg(feature = "audit")]
    pub(super) records: Option<Vec<crate::audit::AuditRecord>>,
}

/// How many keys are remembered as checked; more than that are checked again.
const MAX_CHECKED: usize = 64;

impl Client {
    /// A client that never goes below `level`.
    pub fn builder(level: SecurityLevel, crypto: &Crypto) -> ClientBuilder {
        ClientBuilder(Box::new(Inner {
            crypto: *crypto,
            level,
            redirect_uri: None,
            credentials: Vec::new(),
            metadata_document: None,
            registration: None,
            rule: UrlRule { loopback: false },
            issuers: Vec::new(),
            tenant: None,
            servers: Vec::new(),
            origins: Vec::new(),
            algorithms: AlgorithmSet::ALL,
            protections: KeyProtection::ALL,
            pushes_proof: false,
            assumes_pkce: false,
            assumes_endpoints: false,
            accepts_bearer: false,
            shared: Mutex::default(),
            identity: Arc::default(),
        }))
    }

    /// The level below which no session of this client is.
    pub fn level(&self) -> SecurityLevel {
        self.0.level
    }
}

impl ClientBuilder {
    /// Where authorization responses come back to, byte for byte as registered.
    pub fn redirect_uri(mut self, uri: &str) -> Self {
        self.0.redirect_uri = Some(uri.into());
        self
    }

    /// A client that `issuer` knows already. It is used at this issuer alone, before any other way to register.
    pub fn credentials(mut self, issuer: &str, credentials: Credentials) -> Self {
        self.0.credentials.push((issuer.into(), credentials));
        self
    }

    /// The `https` URL of this client's metadata document, which serves as its identifier where servers support that
    /// (client ID metadata documents).
    pub fn metadata_document(mut self, url: &str) -> Self {
        self.0.metadata_document = Some(url.into());
        self
    }

    /// Permits dynamic registration with this metadata (RFC 7591 section 2), for example `client_name`. `redirect_uris`,
    /// `grant_types`, `response_types`, `token_endpoint_auth_method`, `application_type` and, where the level binds tokens, the
    /// request for bound tokens are added unless given.
    pub fn register(mut self, metadata: Value) -> Self {
        self.0.registration = Some(metadata);
        self
    }

    /// Permits `http` on loopback: for development, and for servers on the same machine.
    pub fn allow_loopback(mut self) -> Self {
        self.0.rule.loopback = true;
        self
    }

    /// Accepts this issuer. Once one is named, authorization servers that a resource names are used only if they are among
    /// these.
    pub fn accept_issuer(mut self, issuer: &str) -> Self {
        self.0.issuers.push(issuer.into());
        self
    }

    /// The tenant of Entra ID whose server is asked where a resource, or an issuer given here, names Entra ID for many tenants:
    /// `https://login.microsoftonline.com/common/v2.0`, or `organizations`. A GUID.
    ///
    /// Metadata for many tenants has an issuer with a gap, `{tenantid}`, which no token and no response has. Sessions therefore have
    /// the tenant's own issuer, and so have the issuers that are accepted and the credentials. Without a tenant, such metadata is
    /// refused ([`DiscoveryDefect::IssuerTemplate`](super::DiscoveryDefect::IssuerTemplate)).
    pub fn entra_tenant(mut self, tenant: &str) -> Self {
        self.0.tenant = Some(tenant.into());
        self
    }

    /// Metadata of an authorization server that publishes none (RFC 8414 section 2); it has an `issuer`.
    pub fn server(mut self, metadata: Value) -> Self {
        self.0.servers.push(metadata);
        self
    }

    /// An origin whose targets get tokens although they lie outside the session's resource, for example
    /// `https://api.example.com`.
    pub fn also_origin(mut self, origin: &str) -> Self {
        self.0.origins.push(origin.into());
        self
    }

    /// The algorithms of proofs; all that are known otherwise. At [`SecurityLevel::Maximum`] only those of FAPI 2.0 count.
    pub fn algorithms(mut self, algorithms: AlgorithmSet) -> Self {
        self.0.algorithms = algorithms;
        self
    }

    /// Where keys may live; anywhere otherwise. At [`SecurityLevel::Maximum`] only [`KeyProtection::HARDWARE`] counts.
    pub fn protections(mut self, protections: &'static [KeyProtection]) -> Self {
        self.0.protections = protections;
        self
    }

    /// Sends a proof with pushed authorization requests instead of `dpop_jkt` in their body (RFC 9449 section 10.1).
    #[cfg(feature = "dpop")]
    pub fn push_with_proof(mut self) -> Self {
        self.0.pushes_proof = true;
        self
    }

    /// Takes a server to support PKCE with S256 although its metadata does not say so. If it does not, codes can be injected.
    pub fn danger_assume_pkce(mut self) -> Self {
        self.0.assumes_pkce = true;
        self
    }

    /// Where a resource's server publishes no metadata at all, takes it to be its own authorization server with the endpoints
    /// `/authorize`, `/token` and `/register`, and with PKCE.
    pub fn danger_assume_endpoints(mut self) -> Self {
        self.0.assumes_endpoints = true;
        self
    }

    /// Keeps tokens that a server did not bind, as a session of [`SecurityLevel::Standard`], where Enhanced was asked for
    /// (RFC 9449 section 5). A thief can use them. A client with this asks for no intents, and none is built with it at
    /// [`SecurityLevel::Maximum`], where it would have no effect.
    #[cfg(feature = "dpop")]
    pub fn danger_accept_bearer(mut self) -> Self {
        self.0.accepts_bearer = true;
        self
    }

    /// The client.
    ///
    /// # Errors
    /// [`Misuse`] names what cannot be used.
    pub fn build(mut self) -> Result<Client, Misuse> {
        let inner = &mut self.0;
        if inner.level.binds() && !cfg!(feature = "dpop") {
            return Err(Misuse::LevelNeedsDpop);
        }
        if inner.level == SecurityLevel::Maximum && inner.accepts_bearer {
            return Err(Misuse::BearerAtMaximum);
        }
        if inner.redirect_uri.as_deref().is_some_and(|uri| !is_redirect_uri(uri)) {
            return Err(Misuse::RedirectUri);
        }
        if let Some(url) = &inner.metadata_document {
            inner.rule.given(url)?;
        }
        if inner.tenant.as_deref().is_some_and(|tenant| !is_guid(tenant)) {
            return Err(Misuse::EntraTenant);
        }
        inner.issuers = inner.issuers.iter().map(|issuer| inner.concrete(issuer)).collect();
        let concrete: Vec<_> = inner.credentials.iter().map(|(issuer, _)| inner.concrete(issuer)).collect();
        for ((issuer, _), concrete) in inner.credentials.iter_mut().zip(concrete) {
            *issuer = concrete;
        }
        for issuer in inner.issuers.iter().chain(inner.credentials.iter().map(|(issuer, _)| issuer)) {
            inner.rule.given(issuer)?;
        }
        for origin in &mut inner.origins {
            *origin = inner.rule.given(origin)?.origin().into();
        }
        if inner.algorithms.is_empty() {
            return Err(Misuse::NoAlgorithms);
        }
        Ok(Client(Arc::from(self.0)))
    }
}

/// An absolute URI without fragment: `https`, loopback `http`, or an app's own scheme.
fn is_redirect_uri(uri: &str) -> bool {
    let scheme = uri.split_once(':').map(|(scheme, _)| scheme).unwrap_or_default();
    let begins = scheme.bytes().next().is_some_and(|first| first.is_ascii_alphabetic());
    let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'#';
    let loopback = || Url::parse(uri).is_ok_and(|url| url.is_loopback());
    begins && uri.bytes().all(plain) && (!scheme.eq_ignore_ascii_case("http") || loopback())
}

/// 32 hexadecimal digits in five groups.
fn is_guid(text: &str) -> bool {
    let mut groups = text.split('-');
    let is_group = |group: &str, length: usize| group.len() == length && group.bytes().all(|c| c.is_ascii_hexdigit());
    [8, 4, 4, 4, 12].into_iter().all(|length| groups.next().is_some_and(|group| is_group(group, length)))
        && groups.next().is_none()
}

impl Inner {
    /// The issuer to ask where `issuer` is named: the tenant's own where Entra ID is named for many.
    pub(super) fn concrete(&self, issuer: &str) -> String {
        const ENTRA: &str = "https://login.microsoftonline.com/";
        let many = matches!(issuer.strip_prefix(ENTRA), Some("common/v2.0" | "organizations/v2.0"));
        match &self.tenant {
            Some(tenant) if many => alloc::format!("{ENTRA}{tenant}/v2.0"),
            _ => issuer.into(),
        }
    }

    /// Whether tokens of a session for `resource` may go to `target`.
    pub(super) fn may_receive(&self, resource: Option<&str>, target: &Url) -> bool {
        let under = resource.and_then(|resource| Url::parse(resource).ok());
        under.is_some_and(|resource| super::metadata::covers(&resource, target))
            || self.origins.iter().any(|origin| origin == target.origin())
    }

    /// A signature of one of the host's keys; the first one of each key is verified where the build can.
    pub(super) async fn sign(
        &self,
        io: &Io,
        purpose: KeyUse,
        key: (&PublicJwk, Algorithm, Thumbprint),
        message: Vec<u8>,
    ) -> Result<Signature, FlowError> {
        let (public_key, algorithm, thumbprint) = key;
        let wanted = Signing { purpose, thumbprint, algorithm, message: message.clone(), digest: self.crypto.digest };
        let signature = io.sign(wanted).await?;
        if signature.algorithm() != algorithm {
            return Err(Misuse::SignatureAlgorithm.into());
        }
        let known = self.shared.lock().checked.contains(&thumbprint);
        if !known && self.crypto.verifier(algorithm).is_some() {
            verify_own(&self.crypto, public_key, &message, &signature)?;
            let mut shared = self.shared.lock();
            if shared.checked.len() >= MAX_CHECKED {
                shared.checked.clear();
            }
            shared.checked.push(thumbprint);
        }
        Ok(signature)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("level", &self.0.level).finish_non_exhaustive()
    }
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder").field("level", &self.0.level).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::{is_guid, is_redirect_uri};

    #[test]
    fn a_tenant_is_a_guid() {
        assert!(is_guid("9188040d-6c67-4c5b-b112-36a304b66dad"));
        for text in ["", "common", "contoso.onmicrosoft.com", "9188040d-6c67-4c5b-b112-36a304b66da", "../../../a"] {
            assert!(!is_guid(text), "{text}");
        }
    }

    #[test]
    fn redirect_uris_are_absolute() {
        for uri in
            ["https://app.example/cb", "http://127.0.0.1:7777/cb", "http://localhost/cb?x=1", "com.example.app:/cb"]
        {
            assert!(is_redirect_uri(uri), "{uri}");
        }
        for uri in ["", "/cb", "https://app.example/cb#x", "http://app.example/cb", "1a:/cb", "https://app.example/a b"]
        {
            assert!(!is_redirect_uri(uri), "{uri}");
        }
    }
}
