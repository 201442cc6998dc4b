//! What is wrong with credentials and access tokens: one defect each.

use keybound_conformance::request::Story;
use keybound_conformance::request::world::{
    BEGIN, CLIENT_KEY, ISSUER, ISSUER_KEY, LATER_KEY, RESOURCE, bearer, bound, claims, get, jwk_set, proof_claims, with,
};
use serde_json::{Value, json};

use crate::resource;

fn header(members: &Value) -> Value {
    with(&json!({ "typ": "at+jwt", "alg": "Ed25519", "kid": "one" }), members)
}

/// A token with another header, and a proof for it.
fn headed(jti: &str, members: &Value) -> Value {
    bound(&ISSUER_KEY.sign(&header(members), &claims()), jti, BEGIN)
}

#[test]
fn credentials() {
    let mut story =
        Story::new("credentials", "what can be wrong with the fields of a request", &resource(), &json!({}));
    let token = ISSUER_KEY.token(&claims());
    let long = "A".repeat(16 * 1024 + 1);
    for (name, fields, reason) in [
        ("none", vec![], "credentials_missing"),
        ("another scheme", vec![("Authorization", "Basic YTpi".to_owned())], "credentials_missing"),
        (
            "twice",
            vec![("Authorization", format!("DPoP {token}")), ("authorization", format!("DPoP {token}"))],
            "credentials_repeated",
        ),
        ("folded", vec![("Authorization", format!("DPoP {token}, DPoP {token}"))], "credentials_repeated"),
        ("no token", vec![("Authorization", "DPoP".to_owned())], "token_malformed"),
        ("not a token", vec![("Authorization", "DPoP a!b".to_owned())], "token_malformed"),
        ("bytes", vec![("Authorization", "DPoP \u{ff}".to_owned())], "token_malformed"),
        ("too long", vec![("Authorization", format!("DPoP {long}"))], "token_too_large"),
        ("Bearer", vec![("Authorization", format!("Bearer {token}"))], "scheme_not_accepted"),
        ("no proof", vec![("Authorization", format!("DPoP {token}"))], "proof_missing"),
    ] {
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(story.refused(name, &get(&fields)), reason, "{name}");
    }
    let proof = CLIENT_KEY.proof(&proof_claims("two", BEGIN), &token);
    let twice = [("Authorization", format!("DPoP {token}")), ("DPoP", proof.clone()), ("dpop", proof)];
    let twice: Vec<(&str, &str)> = twice.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(story.refused("two proofs", &get(&twice)), "multiple_proofs");
    story.end();
}

#[test]
fn tokens() {
    let mut story = Story::new("tokens", "one defect in each access token", &resource(), &json!({}));
    story.admitted("good", &story.request("good", &claims()));
    for (name, members, reason) in [
        ("no alg", json!({ "alg": "none" }), "token_alg_not_permitted"),
        ("a MAC", json!({ "alg": "HS256" }), "token_alg_not_permitted"),
        ("an extension", json!({ "crit": ["exp"] }), "token_crit_unsupported"),
        ("another typ", json!({ "typ": "JWT" }), "token_typ_mismatch"),
        ("no typ", json!({ "typ": null }), "token_typ_mismatch"),
        ("unknown kid", json!({ "kid": "three" }), "token_key_unknown"),
    ] {
        assert_eq!(story.refused(name, &headed(name, &members)), reason, "{name}");
    }
    for (name, members, reason) in [
        ("no exp", json!({ "exp": null }), "token_claim_invalid"),
        ("sub of a wrong type", json!({ "sub": 1 }), "token_claim_invalid"),
        ("another issuer", json!({ "iss": "https://other.example" }), "issuer_mismatch"),
        ("another audience", json!({ "aud": "https://other.example/" }), "audience_mismatch"),
        ("expired", json!({ "exp": BEGIN - 300 }), "token_expired"),
        ("not yet", json!({ "nbf": BEGIN + 300 }), "token_not_yet_valid"),
        ("cnf of a wrong form", json!({ "cnf": { "jkt": "short" } }), "confirmation_invalid"),
        ("cnf of an unknown kind", json!({ "cnf": { "kid": "1" } }), "confirmation_unknown"),
        ("unbound", json!({ "cnf": null }), "token_unbound"),
        ("bound to another key", json!({ "cnf": { "jkt": LATER_KEY.thumbprint() } }), "binding_mismatch"),
        ("details", json!({ "authorization_details": [{ "type": "payment" }] }), "intent_elsewhere"),
    ] {
        let request = story.request(name, &with(&claims(), &members));
        assert_eq!(story.refused(name, &request), reason, "{name}");
    }
    let forged = LATER_KEY.sign(&header(&json!({})), &claims());
    assert_eq!(story.refused("forged", &bound(&forged, "forged", BEGIN)), "token_signature_invalid");
    assert_eq!(story.refused("opaque", &bound("opaque", "opaque", BEGIN)), "token_malformed");
    story.end();
}

#[test]
fn certificates() {
    let mut story = Story::new("certificates", "a token bound to a key and a certificate", &resource(), &json!({}));
    let hash = keybound::base64url::encode(&[7; 32]);
    let bound = with(&claims(), &json!({ "cnf": { "jkt": CLIENT_KEY.thumbprint(), "x5t#S256": hash } }));
    let ours = with(&story.request("ours", &bound), &json!({ "certificate": hash }));
    story.admitted("ours", &ours);
    assert_eq!(story.refused("none", &story.request("none", &bound)), "certificate_mismatch");
    let other = json!({ "certificate": keybound::base64url::encode(&[8; 32]) });
    assert_eq!(story.refused("another", &with(&story.request("another", &bound), &other)), "certificate_mismatch");
    story.end();
}

#[test]
fn profiles() {
    // A server whose access tokens say what they are in a claim.
    let issuer = json!({ "issuer": ISSUER, "profile": "keycloak", "keys": jwk_set(&[ISSUER_KEY]) });
    let options =
        json!({ "resource": RESOURCE, "issuers": [issuer], "schemes": "dpop_and_bearer", "audiences": ["app"] });
    let mut story = Story::new("profiles", "tokens of a server that is no RFC 9068 issuer", &options, &json!({}));
    let token = |members: Value| {
        let claims = with(&claims(), &json!({ "typ": "Bearer", "azp": "app", "client_id": null, "cnf": null }));
        bearer(&ISSUER_KEY.sign(&header(&json!({ "typ": "JWT" })), &with(&claims, &members)))
    };
    let seen = story.admit("good", &token(json!({})));
    assert_eq!(seen["result"]["principal"]["client_id"], "app");
    assert_eq!(story.refused("ID token", &token(json!({ "typ": "ID" }))), "not_access_token");
    assert_eq!(story.refused("for its client", &token(json!({ "aud": "app" }))), "audience_is_client");
    story.end();
}

#[test]
fn principals() {
    let mut story = Story::new("principals", "what a handler says of an admitted request", &resource(), &json!({}));
    story.admitted("a", &story.request("a", &claims()));
    let scopes = |scopes: &[&str]| json!({ "do": "require_scopes", "of": "a", "scopes": scopes });
    assert_eq!(story.perform(scopes(&["read"])), Value::Null);
    assert_eq!(story.perform(scopes(&["read", "write"]))["reason"], "insufficient_scope");
    assert_eq!(story.perform(json!({ "do": "refuse_revoked", "of": "a" }))["reason"], "token_inactive");
    story.end();
}
