//! What issuers sign, and the keys they sign it with: where those are, how long they count, and who asks for them.

mod fetch;
mod jwk_set;
mod jwt;
#[cfg(feature = "dpop")]
mod keys;

pub(crate) use fetch::fetch_set;
pub use jwk_set::{JwkSet, NotJwkSet};
pub(crate) use jwt::{JwtDefect, SignatureDefect, UnverifiedJwt};
#[cfg(feature = "dpop")]
pub use keys::KeySource;
#[cfg(feature = "dpop")]
pub(crate) use keys::{IssuerKeys, WantedKey};
