//! What an access token is bound to: its `cnf` (RFC 7800 section 3).

use super::rejection::TokenRejection;
use crate::base64url;
use crate::crypto::Digest;
use crate::jose::jwk::PublicJwk;
use crate::jose::thumbprint::Thumbprint;
use crate::json::Value;

/// What a token is bound to. Each that is present must hold.
#[derive(Clone, Copy, Default)]
pub(super) struct Confirmation {
    /// The thumbprint of a DPoP key (RFC 9449 section 6.1).
    pub(super) key: Option<Thumbprint>,
    /// The SHA-256 hash of a client certificate (RFC 8705 section 3.1).
    certificate: Option<[u8; 32]>,
}

impl Confirmation {
    /// Reads `cnf`. Members of unknown names are ignored (RFC 7800 section 3.1) beside one that is checked here; alone they refuse,
    /// since no one could say that the binding holds.
    ///
    /// A `jwk` must be the key of the `jkt` beside it. Whether it is, is checked with a `digest`, where the token is known to be genuine.
    pub(super) fn read(cnf: Option<&Value>, digest: Option<&dyn Digest>) -> Result<Self, TokenRejection> {
        let invalid = TokenRejection::ConfirmationInvalid;
        let cnf = match cnf {
            None => return Ok(Self::default()),
            // An empty confirmation binds to nothing, which no one writes on purpose.
            Some(cnf @ Value::Object(members)) if !members.is_empty() => cnf,
            Some(_) => return Err(invalid),
        };
        let text = |name| cnf.member(name).map(|value| value.as_text().ok_or(invalid)).transpose();
        let key = text("jkt")?.map(|text| Thumbprint::parse(text).ok_or(invalid)).transpose()?;
        let certificate = text("x5t#S256")?.map(certificate).transpose()?;
        let jwk = match cnf.member("jwk") {
            None => None,
            Some(jwk @ Value::Object(_)) => Some(jwk),
            Some(_) => return Err(invalid),
        };
        match (key, certificate, jwk) {
            // With a `jwk` alone the token asks for a proof of possession that is not DPoP.
            (None, None, _) | (None, _, Some(_)) => Err(TokenRejection::ConfirmationUnknown),
            (Some(key), _, Some(jwk)) if digest.is_some_and(|digest| !is_key(jwk, key, digest)) => Err(invalid),
            _ => Ok(Self { key, certificate }),
        }
    }

    /// Whether the certificate of the connection is the one the token is bound to, if it is bound to one.
    pub(super) fn check_certificate(&self, presented: Option<[u8; 32]>) -> Result<(), TokenRejection> {
        match self.certificate {
            Some(_) if self.certificate != presented => Err(TokenRejection::CertificateMismatch),
            _ => Ok(()),
        }
    }
}

/// The key that the claims of a token or assertion are bound to (`cnf`, RFC 7800 section 3), read as a protected resource reads it; none if
/// they are bound to nothing. For authorization servers, which take such tokens in exchange for others: see
/// [`Grant::Derived`](crate::server::authorization::Grant::Derived).
///
/// ```
/// use keybound::json::Value;
/// use keybound::server::resource::{TokenRejection, confirmed_key};
/// let claims = Value::object().with("cnf", Value::object().with("kid", "1"));
/// assert_eq!(confirmed_key(&claims, keybound::RUSTCRYPTO.digest), Err(TokenRejection::ConfirmationUnknown));
/// ```
///
/// # Errors
/// [`TokenRejection::ConfirmationInvalid`], [`TokenRejection::ConfirmationUnknown`], and [`TokenRejection::CertificateMismatch`] for
/// claims that are bound to a client certificate, which is not looked at here.
pub fn confirmed_key(claims: &Value, digest: &dyn Digest) -> Result<Option<Thumbprint>, TokenRejection> {
    let confirmation = Confirmation::read(claims.member("cnf"), Some(digest))?;
    confirmation.check_certificate(None)?;
    Ok(confirmation.key)
}

fn certificate(text: &str) -> Result<[u8; 32], TokenRejection> {
    let mut hash = [0; 32];
    base64url::decode_exact(text.as_bytes(), &mut hash).map_err(|_| TokenRejection::ConfirmationInvalid)?;
    Ok(hash)
}

fn is_key(jwk: &Value, key: Thumbprint, digest: &dyn Digest) -> bool {
    PublicJwk::parse(&jwk.to_json()).is_ok_and(|jwk| jwk.thumbprint(digest) == key)
}
