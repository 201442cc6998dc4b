//! Proof Key for Code Exchange, method S256 alone (RFC 7636).

use alloc::string::String;

use super::secret::Secret;
use crate::base64url;
use crate::crypto::{Crypto, Digest, RandomUnavailable};
use crate::http::form::Form;

/// A new code verifier: 43 characters from 32 random octets (RFC 7636 section 4.1).
pub(super) fn verifier(crypto: &Crypto) -> Result<Secret, RandomUnavailable> {
    random_text::<32>(crypto).map(Secret::new)
}

/// Adds the challenge of a verifier to a request (RFC 7636 section 4.3).
pub(super) fn announce(verifier: &Secret, form: &mut Form, digest: &dyn Digest) {
    form.push("code_challenge", &challenge(verifier.expose(), digest));
    form.push("code_challenge_method", "S256");
}

/// The challenge of a verifier (RFC 7636 section 4.2).
fn challenge(verifier: &str, digest: &dyn Digest) -> String {
    base64url::encode(&digest.sha256(&[verifier.as_bytes()]))
}

/// `N` random octets as base64url.
pub(super) fn random_text<const N: usize>(crypto: &Crypto) -> Result<String, RandomUnavailable> {
    let mut octets = [0; N];
    crypto.random.fill(&mut octets)?;
    Ok(base64url::encode(&octets))
}

#[cfg(all(test, feature = "rustcrypto", feature = "std"))]
mod tests {
    use super::{challenge, verifier};
    use crate::RUSTCRYPTO;

    #[test]
    fn rfc_7636_appendix_b() {
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        assert_eq!(challenge(verifier, RUSTCRYPTO.digest), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn verifiers_have_43_unreserved_characters() {
        let made = verifier(&RUSTCRYPTO).unwrap();
        assert_eq!(made.expose().len(), 43);
        assert!(made.expose().bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
        assert!(made != verifier(&RUSTCRYPTO).unwrap());
    }
}
