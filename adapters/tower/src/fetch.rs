//! Keys of issuers over HTTPS: the metadata says where they are (RFC 8414 section 3), and there they are.

use keybound::http::url::Url;
use keybound::json::Value;
use keybound::replay::BoxFuture;
use keybound::server::JwkSet;

use crate::HostError;
use crate::http_client::Http;
use crate::keys::KeySource;

/// Fetches the keys of an issuer with reqwest: `https` with certificates checked, or `http` on loopback; redirects are not
/// followed; answers are at most 256 KiB.
#[derive(Clone, Debug)]
pub struct FetchedKeys {
    http: Http,
    place: Place,
}

#[derive(Clone, Debug)]
enum Place {
    Issuer(String),
    Set(String),
}

impl FetchedKeys {
    /// The keys that the metadata of `issuer` names: at the well-known places of OAuth (RFC 8414) or OpenID.
    pub fn of_issuer(issuer: &str) -> Self {
        Self { http: Http::default(), place: Place::Issuer(issuer.to_owned()) }
    }

    /// The set at this URL.
    pub fn at(jwks_uri: &str) -> Self {
        Self { http: Http::default(), place: Place::Set(jwks_uri.to_owned()) }
    }

    async fn find(&self) -> Result<JwkSet, HostError> {
        let uri = match &self.place {
            Place::Set(uri) => uri.clone(),
            Place::Issuer(issuer) => self.jwks_uri(issuer).await?,
        };
        Ok(JwkSet::parse(&self.http.get(&uri, JwkSet::MAX_LEN).await?)?)
    }

    async fn jwks_uri(&self, issuer: &str) -> Result<String, HostError> {
        let url = Url::parse(issuer)?;
        let appended = format!("{}/.well-known/openid-configuration", issuer.strip_suffix('/').unwrap_or(issuer));
        let mut failure = None;
        for place in [url.issuer_well_known("oauth-authorization-server"), appended] {
            match self.http.get(&place, JwkSet::MAX_LEN).await {
                Ok(body) => {
                    let document = Value::parse_object(&body)?;
                    // RFC 8414 section 3.3: byte for byte, or someone else's keys would count as the issuer's.
                    if document.text("issuer") != Some(issuer) {
                        return Err(format!("the metadata at {place} names another issuer").into());
                    }
                    let uri = document.text("jwks_uri");
                    return Ok(uri.ok_or_else(|| format!("the metadata at {place} has no jwks_uri"))?.to_owned());
                }
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        Err(failure.unwrap_or_else(|| "the issuer has no metadata".into()))
    }
}

impl KeySource for FetchedKeys {
    fn fetch(&self) -> BoxFuture<'_, Result<JwkSet, HostError>> {
        Box::pin(self.find())
    }
}
