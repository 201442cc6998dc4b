//! The metadata of a protected resource (RFC 9728): the document, and where it is served.

use super::ResourceServer;
use super::policy::ResourcePolicy;
use crate::http::url::Url;
use crate::json::Value;

/// The name of the document among the well-known ones (RFC 9728 section 3).
const NAME: &str = "oauth-protected-resource";

impl ResourcePolicy {
    /// The URL of the metadata: `/.well-known/oauth-protected-resource` put between host and path of the resource
    /// identifier.
    ///
    /// ```
    /// use keybound::server::resource::ResourcePolicy;
    /// let policy = ResourcePolicy::new("https://api.example.com/mcp")?;
    /// assert_eq!(policy.metadata_url(), "https://api.example.com/.well-known/oauth-protected-resource/mcp");
    /// # Ok::<(), keybound::Misuse>(())
    /// ```
    pub fn metadata_url(&self) -> alloc::string::String {
        // The identifier was read as a URL when the policy was made.
        Url::parse(&self.resource).map(|url| url.well_known(NAME)).unwrap_or_default()
    }

    /// The path of that URL: the one to answer with the document.
    pub fn metadata_path(&self) -> alloc::string::String {
        Url::parse(&self.metadata_url()).map(|url| url.path().into()).unwrap_or_default()
    }
}

impl ResourceServer {
    /// The metadata document (RFC 9728 section 2), to be served as `application/json`. Members of the host's own can be added.
    pub fn metadata(&self) -> Value {
        let policy = self.policy();
        let document = Value::object()
            .with("resource", policy.resource.as_str())
            .with_some("authorization_servers", list(policy.issuers()))
            .with_some("scopes_supported", list(policy.scopes.iter().map(|scope| scope.as_str())))
            .with("bearer_methods_supported", ["header"].into_iter().collect::<Value>())
            .with_some("resource_name", policy.name.as_deref())
            .with_some("resource_documentation", policy.documentation.as_deref());
        if !policy.schemes.dpop() {
            return document;
        }
        let algorithms: Value =
            self.verifier().policy().algorithms().iter().map(|algorithm| algorithm.name()).collect();
        document
            .with("dpop_signing_alg_values_supported", algorithms)
            .with("dpop_bound_access_tokens_required", !policy.schemes.bearer())
    }
}

fn list<'t>(texts: impl Iterator<Item = &'t str>) -> Option<Value> {
    let mut texts = texts.peekable();
    texts.peek().is_some().then(|| texts.collect())
}
