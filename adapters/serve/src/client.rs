//! Clients: what is known of them.

use keybound::http::url::Url;
use keybound::jose::jwk::PublicJwk;
use keybound::oauth::Secret;
use keybound::server::authorization::ClientType;

/// The keys of a client, with their identifiers.
pub(super) type Keys = Vec<(Option<String>, PublicJwk)>;

/// A confidential client known from the beginning.
#[derive(Clone, Debug)]
pub struct ClientSecret {
    /// Its identifier.
    pub client_id: String,
    /// Its secret.
    pub secret: Secret,
}

/// A public client known from the beginning.
#[derive(Clone, Debug)]
pub struct PublicClient {
    /// Its identifier.
    pub client_id: String,
    /// Where logins may come back to; on loopback, to any port.
    pub redirect_uris: Vec<String>,
}

/// A client as it was registered.
#[derive(Clone, Debug)]
pub(super) struct Client {
    pub(super) authentication: Authentication,
    pub(super) redirect_uris: Vec<String>,
    /// Whether it gets bound tokens alone (RFC 9449 section 5.2).
    pub(super) must_bind: bool,
    /// The grants it registered for; all if it did not register.
    pub(super) grants: Option<Vec<String>>,
}

/// How a client shows who it is.
#[derive(Clone, Debug)]
pub(super) enum Authentication {
    None,
    Basic(Secret),
    Post(Secret),
    /// In either way.
    Secret(Secret),
    Keys(Keys),
}

impl Client {
    pub(super) fn with_secret(secret: Secret) -> Self {
        let authentication = Authentication::Secret(secret);
        Self { authentication, redirect_uris: loopback(), must_bind: false, grants: None }
    }

    pub(super) fn public(redirect_uris: Vec<String>) -> Self {
        Self { authentication: Authentication::None, redirect_uris, must_bind: false, grants: None }
    }

    pub(super) const fn kind(&self) -> ClientType {
        match self.authentication {
            Authentication::None => ClientType::Public,
            _ => ClientType::Confidential,
        }
    }

    /// Whether it may use this grant.
    pub(super) fn may_use(&self, grant: &str) -> bool {
        self.grants.as_ref().is_none_or(|grants| grants.iter().any(|known| known == grant))
    }

    /// Whether authorization responses may go to `uri`: exactly as registered, the port apart on loopback (RFC 8252 section
    /// 7.3).
    pub(super) fn may_return_to(&self, uri: &str) -> bool {
        self.redirect_uris.iter().any(|known| known == uri || same_but_for_port(known, uri))
    }
}

/// The redirect URIs of clients known from the beginning, unless they are told.
pub(super) fn loopback() -> Vec<String> {
    ["http://127.0.0.1/callback", "http://[::1]/callback", "http://localhost/callback"].map(str::to_owned).into()
}

fn same_but_for_port(known: &str, uri: &str) -> bool {
    let (Ok(known), Ok(uri)) = (Url::parse(known), Url::parse(uri)) else { return false };
    let host = |url: &Url| url.origin().rsplit_once(':').map_or(url.origin(), |(host, _)| host).to_owned();
    let plain = |url: &Url| {
        let origin = url.origin().to_owned();
        // `http://host` has one colon, `http://host:port` two.
        if origin.matches(':').count() > 1 && !origin.ends_with(']') { host(url) } else { origin }
    };
    !known.is_https()
        && known.is_loopback()
        && uri.is_loopback()
        && !uri.is_https()
        && plain(&known) == plain(&uri)
        && (known.path(), known.query()) == (uri.path(), uri.query())
}

#[cfg(test)]
mod tests {
    use super::{Client, loopback};

    #[test]
    fn redirect_uris_on_loopback_may_have_any_port() {
        let client = Client::public(loopback());
        for uri in ["http://127.0.0.1:1234/callback", "http://127.0.0.1/callback", "http://localhost:5/callback"] {
            assert!(client.may_return_to(uri), "{uri}");
        }
        for uri in [
            "http://127.0.0.1:1234/callback/",
            "http://127.0.0.1:1234/callback?x=1",
            "https://127.0.0.1:1234/callback",
            "http://127.0.0.2:1234/callback",
            "http://evil.example/callback",
            "http://127.0.0.1:1234@evil.example/callback",
            "",
        ] {
            assert!(!client.may_return_to(uri), "{uri}");
        }
    }
}
