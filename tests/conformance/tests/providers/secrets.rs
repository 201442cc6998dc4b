//! What is secret does not show in `Debug`.

use std::fmt::Debug;

use keybound::crypto::PrivateKey;
use keybound::key::checked::CheckedSigner;
use keybound::key::soft::SoftKey;
use keybound::key::{Signer, SigningInput};
use keybound::nonce::Role;
use keybound::nonce::issuer::{NonceIssuer, NonceKey, NonceKeys};
use keybound::replay::StoreEpoch;
use keybound::{Policy, Presentation, Verifier, base64url};
use keybound_conformance::{NOW, Request, TOKEN, make_store, shifted};

use crate::kinds;

/// The spellings in which a secret could show.
fn spellings(secret: &[u8]) -> Vec<String> {
    let mut spellings = vec![
        base64url::encode(secret),
        secret.iter().map(|byte| format!("{byte:02x}")).collect(),
        secret.iter().map(|byte| format!("{byte:02X}")).collect(),
        // The beginning of a list of numbers, as derived `Debug` writes it.
        secret[..4].iter().map(|byte| format!("{byte}, ")).collect(),
    ];
    spellings.extend(String::from_utf8(secret.to_vec()));
    spellings
}

fn assert_hidden(shown: &impl Debug, secret: &[u8], label: &str) {
    for text in [format!("{shown:?}"), format!("{shown:#?}").replace("\n", "").replace("    ", "")] {
        for spelling in spellings(secret) {
            assert!(!text.contains(&spelling), "{label}: {spelling} in {text}");
        }
    }
}

#[test]
fn keys_and_their_exports_are_hidden() {
    for (provider, crypto, algorithm) in kinds() {
        let key = SoftKey::generate(algorithm, &crypto).unwrap();
        let (jwk, der, pem) = (key.to_jwk().unwrap(), key.to_pkcs8_der().unwrap(), key.to_pkcs8_pem().unwrap());
        let members: serde_json::Value = serde_json::from_str(jwk.expose()).unwrap();
        let secrets: Vec<Vec<u8>> = ["d", "priv", "p", "q", "dp", "dq", "qi"]
            .iter()
            .filter_map(|name| members[name].as_str())
            .map(|text| base64url::decode(text.as_bytes()).unwrap())
            .collect();
        assert!(!secrets.is_empty(), "{provider} {algorithm}");
        let private = PrivateKey::from_pkcs8_der(der.expose()).unwrap();
        for secret in &secrets {
            let label = format!("{provider} {algorithm}");
            assert_hidden(&key, secret, &label);
            assert_hidden(&private, secret, &label);
            assert_hidden(&jwk, secret, &label);
            assert_hidden(&der, secret, &label);
            assert_hidden(&pem, secret, &label);
        }
        assert_hidden(&pem, pem.expose().lines().nth(1).unwrap().as_bytes(), "a line of PEM");
        let checked = CheckedSigner::new(&key, &crypto).unwrap();
        assert_hidden(&checked, &secrets[0], "a checked signer");
        // The search finds what is there.
        let found = std::panic::catch_unwind(|| assert_hidden(&jwk.expose(), &secrets[0], "the JWK itself"));
        assert!(found.is_err());
    }
}

#[test]
fn proofs_tokens_and_nonces_are_hidden() {
    for (provider, crypto) in keybound_conformance::providers() {
        let key = keybound_conformance::make_key(keybound::Algorithm::Es256, &crypto);
        let secret = [0xa7; 32];
        let nonce_key = || NonceKey::from_secret(1, secret).unwrap();
        let issuer = || NonceIssuer::new(crypto.mac, NonceKeys::new(nonce_key()), "https://api.example.com");
        let nonce = issuer().issue(Role::ResourceServer, None, StoreEpoch::from_u64(0), NOW).unwrap();
        let text = nonce.as_str().to_owned();
        for (shown, secret) in [
            (format!("{:?}", nonce_key()), &secret[..]),
            (format!("{:?}", NonceKeys::new(nonce_key())), &secret[..]),
            (format!("{:?}", issuer()), &secret[..]),
        ] {
            assert_hidden(&Shown(shown), secret, provider);
        }
        assert_hidden(&nonce, text.as_bytes(), provider);

        let request = Request::resource(&key, &crypto).with_nonce(&text);
        let builder = request.builder();
        let proof = builder.sign(&crypto, &key, NOW).unwrap();
        let unsigned = builder.prepare(&crypto, key.public_key(), key.algorithm(), "jti-of-this-proof", NOW).unwrap();
        let input = SigningInput::new(key.algorithm(), proof.as_str().as_bytes(), crypto.digest);
        let verifier = Verifier::new(Policy::default(), &crypto).with_nonces(issuer());
        let store = make_store(&verifier, &crypto, shifted(NOW, -1_000));
        let (head, signature) = proof.as_str().rsplit_once('.').unwrap();
        let payload = head.split('.').nth(1).unwrap();
        request.present(proof.as_str().as_bytes(), |presentation: &Presentation<'_>| {
            let exact = presentation.expecting_nonce(&text);
            let pending = verifier.check(presentation, NOW).unwrap();
            let verified = verifier.verify(presentation, NOW, &store).unwrap();
            let refusal = verifier.refuse(keybound::Rejection::NonceMissing, Role::ResourceServer, presentation, NOW);
            assert!(refusal.dpop_nonce().is_some());
            for secret in [TOKEN, &text, payload, signature, "jti-of-this-proof"] {
                for (label, shown) in [
                    ("builder", format!("{builder:?}")),
                    ("proof", format!("{proof:?}")),
                    ("unsigned", format!("{unsigned:?}")),
                    ("input", format!("{input:?}")),
                    ("presentation", format!("{presentation:?}")),
                    ("exact presentation", format!("{exact:?}")),
                    ("context", format!("{:?}", presentation.context)),
                    ("pending", format!("{pending:?}")),
                    ("entry", format!("{:?}", pending.replay_entry())),
                    ("verified", format!("{verified:?}")),
                    ("verifier", format!("{verifier:?}")),
                    ("refusal", format!("{refusal:?}")),
                    ("store", format!("{store:?}")),
                ] {
                    assert_hidden(&Shown(shown), secret.as_bytes(), &format!("{provider} {label}"));
                }
            }
        });
    }
}

/// A text that was shown already.
struct Shown(String);

impl Debug for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
