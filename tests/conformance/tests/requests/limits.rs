//! Limits by address, key and client, and the breaker around the host's store. Without ticks the seconds of the clock count.

use keybound_conformance::request::Story;
use keybound_conformance::request::story::reason;
use keybound_conformance::request::world::{
    BEGIN, CLIENT_KEY, ISSUER_KEY, LATER_KEY, bearer, claims, get, proof_claims, proven, with,
};
use serde_json::{Value, json};

use crate::resource;

fn limit(rate: u32, burst: u32) -> Value {
    json!({ "rate": rate, "burst": burst })
}

/// The refusal is 429 with this number of seconds.
fn limited(seen: &Value, seconds: &str) {
    let refusal = &seen["result"]["refusal"];
    assert_eq!((&refusal["status"], &refusal["reason"]), (&json!(429), &json!("rate_limited")), "{seen}");
    let headers = json!([["Cache-Control", "no-store"], ["Retry-After", seconds]]);
    assert_eq!((&refusal["headers"], refusal.get("error")), (&headers, None));
}

/// The refusal is 503 with this number of seconds: the store did not answer, or is left alone.
fn unavailable(seen: &Value, seconds: &str) {
    assert_eq!(reason(seen), "store_unavailable", "{seen}");
    let refusal = &seen["result"]["refusal"];
    let headers = json!([["Cache-Control", "no-store"], ["Retry-After", seconds]]);
    assert_eq!((&refusal["status"], &refusal["headers"]), (&json!(503), &headers));
}

fn from(request: &Value, peer: &str) -> Value {
    with(request, &json!({ "peer": peer }))
}

#[test]
fn addresses() {
    let about = "an address has a burst and a rate, whatever it sends; IPv6 counts by its first 64 bits";
    let options = with(&resource(), &json!({ "limit_addresses": limit(1, 2) }));
    let mut story = Story::new("limits-addresses", about, &options, &json!({}));
    let nothing = get(&[]);
    let mut refused = |name: &str, peer: &str| {
        let request = if peer.is_empty() { nothing.clone() } else { from(&nothing, peer) };
        story.refused(name, &request)
    };
    for (name, peer) in [("IPv4", "192.0.2.1"), ("IPv6", "2001:db8::1"), ("no address", "")] {
        assert_eq!(refused(&format!("{name}, once"), peer), "credentials_missing");
        assert_eq!(refused(&format!("{name}, twice"), peer), "credentials_missing");
        assert_eq!(refused(&format!("{name}, three times"), peer), "rate_limited");
    }
    for (name, peer) in [("IPv4 as IPv6", "::ffff:192.0.2.1"), ("the same 64 bits", "2001:db8::ffff:0:1")] {
        assert_eq!(refused(name, peer), "rate_limited");
    }
    assert_eq!(refused("an address with a zone", "fe80::1%eth0"), "credentials_missing");
    assert_eq!(refused("another address", "192.0.2.2"), "credentials_missing");
    assert_eq!(refused("another 64 bits", "2001:db8:0:1::1"), "credentials_missing");
    // Nor does a request escape that has no target.
    let astray = json!({ "method": "GET", "target": "*", "fields": [], "peer": "192.0.2.3" });
    for (name, expected) in
        [("no target", "target_malformed"), ("none again", "target_malformed"), ("and again", "rate_limited")]
    {
        assert_eq!(story.refused(name, &astray), expected);
    }
    // A good request is none of it used up by being refused.
    let request = from(&story.request("one", &claims()), "192.0.2.1");
    limited(&story.admit("good", &request), "1");
    story.wait(1);
    story.admitted("good, a second later", &request);
    limited(&story.admit("at once again", &request), "1");
    story.end();
}

#[test]
fn proxies() {
    let about = "the address is that which a trusted proxy vouches for, else that of the connection";
    let proxies = json!({ "addresses": ["10.0.0.0/8"], "family": "x_forwarded", "hops": 1, "client_addresses": true });
    let options = with(&resource(), &json!({ "limit_addresses": limit(1, 1), "proxies": proxies }));
    let mut story = Story::new("limits-proxies", about, &options, &json!({}));
    let mut sent = |name: &str, forwarded: &str| {
        let fields =
            [["X-Forwarded-Proto", "https"], ["X-Forwarded-Host", "api.example.com"], ["X-Forwarded-For", forwarded]];
        story.refused(name, &json!({ "method": "GET", "target": "/items", "fields": fields, "peer": "10.1.2.3" }))
    };
    for (name, forwarded, expected) in [
        ("a client", "192.0.2.1", "credentials_missing"),
        ("the same", "192.0.2.1", "rate_limited"),
        ("another client", "192.0.2.2", "credentials_missing"),
        ("the first client with a field of its own", "198.51.100.7, 192.0.2.1", "rate_limited"),
        ("no address", "unknown", "credentials_missing"),
        ("the proxy's own limit", "somewhere", "rate_limited"),
    ] {
        assert_eq!(sent(name, forwarded), expected, "{name}");
    }
    story.end();
}

#[test]
fn keys() {
    let about = "a key is charged for fresh proofs alone: copies of a request drain nobody's bucket";
    let options = with(&resource(), &json!({ "limit_keys": limit(1, 2) }));
    let mut story = Story::new("limits-keys", about, &options, &json!({}));
    let seen = story.request("one", &claims());
    story.admitted("first", &seen);
    for name in ["a copy", "another copy", "a third copy"] {
        assert_eq!(story.admit(name, &seen)["step"], "insert");
        assert_eq!(reason(&story.insert(name, "seen")), "replayed");
    }
    // Neither is charged what the store could not decide, nor what another key signed.
    for insertion in ["unavailable", "full"] {
        let request = story.request(insertion, &claims());
        story.admit(insertion, &request);
        story.insert(insertion, insertion);
    }
    let token = ISSUER_KEY.token(&claims());
    let stolen = proven(&token, &LATER_KEY.proof(&proof_claims("stolen", BEGIN), &token));
    assert_eq!(story.refused("another key", &stolen), "binding_mismatch");
    story.admitted("second", &story.request("two", &claims()));
    let third = story.request("three", &claims());
    limited(&story.admit("third", &third), "1");
    // What is seen by then is not even looked up.
    limited(&story.admit("a copy when there is no token", &seen), "1");
    let confirmed = json!({ "cnf": { "jkt": LATER_KEY.thumbprint() } });
    let token = ISSUER_KEY.token(&with(&claims(), &confirmed));
    story.admitted("another client", &proven(&token, &LATER_KEY.proof(&proof_claims("theirs", BEGIN), &token)));
    story.wait(1);
    story.admitted("third, a second later", &third);
    story.end();
}

#[test]
fn clients() {
    let about = "a client is charged for what is admitted, whatever the key and the scheme";
    let options = json!({ "limit_clients": limit(1, 2), "schemes": "dpop_and_bearer" });
    let mut story = Story::new("limits-clients", about, &with(&resource(), &options), &json!({}));
    story.admitted("with a key", &story.request("one", &claims()));
    let unbound = bearer(&ISSUER_KEY.token(&with(&claims(), &json!({ "cnf": null }))));
    assert_eq!(story.admit("without", &unbound)["result"]["kind"], "admitted");
    limited(&story.admit("a third", &unbound), "1");
    // The proof is used up by then.
    let request = story.request("two", &claims());
    assert_eq!(story.admit("with a key again", &request)["step"], "insert");
    limited(&story.insert("with a key again", "fresh"), "1");
    let other = bearer(&ISSUER_KEY.token(&with(&claims(), &json!({ "cnf": null, "client_id": "another" }))));
    assert_eq!(story.admit("another client", &other)["result"]["kind"], "admitted");
    story.wait(1);
    assert_eq!(story.admit("a second later", &unbound)["result"]["kind"], "admitted");
    story.end();
}

#[test]
fn the_breaker() {
    let about =
        "a store that fails is left alone: 503 without a step, and Retry-After says until when; then one request tries";
    let options = with(&resource(), &json!({ "breaker": { "faults": 2, "pause": 10 } }));
    let mut story = Story::new("limits-breaker", about, &options, &json!({}));
    let sent = |story: &mut Story, name: &str| {
        let request = story.request(name, &claims());
        story.admit(name, &request)
    };
    // Verdicts are no faults, and end a row of them.
    let answers = ["unavailable", "full", "unavailable", "seen", "unavailable", "fresh", "unavailable", "unavailable"];
    for (number, insertion) in answers.into_iter().enumerate() {
        let name = format!("{insertion}, number {number}");
        assert_eq!(sent(&mut story, &name)["step"], "insert", "{name}");
        let seen = story.insert(&name, insertion);
        match (number, insertion) {
            (7, _) => unavailable(&seen, "10"),
            (_, "unavailable") => unavailable(&seen, "5"),
            _ => {}
        }
    }
    unavailable(&sent(&mut story, "left alone"), "10");
    story.wait(7);
    unavailable(&sent(&mut story, "for three more seconds"), "3");
    story.wait(2);
    unavailable(&sent(&mut story, "still left alone"), "1");
    story.wait(1);
    assert_eq!(sent(&mut story, "a trial")["step"], "insert");
    unavailable(&sent(&mut story, "beside the trial"), "10");
    unavailable(&story.insert("a trial", "unavailable"), "10");
    story.wait(10);
    assert_eq!(sent(&mut story, "another trial")["step"], "insert");
    story.insert("another trial", "fresh");
    for name in ["all is well", "and well"] {
        assert_eq!(sent(&mut story, name)["step"], "insert");
        story.insert(name, "fresh");
    }
    story.end();
}

#[test]
fn the_token_endpoint() {
    let about = "limits of an authorization server: addresses, and keys that a stored grant names; its breaker";
    let options = json!({ "limit_addresses": limit(100, 4), "limit_keys": limit(1, 1), "breaker": { "faults": 1 } });
    let mut story = Story::of_authorization("authorization-limits", about, &options, &json!({}));
    let url = "https://as.example.com/token";
    let asked = |grant: &Value, ticks: u64| json!({ "method": "POST", "url": url, "client": "public", "grant": grant, "epoch": "1", "peer": "192.0.2.1", "ticks": ticks });
    let stored = json!({ "type": "refresh_token", "bound_to": CLIENT_KEY.thumbprint() });
    let free = json!({ "type": "authorization_code" });
    let mut ask = |name: &str, grant: &Value, ticks: u64, answer: &str| {
        let claims = json!({ "jti": name, "htm": "POST", "htu": url, "iat": story.now });
        let seen = story.ask(name, &asked(grant, ticks), &[&CLIENT_KEY.bare_proof(&claims)]);
        if answer.is_empty() { seen } else { story.insert(name, answer) }
    };
    assert_eq!(ask("of a grant", &stored, 0, "fresh")["result"]["kind"], "admitted");
    limited(&ask("of a grant again", &stored, 500, ""), "1");
    assert_eq!(ask("of no grant", &free, 500, "fresh")["result"]["kind"], "admitted");
    assert_eq!(ask("of a grant, a second later", &stored, 1_000, "seen")["result"]["kind"], "refused");
    for name in ["1", "2", "3"] {
        assert_eq!(ask(name, &free, 1_000, "fresh")["result"]["kind"], "admitted");
    }
    limited(&ask("too many from there", &free, 1_000, ""), "1");
    unavailable(&ask("a fault", &free, 1_010, "unavailable"), "5");
    unavailable(&ask("left alone", &free, 2_000, ""), "5");
    unavailable(&ask("still left alone", &free, 3_500, ""), "3");
    assert_eq!(ask("a trial", &free, 6_010, "fresh")["result"]["kind"], "admitted");
    story.end();
}

/// Options that cannot be meant.
#[test]
fn options_are_checked() {
    let crypto = keybound::RUSTCRYPTO;
    let reason = |more: &Value| {
        let options = with(&resource(), more).to_string();
        keybound_ffi::ResourceServer::new(&options, "{}", None, &crypto).map(drop).map_err(|error| error.reason.clone())
    };
    let proxies = |family: &str| json!({ "addresses": ["10.0.0.1"], "family": family });
    for (good, bad) in [
        (json!({ "limit_keys": limit(1, 1) }), json!({ "limit_keys": limit(0, 1) })),
        (json!({ "limit_keys": limit(1_000_000, 1_000_000) }), json!({ "limit_keys": limit(1, 1_000_001) })),
        (json!({ "limit_clients": null }), json!({ "limit_clients": { "rate": 1 } })),
        (json!({ "breaker": {} }), json!({ "breaker": true })),
        (json!({ "breaker": { "faults": 1, "pause": 300 } }), json!({ "breaker": { "pause": 301 } })),
        (json!({ "breaker": { "faults": 1_000 } }), json!({ "breaker": { "faults": u64::MAX } })),
        (json!({ "limit_addresses": limit(1, 1) }), json!({ "limit_addresses": { "rate": 1, "burst": 1, "per": 1 } })),
        (
            json!({ "limit_addresses": limit(1, 1), "proxies": proxies("forwarded") }),
            json!({ "limit_addresses": limit(1, 1), "proxies": proxies("x_forwarded") }),
        ),
    ] {
        assert_eq!(reason(&good), Ok(()), "{good}");
        assert!(reason(&bad).is_err(), "{bad}");
    }
    let authorization = |options: Value| {
        keybound_ffi::AuthorizationServer::new(&options.to_string(), None, &crypto)
            .map_err(|error| error.reason.clone())
    };
    assert!(authorization(json!({ "limit_keys": limit(1, 1), "limit_addresses": limit(1, 1) })).is_ok());
    assert_eq!(authorization(json!({ "limit_clients": limit(1, 1) })).map(drop), Err("unknown_option".into()));
}
