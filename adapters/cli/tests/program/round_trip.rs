//! A key is made, signs a proof, and the proof is verified: with every algorithm.

use keybound::Algorithm;

use super::{METHOD_AND_URL, Scratch, TOKEN, keybound, keybound_reading, proof, verify};

fn algorithms() -> impl Iterator<Item = &'static str> {
    let ml_dsa = cfg!(feature = "ml-dsa");
    Algorithm::ALL.iter().map(|algorithm| algorithm.name()).filter(move |name| ml_dsa || !name.starts_with("ML-DSA"))
}

#[test]
fn every_algorithm_and_both_forms_of_keys() {
    let scratch = Scratch::new("round-trip");
    for algorithm in algorithms() {
        let jwk = scratch.key(&format!("{algorithm}.jwk"), algorithm);
        let jkt = keybound(&["key", "thumbprint", &jwk]).line().to_owned();
        let made = proof(&jwk, &["--access-token", TOKEN]);
        let more = ["--access-token", TOKEN, "--jkt", &jkt, "--algorithms", "all"];
        let judged = verify(&made, &more);
        assert_eq!(judged.code, Some(0), "{algorithm}: {}{}", judged.out, judged.err);
        let verdict = judged.json();
        assert_eq!(verdict["accepted"], true);
        assert_eq!(verdict["algorithm"], algorithm);
        assert_eq!(verdict["thumbprint"], jkt.as_str());
        assert_eq!(verdict["jkt_source"], "argument");

        let pem = keybound(&["key", "generate", "--pem", "--alg", algorithm]);
        assert!(pem.out.starts_with("-----BEGIN PRIVATE KEY-----\n"), "{algorithm}");
        let pem = scratch.file(&format!("{algorithm}.pem"), &pem.out);
        let made = proof(&pem, &["--alg", algorithm]);
        assert_eq!(verify(&made, &["--algorithms", "all"]).json()["algorithm"], algorithm);
        // Bound to another key, the same proof is refused.
        let judged = verify(&made, &["--algorithms", "all", "--jkt", &jkt]);
        assert_eq!((judged.code, judged.json()["reason"].as_str()), (Some(1), Some("binding_mismatch")), "{algorithm}");
    }
}

#[test]
fn public_and_private_key_have_one_thumbprint() {
    let scratch = Scratch::new("thumbprints");
    let key = scratch.key("key.json", "ES256");
    let public = keybound(&["key", "public", &key]).line().to_owned();
    assert!(!public.contains("\"d\""), "{public}");
    let of_private = keybound(&["key", "thumbprint", "--format", "json", &key]).json();
    assert_eq!(of_private["jkt"], keybound_reading(&["key", "thumbprint"], public.as_bytes()).line());
}

#[test]
fn what_is_asked_for_is_in_the_proof() {
    let scratch = Scratch::new("claims");
    let key = scratch.key("key.json", "Ed25519");
    let asked =
        ["--jti", "-one", "--now", "1562262616", "--nonce", "n1", "--claim", "who=a=b", "--claim-json", "n=[1]"];
    let answer = keybound(&[&["proof", "--format", "json", "--key", &key], METHOD_AND_URL.as_slice(), &asked].concat());
    let answer = answer.json();
    assert_eq!(answer["jkt"], keybound(&["key", "thumbprint", &key]).line());
    let made = answer["proof"].as_str().unwrap();
    let payload = keybound::base64url::decode(made.split('.').nth(1).unwrap().as_bytes()).unwrap();
    let claims: serde_json::Value = serde_json::from_slice(&payload).unwrap();
    assert_eq!(claims["jti"], "-one");
    assert_eq!(claims["iat"], 1_562_262_616);
    assert_eq!(claims["nonce"], "n1");
    assert_eq!(claims["who"], "a=b");
    assert_eq!(claims["n"][0], 1);

    let now = ["--now", "1562262650"];
    assert_eq!(verify(made, &[now.as_slice(), &["--nonce", "n1", "--policy", "fapi2"]].concat()).code, Some(0));
    assert_eq!(verify(made, &[now.as_slice(), &["--nonce", "n2"]].concat()).json()["reason"], "nonce_mismatch");
    assert_eq!(verify(made, &["--now", "1562262677"]).json()["reason"], "iat_too_old");
    assert_eq!(verify(made, &["--now", "1562262677", "--max-age", "61"]).code, Some(0));
    assert_eq!(verify(made, &["--now", "1562262600"]).json()["reason"], "iat_in_future");
    assert_eq!(verify(made, &["--now", "1562262600", "--max-ahead", "16"]).code, Some(0));
    assert_eq!(verify(made, &[now.as_slice(), &["--policy", "haip"]].concat()).json()["reason"], "alg_not_permitted");
}

#[test]
fn a_proof_may_come_from_anywhere() {
    let scratch = Scratch::new("sources");
    let key = scratch.key("key.json", "ES256");
    let token = scratch.file("token", &format!("{TOKEN}\n"));
    let token = format!("@{token}");
    let made = proof(&key, &["--access-token", &token]);
    let pasted = scratch.file("pasted", &format!("DPoP: {made}\r\n"));
    let request = [METHOD_AND_URL.as_slice(), &["--access-token", &token]].concat();
    for source in [vec![format!("@{pasted}")], vec!["--file".to_owned(), pasted.clone()]] {
        let source: Vec<&str> = source.iter().map(String::as_str).collect();
        let judged = keybound(&[&["verify"], source.as_slice(), &request].concat());
        assert_eq!(judged.line_of_verdict(), "accepted", "{source:?}");
    }
    for source in [&[][..], &["-"], &["--file", "-"]] {
        let judged = keybound_reading(&[&["verify"], source, &request].concat(), format!("{made}\n").as_bytes());
        assert_eq!(judged.line_of_verdict(), "accepted", "{source:?}");
    }
    let two = keybound_reading(&[&["verify"], request.as_slice()].concat(), format!("{made}\n\n").as_bytes());
    assert_eq!(two.code, Some(2), "one line end is forgiven, and no more");
}

impl super::Ran {
    fn line_of_verdict(&self) -> &str {
        self.out.lines().next().unwrap_or(&self.err)
    }
}
