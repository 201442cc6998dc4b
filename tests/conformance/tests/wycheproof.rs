//! Project Wycheproof: what core accepts is what its test vectors call valid, with both providers.
//!
//! Policy for results that Wycheproof calls *acceptable* (a PKCS #1 padding without NULL, for example): refused. A
//! signature has one spelling. Keys that core refuses (RSA exponents below 65537) refuse all their signatures.

use keybound::jose::jwk::{PublicJwk, RsaBounds};
use keybound::{Algorithm, Crypto};
use keybound_conformance::providers;
use wycheproof::{HashFunction, TestResult};

/// What was executed, so that no set passes by being empty.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    /// Valid signatures, accepted.
    accepted: usize,
    /// Invalid and acceptable signatures, refused.
    refused: usize,
    /// Signatures of keys that core refuses.
    refused_with_key: usize,
    /// Signatures made under parameters that no JOSE algorithm has (salt, mask or context), refused.
    refused_parameters: usize,
}

impl Tally {
    fn count(&mut self, accepted: bool, expected: Expected, label: &str) {
        let valid = matches!(expected, Expected::Result(TestResult::Valid));
        assert_eq!(accepted, valid, "{label}");
        *match expected {
            Expected::Result(TestResult::Valid) => &mut self.accepted,
            Expected::Result(_) => &mut self.refused,
            Expected::KeyRefused => &mut self.refused_with_key,
            Expected::OtherParameters => &mut self.refused_parameters,
        } += 1;
    }
}

enum Expected {
    Result(TestResult),
    KeyRefused,
    OtherParameters,
}

/// Whether core would accept: its check of the length, then the provider, once with the key as it stands and once
/// prepared for reuse; both must agree.
fn accepts(crypto: &Crypto, algorithm: Algorithm, key: &PublicJwk, message: &[u8], signature: &[u8]) -> bool {
    let length = algorithm.signature_len().or(key.rsa().map(|(n, _)| n.len()));
    if length != Some(signature.len()) {
        return false;
    }
    let capability = crypto.verifier(algorithm).expect("both providers verify every algorithm");
    assert!(capability.validate(key).is_ok(), "the keys of these vectors are valid points");
    let accepted = capability.verify(key, message, signature).is_ok();
    // One of both is enough for RSA beyond 4096 bits, which takes longest.
    if signature.len() > 512 {
        return accepted;
    }
    let prepared = capability.prepare(key).expect("what is valid can be prepared");
    assert_eq!(prepared.verify(message, signature).is_ok(), accepted, "prepared and plain verification differ");
    accepted
}

#[test]
fn ecdsa() {
    use wycheproof::ecdsa::{TestName, TestSet};
    for (provider, crypto) in providers() {
        for (name, algorithm, least) in [
            (TestName::EcdsaSecp256r1Sha256P1363, Algorithm::Es256, (150, 80)),
            (TestName::EcdsaSecp384r1Sha384P1363, Algorithm::Es384, (150, 80)),
            (TestName::EcdsaSecp521r1Sha512P1363, Algorithm::Es512, (150, 80)),
        ] {
            let mut tally = Tally::default();
            for group in TestSet::load(name).unwrap().test_groups {
                let key = PublicJwk::from_ec_point(&group.key.key).expect("an uncompressed point");
                for test in group.tests {
                    let accepted = accepts(&crypto, algorithm, &key, &test.msg, &test.sig);
                    let label = format!("{provider} {name:?} {} {}", test.tc_id, test.comment);
                    tally.count(accepted, Expected::Result(test.result), &label);
                }
            }
            assert!(tally.accepted >= least.0 && tally.refused >= least.1, "{provider} {name:?} {tally:?}");
        }
    }
}

#[test]
fn ed25519_under_both_names() {
    use wycheproof::eddsa::{TestName, TestSet};
    for (provider, crypto) in providers() {
        for algorithm in [Algorithm::Ed25519, Algorithm::EdDsa] {
            let mut tally = Tally::default();
            for group in TestSet::load(TestName::Ed25519).unwrap().test_groups {
                let x = group.key.pk.as_slice().try_into().expect("32 bytes");
                let key = PublicJwk::from_ed25519(x).expect("no key of small order in this set");
                for test in group.tests {
                    let accepted = accepts(&crypto, algorithm, &key, &test.msg, &test.sig);
                    let label = format!("{provider} {algorithm} {} {}", test.tc_id, test.comment);
                    tally.count(accepted, Expected::Result(test.result), &label);
                }
            }
            assert!(tally.accepted >= 80 && tally.refused >= 60, "{provider} {tally:?}");
        }
    }
}

/// The RSA key of a group, if core takes it. Wycheproof writes integers with a sign byte, JWK does not.
fn rsa_key(n: &[u8], e: &[u8]) -> Option<PublicJwk> {
    let strip = |integer: &[u8]| integer.iter().copied().skip_while(|byte| *byte == 0).collect::<Vec<_>>();
    let (n, e) = (strip(n), strip(e));
    let key = PublicJwk::from_rsa(&n, &e, RsaBounds::Up8192).ok();
    assert_eq!(key.is_none(), e.len() < 3, "only exponents below 65537 are refused here: {e:?}");
    key
}

fn pkcs1(hash: HashFunction) -> Option<Algorithm> {
    match hash {
        HashFunction::Sha2_256 => Some(Algorithm::Rs256),
        HashFunction::Sha2_384 => Some(Algorithm::Rs384),
        HashFunction::Sha2_512 => Some(Algorithm::Rs512),
        _ => None,
    }
}

fn pss(hash: HashFunction) -> Option<(Algorithm, usize)> {
    match hash {
        HashFunction::Sha2_256 => Some((Algorithm::Ps256, 32)),
        HashFunction::Sha2_384 => Some((Algorithm::Ps384, 48)),
        HashFunction::Sha2_512 => Some((Algorithm::Ps512, 64)),
        _ => None,
    }
}

#[test]
fn rsa_pkcs1() {
    use wycheproof::rsa_pkcs1_verify::{TestName, TestSet};
    let names = [
        TestName::Rsa2048Sha256,
        TestName::Rsa2048Sha384,
        TestName::Rsa2048Sha512,
        TestName::Rsa3072Sha256,
        TestName::Rsa3072Sha384,
        TestName::Rsa3072Sha512,
        TestName::Rsa4096Sha256,
        TestName::Rsa4096Sha384,
        TestName::Rsa4096Sha512,
        TestName::Rsa8192Sha256,
        TestName::Rsa8192Sha384,
        TestName::Rsa8192Sha512,
    ];
    for (provider, crypto) in providers() {
        for name in names {
            let mut tally = Tally::default();
            for group in TestSet::load(name).unwrap().test_groups {
                let algorithm = pkcs1(group.hash).expect("the hash of the set's name");
                let key = rsa_key(&group.key.n, &group.key.e);
                for test in group.tests {
                    let label = format!("{provider} {name:?} {} {}", test.tc_id, test.comment);
                    match &key {
                        None => tally.count(false, Expected::KeyRefused, &label),
                        Some(key) => {
                            let accepted = accepts(&crypto, algorithm, key, &test.msg, &test.sig);
                            tally.count(accepted, Expected::Result(test.result), &label);
                        }
                    }
                }
            }
            assert!(tally.accepted >= 5 && tally.refused >= 200, "{provider} {name:?} {tally:?}");
        }
    }
}

#[test]
fn rsa_pss() {
    use wycheproof::rsa_pss_verify::{TestName, TestSet};
    for (provider, crypto) in providers() {
        let mut total = Tally::default();
        let mut sets = 0;
        for name in TestName::all() {
            let mut tally = Tally::default();
            for group in TestSet::load(name).unwrap().test_groups {
                // Other hashes have no name in JOSE, so nothing could be asked.
                let Some((algorithm, salt)) = pss(group.hash) else { continue };
                let fits = group.mgf_hash == Some(group.hash) && group.salt_size == salt;
                let Some(key) = rsa_key(&group.key.n, &group.key.e) else {
                    tally.refused_with_key += group.tests.len();
                    continue;
                };
                for test in group.tests {
                    // Among the invalid ones of other parameters are some that were made with ours.
                    if !fits && test.result == TestResult::Invalid {
                        continue;
                    }
                    let label = format!("{provider} {name:?} {} {}", test.tc_id, test.comment);
                    let expected = if fits { Expected::Result(test.result) } else { Expected::OtherParameters };
                    tally.count(accepts(&crypto, algorithm, &key, &test.msg, &test.sig), expected, &label);
                }
            }
            sets += usize::from(tally.accepted > 0);
            total.accepted += tally.accepted;
            total.refused += tally.refused;
            total.refused_parameters += tally.refused_parameters;
        }
        assert!(sets >= 8, "{provider} {sets} sets that fit PS256, PS384 or PS512");
        assert!(total.accepted >= 400 && total.refused >= 300, "{provider} {total:?}");
        assert!(total.refused_parameters >= 300, "{provider} {total:?}");
    }
}

#[test]
fn ml_dsa() {
    use wycheproof::mldsa_verify::{TestName, TestSet};
    for (provider, crypto) in providers() {
        for (name, algorithm) in [
            (TestName::MlDsa44Verify, Algorithm::MlDsa44),
            (TestName::MlDsa65Verify, Algorithm::MlDsa65),
            (TestName::MlDsa87Verify, Algorithm::MlDsa87),
        ] {
            let mut tally = Tally::default();
            for group in TestSet::load(name).unwrap().test_groups {
                let key = PublicJwk::from_ml_dsa(&group.pubkey).filter(|key| key.key_type() == algorithm.key_type());
                for test in group.tests {
                    let label = format!("{provider} {name:?} {} {}", test.tc_id, test.comment);
                    let Some(key) = &key else {
                        assert_eq!(test.result, TestResult::Invalid, "{label}");
                        tally.count(false, Expected::KeyRefused, &label);
                        continue;
                    };
                    // JOSE signs with an empty context (RFC 9964), so a signature for another one is not valid here.
                    let in_context = test.ctx.as_ref().is_some_and(|context| !context.is_empty());
                    let expected = if in_context { Expected::OtherParameters } else { Expected::Result(test.result) };
                    tally.count(accepts(&crypto, algorithm, key, &test.msg, &test.sig), expected, &label);
                }
            }
            assert!(tally.accepted >= 20 && tally.refused >= 20, "{provider} {name:?} {tally:?}");
            assert!(tally.refused_with_key >= 2 && tally.refused_parameters >= 1, "{provider} {name:?} {tally:?}");
        }
    }
}
