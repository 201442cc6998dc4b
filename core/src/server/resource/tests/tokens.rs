//! Which access tokens are good: JWTs, introspection answers and their bindings.

use super::*;

/// R9068-4.
#[test]
fn a_jwt_access_token_is_checked_for_type_issuer_audience_time_and_signature() {
    let world = World::new(policy());
    let other = Issuer::new();
    let text = |value: &str| Value::from(value);
    let at = |seconds: i64| Value::from(NOW.secs().saturating_add(seconds));
    let several: Value = ["https://other.example", RESOURCE].into_iter().collect();
    for (name, value, expected) in [
        ("iss", text("https://as.example.com/"), "issuer_mismatch"),
        ("iss", Value::Null, "token_claim_invalid"),
        ("aud", text("https://api.example.com"), "audience_mismatch"),
        ("aud", several, "admitted"),
        ("aud", Value::from(Vec::new()), "audience_mismatch"),
        ("aud", Value::from(1_i64), "token_claim_invalid"),
        ("exp", at(-9), "admitted"),
        ("exp", at(-10), "token_expired"),
        ("exp", text("9999999999"), "token_claim_invalid"),
        ("nbf", at(10), "admitted"),
        ("nbf", at(11), "token_not_yet_valid"),
        ("iat", at(11), "token_not_yet_valid"),
        ("iat", Value::Number("1e400".into()), "token_not_yet_valid"),
        ("exp", Value::Number("-1e400".into()), "token_expired"),
        ("sub", Value::Bool(true), "token_claim_invalid"),
        ("scope", Value::from(1_i64), "token_claim_invalid"),
    ] {
        let shown = value.to_json();
        assert_eq!(world.verdict(world.bound().with(name, value)), expected, "{name} {shown}");
    }
    for missing in ["iss", "aud", "exp", "sub"] {
        assert_eq!(world.verdict(without(&world.bound(), missing)), "token_claim_invalid", "{missing}");
    }
    let judge = |token: &str| reason(world.dpop(token, &world.proof(token)));
    assert_eq!(judge(&other.token(world.bound())), "token_signature_invalid");
    let claims = world.bound().to_json();
    for (header, expected) in [
        (r#"{"typ":"application/at+jwt","alg":"ES256","kid":"k1"}"#, "admitted"),
        (r#"{"typ":"AT+JWT","alg":"ES256"}"#, "admitted"),
        (r#"{"typ":"JWT","alg":"ES256","kid":"k1"}"#, "token_typ_mismatch"),
        (r#"{"typ":"dpop+jwt","alg":"ES256","kid":"k1"}"#, "token_typ_mismatch"),
        (r#"{"alg":"ES256","kid":"k1"}"#, "token_typ_mismatch"),
        (r#"{"typ":"at+jwt","alg":"ES256","kid":"k2"}"#, "token_key_unknown"),
        (r#"{"typ":"at+jwt","alg":"PS256","kid":"k1"}"#, "token_key_unknown"),
        (r#"{"typ":"at+jwt","alg":"none","kid":"k1"}"#, "token_alg_not_permitted"),
        (r#"{"typ":"at+jwt","alg":"HS256","kid":"k1"}"#, "token_alg_not_permitted"),
        (r#"{"typ":"at+jwt","alg":"ES512","kid":"k1"}"#, "token_alg_not_permitted"),
        (r#"{"typ":"at+jwt","kid":"k1"}"#, "token_alg_not_permitted"),
        (r#"{"typ":"at+jwt","alg":"ES256","kid":"k1","crit":["x"],"x":1}"#, "token_crit_unsupported"),
        (r#"{"typ":"at+jwt","alg":"ES256","alg":"ES256"}"#, "token_malformed"),
        (r#"{"typ":"at+jwt","alg":"ES256","kid":1}"#, "token_malformed"),
    ] {
        assert_eq!(judge(&world.issuer.sign(header, &claims)), expected, "{header}");
    }
    assert_eq!(judge(&resigned(&world.bound_token(), &[])), "token_signature_invalid");
    assert_eq!(judge("opaque"), "token_malformed");
}

#[test]
fn client_id_can_be_required() {
    for (policy, expected) in [(policy(), "admitted"), (policy().requiring_client_id(), "token_claim_invalid")] {
        let world = World::new(policy);
        assert_eq!(world.verdict(world.bound()), "admitted");
        assert_eq!(world.verdict(without(&world.bound(), "client_id")), expected);
    }
}

/// R8705-3.
#[test]
fn every_confirmation_that_is_known_must_hold() {
    let mut world = World::new(policy().with_schemes(Schemes::Both));
    let hash = base64url::encode(&CERTIFICATE);
    let with = |world: &World, cnf: Value| world.verdict(claims().with("cnf", cnf));
    let both = |world: &World| Value::object().with("jkt", world.jkt()).with("x5t#S256", hash.as_str());
    assert_eq!(with(&world, both(&world)), "certificate_mismatch");
    world.certificate = Some([8; 32]);
    assert_eq!(with(&world, both(&world)), "certificate_mismatch");
    world.certificate = Some(CERTIFICATE);
    assert_eq!(with(&world, both(&world)), "admitted");
    let other = Value::object().with("jkt", base64url::encode(&[1; 32])).with("x5t#S256", hash.as_str());
    assert_eq!(with(&world, other), "binding_mismatch");
    let certificate_only = Value::object().with("x5t#S256", hash.as_str());
    assert_eq!(with(&world, certificate_only.clone()), "token_unbound");
    let token = world.issuer.token(claims().with("cnf", certificate_only));
    assert_eq!(reason(world.bearer(&token)), "admitted");
    world.certificate = None;
    assert_eq!(reason(world.bearer(&token)), "certificate_mismatch");
    for (cnf, expected) in [
        (Value::object().with("kid", "x"), "confirmation_unknown"),
        (Value::object().with("jwk", Value::object()), "confirmation_unknown"),
        (Value::object().with("jwk", Value::Null), "confirmation_invalid"),
        (Value::object(), "confirmation_invalid"),
        (Value::Null, "confirmation_invalid"),
        (Value::object().with("jkt", format!("{}=", world.jkt())), "confirmation_invalid"),
        (Value::object().with("jkt", Value::Null), "confirmation_invalid"),
        (Value::object().with("x5t#S256", "AAAA"), "confirmation_invalid"),
        (Value::object().with("x5t#S256", Value::Null).with("jkt", world.jkt()), "confirmation_invalid"),
    ] {
        let shown = cnf.to_json();
        assert_eq!(with(&world, cnf), expected, "{shown}");
    }
}

/// What an authorization server is handed in exchange is read by the same rules.
#[test]
fn a_confirmed_key_is_read_like_that_of_an_access_token() {
    let world = World::new(policy());
    let key = |cnf: Value| crate::server::resource::confirmed_key(&claims().with("cnf", cnf), RUSTCRYPTO.digest);
    let jkt = Value::object().with("jkt", world.jkt());
    let own = world.client.public_key().thumbprint(RUSTCRYPTO.digest);
    assert_eq!(key(jkt.clone().with("any", 1_i64)), Ok(Some(own)));
    assert_eq!(crate::server::resource::confirmed_key(&claims(), RUSTCRYPTO.digest), Ok(None));
    let hash = base64url::encode(&CERTIFICATE);
    assert_eq!(key(jkt.with("x5t#S256", hash)), Err(TokenRejection::CertificateMismatch));
    assert_eq!(key(Value::object().with("kid", "x")), Err(TokenRejection::ConfirmationUnknown));
    assert_eq!(key(Value::Null), Err(TokenRejection::ConfirmationInvalid));
}

/// R7800-3.1: Keycloak 26.7 writes such tokens.
#[test]
fn a_confirmation_of_an_unknown_name_is_ignored_beside_one_that_is_checked() {
    let mut world = World::new(policy().with_introspection(Introspection::by_host()).with_schemes(Schemes::Both));
    let hash = base64url::encode(&CERTIFICATE);
    let own = Value::parse(world.client.public_key().to_json().as_bytes()).unwrap();
    let other =
        Value::parse(SoftKey::generate(Algorithm::Es256, &RUSTCRYPTO).unwrap().public_key().to_json().as_bytes());
    let jkt = Value::object().with("jkt", world.jkt());
    for (cnf, expected) in [
        (jkt.clone().with("kid", "x"), "admitted"),
        (jkt.clone().with("any", Value::Null), "admitted"),
        (jkt.clone().with("any", Value::object().with("jkt", "x")), "admitted"),
        (jkt.clone().with("jwk", own.clone()), "admitted"),
        (jkt.clone().with("jwk", own.clone().with("kid", "k1")), "admitted"),
        (jkt.clone().with("jwk", other.unwrap()), "confirmation_invalid"),
        (jkt.clone().with("jwk", Value::object()), "confirmation_invalid"),
        (jkt.clone().with("jwk", Value::Null), "confirmation_invalid"),
        (jkt.clone().with("jwk", own.clone().with("d", "AAAA")), "confirmation_invalid"),
        (jkt.clone().with("x5t#S256", hash.as_str()).with("any", 1_i64), "certificate_mismatch"),
        (Value::object().with("jwk", own.clone()), "confirmation_unknown"),
        (Value::object().with("any", world.jkt()).with("other", 1_i64), "confirmation_unknown"),
        (Value::object().with("x5t#S256", hash.as_str()).with("jwk", own.clone()), "confirmation_unknown"),
        (Value::object().with("x5t#S256", hash.as_str()).with("any", 1_i64), "certificate_mismatch"),
    ] {
        let shown = cnf.to_json();
        assert_eq!(world.verdict(claims().with("cnf", cnf.clone())), expected, "{shown}");
        world.answer = Some(Value::object().with("active", true).with("cnf", cnf).to_json());
        assert_eq!(reason(world.dpop("opaque", &world.proof("opaque"))), expected, "introspected: {shown}");
    }
    world.certificate = Some(CERTIFICATE);
    let bound = Value::object().with("x5t#S256", hash.as_str()).with("any", 1_i64);
    assert_eq!(reason(world.bearer(&world.issuer.token(claims().with("cnf", bound)))), "admitted");
}

/// R9449-6-1: `cnf.jkt` of an introspection answer.
#[test]
fn introspection_says_whether_a_token_is_active_and_bound() {
    let policy =
        ResourcePolicy::new(RESOURCE).unwrap().with_introspection(Introspection::by_host()).with_schemes(Schemes::Both);
    let mut world = World::new(policy);
    assert_eq!(reason(world.dpop("opaque", &world.proof("opaque"))), "introspection_unavailable");
    let active = Value::object().with("active", true);
    let bound = active.clone().with("cnf", Value::object().with("jkt", world.jkt()));
    let at = |seconds: i64| Value::from(NOW.secs().saturating_add(seconds));
    let unclear = ("introspection_unavailable", "introspection_unavailable");
    for (number, (answer, dpop, bearer)) in [
        (bound.clone(), "admitted", "token_bound"),
        (bound.clone().with("token_type", "dpop"), "admitted", "token_bound"),
        (bound.clone().with("token_type", "Bearer"), "token_unbound", "token_bound"),
        (active.clone(), "token_unbound", "admitted"),
        (active.clone().with("token_type", "DPoP"), "token_unbound", "token_bound"),
        (bound.clone().with("active", false), "token_inactive", "token_inactive"),
        // What is no answer says nothing about the token: its client is not told that the token is at fault.
        (bound.clone().with("active", "true"), unclear.0, unclear.1),
        (Value::object(), unclear.0, unclear.1),
        (Value::Null, unclear.0, unclear.1),
        (bound.clone().with("aud", RESOURCE), "admitted", "token_bound"),
        (bound.clone().with("aud", "https://other.example"), "audience_mismatch", "audience_mismatch"),
        (bound.clone().with("exp", at(-10)), "token_expired", "token_expired"),
        (bound.clone().with("nbf", at(11)), "token_not_yet_valid", "token_not_yet_valid"),
    ]
    .into_iter()
    .enumerate()
    {
        // What is inactive is remembered for a while.
        let token = format!("opaque-{number}");
        world.answer = Some(answer.to_json());
        assert_eq!(reason(world.dpop(&token, &world.proof(&token))), dpop, "{}", answer.to_json());
        assert_eq!(reason(world.bearer(&token)), bearer, "{}", answer.to_json());
    }
    world.answer = Some(bound.with("pad", " ".repeat(crate::server::resource::MAX_ANSWER_LEN)).to_json());
    assert_eq!(reason(world.dpop("opaque", &world.proof("opaque"))), "introspection_unavailable");
}

#[test]
fn jwts_of_known_issuers_are_not_introspected() {
    let mut world = World::new(policy().with_introspection(Introspection::by_host()));
    world.answer = Some(String::from(r#"{"active":false}"#));
    assert_eq!(world.verdict(world.bound()), "admitted");
    assert_eq!(world.verdict(world.bound().with("iss", "https://other.example")), "token_inactive");
    assert_eq!(reason(world.dpop("opaque", &world.proof("opaque"))), "token_inactive");
}

#[test]
fn an_introspection_answer_of_another_issuer_is_refused() {
    // One endpoint may answer for several issuers: without this check a token of any of them would open this resource.
    let verdict = |policy: ResourcePolicy, iss: Option<&str>| {
        let mut world = World::new(policy.with_introspection(Introspection::by_host()));
        let answer = Value::object().with("active", true).with("cnf", Value::object().with("jkt", world.jkt()));
        world.answer = Some(answer.with_some("iss", iss).to_json());
        let proof = world.proof("opaque");
        reason(world.dpop("opaque", &proof))
    };
    let any = || ResourcePolicy::new(RESOURCE).unwrap();
    assert_eq!(verdict(policy(), Some(ISSUER)), "admitted");
    assert_eq!(verdict(policy(), Some("https://other.example")), "issuer_mismatch");
    // An answer need not name its issuer (RFC 7662 section 2.2), and a resource need not know one.
    assert_eq!(verdict(policy(), None), "admitted");
    assert_eq!(verdict(any(), Some("https://other.example")), "admitted");
}

#[test]
fn a_token_that_no_one_signed_costs_no_memory() {
    // It is known by its claims alone until its signature is checked, so that lists and scopes are not taken apart before.
    let world = World::new(policy());
    let list = |text: &str, count: usize| Value::Array(core::iter::repeat_n(Value::from(text), count).collect());
    assert_eq!(world.verdict(world.bound().with("aud", list(RESOURCE, 50))), "admitted");
    assert_eq!(world.verdict(world.bound().with("aud", list(RESOURCE, 70))), "token_malformed");
    assert_eq!(world.verdict(world.bound().with("any", list("a", 400))), "admitted");
    assert_eq!(world.verdict(world.bound().with("any", list("a", 520))), "token_malformed");
}
