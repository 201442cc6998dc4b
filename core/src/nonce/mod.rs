//! Nonces.

pub mod cache;
pub mod issuer;

/// Which side of OAuth a server stands on. A nonce issued for one role is worthless in the other.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Role {
    /// The authorization server: token, PAR and revocation endpoints.
    AuthorizationServer,
    /// A resource server: the protected API.
    ResourceServer,
}
pub(crate) fn is_nonce(nonce: &[u8]) -> bool {
    !nonce.is_empty()
}
