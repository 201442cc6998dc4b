//! How much a client demands of its servers and keys.

use core::fmt;

/// How strongly the tokens of a session are protected.
///
/// | | Standard | Enhanced | Maximum |
/// |---|---|---|---|
/// | OAuth 2.1 with PKCE, `state`, `iss` where announced | yes | yes | yes |
/// | tokens bound by DPoP, `dpop_jkt`, `ath` | no: the bytes of plain OAuth | yes | yes |
/// | an answer with `token_type` Bearer | normal | error | error |
/// | pushed authorization requests, `iss` | where offered | where offered | required |
/// | nonces of the servers | – | followed | required |
/// | key | – | any, a fresh one for each login | in hardware or an HSM, a fresh one for each intent |
/// | intent | – | optional | required |
///
/// A session can be raised, never lowered.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum SecurityLevel {
    /// Plain OAuth 2.1: Bearer tokens, which are worth as much to a thief.
    #[default]
    Standard,
    /// Tokens are bound to a key by DPoP (RFC 9449).
    Enhanced,
    /// Tokens are bound to a key in hardware, for one intent, with server nonces and pushed requests (FAPI 2.0).
    Maximum,
}

impl SecurityLevel {
    /// The stable name: `standard`, `enhanced` or `maximum`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Enhanced => "enhanced",
            Self::Maximum => "maximum",
        }
    }

    /// The level of this [`name`](Self::name).
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Standard, Self::Enhanced, Self::Maximum].into_iter().find(|level| level.name() == name)
    }

    /// Whether tokens are bound to a key.
    pub const fn binds(self) -> bool {
        !matches!(self, Self::Standard)
    }
}

impl fmt::Display for SecurityLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
