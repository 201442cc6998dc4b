//! Tokens and private keys never come out again, whatever goes wrong.

use super::{METHOD_AND_URL, Ran, Scratch, keybound, keybound_reading, proof};

const SECRET: &str = "s3cr3t-t0ken-that-n0body-may-see";

fn assert_kept(ran: &Ran, secret: &str, what: &[&str]) {
    assert!(!ran.out.contains(secret) && !ran.err.contains(secret), "{what:?}: {}{}", ran.out, ran.err);
}

#[test]
fn access_tokens_stay_where_they_are() {
    let scratch = Scratch::new("tokens");
    let key = scratch.key("key.json", "ES256");
    let made = proof(&key, &["--access-token", SECRET]);
    let curl = format!("curl https://api.example.com/x -H 'Authorization: DPoP {SECRET}' -H 'DPoP: {made}'");
    let unclosed = format!("curl https://h/ -H 'Authorization: DPoP {SECRET}");
    let two_words = format!("DPoP {SECRET}");
    let with_token = |command: &'static str, format: &'static str, token: &'static str| {
        [&[command, "--format", format, &made, "--access-token", token], METHOD_AND_URL.as_slice()].concat()
    };
    let mut cases = Vec::new();
    for format in ["human", "json"] {
        cases.extend([with_token("verify", format, SECRET), with_token("explain", format, SECRET)]);
        cases.push(
            [&["explain", "--format", format, "--access-token", &two_words, &made], METHOD_AND_URL.as_slice()].concat(),
        );
        cases.push(vec!["explain", "--format", format, "--curl", &curl]);
        cases.push(vec!["explain", "--format", format, "--curl", &unclosed]);
        cases.push(
            [&["proof", "--format", format, "--key", &key, "--access-token", &two_words], METHOD_AND_URL.as_slice()]
                .concat(),
        );
        // Pasted without quotes, the token is an argument of its own.
        cases.push(
            [
                &["proof", "--format", format, "--key", &key, "--access-token", "DPoP", SECRET],
                METHOD_AND_URL.as_slice(),
            ]
            .concat(),
        );
    }
    for arguments in cases {
        assert_kept(&keybound(&arguments), SECRET, &arguments);
    }
}

#[test]
fn private_keys_stay_in_their_files() {
    let scratch = Scratch::new("private");
    let key = scratch.key("key.json", "ES256");
    let jwk = std::fs::read_to_string(&key).unwrap();
    let parsed: serde_json::Value = serde_json::from_str(&jwk).unwrap();
    let d = parsed["d"].as_str().unwrap();
    let proof = [&["proof", "--key", &key], METHOD_AND_URL.as_slice()].concat();
    let as_proof = [&["explain", "--file", &key], METHOD_AND_URL.as_slice()].concat();
    let to_file = scratch.path("other.json");
    for format in ["human", "json"] {
        for arguments in [
            vec!["key", "public", key.as_str()],
            vec!["key", "thumbprint", key.as_str()],
            vec!["key", "generate", "--out", key.as_str()],
            proof.clone(),
            as_proof.clone(),
        ] {
            let arguments = [arguments.as_slice(), &["--format", format]].concat();
            assert_kept(&keybound(&arguments), d, &arguments);
        }
    }
    // A key that does not belong to its public part is refused without being shown.
    let broken = jwk.replace("\"x\":\"", "\"x\":\"AAAA");
    assert_kept(&keybound_reading(&["key", "public"], broken.as_bytes()), d, &["broken"]);
    let made = keybound(&["key", "generate", "--out", &to_file, "--format", "json"]);
    let written: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&to_file).unwrap()).unwrap();
    assert_kept(&made, written["d"].as_str().unwrap(), &["generate"]);
}
