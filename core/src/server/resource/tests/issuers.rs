//! Tokens of servers that do not write what RFC 9068 says, and members that are null. The vectors in `tests/vectors/tokens` show each
//! profile; here is what they leave out.

use super::*;
use crate::server::resource::IssuerProfile;

fn keycloak() -> ResourcePolicy {
    ResourcePolicy::new(RESOURCE).unwrap().with_issuer_profile(ISSUER, IssuerProfile::keycloak()).unwrap()
}

/// What a Keycloak access token has beside the claims of the others.
fn of_keycloak(claims: Value) -> Value {
    without(&claims, "client_id").with("typ", "DPoP").with("azp", "app")
}

#[test]
fn null_is_absent_where_a_member_describes_and_refuses_where_it_decides() {
    let mut world = World::new(policy().with_introspection(Introspection::by_host()));
    for name in ["scope", "client_id", "iat", "nbf", "jti", "username"] {
        assert_eq!(world.verdict(world.bound().with(name, Value::Null)), "admitted", "{name}");
    }
    for name in ["iss", "aud", "exp", "sub"] {
        assert_eq!(world.verdict(world.bound().with(name, Value::Null)), "token_claim_invalid", "{name}");
    }
    assert_eq!(world.verdict(world.bound().with("cnf", Value::Null)), "confirmation_invalid");

    let active = Value::object().with("active", true).with("cnf", Value::object().with("jkt", world.jkt()));
    for (name, expected) in [
        ("active", "introspection_unavailable"),
        ("scope", "admitted"),
        ("client_id", "admitted"),
        ("sub", "admitted"),
        ("username", "admitted"),
        ("iat", "admitted"),
        ("nbf", "admitted"),
        ("iss", "token_claim_invalid"),
        ("aud", "token_claim_invalid"),
        ("exp", "token_claim_invalid"),
        ("token_type", "token_claim_invalid"),
        ("cnf", "confirmation_invalid"),
    ] {
        world.answer = Some(active.clone().with(name, Value::Null).to_json());
        assert_eq!(reason(world.dpop("opaque", &world.proof("opaque"))), expected, "{name}");
    }
}

#[test]
fn scopes_are_one_text_or_an_array_and_nothing_else() {
    let mut world = World::new(policy().with_introspection(Introspection::by_host()));
    let array = |texts: &[&str]| texts.iter().copied().collect::<Value>();
    for (scope, expected) in [
        (Value::from("read  write"), Ok(2)),
        (array(&["read", "write"]), Ok(2)),
        (array(&[]), Ok(0)),
        (Value::Null, Ok(0)),
        // One element is one scope, so that this is not "admin".
        (array(&["read admin"]), Ok(1)),
        (Value::from(alloc::vec![Value::from("read"), Value::Null]), Err("token_claim_invalid")),
        (Value::object(), Err("token_claim_invalid")),
    ] {
        let shown = scope.to_json();
        let token = world.issuer.token(world.bound().with("scope", scope.clone()));
        let of_token = world.dpop(&token, &world.proof(&token));
        let bound = Value::object().with("active", true).with("cnf", Value::object().with("jkt", world.jkt()));
        world.answer = Some(bound.with("scope", scope).to_json());
        let of_answer = world.dpop("opaque", &world.proof("opaque"));
        for result in [of_token, of_answer] {
            assert!(result.as_ref().is_ok_and(|principal| !principal.has_scope("admin")) || result.is_err());
            let found = result.map(|principal| principal.scopes().count()).map_err(|refusal| refusal.reason());
            assert_eq!(found, expected, "{shown}");
        }
    }
}

#[test]
fn the_profile_is_that_of_the_issuer_which_the_token_names() {
    let world = World::new(keycloak().with_issuer("https://other.example").unwrap());
    assert_eq!(world.verdict(of_keycloak(world.bound())), "admitted");
    let sign = |typ: &str, claims: Value| {
        let header = format!(r#"{{"typ":"{typ}","alg":"ES256","kid":"k1"}}"#);
        let token = world.issuer.sign(&header, &claims.to_json());
        reason(world.dpop(&token, &world.proof(&token)))
    };
    assert_eq!(sign("JWT", of_keycloak(world.bound())), "admitted");
    assert_eq!(sign("JWT", of_keycloak(world.bound()).with("iss", "https://other.example")), "token_typ_mismatch");
    assert_eq!(sign("JWT", of_keycloak(world.bound()).with("iss", "https://third.example")), "token_typ_mismatch");
    assert_eq!(sign("at+jwt", world.bound()), "not_access_token");
    // One that is too long to be looked at is another one, and not none.
    let okta = ResourcePolicy::new(RESOURCE).unwrap().with_issuer_profile(ISSUER, IssuerProfile::okta()).unwrap();
    let world = World::new(okta);
    let claims = world.bound().with("cid", "app").to_json();
    for (typ, expected) in [
        (String::new(), "token_typ_mismatch"),
        ("x".repeat(65), "token_typ_mismatch"),
        ("\\u0078".repeat(65), "token_typ_mismatch"),
        ("jwt".into(), "admitted"),
        ("dpop+jwt".into(), "token_typ_mismatch"),
        ("secevent+jwt".into(), "token_typ_mismatch"),
    ] {
        let token = world.issuer.sign(&format!(r#"{{"typ":"{typ}","alg":"ES256","kid":"k1"}}"#), &claims);
        assert_eq!(reason(world.dpop(&token, &world.proof(&token))), expected, "{typ}");
    }
}

#[test]
fn the_last_profile_of_an_issuer_counts() {
    let world = World::new(keycloak().with_issuer_profile(ISSUER, IssuerProfile::rfc9068()).unwrap());
    assert_eq!(world.verdict(world.bound()), "admitted");
    assert_eq!(world.server.policy().issuers().collect::<Vec<_>>(), [ISSUER]);
}

#[test]
fn a_client_can_be_required_of_any_profile() {
    let world = World::new(keycloak().requiring_client_id());
    assert_eq!(world.verdict(of_keycloak(world.bound())), "admitted");
    assert_eq!(
        world.verdict(without(&of_keycloak(world.bound()), "azp").with("client_id", "app")),
        "token_claim_invalid"
    );
}

/// With DPoP an ID token fails for want of a binding, so that a service may call itself.
#[test]
fn a_token_for_its_own_client_is_refused_where_bearer_is_accepted() {
    for (schemes, expected) in [(Schemes::DpopOnly, "admitted"), (Schemes::Both, "audience_is_client")] {
        let world = World::new(keycloak().with_audience("app").with_schemes(schemes));
        let own = of_keycloak(world.bound());
        assert_eq!(world.verdict(own.clone().with("aud", "app")), expected);
        let both: Value = ["app", RESOURCE].into_iter().collect();
        assert_eq!(world.verdict(own.with("aud", both)), "admitted");
        // The form of RFC 9068 says what it is.
        let world = World::new(policy().with_audience("app").with_schemes(schemes));
        assert_eq!(world.verdict(world.bound().with("aud", "app")), "admitted");
    }
}

#[test]
fn an_introspection_answer_is_read_by_the_profile_of_its_issuer() {
    let verdict = |policy: ResourcePolicy, change: &dyn Fn(Value) -> Value| {
        let mut world = World::new(policy);
        let bound = Value::object().with("active", true).with("aud", RESOURCE);
        let answer = bound.with("cnf", Value::object().with("jkt", world.jkt()));
        world.answer = Some(change(answer).to_json());
        let proof = world.proof("opaque");
        reason(world.dpop("opaque", &proof))
    };
    let own = |answer: Value| answer.with("typ", "DPoP").with("azp", "app");
    let named = |answer: Value| own(answer).with("iss", ISSUER);
    let one = || keycloak().with_introspection(Introspection::by_host());
    assert_eq!(verdict(one(), &named), "admitted");
    assert_eq!(verdict(one(), &own), "admitted");
    assert_eq!(verdict(one(), &|answer| answer), "not_access_token");
    assert_eq!(verdict(one(), &|answer| own(answer).with("typ", "Refresh")), "not_access_token");
    assert_eq!(verdict(one(), &|answer| without(&own(answer), "aud")), "token_claim_invalid");
    assert_eq!(verdict(one(), &|answer| own(answer).with("iss", "https://other.example")), "issuer_mismatch");
    // Of two that differ, an answer has to say which it is from, unless the policy says how to read it.
    let two = || one().with_issuer("https://other.example").unwrap();
    assert_eq!(verdict(two(), &own), "issuer_mismatch");
    assert_eq!(verdict(two(), &named), "admitted");
    assert_eq!(verdict(two(), &|answer| answer.with("iss", "https://other.example")), "admitted");
    let chosen = || two().with_introspection_profile(IssuerProfile::keycloak());
    assert_eq!(verdict(chosen(), &own), "admitted");
    assert_eq!(verdict(chosen(), &|answer| answer), "not_access_token");
    // Without issuers all tokens are introspected.
    let any = || ResourcePolicy::new(RESOURCE).unwrap().with_introspection(Introspection::by_host());
    let alone = || any().with_introspection_profile(IssuerProfile::keycloak());
    assert_eq!(verdict(alone(), &own), "admitted");
    assert_eq!(verdict(alone(), &|answer| without(&own(answer), "aud")), "token_claim_invalid");
    // Whatever the profile, an answer about a token of another kind opens nothing.
    assert_eq!(verdict(any(), &|answer| answer), "admitted");
    for (name, kind) in [("typ", "Refresh"), ("typ", "ID"), ("token_use", "refresh_token"), ("token_use", "id")] {
        assert_eq!(verdict(any(), &|answer| answer.with(name, kind)), "not_access_token", "{kind}");
    }
}

#[test]
fn every_profile_is_found_by_its_name() {
    for profile in IssuerProfile::ALL {
        assert_eq!(IssuerProfile::from_name(profile.name()), Some(*profile));
    }
    assert_eq!(IssuerProfile::from_name("Keycloak"), None);
}

#[test]
fn another_kind_of_token_is_not_asked_about_or_believed() {
    let mut world = World::new(policy().with_introspection(Introspection::by_host()));
    let active = Value::object().with("active", true).with("cnf", Value::object().with("jkt", world.jkt()));
    for (name, kind) in [
        ("typ", "Refresh"),
        ("typ", "refresh+jwt"),
        ("typ", "Offline"),
        ("typ", "logout+jwt"),
        ("token_use", "ID"),
        ("token_use", "Refresh_Token"),
    ] {
        world.answer = Some(active.clone().with(name, kind).to_json());
        assert_eq!(reason(world.dpop("opaque", &world.proof("opaque"))), "not_access_token", "{name} {kind}");
    }
    world.answer = Some(active.clone().with("token_use", Value::from_iter(["refresh"])).to_json());
    assert_eq!(reason(world.dpop("opaque", &world.proof("opaque"))), "not_access_token");
    for (name, kind) in [("typ", "Bearer"), ("token_use", "access"), ("token_type", "DPoP")] {
        world.answer = Some(active.clone().with(name, kind).to_json());
        assert_eq!(reason(world.dpop("opaque", &world.proof("opaque"))), "admitted", "{name} {kind}");
    }
    // The issuer's own word in the header counts, whatever the answer would be. `JWT` leaves open what a token is.
    world.answer = Some(active.to_json());
    for (typ, expected) in
        [("logout+jwt", "token_typ_mismatch"), ("dpop+jwt", "token_typ_mismatch"), ("JWT", "admitted")]
    {
        let header = format!(r#"{{"typ":"{typ}","alg":"ES256","kid":"k1"}}"#);
        let token = world.issuer.sign(&header, &world.bound().to_json());
        assert_eq!(reason(world.dpop(&token, &world.proof(&token))), expected, "{typ}");
    }
}
