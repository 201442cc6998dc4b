//! `keybound explain`: proofs, curl commands and challenges, from arguments and standard input.

use super::{METHOD_AND_URL, Scratch, TOKEN, keybound, keybound_reading, proof};

#[test]
fn a_proof_on_standard_input_is_explained() {
    let scratch = Scratch::new("explain");
    let made = proof(&scratch.key("key.json", "ES256"), &[]);
    let explain = [&["explain"], METHOD_AND_URL.as_slice()].concat();
    let good = keybound_reading(&explain, format!("{made}\n").as_bytes());
    assert_eq!(good.code, Some(0), "{}", good.err);
    assert!(good.out.ends_with("\naccepted\n"), "{}", good.out);
    assert!(good.err.contains("--jkt"), "the source of the binding is told: {}", good.err);

    let other = ["explain", "--method", "GET", "--url", "http://api.example.com/items"];
    let bad = keybound_reading(&other, format!("DPoP: {made}\n").as_bytes());
    assert_eq!(bad.code, Some(1));
    assert!(bad.out.contains("[target_mismatch, RFC 9449 section 4.3 check 9]"), "{}", bad.out);
    assert!(bad.out.contains("  fix  "), "{}", bad.out);
    assert!(!bad.out.contains('\u{1b}'), "no colour outside of a terminal");
}

#[test]
fn json_holds_every_check_in_order() {
    let scratch = Scratch::new("explain-json");
    let made = proof(&scratch.key("key.json", "ES256"), &[]);
    let more = ["--format", "json", "--access-token", TOKEN, &made];
    let explained = keybound(&[&["explain"], METHOD_AND_URL.as_slice(), &more].concat());
    let json = explained.json();
    assert_eq!((explained.code, json["reason"].as_str()), (Some(1), Some("ath_missing")));
    assert_eq!(json["jkt_source"], "proof");
    let names: Vec<&str> =
        json["checks"].as_array().unwrap().iter().filter_map(|check| check["check"].as_str()).collect();
    let expected: Vec<&str> = keybound::Check::ALL.iter().map(|check| check.name()).collect();
    assert_eq!(names, expected);
}

#[test]
fn a_pasted_curl_command_is_the_request() {
    let scratch = Scratch::new("curl");
    let key = scratch.key("key.json", "ES256");
    let made = proof(&key, &["--access-token", TOKEN]);
    let fields = format!("-H 'Authorization: DPoP {TOKEN}' -H 'DPoP: {made}'");
    let good = format!("curl 'https://api.example.com/items?page=2' {fields}\n");
    for ran in [
        keybound(&["explain", &good]),
        keybound(&["explain", "--curl", &good]),
        keybound_reading(&["explain"], good.as_bytes()),
    ] {
        assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
    }
    let reason = |command: &str| {
        keybound(&["explain", "--format", "json", "--curl", command]).json()["reason"].as_str().unwrap().to_owned()
    };
    assert_eq!(reason(&format!("curl -X POST https://api.example.com/items {fields}")), "method_mismatch");
    assert_eq!(reason(&format!("curl https://api.example.com/other {fields}")), "target_mismatch");
    assert_eq!(reason(&format!("curl https://api.example.com/items {fields} -H 'DPoP: {made}'")), "multiple_proofs");
    assert_eq!(reason("curl https://api.example.com/items -H 'Authorization: DPoP abc'"), "proof_missing");
    let other_token = format!("curl https://api.example.com/items -H 'Authorization: DPoP abc' -H 'DPoP: {made}'");
    assert_eq!(reason(&other_token), "ath_mismatch");
}

#[test]
fn challenges_are_told_in_plain_words() {
    let challenge = "DPoP error=\"use_dpop_nonce\", error_description=\"x\", algs=\"ES256 PS256\"";
    let told = keybound(&["explain", "--challenge", challenge]);
    assert_eq!(told.code, Some(0), "{}", told.err);
    assert!(told.out.contains("make a new proof") && told.out.contains("ES256, PS256"), "{}", told.out);

    let response = format!("HTTP/2 401\r\ndpop-nonce: n-1\r\nwww-authenticate: Bearer, {challenge}\r\n\r\n");
    let told = keybound_reading(&["explain", "--format", "json"], response.as_bytes()).json();
    let challenges = told["challenges"].as_array().unwrap();
    assert_eq!(challenges.len(), 2);
    assert_eq!(challenges[1]["error"], "use_dpop_nonce");
    assert_eq!(challenges[1]["nonce"], "n-1");
    assert_eq!(challenges[1]["algs"][1], "PS256");
}
