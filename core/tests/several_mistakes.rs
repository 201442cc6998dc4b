//! Explanations of proofs with several mistakes: each is found in one run, and none is made up.
#![cfg(all(feature = "std", feature = "rustcrypto", feature = "dpop"))]
#![allow(clippy::unwrap_used, reason = "helpers of tests stand outside of test functions")]

use keybound::base64url;
use keybound::key::soft::SoftKey;
use keybound::key::{Signer, SigningInput};
use keybound::nonce::Role;
use keybound::nonce::issuer::{NonceIssuer, NonceKey, NonceKeys};
use keybound::replay::{StoreEpoch, StoreFloor};
use keybound::{
    Algorithm, Context, Explanation, Outcome, Policy, Presentation, RUSTCRYPTO, TargetUri, Thumbprint, UnixTime,
    Verifier,
};

const URL: &str = "https://api.example.com/items";
const TOKEN: &str = "the-access-token";
const NOW: UnixTime = UnixTime::from_secs(1_700_000_000);

/// A request whose proof is signed as it stands, whatever is wrong with it.
struct Request {
    key: SoftKey,
    typ: &'static str,
    alg: &'static str,
    /// The header's key; that which signs unless given.
    jwk: Option<String>,
    claims: Vec<(&'static str, String)>,
    method: &'static str,
    bound_to: Option<Thumbprint>,
    is_cut: bool,
}

impl Default for Request {
    fn default() -> Self {
        let ath = base64url::encode(&RUSTCRYPTO.digest.sha256(&[TOKEN.as_bytes()]));
        let claims = [("jti", "\"one\"".to_owned()), ("htm", "\"GET\"".to_owned()), ("htu", format!("\"{URL}\""))];
        let more = [("iat", NOW.to_string()), ("ath", format!("\"{ath}\""))];
        Self {
            key: SoftKey::generate(Algorithm::Es256, &RUSTCRYPTO).unwrap(),
            typ: "dpop+jwt",
            alg: "ES256",
            jwk: None,
            claims: claims.into_iter().chain(more).collect(),
            method: "GET",
            bound_to: None,
            is_cut: false,
        }
    }
}

impl Request {
    fn set(&mut self, name: &'static str, value: impl Into<String>) {
        self.claims.retain(|(claim, _)| *claim != name);
        self.claims.push((name, value.into()));
    }

    fn without(&mut self, name: &str) {
        self.claims.retain(|(claim, _)| *claim != name);
    }

    fn proof(&self) -> String {
        let jwk = self.jwk.clone().unwrap_or_else(|| self.key.public_key().to_json());
        let header = format!(r#"{{"typ":"{}","alg":"{}","jwk":{jwk}}}"#, self.typ, self.alg);
        let claims: Vec<_> = self.claims.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        let claims = format!("{{{}}}", claims.join(","));
        let message = format!("{}.{}", base64url::encode(header.as_bytes()), base64url::encode(claims.as_bytes()));
        let input = SigningInput::new(Algorithm::Es256, message.as_bytes(), RUSTCRYPTO.digest);
        let signature = self.key.sign(&input).unwrap();
        let mut bytes = signature.as_bytes().to_vec();
        bytes.truncate(if self.is_cut { 63 } else { 64 });
        format!("{message}.{}", base64url::encode(&bytes))
    }

    fn explain(&self, verifier: &Verifier, floor: Option<StoreFloor>) -> Explanation {
        let (target, proof) = (TargetUri::parse(URL).unwrap(), self.proof());
        let bound_to = self.bound_to.unwrap_or_else(|| self.key.public_key().thumbprint(RUSTCRYPTO.digest));
        let (proofs, context) = ([proof.as_bytes()], Context::Resource { access_token: TOKEN, bound_to });
        let presentation = Presentation::new(self.method, &target, &proofs, context);
        let explanation = verifier.explain_with_floor(&presentation, NOW, floor);
        let verdict = verifier.check(&presentation, NOW).err();
        if verdict.is_some() || floor.is_none() {
            assert_eq!(explanation.rejection(), verdict, "the verdict is that of verification");
        }
        assert_eq!(explanation.failure().map(|failure| failure.rejection), explanation.rejection());
        explanation
    }

    fn states(&self) -> Vec<String> {
        states(&self.explain(&Verifier::new(Policy::default(), &RUSTCRYPTO), None))
    }
}

/// What was not passed, and why: the reason, or the check for which it was not judged. Of replay only a failure.
fn states(explanation: &Explanation) -> Vec<String> {
    let unmet = explanation.findings().iter().filter_map(|finding| match &finding.outcome {
        Outcome::Failed(failure) => Some(failure.rejection.reason().to_owned()),
        Outcome::NotJudged { because: Some(failed) } if finding.check.name() != "replay" => {
            Some(format!("{} after {failed}", finding.check))
        }
        _ => None,
    });
    unmet.collect()
}

type Mistake = (&'static str, fn(&mut Request));

/// Mistakes that have nothing to do with one another, in the order of the checks.
const MISTAKES: [Mistake; 7] = [
    ("typ_mismatch", |request| request.typ = "jwt"),
    ("method_mismatch", |request| request.method = "POST"),
    ("target_mismatch", |request| request.set("htu", "\"https://api.example.com/other\"")),
    ("iat_too_old", |request| request.set("iat", "1699999000")),
    ("binding_mismatch", |request| request.bound_to = Some(Thumbprint::from_bytes([7; 32]))),
    ("ath_mismatch", |request| request.set("ath", "\"47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU\"")),
    ("signature_malformed", |request| request.is_cut = true),
];

#[test]
fn mistakes_in_every_combination_are_found_in_one_run() {
    for chosen in 0..1_u32 << MISTAKES.len() {
        let (mut request, mut expected) = (Request::default(), Vec::new());
        for (position, (reason, make)) in MISTAKES.iter().enumerate() {
            if chosen & (1 << position) != 0 {
                make(&mut request);
                expected.push(*reason);
            }
        }
        assert_eq!(request.states(), expected);
    }
}

/// A verdict that a check finds alone is the one that verification gives once the mistakes before it are gone.
#[test]
fn what_is_found_beside_the_verdict_is_what_verification_finds_next() {
    let mut request = Request::default();
    for (_, make) in MISTAKES {
        make(&mut request);
    }
    let found = request.states();
    assert_eq!(found.len(), MISTAKES.len());
    for (position, reason) in found.iter().enumerate() {
        let mut rest = Request::default();
        for (_, make) in &MISTAKES[position..] {
            make(&mut rest);
        }
        assert_eq!(&rest.states()[0], reason);
    }
}

#[test]
fn what_depends_on_a_failed_check_is_not_judged() {
    let states = |change: fn(&mut Request)| {
        let mut request = Request { method: "POST", ..Request::default() };
        change(&mut request);
        request.states()
    };
    let of_key = |failed: &str, rest: &[&str]| -> Vec<String> {
        let behind = rest.iter().map(|check| format!("{check} after {failed}"));
        behind.collect()
    };
    let with_key = ["curve", "binding", "signature"];
    let expected = [vec!["alg_unknown".into()], of_key("algorithm", &["key"]), vec!["method_mismatch".into()]];
    let expected: Vec<String> = expected.into_iter().flatten().chain(of_key("algorithm", &with_key)).collect();
    assert_eq!(states(|request| request.alg = "es256"), expected);
    let expected: Vec<String> =
        ["jwk_malformed".into(), "method_mismatch".into()].into_iter().chain(of_key("key", &with_key)).collect();
    assert_eq!(states(|request| request.jwk = Some("\"text\"".into())), expected);
    let off_curve = r#"{"kty":"EC","crv":"P-256","x":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","y":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE"}"#;
    let mut request = Request { jwk: Some(off_curve.into()), ..Request::default() };
    assert_eq!(request.states(), ["key_off_curve", "binding_mismatch", "signature after curve"]);
    request.claims.clear();
    request.claims.push(("iat", "1699999000".into()));
    let expected = [
        "jti_missing",
        "method after claims",
        "target after claims",
        "iat_too_old",
        "key_off_curve",
        "binding_mismatch",
        "token_hash after claims",
        "signature after curve",
    ];
    assert_eq!(request.states(), expected);
    let states = |change: fn(&mut Request)| {
        let mut request = Request::default();
        change(&mut request);
        request.states()
    };
    assert_eq!(states(|request| request.without("htm")), ["htm_missing", "method after claims"]);
    assert_eq!(states(|request| request.set("exp", "\"soon\"")), ["lifetime_invalid", "time after claims"]);
    assert_eq!(states(|request| request.set("nonce", "1")), ["nonce_invalid", "nonce after claims"]);
    let duplicate = states(|request| request.claims.push(("htm", "\"GET\"".into())));
    let behind = ["method", "target", "time", "nonce", "token_hash"].map(|check| format!("{check} after claims"));
    assert_eq!(duplicate, [vec!["claims_duplicate".to_owned()], behind.to_vec()].concat());
}

#[test]
fn a_nonce_is_judged_without_a_key_only_where_it_needs_none() {
    let keys = || NonceKeys::new(NonceKey::from_secret(1, [7; 32]).unwrap());
    let issuer = || NonceIssuer::new(RUSTCRYPTO.mac, keys(), "test");
    let verifier = Verifier::new(Policy::default(), &RUSTCRYPTO).with_nonces(issuer());
    let mut request = Request { alg: "none", ..Request::default() };
    let states = |request: &Request| states(&request.explain(&verifier, None));
    let behind = ["curve after algorithm", "binding after algorithm", "signature after algorithm"];
    assert_eq!(
        states(&request),
        [&["alg_not_asymmetric", "key after algorithm", "nonce_missing"], &behind[..]].concat()
    );
    let nonce = issuer().issue(Role::ResourceServer, None, StoreEpoch::from_u64(0), NOW).unwrap();
    request.set("nonce", format!("\"{}\"", nonce.as_str()));
    assert_eq!(
        states(&request),
        [&["alg_not_asymmetric", "key after algorithm", "nonce after algorithm"], &behind[..]].concat()
    );
    request.alg = "ES256";
    assert_eq!(states(&request), [""; 0]);
}

#[test]
fn the_floor_of_the_store_is_one_of_the_checks() {
    let verifier = Verifier::new(Policy::default(), &RUSTCRYPTO);
    let floor = StoreFloor::new(NOW, StoreEpoch::from_u64(5));
    let found = |request: &Request, floor| states(&request.explain(&verifier, Some(floor)));
    let mut request = Request::default();
    assert_eq!(found(&request, floor), ["before_store_floor"]);
    assert_eq!(found(&request, floor.danger_first_start()), [""; 0]);
    assert_eq!(found(&request, StoreFloor::new(NOW.saturating_sub(11), floor.epoch())), [""; 0]);
    let told = request.explain(&verifier, Some(floor)).to_string();
    for fact in ["timed at 1700000000, 11 s too early", "after 1700000010", "nonces", "danger_first_start"] {
        assert!(told.contains(fact), "{fact} is missing in:\n{told}");
    }
    request.method = "POST";
    assert_eq!(found(&request, floor), ["method_mismatch", "before_store_floor"]);
    request.set("iat", "1699999000");
    assert_eq!(found(&request, floor), ["method_mismatch", "iat_too_old"], "its age says more");
}
