//! Limits of an authorization server, played with a fake clock.

use super::*;
use crate::guard::{BreakerSettings, Guards, Limit, LimitedBy};

fn limit(burst: u32) -> Limit {
    Limit::per_second(1, burst).unwrap()
}

fn guarded(guards: Guards) -> Setting {
    let plain = plain();
    Setting { server: plain.server.guarded_by(&guards).unwrap(), ..plain }
}

impl Setting {
    /// The verdict about a request that arrives at this moment with this proof.
    fn asked(&self, grant: Grant<'_>, proof: &str, ticks: u64) -> &'static str {
        let target = TargetUri::parse(TOKEN).unwrap();
        let proofs = [proof.as_bytes()];
        let arrival = Arrival { ticks: Some(ticks), ..Arrival::unknown() };
        let request = EndpointRequest::new("POST", &target, &proofs, ClientType::Public, grant).arriving(arrival);
        self.ask(&request, NOW).map_or_else(|refusal| refusal.reason(), |_| "admitted")
    }
}

#[test]
fn addresses_are_limited_before_anything_is_read() {
    let setting = guarded(Guards::new().limit_addresses(limit(2)));
    for expected in ["jwt_malformed", "jwt_malformed", "rate_limited"] {
        assert_eq!(setting.asked(CODE, "x", 0), expected);
    }
    // Nothing is used up: the same request is admitted later.
    let proof = proof(&setting.key, TOKEN, None);
    assert_eq!(setting.asked(CODE, &proof, 0), "rate_limited");
    assert_eq!(setting.asked(CODE, &proof, 1_000), "admitted");
}

#[test]
fn keys_of_stored_grants_are_limited_and_no_others() {
    let setting = guarded(Guards::new().limit_keys(limit(2)));
    let jkt = setting.jkt();
    let stored = Grant::RefreshToken { bound_to: Some(jkt) };
    let seen = proof(&setting.key, TOKEN, None);
    assert_eq!(setting.asked(stored, &seen, 0), "admitted");
    for _ in 0..10 {
        assert_eq!(setting.asked(stored, &seen, 0), "replayed");
    }
    let new = || proof(&setting.key, TOKEN, None);
    assert_eq!(setting.asked(stored, &new(), 0), "admitted");
    assert_eq!(setting.asked(stored, &new(), 0), "rate_limited");
    assert_eq!(setting.asked(Grant::AuthorizationCode { dpop_jkt: Some(jkt) }, &new(), 0), "rate_limited");
    assert_eq!(setting.asked(Grant::Derived { confirmed: &[jkt], may_rebind: false }, &new(), 0), "rate_limited");
    // No grant names these keys, or its sender chose it.
    assert_eq!(setting.asked(Grant::ClientCredentials, &new(), 0), "admitted");
    assert_eq!(setting.asked(CODE, &new(), 0), "admitted");
    assert_eq!(setting.asked(stored, &new(), 1_000), "admitted");
    for _ in 0..2 {
        let announced = Grant::Announcement { dpop_jkt: Some(jkt) };
        assert_eq!(setting.asked(announced, &new(), 1_000), "admitted");
    }
}

#[test]
fn a_store_that_fails_is_left_alone() {
    let (server, key) = super::by_host(key());
    let server = server.guarded_by(&Guards::new().breaker(BreakerSettings::new(1, 2_500).unwrap())).unwrap();
    let target = TargetUri::parse(TOKEN).unwrap();
    let nonce = server.fresh_nonce(StoreEpoch::from_u64(0), NOW).unwrap();
    let sent = proof(&key, TOKEN, Some(nonce.as_str()));
    let proofs = [sent.as_bytes()];
    let ask = |ticks| {
        let arrival = Arrival { ticks: Some(ticks), ..Arrival::unknown() };
        let request = EndpointRequest::new("POST", &target, &proofs, ClientType::Public, CODE).arriving(arrival);
        server.admit(&request, NOW).unwrap()
    };
    let Step::Insert(insert) = ask(0) else { panic!("the store is the host's") };
    assert!(insert.resume(said(Insertion::Unavailable, 0), NOW).unwrap().finished().unwrap().is_err());
    let refusal = ask(999).finished().expect("no step").unwrap_err();
    assert_eq!((refusal.status(), refusal.reason()), (503, "store_unavailable"));
    assert_eq!(refusal.headers(), [("Cache-Control", "no-store".into()), ("Retry-After", "2".into())]);
    let Step::Insert(insert) = ask(2_500) else { panic!("it is tried") };
    assert!(insert.resume(said(Insertion::Fresh, 0), NOW).unwrap().finished().unwrap().is_ok());
}

#[test]
fn clients_are_the_hosts() {
    let refused = plain().server.guarded_by(&Guards::new().limit_clients(limit(1)));
    assert_eq!(refused.map(drop), Err(Misuse::ClientLimit));
    assert_eq!(LimitedBy::Client.name(), "client");
}
