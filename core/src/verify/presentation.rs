//! A proof as it comes with a request.

use core::fmt;

use crate::jose::thumbprint::Thumbprint;
use crate::nonce::Role;
use crate::proof::target::TargetUri;
use crate::replay::StoreEpoch;

/// A request as far as its proof is concerned.
#[derive(Clone, Copy)]
pub struct Presentation<'a> {
    /// The method, as received.
    pub method: &'a str,
    /// The target, from configuration or trusted proxies: never from a decoded path or an unchecked `Host`.
    pub target: &'a TargetUri,
    /// The values of all `DPoP` fields, one element for each field line, as received.
    pub proofs: &'a [&'a [u8]],
    /// What the proof is presented for.
    pub context: Context<'a>,
    /// The one nonce this server provided to this client, where the host remembers it itself. `None` leaves nonces to the
    /// verifier's issuer.
    pub nonce: Option<&'a str>,
    /// The replay store's life, which nonces are made and judged for: its [`epoch`](crate::replay::ReplayStore::epoch) when the
    /// request came.
    pub epoch: StoreEpoch,
}

/// What a proof is presented for.
#[derive(Clone, Copy)]
pub enum Context<'a> {
    /// A request to the authorization server, which carries no access token.
    TokenEndpoint {
        /// The thumbprint that code, refresh token or pushed request are bound to (RFC 9449 sections 5 and 10), if they are.
        dpop_jkt: Option<Thumbprint>,
    },
    /// A request to a protected resource.
    Resource {
        /// The access token, without its scheme, as received.
        access_token: &'a str,
        /// The thumbprint in the token's `cnf.jkt` (RFC 9449 section 6). A token without one is no bound token: refuse it before.
        bound_to: Thumbprint,
    },
}

impl<'a> Presentation<'a> {
    /// A proof presented for `context`; nonces are left to the verifier's issuer, and made for epoch 0.
    pub const fn new(method: &'a str, target: &'a TargetUri, proofs: &'a [&'a [u8]], context: Context<'a>) -> Self {
        Self { method, target, proofs, context, nonce: None, epoch: StoreEpoch::UNNAMED }
    }

    /// The same, with the exact nonce this server provided to this client.
    #[must_use]
    pub const fn expecting_nonce(self, nonce: &'a str) -> Self {
        Self { nonce: Some(nonce), ..self }
    }

    /// The same in this life of the replay store: nonces vouch for it. Without a store, or without nonces, there is nothing to
    /// say.
    #[must_use]
    pub const fn in_epoch(self, epoch: StoreEpoch) -> Self {
        Self { epoch, ..self }
    }
}

/// A proof as it comes with a request, as far as it can be read before it is known which key the token is bound to: a [`Presentation`]
/// without its context.
#[derive(Clone, Copy)]
pub struct PresentedProof<'a> {
    /// The method, as received.
    pub method: &'a str,
    /// The target, from configuration or trusted proxies: never from a decoded path or an unchecked `Host`.
    pub target: &'a TargetUri,
    /// The values of all `DPoP` fields, one element for each field line, as received.
    pub proofs: &'a [&'a [u8]],
    /// The access token, without its scheme, as received; none at an authorization server.
    pub access_token: Option<&'a str>,
    /// The side that judges.
    pub role: Role,
    /// The one nonce this server provided to this client, where the host remembers it itself.
    pub nonce: Option<&'a str>,
    /// The replay store's life, which nonces are made and judged for.
    pub epoch: StoreEpoch,
}

impl<'a> PresentedProof<'a> {
    /// A proof that comes with an access token to a resource.
    pub const fn at_resource(
        method: &'a str,
        target: &'a TargetUri,
        proofs: &'a [&'a [u8]],
        access_token: &'a str,
        epoch: StoreEpoch,
    ) -> Self {
        let (access_token, role) = (Some(access_token), Role::ResourceServer);
        Self { method, target, proofs, access_token, role, nonce: None, epoch }
    }

    /// A proof that comes with a request to an authorization server.
    pub const fn at_authorization_server(
        method: &'a str,
        target: &'a TargetUri,
        proofs: &'a [&'a [u8]],
        epoch: StoreEpoch,
    ) -> Self {
        Self { method, target, proofs, access_token: None, role: Role::AuthorizationServer, nonce: None, epoch }
    }
}

impl<'a> Presentation<'a> {
    /// The same without what the proof is bound to.
    pub const fn presented(&self) -> PresentedProof<'a> {
        let Self { method, target, proofs, context, nonce, epoch } = *self;
        let access_token = match context {
            Context::TokenEndpoint { .. } => None,
            Context::Resource { access_token, .. } => Some(access_token),
        };
        PresentedProof { method, target, proofs, access_token, role: context.role(), nonce, epoch }
    }
}

/// Without proof, token and nonce.
impl fmt::Debug for PresentedProof<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PresentedProof")
            .field("method", &self.method)
            .field("target", &self.target.as_str())
            .field("proofs", &self.proofs.len())
            .finish_non_exhaustive()
    }
}

impl Context<'_> {
    /// The side that judges.
    pub const fn role(&self) -> Role {
        match self {
            Self::TokenEndpoint { .. } => Role::AuthorizationServer,
            Self::Resource { .. } => Role::ResourceServer,
        }
    }

    pub(crate) const fn bound_to(&self) -> Option<Thumbprint> {
        match self {
            Self::TokenEndpoint { dpop_jkt } => *dpop_jkt,
            Self::Resource { bound_to, .. } => Some(*bound_to),
        }
    }

    pub(crate) const fn access_token(&self) -> Option<&str> {
        match self {
            Self::TokenEndpoint { .. } => None,
            Self::Resource { access_token, .. } => Some(access_token),
        }
    }
}

/// Without proof, token and nonce.
impl fmt::Debug for Presentation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presentation")
            .field("method", &self.method)
            .field("target", &self.target.as_str())
            .field("proofs", &self.proofs.len())
            .field("context", &self.context)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TokenEndpoint { dpop_jkt } => f.debug_struct("TokenEndpoint").field("dpop_jkt", dpop_jkt).finish(),
            Self::Resource { bound_to, .. } => {
                f.debug_struct("Resource").field("bound_to", bound_to).finish_non_exhaustive()
            }
        }
    }
}
