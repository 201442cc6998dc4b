//! Proofs signed in a token.

use std::sync::Barrier;
use std::thread;

use keybound::key::Signer;
use keybound::oauth::step::KeyOwner;
use keybound::{
    Algorithm, AlgorithmSet, Context, Policy, Presentation, ProofBuilder, RUSTCRYPTO, TargetUri, Thumbprint, UnixTime,
    Verifier,
};

use crate::place::{Place, story};

const TARGET: &str = "https://api.example.com/orders";

/// Makes a proof and has the verifier check all of it but replay.
pub(crate) fn prove(key: &(impl Signer + ?Sized)) {
    let now = UnixTime::now();
    let proof = ProofBuilder::new("POST", TARGET).sign(&RUSTCRYPTO, key, now).unwrap().into_string();
    let policy = Policy::default().with_algorithms(AlgorithmSet::of(&[key.algorithm()])).unwrap();
    let context = Context::TokenEndpoint { dpop_jkt: None };
    let (target, proofs) = (TargetUri::parse(TARGET).unwrap(), [proof.as_bytes()]);
    let presentation = Presentation::new("POST", &target, &proofs, context);
    let verified = Verifier::new(policy, &RUSTCRYPTO).check(&presentation, now).unwrap().danger_skip_replay_check();
    assert_eq!(verified.thumbprint(), thumbprint(key));
}

pub(crate) fn thumbprint(key: &(impl Signer + ?Sized)) -> Thumbprint {
    key.public_key().thumbprint(RUSTCRYPTO.digest)
}

#[test]
fn end_to_end_with_a_verifier() {
    story(module_path!(), "end_to_end_with_a_verifier", |place| {
        let keys = place.keys();
        let mut made = Vec::new();
        for algorithm in [Algorithm::Es256, Algorithm::Es384, Algorithm::Es512, Algorithm::Ps256, Algorithm::Ed25519] {
            let key = keys.create(AlgorithmSet::of(&[algorithm]), KeyOwner::Host).unwrap();
            assert_eq!(key.algorithm(), algorithm);
            prove(&*key);
            made.push((algorithm, key.thumbprint()));
        }
        // Another process would find them so.
        let found = place.keys();
        for (algorithm, thumbprint) in made {
            let key = found.key(thumbprint).unwrap();
            assert_eq!(key.algorithm(), algorithm);
            prove(&*key);
            found.delete(thumbprint).unwrap();
            found.delete(thumbprint).unwrap();
        }
        assert!(found.list().unwrap().is_empty());
    });
}

#[test]
fn eight_threads_and_one_login() {
    story(module_path!(), "eight_threads_and_one_login", |place| {
        let keys = place.faulty_keys();
        let key = keys.create(AlgorithmSet::FAPI2, KeyOwner::Host).unwrap();
        let start = Barrier::new(8);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    start.wait();
                    (0..25).for_each(|_| prove(&*key));
                });
            }
        });
        assert_eq!(place.calls("C_Login"), 1);
        assert_eq!(place.calls("C_Logout"), 0);
        assert_eq!(place.calls("C_Initialize"), 1);
        // One that stays open, eight that sign, and one that made the key.
        let sessions = place.calls("C_OpenSession");
        assert!(sessions <= 10, "{sessions}");
    });
}

#[test]
fn the_first_signature_after_a_connection_is_verified() {
    story(module_path!(), "the_first_signature_after_a_connection_is_verified", |place: &Place| {
        let keys = place.faulty_keys();
        let key = keys.create(AlgorithmSet::FAPI2, KeyOwner::Host).unwrap();
        prove(&*key);
        let sign = || ProofBuilder::new("POST", TARGET).sign(&RUSTCRYPTO, &*key, UnixTime::now());
        place.rule("C_Sign spoil 1");
        sign().expect("later ones are not verified");
        // The connection breaks once, and another is made.
        place.rule("C_SignInit fail 0xb3\nC_Sign spoil 1");
        assert!(sign().is_err());
        place.rule("C_Sign spoil 1");
        assert!(sign().unwrap_err().to_string().contains("does not verify"));
        place.rule("");
        prove(&*key);
    });
}
