//! The checks, in the order they are made.

use core::fmt;

/// One line of the verification, in order. The first that fails names the [`Rejection`](crate::Rejection); this order is
/// a public contract.
///
/// Cheap checks stand first, so that what a stranger can make a server do is bounded. The key binding stands before
/// the signature: a stranger with fresh keys costs a hash at a resource server, not a verification. Replay is last,
/// so that a proof that fails burns nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Check {
    /// Exactly one `DPoP` field (RFC 9449 section 4.3, check 1).
    Fields,
    /// At most 16 KiB.
    Size,
    /// A compact JWS of canonical base64url with a JSON object as header (check 2).
    Shape,
    /// `typ` is `dpop+jwt` (check 4).
    Type,
    /// `alg` is asymmetric, supported and permitted (check 5).
    Algorithm,
    /// `jwk` is a public, canonical key within its bounds that fits `alg` (check 7).
    Key,
    /// The required claims are there, each of its type (check 3).
    Claims,
    /// `htm` is the request's method (check 8).
    Method,
    /// `htu` is the request's target (check 9).
    Target,
    /// `iat`, `exp` and `nbf` lie in the accepted window (check 11).
    Time,
    /// `nonce` is one this server provided (check 10).
    Nonce,
    /// The point in `jwk` is on its curve (RFC 8725 section 3.4). It costs more than all checks before it.
    Curve,
    /// The key is the one the token, code or session is bound to (check 12b).
    Binding,
    /// `ath` is the hash of the access token (check 12a).
    TokenHash,
    /// The signature verifies with `jwk` (check 6).
    Signature,
    /// The proof was not used before (section 11.1).
    Replay,
}

impl Check {
    /// Every check, in order.
    pub const ALL: [Self; 16] = [
        Self::Fields,
        Self::Size,
        Self::Shape,
        Self::Type,
        Self::Algorithm,
        Self::Key,
        Self::Claims,
        Self::Method,
        Self::Target,
        Self::Time,
        Self::Nonce,
        Self::Curve,
        Self::Binding,
        Self::TokenHash,
        Self::Signature,
        Self::Replay,
    ];

    /// A stable name for machines, in snake case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fields => "fields",
            Self::Size => "size",
            Self::Shape => "shape",
            Self::Type => "type",
            Self::Algorithm => "algorithm",
            Self::Key => "key",
            Self::Claims => "claims",
            Self::Method => "method",
            Self::Target => "target",
            Self::Time => "time",
            Self::Nonce => "nonce",
            Self::Curve => "curve",
            Self::Binding => "binding",
            Self::TokenHash => "token_hash",
            Self::Signature => "signature",
            Self::Replay => "replay",
        }
    }

    /// What the check asks, as a short sentence.
    pub const fn question(self) -> &'static str {
        match self {
            Self::Fields => "exactly one DPoP field",
            Self::Size => "at most 16 KiB",
            Self::Shape => "a signed JWT in compact form",
            Self::Type => "typ is dpop+jwt",
            Self::Algorithm => "alg is asymmetric, supported and permitted",
            Self::Key => "jwk is a valid public key for alg",
            Self::Claims => "the required claims are there",
            Self::Method => "htm is the request's method",
            Self::Target => "htu is the request's target",
            Self::Time => "iat, exp and nbf fit the clock",
            Self::Nonce => "nonce is one this server provided",
            Self::Curve => "the point in jwk is on its curve",
            Self::Binding => "the key is the one the token is bound to",
            Self::TokenHash => "ath is the hash of the access token",
            Self::Signature => "the signature verifies",
            Self::Replay => "the proof was not used before",
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
