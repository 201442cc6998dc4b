//! JWK, DER and PEM: what one provider's key writes, the other reads.

use keybound::key::Signer;
use keybound::key::soft::SoftKey;
use keybound::{Algorithm, Misuse};
use keybound_conformance::{make_key, providers};

use crate::{kinds, signing, signs_for};

#[test]
fn keys_travel_between_providers_in_every_format() {
    for (from, crypto, algorithm) in signing() {
        let key = SoftKey::generate(algorithm, &crypto).unwrap();
        let (jwk, der, pem) = (key.to_jwk().unwrap(), key.to_pkcs8_der().unwrap(), key.to_pkcs8_pem().unwrap());
        for (to, other) in providers() {
            let label = format!("{algorithm} from {from} to {to}");
            if other.signer(algorithm).is_none() {
                let refused = SoftKey::from_jwk(jwk.expose(), &other).unwrap_err();
                assert_eq!(refused, Misuse::AlgorithmUnavailable(algorithm), "{label}");
                continue;
            }
            let from_jwk = SoftKey::from_jwk(jwk.expose(), &other).expect(&label);
            assert_eq!(from_jwk.algorithm(), algorithm, "{label}");
            let from_der = SoftKey::from_pkcs8_der(der.expose(), &other).expect(&label);
            let from_pem = SoftKey::from_pkcs8_pem(pem.expose(), &other).expect(&label);
            for imported in [&from_jwk, &from_der, &from_pem] {
                assert_eq!(imported.public_key(), key.public_key(), "{label}");
                assert!(signs_for(imported, key.public_key()), "{label}");
                assert!(signs_for(&key, imported.public_key()), "{label}");
                assert_eq!(imported.to_pkcs8_der().unwrap().expose(), der.expose(), "{label}");
                assert_eq!(imported.to_pkcs8_pem().unwrap().expose(), pem.expose(), "{label}");
            }
            // DER says nothing of the algorithm, so a key of a type with several has to be told.
            let told = from_der.for_algorithm(algorithm, &other).expect(&label);
            assert_eq!(told.to_jwk().unwrap().expose(), jwk.expose(), "{label}");
            assert_eq!(from_jwk.to_jwk().unwrap().expose(), jwk.expose(), "{label}");
        }
    }
}

#[test]
fn a_key_without_alg_gets_the_usual_one_of_its_type() {
    for (provider, crypto, algorithm) in signing() {
        // The alg of ML-DSA keys is part of the key.
        if algorithm.name().starts_with("ML-DSA") {
            continue;
        }
        let key = SoftKey::generate(algorithm, &crypto).unwrap();
        let jwk = key.to_jwk().unwrap().expose().replace(&format!(",\"alg\":\"{algorithm}\""), "");
        let usual = match algorithm {
            Algorithm::EdDsa => Algorithm::Ed25519,
            Algorithm::Ps384 | Algorithm::Ps512 | Algorithm::Rs256 | Algorithm::Rs384 | Algorithm::Rs512 => {
                Algorithm::Ps256
            }
            own => own,
        };
        let imported = SoftKey::from_jwk(&jwk, &crypto).unwrap();
        assert_eq!(imported.algorithm(), usual, "{provider} {algorithm}");
        assert_eq!(imported.public_key(), key.public_key());
    }
}

#[test]
fn a_key_serves_the_algorithms_of_its_type_only() {
    for (provider, crypto, algorithm) in signing() {
        for other in Algorithm::ALL {
            let key = make_key(algorithm, &crypto);
            match key.for_algorithm(*other, &crypto) {
                Ok(key) => {
                    assert_eq!(other.key_type(), algorithm.key_type(), "{provider} {algorithm} as {other}");
                    assert!(signs_for(&key, key.public_key()), "{provider} {algorithm} as {other}");
                }
                Err(error) => {
                    assert_ne!(other.key_type(), algorithm.key_type(), "{provider} {algorithm} as {other}");
                    assert_eq!(error, Misuse::AlgorithmKey(*other));
                }
            }
            // RSA keys take long to make, and one refusal shows as much as five.
            if algorithm.key_type() == keybound::jose::algorithm::KeyType::Rsa {
                break;
            }
        }
    }
}

#[test]
fn a_public_part_of_another_key_is_refused() {
    for (provider, crypto, algorithm) in kinds() {
        let [own, other] = [(); 2].map(|()| SoftKey::generate(algorithm, &crypto).unwrap());
        let (jwk, own_public, other_public) =
            (own.to_jwk().unwrap(), own.public_key().to_json(), other.public_key().to_json());
        let open = |json: &str| json[1..json.len() - 1].to_owned();
        let mixed = jwk.expose().replacen(&open(&own_public), &open(&other_public), 1);
        assert_ne!(mixed, jwk.expose());
        let refused = SoftKey::from_jwk(&mixed, &crypto).unwrap_err();
        assert_eq!(refused, Misuse::PrivateKey, "{provider} {algorithm}");

        // Elliptic curve keys carry their public part in DER as well.
        if let (Some(own_point), Some(other_point)) = (own.public_key().ec_point(), other.public_key().ec_point()) {
            let der = own.to_pkcs8_der().unwrap();
            let at = der.expose().windows(own_point.len()).position(|part| part == own_point).expect("a point");
            let mut mixed = der.expose().to_vec();
            mixed[at..at + other_point.len()].copy_from_slice(other_point);
            let refused = SoftKey::from_pkcs8_der(&mixed, &crypto).unwrap_err();
            assert_eq!(refused, Misuse::PrivateKey, "{provider} {algorithm}");
        }
    }
}

#[test]
fn a_text_that_is_not_a_private_key_says_what_it_is() {
    use keybound::RUSTCRYPTO;
    let pem = |label: &str| format!("-----BEGIN {label}-----\nAAAA\n-----END {label}-----\n");
    for (text, word) in [
        ("/etc/keys/key.pem".into(), "path"),
        (pem("PUBLIC KEY"), "public"),
        (pem("ENCRYPTED PRIVATE KEY"), "encrypted"),
        (pem("EC PRIVATE KEY"), "older form"),
        (pem("CERTIFICATE"), "certificate"),
    ] {
        let refused = SoftKey::from_pkcs8_pem(&text, &RUSTCRYPTO).unwrap_err();
        assert!(matches!(refused, Misuse::PrivateKeyForm(what) if what.contains(word)), "{word}: {refused}");
    }
    assert_eq!(SoftKey::from_pkcs8_pem(&pem("PRIVATE KEY"), &RUSTCRYPTO).unwrap_err(), Misuse::PrivateKey);
    for (provider, crypto, algorithm) in kinds() {
        let public = SoftKey::generate(algorithm, &crypto).unwrap().public_key().to_json();
        let refused = SoftKey::from_jwk(&public, &crypto).unwrap_err();
        assert!(matches!(refused, Misuse::JwkMember("d" | "priv")), "{provider} {algorithm}: {refused}");
    }
}

#[test]
fn a_private_key_that_signs_no_proofs_is_named() {
    let pem = |body: &str| format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n");
    for (body, kind) in [
        (SECP256K1, "secp256k1"),
        ("MC4CAQAwBQYDK2VuBCIEIHAt+yk9qZoJPjJRJ3Cruqornd+Txi90AojF4zlhoatU", "X25519"),
        (ED448, "Ed448"),
        (RSA_1024, "RSA key of less than 2,048 bits"),
    ] {
        for (provider, crypto) in providers() {
            let Err(refused) = SoftKey::from_pkcs8_pem(&pem(body), &crypto) else { panic!("{provider}: {kind}") };
            if refused == Misuse::AlgorithmUnavailable(Algorithm::Ps256) {
                continue;
            }
            assert!(matches!(refused, Misuse::PrivateKeyKind(told) if told.contains(kind)), "{provider}: {refused}");
            assert_eq!(refused.reason(), "private_key_unusable");
        }
    }
    let crypto = keybound::RUSTCRYPTO;
    let refused = SoftKey::from_pkcs8_der(pem(SECP256K1).as_bytes(), &crypto).unwrap_err();
    assert!(refused.to_string().contains("as PEM"), "{refused}");
    let refused = SoftKey::from_jwk("key.json", &crypto).unwrap_err();
    assert!(refused.to_string().contains("path"), "{refused}");
}

#[test]
fn two_keys_of_one_provider_differ() {
    for (provider, crypto, algorithm) in kinds() {
        let [one, two] = [(); 2].map(|()| SoftKey::generate(algorithm, &crypto).unwrap());
        assert_ne!(one.public_key(), two.public_key(), "{provider} {algorithm}");
        assert!(!signs_for(&one, two.public_key()), "{provider} {algorithm}");
    }
}

const SECP256K1: &str = "\
MIGEAgEAMBAGByqGSM49AgEGBSuBBAAKBG0wawIBAQQgo9q065yXWuOVf2418HJt
tQIC3Y/mF8KrVk0PkGJYryihRANCAAShBKhrjsnAXvtoOpZzfRa65MCZjCgx9Iv9
DVbgld1oBDI1TuWRmpHsR2xqPbBHsda8ztYwIqEviu5vNI5O5e0s";
const ED448: &str = "\
MEcCAQAwBQYDK2VxBDsEOUrfpCvplXJzpWNVkqywpmiLkqNiDMeG0Z+/J5NZOW7A
CZCmyOLTHxRmBhRFKIS7woVg2V2UydcY3w==";
const RSA_1024: &str = "\
MIICdwIBADANBgkqhkiG9w0BAQEFAASCAmEwggJdAgEAAoGBAMabxcBdF4KyiJ9C
oJCY2C+c9mfEWud782aLaTmadteaheUBqZ/ODAdI7DInIWpSa5N1ULLNlFqcE9ET
EQTn/nVXfX8hTPGFxmhnk/lwGEFjjDggYuiixDiSLlwQof05NBSx6bx9hJx+GG3g
+olfFOopRJ5gn+DXHydsXwOIIR3LAgMBAAECgYEAujkRQP+IrenNJNeKSkqmWm6o
tD9upSKZ5QrPDU4CJMMkzMe0Tr0aljIQFi6OrGy/pbIYiq8sbZFvG1jvWlRVR/Vw
ZSG48Pkd3pFVJx5helfICYnmnau7UaGNZfN7AWIW3Q84ixFKaPZ0tVpGjHsYfBas
MYtB/N0FoQqEKDgfs3ECQQDxyvV5SJzDF5wljUglp5FabB4Wc6Mq6+MwuiyAOok5
Kz+0aBoxZqZqcOU41KSbE3X4g3nL5K+sMCQggN9bzgDfAkEA0kc8c6RNWmVxyMfG
oYPjzAaCOv4hCg8NYWQoOnBqLBOIpv9DJ7mihSVKBXELfoEvvQnuHfxfY6n9klnt
KgzklQJARYqrGUviElZbCY3d3z6Xlpsb+DcgCbs4Z45UODkduHyQ4PFD/0tXt6tq
sfKuuQ9a0bP2tsa6I9rguRx3oS7ZnwJADO4we3P5BbwDOTN/tWLk2SD1VSdXZMT0
L673AlDzVm6FEq/Ts1eo9MMMQDVpXYgYJWm86L8iJoDHhP5epR1R2QJBAM9/MJ67
fm7JVpeyo3enGvObqaoVhA9px9pb7HsONdL/+luWTRzWS9qn9p7CufPnAptDEdoY
5/1AqBJMw6HRQi0=";
