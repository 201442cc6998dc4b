//! Requests to an authorization server: grants and the keys they are bound to.

use keybound::base64url;
use keybound_conformance::request::Story;
use keybound_conformance::request::story::reason;
use keybound_conformance::request::world::{CLIENT_KEY, KnownKey, LATER_KEY, with};
use serde_json::{Value, json};

const TOKEN: &str = "https://as.example.com/token";
const PAR: &str = "https://as.example.com/par";

/// A proof of this key for POST to this URL.
fn proof(story: &Story, key: KnownKey, url: &str, jti: &str) -> String {
    key.bare_proof(&json!({ "jti": jti, "htm": "POST", "htu": url, "iat": story.now }))
}

/// A request of a public client to the token endpoint, its grant looked up.
fn asked(grant: &Value) -> Value {
    json!({ "method": "POST", "url": TOKEN, "client": "public", "grant": grant, "epoch": "1" })
}

fn confidential(grant: &Value) -> Value {
    with(&asked(grant), &json!({ "client": "confidential" }))
}

/// A pushed request with this body.
fn pushed(form: &str) -> Value {
    with(&asked(&json!({ "type": "announcement", "form": form })), &json!({ "url": PAR }))
}

fn bound(kind: &str, key: KnownKey) -> Value {
    json!({ "type": kind, "bound_to": key.thumbprint() })
}

/// The request arrives with a new proof of this key.
fn prove(story: &mut Story, name: &str, key: KnownKey, request: &Value) -> Value {
    let url = request["url"].as_str().expect("a URL").to_owned();
    let proof = proof(story, key, &url, name);
    story.ask(name, request, &[&proof])
}

/// It is admitted, as soon as the store has its proof; what its tokens get.
fn admitted(story: &mut Story, name: &str, key: KnownKey, request: &Value) -> Value {
    let seen = prove(story, name, key, request);
    assert_eq!(seen["step"], "insert", "{seen}");
    let seen = story.insert(name, "fresh");
    assert_eq!(seen["result"]["kind"], "admitted", "{seen}");
    seen["result"]["admitted"].clone()
}

fn server(name: &'static str, about: &str, options: &Value, verifier: &Value) -> Story {
    Story::of_authorization(name, about, options, verifier)
}

fn nonces() -> Value {
    json!({ "nonces": { "keys": [{ "id": 1, "secret": base64url::encode(&[1; 32]) }], "namespace": "https://as.example.com" } })
}

/// The nonce of a refusal.
fn given(seen: &Value) -> String {
    let headers = seen["result"]["refusal"]["headers"].as_array().expect("a refusal");
    let nonce = headers.iter().find(|field| field[0] == "DPoP-Nonce").unwrap_or_else(|| panic!("no nonce: {seen}"));
    nonce[1].as_str().expect("text").to_owned()
}

#[test]
fn grants() {
    let about = "which key a grant is bound to, and what its tokens are bound to";
    let mut story = server("authorization", about, &json!({}), &json!({}));
    let key = CLIENT_KEY.thumbprint();
    for kind in ["authorization_code", "device_code", "refresh_token"] {
        let got = admitted(&mut story, kind, CLIENT_KEY, &asked(&bound(kind, CLIENT_KEY)));
        assert_eq!((&got["access_binding"], &got["refresh_binding"]), (&json!(key), &json!(key)));
        let name = format!("{kind} of another key");
        assert_eq!(reason(&prove(&mut story, &name, LATER_KEY, &asked(&bound(kind, CLIENT_KEY)))), "binding_mismatch");
        let name = format!("{kind} without proof");
        assert_eq!(reason(&story.ask(&name, &asked(&bound(kind, CLIENT_KEY)), &[])), "proof_missing");
    }
    let code = json!({ "type": "authorization_code" });
    admitted(&mut story, "a code bound to nothing", CLIENT_KEY, &asked(&code));
    let unbound = story.ask("neither key nor proof", &asked(&code), &[]);
    assert_eq!(unbound["result"]["admitted"]["token_type"], "Bearer", "{unbound}");
    let got = admitted(
        &mut story,
        "a confidential client changes keys",
        LATER_KEY,
        &confidential(&bound("refresh_token", CLIENT_KEY)),
    );
    assert_eq!((&got["access_binding"], &got["refresh_binding"]), (&json!(LATER_KEY.thumbprint()), &Value::Null));
    let own = json!({ "type": "client_credentials" });
    let must = with(&confidential(&own), &json!({ "must_bind": true }));
    assert_eq!(reason(&story.ask("a client that must bind", &must, &[])), "proof_missing");
    admitted(&mut story, "and does", CLIENT_KEY, &must);
    let twice = [proof(&story, CLIENT_KEY, TOKEN, "x"), proof(&story, CLIENT_KEY, TOKEN, "y")];
    let twice: Vec<&str> = twice.iter().map(String::as_str).collect();
    assert_eq!(reason(&story.ask("two proofs", &asked(&code), &twice)), "multiple_proofs");
    story.end();
}

#[test]
fn derived() {
    let about = "tokens for other tokens keep their key, unless policy lets this client bind them anew";
    let mut story = server("authorization-derived", about, &json!({}), &json!({}));
    let of = |keys: &[KnownKey]| json!({ "type": "derived", "confirmed": keys.iter().map(|key| key.thumbprint()).collect::<Vec<_>>() });
    admitted(&mut story, "of one key", CLIENT_KEY, &confidential(&of(&[CLIENT_KEY, CLIENT_KEY])));
    assert_eq!(
        reason(&prove(&mut story, "of another", LATER_KEY, &confidential(&of(&[CLIENT_KEY])))),
        "binding_mismatch"
    );
    let two = of(&[CLIENT_KEY, LATER_KEY]);
    assert_eq!(reason(&prove(&mut story, "of two keys", CLIENT_KEY, &confidential(&two))), "tokens_of_two_keys");
    let anew = with(&of(&[CLIENT_KEY]), &json!({ "may_rebind": true }));
    admitted(&mut story, "bound anew", LATER_KEY, &confidential(&anew));
    assert_eq!(reason(&prove(&mut story, "by a public client", LATER_KEY, &asked(&anew))), "binding_mismatch");
    story.end();
}

#[test]
fn announcements() {
    let about = "pushed requests announce a key, by a proof or by dpop_jkt";
    let mut story = server("authorization-announced", about, &json!({}), &json!({}));
    let key = CLIENT_KEY.thumbprint();
    let seen = prove(&mut story, "by a proof", CLIENT_KEY, &pushed("client_id=app"));
    assert_eq!(seen["result"]["admitted"]["announced"], json!(key), "a public client's uses nothing up: {seen}");
    let seen = story.ask("by name", &pushed(&format!("dpop_jkt={key}")), &[]);
    assert_eq!(seen["result"]["admitted"]["announced"], json!(key));
    let both = with(&pushed(&format!("dpop_jkt={key}")), &json!({ "client": "confidential" }));
    admitted(&mut story, "by both", CLIENT_KEY, &both);
    assert_eq!(reason(&prove(&mut story, "by two keys", LATER_KEY, &both)), "binding_mismatch");
    for (name, form) in
        [("no thumbprint", "dpop_jkt=short".to_owned()), ("twice", format!("dpop_jkt={key}&dpop_jkt={key}"))]
    {
        assert_eq!(reason(&story.ask(name, &pushed(&form), &[])), "dpop_jkt_malformed");
    }
    assert_eq!(story.ask("no form", &pushed("%zz"), &[])["error"], "form_malformed");
    story.end();
}

#[test]
fn answers_of_stores() {
    let about = "what each answer of the host's replay store comes to, at the token endpoint";
    let mut story = server("authorization-replay", about, &json!({}), &json!({}));
    let code = asked(&bound("authorization_code", CLIENT_KEY));
    for (insertion, expected) in [
        ("seen", "replayed"),
        ("before_floor", "before_store_floor"),
        ("unavailable", "store_unavailable"),
        ("full", "store_full"),
        ("share_full", "store_share_full"),
    ] {
        prove(&mut story, insertion, CLIENT_KEY, &code);
        assert_eq!(reason(&story.insert(insertion, insertion)), expected);
    }
    prove(&mut story, "late", CLIENT_KEY, &code);
    story.wait(400);
    assert_eq!(reason(&story.insert("late", "fresh")), "iat_too_old");
    story.end();
}

#[test]
fn nonces_are_demanded() {
    let about = "a nonce is demanded before anything is used up, and goes stale; the store lost its memory";
    let mut story = server("authorization-nonces", about, &json!({}), &nonces());
    let code = asked(&bound("authorization_code", CLIENT_KEY));
    let with_nonce = |story: &Story, jti: &str, nonce: &str| {
        CLIENT_KEY.bare_proof(&json!({ "jti": jti, "htm": "POST", "htu": TOKEN, "iat": story.now, "nonce": nonce }))
    };
    let seen = prove(&mut story, "without", CLIENT_KEY, &code);
    assert_eq!(reason(&seen), "nonce_missing");
    let nonce = given(&seen);
    let proof = with_nonce(&story, "with", &nonce);
    assert_eq!(story.ask("with", &code, &[&proof])["step"], "insert");
    let seen = story.resume("with", &json!({ "inserted": { "insertion": "before_floor", "epoch": "2" } }));
    assert_eq!(reason(&seen), "before_store_floor");
    let second = given(&seen);
    let later = with(&code, &json!({ "epoch": "2" }));
    let proof = with_nonce(&story, "again", &second);
    assert_eq!(story.ask("again", &later, &[&proof])["entry"]["nonce_epoch"], "2");
    let seen = story.resume("again", &json!({ "inserted": { "insertion": "fresh", "epoch": "2" } }));
    assert_eq!(seen["result"]["kind"], "admitted");
    let proof = with_nonce(&story, "invented", "invented");
    assert_eq!(reason(&story.ask("invented", &later, &[&proof])), "nonce_mismatch");
    story.wait(3_600);
    let proof = with_nonce(&story, "an hour later", &second);
    assert_eq!(reason(&story.ask("an hour later", &later, &[&proof])), "nonce_stale");
    story.end();
}

#[test]
fn policies() {
    let about = "nonces for public clients alone, and access tokens without a key";
    let options = json!({ "nonces_for_public_clients": true, "unbound_access_tokens": true });
    let mut story = server("authorization-policies", about, &options, &nonces());
    let code = bound("authorization_code", CLIENT_KEY);
    assert_eq!(reason(&prove(&mut story, "public", CLIENT_KEY, &asked(&code))), "nonce_missing");
    let got = admitted(&mut story, "confidential", CLIENT_KEY, &confidential(&code));
    assert_eq!((&got["access_binding"], &got["token_type"]), (&Value::Null, &json!("Bearer")));
    story.end();
}
