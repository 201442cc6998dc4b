//! Public keys as JWK (RFC 7517).
/// A public key.
#[derive(Clone, Debug)]
pub struct PublicJwk {}
