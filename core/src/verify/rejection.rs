//! Why a proof is refused: one value for each defect, in the order in which the checks find them.

use core::fmt;

use super::advice;
use super::check::Check;

macro_rules! rejections {
    ($($check:ident { $($(#[$doc:meta])* $variant:ident = $reason:literal, $section:literal;)* })*) => {
        /// The peer's proof is refused, and this is the defect.
        ///
        /// It holds nothing from the peer. The wire code depends on role and nonces as well, so
        /// [`Verifier::refuse`](crate::Verifier::refuse) chooses it.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
        #[non_exhaustive]
        pub enum Rejection { $($($(#[$doc])* $variant,)*)* }

        impl Rejection {
            /// Every rejection, in the order of the checks.
            pub const ALL: &'static [Self] = &[$($(Self::$variant,)*)*];

            /// A stable name for machines, in snake case; the name of this defect's page in the documentation.
            pub const fn reason(self) -> &'static str {
                match self { $($(Self::$variant => $reason,)*)* }
            }

            /// The section of the standard that asks for this.
            pub const fn section(self) -> &'static str {
                match self { $($(Self::$variant => $section,)*)* }
            }

            /// The check that failed.
            pub const fn check(self) -> Check {
                match self { $($(Self::$variant => Check::$check,)*)* }
            }
        }
    };
}

rejections! {
    Fields {
        /// The request has no `DPoP` field.
        ProofMissing = "proof_missing", "RFC 9449 section 7.1";
        /// The request has more than one `DPoP` field, or one that holds several values.
        MultipleProofs = "multiple_proofs", "RFC 9449 section 4.3 check 1";
        /// The request's own target is no URI a proof could be for; the adapter refused before looking at the proof.
        TargetMalformed = "target_malformed", "RFC 9110 section 7.1";
    }
    Size {
        /// The proof is longer than 16 KiB.
        ProofTooLarge = "proof_too_large", "RFC 9449 section 4.3 check 2";
    }
    Shape {
        /// Not three segments joined by two dots.
        JwtMalformed = "jwt_malformed", "RFC 7515 section 7.1";
        /// A segment is not base64url without padding in its one spelling.
        Base64NonCanonical = "base64_non_canonical", "RFC 7515 section 2";
        /// The header is no JSON object.
        HeaderMalformed = "header_malformed", "RFC 7515 section 4";
        /// A name occurs twice in the header or inside it.
        HeaderDuplicate = "header_duplicate", "RFC 7515 section 4";
        /// The header nests deeper than 8 levels or has an object with more than 64 members.
        HeaderTooComplex = "header_too_complex", "RFC 7515 section 4";
        /// The header has `crit`, and this library knows no extension it could name.
        CritUnsupported = "crit_unsupported", "RFC 7515 section 4.1.11";
        /// The header has `b64` with the value `false`.
        PayloadUnencoded = "payload_unencoded", "RFC 7797 section 7";
    }
    Type {
        /// The header has no `typ`.
        TypMissing = "typ_missing", "RFC 9449 section 4.3 check 4";
        /// `typ` is not `dpop+jwt`.
        TypMismatch = "typ_mismatch", "RFC 9449 section 4.3 check 4";
    }
    Algorithm {
        /// The header has no `alg`.
        AlgMissing = "alg_missing", "RFC 9449 section 4.3 check 5";
        /// `alg` is `none` or a MAC.
        AlgNotAsymmetric = "alg_not_asymmetric", "RFC 9449 section 4.3 check 5";
        /// `alg` is no name this library knows.
        AlgUnknown = "alg_unknown", "RFC 9449 section 4.3 check 5";
        /// `alg` is known, but the policy does not permit it.
        AlgNotPermitted = "alg_not_permitted", "RFC 9449 section 4.3 check 5";
        /// `alg` is permitted, but this build's crypto provider lacks it.
        AlgUnavailable = "alg_unavailable", "RFC 9449 section 4.3 check 5";
    }
    Key {
        /// The header has no `jwk`.
        JwkMissing = "jwk_missing", "RFC 9449 section 4.3 check 3";
        /// `jwk` is no JSON Web Key: not an object, or a member is missing or of the wrong type.
        JwkMalformed = "jwk_malformed", "RFC 7517 section 4";
        /// `jwk` holds a symmetric key.
        JwkSymmetric = "jwk_symmetric", "RFC 9449 section 4.3 check 5";
        /// `jwk` holds a private member.
        JwkPrivate = "jwk_private", "RFC 9449 section 4.3 check 7";
        /// The key type or curve is unknown or cannot sign.
        JwkUnsupported = "jwk_unsupported", "RFC 9449 section 4.3 check 5";
        /// The key's type does not fit `alg`.
        JwkAlgMismatch = "jwk_alg_mismatch", "RFC 8725 section 3.1";
        /// The key's own `alg` differs from the header's.
        JwkAlgConflict = "jwk_alg_conflict", "RFC 7517 section 4.4";
        /// The key's `use` or `key_ops` is for something other than verifying.
        JwkNotForSignatures = "jwk_not_for_signatures", "RFC 7517 section 4.2";
        /// The key is not in its one canonical encoding.
        JwkNonCanonical = "jwk_non_canonical", "RFC 7638 section 7";
        /// The RSA modulus is shorter than 2048 bits.
        RsaTooSmall = "rsa_too_small", "RFC 7518 section 3.3";
        /// The RSA modulus is longer than the policy permits.
        RsaTooLarge = "rsa_too_large", "RFC 8725 section 3.5";
        /// The RSA modulus is even, or the exponent is even, too small or too large.
        RsaInvalid = "rsa_invalid", "RFC 8725 section 3.5";
        /// The Ed25519 point is of small order.
        KeySmallOrder = "key_small_order", "RFC 8725 section 3.4";
    }
    Claims {
        /// The payload is no JSON object.
        ClaimsMalformed = "claims_malformed", "RFC 7519 section 7.2";
        /// A name occurs twice in the claims or inside them.
        ClaimsDuplicate = "claims_duplicate", "RFC 7519 section 4";
        /// The claims nest deeper than 8 levels or have an object with more than 64 members.
        ClaimsTooComplex = "claims_too_complex", "RFC 7519 section 7.2";
        /// There is no `jti`.
        JtiMissing = "jti_missing", "RFC 9449 section 4.3 check 3";
        /// `jti` is no string or is empty.
        JtiInvalid = "jti_invalid", "RFC 9449 section 4.2";
        /// `jti` is longer than 512 bytes.
        JtiTooLong = "jti_too_long", "RFC 9449 section 11.1";
        /// There is no `htm`.
        HtmMissing = "htm_missing", "RFC 9449 section 4.3 check 3";
        /// `htm` is no string.
        HtmInvalid = "htm_invalid", "RFC 9449 section 4.2";
        /// There is no `htu`.
        HtuMissing = "htu_missing", "RFC 9449 section 4.3 check 3";
        /// `htu` is no string.
        HtuInvalid = "htu_invalid", "RFC 9449 section 4.2";
        /// There is no `iat`.
        IatMissing = "iat_missing", "RFC 9449 section 4.3 check 3";
        /// `iat` is no number.
        IatInvalid = "iat_invalid", "RFC 7519 section 4.1.6";
        /// There is an access token, but no `ath`.
        AthMissing = "ath_missing", "RFC 9449 section 4.3 check 3";
        /// There is an access token, and `ath` is no string.
        AthInvalid = "ath_invalid", "RFC 9449 section 4.2";
        /// `nonce` is no string.
        NonceInvalid = "nonce_invalid", "RFC 9449 section 4.2";
        /// `exp` or `nbf` is no number.
        LifetimeInvalid = "lifetime_invalid", "RFC 7519 section 4.1";
    }
    Method {
        /// `htm` is another method.
        MethodMismatch = "method_mismatch", "RFC 9449 section 4.3 check 8";
    }
    Target {
        /// `htu` is no absolute `http` or `https` URI.
        HtuMalformed = "htu_malformed", "RFC 9449 section 4.3 check 9";
        /// `htu` has a query or fragment, and the policy refuses that.
        HtuNotBare = "htu_not_bare", "RFC 9449 section 4.2";
        /// `htu` is another URI.
        TargetMismatch = "target_mismatch", "RFC 9449 section 4.3 check 9";
    }
    Time {
        /// `iat` lies too far in the past.
        IatTooOld = "iat_too_old", "RFC 9449 section 4.3 check 11";
        /// `iat` lies too far ahead.
        IatInFuture = "iat_in_future", "RFC 9449 section 11.1";
        /// `exp` has passed.
        Expired = "expired", "RFC 7519 section 4.1.4";
        /// `nbf` has not come yet.
        NotYetValid = "not_yet_valid", "RFC 7519 section 4.1.5";
    }
    Nonce {
        /// A nonce is asked for, and the proof has none.
        NonceMissing = "nonce_missing", "RFC 9449 section 4.3 check 10";
        /// The nonce is authentic, but its time is over.
        NonceStale = "nonce_stale", "RFC 9449 section 8";
        /// The nonce is not one this server provided to this client in this role.
        NonceMismatch = "nonce_mismatch", "RFC 9449 section 4.3 check 10";
    }
    Curve {
        /// The point in `jwk` is not on its curve.
        KeyOffCurve = "key_off_curve", "RFC 8725 section 3.4";
    }
    Binding {
        /// The token, code or session is bound to another key.
        BindingMismatch = "binding_mismatch", "RFC 9449 section 4.3 check 12";
    }
    TokenHash {
        /// `ath` is not the hash of the access token.
        AthMismatch = "ath_mismatch", "RFC 9449 section 4.3 check 12";
    }
    Signature {
        /// The signature does not have the length `alg` and key ask for.
        SignatureMalformed = "signature_malformed", "RFC 7518 section 3.4";
        /// The signature does not verify with `jwk`.
        SignatureInvalid = "signature_invalid", "RFC 9449 section 4.3 check 6";
    }
    Replay {
        /// The proof was used before.
        Replayed = "replayed", "RFC 9449 section 11.1";
        /// The proof was made so early that the replay store cannot know whether it was used.
        BeforeStoreFloor = "before_store_floor", "RFC 9449 section 11.1";
    }
}

impl Rejection {
    /// The rejection of this reason.
    pub fn from_reason(reason: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|rejection| rejection.reason() == reason)
    }

    /// The usual cause, in plain sentences for the developer whose client was refused.
    pub const fn cause(self) -> &'static str {
        advice::of(self).cause
    }

    /// What to do, in plain sentences for that developer and, where it is the server's configuration, its operator.
    pub const fn fix(self) -> &'static str {
        advice::of(self).fix
    }
}

/// One sentence that names the defect, without anything from the peer.
impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(advice::of(*self).meaning)
    }
}

impl core::error::Error for Rejection {}

#[cfg(test)]
mod tests {
    use super::Rejection;

    #[test]
    fn order_and_reasons_are_sound() {
        for pair in Rejection::ALL.windows(2) {
            assert!(pair[0].check() <= pair[1].check(), "{pair:?}");
        }
        for rejection in Rejection::ALL {
            assert_eq!(Rejection::from_reason(rejection.reason()), Some(*rejection));
        }
    }
}
