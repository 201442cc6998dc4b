//! What the facade adds to the core: strict options, plain errors, one answer for each thing that can be used once.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    reason = "a test may fail"
)]

use keybound::RUSTCRYPTO;
use keybound::json::Value;
use keybound_ffi::{
    AuthorizationServer, Client, Entry, Error, Flow, Handle, Handles, Incoming, Intent, Key, Kind, MemoryStore,
    NonceCache, Presented, ProofRequest, Reply, ResourceServer, Spelling, Sweep, Target, Verifier, prepare, proof,
    reasons, request_detail, thumbprint,
};

const NOW: i64 = 1_700_000_000;
const URL: &str = "https://api.example.com/items/7";
const NONCES: &str = r#"{"nonces":{"keys":[{"id":1,"secret":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"}]}}"#;

fn key() -> Key {
    Key::generate("ES256", &RUSTCRYPTO).unwrap()
}

fn made(key: &Key, nonce: Option<&str>) -> String {
    let request = ProofRequest { method: "GET", url: URL, access_token: Some("token"), nonce };
    proof(&request, key, &RUSTCRYPTO, NOW).unwrap()
}

fn presented<'a>(proofs: &'a [&'a [u8]], bound_to: &'a str) -> Presented<'a> {
    let (method, url) = ("GET", URL);
    Presented {
        method,
        url,
        proofs,
        access_token: Some("token"),
        bound_to: Some(bound_to),
        expected_nonce: None,
        epoch: None,
    }
}

fn misuse<T>(outcome: Result<T, Error>) -> String {
    let error = outcome.err().expect("a misuse");
    assert_eq!(error.kind, Kind::Misuse, "{error:?}");
    error.reason.clone()
}

/// A member of the JSON text.
fn member(json: &str, name: &str) -> String {
    let value = Value::parse(json.as_bytes()).unwrap();
    value.text(name).unwrap_or_else(|| panic!("{name} in {json}")).into()
}

#[test]
fn the_contract_is_what_the_core_says() {
    let told = Value::parse(reasons(Spelling::Snake).as_bytes()).unwrap();
    for (file, list, members) in [
        ("reasons.json", "rejections", ["reason", "check", "section"]),
        ("token_reasons.json", "token_rejections", ["reason", "status", "error"]),
    ] {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/contract").join(file);
        let known = Value::parse(&std::fs::read(path).unwrap()).unwrap();
        let Value::Array(known) = &known else { panic!("{file} is an array") };
        let shown = |value: &Value| members.map(|name| value.member(name).map(Value::to_json));
        let told: Vec<_> = told.array(list).unwrap().iter().map(shown).collect();
        assert_eq!(told, known.iter().map(shown).collect::<Vec<_>>(), "{file}");
    }
}

#[test]
fn a_store_of_another_policy_is_told_with_both_values() {
    let (key, verifier) = (key(), Verifier::new(r#"{"max_age":20}"#, &RUSTCRYPTO).unwrap());
    let (made, bound_to) = (made(&key, None), key.thumbprint());
    let told = |options: &str| {
        let store = MemoryStore::new(100, options, &RUSTCRYPTO, NOW - 1000).unwrap();
        let error = verifier.verify(&presented(&[made.as_bytes()], &bound_to), &store, NOW).unwrap_err();
        (error.reason.clone(), error.detail(Spelling::Camel))
    };
    let (reason, detail) = told("{}");
    assert_eq!(reason, "store_disagreement");
    assert!(detail.contains("maxAge is 20 s in this policy and 60 s in that of its replay store"), "{detail}");
    let (_, detail) = told(r#"{"max_age":20,"max_ahead":5}"#);
    assert!(detail.contains("maxAhead is 10 s in this policy and 5 s"), "{detail}");
    let (_, detail) = told(r#"{"max_age":20,"nonce_replaces_iat":true,"nonces":true}"#);
    assert!(detail.contains("by their iat, and that of its replay store by their nonce"), "{detail}");
}

#[test]
fn advice_about_options_is_in_the_language_of_its_reader() {
    let (key, verifier) = (key(), Verifier::new("{}", &RUSTCRYPTO).unwrap());
    let (made, bound_to) = (made(&key, None), key.thumbprint());
    let store = MemoryStore::new(100, "{}", &RUSTCRYPTO, NOW).unwrap();
    let told = |spelling| {
        let explained =
            verifier.explain_with_store(&presented(&[made.as_bytes()], &bound_to), &store, NOW, spelling).unwrap();
        [explained, reasons(spelling)]
    };
    for text in told(Spelling::Camel) {
        assert!(text.contains(" dangerFirstStart.") && !text.contains("danger_first_start"), "{text}");
    }
    for text in told(Spelling::Snake) {
        assert!(text.contains(" danger_first_start.") && !text.contains("`danger"), "{text}");
    }
}

#[test]
fn a_path_prefix_of_another_form_says_what_to_write() {
    for wrong in ["v1", "/v1/", "/v1/../v2", "/v1?a"] {
        let options = format!(
            r#"{{"resource":"https://api.example.com","issuers":["https://as.example.com"],"path_prefix":"{wrong}"}}"#
        );
        let error = ResourceServer::new(&options, "{}", None, &RUSTCRYPTO).unwrap_err();
        assert_eq!(error.reason, "path_prefix_unusable");
        let detail = error.detail(Spelling::Camel);
        assert!(detail.contains("pathPrefix") && detail.contains("starts with / and has no trailing /"), "{detail}");
    }
}

#[test]
fn a_public_key_without_a_member_says_which() {
    let told = |jwk: &str| keybound_ffi::public_key(jwk).unwrap_err().detail(Spelling::Snake);
    for (jwk, member) in [
        (r#"{"crv":"P-256"}"#, "(kty)"),
        (r#"{"kty":"EC","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"}"#, "(crv)"),
        (r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"}"#, "(y)"),
        (r#"{"kty":"OKP","crv":"Ed25519"}"#, "(x)"),
        (r#"{"kty":"RSA","e":"AQAB"}"#, "(n)"),
    ] {
        let detail = told(jwk);
        assert!(detail.ends_with(member), "{detail}");
    }
}

#[test]
fn a_mistake_in_a_word_says_what_was_meant() {
    let detail = |outcome: Result<Key, Error>| outcome.unwrap_err().detail(Spelling::Camel);
    assert!(detail(Key::generate("es256", &RUSTCRYPTO)).starts_with("did you mean ES256? "));
    assert!(detail(Key::generate("HS256", &RUSTCRYPTO)).starts_with("there is no algorithm"));
    let unavailable = detail(Key::generate("RS256", &RUSTCRYPTO));
    assert!(unavailable.contains("ES256") && !unavailable.contains("keybound-aws-lc"), "{unavailable}");
    let verifier = Verifier::new("{}", &RUSTCRYPTO).unwrap();
    let relative = Presented { url: "/items", ..presented(&[], "j6t9Bnhh1GDxkLFjFdcFDdtHPkIYM8VkZCTVdwoXBQc") };
    let error = verifier.check(&relative, NOW).err().unwrap();
    assert_eq!((error.reason.as_str(), error.status), ("target_malformed", Some(400)));
    assert!(error.detail.ends_with("(the url that was given: it is relative; give scheme and host as well)"));
}

#[test]
fn a_pending_proof_is_settled_once_and_by_a_word_of_the_enumeration() {
    let (key, verifier) = (key(), Verifier::new("{}", &RUSTCRYPTO).unwrap());
    let (made, bound_to) = (made(&key, None), key.thumbprint());
    let pending = verifier.check(&presented(&[made.as_bytes()], &bound_to), NOW).unwrap();
    for word in ["true", "Fresh", "", "ok", "1"] {
        assert_eq!(misuse(pending.settle(word, None, NOW)), "unknown_value", "{word}");
    }
    assert_eq!(pending.settle("fresh", None, NOW).unwrap().thumbprint, bound_to);
    assert_eq!(misuse(pending.settle("fresh", None, NOW)), "already_used");
    assert_eq!(misuse(pending.danger_skip_replay_check()), "already_used");
}

#[test]
fn every_word_of_a_store_has_its_outcome() {
    let (key, verifier) = (key(), Verifier::new("{}", &RUSTCRYPTO).unwrap());
    let (made, bound_to) = (made(&key, None), key.thumbprint());
    for (word, reason, status) in [
        ("seen", "replayed", 401),
        ("unavailable", "store_unavailable", 503),
        ("full", "store_full", 503),
        ("share_full", "store_share_full", 503),
        ("before_floor", "before_store_floor", 503),
    ] {
        let pending = verifier.check(&presented(&[made.as_bytes()], &bound_to), NOW).unwrap();
        let error = pending.settle(word, None, NOW).unwrap_err();
        assert_eq!((error.reason.as_str(), error.status), (reason, Some(status)), "{word}");
        assert_eq!(error.refusal.as_ref().map(|refusal| refusal.status), Some(status), "{word}");
    }
}

#[test]
fn a_refusal_brings_its_answer() {
    let (key, verifier) = (key(), Verifier::new(NONCES, &RUSTCRYPTO).unwrap());
    let (first, bound_to) = (made(&key, None), key.thumbprint());
    let error = verifier.check(&presented(&[first.as_bytes()], &bound_to), NOW).err().unwrap();
    assert_eq!((error.kind, error.reason.as_str()), (Kind::Rejected, "nonce_missing"));
    assert_eq!(error.code.as_deref(), Some("use_dpop_nonce"));
    let refusal = error.refusal.clone().unwrap();
    let nonce = refusal.headers.iter().find(|(name, _)| name == "DPoP-Nonce").unwrap().1.clone();
    assert!(error.to_json(keybound::Spelling::Snake).contains(&nonce));
    // A client that keeps nonces sends it with the next proof.
    let cache = NonceCache::new();
    cache.observe("https://api.example.com", "resource", &bound_to, &[nonce.as_bytes()]).unwrap();
    let nonce = cache.get("https://api.example.com", "resource", &bound_to).unwrap();
    let second = made(&key, nonce.as_deref());
    assert!(verifier.check(&presented(&[second.as_bytes()], &bound_to), NOW).is_ok());
    // Without the token's binding nothing is judged.
    let unbound = Presented { bound_to: None, ..presented(&[], "") };
    assert_eq!(misuse(verifier.check(&unbound, NOW)), "missing_option");
}

#[test]
fn options_are_strict() {
    for (options, reason) in [
        ("[]", "not_json"),
        (r#"{"max_age":60,"max_age":60}"#, "not_json"),
        (r#"{"maxAge":60}"#, "unknown_option"),
        (r#"{"max_age":"60"}"#, "wrong_type"),
        (r#"{"max_age":-1}"#, "wrong_type"),
        (r#"{"max_age":301}"#, "policy_bound"),
        (r#"{"require_nonces":"yes"}"#, "wrong_type"),
        (r#"{"require_nonces":true}"#, "nonce_issuer_missing"),
        (r#"{"preset":"fapi"}"#, "unknown_value"),
        (r#"{"algorithms":["HS256"]}"#, "unknown_algorithm"),
        (r#"{"algorithms":"ES256"}"#, "wrong_type"),
        (r#"{"nonces":{"keys":[{"id":1,"secret":"short"}]}}"#, "nonce_key"),
        (r#"{"nonces":{"keys":[{"id":256,"secret":""}]}}"#, "nonce_key"),
    ] {
        assert_eq!(misuse(Verifier::new(options, &RUSTCRYPTO)), reason, "{options}");
    }
    assert_eq!(misuse(Client::new("{}", &RUSTCRYPTO)), "missing_option");
    assert_eq!(misuse(Client::new(r#"{"level":"high"}"#, &RUSTCRYPTO)), "unknown_value");
    for secret in [r#""secret":"s""#, r#""method":"none","secret":"s""#, r#""public_jwk":{}"#] {
        let known = format!(r#"{{"issuer":"https://as.example.com","client_id":"service",{secret}}}"#);
        let options = format!(r#"{{"level":"enhanced","credentials":[{known}]}}"#);
        assert_eq!(misuse(Client::new(&options, &RUSTCRYPTO)), "missing_option", "{options}: it would not be used");
    }
    assert_eq!(misuse(ResourceServer::new(r#"{"resource":"api"}"#, "{}", None, &RUSTCRYPTO)), "target_unusable");
}

#[test]
fn a_flow_waits_for_a_reply_that_fits() {
    let client = Client::new(r#"{"level":"enhanced"}"#, &RUSTCRYPTO).unwrap();
    let operation = r#"{"do":"discover_issuer","issuer":"https://as.example.com"}"#;
    let flow = client.begin(operation, Handles::default(), NOW).unwrap();
    let step = flow.step(Spelling::Snake).unwrap();
    assert_eq!((member(&step, "step"), member(&step, "body")), ("fetch".into(), "empty".into()));
    assert_eq!(misuse(flow.resume(Reply::Ok, NOW, Spelling::Snake)), "reply_mismatch");
    assert_eq!(flow.step(Spelling::Snake).unwrap(), step, "nothing is lost by a reply of the wrong kind");
    for text in ["{}", "[]", r#"{"response":{}}"#, r#"{"ok":false}"#, r#"{"response":{"status":200,"body":"\u0100"}}"#]
    {
        assert_eq!(Reply::from_json(text).err().map(|error| error.kind), Some(Kind::Misuse), "{text}");
    }
    let failed = || Reply::from_json(r#"{"failed":"no network"}"#).unwrap();
    // A question is asked again, twice, after a pause.
    for _ in 0..2 {
        assert_eq!(member(&flow.resume(failed(), NOW, Spelling::Snake).unwrap(), "step"), "wait");
        assert_eq!(member(&flow.resume(Reply::Ok, NOW, Spelling::Snake).unwrap(), "step"), "fetch");
    }
    let error = flow.resume(failed(), NOW, Spelling::Snake).unwrap_err();
    assert_eq!((error.kind, error.detail.as_str()), (Kind::Host, "no network"));
    assert_eq!(misuse(flow.step(Spelling::Snake)), "already_used");
    assert_eq!(misuse(client.begin(r#"{"do":"refresh"}"#, Handles::default(), NOW)), "missing_option");
    assert_eq!(misuse(client.begin(r#"{"do":"fly"}"#, Handles::default(), NOW)), "unknown_value");
}

#[test]
fn a_discovery_ends_with_a_handle() {
    let client = Client::new(r#"{"level":"enhanced"}"#, &RUSTCRYPTO).unwrap();
    let operation = r#"{"do":"discover_issuer","issuer":"https://as.example.com"}"#;
    let flow = client.begin(operation, Handles::default(), NOW).unwrap();
    let body = r#"{\"issuer\":\"https://as.example.com\",\"token_endpoint\":\"https://as.example.com/token\"}"#;
    let reply =
        format!(r#"{{"response":{{"status":200,"headers":[["Content-Type","application/json"]],"body":"{body}"}}}}"#);
    let done = flow.resume(Reply::from_json(&reply).unwrap(), NOW, Spelling::Snake).unwrap();
    assert!(done.contains(r#""kind":"discovered","issuer":"https://as.example.com""#), "{done}");
    assert!(flow.handle().is_some());
    assert_eq!(misuse(flow.step(Spelling::Snake)), "already_used");
}

#[test]
fn an_outside_signature_completes_a_proof_once() {
    let key = key();
    let request = ProofRequest { method: "GET", url: URL, access_token: None, nonce: None };
    let unsigned = prepare(&request, &key.public_jwk(), "ES256", &RUSTCRYPTO, NOW).unwrap();
    assert_eq!(unsigned.digest().map(<[u8]>::len), Some(32));
    let signature = key.sign(unsigned.message()).unwrap();
    assert!(unsigned.attach(&signature, "raw").unwrap().starts_with("ey"));
    assert_eq!(misuse(unsigned.attach(&signature, "raw")), "already_used");
    // The signature of another key is found out at once.
    let other = prepare(&request, &key.public_jwk(), "ES256", &RUSTCRYPTO, NOW).unwrap();
    let wrong = Key::generate("ES256", &RUSTCRYPTO).unwrap().sign(other.message()).unwrap();
    assert_eq!(misuse(other.attach(&wrong, "raw")), "signature_does_not_verify");
    let again = Key::from_jwk(&key.danger_private_jwk().unwrap(), None, &RUSTCRYPTO).unwrap();
    assert_eq!(again.thumbprint(), thumbprint(&key.public_jwk(), &RUSTCRYPTO).unwrap());
    assert!(!format!("{again:?}").contains(&member(&key.danger_private_jwk().unwrap(), "d")));
}

/// What a flow comes to whose question about a token is answered so, each proof being new to the store.
fn told(flow: Flow, answer: &str, insertion: &str) -> (Flow, String) {
    let task = flow.task(NOW).unwrap().unwrap();
    // What it fails for, if it does, shows in what the flow comes to.
    let _ = task.resume(Reply::Told(answer.into()), NOW, Spelling::Snake);
    let step = flow.resume(Reply::Ok, NOW, Spelling::Snake).unwrap();
    let step = if member(&step, "step") == "insert" { inserted(&flow, insertion).unwrap() } else { step };
    (flow, step)
}

fn inserted(flow: &Flow, insertion: &str) -> Result<String, Error> {
    let reply = format!(r#"{{"inserted":{{"insertion":"{insertion}","epoch":"0"}}}}"#);
    flow.resume(Reply::from_json(&reply)?, NOW, Spelling::Snake)
}

fn incoming<'a>(fields: &'a [(&'a str, &'a [u8])]) -> Incoming<'a> {
    let target = Target::Url(URL);
    Incoming { method: "GET", target, fields, peer: None, client_certificate: None, epoch: None, ticks: None }
}

/// The options of a verifier for a resource that asks for no nonces.
const WITHOUT_NONCES: &str = r#"{"nonces":false}"#;

#[test]
fn a_resource_issues_nonces_for_itself_alone_unless_it_is_told_not_to() {
    let key = key();
    let answer = format!(
        r#"{{"active":true,"sub":"alice","aud":["https://api.example.com","https://other.example.com"],"exp":1700000100,"cnf":{{"jkt":"{}"}}}}"#,
        key.thumbprint()
    );
    // What a resource says to a proof with this nonce.
    let says = |resource: &str, verifier: &str, nonce: Option<&str>| {
        let options = format!(r#"{{"resource":"{resource}","introspection":true,"origin":"https://api.example.com"}}"#);
        let server = ResourceServer::new(&options, verifier, None, &RUSTCRYPTO).unwrap();
        let made = made(&key, nonce);
        let fields: &[(&str, &[u8])] = &[("Authorization", b"DPoP token"), ("DPoP", made.as_bytes())];
        told(server.admit(&incoming(fields), NOW).unwrap(), &answer, "fresh").1
    };
    let (own, other) = ("https://api.example.com", "https://other.example.com");
    // Whatever else a verifier is told, nonces stay.
    assert!(says(own, r#"{"max_age":30}"#, None).contains("nonce_missing"));
    assert!(says(own, r#"{"max_age":30,"nonces":true}"#, None).contains("nonce_missing"));
    assert!(says(own, WITHOUT_NONCES, None).contains(r#""kind":"admitted""#));
    // Resources that share keys do not take each other's nonces, unless they name one namespace.
    let keys = |namespace: &str| {
        let secret = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA";
        format!(r#"{{"nonces":{{"keys":[{{"id":1,"secret":"{secret}"}}]{namespace}}}}}"#)
    };
    let nonce_of =
        |refused: &str| refused.split(r#"["DPoP-Nonce",""#).nth(1).unwrap().split('"').next().unwrap().to_owned();
    let nonce = nonce_of(&says(own, &keys(""), None));
    assert!(says(own, &keys(""), Some(&nonce)).contains(r#""kind":"admitted""#));
    assert!(says(other, &keys(""), Some(&nonce)).contains("use_dpop_nonce"));
    let shared = keys(r#","namespace":"all""#);
    let nonce = nonce_of(&says(own, &shared, None));
    assert!(says(other, &shared, Some(&nonce)).contains(r#""kind":"admitted""#));
}

#[test]
fn a_proof_is_used_up_by_the_host_and_a_gateway_uses_none() {
    let options =
        r#"{"resource":"https://api.example.com","introspection":true,"scopes":["read"],"publish_metadata":true}"#;
    let server = ResourceServer::new(options, WITHOUT_NONCES, None, &RUSTCRYPTO).unwrap();
    assert_eq!(server.metadata_path(), "/.well-known/oauth-protected-resource");
    let key = key();
    let made = made(&key, None);
    let fields: &[(&str, &[u8])] = &[("Authorization", b"DPoP token"), ("DPoP", made.as_bytes())];
    let answer = format!(
        r#"{{"active":true,"sub":"alice","scope":"read","aud":"https://api.example.com","exp":1700000100,"cnf":{{"jkt":"{}"}}}}"#,
        key.thumbprint()
    );
    let (flow, done) = told(server.admit(&incoming(fields), NOW).unwrap(), &answer, "fresh");
    assert!(done.contains(r#""kind":"admitted""#), "{done}");
    assert_eq!(misuse(inserted(&flow, "fresh")), "already_used");
    for (insertion, reason) in [("seen", "replayed"), ("unavailable", "store_unavailable"), ("full", "store_full")] {
        let (_, done) = told(server.admit(&incoming(fields), NOW).unwrap(), &answer, insertion);
        assert!(done.contains(&format!(r#""reason":"{reason}""#)), "{done}");
    }
    assert_eq!(misuse(inserted(&server.admit(&incoming(fields), NOW).unwrap(), "true")), "unknown_value");
    let (_, done) = told(server.check(&incoming(fields), NOW).unwrap(), &answer, "never");
    assert!(done.contains(&format!(r#""kind":"unconsumed","thumbprint":"{}""#, key.thumbprint())), "{done}");
    let (_, done) = told(server.admit(&incoming(fields), NOW).unwrap(), "{}", "never");
    assert!(done.contains("introspection_unavailable"), "{done}");
}

#[test]
fn an_intent_is_carried_out_once_and_nowhere_else() {
    let server = |more: &str| {
        let options = format!(r#"{{"resource":"https://api.example.com","introspection":true{more}}}"#);
        ResourceServer::new(&options, WITHOUT_NONCES, None, &RUSTCRYPTO)
    };
    assert_eq!(misuse(server(r#","intents_at":["items"]"#)), "intent_path");
    assert_eq!(misuse(server(r#","intents_at":"/items""#)), "wrong_type");
    let key = key();
    let answer = format!(
        r#"{{"active":true,"aud":"https://api.example.com","iat":{NOW},"exp":{},"jti":"1","cnf":{{"jkt":"{}"}},"authorization_details":[{}]}}"#,
        NOW + 300,
        key.thumbprint(),
        request_detail("GET", URL, Some(b"ten"), &RUSTCRYPTO),
    );
    let admit = |server: &ResourceServer| {
        let made = made(&key, None);
        let fields: &[(&str, &[u8])] = &[("Authorization", b"DPoP token"), ("DPoP", made.as_bytes())];
        told(server.admit(&incoming(fields), NOW).unwrap(), &answer, "fresh")
    };
    assert!(admit(&server("").unwrap()).1.contains("intent_elsewhere"));
    let server = server(r#","intents_at":["/items/*"]"#).unwrap();
    let principal = admit(&server).0.handle().and_then(Handle::principal).unwrap();
    let mismatch = principal.carry_out("GET", URL, b"eleven", NOW).unwrap().step(Spelling::Snake).unwrap();
    assert!(mismatch.contains(r#""reason":"intent_no_match""#), "{mismatch}");
    let store = MemoryStore::new(1000, "{}", &RUSTCRYPTO, NOW - 1000).unwrap();
    for (insertion, outcome) in
        [("fresh", "carried_out"), ("seen", "intent_used"), ("unavailable", "store_unavailable")]
    {
        let flow = principal.carry_out("GET", URL, b"ten", NOW).unwrap();
        let known = store.insert(&flow.entry().unwrap(), NOW);
        assert_eq!(known, if insertion == "fresh" { "fresh" } else { "seen" }, "it is one entry");
        let done = inserted(&flow, insertion).unwrap();
        assert!(done.contains(outcome), "{done}");
    }
}

#[test]
fn a_token_endpoint_binds_what_it_issues() {
    let server = AuthorizationServer::new("{}", None, &RUSTCRYPTO).unwrap();
    let key = key();
    let url = "https://as.example.com/token";
    let proof = proof(&ProofRequest { method: "POST", url, access_token: None, nonce: None }, &key, &RUSTCRYPTO, NOW);
    let proof = proof.unwrap();
    let request = |bound_to: &str| {
        format!(
            r#"{{"method":"POST","url":"{url}","client":"public","epoch":"7","peer":"192.0.2.1","ticks":5,"grant":{{"type":"refresh_token","bound_to":"{bound_to}"}}}}"#
        )
    };
    let ask = |bound_to: &str| server.admit(&request(bound_to), &[proof.as_bytes()], NOW).unwrap();
    let flow = ask(&key.thumbprint());
    assert!(flow.step(Spelling::Snake).unwrap().contains(r#""step":"insert""#) && flow.entry().is_some());
    let done = flow.resume(Reply::inserted("fresh", Some("7")).unwrap(), NOW, Spelling::Snake).unwrap();
    let admitted = Value::parse(done.as_bytes()).unwrap();
    let result = admitted.member("result").unwrap();
    assert_eq!(result.text("kind"), Some("admitted"));
    assert_eq!(result.member("admitted").unwrap().text("access_binding"), Some(key.thumbprint().as_str()));
    assert_eq!(misuse(flow.resume(Reply::inserted("fresh", None).unwrap(), NOW, Spelling::Snake)), "already_used");
    let refused = ask(&Key::generate("ES256", &RUSTCRYPTO).unwrap().thumbprint()).step(Spelling::Snake).unwrap();
    assert!(refused.contains("binding_mismatch") && refused.contains("invalid_grant"), "{refused}");
    assert_eq!(misuse(server.admit("{}", &[], NOW)), "missing_option");
    assert_eq!(misuse(AuthorizationServer::new(r#"{"epoch":"7"}"#, None, &RUSTCRYPTO)), "unknown_option");
    // In a store of this process there is no step, and a second use is refused.
    let store = MemoryStore::new(10, "{}", &RUSTCRYPTO, NOW - 100).unwrap();
    let server = AuthorizationServer::new("{}", Some(&store), &RUSTCRYPTO).unwrap();
    let ask =
        || server.admit(&request(&key.thumbprint()), &[proof.as_bytes()], NOW).unwrap().step(Spelling::Snake).unwrap();
    assert!(ask().contains("access_binding"));
    assert!(ask().contains("replayed"));
}

#[test]
fn an_intent_permits_its_request() {
    let key = key().thumbprint();
    let details = format!("[{}]", request_detail("POST", URL, Some(b"ten"), &RUSTCRYPTO));
    let intent = Intent::declare(&details, &key, 60, &RUSTCRYPTO, NOW).unwrap();
    assert!(intent.permits("POST", URL, b"ten", &key, NOW).is_ok());
    let error = intent.permits("POST", URL, b"eleven", &key, NOW).unwrap_err();
    assert_eq!((error.kind, error.reason.as_str()), (Kind::Rejected, "intent_no_match"));
    assert_eq!(
        intent.grant(&details, NOW + 60).err().map(|error| error.reason.clone()).as_deref(),
        Some("intent_expired")
    );
}

#[test]
fn an_entry_shows_what_a_store_of_the_hosts_own_needs() {
    let (key, verifier) = (key(), Verifier::new("{}", &RUSTCRYPTO).unwrap());
    let (made, bound_to) = (made(&key, None), key.thumbprint());
    let pending = verifier.check(&presented(&[made.as_bytes()], &bound_to), NOW).unwrap();
    let entry: &Entry = pending.entry();
    assert_eq!((entry.timed_at, entry.thumbprint.as_str()), (NOW, bound_to.as_str()));
    assert_eq!(entry.lifetime(NOW), u64::try_from(entry.keep_until - NOW).unwrap() + 1);
    let store = MemoryStore::new(1000, r#"{"max_age":61}"#, &RUSTCRYPTO, NOW - 1000).unwrap();
    assert_eq!(store.insert(entry, NOW), "unavailable", "a store of other verifiers does not serve this one");
}

#[test]
fn a_store_is_told_what_it_can_delete() {
    let (old, kept) = (key().thumbprint(), key().thumbprint());
    let sweep = Sweep::new(&RUSTCRYPTO, NOW);
    sweep.key(&old, NOW - 7_200).unwrap();
    sweep.key(&kept, NOW - 7_199).unwrap();
    sweep.stored("registration/https://as.example.com", 7, Some(r#"{"v":1,"client_id":"c"}"#), None).unwrap();
    assert_eq!(misuse(sweep.key("short", NOW)), "not_a_thumbprint");
    assert_eq!(sweep.finish().unwrap(), format!(r#"{{"slots":[],"keys":["{old}"]}}"#));
    assert_eq!(misuse(sweep.finish()), "already_used");
    assert_eq!(misuse(sweep.key(&old, NOW)), "already_used");
    let sweep = Sweep::new(&RUSTCRYPTO, NOW);
    sweep.key(&old, NOW - 7_200).unwrap();
    sweep.stored("login/a", 7, None, Some(NOW - 3_600)).unwrap();
    assert_eq!(sweep.finish().unwrap(), r#"{"slots":[{"slot":"login/a","version":7}],"keys":[]}"#);
}

/// One question for all who bring a token, by a task that belongs to none of them.
#[test]
fn a_request_is_admitted_step_by_step() {
    let options = r#"{"resource":"https://api.example.com","introspection":true,"schemes":"bearer"}"#;
    let server = ResourceServer::new(options, WITHOUT_NONCES, None, &RUSTCRYPTO).unwrap();
    let fields: &[(&str, &[u8])] = &[("Authorization", b"Bearer opaque")];
    let target = Target::Raw(b"/items?x=1");
    let incoming =
        Incoming { method: "GET", target, fields, peer: None, client_certificate: None, epoch: None, ticks: None };
    let [first, second] = [(); 2].map(|()| server.admit(&incoming, NOW).unwrap());
    let share = first.step(Spelling::Snake).unwrap();
    assert!(
        share.contains(r#""step":"share","name":"token "#) && share == second.step(Spelling::Snake).unwrap(),
        "{share}"
    );
    let task = first.task(NOW).unwrap().unwrap();
    assert!(first.task(NOW).unwrap().is_none() && second.task(NOW).unwrap().is_none());
    assert_eq!(
        task.step(Spelling::Snake).unwrap(),
        r#"{"step":"ask","question":"token","subject":"opaque","timeout":10}"#
    );
    let told = Reply::from_json(r#"{"told":"{\"active\":true,\"sub\":\"alice\"}"}"#).unwrap();
    assert_eq!(task.resume(told, NOW, Spelling::Snake).unwrap(), r#"{"step":"done","result":{"kind":"nothing"}}"#);
    for flow in [first, second] {
        let done = flow.resume(Reply::Ok, NOW, Spelling::Snake).unwrap();
        assert!(done.contains(r#""kind":"admitted","principal":{"subject":"alice""#), "{done}");
        let Some(Handle::Principal(principal)) = flow.handle() else { panic!("a principal is kept") };
        assert_eq!(principal.require_scopes(&["write"]).map(|refusal| refusal.status), Some(403));
        assert_eq!(principal.refuse_revoked().reason, "token_inactive");
    }
    let refused = server.admit(&Incoming { fields: &[], ..incoming }, NOW).unwrap().step(Spelling::Snake).unwrap();
    assert!(refused.contains(r#""kind":"refused","refusal":{"status":401"#), "{refused}");
}

#[test]
fn where_tokens_come_from_is_checked_at_the_start() {
    let server = |more: &str| {
        let options = format!(r#"{{"resource":"https://api.example.com",{more}}}"#);
        ResourceServer::new(&options, WITHOUT_NONCES, None, &RUSTCRYPTO)
            .map(drop)
            .map_err(|error| error.reason.to_string())
    };
    let endpoint = r#""client_id":"api","client_secret":"s""#;
    for good in [
        r#""issuers":["https://as.example.com"]"#.into(),
        r#""issuers":[{"issuer":"https://as.example.com","jwks_uri":"https://as.example.com/jwks"}]"#.into(),
        r#""issuers":[{"issuer":"https://as.example.com","keys":{"keys":[]}}]"#.into(),
        r#""issuers":["http://127.0.0.1:1"],"allow_loopback":true"#.into(),
        format!(r#""introspection":{{"url":"https://as.example.com/i",{endpoint},"remembered_for":60}}"#),
        format!(
            r#""introspection":{{"issuer":"https://as.example.com",{endpoint},"authentication":"client_secret_post"}}"#
        ),
    ] {
        assert_eq!(server(&good), Ok(()), "{good}");
    }
    for (wrong, reason) in [
        (r#""issuers":[]"#.into(), "no_issuer"),
        (r#""issuers":["http://127.0.0.1:1"],"allow_loopback":false"#.into(), "insecure_url"),
        (
            r#""issuers":[{"issuer":"https://as.example.com","keys":{"keys":[]},"jwks_uri":"https://a.example"}]"#
                .into(),
            "options_exclude",
        ),
        (r#""issuers":[{"issuer":"https://as.example.com","keys":[]}]"#.into(), "keys_malformed"),
        (format!(r#""introspection":{{{endpoint}}}"#), "missing_option"),
        (
            format!(r#""introspection":{{"url":"https://as.example.com/i",{endpoint},"remembered_for":61}}"#),
            "policy_bound",
        ),
        (
            format!(r#""introspection":{{"url":"https://as.example.com/i",{endpoint},"authentication":"none"}}"#),
            "unknown_value",
        ),
    ] {
        assert_eq!(server(&wrong).unwrap_err(), reason, "{wrong}");
    }
}

#[test]
fn the_end_of_a_servers_flow_has_its_record_and_is_counted() {
    let server = |audit: &str| {
        let options = format!(r#"{{"resource":"https://api.example.com","introspection":true{audit}}}"#);
        ResourceServer::new(&options, WITHOUT_NONCES, None, &RUSTCRYPTO)
    };
    assert_eq!(misuse(server(r#","audit":{"key":"AAAA"}"#)), "audit_key");
    assert_eq!(misuse(server(r#","audit":{}"#)), "missing_option");
    assert_eq!(misuse(server(r#","audit":true"#)), "wrong_type");
    let key = key();
    let answer = format!(
        r#"{{"active":true,"client_id":"app","aud":"https://api.example.com","exp":1700000100,"jti":"t1","cnf":{{"jkt":"{}"}}}}"#,
        key.thumbprint()
    );
    let made = made(&key, None);
    let fields: &[(&str, &[u8])] = &[("Authorization", b"DPoP token"), ("DPoP", made.as_bytes())];
    let silent = server("").unwrap();
    let ask = |server: &ResourceServer, insertion: &str| {
        told(server.admit(&incoming(fields), NOW).unwrap(), &answer, insertion).0
    };
    assert_eq!(ask(&silent, "fresh").record(None, 5, NOW), None);

    let audited = server(r#","audit":{"key":"AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA"}"#).unwrap();
    let begun = audited.admit(&incoming(fields), NOW).unwrap();
    assert_eq!(begun.record(None, 5, NOW), None, "it has no end yet");
    begun.abandon();
    let flow = ask(&audited, "fresh");
    let record = flow.record(Some("/items/{id}"), 412, NOW + 1).unwrap();
    let token = member(&record, "token");
    assert_eq!(
        record,
        format!(
            r#"{{"time":1700000001,"what":"admission","route":"/items/{{id}}","verdict":"admitted","reason":null,"thumbprint":"{}","client":"app","token":"{token}","latency_us":412}}"#,
            key.thumbprint()
        )
    );
    assert_eq!(flow.record(None, 5, NOW), None, "once");
    let replay = ask(&audited, "seen").record(None, -1, NOW).unwrap();
    assert_eq!((member(&replay, "reason"), member(&replay, "token")), ("replayed".into(), token.clone()));
    assert!(replay.ends_with(r#""latency_us":null}"#), "{replay}");
    let principal = flow.handle().and_then(Handle::principal).unwrap();
    let intent = principal.carry_out("GET", URL, b"", NOW).unwrap();
    let intent = intent.record(None, 1, NOW).unwrap();
    assert_eq!((member(&intent, "what"), member(&intent, "token")), ("intent".into(), token));

    assert_eq!(
        audited.counters(),
        r#"{"keybound_requests_total":[{"verdict":"admitted","reason":"none","count":1},{"verdict":"refused","reason":"replayed","count":1}],"keybound_replays_total":1,"keybound_nonce_challenges_total":[]}"#
    );
    assert!(silent.counters().contains(r#"{"verdict":"admitted","reason":"none","count":1}"#), "{}", silent.counters());
}

#[test]
fn an_authorization_server_records_whose_proof_it_was() {
    let options = r#"{"danger_no_replay_store":true,"audit":{"key":"AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA"}}"#;
    let server = AuthorizationServer::new(options, None, &RUSTCRYPTO).unwrap();
    let (key, url) = (key(), "https://as.example.com/token");
    let proof = proof(&ProofRequest { method: "POST", url, access_token: None, nonce: None }, &key, &RUSTCRYPTO, NOW);
    let request =
        format!(r#"{{"method":"POST","url":"{url}","client":"public","grant":{{"type":"client_credentials"}}}}"#);
    let flow = server.admit(&request, &[proof.unwrap().as_bytes()], NOW).unwrap();
    let record = flow.record(None, 1, NOW).unwrap();
    assert_eq!((member(&record, "what"), member(&record, "thumbprint")), ("grant".into(), key.thumbprint()));
    assert!(server.counters().contains(r#"{"verdict":"admitted","reason":"none","count":1}"#));
}
