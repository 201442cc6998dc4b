//! What each rejection means, its usual cause and what to do: one table, and therefore longer than other files.

use super::rejection::Rejection;

/// The meanings of the defects that say that a proof was made for another method or URL. A client knows them by these.
pub(crate) const ELSEWHERE: [&str; 2] =
    ["htm is not the method of the request", "htu is not the target of the request"];

/// Three fixed texts about one rejection.
pub(crate) struct Advice {
    /// Names the defect for the wire (`error_description`): ASCII without `"` and `\`, lower case, no full stop.
    pub(crate) meaning: &'static str,
    /// The usual cause, told to the developer whose client was refused.
    pub(crate) cause: &'static str,
    /// What that developer, or the server's operator, can do.
    pub(crate) fix: &'static str,
}

const fn advice(meaning: &'static str, cause: &'static str, fix: &'static str) -> Advice {
    Advice { meaning, cause, fix }
}

/// The advice about `rejection`.
pub(crate) const fn of(rejection: Rejection) -> Advice {
    match rejection {
        Rejection::ProofMissing => advice(
            "the request has no DPoP field",
            "The client sent the access token without a proof, or a proxy or CORS rule on the way removed the DPoP field.",
            "Send a fresh proof in the DPoP field of every request. In browsers, the server must list DPoP in Access-Control-Allow-Headers.",
        ),
        Rejection::MultipleProofs => advice(
            "the request has more than one proof",
            "The DPoP field was added twice, often by an interceptor that runs again on a retry, or two fields were folded into one with a comma.",
            "Set the field instead of appending to it, and replace it when a request is retried.",
        ),
        Rejection::TargetMalformed => advice(
            "the request's own target is not a valid URI",
            "The request line or a forwarded header holds something that is not an absolute http or https URI, or the path has a segment `.` or `..` (also `%2e`).",
            "Send a well-formed request target, and resolve dot segments first. Operators: check the configured origin and the headers that the proxy sets.",
        ),
        Rejection::ProofTooLarge => advice(
            "the proof is longer than 16 KiB",
            "Extra claims, a certificate chain or a very long nonce were put into the proof, or another document was sent in its place.",
            "Keep the proof to the claims that RFC 9449 defines; nothing else is read.",
        ),
        Rejection::JwtMalformed => advice(
            "the proof is not a compact JWS of three segments",
            "The value is an access token, an encrypted JWT, or was cut, quoted or prefixed on its way into the field.",
            "Send the proof itself as the value of the DPoP field: header, payload and signature joined by two dots.",
        ),
        Rejection::Base64NonCanonical => advice(
            "a segment of the proof is not canonical base64url without padding",
            "A segment was encoded with standard base64, with padding, with line breaks, or was altered after it was encoded.",
            "Encode with the URL-safe alphabet and without padding, and send what the encoder gave unchanged.",
        ),
        Rejection::HeaderMalformed => advice(
            "the header of the proof is not a JSON object",
            "The first segment does not hold a JSON object in UTF-8: it was encoded twice, cut, or built by hand.",
            "Let a JSON library write the header, and encode it exactly once.",
        ),
        Rejection::HeaderDuplicate => advice(
            "a name occurs twice in the header of the proof",
            "The header was put together from texts or lists that allow repeated names.",
            "Build the header from a map, so that each name occurs once.",
        ),
        Rejection::HeaderTooComplex => advice(
            "the header of the proof nests too deep or has too many members or values",
            "The header holds far more than typ, alg and jwk.",
            "Put only typ, alg and the public jwk into the header.",
        ),
        Rejection::CritUnsupported => advice(
            "the header of the proof has crit, and no extension is supported",
            "The JWT library was told to mark header parameters as critical.",
            "Do not set crit in proofs.",
        ),
        Rejection::PayloadUnencoded => advice(
            "the header of the proof declares an unencoded payload",
            "The header has b64 with the value false, which JWTs must not use.",
            "Leave b64 out of the header.",
        ),
        Rejection::TypMissing => advice(
            "the header of the proof has no typ",
            "The JWT library does not set typ unless it is asked to.",
            "Set typ to dpop+jwt in the header of the proof.",
        ),
        Rejection::TypMismatch => advice(
            "typ in the header of the proof is not dpop+jwt",
            "Another JWT was sent in place of the proof, or the library left its default typ JWT.",
            "Set typ to exactly dpop+jwt, in lower case, and send the proof in the DPoP field and the token in Authorization.",
        ),
        Rejection::AlgMissing => advice(
            "the header of the proof has no alg",
            "The header was built by hand and alg was forgotten.",
            "Set alg to the algorithm the proof is signed with, for example ES256.",
        ),
        Rejection::AlgNotAsymmetric => advice(
            "alg in the header of the proof is not an asymmetric signature algorithm",
            "The proof is unsigned or authenticated with a shared secret, so it proves nothing about a key pair.",
            "Sign with a private key, for example with ES256.",
        ),
        Rejection::AlgUnknown => advice(
            "alg in the header of the proof is unknown",
            "The name is misspelled, in the wrong case, or belongs to an algorithm that is not registered for signatures.",
            "Use a registered name in its exact spelling, for example ES256.",
        ),
        Rejection::AlgNotPermitted => advice(
            "alg in the header of the proof is not permitted here",
            "The client signs with an algorithm that the server's policy does not list.",
            "Use a key for one of the algorithms in the challenge's algs or in dpop_signing_alg_values_supported. Operators: add the algorithm to those that the policy permits.",
        ),
        Rejection::AlgUnavailable => advice(
            "alg in the header of the proof is not available on this server",
            "The server's policy permits the algorithm, but its crypto provider does not implement it.",
            "Use another of the permitted algorithms. Operators: permit only algorithms that the provider implements; the check of the configuration at the start finds this.",
        ),
        Rejection::JwkMissing => advice(
            "the header of the proof has no jwk",
            "The proof names its key by kid or x5c, or not at all.",
            "Put the public key itself into the header as jwk.",
        ),
        Rejection::JwkMalformed => advice(
            "jwk in the header of the proof is not a JSON Web Key",
            "jwk is a string, or one of the members that its kty needs is missing or is no string.",
            "Export the public key as a JSON object: kty, crv, x and y for elliptic curves; kty, crv and x for Ed25519; kty, n and e for RSA.",
        ),
        Rejection::JwkSymmetric => advice(
            "jwk in the header of the proof is a symmetric key",
            "A shared secret was exported in place of a public key. Whoever has seen this proof knows it now.",
            "Make a new asymmetric key pair, and treat the secret as compromised.",
        ),
        Rejection::JwkPrivate => advice(
            "jwk in the header of the proof holds a private key",
            "The whole key pair was exported into the header. Whoever has seen this proof can sign with the key now.",
            "Destroy this key and make a new one; export only its public members.",
        ),
        Rejection::JwkUnsupported => advice(
            "the key type or curve of jwk is not supported",
            "The key is on a curve that cannot sign, such as X25519, or on one that is not supported, such as secp256k1 or Ed448.",
            "Make a key for one of the permitted algorithms, for example on P-256 for ES256.",
        ),
        Rejection::JwkAlgMismatch => advice(
            "the type of jwk does not fit alg",
            "alg and key come from different configurations, for example ES384 with a key on P-256.",
            "Derive alg from the key: P-256 is ES256, P-384 is ES384, P-521 is ES512, Ed25519 is Ed25519, RSA is PS256.",
        ),
        Rejection::JwkAlgConflict => advice(
            "jwk declares another alg than the header",
            "The key was made for one algorithm and the proof was signed with another.",
            "Sign with the algorithm that the key names, or leave alg out of jwk.",
        ),
        Rejection::JwkNotForSignatures => advice(
            "jwk is declared for something other than verifying signatures",
            "use or key_ops were exported with the key and name encryption, or the private operation sign.",
            "Leave use and key_ops out of jwk, or set use to sig.",
        ),
        Rejection::JwkNonCanonical => advice(
            "jwk is not in its one canonical encoding",
            "A coordinate lost or gained a leading zero, or was encoded with padding or standard base64.",
            "Encode each coordinate in the full length of its curve (32 bytes for P-256), as base64url without padding.",
        ),
        Rejection::RsaTooSmall => advice(
            "the RSA key is shorter than 2048 bits",
            "The key was made with an outdated length.",
            "Make an RSA key of 2048 to 4096 bits, or better a P-256 key for ES256.",
        ),
        Rejection::RsaTooLarge => advice(
            "the RSA key is longer than this server permits",
            "Long RSA keys cost the server much work for each proof, so their length is bounded.",
            "Make an RSA key of at most 4096 bits, or a P-256 key for ES256. Operators: the policy can permit keys of up to 8192 bits.",
        ),
        Rejection::RsaInvalid => advice(
            "the RSA modulus or exponent of jwk is not acceptable",
            "The modulus is even, or the exponent is even, below 65537 or not below 2^33.",
            "Make the key with the usual exponent 65537, which is AQAB in jwk.",
        ),
        Rejection::KeySmallOrder => advice(
            "the Ed25519 key of jwk is of small order",
            "No key generator makes such a point: it is a test value or an attack.",
            "Make a new key with a cryptographic library.",
        ),
        Rejection::KeyOffCurve => advice(
            "the point of jwk is not on its curve",
            "x and y are swapped, come from different keys, were read in the wrong byte order, or crv names another curve.",
            "Export the public key again with the library that made it.",
        ),
        Rejection::ClaimsMalformed => advice(
            "the payload of the proof is not a JSON object",
            "The second segment does not hold a JSON object in UTF-8: it was encoded twice, cut, or built by hand.",
            "Let a JSON library write the claims, and encode them exactly once.",
        ),
        Rejection::ClaimsDuplicate => advice(
            "a name occurs twice in the claims of the proof",
            "The claims were put together from texts or lists that allow repeated names.",
            "Build the claims from a map, so that each name occurs once.",
        ),
        Rejection::ClaimsTooComplex => advice(
            "the claims of the proof nest too deep or have too many members or values",
            "The payload holds far more than the claims of a proof.",
            "Keep the payload to jti, htm, htu, iat, and ath and nonce where they are needed.",
        ),
        Rejection::JtiMissing => advice(
            "the proof has no jti",
            "The claim was not set.",
            "Set jti to a new random value of at least 96 bits in every proof.",
        ),
        Rejection::JtiInvalid => advice(
            "jti is not a non-empty string",
            "jti is a number, null or an empty string.",
            "Set jti to a new random string in every proof, for example a UUID of version 4.",
        ),
        Rejection::JtiTooLong => advice(
            "jti is longer than 512 bytes",
            "Something other than an identifier was put into jti.",
            "Use a random identifier of about 22 to 36 characters.",
        ),
        Rejection::HtmMissing => advice(
            "the proof has no htm",
            "The claim was not set.",
            "Set htm to the method of the request, for example GET.",
        ),
        Rejection::HtmInvalid => advice(
            "htm is not a string",
            "htm is null, a list or an object.",
            "Set htm to the method of the request as a string, for example GET.",
        ),
        Rejection::HtuMissing => advice(
            "the proof has no htu",
            "The claim was not set.",
            "Set htu to the URI of the request without query and fragment.",
        ),
        Rejection::HtuInvalid => advice(
            "htu is not a string",
            "htu is null, or a URL object was serialized as an object.",
            "Set htu to the URI of the request as a string, without query and fragment.",
        ),
        Rejection::IatMissing => {
            advice("the proof has no iat", "The claim was not set.", "Set iat to the current time in whole seconds.")
        }
        Rejection::IatInvalid => advice(
            "iat is not a number",
            "iat was written as a string or a date.",
            "Set iat to the current time as a JSON number: seconds since 1970, without quotes.",
        ),
        Rejection::AthMissing => advice(
            "the proof comes with an access token and has no ath",
            "The proof was made as for the token endpoint, or by a library that was not given the access token.",
            "Set ath to the base64url SHA-256 of the access token in every proof that accompanies one.",
        ),
        Rejection::AthInvalid => advice(
            "ath is not a string",
            "ath is null, or the bytes of the hash were serialized as a list.",
            "Set ath to the base64url SHA-256 of the access token, as a string.",
        ),
        Rejection::NonceInvalid => advice(
            "nonce is not a string",
            "The claim was set although no nonce is known, and became null.",
            "Set nonce to the value of the server's DPoP-Nonce field, or leave the claim out.",
        ),
        Rejection::LifetimeInvalid => advice(
            "exp or nbf is not a number",
            "exp or nbf was written as a string or a date.",
            "Leave exp and nbf out: proofs do not need them. Else write seconds since 1970 as numbers.",
        ),
        Rejection::MethodMismatch => advice(
            ELSEWHERE[0],
            "The proof was made for another request, or its method is in the wrong case.",
            "Make one proof for each request and set htm to the method that is sent, in upper case.",
        ),
        Rejection::HtuMalformed => advice(
            "htu is not an absolute http or https URI",
            "htu holds only a path, lacks its scheme, or has characters that a URI must not have.",
            "Set htu to scheme, host and path of the request, for example https://api.example.com/items.",
        ),
        Rejection::HtuNotBare => advice(
            "htu has a query or fragment",
            "The whole URL of the request was copied into htu, and this server wants it without query and fragment.",
            "Cut the URL at the first ? or # before it becomes htu.",
        ),
        Rejection::TargetMismatch => advice(
            ELSEWHERE[1],
            "The proof was made for another URL, or the server stands behind a proxy and does not know the URL that its clients use.",
            "Set htu to the URL that the client requests. Operators: configure the public origin and path prefix.",
        ),
        Rejection::IatTooOld => advice(
            "iat lies too far in the past",
            "The proof was made in advance or reused from a cache, the request waited in a queue, or the client's clock is behind.",
            "Make each proof directly before its request, and correct the clock.",
        ),
        Rejection::IatInFuture => advice(
            "iat lies too far in the future",
            "The client's clock is ahead, or iat is in milliseconds.",
            "Write iat in whole seconds, and correct the clock.",
        ),
        Rejection::Expired => advice(
            "exp has passed",
            "The proof was kept longer than its own exp permits, or one of the clocks is wrong.",
            "Make each proof directly before its request. exp can be left out of proofs.",
        ),
        Rejection::NotYetValid => advice(
            "nbf has not come yet",
            "nbf lies ahead of the server's clock.",
            "Leave nbf out of proofs, and correct the clock.",
        ),
        Rejection::NonceMissing => advice(
            "the proof needs the server's nonce and has none",
            "This is the normal first answer of a server that issues nonces; the client does not follow it.",
            "Take the value of the response's DPoP-Nonce field as the claim nonce of a new proof, and repeat the request once.",
        ),
        Rejection::NonceStale => advice(
            "the nonce in the proof is no longer valid",
            "The client was idle for longer than a nonce lives. This is normal from time to time.",
            "Repeat the request once with the nonce from the response's DPoP-Nonce field, and keep the newest nonce of each server.",
        ),
        Rejection::NonceMismatch => advice(
            "the nonce in the proof is not one this server provided",
            "The nonce comes from another server, from the authorization server at the resource server, or from before the server's key was replaced.",
            "Keep nonces apart by origin, never make them yourself, and repeat the request with the nonce from the response. Operators: all nodes must share the nonce keys.",
        ),
        Rejection::BindingMismatch => advice(
            "the proof was made with another key than the one the token or grant is bound to",
            "The client made a new key after it had obtained the token, or several keys are in use.",
            "Keep the key that the token was requested with and sign with it for as long as the token is used, or obtain a new token.",
        ),
        Rejection::AthMismatch => advice(
            "ath is not the hash of the access token",
            "The proof was made for an older token, or the hash was taken of another text or encoded in another way.",
            "Set ath to the base64url SHA-256, without padding, of the token exactly as it is sent, without its scheme.",
        ),
        Rejection::SignatureMalformed => advice(
            "the signature does not have the length that alg asks for",
            "The signer gave the signature in DER form, or it was cut.",
            "Give ECDSA signatures as R and S side by side: 64 bytes for ES256, 96 for ES384, 132 for ES512.",
        ),
        Rejection::SignatureInvalid => advice(
            "the signature does not verify with jwk",
            "The proof was signed with another key than jwk, changed after it was signed, or hashed once too often.",
            "Sign exactly the first two segments and the dot between them with the private key that belongs to jwk.",
        ),
        Rejection::Replayed => advice(
            "the proof was used before",
            "A request was repeated with the proof it had, by a retry, a redirect or a cache; or somebody else sent a copy.",
            "Make a new proof with a new jti for every request, each retry included.",
        ),
        Rejection::BeforeStoreFloor => advice(
            "the proof was made before this server could know whether it was used",
            "The server or its replay store was started a moment ago, and its memory of used proofs began then.",
            "Repeat the request with a new proof, and with the nonce if the response has one. Operators: give the verifier nonces, as the middleware does by itself; a start then costs each client one round trip and no request. In tests, make the memory store with `danger_first_start`.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::of;
    use crate::Rejection;

    #[test]
    fn every_text_is_fit_for_its_place() {
        for rejection in Rejection::ALL {
            let advice = of(*rejection);
            let meaning = advice.meaning;
            assert!((10..=100).contains(&meaning.len()), "{rejection:?}: {meaning}");
            assert!(meaning.bytes().all(|b| matches!(b, 0x20..=0x7e) && b != b'"' && b != b'\\'), "{rejection:?}");
            assert!(!meaning.ends_with('.'), "{rejection:?}");
            assert!(!meaning.starts_with(|first: char| first.is_uppercase()) || meaning.starts_with("RSA"));
            for sentence in [advice.cause, advice.fix] {
                assert!(sentence.len() > 20 && sentence.ends_with('.'), "{rejection:?}: {sentence}");
            }
        }
    }

    #[test]
    fn no_two_rejections_say_the_same() {
        for (position, rejection) in Rejection::ALL.iter().enumerate() {
            for other in &Rejection::ALL[..position] {
                assert_ne!(of(*rejection).meaning, of(*other).meaning, "{rejection:?} {other:?}");
            }
        }
    }
}
