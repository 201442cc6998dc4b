//! Nimbus (com.nimbusds:oauth2-oidc-sdk), a library of others in Java, verifies our proofs, and we verify those that it makes.

use keybound::key::Signer;
use keybound::key::soft::SoftKey;
use keybound::proof::target::TargetUri;
use keybound::verify::policy::Policy;
use keybound::verify::presentation::{Context, Presentation};
use keybound::{Algorithm, AlgorithmSet, Crypto, ProofBuilder, Rejection, Thumbprint, UnixTime, Verifier};
use keybound_aws_lc::AWS_LC;
use keybound_interop::{Peers, key};
use serde_json::{Value, json};

const CRYPTO: &Crypto = &AWS_LC;
const TARGET: &str = "https://api.example.com/items/1";
const TOKEN: &str = "an-access-token";
const NONCE: &str = "a-nonce";
/// All algorithms that both sides have.
const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::Es256,
    Algorithm::Es384,
    Algorithm::Es512,
    Algorithm::Ps256,
    Algorithm::Ps384,
    Algorithm::Ps512,
    Algorithm::Rs256,
    Algorithm::Rs384,
    Algorithm::Rs512,
];

/// What Nimbus says to these tasks, all in one run.
fn ask(peers: &Peers, tasks: &[Value]) -> Vec<Value> {
    let said = peers.run("peers/nimbus/Nimbus.java", &Value::from(tasks));
    said.iter().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// A proof for a request to a protected resource.
fn proof(key: &SoftKey, method: &str, target: &str, token: &str, nonce: Option<&str>) -> String {
    let builder = ProofBuilder::new(method, target).access_token(token);
    let builder = nonce.into_iter().fold(builder, |builder, nonce| builder.nonce(nonce));
    builder.sign(CRYPTO, key, UnixTime::now()).expect("a proof").as_str().to_owned()
}

/// A request to a protected resource, for Nimbus to verify.
fn request(key: &SoftKey, proof: String, nonce: Option<&str>) -> Value {
    let jkt = key.public_key().thumbprint(CRYPTO.digest).to_string();
    json!({ "proof": proof, "method": "GET", "target": TARGET, "access_token": TOKEN, "jkt": jkt, "nonce": nonce })
}

#[test]
fn our_proofs_are_accepted() {
    let Some(peers) = Peers::here() else { return };
    let mut tasks = Vec::new();
    for algorithm in ALGORITHMS {
        let key = key(algorithm);
        for nonce in [None, Some(NONCE)] {
            tasks.push(request(&key, proof(&key, "GET", TARGET, TOKEN, nonce), nonce));
        }
        // To the token endpoint, where no token is named.
        let made = ProofBuilder::new("POST", TARGET).nonce(NONCE).sign(CRYPTO, &key, UnixTime::now()).expect("a proof");
        tasks.push(json!({ "proof": made.as_str(), "target": TARGET, "nonce": NONCE }));
    }
    for (task, verdict) in tasks.iter().zip(ask(&peers, &tasks)) {
        assert_eq!(verdict["accepted"], true, "{verdict} {task}");
    }
}

/// Nimbus is awake: what it accepts above it refuses when anything is wrong.
#[test]
fn proofs_that_are_wrong_are_refused() {
    let Some(peers) = Peers::here() else { return };
    let (holder, thief) = (key(Algorithm::Es256), key(Algorithm::Es256));
    let good = || proof(&holder, "GET", TARGET, TOKEN, Some(NONCE));
    let once = good();
    let tasks = [
        once.clone(),
        once,
        proof(&thief, "GET", TARGET, TOKEN, Some(NONCE)),
        proof(&holder, "POST", TARGET, TOKEN, Some(NONCE)),
        proof(&holder, "GET", "https://api.example.com/items/2", TOKEN, Some(NONCE)),
        proof(&holder, "GET", TARGET, "another-token", Some(NONCE)),
        proof(&holder, "GET", TARGET, TOKEN, Some("another-nonce")),
        proof(&holder, "GET", TARGET, TOKEN, None),
        good() + "A",
    ];
    let tasks = tasks.map(|proof| request(&holder, proof, Some(NONCE)));
    let verdicts = ask(&peers, &tasks);
    let accepted: Vec<bool> = verdicts.iter().map(|verdict| verdict["accepted"] == true).collect();
    assert_eq!(accepted, [true, false, false, false, false, false, false, false, false], "{verdicts:#?}");
}

/// A request with a proof of Nimbus, as we see it.
struct Seen<'a> {
    method: &'a str,
    target: &'a str,
    token: Option<&'a str>,
    nonce: Option<&'a str>,
}

impl Seen<'_> {
    fn verified(&self, made: &Value) -> Result<Thumbprint, Rejection> {
        let policy = Policy::default().with_algorithms(AlgorithmSet::of(&ALGORITHMS)).expect("a policy");
        let text = |member: &str| made[member].as_str().expect("a text");
        let target = TargetUri::parse(self.target).expect("a target");
        let proofs = [text("proof").as_bytes()];
        let bound_to = Thumbprint::parse(text("jkt")).expect("a thumbprint");
        let context = match self.token {
            Some(access_token) => Context::Resource { access_token, bound_to },
            None => Context::TokenEndpoint { dpop_jkt: Some(bound_to) },
        };
        let presentation =
            Presentation { nonce: self.nonce, ..Presentation::new(self.method, &target, &proofs, context) };
        let pending = Verifier::new(policy, CRYPTO).check(&presentation, UnixTime::now())?;
        Ok(pending.danger_skip_replay_check().thumbprint())
    }
}

#[test]
fn their_proofs_are_verified() {
    let Some(peers) = Peers::here() else { return };
    let task = |algorithm: Algorithm, token: Option<&str>, nonce: Option<&str>| {
        let algorithm = algorithm.to_string();
        json!({ "algorithm": algorithm, "method": "GET", "target": TARGET, "access_token": token, "nonce": nonce })
    };
    let kinds = [(None, None), (None, Some(NONCE)), (Some(TOKEN), None), (Some(TOKEN), Some(NONCE))];
    let tasks: Vec<Value> =
        ALGORITHMS.iter().flat_map(|algorithm| kinds.map(|(token, nonce)| task(*algorithm, token, nonce))).collect();
    let made = ask(&peers, &tasks);
    assert_eq!(made.len(), tasks.len());
    for (made, (token, nonce)) in made.iter().zip(kinds.iter().cycle()) {
        // What Nimbus leaves out of `htu`, a request has.
        let target = format!("{TARGET}?page=2");
        let seen = Seen { method: "GET", target: &target, token: *token, nonce: *nonce };
        assert_eq!(
            seen.verified(made).map(|thumbprint| thumbprint.to_string()).as_deref(),
            Ok(made["jkt"].as_str().expect("a text"))
        );

        let (other, method) = ("https://api.example.com/items/2", "POST");
        assert_eq!(Seen { method, ..seen }.verified(made), Err(Rejection::MethodMismatch));
        assert_eq!(Seen { target: other, ..seen }.verified(made), Err(Rejection::TargetMismatch));
        let nonce = Some("another-nonce");
        assert!(Seen { nonce, ..seen }.verified(made).is_err(), "a wrong nonce");
        if token.is_some() {
            let token = Some("another-token");
            assert_eq!(Seen { token, ..seen }.verified(made), Err(Rejection::AthMismatch));
        }
        let mut stolen = made.clone();
        stolen["jkt"] = key(Algorithm::Es256).public_key().thumbprint(CRYPTO.digest).to_string().into();
        assert_eq!(seen.verified(&stolen), Err(Rejection::BindingMismatch));
    }
}
