//! What servers publish about themselves: protected resources (RFC 9728) and authorization servers (RFC 8414).

use alloc::string::String;
use alloc::sync::Arc;

use super::error::{DiscoveryDefect, Endpoint, FlowError};
use super::failure::DiscoveryFailure;
use crate::Misuse;
use crate::http::url::Url;
#[cfg(feature = "dpop")]
use crate::jose::algorithm::AlgorithmSet;
use crate::json::Value;

/// Which URLs a client talks to: `https`, and `http` on loopback where the caller permits it (RFC 9449 section 2).
#[derive(Clone, Copy, Debug)]
pub(crate) struct UrlRule {
    pub(super) loopback: bool,
}

impl UrlRule {
    /// The rule for what an issuer publishes, where no client says otherwise: an issuer on this machine may name others on it.
    pub(crate) fn of_issuer(issuer: &str) -> Self {
        Self { loopback: Url::parse(issuer).is_ok_and(|url| url.is_loopback()) }
    }

    fn permits(self, url: &Url) -> bool {
        url.is_https() || (self.loopback && url.is_loopback())
    }

    /// Whether all that `url` lacks is the permission for `http` on loopback.
    pub(super) fn lacks_loopback(self, url: &str) -> bool {
        !self.loopback && Url::parse(url).is_ok_and(|url| !url.is_https() && url.is_loopback())
    }

    /// A URL that a server published; `member` says where it stood.
    pub(super) fn published(self, text: &str, member: &'static str) -> Result<Url, DiscoveryFailure> {
        let url = Url::parse(text).ok().filter(|url| self.permits(url));
        url.ok_or_else(|| DiscoveryFailure::new(DiscoveryDefect::Url(member)).found(text))
    }

    /// A URL the caller gave.
    pub(crate) fn given(self, text: &str) -> Result<Url, Misuse> {
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
    /// Takes what was found at `place` for `target`: a resource may publish for itself alone, so its metadata must be about what
    /// was asked for (RFC 9728 section 3.3).
    pub(super) fn read(document: Value, place: &str, target: &Url) -> Result<Self, DiscoveryFailure> {
        let resource = String::from(document.text("resource").unwrap_or_default());
        if Url::parse(&resource).is_ok_and(|published| covers(&published, target)) {
            return Ok(Self { document, resource });
        }
        let mismatch = DiscoveryFailure::new(DiscoveryDefect::ResourceMismatch).asked(place);
        Err(mismatch.found(&resource).expected(target.without_query()))
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
/// A query of the resource identifier must be the target's as well. A path with dot segments lies under no resource.
///
/// ```
/// use keybound::http::url::Url;
/// use keybound::oauth::metadata::covers;
/// let resource = Url::parse("https://api.example.com/mcp")?;
/// assert!(covers(&resource, &Url::parse("https://api.example.com/mcp/tools")?));
/// assert!(!covers(&resource, &Url::parse("https://api.example.com/other")?));
/// # Ok::<(), keybound::http::uri::UriError>(())
/// ```
pub fn covers(resource: &Url, target: &Url) -> bool {
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

/// Metadata of an authorization server, as its clients read it. What runs one is
/// [`server::authorization::AuthorizationServer`](crate::server::authorization::AuthorizationServer).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuthorizationServer {
    document: Arc<Value>,
    issuer: String,
}

/// Whether two issuer identifiers are the same, or differ only by the slash of an empty path.
///
/// Both spellings lead to the same places of the same origin, so that what is published for one is published for the other. Only
/// what was asked for, or configured, is compared so; tokens, `iss` and what is stored have the published spelling.
pub(super) fn is_same_issuer(one: &str, other: &str) -> bool {
    let bare = |issuer: &str| issuer.strip_suffix('/').unwrap_or(issuer).len();
    let (a, b) = (one.get(..bare(one)), other.get(..bare(other)));
    let is_origin = |issuer: &str| issuer.split_once("://").is_some_and(|(_, rest)| !rest.contains(['/', '?']));
    one == other || (a == b && a.is_some_and(is_origin))
}

impl AuthorizationServer {
    /// Takes the metadata of `issuer`; it has the published spelling from then on.
    pub(super) fn read(document: Value, issuer: &str) -> Result<Self, DiscoveryFailure> {
        // A comparison of strings (RFC 8414 section 3.3).
        let published = String::from(document.text("issuer").unwrap_or_default());
        if is_same_issuer(&published, issuer) {
            return Ok(Self { document: Arc::new(document), issuer: published });
        }
        let defect = match published.contains("/{tenantid}/") {
            true => DiscoveryDefect::IssuerTemplate,
            false => DiscoveryDefect::IssuerMismatch,
        };
        Err(DiscoveryFailure::new(defect).found(&published).expected(issuer))
    }

    /// Takes metadata that was stored, whose issuer is known to be the one.
    pub(crate) fn stored(document: Value) -> Option<Self> {
        let issuer = String::from(document.text("issuer")?);
        Some(Self { document: Arc::new(document), issuer })
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

    /// Where requests of this kind go, if the server has such an endpoint: as published. Whether it can be used is found out
    /// when it is needed.
    pub fn endpoint(&self, endpoint: Endpoint) -> Option<&str> {
        self.document.text(member(endpoint)?).filter(|url| !url.is_empty())
    }

    /// The URL of an endpoint that is needed now.
    pub(crate) fn require(&self, endpoint: Endpoint, rule: UrlRule) -> Result<Url, FlowError> {
        let name = member(endpoint).unwrap_or_default();
        let failure = match (self.endpoint(endpoint), self.document.member(name)) {
            (Some(url), _) => match rule.published(url, name) {
                Ok(url) => return Ok(url),
                Err(failure) => failure,
            },
            (None, None | Some(Value::Null | Value::Text(_))) => {
                DiscoveryFailure::new(DiscoveryDefect::NoEndpoint(endpoint))
            }
            (None, Some(other)) => DiscoveryFailure::new(DiscoveryDefect::Url(name)).found(&other.to_json()),
        };
        Err(failure.asked(&self.issuer).into())
    }

    /// Whether the server announces PKCE with S256.
    pub fn supports_pkce(&self) -> bool {
        self.lists("code_challenge_methods_supported", "S256")
    }

    /// The signature algorithms of proofs that the server accepts; `None` if it says nothing about DPoP (RFC 9449
    /// section 5.1).
    #[cfg(feature = "dpop")]
    pub fn dpop_algorithms(&self) -> Option<AlgorithmSet> {
        self.list("dpop_signing_alg_values_supported")?;
        let known = self.document.texts("dpop_signing_alg_values_supported").filter_map(crate::Algorithm::from_name);
        Some(known.collect())
    }

    /// Whether authorization responses carry `iss` (RFC 9207 section 3).
    pub fn announces_iss(&self) -> bool {
        self.says("authorization_response_iss_parameter_supported")
    }

    /// Whether the server takes authorization requests by PAR alone (RFC 9126 section 5).
    pub fn requires_pushed_requests(&self) -> bool {
        self.says("require_pushed_authorization_requests")
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
        match self.list("grant_types_supported") {
            Some(_) => self.lists("grant_types_supported", grant),
            None => matches!(grant, "authorization_code" | "implicit"),
        }
    }

    /// The ways clients authenticate at the token endpoint; `client_secret_basic` if the server does not say (RFC 8414
    /// section 2).
    pub(super) fn permits_authentication(&self, method: &str) -> bool {
        match self.list("token_endpoint_auth_methods_supported") {
            Some(_) => self.lists("token_endpoint_auth_methods_supported", method),
            None => method == "client_secret_basic",
        }
    }

    /// Whether the server says how clients authenticate.
    pub(super) fn lists_authentication(&self) -> bool {
        self.list("token_endpoint_auth_methods_supported").is_some()
    }

    /// Whether a member demands something of the client. `"true"` and `1` do as well: an attacker would gain if they were overlooked.
    fn says(&self, member: &str) -> bool {
        match self.document.member(member) {
            None | Some(Value::Null) => false,
            Some(Value::Bool(said)) => *said,
            Some(Value::Text(text)) => !matches!(text.as_str(), "" | "false"),
            Some(_) => true,
        }
    }

    /// A list that says something: null and an empty one say as little as none.
    fn list(&self, member: &str) -> Option<&[Value]> {
        self.document.array(member).filter(|elements| !elements.is_empty())
    }

    fn lists(&self, member: &str, value: &str) -> bool {
        self.document.texts(member).any(|known| known == value)
    }

    /// The whole document.
    pub fn document(&self) -> &Value {
        &self.document
    }
}

/// The member that says where requests of this kind go.
const fn member(endpoint: Endpoint) -> Option<&'static str> {
    Some(match endpoint {
        Endpoint::Registration => "registration_endpoint",
        Endpoint::Authorization => "authorization_endpoint",
        Endpoint::PushedAuthorization => "pushed_authorization_request_endpoint",
        Endpoint::Token => "token_endpoint",
        Endpoint::DeviceAuthorization => "device_authorization_endpoint",
        Endpoint::Revocation => "revocation_endpoint",
        Endpoint::Introspection => "introspection_endpoint",
        Endpoint::Keys => "jwks_uri",
        Endpoint::Metadata | Endpoint::Resource => return None,
    })
}

#[cfg(test)]
mod tests {
    use alloc::borrow::ToOwned as _;
    use alloc::string::ToString as _;

    use super::{AuthorizationServer, DiscoveryDefect, Endpoint, ProtectedResource, Url, UrlRule, Value, covers};

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

    fn parsed(json: &str) -> Value {
        Value::parse_object(json.as_bytes()).unwrap()
    }

    #[test]
    fn the_issuer_is_compared_as_a_string() {
        let read = |issuer: &str| {
            let document = parsed(r#"{"issuer":"https://as.example/a"}"#);
            AuthorizationServer::read(document, issuer).map_err(|failure| failure.defect).map(drop)
        };
        assert_eq!(read("https://as.example/a"), Ok(()));
        for other in ["https://as.example/a/", "https://AS.example/a", "https://as.example:443/a", "https://as.example"]
        {
            assert_eq!(read(other), Err(DiscoveryDefect::IssuerMismatch));
        }
    }

    #[test]
    fn the_slash_of_an_empty_path_makes_no_other_issuer() {
        for (published, asked, same) in [
            ("https://as.example/", "https://as.example", true),
            ("https://as.example", "https://as.example/", true),
            ("https://as.example:8443/", "https://as.example:8443", true),
            ("https://as.example//", "https://as.example/", false),
            ("https://as.example/a/", "https://as.example/a", false),
            ("https://as.example?a/", "https://as.example?a", false),
            ("https://as.example.evil/", "https://as.example", false),
            ("/", "", false),
            ("", "https://as.example", false),
        ] {
            let document = Value::object().with("issuer", published);
            let read = AuthorizationServer::read(document, asked).map(|server| server.issuer().to_owned());
            assert_eq!(read.as_deref().ok(), same.then_some(published), "{published} {asked}");
        }
    }

    #[test]
    fn endpoints_are_encrypted_or_on_loopback() {
        let required = |url: &str, rule| {
            let server = AuthorizationServer::stored(Value::object().with("issuer", "i").with("token_endpoint", url));
            server.unwrap().require(Endpoint::Token, rule).map(drop)
        };
        assert!(required("https://as.example/token", HTTPS).is_ok());
        assert!(required("http://127.0.0.1:1/token", LOOPBACK).is_ok());
        for (url, rule) in [
            ("http://127.0.0.1:1/token", HTTPS),
            ("http://as.example/token", LOOPBACK),
            ("javascript:alert(1)", LOOPBACK),
            ("https://user@as.example/token", HTTPS),
            ("/token", HTTPS),
        ] {
            let error = required(url, rule).unwrap_err().to_string();
            assert!(error.contains("token_endpoint") && error.contains(url), "{error}");
        }
    }

    #[test]
    fn a_member_that_says_nothing_is_none() {
        let server = parsed(
            r#"{"issuer":"i","token_endpoint":null,"revocation_endpoint":"","introspection_endpoint":7,"scopes_supported":null,
                "dpop_signing_alg_values_supported":[],"token_endpoint_auth_methods_supported":null,
                "grant_types_supported":[null,3,"refresh_token"]}"#,
        );
        let server = AuthorizationServer::stored(server).unwrap();
        for endpoint in [Endpoint::Token, Endpoint::Revocation, Endpoint::Introspection] {
            assert_eq!(server.endpoint(endpoint), None);
        }
        let missing = |endpoint| server.require(endpoint, HTTPS).unwrap_err().reason();
        assert_eq!((missing(Endpoint::Revocation), missing(Endpoint::Introspection)), ("no_endpoint", "metadata_url"));
        assert!(server.permits_authentication("client_secret_basic") && server.supports_grant("refresh_token"));
        #[cfg(feature = "dpop")]
        assert_eq!(server.dpop_algorithms(), None);
    }

    #[test]
    fn a_demand_in_another_form_is_one() {
        for (text, demands) in
            [("true", true), (r#""true""#, true), ("1", true), ("false", false), (r#""false""#, false), ("null", false)]
        {
            let names = ["authorization_response_iss_parameter_supported", "require_pushed_authorization_requests"];
            let document = parsed(&alloc::format!(r#"{{"issuer":"i","{}":{text},"{}":{text}}}"#, names[0], names[1]));
            let server = AuthorizationServer::stored(document).unwrap();
            assert_eq!((server.announces_iss(), server.requires_pushed_requests()), (demands, demands), "{text}");
        }
    }

    #[test]
    fn the_resource_is_kept_byte_for_byte() {
        let target = Url::parse("https://api.example/x/1").unwrap();
        let read = |json: &str| ProtectedResource::read(parsed(json), "p", &target);
        let resource =
            read(r#"{"resource":"https://API.example:443/x/","authorization_servers":["https://as.example",1]}"#);
        let resource = resource.unwrap();
        assert_eq!(resource.resource(), "https://API.example:443/x/");
        assert_eq!(resource.authorization_servers().count(), 1);
        assert_eq!(read("{}").unwrap_err().defect, DiscoveryDefect::ResourceMismatch);
    }
}
