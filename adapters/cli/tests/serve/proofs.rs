//! Bad proofs at the token endpoint: 400 with invalid_dpop_proof, and nothing is used up (R9449-5-2).

use super::{SECRET, Server, jwt, key, proof};
use keybound::key::{Signer as _, soft::SoftKey};
use keybound::{ProofBuilder, RUSTCRYPTO, UnixTime};

const GRANT: [(&str, &str); 3] =
    [("grant_type", "client_credentials"), ("client_id", "service"), ("client_secret", SECRET)];

/// A proof of `key` with this header beside `jwk`, and these claims.
fn made(key: &SoftKey, header: &str, claims: &str) -> String {
    jwt(key, &format!(r#"{{"jwk":{},{header}}}"#, key.public_key().to_json()), claims)
}

#[test]
fn each_defect_is_refused_as_an_invalid_proof() {
    let (server, key) = (Server::without_nonces(), key());
    let (url, now) = (server.url("/token"), UnixTime::now().secs());
    let header = r#""typ":"dpop+jwt","alg":"ES256""#;
    let claims =
        |method: &str, url: &str, iat: i64| format!(r#"{{"jti":"{iat}","htm":"{method}","htu":"{url}","iat":{iat}}}"#);
    let good = made(&key, header, &claims("POST", &url, now));
    assert_eq!(server.post("/token", &GRANT, std::slice::from_ref(&good)).status, 200);
    let as_key = |jwk: &str| jwt(&key, &format!(r#"{{"jwk":{jwk},{header}}}"#), &claims("POST", &url, now));
    let bad = [
        ("replayed", good.clone()),
        ("empty", String::new()),
        ("no JWT", "x".into()),
        ("five parts", "a.b.c.d.e".into()),
        ("two in one field", format!("{good}, {good}")),
        ("typ", made(&key, r#""typ":"JWT","alg":"ES256""#, &claims("POST", &url, now))),
        ("alg none", made(&key, r#""typ":"dpop+jwt","alg":"none""#, &claims("POST", &url, now))),
        ("alg HS256", made(&key, r#""typ":"dpop+jwt","alg":"HS256""#, &claims("POST", &url, now))),
        ("crit", made(&key, r#""typ":"dpop+jwt","alg":"ES256","crit":["x"]"#, &claims("POST", &url, now))),
        ("private key", as_key(key.to_jwk().unwrap().expose())),
        ("no key", jwt(&key, &format!("{{{header}}}"), &claims("POST", &url, now))),
        ("another key", as_key(&super::key().public_key().to_json())),
        ("method", made(&key, header, &claims("GET", &url, now))),
        ("method's case", made(&key, header, &claims("post", &url, now))),
        ("path", made(&key, header, &claims("POST", &server.url("/par"), now))),
        ("path's case", made(&key, header, &claims("POST", &server.url("/Token"), now))),
        ("origin", made(&key, header, &claims("POST", "https://other.example/token", now))),
        ("scheme", made(&key, header, &claims("POST", &url.replace("http:", "https:"), now))),
        ("old", made(&key, header, &claims("POST", &url, now - 400))),
        ("ahead", made(&key, header, &claims("POST", &url, now + 400))),
        ("iat is text", made(&key, header, &format!(r#"{{"jti":"a","htm":"POST","htu":"{url}","iat":"{now}"}}"#))),
        ("no iat", made(&key, header, &format!(r#"{{"jti":"a","htm":"POST","htu":"{url}"}}"#))),
        ("no jti", made(&key, header, &format!(r#"{{"htm":"POST","htu":"{url}","iat":{now}}}"#))),
        ("empty jti", made(&key, header, &format!(r#"{{"jti":"","htm":"POST","htu":"{url}","iat":{now}}}"#))),
        (
            "a claim twice",
            made(&key, header, &format!(r#"{{"jti":"a","jti":"b","htm":"POST","htu":"{url}","iat":{now}}}"#)),
        ),
        (
            "long",
            made(
                &key,
                header,
                &format!(r#"{{"jti":"a","htm":"POST","htu":"{url}","iat":{now},"x":"{}"}}"#, "x".repeat(17_000)),
            ),
        ),
    ];
    for (name, proof) in bad {
        let answer = server.post("/token", &GRANT, &[proof]);
        assert_eq!(answer.verdict(), (400, Some("invalid_dpop_proof")), "{name}: {answer:?}");
        assert_eq!(
            (answer.field("Cache-Control"), answer.field("WWW-Authenticate")),
            (Some("no-store"), None),
            "{name}"
        );
        assert!(!answer.text("error_description").is_empty());
    }
    let two = [proof(&key, "POST", &url, None, None), proof(&key, "POST", &url, None, None)];
    assert_eq!(server.post("/token", &GRANT, &two).verdict(), (400, Some("invalid_dpop_proof")));
    // Query and fragment do not count (R9449-4.3-9), nor does what is unknown (OURS-4).
    let odd = ProofBuilder::new("POST", &url).claim_text("made_up", "x").sign(&RUSTCRYPTO, &key, UnixTime::now());
    assert_eq!(server.post("/token", &GRANT, &[odd.unwrap().into_string()]).status, 200);
    let odd = made(&key, header, &claims("POST", &format!("{url}?x=1#y"), now - 1));
    assert_eq!(server.post("/token", &GRANT, &[odd]).status, 200);
}

#[test]
fn no_proof_of_a_reject_vector_is_accepted_or_breaks_the_server() {
    let server = Server::without_nonces();
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors");
    let mut sent = 0;
    for path in std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()) {
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let entries = keybound_cli::vectors::parse(&std::fs::read_to_string(&path).unwrap()).unwrap();
        for entry in entries.iter().filter(|entry| entry["expect"] == "reject") {
            let proofs: Vec<String> = match &entry["proof"] {
                serde_json::Value::String(proof) => vec![proof.clone()],
                serde_json::Value::Array(proofs) => {
                    proofs.iter().filter_map(|proof| proof.as_str().map(str::to_owned)).collect()
                }
                _ => vec![],
            };
            let fits = |proof: &String| proof.bytes().all(|byte| (0x20..0x7f).contains(&byte)) && proof.len() < 30_000;
            if proofs.is_empty() || !proofs.iter().all(fits) {
                continue;
            }
            let answer = server.post("/token", &GRANT, &proofs);
            assert_eq!(answer.verdict(), (400, Some("invalid_dpop_proof")), "{}", entry["id"]);
            sent += 1;
        }
    }
    assert!(sent > 200, "only {sent} were sent");
}

#[test]
fn the_proof_is_judged_before_the_grant() {
    let (server, key) = (Server::start(), key());
    let form = server.redeem("a code that does not exist");
    let url = server.url("/token");
    let bare = proof(&key, "POST", &url, None, None);
    assert_eq!(server.post("/token", &form, &[bare]).verdict(), (400, Some("use_dpop_nonce")));
    assert_eq!(server.post("/token", &form, &["x".into()]).verdict(), (400, Some("invalid_dpop_proof")));
    assert_eq!(server.prove(&key, "/token", &form).verdict(), (400, Some("invalid_grant")));
    assert_eq!(server.post("/token", &form, &[]).verdict(), (400, Some("invalid_grant")));
    // Structure before the nonce: a proof that no nonce can fix is not challenged.
    let wrong = proof(&key, "GET", &url, None, None);
    assert_eq!(server.post("/token", &form, &[wrong]).verdict(), (400, Some("invalid_dpop_proof")));
    // Who asks comes before all.
    let nobody = [("grant_type", "authorization_code"), ("client_id", "nobody"), ("code", "x")];
    assert_eq!(server.post("/token", &nobody, &["x".into()]).verdict(), (401, Some("invalid_client")));
}

#[test]
fn nonces_of_one_server_are_worthless_to_the_other() {
    // R9449-9-3.
    let (server, key) = (Server::start(), key());
    let token = server.own_token(&key);
    let (url, api) = (server.url("/token"), server.url("/api"));
    let authorization = format!("DPoP {token}");
    let call = |nonce: Option<&str>| {
        let proof = proof(&key, "GET", &api, nonce, Some(&token));
        server.get("/api", &[("Authorization", &authorization), ("DPoP", &proof)])
    };
    let theirs = call(None);
    assert_eq!(theirs.status, 401);
    let theirs = theirs.field("DPoP-Nonce").unwrap();
    assert_eq!(call(Some(theirs)).status, 200);
    let ask = |nonce: &str| server.post("/token", &GRANT, &[proof(&key, "POST", &url, Some(nonce), None)]);
    let ours = ask(theirs);
    assert_eq!(ours.verdict(), (400, Some("use_dpop_nonce")));
    let ours = ours.field("DPoP-Nonce").unwrap();
    assert_eq!(ask(ours).status, 200);
    // R9449-11.1-6: a nonce serves many proofs.
    assert_eq!(ask(ours).status, 200);
    assert_eq!(call(Some(ours)).status, 401);
}
