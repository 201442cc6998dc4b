//! What issuers sign, and the keys they sign it with: where those are, how long they count, and who asks for them.

mod jwk_set;
mod jwt;
mod keys;

pub use jwk_set::{JwkSet, NotJwkSet};
pub(crate) use jwt::{JwtDefect, SignatureDefect, UnverifiedJwt};
pub use keys::KeySource;
pub(crate) use keys::{IssuerKeys, WantedKey};
