//! What a URL is for.

use keybound::Misuse;
use keybound::http::url::Url;

/// What a URL is for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Place {
    /// The metadata of the authorization server (RFC 8414).
    ServerMetadata,
    /// The metadata of the API (RFC 9728).
    ApiMetadata,
    /// A path below the issuer.
    Server(String),
    /// A path below the API, empty for the API itself.
    Api(String),
    /// Nothing of these servers.
    Nowhere,
}

/// The URLs of both servers.
#[derive(Debug)]
pub(super) struct Places {
    issuer: String,
    api: String,
    server_metadata: [String; 3],
    api_metadata: String,
}

impl Places {
    pub(super) fn new(issuer: &str, resource: &str) -> Result<Self, Misuse> {
        let server = Url::parse(issuer).map_err(Misuse::Target)?;
        let api = Url::parse(resource).map_err(Misuse::Target)?;
        let base = issuer.trim_end_matches('/').to_owned();
        Ok(Self {
            server_metadata: server.issuer_metadata_places(),
            api_metadata: api.well_known("oauth-protected-resource"),
            issuer: base,
            api: resource.trim_end_matches('/').to_owned(),
        })
    }

    /// What a URL without a query is for. Where one server is below the other, the longer name counts.
    pub(super) fn of(&self, url: &str) -> Place {
        if self.server_metadata.iter().any(|known| known == url) {
            return Place::ServerMetadata;
        }
        if self.api_metadata == url {
            return Place::ApiMetadata;
        }
        let below = |base: &str| {
            let rest = url.strip_prefix(base)?;
            (rest.is_empty() || rest.starts_with('/')).then(|| rest.to_owned())
        };
        match (below(&self.issuer), below(&self.api)) {
            (Some(path), Some(_)) if self.issuer.len() > self.api.len() => Place::Server(path),
            (_, Some(path)) => Place::Api(path),
            (Some(path), None) => Place::Server(path),
            (None, None) => Place::Nowhere,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Place, Places};

    #[test]
    fn a_url_is_for_one_of_the_servers() {
        let api = |path: &str| Place::Api(path.to_owned());
        let server = |path: &str| Place::Server(path.to_owned());
        let of = |issuer: &str, resource: &str, url: &str| Places::new(issuer, resource).expect("two URLs").of(url);
        let (as_, rs) = ("https://as.example/realm", "https://rs.example/v1");
        assert_eq!(of(as_, rs, "https://rs.example/v1"), api(""));
        assert_eq!(of(as_, rs, "https://rs.example/v1/items"), api("/items"));
        assert_eq!(of(as_, rs, "https://rs.example/v10"), Place::Nowhere);
        assert_eq!(of(as_, rs, "https://rs.example/.well-known/oauth-protected-resource/v1"), Place::ApiMetadata);
        assert_eq!(of(as_, rs, "https://as.example/realm/token"), server("/token"));
        assert_eq!(of(as_, rs, "https://as.example/token"), Place::Nowhere);
        for url in [
            "https://as.example/.well-known/oauth-authorization-server/realm",
            "https://as.example/realm/.well-known/openid-configuration",
        ] {
            assert_eq!(of(as_, rs, url), Place::ServerMetadata, "{url}");
        }
        // One below the other, either way.
        let one = "https://one.example";
        assert_eq!(of(one, "https://one.example/api", "https://one.example/api/x"), api("/x"));
        assert_eq!(of(one, "https://one.example/api", "https://one.example/token"), server("/token"));
        assert_eq!(of("https://one.example/auth", one, "https://one.example/auth/token"), server("/token"));
        assert_eq!(of("https://one.example/auth", one, "https://one.example/items"), api("/items"));
    }
}
