//! Exit codes: 0 accepted, 1 refused, 2 wrong usage, 3 could not decide; errors on standard error alone.

use super::{METHOD_AND_URL, Scratch, keybound, keybound_reading, proof, verify};

#[test]
fn accepted_is_0_and_refused_is_1() {
    let scratch = Scratch::new("codes");
    let made = proof(&scratch.key("key.json", "ES256"), &[]);
    assert_eq!(verify(&made, &[]).code, Some(0));
    let refused = keybound(&["verify", "--method", "POST", "--url", "https://api.example.com/items", &made]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.out.starts_with("refused: method_mismatch: "), "{}", refused.out);
    assert!(refused.out.contains("RFC 9449 section 4.3 check 8"), "{}", refused.out);
    assert!(refused.out.contains("`keybound reasons method_mismatch`"), "{}", refused.out);
}

#[test]
fn json_of_a_refusal_names_reason_check_and_section() {
    let verdict = verify("no.proof.", &[]).json();
    assert_eq!(verdict["accepted"], false);
    assert_eq!(verdict["reason"], "base64_non_canonical");
    assert_eq!(verdict["check"], "shape");
    assert_eq!(verdict["section"], "RFC 7515 section 2");
    assert!(verdict["message"].as_str().unwrap().len() > 10);
}

#[test]
fn wrong_usage_is_2() {
    let scratch = Scratch::new("usage");
    let key = scratch.key("key.json", "ES256");
    let made = proof(&key, &[]);
    let verify = |more: &[&'static str]| [&["verify", &made], METHOD_AND_URL.as_slice(), more].concat();
    let make = |more: &[&'static str]| [&["proof", "--key", &key], METHOD_AND_URL.as_slice(), more].concat();
    let with_key = format!("@{key}");
    let broken = made.replacen('.', ".\n", 1);
    let cases: Vec<Vec<&str>> = vec![
        vec![],
        vec!["no-such-command"],
        verify(&["--max-age", "301"]),
        verify(&["--max-age", "0"]),
        verify(&["--max-ahead", "61"]),
        verify(&["--algorithms", "ES257"]),
        verify(&["--algorithms", ""]),
        verify(&["--policy", "fapi2", "--algorithms", "RS256"]),
        verify(&["--jkt", "short"]),
        verify(&["--file", "also"]),
        vec!["verify", &made, "--url", "https://api.example.com/"],
        vec!["verify", &made, "--method", "GET"],
        vec!["verify", &made, "--method", "GET", "--url", "/relative"],
        vec!["verify", "-", "--method", "GET", "--url", "https://h/", "--access-token", "-"],
        vec!["proof", "--key", "-", "--method", "GET", "--url", "https://h/", "--access-token", "-"],
        make(&["--alg", "RS256"]),
        make(&["--claim", "jti=x"]),
        make(&["--claim", "novalue"]),
        make(&["--claim-json", "a=nojson"]),
        make(&["--now", "-1"]),
        vec!["verify", "--method", "GET\n", "--url", "https://h/", &made],
        verify(&["--nonce", "a\nb"]),
        verify(&["--access-token", "a\nb"]),
        verify(&["--access-token", ""]),
        vec!["verify", "", "--method", "GET", "--url", "https://h/"],
        vec!["verify", &with_key, "--method", "GET", "--url", "https://h/"],
        vec!["explain", "--file", &key, "--method", "GET", "--url", "https://h/"],
        vec!["verify", &broken, "--method", "GET", "--url", "https://api.example.com/items"],
        vec!["call", "https://api.example.com/", "--header", "X: a\nDPoP: b"],
        vec!["call", "https://api.example.com/", "--header", "a b: c"],
        vec!["key", "generate", "--force"],
        vec!["key", "generate", "--alg", "none"],
        vec!["explain", "--challenge", ""],
        vec!["explain", "--curl", "curl 'https://h/"],
        vec!["explain", "--curl", "wget https://h/", "--method", "GET", "--url", "https://h/"],
        vec!["login", "https://api.example.com/", "--issuer", "http://as.example.com"],
        vec!["completions", "no-such-shell"],
    ];
    for arguments in cases {
        let ran = keybound(&arguments);
        assert_eq!(ran.code, Some(2), "{arguments:?}: {}{}", ran.out, ran.err);
        assert!(ran.out.is_empty() && !ran.err.is_empty(), "{arguments:?}");
    }
}

#[test]
fn a_mistake_names_the_option_as_it_is_typed() {
    let scratch = Scratch::new("names");
    let made = proof(&scratch.key("key.json", "ES256"), &[]);
    let ran = keybound(&[&["verify", "--max-age", "301", &made], METHOD_AND_URL.as_slice()].concat());
    assert!(ran.err.contains("--max-age (1 to 300 seconds)"), "{}", ran.err);
}

#[test]
fn a_file_without_its_sign_is_wrong_usage() {
    let scratch = Scratch::new("sign");
    let key = scratch.key("key.json", "ES256");
    let (file, token) = (scratch.file("proof.txt", &proof(&key, &[])), scratch.file("token.txt", "secret"));
    for arguments in [
        [&["verify", &file], METHOD_AND_URL.as_slice()].concat(),
        [&["explain", &file], METHOD_AND_URL.as_slice()].concat(),
        [&["proof", "--key", &key, "--access-token", &token], METHOD_AND_URL.as_slice()].concat(),
    ] {
        let ran = keybound(&arguments);
        assert_eq!(ran.code, Some(2), "{arguments:?}: {}{}", ran.out, ran.err);
        assert!(ran.err.contains("write @"), "{}", ran.err);
    }
}

#[test]
fn a_method_in_small_letters_is_noted() {
    let scratch = Scratch::new("case");
    let key = scratch.key("key.json", "ES256");
    let make = |method| keybound(&["proof", "--key", &key, "--method", method, "--url", "https://h.example/"]);
    assert!(make("get").err.contains("get is not GET"));
    assert_eq!(make("GET").err, "");
}

#[test]
fn what_cannot_be_read_is_3() {
    let scratch = Scratch::new("unreadable");
    let nothing = scratch.path("nothing");
    let no_key = scratch.file("no-key", "{\"kty\":\"EC\"}");
    let file_argument = format!("@{nothing}");
    let with_sign = format!("@{no_key}");
    let cases: [Vec<&str>; 7] = [
        [&["verify", &file_argument], METHOD_AND_URL.as_slice()].concat(),
        [&["explain", "--file", &nothing], METHOD_AND_URL.as_slice()].concat(),
        [&["proof", "--key", &nothing], METHOD_AND_URL.as_slice()].concat(),
        [&["proof", "--key", &no_key], METHOD_AND_URL.as_slice()].concat(),
        vec!["key", "public", &no_key],
        [&["proof", "--key", &with_sign], METHOD_AND_URL.as_slice()].concat(),
        vec!["key", "generate", "--out", "/no/such/directory/key.json"],
    ];
    for arguments in cases {
        let ran = keybound(&arguments);
        assert_eq!(ran.code, Some(3), "{arguments:?}: {}{}", ran.out, ran.err);
        assert!(ran.out.is_empty() && ran.err.starts_with("error: "), "{arguments:?}: {}", ran.err);
    }
    let much = vec![b'a'; 1024 * 1024 + 1];
    assert_eq!(keybound_reading(&[&["verify"], METHOD_AND_URL.as_slice()].concat(), &much).code, Some(3));
}

#[test]
fn errors_are_json_where_json_was_asked_for() {
    for (arguments, code) in [
        (vec!["--format", "json", "verify", "--max-age", "x"], 2),
        (vec!["verify", "--format=json", "a.b.c"], 2),
        (vec!["key", "public", "--format", "json", "/no/such/file"], 3),
    ] {
        let ran = keybound(&arguments);
        assert_eq!(ran.code, Some(code), "{}", ran.err);
        let error: serde_json::Value = serde_json::from_str(&ran.err).unwrap();
        assert!(error["error"].as_str().is_some_and(|text| !text.is_empty()), "{}", ran.err);
    }
}
