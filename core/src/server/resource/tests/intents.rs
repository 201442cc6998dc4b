//! Tokens with `authorization_details` are good for what these say, once, and for nothing else.

use alloc::format;
use alloc::string::String;
use alloc::vec;

use super::{ISSUER, NOW, RESOURCE, Schemes, World, error, nonces, policy, reason};
use crate::flow::step::Step;
use crate::intent::{Intent, request_detail};
use crate::json::Value;
use crate::replay::{Inserted, Insertion, ReplayStore, memory::MemoryStore};
use crate::server::Consumption;
use crate::server::resource::{Introspection, Principal, ResourcePolicy, ResourceServer};
use crate::{Misuse, Policy, ProofBuilder, RUSTCRYPTO, Refusal, UnixTime, Verifier};

const PAY: &str = "https://api.example.com/pay";
const BODY: &[u8] = b"ten euros";

fn paying() -> ResourcePolicy {
    policy().with_intents_at("/pay").unwrap()
}

fn details() -> Value {
    Value::from(vec![request_detail("POST", PAY, Some(BODY), RUSTCRYPTO.digest)])
}

fn at(world: &World, claims: Value, method: &str, url: &str, now: UnixTime) -> Result<Principal, Refusal> {
    let token = world.issuer.token(claims);
    let proof = ProofBuilder::new(method, url).access_token(&token).sign(&RUSTCRYPTO, &world.client, now).unwrap();
    world.ask_for(method, url, &[("Authorization", &format!("DPoP {token}")), ("DPoP", proof.as_str())], now)
}

/// The claims of an intent's token.
fn claims(world: &World) -> Value {
    world.bound().with("jti", "j1").with("authorization_details", details())
}

#[test]
fn an_intents_token_opens_no_other_endpoint() {
    let world = World::new(paying());
    for url in [
        "https://api.example.com/items",
        "https://api.example.com/",
        "https://api.example.com/pay/",
        "https://api.example.com/pay/1",
    ] {
        for method in ["GET", "POST", "GET"] {
            let refusal = at(&world, claims(&world), method, url, NOW).unwrap_err();
            assert_eq!((refusal.status(), refusal.reason()), (403, "intent_elsewhere"), "{method} {url}");
            assert_eq!(error(&refusal, "DPoP").as_deref(), Some("insufficient_scope"));
        }
    }
    assert!(at(&world, claims(&world), "POST", PAY, NOW).is_ok());
    assert!(
        at(&world, claims(&world), "POST", "https://api.example.com/pay?x=1", NOW).is_ok(),
        "its handler compares the query"
    );
}

#[test]
fn details_of_any_form_are_details() {
    let world = World::new(policy());
    for text in ["[]", "null", "{}", "\"all\"", "[{\"type\":\"payment\"}]", "0"] {
        let claims = world.bound().with("authorization_details", Value::parse(text.as_bytes()).unwrap());
        assert_eq!(reason(at(&world, claims, "GET", super::URL, NOW)), "intent_elsewhere", "{text}");
    }
}

#[test]
fn an_introspected_token_with_details_opens_no_other_endpoint() {
    for schemes in [Schemes::DpopOnly, Schemes::Both] {
        let mut world = World::new(
            ResourcePolicy::new(RESOURCE).unwrap().with_introspection(Introspection::by_host()).with_schemes(schemes),
        );
        let claims = claims(&world).with("active", true).with("iss", ISSUER);
        world.answer = Some(claims.to_json());
        assert_eq!(reason(world.dpop("opaque", &world.proof("opaque"))), "intent_elsewhere");
    }
}

#[test]
fn an_unbound_token_with_details_opens_no_endpoint() {
    for schemes in [Schemes::Both, Schemes::BearerOnly] {
        let world = World::new(policy().with_schemes(schemes));
        let token = world.issuer.token(super::claims().with("authorization_details", details()));
        assert_eq!(reason(world.bearer(&token)), "intent_elsewhere");
    }
    // Where intents are carried out, it carries none.
    let world = World::new(policy().with_schemes(Schemes::Both).with_intents_at("/*").unwrap());
    let token = world.issuer.token(super::claims().with("jti", "j").with("authorization_details", details()));
    let principal = world.bearer(&token).unwrap();
    let begun = world.server.carry_out(&principal, "POST", PAY, BODY, NOW).unwrap();
    let refused = begun.finished().unwrap().map(drop).unwrap_err();
    assert_eq!((refused.status(), refused.reason()), (403, "no_intent"));
}

#[test]
fn a_client_without_the_nonce_hears_of_that_first() {
    let verifier = Verifier::new(Policy::default(), &RUSTCRYPTO).with_nonces(nonces("api"));
    let world = World::judging(policy(), verifier);
    assert_eq!(reason(at(&world, claims(&world), "GET", super::URL, NOW)), "nonce_missing");
}

#[test]
fn an_intent_is_carried_out_once_as_it_was_agreed() {
    let world = World::new(paying());
    let principal = at(&world, claims(&world), "POST", PAY, NOW).unwrap();
    let begin =
        |server: &ResourceServer, method, url, body| server.carry_out(&principal, method, url, body, NOW).unwrap();
    for (method, url, body) in
        [("PUT", PAY, BODY), ("POST", "https://api.example.com/pay?to=m", BODY), ("POST", PAY, b"")]
    {
        let refusal = begin(&world.server, method, url, body).finished().unwrap().map(drop).unwrap_err();
        assert_eq!((refusal.status(), refusal.reason()), (403, "intent_no_match"));
        assert_eq!(error(&refusal, "DPoP").as_deref(), Some("insufficient_scope"));
    }
    let verifier = Verifier::new(Policy::default(), &RUSTCRYPTO);
    let elsewhere = ResourceServer::new(paying(), verifier, Consumption::by_host()).unwrap();
    let settle = |insertion, now| {
        let Step::Insert(insert) = begin(&elsewhere, "POST", PAY, BODY) else { panic!("it permits the request") };
        let settled = insert.resume(Inserted::new(insertion, world.store.epoch()), now).unwrap().finished().unwrap();
        settled.map(drop).map_err(|refusal| (refusal.status(), refusal.reason()))
    };
    assert_eq!(settle(Insertion::Unavailable, NOW), Err((503, "store_unavailable")));
    assert_eq!(settle(Insertion::Full, NOW), Err((503, "store_full")));
    assert_eq!(settle(Insertion::ShareFull, NOW), Err((503, "store_share_full")));
    assert_eq!(settle(Insertion::BeforeFloor, NOW), Err((403, "intent_before_floor")));
    let insert = || {
        let carried_out = begin(&world.server, "POST", PAY, BODY).finished().unwrap();
        carried_out.map(drop).map_err(|refusal| (refusal.status(), refusal.reason()))
    };
    assert_eq!(insert(), Ok(()));
    assert_eq!(insert(), Err((403, "intent_used")));
    assert_eq!(settle(Insertion::Fresh, NOW.saturating_add(300)), Err((403, "intent_expired")));
}

#[test]
fn an_application_matches_its_own_details() {
    let world = World::new(paying());
    let payment = Value::parse(br#"[{"type":"payment","amount":"10"}]"#).unwrap();
    let principal =
        at(&world, world.bound().with("jti", "j").with("authorization_details", payment), "POST", PAY, NOW).unwrap();
    let by = |amount: &str| {
        let begun = world.server.carry_out_by(&principal, NOW, |detail| detail.text("amount") == Some(amount));
        begun.unwrap().finished().unwrap().map(drop).map_err(|refusal| refusal.reason())
    };
    assert_eq!((by("10"), by("1000")), (Ok(()), Err("intent_no_match")));
}

/// Until the last instant at which the token is accepted, the leeway included, and by the issuer's clock, which may be ahead.
#[test]
fn a_used_intent_is_remembered_as_long_as_its_token_is_accepted() {
    let leeway = 60;
    let world = World::new(paying().with_leeway(leeway).unwrap());
    let ahead = |seconds: u64| claims(&world).with("iat", NOW.saturating_add(seconds));
    let principal = at(&world, claims(&world), "POST", PAY, NOW).unwrap();
    let agreement = world.server.verifier().replay_agreement();
    let entry = |principal: &Principal| {
        Intent::of_token(principal).unwrap().use_up(principal, agreement, RUSTCRYPTO.digest).unwrap()
    };
    assert_eq!(entry(&principal).expires_at(), NOW.saturating_add(300 + leeway));
    // Used just before a restart, by a token from a clock that is ahead: the new store does not vouch.
    let principal = at(&world, ahead(leeway), "POST", PAY, NOW).unwrap();
    let restarted = MemoryStore::new(1000, agreement, RUSTCRYPTO.random, NOW.saturating_add(1)).unwrap();
    let Ok(inserted) = restarted.insert(&entry(&principal), NOW.saturating_add(2));
    assert_eq!(inserted.insertion, Insertion::BeforeFloor);
    let last = NOW.saturating_add(300 + leeway - 1);
    assert!(at(&world, claims(&world), "POST", PAY, last).is_ok(), "the token is accepted, though its intent is over");
}

#[test]
fn an_intent_is_used_once_for_as_long_as_it_lives() {
    let use_up = |world: &World, lifetime: u64, after: u64| {
        let claims = claims(world).with("exp", NOW.saturating_add(lifetime));
        let now = NOW.saturating_add(after);
        let principal = at(world, claims, "POST", PAY, now).unwrap();
        let carried_out = world.server.carry_out(&principal, "POST", PAY, BODY, now).unwrap().finished().unwrap();
        carried_out.map(drop).map_err(|refusal| refusal.reason())
    };
    let world = World::new(paying());
    let uses = [0, 1, 400, 899].map(|after| use_up(&world, 900, after));
    assert_eq!(uses, [Ok(()), Err("intent_used"), Err("intent_used"), Err("intent_used")]);
    // The memory store remembers for a quarter of an hour; what it could not remember to its end, it does not take.
    assert_eq!(use_up(&World::new(paying()), 3_600, 0), Err("store_unavailable"));
}

#[test]
fn paths_of_intents_are_paths() {
    for wrong in ["", "pay", "/a/../b", "/%70ay", "/pay?x=1", "/pay#x", "https://api.example.com/pay", "//"] {
        let outcome = policy().with_intents_at(wrong).map(drop);
        assert!(outcome == Err(Misuse::IntentPath) || wrong == "//", "{wrong}");
    }
    let world = World::new(policy().with_intents_at("/pay/*").unwrap());
    let ask = |url: &str| reason(at(&world, claims(&world), "POST", url, NOW));
    assert_eq!(ask("https://api.example.com/pay/7"), "admitted");
    for other in ["https://api.example.com/pay", "https://api.example.com/pay/", "https://api.example.com/payments"] {
        assert_eq!(ask(other), "intent_elsewhere", "{other}");
    }
}

#[test]
fn the_claims_of_an_intents_token_grant_nothing_beside_it() {
    let key = crate::Thumbprint::from_bytes([1; 32]);
    let intent = Intent::declare(details(), key, 300, NOW).unwrap();
    let given =
        super::claims().with("exp", NOW.saturating_add(9_000)).with("cnf", Value::object().with("jkt", "other"));
    let claims = intent.token_claims(&given);
    assert_eq!((claims.member("scope"), claims.time("exp")), (None, Some(NOW.saturating_add(300))));
    assert_eq!(claims.member("authorization_details"), Some(&details()));
    let jkt = claims.member("cnf").and_then(|cnf| cnf.text("jkt")).map(String::from);
    assert_eq!(jkt, Some(format!("{key}")));
    assert_eq!(claims.text("iss"), Some(ISSUER));
}
