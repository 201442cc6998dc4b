//! An authorization server as far as its signatures go.

use std::fmt;

use keybound::http::url::Url;
use keybound::json::Value;
use keybound::key::soft::SoftKey;
use keybound::key::{Signer as _, SignerError};
use keybound::server::JwkSet;
use keybound::server::authorization::{AccessClaims, access_token};
use keybound::{Algorithm, Misuse, RUSTCRYPTO, base64url};
use keybound_tower::Builder;

use crate::client::TestClient;
use crate::clock::TestClock;
use crate::token::TestToken;

/// The issuer identifier unless another is given.
const NAME: &str = "https://issuer.example";
/// The identifier of its only key.
const KEY_ID: &str = "test-key";

/// An authorization server as far as its signatures go: it has a key, and signs access tokens (RFC 9068) for one resource. It listens
/// nowhere; [`trusted_by`](Self::trusted_by) hands its keys to the protection under test.
pub struct TestIssuer {
    name: String,
    resource: String,
    key: SoftKey,
    clock: TestClock,
}

impl TestIssuer {
    /// The issuer `https://issuer.example`, with a new key, whose tokens are for `resource`: the identifier that
    /// [`Protection::of`](keybound_tower::Protection::of) is given.
    ///
    /// # Errors
    /// [`Misuse::Target`] if `resource` is not an absolute `http` or `https` URL, [`Misuse::Random`].
    pub fn for_resource(resource: &str) -> Result<Self, Misuse> {
        Url::parse(resource).map_err(Misuse::Target)?;
        let key = SoftKey::generate(Algorithm::Es256, &RUSTCRYPTO)?;
        Ok(Self { name: NAME.to_owned(), resource: resource.to_owned(), key, clock: TestClock::default() })
    }

    /// The same under another issuer identifier: the one that the application trusts.
    #[must_use]
    pub fn named(self, issuer: &str) -> Self {
        Self { name: issuer.to_owned(), ..self }
    }

    /// The same with this clock.
    #[must_use]
    pub fn with_clock(self, clock: TestClock) -> Self {
        Self { clock, ..self }
    }

    /// Its issuer identifier (`iss`).
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The identifier of the resource that its tokens are for.
    pub fn resource(&self) -> &str {
        &self.resource
    }

    /// The clock that its tokens are dated by, and that [`trusted_by`](Self::trusted_by) hands to the protection.
    pub fn clock(&self) -> &TestClock {
        &self.clock
    }

    /// Its public keys, as [`Builder::issuer_with_keys`] takes them.
    pub fn keys(&self) -> JwkSet {
        JwkSet::default().with_key(Some(KEY_ID), self.key.public_key().clone())
    }

    /// Its public keys as the document that an issuer serves (RFC 7517 section 5), for code that fetches or parses it.
    pub fn jwks(&self) -> String {
        let jwk = Value::parse_object(self.key.public_key().to_json().as_bytes()).unwrap_or_else(|_| Value::object());
        let jwk = jwk.with("kid", KEY_ID).with("use", "sig").with("alg", self.key.algorithm().name());
        Value::object().with("keys", Value::Array(vec![jwk])).to_json()
    }

    /// Lets a protection trust this issuer, by its keys and not over the network, and read this issuer's clock. If the builder names an issuer with the
    /// same identifier already, only the source of its keys changes.
    ///
    /// The protection's memory store skips its start-up window ([`Builder::danger_first_start`]): no earlier process served the
    /// resource of a test.
    ///
    /// # Errors
    /// [`Misuse`] unless the issuer's identifier is an `https` URL, or `http` on loopback.
    pub fn trusted_by(&self, builder: Builder) -> Result<Builder, Misuse> {
        let builder = builder.issuer_with_keys(&self.name, self.keys())?;
        Ok(builder.clock(self.clock.reader()).danger_first_start())
    }

    /// Signs a token. It is bound to the key that it names, and to none if it names none.
    ///
    /// # Errors
    /// [`SignerError`] if there is no randomness.
    pub fn token(&self, token: &TestToken) -> Result<String, SignerError> {
        let mut random = [0; 16];
        RUSTCRYPTO.random.fill(&mut random)?;
        let claims = AccessClaims {
            issuer: &self.name,
            audience: token.audience.as_deref().unwrap_or(&self.resource),
            subject: &token.subject,
            client_id: &token.client_id,
            scope: &token.scopes.join(" "),
            id: &base64url::encode(&random),
            issued_at: self.clock.now(),
            lifetime: token.lifetime,
            bound_to: token.bound_to,
        };
        let mut claims = claims.to_value();
        for (name, value) in &token.more {
            claims.set(name, value.clone());
        }
        access_token(&claims, KEY_ID, &self.key, &RUSTCRYPTO)
    }

    /// A client with a new key, and a token that is bound to it unless it names another key.
    ///
    /// # Errors
    /// As for [`token`](Self::token).
    pub fn client(&self, token: TestToken) -> Result<TestClient, SignerError> {
        let key = SoftKey::generate(Algorithm::Es256, &RUSTCRYPTO)?;
        let own = key.public_key().thumbprint(RUSTCRYPTO.digest);
        let token = TestToken { bound_to: Some(token.bound_to.unwrap_or(own)), ..token };
        Ok(TestClient::new(self, key, &self.token(&token)?)?)
    }
}

impl fmt::Debug for TestIssuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestIssuer")
            .field("name", &self.name)
            .field("resource", &self.resource)
            .field("clock", &self.clock)
            .finish_non_exhaustive()
    }
}
