//! Options of verifiers and clients.

use keybound::json::Value;
use keybound::{key, oauth};
use keybound_ffi as ffi;

use crate::CRYPTO;
use crate::error::KeyboundError;
use crate::plain::{json, shown, unsigned};

/// A profile's rules.
#[derive(Clone, Copy, PartialEq, Eq, Debug, uniffi::Enum)]
pub enum Preset {
    /// RFC 9449 with this library's defaults.
    Standard,
    /// FAPI 2.0 Security Profile.
    Fapi2,
    /// Model Context Protocol.
    Mcp,
    /// AT Protocol.
    Atproto,
    /// OpenID4VC High Assurance Interoperability Profile.
    Haip,
}

/// How a verifier judges. All times are seconds.
#[derive(Clone, Debug, Default, uniffi::Record)]
pub struct VerifierOptions {
    /// Where the rest begins from; RFC 9449 with this library's defaults if there is none.
    #[uniffi(default)]
    pub preset: Option<Preset>,
    /// The algorithms that are accepted, as JOSE names them; those of the preset if there are none.
    #[uniffi(default)]
    pub algorithms: Option<Vec<String>>,
    /// How old a proof may be.
    #[uniffi(default)]
    pub max_age: Option<i64>,
    /// How far in the future its `iat` may lie.
    #[uniffi(default)]
    pub max_ahead: Option<i64>,
    /// How much longer than a proof is good a replay store keeps it.
    #[uniffi(default)]
    pub store_margin: Option<i64>,
    /// Refuse proofs without a nonce (RFC 9449 section 8); for nonces of this library's making set `nonces`.
    #[uniffi(default)]
    pub require_nonces: bool,
    /// Judge the time by the nonce and not by `iat`, for clients without a good clock.
    #[uniffi(default)]
    pub nonce_replaces_iat: bool,
    /// Refuse an `htu` with query or fragment instead of leaving those out.
    #[uniffi(default)]
    pub bare_htu: bool,
    /// Keeps proofs of several services apart in one replay store.
    #[uniffi(default)]
    pub namespace: Option<String>,
    /// Makes and judges nonces.
    #[uniffi(default)]
    pub nonces: Option<NonceOptions>,
    /// How many proof headers are remembered, to check keys once.
    #[uniffi(default)]
    pub header_memory: Option<i64>,
}

/// How nonces are made.
#[derive(Clone, Debug, Default, uniffi::Record)]
pub struct NonceOptions {
    /// One or two secrets, of which the first makes nonces and both judge them; a random one otherwise, good for one process.
    #[uniffi(default)]
    pub keys: Vec<NonceKey>,
    /// Keeps nonces of several services with the same secret apart.
    #[uniffi(default)]
    pub namespace: Option<String>,
    /// Give each key its own nonces.
    #[uniffi(default)]
    pub bound_to_key: bool,
    /// Let nonces live for 5 to 10 seconds and not for 30 to 60.
    #[uniffi(default)]
    pub short: bool,
}

/// A secret that makes nonces.
#[derive(Clone, Debug, uniffi::Record)]
#[uniffi::export(Display)]
pub struct NonceKey {
    /// A number from 0 to 255, another for each secret.
    pub id: i32,
    /// The base64url of 32 random bytes.
    pub secret: String,
}

shown!(NonceKey { id });

/// How much protection a session has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, uniffi::Enum)]
pub enum SecurityLevel {
    /// Plain OAuth 2.1 with PKCE: bearer tokens, which are worth as much to a thief.
    Standard,
    /// Tokens are bound to a key by DPoP (RFC 9449); a bearer token in their place is an error.
    Enhanced,
    /// Tokens are bound to a key in hardware, for one intent, with server nonces and pushed requests (FAPI 2.0).
    Maximum,
}

impl SecurityLevel {
    pub(crate) const fn of(level: keybound::SecurityLevel) -> Self {
        match level {
            keybound::SecurityLevel::Standard => Self::Standard,
            keybound::SecurityLevel::Enhanced => Self::Enhanced,
            keybound::SecurityLevel::Maximum => Self::Maximum,
        }
    }

    pub(crate) const fn core(self) -> keybound::SecurityLevel {
        match self {
            Self::Standard => keybound::SecurityLevel::Standard,
            Self::Enhanced => keybound::SecurityLevel::Enhanced,
            Self::Maximum => keybound::SecurityLevel::Maximum,
        }
    }
}

/// A client that one issuer knows.
#[derive(Clone, Debug, uniffi::Record)]
#[uniffi::export(Display)]
pub struct Credentials {
    /// The issuer's identifier.
    pub issuer: String,
    /// The client's identifier there.
    pub client_id: String,
    /// `none` for a public client, which apps are; `secret` (whichever way the server permits), `client_secret_basic`,
    /// `client_secret_post` or `private_key_jwt`.
    #[uniffi(default)]
    pub method: Option<String>,
    /// For the methods with a secret. Nothing in an app is one.
    #[uniffi(default)]
    pub secret: Option<String>,
    /// For `private_key_jwt`: the public part of a key that the store holds, another than those of proofs.
    #[uniffi(default)]
    pub public_jwk: Option<String>,
    /// For `private_key_jwt`: its algorithm.
    #[uniffi(default)]
    pub algorithm: Option<String>,
    /// For `private_key_jwt`: its `kid`, where the server wants one.
    #[uniffi(default)]
    pub key_id: Option<String>,
}

shown!(Credentials { issuer, client_id, method, key_id });

/// How a client behaves.
#[derive(Clone, Debug, uniffi::Record)]
pub struct ClientOptions {
    /// How much protection its sessions have at least.
    pub level: SecurityLevel,
    /// Where the browser comes back to after a login: a claimed `https` link, a custom scheme, or loopback.
    #[uniffi(default)]
    pub redirect_uri: Option<String>,
    /// The clients it is at each issuer.
    #[uniffi(default)]
    pub credentials: Vec<Credentials>,
    /// The URL of this client's metadata document, which is its identifier too.
    #[uniffi(default)]
    pub metadata_document: Option<String>,
    /// Metadata to register with (RFC 7591), where no credentials are given: a JSON object.
    #[uniffi(default)]
    pub register: Option<String>,
    /// The issuers that logins go to; without any, those that a resource names.
    #[uniffi(default)]
    pub accept_issuers: Vec<String>,
    /// The tenant of Entra ID, a GUID, whose server is asked where Entra ID is named for many (`common`, `organizations`).
    #[uniffi(default)]
    pub entra_tenant: Option<String>,
    /// Metadata (RFC 8414) of servers that publish none: JSON objects.
    #[uniffi(default)]
    pub servers: Vec<String>,
    /// Origins that may have a session's token besides that of its resource.
    #[uniffi(default)]
    pub also_origins: Vec<String>,
    /// The algorithms of its keys, best first, as JOSE names them.
    #[uniffi(default)]
    pub algorithms: Option<Vec<String>>,
    /// Take keys in hardware alone.
    #[uniffi(default)]
    pub hardware_keys: bool,
    /// Permit `http` on loopback, for development.
    #[uniffi(default)]
    pub allow_loopback: bool,
    /// Send a proof with pushed authorization requests (RFC 9449 section 10.1).
    #[uniffi(default)]
    pub push_with_proof: bool,
    /// Take a server for one with PKCE that does not say so.
    #[uniffi(default)]
    pub danger_assume_pkce: bool,
    /// Use `/authorize` and `/token` of servers that publish no endpoints.
    #[uniffi(default)]
    pub danger_assume_endpoints: bool,
    /// Take bearer tokens where a server does not bind them: a thief can use one.
    #[uniffi(default)]
    pub danger_accept_bearer: bool,
}

fn texts(texts: &[String]) -> Value {
    texts.iter().map(String::as_str).collect()
}

/// The object with a member that is named only if it is set.
fn with_flag(options: Value, name: &str, flag: bool) -> Value {
    options.with_some(name, flag.then_some(true))
}

impl VerifierOptions {
    pub(crate) fn to_json(&self) -> Result<String, KeyboundError> {
        Ok(self.to_value()?.to_json())
    }

    pub(crate) fn to_value(&self) -> Result<Value, KeyboundError> {
        let number = |name: &str, number: Option<i64>| number.map(|number| unsigned(name, number)).transpose();
        let preset = self.preset.map(|preset| match preset {
            Preset::Standard => "default",
            Preset::Fapi2 => "fapi2",
            Preset::Mcp => "mcp",
            Preset::Atproto => "atproto",
            Preset::Haip => "haip",
        });
        let mut options = Value::object()
            .with_some("preset", preset)
            .with_some("algorithms", self.algorithms.as_deref().map(texts))
            .with_some("max_age", number("max_age", self.max_age)?)
            .with_some("max_ahead", number("max_ahead", self.max_ahead)?)
            .with_some("store_margin", number("store_margin", self.store_margin)?)
            .with_some("namespace", self.namespace.as_deref())
            .with_some("nonces", self.nonces.as_ref().map(NonceOptions::to_value))
            .with_some("header_memory", number("header_memory", self.header_memory)?);
        for (name, flag) in [
            ("require_nonces", self.require_nonces),
            ("nonce_replaces_iat", self.nonce_replaces_iat),
            ("bare_htu", self.bare_htu),
        ] {
            options = with_flag(options, name, flag);
        }
        Ok(options)
    }
}

impl NonceOptions {
    fn to_value(&self) -> Value {
        let key = |key: &NonceKey| Value::object().with("id", i64::from(key.id)).with("secret", key.secret.as_str());
        let options = Value::object()
            .with("keys", self.keys.iter().map(key).collect::<Vec<_>>())
            .with_some("namespace", self.namespace.as_deref());
        with_flag(with_flag(options, "bound_to_key", self.bound_to_key), "short", self.short)
    }
}

impl Credentials {
    fn read(&self) -> Result<oauth::Credentials, KeyboundError> {
        Ok(ffi::GivenCredentials {
            client_id: &self.client_id,
            method: self.method.as_deref(),
            secret: self.secret.as_deref(),
            public_jwk: self.public_jwk.as_deref(),
            algorithm: self.algorithm.as_deref(),
            key_id: self.key_id.as_deref(),
        }
        .read()?)
    }
}

impl ClientOptions {
    pub(crate) fn read(&self) -> Result<oauth::Client, KeyboundError> {
        let mut builder = oauth::Client::builder(self.level.core(), &CRYPTO);
        if let Some(uri) = &self.redirect_uri {
            builder = builder.redirect_uri(uri);
        }
        for client in &self.credentials {
            builder = builder.credentials(&client.issuer, client.read()?);
        }
        if let Some(url) = &self.metadata_document {
            builder = builder.metadata_document(url);
        }
        if let Some(metadata) = &self.register {
            builder = builder.register(json("register", metadata)?);
        }
        builder = self.accept_issuers.iter().fold(builder, |builder, issuer| builder.accept_issuer(issuer));
        if let Some(tenant) = &self.entra_tenant {
            builder = builder.entra_tenant(tenant);
        }
        for metadata in &self.servers {
            builder = builder.server(json("servers", metadata)?);
        }
        builder = self.also_origins.iter().fold(builder, |builder, origin| builder.also_origin(origin));
        if let Some(algorithms) = &self.algorithms {
            builder = builder.algorithms(ffi::algorithms(algorithms)?);
        }
        type Switch = fn(oauth::ClientBuilder) -> oauth::ClientBuilder;
        let switches: [(bool, Switch); 6] = [
            (self.hardware_keys, |builder| builder.protections(key::KeyProtection::HARDWARE)),
            (self.allow_loopback, oauth::ClientBuilder::allow_loopback),
            (self.push_with_proof, oauth::ClientBuilder::push_with_proof),
            (self.danger_assume_pkce, oauth::ClientBuilder::danger_assume_pkce),
            (self.danger_assume_endpoints, oauth::ClientBuilder::danger_assume_endpoints),
            (self.danger_accept_bearer, oauth::ClientBuilder::danger_accept_bearer),
        ];
        let builder =
            switches.into_iter().filter(|(is_on, _)| *is_on).fold(builder, |builder, (_, switch)| switch(builder));
        Ok(builder.build().map_err(ffi::Error::from)?)
    }
}
