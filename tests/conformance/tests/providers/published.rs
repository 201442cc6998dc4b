//! Values that RFCs publish: proofs, signatures and thumbprints come out byte for byte.

use keybound::crypto::PrivateKey;
use keybound::jose::algorithm::KeyType;
use keybound::jose::jwk::PublicJwk;
use keybound::key::soft::SoftKey;
use keybound::key::{Signer, SigningInput};
use keybound::{Algorithm, ProofBuilder, UnixTime, base64url};
use keybound_conformance::providers;

/// RFC 7515 A.3, RFC 6979 A.2.6, RFC 7520 3.2 and RFC 8037 A.1, each with the algorithms of its proofs.
const KEYS: [(&str, &str); 5] = [
    (
        "es256",
        r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI","alg":"ES256"}"#,
    ),
    (
        "es384",
        r#"{"kty":"EC","crv":"P-384","x":"7DpOQVtOGaRWhhgCn0J_pdqai8SukuAuBqrlKGswDGTe-PDqkFWGYGSiVFFUgLwT","y":"gBXZty19VyROqO-awMYhiWcIpZNn-d-59UyoSz8cnbEoiyMcOuDU_nNE_SUzJkcg","d":"a509rS4bjBwFsZh1tmWfTeI8O2Z78pe6mqR3QHhxN9iW1XJOTHCoJfhyyepg0u31","alg":"ES384"}"#,
    ),
    (
        "es512",
        r#"{"kty":"EC","crv":"P-521","x":"AHKZLLOsCOzz5cY97ewNUajB957y-C-U88c3v13nmGZx6sYl_oJXu9A5RkTKqjqvjyekWF-7ytDyRXYgCF5cj0Kt","y":"AdymlHvOiLxXkEhayXQnNCvDX4h9htZaCJN34kfmC6pV5OhQHiraVySsUdaQkAgDPrwQrJmbnX9cwlGfP-HqHZR1","d":"AAhRON2r9cqXX1hg-RoI6R1tX5p2rUAYdmpHZoC1XNM56KtscrX6zbKipQrCW9CGZH3T4ubpnoTKLDYJ_fF3_rJt","alg":"ES512"}"#,
    ),
    (
        "eddsa",
        r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","alg":"EdDSA"}"#,
    ),
    (
        "ed25519",
        r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","alg":"Ed25519"}"#,
    ),
];

/// Proofs that another implementation made with these keys, one a line: name and proof.
const PROOFS: &str = include_str!("proofs.txt");

#[test]
fn published_keys_make_known_proofs() {
    assert_eq!(PROOFS.lines().count(), KEYS.len());
    for (line, (name, jwk)) in PROOFS.lines().zip(KEYS) {
        let (listed, expected) = line.split_once(' ').unwrap();
        assert_eq!(listed, name);
        for (provider, crypto) in providers() {
            let key = SoftKey::from_jwk(jwk, &crypto).expect(name);
            let unsigned = ProofBuilder::new("GET", "https://api.example.com/items")
                .access_token("at-7Vq2mXn4")
                .prepare(
                    &crypto,
                    key.public_key(),
                    key.algorithm(),
                    "k5vTz1o3QdC0mN8xWq7aLg",
                    UnixTime::from_secs(1_700_000_000),
                )
                .unwrap();
            let (message, _) = expected.rsplit_once('.').unwrap();
            assert_eq!(unsigned.message(), message.as_bytes(), "{provider} {name}");
            let signature = key.sign(&unsigned.signing_input()).unwrap();
            let proof = unsigned.attach_verified(signature, &crypto).unwrap();
            // aws-lc draws the nonces of ECDSA at random; Ed25519 is deterministic everywhere.
            if provider == "rustcrypto" || name.starts_with("ed") {
                assert_eq!(proof.as_str(), expected, "{provider} {name}");
            } else {
                assert_ne!(proof.as_str(), expected, "{provider} {name}");
            }
        }
    }
}

/// RFC 6979 A.2.5: P-256 with SHA-256.
#[test]
fn rfc_6979_signatures() {
    let crypto = keybound::RUSTCRYPTO;
    let jwk = r#"{"kty":"EC","crv":"P-256","x":"YP7UuiVanTHJYet0xjVtaMBJuJI7Yfps5mliLmDyn7Y","y":"eQP-EAi4vJmkGunpVii8ZPLxsgwtfp9Rd6PClNRGIpk","d":"ya-p2EW6dRZrXCFXZ7HWk05Qw9s26JsSe4piKxIPZyE"}"#;
    let key = SoftKey::from_jwk(jwk, &crypto).unwrap();
    for (message, r, s) in [
        (
            "sample",
            "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716",
            "F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8",
        ),
        (
            "test",
            "F1ABB023518351CD71D881567B1EA663ED3EFCF6C5132B354F28D3B0B7D38367",
            "019F4113742A2B14BD25926B49C649155F267E60D3814B4C0CC84250E46F0083",
        ),
    ] {
        let input = SigningInput::new(Algorithm::Es256, message.as_bytes(), crypto.digest);
        let signature = key.sign(&input).unwrap();
        let shown: String = signature.as_bytes().iter().map(|byte| format!("{byte:02X}")).collect();
        assert_eq!(shown, format!("{r}{s}"), "{message}");
    }
}

#[test]
fn thumbprints_of_published_keys() {
    const RSA: &str = r#"{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256","kid":"2011-04-29"}"#;
    const RFC_9449: &str = r#"{"kty":"EC","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs","y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA","crv":"P-256"}"#;
    const RFC_8037: &str = r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    for (provider, crypto) in providers() {
        for (jwk, thumbprint) in [
            (RFC_9449, "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"),
            (RSA, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"),
            (RFC_8037, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"),
        ] {
            let found = PublicJwk::parse(jwk).unwrap().thumbprint(crypto.digest);
            assert_eq!(found.to_string(), thumbprint, "{provider}");
        }
        for (algorithm, key_type, thumbprint) in [
            (Algorithm::MlDsa44, KeyType::MlDsa44, "T4xl70S7MT6Zeq6r9V9fPJGVn76wfnXJ21-gyo0Gu6o"),
            (Algorithm::MlDsa65, KeyType::MlDsa65, "Suiu29qbfuaBaR4Ats-c6XQBePB_OpAxAwcTR_0KXVM"),
            (Algorithm::MlDsa87, KeyType::MlDsa87, "tRn1JNIkgMsABVQBlXeDHxAIcclh-2IX0UdDEzPt5XU"),
        ] {
            let seed = PrivateKey::new(key_type, vec![0; 32]).unwrap();
            let key = crypto.signer(algorithm).unwrap().load(&seed).unwrap();
            assert_eq!(key.public_key().thumbprint(crypto.digest).to_string(), thumbprint, "{provider} {algorithm}");
        }
    }
}

/// RFC 9449 Figure 6 and section 7: the token hash.
#[test]
fn the_token_hash_of_rfc_9449() {
    for (provider, crypto) in providers() {
        let hash = crypto.digest.sha256(&[b"Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"]);
        assert_eq!(base64url::encode(&hash), "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo", "{provider}");
    }
}

/// FIPS 180-4 and RFC 4231: hash and MAC in one part and in several, of any size.
#[test]
fn providers_agree_on_hashes_and_macs() {
    let [(_, first), (_, second)] = providers();
    let data: Vec<u8> = (0..300).map(|i| u8::try_from(i % 251).unwrap()).collect();
    for length in 0..data.len() {
        let whole = &[&data[..length]][..];
        let (head, tail) = data[..length].split_at(length / 3);
        let parts = &[head, &[], tail][..];
        for crypto in [first, second] {
            assert_eq!(crypto.digest.sha256(parts), first.digest.sha256(whole));
            assert_eq!(crypto.digest.sha384(parts), first.digest.sha384(whole));
            assert_eq!(crypto.digest.sha512(parts), first.digest.sha512(whole));
            // Keys shorter and longer than a block.
            let key = &data[..length / 2];
            assert_eq!(crypto.mac.hmac_sha256(key, parts), first.mac.hmac_sha256(key, whole));
        }
    }
    let mac = second.mac.hmac_sha256(b"Jefe", &[b"what do ya want ", b"for nothing?"]);
    let shown: String = mac.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(shown, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}
