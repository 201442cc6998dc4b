//! Access tokens that are JWTs (RFC 9068).

use alloc::string::String;

use crate::base64url;
use crate::crypto::Crypto;
use crate::jose::thumbprint::Thumbprint;
use crate::json::Value;
use crate::key::{Signer, SignerError, SigningInput};
use crate::server::resource::access_token::TYP;
use crate::time::UnixTime;

/// The claims that every access token has (RFC 9068 section 2.2), and the key that it is bound to.
///
/// ```
/// use keybound::UnixTime;
/// use keybound::server::authorization::AccessClaims;
/// let claims = AccessClaims {
///     issuer: "https://as.example.com",
///     audience: "https://api.example.com",
///     subject: "alice",
///     client_id: "app",
///     scope: "items:read",
///     id: "5ba552d67",
///     issued_at: UnixTime::from_secs(1_700_000_000),
///     lifetime: 300,
///     bound_to: None,
/// };
/// assert_eq!(claims.to_value().text("sub"), Some("alice"));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct AccessClaims<'a> {
    /// Who issues it (`iss`).
    pub issuer: &'a str,
    /// Which resource it is for (`aud`).
    pub audience: &'a str,
    /// Whose it is (`sub`).
    pub subject: &'a str,
    /// Which client it was issued to (`client_id`).
    pub client_id: &'a str,
    /// What it permits, separated by spaces (`scope`). If this is empty the token has no such claim.
    pub scope: &'a str,
    /// What no other token of the issuer is called (`jti`).
    pub id: &'a str,
    /// When it is issued (`iat`).
    pub issued_at: UnixTime,
    /// For how many seconds it is valid (`exp`).
    pub lifetime: u64,
    /// The key it is bound to (`cnf.jkt`); none for a token that its holder may use without a proof.
    pub bound_to: Option<Thumbprint>,
}

impl AccessClaims<'_> {
    /// As an object, for [`access_token`]. Further claims can be added to it.
    pub fn to_value(&self) -> Value {
        Value::object()
            .with("iss", self.issuer)
            .with("aud", self.audience)
            .with("sub", self.subject)
            .with("client_id", self.client_id)
            .with_some("scope", Some(self.scope).filter(|scope| !scope.is_empty()))
            .with("iat", self.issued_at)
            .with("exp", self.issued_at.saturating_add(self.lifetime))
            .with("jti", self.id)
            .with_some("cnf", self.bound_to.map(confirmation))
    }
}

/// The value of `cnf` for tokens bound to this key, in a JWT or an introspection answer (RFC 9449 section 6).
pub fn confirmation(key: Thumbprint) -> Value {
    Value::object().with("jkt", alloc::format!("{key}"))
}

/// An access token (RFC 9068): `claims` as a JWT, signed with `signer`, whose key the issuer publishes under the identifier `kid`.
///
/// [`AccessClaims`] are those that every token has.
///
/// ```
/// # #[cfg(all(feature = "std", feature = "rustcrypto"))] {
/// use keybound::json::Value;
/// use keybound::key::{Signer, soft::SoftKey};
/// use keybound::server::authorization::{access_token, confirmation};
/// use keybound::{Algorithm, RUSTCRYPTO, base64url};
/// let issuer = SoftKey::generate(Algorithm::Es256, &RUSTCRYPTO)?;
/// let client = SoftKey::generate(Algorithm::Es256, &RUSTCRYPTO)?.public_key().thumbprint(RUSTCRYPTO.digest);
/// let claims = Value::object().with("iss", "https://as.example.com").with("cnf", confirmation(client));
/// let token = access_token(&claims, "k1", &issuer, &RUSTCRYPTO)?;
/// let header = base64url::encode(br#"{"typ":"at+jwt","alg":"ES256","kid":"k1"}"#);
/// assert!(token.starts_with(&format!("{header}.")));
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Those of the signer.
pub fn access_token<S: Signer + ?Sized>(
    claims: &Value,
    kid: &str,
    signer: &S,
    crypto: &Crypto,
) -> Result<String, SignerError> {
    let algorithm = signer.algorithm();
    let header = Value::object().with("typ", TYP).with("alg", algorithm.name()).with("kid", kid);
    let mut text = base64url::encode(header.to_json().as_bytes());
    text.push('.');
    base64url::encode_into(claims.to_json().as_bytes(), &mut text);
    let signature = signer.sign(&SigningInput::new(algorithm, text.as_bytes(), crypto.digest))?;
    text.push('.');
    base64url::encode_into(signature.as_bytes(), &mut text);
    Ok(text)
}
