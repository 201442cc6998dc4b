//! Whom a request may be attributed to.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::access_token::AccessToken;
use crate::audit::Facts;
use crate::guard::Watched;
use crate::json::Value;
use crate::nonce::Nonce;
use crate::proof::DPOP_NONCE;
use crate::{Thumbprint, UnixTime, VerifiedProof};

/// Whom an accepted request may be attributed to, and what its token permits.
///
/// Handlers behind `keybound-tower` get its own `Principal`, which derefs to this one and also refuses requests that lack scopes.
///
/// `Debug` shows neither subject nor claims.
pub struct Principal {
    token: AccessToken,
    thumbprint: Option<Thumbprint>,
    next_nonce: Option<Nonce>,
    /// There if the server keeps what it learns.
    facts: Option<Box<Facts>>,
    /// When its request arrived, by the clock of the guards.
    pub(super) at: Watched,
}

impl Principal {
    pub(super) fn new(
        token: AccessToken,
        proof: Option<&VerifiedProof>,
        facts: Option<Box<Facts>>,
        at: Watched,
    ) -> Self {
        Self {
            facts,
            token,
            at,
            thumbprint: proof.map(VerifiedProof::thumbprint),
            next_nonce: proof.and_then(VerifiedProof::next_nonce).cloned(),
        }
    }

    /// The user, or the client where it acts for itself (`sub`). Unique together with the issuer.
    pub fn subject(&self) -> Option<&str> {
        self.token.subject.as_deref()
    }

    /// The client that the token was issued to: `client_id`, or the member that the issuer's
    /// [`IssuerProfile`](super::IssuerProfile) has instead.
    pub fn client_id(&self) -> Option<&str> {
        self.token.client_id.as_deref()
    }

    /// The authorization server; none if an introspection answer does not name it.
    pub fn issuer(&self) -> Option<&str> {
        self.token.issuer.as_deref()
    }

    /// The resources the token is for.
    pub fn audience(&self) -> impl Iterator<Item = &str> {
        self.token.audience.iter().map(String::as_str)
    }

    /// What the token permits.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        self.token.scopes.iter().map(String::as_str)
    }

    /// Whether the token permits `scope`.
    pub fn has_scope(&self, scope: &str) -> bool {
        self.scopes().any(|known| known == scope)
    }

    /// When the token ends; none if an introspection answer does not say.
    pub const fn expires_at(&self) -> Option<UnixTime> {
        self.token.expires_at
    }

    /// The thumbprint of the key that the token is bound to and the proof was made with; none for a Bearer token.
    pub const fn thumbprint(&self) -> Option<Thumbprint> {
        self.thumbprint
    }

    /// What was verified, for audit records; none unless the server is [told](super::ResourceServer::audited) to keep it.
    pub fn facts(&self) -> Option<&Facts> {
        self.facts.as_deref()
    }

    /// For how many seconds the token counts beyond its end, and before its beginning: the policy's leeway.
    pub(crate) const fn leeway(&self) -> u64 {
        self.token.leeway
    }

    /// The granted details (RFC 9396), an array. Only requests to the endpoints of
    /// [`with_intents_at`](super::ResourcePolicy::with_intents_at) come with a token that has any.
    pub fn authorization_details(&self) -> Option<&Value> {
        self.token.claims.member("authorization_details")
    }

    /// All claims, or all members of the introspection answer.
    pub const fn claims(&self) -> &Value {
        &self.token.claims
    }

    /// The nonce to hand out with the answer, near rotation.
    pub const fn next_nonce(&self) -> Option<&Nonce> {
        self.next_nonce.as_ref()
    }

    /// The fields that the answer to this request has to carry besides its own: the next nonce, and `no-store` with it
    /// (RFC 9449 section 8.2).
    pub fn headers(&self) -> Vec<(&'static str, &str)> {
        match &self.next_nonce {
            Some(nonce) => alloc::vec![(DPOP_NONCE, nonce.as_str()), ("Cache-Control", "no-store")],
            None => Vec::new(),
        }
    }
}

impl fmt::Debug for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Principal")
            .field("issuer", &self.token.issuer)
            .field("client_id", &self.token.client_id)
            .field("scopes", &self.token.scopes)
            .field("expires_at", &self.token.expires_at)
            .field("thumbprint", &self.thumbprint)
            .finish_non_exhaustive()
    }
}
