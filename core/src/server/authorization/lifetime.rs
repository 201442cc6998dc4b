//! For how long what an authorization server issues should be good.

use core::fmt;

use super::AuthorizationServer;

/// For how long an authorization code may be good, in seconds (FAPI 2.0 section 5.3.2.1, number 11).
pub const MAX_CODE_LIFETIME: u64 = 60;
/// From which lifetime on an access token is a long-lived one, in seconds: an hour.
pub const LONG_LIFETIME: u64 = 3_600;

/// Something in a server's settings that leaves a thief more than need be. It works nevertheless; say it where the server starts.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Weakness {
    /// Bound access tokens live for more than an hour, and no nonce says when a proof was made: whoever can use a key for a
    /// moment can make proofs for later (RFC 9449 section 11.2).
    LongLivedWithoutNonces,
}

impl fmt::Display for Weakness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LongLivedWithoutNonces => {
                "bound access tokens live for more than an hour without nonces; shorten them, or give the server a nonce issuer"
            }
        })
    }
}

impl AuthorizationServer {
    /// What is weak about access tokens of this lifetime, in seconds, issued by this server.
    pub fn weakness(&self, access_token_lifetime: u64) -> Option<Weakness> {
        let has_nonces = self.nonces().is_some() && !self.policy().nonces_for_public_clients;
        (access_token_lifetime > LONG_LIFETIME && !has_nonces).then_some(Weakness::LongLivedWithoutNonces)
    }
}
