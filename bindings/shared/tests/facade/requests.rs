//! Servers: requests to a resource and to an authorization server, their stores, intents and records.

use keybound::RUSTCRYPTO;
use keybound::json::Value;
use keybound_ffi::{
    AuthorizationServer, Entry, Error, Flow, Handle, Incoming, Intent, Key, Kind, MemoryStore, ProofRequest, Reply,
    ResourceServer, Spelling, Sweep, Target, Verifier, proof, request_detail,
};

use super::{NOW, URL, key, made, member, misuse, presented};

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
