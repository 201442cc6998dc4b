//! The pages of `docs/errors`, as part of the program.

/// Reason and page, for each name.
macro_rules! pages {
    ($($reason:literal),+ $(,)?) => {
        &[$(($reason, include_str!(concat!("../../../../docs/errors/", $reason, ".md")))),+]
    };
}

/// Every page: the reasons of proofs in the order of [`Rejection::ALL`](keybound::Rejection::ALL), then `rate_limited`.
const PAGES: &[(&str, &str)] = pages![
    "proof_missing",
    "multiple_proofs",
    "target_malformed",
    "proof_too_large",
    "jwt_malformed",
    "base64_non_canonical",
    "header_malformed",
    "header_duplicate",
    "header_too_complex",
    "crit_unsupported",
    "payload_unencoded",
    "typ_missing",
    "typ_mismatch",
    "alg_missing",
    "alg_not_asymmetric",
    "alg_unknown",
    "alg_not_permitted",
    "alg_unavailable",
    "jwk_missing",
    "jwk_malformed",
    "jwk_symmetric",
    "jwk_private",
    "jwk_unsupported",
    "jwk_alg_mismatch",
    "jwk_alg_conflict",
    "jwk_not_for_signatures",
    "jwk_non_canonical",
    "rsa_too_small",
    "rsa_too_large",
    "rsa_invalid",
    "key_small_order",
    "claims_malformed",
    "claims_duplicate",
    "claims_too_complex",
    "jti_missing",
    "jti_invalid",
    "jti_too_long",
    "htm_missing",
    "htm_invalid",
    "htu_missing",
    "htu_invalid",
    "iat_missing",
    "iat_invalid",
    "ath_missing",
    "ath_invalid",
    "nonce_invalid",
    "lifetime_invalid",
    "method_mismatch",
    "htu_malformed",
    "htu_not_bare",
    "target_mismatch",
    "iat_too_old",
    "iat_in_future",
    "expired",
    "not_yet_valid",
    "nonce_missing",
    "nonce_stale",
    "nonce_mismatch",
    "key_off_curve",
    "binding_mismatch",
    "ath_mismatch",
    "signature_malformed",
    "signature_invalid",
    "replayed",
    "before_store_floor",
    "rate_limited",
];

/// The page about a reason, in Markdown.
pub(super) fn page(reason: &str) -> Option<&'static str> {
    PAGES.iter().find(|(known, _)| *known == reason).map(|(_, page)| *page)
}

#[cfg(test)]
mod tests {
    use keybound::Rejection;

    use super::{PAGES, page};

    #[test]
    fn every_reason_has_its_page() {
        let reasons = Rejection::ALL.iter().map(|rejection| rejection.reason()).chain(["rate_limited"]);
        assert_eq!(PAGES.iter().map(|(reason, _)| *reason).collect::<Vec<_>>(), reasons.collect::<Vec<_>>());
        assert!(page("replayed").is_some_and(|page| page.starts_with("# replayed\n")));
        assert!(page("no_such_reason").is_none());
    }
}
