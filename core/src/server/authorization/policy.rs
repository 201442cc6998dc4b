//! What an authorization server asks of its clients beyond the rules for proofs.

/// The rules of an authorization server's endpoints. By default all clients are asked for nonces, if there are any, and every token
/// whose request has a proof is bound.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct EndpointPolicy {
    pub(super) nonces_for_public_clients: bool,
    pub(super) unbound_access: bool,
}

impl EndpointPolicy {
    /// The default.
    pub const fn new() -> Self {
        Self { nonces_for_public_clients: false, unbound_access: false }
    }

    /// Asks public clients alone for nonces: confidential ones authenticate with each request. The verifier's policy must then neither require
    /// nonces nor take the time from them.
    #[must_use]
    pub const fn nonces_for_public_clients(self) -> Self {
        Self { nonces_for_public_clients: true, ..self }
    }

    /// Issues access tokens that are not bound, while refresh tokens of public clients are (RFC 9449 section 5).
    #[must_use]
    pub const fn issuing_unbound_access_tokens(self) -> Self {
        Self { unbound_access: true, ..self }
    }
}
