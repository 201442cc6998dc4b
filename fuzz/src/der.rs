//! `der`: ECDSA signatures and PKCS #8 keys in DER, in one encoding each.

use keybound::Algorithm::{self, Es256, Es384, Es512};
use keybound::RUSTCRYPTO;
use keybound::crypto::PrivateKey;
use keybound::jose::signature::{Signature, SignatureError};
use keybound::key::Signer;
use keybound::key::soft::SoftKey;

/// The input is read as both.
pub fn der(data: &[u8]) {
    for algorithm in [Es256, Es384, Es512] {
        check_signature(data, algorithm);
    }
    assert_eq!(Signature::from_der(Algorithm::Ed25519, data), Err(SignatureError::NotEcdsa));
    if let Ok(reference) = p256::ecdsa::Signature::from_der(data) {
        let ours = Signature::from_der(Es256, data).expect("p256 reads it");
        assert_eq!(ours.as_bytes(), &*reference.to_bytes());
    }
    check_pkcs8(data);
}

fn check_signature(der: &[u8], algorithm: Algorithm) {
    let Ok(signature) = Signature::from_der(algorithm, der) else { return };
    let raw = signature.as_bytes();
    assert_eq!(Some(raw.len()), algorithm.signature_len());
    assert_eq!(encode(raw), der, "a second encoding");
    assert_eq!(Signature::from_raw(algorithm, raw).as_ref(), Ok(&signature));
}

/// `SEQUENCE { INTEGER, INTEGER }` by the rules of DER (X.690 sections 8.3 and 10.1).
fn encode(raw: &[u8]) -> Vec<u8> {
    let (r, s) = raw.split_at(raw.len() / 2);
    let mut body = Vec::new();
    for half in [r, s] {
        let mut digits: Vec<u8> = half.iter().copied().skip_while(|byte| *byte == 0).collect();
        if digits.first().is_none_or(|first| *first >= 0x80) {
            digits.insert(0, 0);
        }
        body.extend([2, u8::try_from(digits.len()).expect("short")]);
        body.extend(digits);
    }
    let mut der = vec![0x30];
    if body.len() >= 0x80 {
        der.push(0x81);
    }
    der.push(u8::try_from(body.len()).expect("at most 138 bytes"));
    der.extend(body);
    der
}

fn check_pkcs8(der: &[u8]) {
    let private = PrivateKey::from_pkcs8_der(der);
    let Ok(key) = SoftKey::from_pkcs8_der(der, &RUSTCRYPTO) else { return };
    let private = private.expect("what loads can be read");
    assert_eq!(private.key_type(), key.public_key().key_type());
    let written = key.to_pkcs8_der().expect("what was read can be written");
    let again = SoftKey::from_pkcs8_der(written.expose(), &RUSTCRYPTO).expect("what is written can be read");
    assert_eq!(again.public_key(), key.public_key());
    assert_eq!(again.to_pkcs8_der().expect("again").expose(), written.expose());
    let same = PrivateKey::from_pkcs8_der(written.expose()).expect("what is written can be read");
    assert_eq!(same.expose_bytes(), private.expose_bytes(), "another secret");
    let pem = key.to_pkcs8_pem().expect("PEM");
    let from_pem = SoftKey::from_pkcs8_pem(pem.expose(), &RUSTCRYPTO).expect("what is written can be read");
    assert_eq!(from_pem.public_key(), key.public_key());
}
