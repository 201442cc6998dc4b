//! What servers publish about themselves: protected resources (RFC 9728) and authorization servers (RFC 8414).

use alloc::string::String;
use alloc::sync::Arc;

use super::error::{DiscoveryDefect, Endpoint, FlowError};
use crate::Misuse;
use crate::http::url::Url;
#[cfg(feature = "dpop")]
use crate::jose::algorithm::AlgorithmSet;
use crate::json::Value;

/// Which URLs a client talks to: `https`, and `http` on loopback where the caller permits it (RFC 9449 section 2).
#[derive(Clone, Copy, Debug)]
pub(super) struct UrlRule {
    pub(super) loopback: bool,
}

impl UrlRule {
    fn permits(self, url: &Url) -> bool {
        url.is_https() || (self.loopback && url.is_loopback())
    }

    /// A URL from metadata; `member` says where it stood.
    pub(super) fn published(self, text: &str, member: &'static str) -> Result<Url, DiscoveryDefect> {
        let url = Url::parse(text).map_err(|_| DiscoveryDefect::Url(member))?;
        if self.permits(&url) { Ok(url) } else { Err(DiscoveryDefect::Url(member)) }
    }

    /// A URL the caller gave.
    pub(super) fn given(self, text: &str) -> Result<Url, Misuse> {
        let url = Url::parse(text).map_err(Misuse::Target)?;
        if self.permits(&url) { Ok(url) } else { Err(Misuse::InsecureUrl) }
    }
}

/// Metadata of a protected resource.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProtectedResource {
    document: Value,
    resource: String,
}

impl ProtectedResource {
    pub(super) fn read(body: &[u8], rule: UrlRule) -> Result<Self, DiscoveryDefect> {
        let document = Value::parse_object(body).map_err(|_| DiscoveryDefect::NotFound)?;
        let resource = String::from(document.text("resource").ok_or(DiscoveryDefect::ResourceMismatch)?);
        rule.published(&resource, "resource")?;
        for server in document.texts("authorization_servers") {
            rule.published(server, "authorization_servers")?;
        }
        Ok(Self { document, resource })
    }

    /// The resource identifier, byte for byte as published (RFC 8707 section 2).
    pub fn resource(&self) -> &str {
        &self.resource
    }

    /// The issuers of authorization servers that the resource accepts tokens of.
    pub fn authorization_servers(&self) -> impl Iterator<Item = &str> {
        self.document.texts("authorization_servers")
    }

    /// The scopes that requests to the resource may need.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        self.document.texts("scopes_supported")
    }

    /// Whether the resource refuses tokens that are not bound (RFC 9728 section 2).
    #[cfg(feature = "dpop")]
    pub fn requires_binding(&self) -> bool {
        self.document.boolean("dpop_bound_access_tokens_required") == Some(true)
    }

    /// The whole document.
    pub const fn document(&self) -> &Value {
        &self.document
    }
}

/// Whether `target` lies under the resource `resource`: the same origin, and its path is the resource's or below it.
///
/// A query of the resource identifier must be the target's as well.
pub(super) fn covers(resource: &Url, target: &Url) -> bool {
    if resource.origin() != target.origin() || resource.query().is_some_and(|query| target.query() != Some(query)) {
        return false;
    }
    let (base, path) = (resource.path(), target.path());
    // Servers resolve dot segments, so a path with one lies somewhere else than it says.
    let dots = |segment: &str| {
        let plain = segment.replace("%2e", ".").replace("%2E", ".");
        plain == "." || plain == ".."
    };
    if path.split('/').any(dots) {
        return false;
    }
    match path.strip_prefix(base) {
        Some(rest) => base.is_empty() || base.ends_with('/') || rest.is_empty() || rest.starts_with('/'),
        // The root may be written without its slash.
        None => base == "/" && path.is_empty(),
    }
}

/// Metadata of an authorization server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuthorizationServer {
    document: Arc<Value>,
    issuer: String,
}

/// The members that are URLs a client sends something to.
const ENDPOINTS: [&str; 7] = [
    "authorization_endpoint",
    "token_endpoint",
    "registration_endpoint",
    "pushed_authorization_request_endpoint",
    "device_authorization_endpoint",
    "revocation_endpoint",
    "introspection_endpoint",
];

impl AuthorizationServer {
    /// Reads metadata fetched for `issuer`.
    pub(super) fn read(body: &[u8], issuer: &str, rule: UrlRule) -> Result<Self, DiscoveryDefect> {
        let document = Value::parse_object(body).map_err(|_| DiscoveryDefect::NotFound)?;
        Self::from_document(document, issuer, rule)
    }

    /// Takes metadata that the caller has, for servers that publish none.
    pub(super) fn from_document(document: Value, issuer: &str, rule: UrlRule) -> Result<Self, DiscoveryDefect> {
        // A plain comparison of strings (RFC 8414 section 3.3).
        if document.text("issuer") != Some(issuer) {
            return Err(DiscoveryDefect::IssuerMismatch);
        }
        for member in ENDPOINTS {
            match document.member(member) {
                None => {}
                Some(Value::Text(url)) => rule.published(url, member).map(drop)?,
                Some(_) => return Err(DiscoveryDefect::Url(member)),
            }
        }
        Ok(Self { document: Arc::new(document), issuer: issuer.into() })
    }

    /// A server of which nothing is known: no issuer is called so, and it has no endpoint.
    #[cfg(feature = "dpop")]
    pub(super) fn unknown() -> Self {
        Self { document: Arc::new(Value::object()), issuer: String::new() }
    }

    /// The issuer identifier.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Where requests of this kind go, if the server has such an endpoint.
    pub fn endpoint(&self, endpoint: Endpoint) -> Option<&str> {
        self.document.text(match endpoint {
            Endpoint::Registration => "registration_endpoint",
            Endpoint::Authorization => "authorization_endpoint",
            Endpoint::PushedAuthorization => "pushed_authorization_request_endpoint",
            Endpoint::Token => "token_endpoint",
            Endpoint::DeviceAuthorization => "device_authorization_endpoint",
            Endpoint::Revocation => "revocation_endpoint",
            Endpoint::Introspection => "introspection_endpoint",
            Endpoint::Metadata | Endpoint::Resource => return None,
        })
    }

    pub(super) fn require(&self, endpoint: Endpoint) -> Result<&str, FlowError> {
        self.endpoint(endpoint).ok_or(FlowError::Discovery(DiscoveryDefect::NoEndpoint(endpoint)))
    }

    /// Whether the server announces PKCE with S256.
    pub fn supports_pkce(&self) -> bool {
        self.lists("code_challenge_methods_supported", "S256")
    }

    /// The signature algorithms of proofs that the server accepts; `None` if it says nothing about DPoP (RFC 9449
    /// section 5.1).
    #[cfg(feature = "dpop")]
    pub fn dpop_algorithms(&self) -> Option<AlgorithmSet> {
        self.document.array("dpop_signing_alg_values_supported")?;
        let known = self.document.texts("dpop_signing_alg_values_supported").filter_map(crate::Algorithm::from_name);
        Some(known.collect())
    }

    /// Whether authorization responses carry `iss` (RFC 9207 section 3).
    pub fn announces_iss(&self) -> bool {
        self.document.boolean("authorization_response_iss_parameter_supported") == Some(true)
    }

    /// Whether the server takes authorization requests by PAR alone (RFC 9126 section 5).
    pub fn requires_pushed_requests(&self) -> bool {
        self.document.boolean("require_pushed_authorization_requests") == Some(true)
    }

    /// Whether a URL of a client ID metadata document serves as client identifier.
    pub fn supports_client_id_documents(&self) -> bool {
        self.document.boolean("client_id_metadata_document_supported") == Some(true)
    }

    /// Whether the server announces the scope.
    pub fn supports_scope(&self, scope: &str) -> bool {
        self.lists("scopes_supported", scope)
    }

    /// Whether the server announces the grant type; it does not have to list those of RFC 8414's default.
    pub fn supports_grant(&self, grant: &str) -> bool {
        match self.document.array("grant_types_supported") {
            Some(_) => self.lists("grant_types_supported", grant),
            None => matches!(grant, "authorization_code" | "implicit"),
        }
    }

    /// The ways clients authenticate at the token endpoint; `client_secret_basic` if the server does not say (RFC 8414
    /// section 2).
    pub(super) fn permits_authentication(&self, method: &str) -> bool {
        match self.document.array("token_endpoint_auth_methods_supported") {
            Some(_) => self.lists("token_endpoint_auth_methods_supported", method),
            None => method == "client_secret_basic",
        }
    }

    /// Whether the server says how clients authenticate.
    pub(super) fn lists_authentication(&self) -> bool {
        self.document.array("token_endpoint_auth_methods_supported").is_some()
    }

    fn lists(&self, member: &str, value: &str) -> bool {
        self.document.texts(member).any(|known| known == value)
    }

    /// The whole document.
    pub fn document(&self) -> &Value {
        &self.document
    }
}

#[cfg(test)]
mod tests {
    use super::{AuthorizationServer, DiscoveryDefect, ProtectedResource, Url, UrlRule, covers};

    const HTTPS: UrlRule = UrlRule { loopback: false };
    const LOOPBACK: UrlRule = UrlRule { loopback: true };

    #[test]
    fn a_resource_covers_what_lies_below_it() {
        let covers =
            |resource: &str, target: &str| covers(&Url::parse(resource).unwrap(), &Url::parse(target).unwrap());
        for (resource, target) in [
            ("https://api.example", "https://api.example/items?x=1"),
            ("https://api.example/", "https://api.example"),
            ("https://api.example/mcp", "https://api.example:443/mcp"),
            ("https://api.example/mcp", "https://api.example/mcp/tools"),
            ("https://api.example/a?tenant=1", "https://api.example/a/b?tenant=1"),
        ] {
            assert!(covers(resource, target), "{resource} {target}");
        }
        for (resource, target) in [
            ("https://api.example/mcp", "https://api.example/mcp2"),
            ("https://api.example/mcp", "https://api.example/"),
            ("https://api.example/mcp", "https://api.example/MCP"),
            ("https://api.example/mcp/", "https://api.example/mcp"),
            ("https://api.example/mcp", "https://api.example/mcp/../admin"),
            ("https://api.example/mcp", "https://api.example/mcp/%2e%2E/admin"),
            ("https://api.example", "http://api.example/"),
            ("https://api.example", "https://api.example:8443/"),
            ("https://api.example", "https://api.example.evil.test/"),
            ("https://api.example/a?tenant=1", "https://api.example/a?tenant=2"),
        ] {
            assert!(!covers(resource, target), "{resource} {target}");
        }
    }

    #[test]
    fn the_issuer_is_compared_as_a_string() {
        let read = |issuer: &str| {
            let body = br#"{"issuer":"https://as.example/a","token_endpoint":"https://as.example/token"}"#;
            AuthorizationServer::read(body, issuer, HTTPS).map(drop)
        };
        assert_eq!(read("https://as.example/a"), Ok(()));
        for other in ["https://as.example/a/", "https://AS.example/a", "https://as.example:443/a", "https://as.example"]
        {
            assert_eq!(read(other), Err(DiscoveryDefect::IssuerMismatch));
        }
    }

    #[test]
    fn endpoints_are_encrypted_or_on_loopback() {
        let read = |url: &str, rule| {
            let body = alloc::format!(r#"{{"issuer":"i","token_endpoint":"{url}"}}"#);
            AuthorizationServer::read(body.as_bytes(), "i", rule).map(drop)
        };
        assert_eq!(read("https://as.example/token", HTTPS), Ok(()));
        assert_eq!(read("http://127.0.0.1:1/token", LOOPBACK), Ok(()));
        for (url, rule) in [
            ("http://127.0.0.1:1/token", HTTPS),
            ("http://as.example/token", LOOPBACK),
            ("javascript:alert(1)", LOOPBACK),
            ("https://user@as.example/token", HTTPS),
            ("/token", HTTPS),
        ] {
            assert_eq!(read(url, rule), Err(DiscoveryDefect::Url("token_endpoint")), "{url}");
        }
    }

    #[test]
    fn the_resource_is_kept_byte_for_byte() {
        let body = br#"{"resource":"https://API.example:443/x/","authorization_servers":["https://as.example"]}"#;
        let resource = ProtectedResource::read(body, HTTPS).unwrap();
        assert_eq!(resource.resource(), "https://API.example:443/x/");
        assert_eq!(ProtectedResource::read(b"{}", HTTPS), Err(DiscoveryDefect::ResourceMismatch));
        assert_eq!(ProtectedResource::read(b"<html>", HTTPS), Err(DiscoveryDefect::NotFound));
    }
}
