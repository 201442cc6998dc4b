//! Private keys cut off, changed or made up: refused, never a panic, and never a key that does not fit itself.

use keybound::key::Signer;
use keybound::key::soft::SoftKey;
use keybound::{Algorithm, Crypto};
use keybound_conformance::make_key;
use proptest::prelude::*;

use crate::{kinds, signs_for};

/// A key that was read is one that works; RSA is slow to try, so its keys are only read.
fn is_sound(key: &SoftKey) -> bool {
    key.public_key().rsa().is_some() || signs_for(key, key.public_key())
}

#[test]
fn a_key_cut_off_anywhere_is_refused() {
    for (provider, crypto, algorithm) in kinds() {
        let key = make_key(algorithm, &crypto);
        let (jwk, der, pem) = (key.to_jwk().unwrap(), key.to_pkcs8_der().unwrap(), key.to_pkcs8_pem().unwrap());
        for end in 0..jwk.expose().len() {
            assert!(SoftKey::from_jwk(&jwk.expose()[..end], &crypto).is_err(), "{provider} {algorithm} {end}");
        }
        for end in 0..der.expose().len() {
            assert!(SoftKey::from_pkcs8_der(&der.expose()[..end], &crypto).is_err(), "{provider} {algorithm} {end}");
        }
        // The last character is the end of its line.
        for end in 0..pem.expose().trim_end().len() {
            assert!(SoftKey::from_pkcs8_pem(&pem.expose()[..end], &crypto).is_err(), "{provider} {algorithm} {end}");
        }
        let longer = [der.expose(), &[0]].concat();
        assert!(SoftKey::from_pkcs8_der(&longer, &crypto).is_err(), "{provider} {algorithm}");
        assert!(SoftKey::from_jwk(&format!("{}x", jwk.expose()), &crypto).is_err(), "{provider} {algorithm}");
        let public = SoftKey::from_jwk(&key.public_key().to_json(), &crypto);
        assert!(public.is_err(), "{provider} {algorithm}: a public key alone signs nothing");
    }
}

#[test]
fn a_key_with_a_changed_byte_is_refused_or_sound() {
    for (provider, crypto, algorithm) in kinds() {
        let key = make_key(algorithm, &crypto);
        // Long texts are tried at some places only: RSA and ML-DSA keys are slow to load.
        let places = |length: usize| (0..length).step_by((length / 60).max(1));
        let der = key.to_pkcs8_der().unwrap();
        for at in places(der.expose().len()) {
            for bit in [1, 0x80, 0xff] {
                let mut changed = der.expose().to_vec();
                changed[at] ^= bit;
                if let Ok(read) = SoftKey::from_pkcs8_der(&changed, &crypto) {
                    assert!(is_sound(&read), "{provider} {algorithm} byte {at}");
                }
            }
        }
        let jwk = key.to_jwk().unwrap();
        for at in places(jwk.expose().len()) {
            let (head, tail) = jwk.expose().split_at(at);
            for character in ["A", "\"", "="] {
                let changed = format!("{head}{character}{}", &tail[1..]);
                if let Ok(read) = SoftKey::from_jwk(&changed, &crypto) {
                    // Names of members that nobody reads may change, the key may not.
                    assert_eq!(read.public_key(), key.public_key(), "{provider} {algorithm} {at}");
                }
            }
        }
    }
}

#[test]
fn scalars_outside_their_range_are_refused() {
    use keybound::crypto::PrivateKey;
    let order_256 = [
        0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad,
        0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ];
    for (provider, crypto) in keybound_conformance::providers() {
        for (algorithm, length) in [(Algorithm::Es256, 32), (Algorithm::Es384, 48), (Algorithm::Es512, 66)] {
            let load = |scalar: Vec<u8>| {
                let key = PrivateKey::new(algorithm.key_type(), scalar).expect("the right length");
                crypto.signer(algorithm).unwrap().load(&key).is_ok()
            };
            assert!(!load(vec![0; length]), "{provider} {algorithm} zero");
            assert!(!load(vec![0xff; length]), "{provider} {algorithm} beyond the order");
            if length == 32 {
                assert!(!load(order_256.to_vec()), "{provider} the order");
                let mut below = order_256.to_vec();
                below[31] -= 1;
                assert!(load(below), "{provider} the order less one");
            }
            assert!(PrivateKey::new(algorithm.key_type(), vec![1; length - 1]).is_none());
            assert!(PrivateKey::new(algorithm.key_type(), vec![1; length + 1]).is_none());
        }
    }
}

fn read_all(text: &str, bytes: &[u8], crypto: &Crypto) {
    assert!(SoftKey::from_jwk(text, crypto).is_err());
    assert!(SoftKey::from_pkcs8_pem(text, crypto).is_err());
    assert!(SoftKey::from_pkcs8_der(bytes, crypto).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn garbage_is_refused(text in any::<String>(), bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for (_, crypto) in keybound_conformance::providers() {
            read_all(&text, &bytes, &crypto);
            read_all(&format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n"), &bytes, &crypto);
            read_all(&format!("{{\"kty\":\"EC\",\"crv\":\"P-256\",\"d\":{text:?}}}"), &bytes, &crypto);
        }
    }
}
