//! npm `oauth4webapi`, as a protected resource, judges proofs of ours.

use keybound::key::soft::SoftKey;
use keybound::key::{Signer, SigningInput};
use keybound::{Algorithm, Crypto, ProofBuilder, UnixTime, base64url};
use keybound_aws_lc::AWS_LC;
use keybound_interop::{Peers, Running, key};
use reqwest::Method;
use reqwest::blocking::Client;
use serde_json::{Value, json};

const CRYPTO: &Crypto = &AWS_LC;
const ISSUER: &str = "https://as.example.com";
/// All algorithms that both sides have.
const ALGORITHMS: [Algorithm; 11] = [
    Algorithm::Es256,
    Algorithm::Es384,
    Algorithm::Es512,
    Algorithm::Ed25519,
    Algorithm::EdDsa,
    Algorithm::Ps256,
    Algorithm::Ps384,
    Algorithm::Ps512,
    Algorithm::Rs256,
    Algorithm::Rs384,
    Algorithm::Rs512,
];

/// An issuer of access tokens and a resource that believes it.
struct Judge {
    issuer: SoftKey,
    resource: String,
    http: Client,
    _running: Running,
}

/// What is sent: all of it good, unless a test changes it.
struct Sent<'a> {
    method: Method,
    path: &'a str,
    token: &'a str,
    proof: &'a str,
}

impl Judge {
    fn start(peers: &Peers) -> Self {
        let issuer = key(Algorithm::Es256);
        let jwk: Value = serde_json::from_str(&issuer.public_key().to_json()).expect("JSON");
        let about = json!({ "issuer": ISSUER, "jwks": { "keys": [jwk] } });
        let running = peers.start("peers/judge.mjs", &about);
        Self { issuer, resource: running.text("resource").to_owned(), http: Client::new(), _running: running }
    }

    /// An access token (RFC 9068) that is bound to `key`.
    fn token(&self, key: &SoftKey) -> String {
        let now = UnixTime::now().secs();
        let header = json!({ "alg": "ES256", "typ": "at+jwt" });
        let claims = json!({
            "iss": ISSUER, "sub": "alice", "client_id": "app", "aud": self.resource, "jti": "one", "iat": now, "exp": now + 60,
            "cnf": { "jkt": key.public_key().thumbprint(CRYPTO.digest).to_string() },
        });
        let encode = |part: &Value| base64url::encode(part.to_string().as_bytes());
        let text = format!("{}.{}", encode(&header), encode(&claims));
        let input = SigningInput::new(Algorithm::Es256, text.as_bytes(), CRYPTO.digest);
        let signature = self.issuer.sign(&input).expect("a signature");
        format!("{text}.{}", base64url::encode(signature.as_bytes()))
    }

    /// Whether the request is accepted, and the reason if not.
    fn judge(&self, sent: &Sent<'_>) -> Result<(), String> {
        let request = self.http.request(sent.method.clone(), format!("{}{}", self.resource, sent.path));
        let request = request.header("authorization", format!("DPoP {}", sent.token)).header("dpop", sent.proof);
        let response = request.send().expect("an answer");
        let verdict: Value = serde_json::from_str(&response.text().expect("text")).expect("JSON");
        if verdict["accepted"] == true { Ok(()) } else { Err(verdict["reason"].as_str().unwrap_or("?").to_owned()) }
    }

    fn proof(&self, key: &SoftKey, method: &str, path: &str, token: &str) -> String {
        let target = format!("{}{path}", self.resource);
        let proof = ProofBuilder::new(method, &target).access_token(token).sign(CRYPTO, key, UnixTime::now());
        proof.expect("a proof").as_str().to_owned()
    }
}

#[test]
fn proofs_of_every_algorithm_are_accepted() {
    let Some(peers) = Peers::here() else { return };
    let judge = Judge::start(&peers);
    for algorithm in ALGORITHMS {
        let key = key(algorithm);
        let token = judge.token(&key);
        let path = "/items?page=2";
        let proof = judge.proof(&key, "GET", path, &token);
        let sent = Sent { method: Method::GET, path, token: &token, proof: &proof };
        assert_eq!(judge.judge(&sent), Ok(()), "{algorithm}");
    }
}

#[test]
fn proofs_of_other_methods_and_targets_are_accepted() {
    let Some(peers) = Peers::here() else { return };
    let judge = Judge::start(&peers);
    let key = key(Algorithm::Es256);
    let token = judge.token(&key);
    for (method, path) in [
        (Method::POST, ""),
        (Method::DELETE, "/a/b?c=d"),
        (Method::PATCH, "/%7Euser/caf%C3%A9"),
        (Method::from_bytes(b"PROPFIND").expect("a method"), "/a+b;c=d"),
    ] {
        let proof = judge.proof(&key, method.as_str(), path, &token);
        let sent = Sent { method, path, token: &token, proof: &proof };
        assert_eq!(judge.judge(&sent), Ok(()), "{} {path}", sent.method);
    }
}

/// The judge is awake: what it accepts above it refuses when anything is wrong.
#[test]
fn the_judge_refuses_what_is_wrong() {
    let Some(peers) = Peers::here() else { return };
    let judge = Judge::start(&peers);
    let (key, thief) = (key(Algorithm::Es256), key(Algorithm::Es256));
    let (token, other) = (judge.token(&key), judge.token(&thief));
    let good = || judge.proof(&key, "GET", "", &token);
    let send = |proof: &str, method: Method, path: &str| judge.judge(&Sent { method, path, token: &token, proof });
    assert_eq!(send(&good(), Method::GET, ""), Ok(()));
    for (wrong, proof) in [
        ("key", judge.proof(&thief, "GET", "", &token)),
        ("token", judge.proof(&key, "GET", "", &other)),
        ("method", judge.proof(&key, "POST", "", &token)),
        ("target", judge.proof(&key, "GET", "/elsewhere", &token)),
        ("signature", good() + "A"),
    ] {
        assert!(send(&proof, Method::GET, "").is_err(), "wrong {wrong}");
    }
    let once = good();
    assert_eq!(send(&once, Method::GET, ""), Ok(()));
    assert!(send(&once, Method::GET, "").is_err(), "a replay");
}
