//! Limits and the breaker, played with a fake clock.

use core::net::IpAddr;

use super::*;
use crate::flow::step::Insert;
use crate::guard::{BreakerSettings, BreakerState, Guards, Limit, LimitedBy};
use crate::replay::StoreEpoch;
use crate::server::resource::Admission;

const HERE: &str = "192.0.2.1";

fn limit(rate: u32, burst: u32) -> Limit {
    Limit::per_second(rate, burst).unwrap()
}

/// A world with these guards, whose store is in its memory.
fn guarded(guards: Guards) -> World {
    let mut world = World::new(policy().with_schemes(Schemes::Both));
    world.server = world.server.guarded_by(&guards).unwrap();
    world
}

/// The same with a store of the host's.
fn by_host(guards: Guards) -> World {
    let mut world = World::new(policy());
    let policy = policy().with_issuer_keys(ISSUER, KeySource::Given(world.issuer.keys())).unwrap();
    let server = ResourceServer::new(policy, Verifier::new(Policy::default(), &RUSTCRYPTO), Consumption::by_host());
    world.server = server.unwrap().guarded_by(&guards).unwrap();
    world
}

impl World {
    /// A request with these fields arrives from this address at this moment.
    fn arrives(&self, fields: &[(&str, &str)], peer: Option<&str>, ticks: Option<u64>) -> Step<Admission> {
        let fields: Vec<(&str, &[u8])> = fields.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
        let target = TargetUri::parse(URL).unwrap();
        let mut request = IncomingRequest::new("GET", &target, &fields);
        let peer = peer.map(|peer| peer.parse::<IpAddr>().unwrap());
        request.arrival = Arrival { peer, ticks, epoch: self.store.epoch() };
        self.server.admit(&request, NOW).unwrap()
    }

    /// A request with this token and proof.
    fn shows(&self, token: &str, proof: &str, ticks: u64) -> Step<Admission> {
        self.arrives(&[("Authorization", &format!("DPoP {token}")), ("DPoP", proof)], Some(HERE), Some(ticks))
    }

    /// The verdict about a new request by the client with the token of these claims.
    fn sends(&self, claims: Value, ticks: u64) -> &'static str {
        let token = self.issuer.token(claims);
        verdict(self.shows(&token, &self.proof(&token), ticks))
    }

    /// A new request that comes to the host's store.
    fn inserts(&self, ticks: u64) -> Insert<Admission> {
        let token = self.bound_token();
        match self.shows(&token, &self.proof(&token), ticks) {
            Step::Insert(insert) => insert,
            step => panic!("{}", verdict(step)),
        }
    }
}

fn verdict(step: Step<Admission>) -> &'static str {
    reason(step.finished().unwrap().map(|principal| *principal).map_err(|refusal| *refusal))
}

/// What the host's store says.
fn says(insert: Insert<Admission>, insertion: Insertion) -> &'static str {
    verdict(insert.resume(Inserted::new(insertion, StoreEpoch::from_u64(1)), NOW).unwrap())
}

#[test]
fn an_address_is_limited_before_anything_is_read() {
    let world = guarded(Guards::new().limit_addresses(limit(1, 3)));
    // What is sent is of no account, and a request that would be admitted fares no better.
    for _ in 0..3 {
        assert_eq!(verdict(world.arrives(&[], Some(HERE), Some(1_000))), "credentials_missing");
    }
    let token = world.bound_token();
    let proof = world.proof(&token);
    let refused = world.shows(&token, &proof, 1_000).finished().unwrap().unwrap_err();
    assert_eq!((refused.status(), refused.reason(), refused.error()), (429, "rate_limited", None));
    assert_eq!(refused.limited_by(), Some(LimitedBy::Address));
    assert_eq!(refused.headers(), [("Cache-Control", "no-store".into()), ("Retry-After", "1".into())]);
    assert_eq!((refused.body(), refused.www_authenticate()), ("", None));
    // Others are not concerned, and the proof is as good as it was.
    assert_eq!(verdict(world.arrives(&[], Some("192.0.2.2"), Some(1_000))), "credentials_missing");
    assert_eq!(verdict(world.shows(&token, &proof, 2_000)), "admitted");
    assert_eq!(verdict(world.shows(&token, &proof, 2_000)), "rate_limited");
    assert_eq!(verdict(world.shows(&token, &proof, 3_000)), "replayed");
}

#[test]
fn a_subscriber_of_ipv6_is_one_address_and_nobody_is_one_too() {
    let world = guarded(Guards::new().limit_addresses(limit(1, 2)));
    let arrive = |peer| verdict(world.arrives(&[], peer, Some(0)));
    for peer in [Some("2001:db8::1"), Some("::ffff:192.0.2.1"), None] {
        assert_eq!(
            (arrive(peer), arrive(peer), arrive(peer)),
            ("credentials_missing", "credentials_missing", "rate_limited")
        );
    }
    assert_eq!(arrive(Some("2001:db8::ffff:1")), "rate_limited");
    assert_eq!(arrive(Some("192.0.2.1")), "rate_limited");
    assert_eq!(arrive(Some("2001:db8:0:1::1")), "credentials_missing");
}

#[test]
fn a_gateway_limits_addresses_too() {
    let world = guarded(Guards::new().limit_addresses(limit(1, 1)).limit_keys(limit(1, 1)));
    let target = TargetUri::parse(URL).unwrap();
    let request = IncomingRequest::new("GET", &target, &[]);
    let check = || world.server.check(&request, NOW).unwrap().finished().unwrap().unwrap_err().reason();
    assert_eq!((check(), check()), ("credentials_missing", "rate_limited"));
}

#[test]
fn a_key_is_charged_for_fresh_proofs_alone() {
    let world = guarded(Guards::new().limit_keys(limit(1, 3)));
    let token = world.bound_token();
    let seen = world.proof(&token);
    assert_eq!(verdict(world.shows(&token, &seen, 0)), "admitted");
    // Whoever captured the request sends it as often as they like, and the key keeps its tokens.
    for _ in 0..100 {
        assert_eq!(verdict(world.shows(&token, &seen, 0)), "replayed");
    }
    // Nor do those drain it who cannot sign: neither its token with another key's proof nor a broken signature is looked at.
    let thief = World::new(policy());
    for _ in 0..100 {
        assert_eq!(verdict(world.shows(&token, &thief.proof(&token), 0)), "binding_mismatch");
        assert_eq!(verdict(world.shows(&token, &resigned(&world.proof(&token), &[1; 64]), 0)), "signature_invalid");
    }
    assert_eq!(world.sends(world.bound(), 0), "admitted");
    assert_eq!(world.sends(world.bound(), 0), "admitted");
    let spared = world.proof(&token);
    let refused = world.shows(&token, &spared, 0).finished().unwrap().unwrap_err();
    assert_eq!((refused.status(), refused.limited_by()), (429, Some(LimitedBy::Key)));
    // The proof was not used up: it is good once there is a token.
    assert_eq!(verdict(world.shows(&token, &spared, 999)), "rate_limited");
    assert_eq!(verdict(world.shows(&token, &spared, 1_000)), "admitted");
    // A token with the same key of another client changes nothing, and another key is another.
    assert_eq!(world.sends(world.bound().with("jti", "other"), 1_000), "rate_limited");
    let mut other = World::new(policy());
    other.client = SoftKey::generate(Algorithm::Es256, &RUSTCRYPTO).unwrap();
    let theirs = world.issuer.token(other.bound());
    assert_eq!(verdict(world.shows(&theirs, &other.proof(&theirs), 1_000)), "admitted");
}

#[test]
fn what_is_under_way_at_once_is_owed_and_only_what_was_fresh() {
    let world = by_host(Guards::new().limit_keys(limit(1, 2)));
    let under_way: Vec<_> = (0..4).map(|_| world.inserts(0)).collect();
    let answers = [Insertion::Fresh, Insertion::Seen, Insertion::Unavailable, Insertion::Fresh];
    let verdicts: Vec<_> = under_way.into_iter().zip(answers).map(|(insert, answer)| says(insert, answer)).collect();
    assert_eq!(verdicts, ["admitted", "replayed", "store_unavailable", "admitted"]);
    assert_eq!(world.sends(world.bound(), 999), "rate_limited");
    // Three more at once, where there is one token: two are owed.
    let under_way: Vec<_> = (0..3).map(|_| world.inserts(1_000)).collect();
    assert!(under_way.into_iter().all(|insert| says(insert, Insertion::Fresh) == "admitted"));
    assert_eq!(world.sends(world.bound(), 3_999), "rate_limited");
    drop(world.inserts(4_000));
    assert_eq!(says(world.inserts(4_000), Insertion::Fresh), "admitted", "a flow that was dropped took nothing");
}

#[test]
fn a_client_is_charged_for_what_is_admitted_whatever_its_keys() {
    let world = guarded(Guards::new().limit_clients(limit(1, 3)));
    let mut other = World::new(policy());
    other.client = SoftKey::generate(Algorithm::Es256, &RUSTCRYPTO).unwrap();
    let theirs = world.issuer.token(other.bound());
    assert_eq!(world.sends(world.bound(), 0), "admitted");
    assert_eq!(verdict(world.shows(&theirs, &other.proof(&theirs), 0)), "admitted");
    // Without a key, by the other scheme.
    let bearer = format!("Bearer {}", world.issuer.token(claims()));
    assert_eq!(verdict(world.arrives(&[("Authorization", &bearer)], None, Some(0))), "admitted");
    let refused = world.arrives(&[("Authorization", &bearer)], None, Some(0)).finished().unwrap().unwrap_err();
    assert_eq!((refused.status(), refused.limited_by()), (429, Some(LimitedBy::Client)));
    assert_eq!(world.sends(world.bound(), 0), "rate_limited");
    // Another client, and tokens that name none, which share what there is.
    let renamed = |name| without(&world.bound(), "client_id").with("client_id", name);
    assert_eq!(world.sends(renamed("other"), 0), "admitted");
    let nameless: Vec<_> = (0..4).map(|_| world.sends(without(&world.bound(), "client_id"), 0)).collect();
    assert_eq!(nameless, ["admitted", "admitted", "admitted", "rate_limited"]);
    assert_eq!(world.sends(world.bound(), 1_000), "admitted");
    assert_eq!(world.sends(world.bound(), 1_000), "rate_limited");
}

#[test]
fn a_store_that_fails_is_left_alone_and_tried_by_one_request() {
    let world = by_host(Guards::new().breaker(BreakerSettings::new(2, 1_000).unwrap()));
    // Whatever a store that works says is a verdict, and ends the row of faults.
    for verdict in [Insertion::Seen, Insertion::Full, Insertion::ShareFull, Insertion::BeforeFloor, Insertion::Fresh] {
        assert_eq!(says(world.inserts(0), Insertion::Unavailable), "store_unavailable");
        says(world.inserts(0), verdict);
    }
    assert_eq!(world.server.breaker_state(Some(0), NOW), Some(BreakerState::Closed));
    assert_eq!(says(world.inserts(0), Insertion::Unavailable), "store_unavailable");
    assert_eq!(says(world.inserts(0), Insertion::Unavailable), "store_unavailable");
    // From here on the answer is there without a step.
    assert_eq!(world.server.breaker_state(Some(0), NOW), Some(BreakerState::Open));
    for ticks in [1, 500, 999] {
        let token = world.bound_token();
        let refused = world.shows(&token, &world.proof(&token), ticks).finished().unwrap().unwrap_err();
        assert_eq!((refused.status(), refused.reason(), refused.limited_by()), (503, "store_unavailable", None));
    }
    assert_eq!(world.server.breaker_state(Some(1_000), NOW), Some(BreakerState::HalfOpen));
    let trial = world.inserts(1_000);
    assert_eq!(world.sends(world.bound(), 1_000), "store_unavailable");
    assert_eq!(says(trial, Insertion::Unavailable), "store_unavailable");
    assert_eq!(world.sends(world.bound(), 1_999), "store_unavailable");
    // A trial whose flow is dropped is followed by another.
    drop(world.inserts(2_000));
    assert_eq!(world.sends(world.bound(), 2_999), "store_unavailable");
    assert_eq!(says(world.inserts(3_000), Insertion::Fresh), "admitted");
    assert_eq!(says(world.inserts(3_000), Insertion::Fresh), "admitted");
    assert_eq!(world.server.breaker_state(Some(3_000), NOW), Some(BreakerState::Closed));
}

#[test]
fn who_is_refused_by_the_breaker_hears_when_it_lets_one_through() {
    let world = by_host(Guards::new().breaker(BreakerSettings::new(2, 30_000).unwrap()));
    let seconds = |refused: Result<Box<Principal>, Box<Refusal>>| {
        let refused = refused.unwrap_err();
        assert_eq!(refused.reason(), "store_unavailable");
        refused.headers().iter().find(|(name, _)| *name == "Retry-After").unwrap().1.parse::<u64>().unwrap()
    };
    let fails = |insert: Insert<Admission>| {
        let unavailable = Inserted::new(Insertion::Unavailable, StoreEpoch::from_u64(1));
        seconds(insert.resume(unavailable, NOW).unwrap().finished().unwrap())
    };
    let refused = |ticks| {
        let token = world.bound_token();
        seconds(world.shows(&token, &world.proof(&token), ticks).finished().unwrap())
    };
    assert_eq!(fails(world.inserts(0)), 5, "it is closed: the next request is let through");
    let late = world.inserts(0);
    assert_eq!(fails(world.inserts(1_000)), 30, "it opens by this one");
    // Seconds, rounded up.
    assert_eq!([1_000, 1_001, 2_000, 30_000, 30_001].map(refused), [30, 30, 29, 1, 1]);
    assert_eq!(fails(late), 1, "a fault of before changes nothing");
    // While one tries, the others hear when another would, and it, if it fails, when the next one will.
    let trial = world.inserts(31_000);
    assert_eq!([31_000, 41_000].map(refused), [30, 20]);
    assert_eq!(fails(trial), 20);
    assert_eq!(refused(61_000 - 1), 1);
    assert_eq!(says(world.inserts(61_000), Insertion::Full), "store_full");
    assert_eq!(fails(world.inserts(61_000)), 5);
}

#[test]
fn intents_are_carried_out_behind_the_same_breaker() {
    let mut world = by_host(Guards::new());
    let paying = policy().with_intents_at("/items").unwrap();
    let paying = paying.with_issuer_keys(ISSUER, KeySource::Given(world.issuer.keys())).unwrap();
    let server = ResourceServer::new(paying, Verifier::new(Policy::default(), &RUSTCRYPTO), Consumption::by_host());
    let guards = Guards::new().breaker(BreakerSettings::new(1, 60_000).unwrap());
    world.server = server.unwrap().guarded_by(&guards).unwrap();
    let details = Value::parse(br#"[{"type":"payment","amount":"5"}]"#).unwrap();
    let token = world.issuer.token(world.bound().with("authorization_details", details).with("jti", "one"));
    let Step::Insert(insert) = world.shows(&token, &world.proof(&token), 5) else { panic!("the store is the host's") };
    let inserted = Inserted::new(Insertion::Fresh, StoreEpoch::from_u64(1));
    let principal = insert.resume(inserted, NOW).unwrap().finished().unwrap().unwrap();
    let carry_out = || world.server.carry_out_by(&principal, NOW, |_| true).unwrap();
    let Step::Insert(insert) = carry_out() else { panic!("the store is asked") };
    let inserted = Inserted::new(Insertion::Unavailable, StoreEpoch::from_u64(1));
    assert!(insert.resume(inserted, NOW).unwrap().finished().unwrap().is_err());
    let refused = carry_out().finished().expect("no step").unwrap_err();
    assert_eq!((refused.status(), refused.reason()), (503, "store_unavailable"));
    assert_eq!(refused.headers(), [("Cache-Control", "no-store".into()), ("Retry-After", "60".into())]);
}

#[test]
fn without_ticks_the_seconds_of_the_clock_count() {
    let world = guarded(Guards::new().limit_addresses(limit(1, 1)));
    let target = TargetUri::parse(URL).unwrap();
    let request = IncomingRequest::new("GET", &target, &[]);
    let ask = |now| world.server.admit(&request, now).unwrap().finished().unwrap().unwrap_err().reason();
    assert_eq!((ask(NOW), ask(NOW)), ("credentials_missing", "rate_limited"));
    assert_eq!(ask(NOW.saturating_add(1)), "credentials_missing");
    // The clock is set back by an hour: after a second there is a token again, not after an hour.
    assert_eq!(ask(NOW.saturating_sub(3_600)), "rate_limited");
    assert_eq!(ask(NOW.saturating_sub(3_599)), "credentials_missing");
}

#[test]
fn clones_count_together_and_new_guards_anew() {
    let world = guarded(Guards::new().limit_addresses(limit(1, 1)));
    let arrive = |world: &World| verdict(world.arrives(&[], Some(HERE), Some(0)));
    assert_eq!(arrive(&world), "credentials_missing");
    let clone = World { server: world.server.clone(), ..World::new(policy()) };
    assert_eq!(arrive(&clone), "rate_limited");
    let server = world.server.clone().guarded_by(&Guards::new()).unwrap();
    let unguarded = World { server, ..World::new(policy()) };
    assert_eq!((arrive(&unguarded), unguarded.server.breaker_state(Some(0), NOW)), ("credentials_missing", None));
    assert!(!format!("{:?}", world.server).contains(HERE));
}
