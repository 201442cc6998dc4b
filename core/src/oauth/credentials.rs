//! How a client shows who it is (OAuth 2.1 section 2.4, RFC 7523).

use alloc::string::String;
use alloc::vec::Vec;

use base64ct::Encoding as _;

use super::client::Inner;
use super::error::{DiscoveryDefect, FlowError};
use super::flow::Io;
use super::metadata::AuthorizationServer;
use super::pkce::random_text;
use super::secret::Secret;
use super::step::KeyUse;
use crate::http::form::{Form, encode_into, longest_encoding};
use crate::jose::jwk::PublicJwk;
use crate::jose::thumbprint::Thumbprint;
use crate::json::Value;
use crate::{Algorithm, Misuse, base64url};

/// A client identifier, and how the client proves that it is its own.
#[derive(Clone, Debug)]
pub struct Credentials {
    client_id: String,
    authentication: Authentication,
}

#[derive(Clone, Debug)]
enum Authentication {
    None,
    /// By whichever of the two ways the server permits.
    Secret(Secret),
    Basic(Secret),
    Post(Secret),
    Key(AssertionKey),
}

#[derive(Clone, Debug)]
struct AssertionKey {
    public_key: PublicJwk,
    algorithm: Algorithm,
    key_id: Option<String>,
}

/// How long a client assertion is valid, in seconds.
const ASSERTION_LIFETIME: u64 = 60;

impl Credentials {
    /// A public client: it has an identifier and no secret.
    pub fn public(client_id: &str) -> Self {
        Self::of(client_id, Authentication::None)
    }

    /// A client with a secret, shown in a way the server's metadata permits, `client_secret_basic` first.
    pub fn secret(client_id: &str, secret: Secret) -> Self {
        Self::of(client_id, Authentication::Secret(secret))
    }

    /// A client with a secret in the `Authorization` field (`client_secret_basic`).
    pub fn secret_basic(client_id: &str, secret: Secret) -> Self {
        Self::of(client_id, Authentication::Basic(secret))
    }

    /// A client with a secret in the body (`client_secret_post`).
    pub fn secret_post(client_id: &str, secret: Secret) -> Self {
        Self::of(client_id, Authentication::Post(secret))
    }

    /// A client with a key (`private_key_jwt`, RFC 7523 section 2.2): the host signs a new assertion for each request, by a
    /// [`Sign`](super::step::Sign) step for this key's thumbprint. It must not be the key of the proofs.
    pub fn private_key(client_id: &str, public_key: PublicJwk, algorithm: Algorithm) -> Self {
        Self::of(client_id, Authentication::Key(AssertionKey { public_key, algorithm, key_id: None }))
    }

    /// The identifier (`kid`) under which the server knows the client's key.
    #[must_use]
    pub fn key_id(mut self, key_id: &str) -> Self {
        if let Authentication::Key(key) = &mut self.authentication {
            key.key_id = Some(key_id.into());
        }
        self
    }

    fn of(client_id: &str, authentication: Authentication) -> Self {
        Self { client_id: client_id.into(), authentication }
    }

    /// The client identifier.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// Whether the client can keep a secret.
    pub const fn is_confidential(&self) -> bool {
        !matches!(self.authentication, Authentication::None)
    }

    /// Whether the client shows who it is by something that names a time.
    pub(super) const fn is_timed(&self) -> bool {
        matches!(self.authentication, Authentication::Key(_))
    }

    /// Refuses the key of proofs as the client's own key.
    #[cfg(feature = "dpop")]
    pub(super) fn differs_from(&self, proof_key: &Thumbprint, client: &Inner) -> Result<(), Misuse> {
        match &self.authentication {
            Authentication::Key(key) if key.public_key.thumbprint(client.crypto.digest) == *proof_key => {
                Err(Misuse::SameKey)
            }
            _ => Ok(()),
        }
    }

    /// What a registration says (RFC 7591 section 3.2.1).
    pub(super) fn from_registration(document: &Value) -> Option<Self> {
        let client_id = document.text("client_id").filter(|id| !id.is_empty())?;
        let secret = document.text("client_secret").map(Secret::new);
        Some(match (document.text("token_endpoint_auth_method"), secret) {
            (Some("none"), _) | (_, None) => Self::public(client_id),
            (Some("client_secret_basic"), Some(secret)) => Self::secret_basic(client_id, secret),
            (Some("client_secret_post"), Some(secret)) => Self::secret_post(client_id, secret),
            (_, Some(secret)) => Self::secret(client_id, secret),
        })
    }

    /// Adds to a request to `url` what shows who the client is. Each call makes a new assertion.
    pub(super) async fn attach(
        &self,
        io: &Io,
        client: &Inner,
        (server, url): (&AuthorizationServer, &str),
        form: &mut Form,
        fields: &mut Vec<(String, String)>,
    ) -> Result<(), FlowError> {
        let permits = |method| server.permits_authentication(method);
        match &self.authentication {
            Authentication::None => self.identify(form),
            Authentication::Basic(secret) => fields.push(self.basic(secret)),
            Authentication::Secret(secret) if permits("client_secret_basic") => fields.push(self.basic(secret)),
            Authentication::Post(secret) => self.post(secret, form),
            Authentication::Secret(secret) if permits("client_secret_post") => self.post(secret, form),
            Authentication::Secret(_) => return Err(DiscoveryDefect::NoAuthenticationMethod.into()),
            Authentication::Key(key) => {
                self.identify(form);
                form.push("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
                let assertion = self.assertion(key, io, client, (server.issuer(), url)).await?;
                form.push("client_assertion", assertion.expose());
            }
        }
        Ok(())
    }

    fn identify(&self, form: &mut Form) {
        if form.get("client_id").ok().flatten().is_none() {
            form.push("client_id", &self.client_id);
        }
    }

    fn post(&self, secret: &Secret, form: &mut Form) {
        self.identify(form);
        form.push("client_secret", secret.expose());
    }

    fn basic(&self, secret: &Secret) -> (String, String) {
        let longest = longest_encoding(&self.client_id).saturating_add(longest_encoding(secret.expose()));
        let mut pair = String::with_capacity(longest.saturating_add(1));
        encode_into(&self.client_id, &mut pair);
        pair.push(':');
        encode_into(secret.expose(), &mut pair);
        let pair = Secret::new(pair);
        let encoded = Secret::new(base64ct::Base64::encode_string(pair.expose().as_bytes()));
        ("Authorization".into(), ["Basic ", encoded.expose()].concat())
    }

    /// A signed assertion whose audience is the issuer alone: one made for another server's endpoint is worthless there. Its times are
    /// those of the server at `url`.
    async fn assertion(
        &self,
        key: &AssertionKey,
        io: &Io,
        client: &Inner,
        (issuer, url): (&str, &str),
    ) -> Result<Secret, FlowError> {
        let now = client.server_time(url, io.now());
        let header = Value::object()
            .with("typ", "client-authentication+jwt")
            .with("alg", key.algorithm.name())
            .with_some("kid", key.key_id.as_deref());
        let claims = Value::object()
            .with("iss", self.client_id.as_str())
            .with("sub", self.client_id.as_str())
            .with("aud", issuer)
            .with("iat", now)
            .with("exp", now.saturating_add(ASSERTION_LIFETIME))
            .with("jti", random_text::<16>(&client.crypto)?);
        let mut text = base64url::encode(header.to_json().as_bytes());
        text.push('.');
        base64url::encode_into(claims.to_json().as_bytes(), &mut text);
        if key.public_key.key_type() != key.algorithm.key_type() {
            return Err(Misuse::AlgorithmKey(key.algorithm).into());
        }
        let thumbprint: Thumbprint = key.public_key.thumbprint(client.crypto.digest);
        let signer = (&key.public_key, key.algorithm, thumbprint);
        let signature = client.sign(io, KeyUse::ClientAssertion, signer, text.as_bytes().to_vec()).await?;
        text.push('.');
        base64url::encode_into(signature.as_bytes(), &mut text);
        Ok(Secret::new(text))
    }
}
