//! What a refused request is told: challenges, errors, nonces and fields.

use super::*;

/// Fault N26: no token at a resource server. R9449-7.2-4, Figure 17.
#[test]
fn without_credentials_nothing_is_said_but_what_to_send() {
    let world = World::new(policy().with_schemes(Schemes::Both));
    let proof = world.proof("token");
    for fields in [
        &[][..],
        &[("DPoP", proof.as_str())],
        &[("Authorization", "Basic YTpi")],
        &[("Authorization", "")],
        &[("Authorization", "DPoPx abc")],
    ] {
        let refusal = world.ask(fields).unwrap_err();
        assert_eq!((refusal.status(), refusal.error(), refusal.reason()), (401, None, "credentials_missing"));
        assert_eq!(refusal.www_authenticate(), Some(format!("DPoP algs=\"{ALGS}\", Bearer").as_str()));
    }
}

/// What the log of a server says of a token whose claims cannot be used.
#[test]
fn a_claim_that_is_missing_or_of_the_wrong_type_is_named() {
    let world = World::new(policy());
    let target = TargetUri::parse(URL).unwrap();
    let without = |name: &str| {
        let bound = world.bound();
        let Value::Object(members) = &bound else { panic!("claims are an object") };
        Value::Object(members.iter().filter(|(member, _)| member != name).cloned().collect())
    };
    for (claims, name, found) in [
        (without("exp"), "exp", "no exp"),
        (without("aud"), "aud", "no aud"),
        (without("iss"), "iss", "no iss"),
        (without("sub"), "sub", "no sub"),
        (world.bound().with("exp", "soon"), "exp", "exp \"soon\""),
        (world.bound().with("aud", 7_u64), "aud", "aud 7"),
    ] {
        let token = world.issuer.token(claims);
        let (authorization, proof) = (format!("DPoP {token}"), world.proof(&token));
        let refused = reason(world.dpop(&token, &proof));
        assert_eq!(refused, "token_claim_invalid", "{name}");
        let fields = [("Authorization", authorization.as_bytes()), ("DPoP", proof.as_bytes())];
        let request = IncomingRequest::new("GET", &target, &fields);
        let told = world.server.difference(refused, &request, NOW).unwrap();
        assert_eq!(told.found, found);
        assert!(told.expected.contains(&format!("a claim {name} ")), "{}", told.expected);
    }
}

/// What the log of a server says of a thief's proof, which lacks a nonce as well: why it was refused.
#[test]
fn what_differs_is_what_the_request_was_refused_for() {
    let world = World::with_nonces();
    let target = TargetUri::parse(URL).unwrap();
    let token = world.bound_token();
    let thief = SoftKey::generate(Algorithm::Es256, &RUSTCRYPTO).unwrap();
    let proof =
        ProofBuilder::new("GET", URL).access_token(&token).sign(&RUSTCRYPTO, &thief, NOW).unwrap().into_string();
    let authorization = format!("DPoP {token}");
    let fields = [("Authorization", authorization.as_bytes()), ("DPoP", proof.as_bytes())];
    let request = IncomingRequest::new("GET", &target, &fields);
    let told = world.server.difference("binding_mismatch", &request, NOW).unwrap();
    assert!(told.expected.contains("a proof by the key with thumbprint"), "{}", told.expected);
    assert!(told.found.contains("a proof by the key with thumbprint"), "{}", told.found);
    let told = world.server.difference("use_dpop_nonce", &request, NOW);
    assert_eq!(told, None, "a reason that no check of this request has");
}

/// What a field without a scheme has is said, and nothing of it is shown.
#[test]
fn a_token_without_its_scheme_is_named() {
    let world = World::new(policy());
    let target = TargetUri::parse(URL).unwrap();
    for (value, found) in [("a.b.c", "no scheme"), ("Basic YTpi", "another scheme"), (" ", "an empty field")] {
        let fields = [("Authorization", value.as_bytes())];
        let request = IncomingRequest::new("GET", &target, &fields);
        let told = world.server.difference("credentials_missing", &request, NOW).unwrap();
        assert!(
            told.found.contains(found) && !told.found.contains("a.b.c") && !told.found.contains("YTpi"),
            "{}",
            told.found
        );
    }
    let request = IncomingRequest::new("GET", &target, &[]);
    assert_eq!(world.server.difference("credentials_missing", &request, NOW), None);
}

/// R9449-7.1-6, 7.1-8, 7.1-9, 7.1-10, 7.1-12, 7.1-13.
#[test]
fn a_challenge_names_realm_error_scope_and_algorithms() {
    let policy = policy().with_realm("items").unwrap().with_challenge_scope("read").unwrap().publishing_metadata();
    let proofs = Policy::default().with_algorithms(AlgorithmSet::of(&[Algorithm::Es256])).unwrap();
    let world = World::judging(policy, Verifier::new(proofs, &RUSTCRYPTO));
    let token = world.issuer.token(world.bound().with("exp", NOW.saturating_sub(60)));
    let refusal = world.dpop(&token, &world.proof(&token)).unwrap_err();
    let expected = [
        ("realm", "items"),
        ("error", "invalid_token"),
        ("error_description", "the access token has expired"),
        ("scope", "read"),
        ("algs", "ES256"),
        ("resource_metadata", "https://api.example.com/.well-known/oauth-protected-resource"),
    ];
    assert_eq!(params(&refusal, "DPoP"), expected.map(|(name, value)| (name.to_string(), value.to_string())));
    let missing = world.dpop(&token, "x").unwrap_err();
    assert_eq!(error(&missing, "DPoP").as_deref(), Some("invalid_dpop_proof"));
    assert!(params(&missing, "DPoP").iter().any(|(name, _)| name == "resource_metadata"));
}

/// R9449-7.1-15.
#[test]
fn scripts_in_browsers_can_read_what_they_need() {
    let refusal = World::new(policy()).ask(&[]).unwrap_err();
    let header = |name| refusal.headers().iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str());
    assert_eq!(header("Access-Control-Expose-Headers"), Some("WWW-Authenticate, DPoP-Nonce, Date"));
    assert_eq!(header("Cache-Control"), Some("no-store"));
}

/// R9449-7.2-5, Figures 18 and 19.
#[test]
fn the_error_stands_in_the_challenge_of_the_scheme_that_was_used() {
    let world = World::new(policy().with_schemes(Schemes::Both));
    let late = world.issuer.token(claims().with("exp", NOW.saturating_sub(60)));
    let refusal = world.bearer(&late).unwrap_err();
    assert_eq!((error(&refusal, "Bearer").as_deref(), error(&refusal, "DPoP")), (Some("invalid_token"), None));
    assert!(params(&refusal, "DPoP").contains(&("algs".into(), ALGS.into())));
    let refusal = world.dpop(&late, &world.proof(&late)).unwrap_err();
    assert_eq!((error(&refusal, "DPoP").as_deref(), error(&refusal, "Bearer")), (Some("invalid_token"), None));
    let refusal = world.dpop(&late, "x").unwrap_err();
    assert_eq!((error(&refusal, "DPoP").as_deref(), error(&refusal, "Bearer")), (Some("invalid_dpop_proof"), None));
}

/// R9449-7.2-6.
#[test]
fn two_sets_of_credentials_are_a_bad_request() {
    let world = World::new(policy().with_schemes(Schemes::Both));
    let token = world.bound_token();
    let (dpop, bearer) = (format!("DPoP {token}"), format!("Bearer {token}"));
    let folded = format!("{bearer}, {dpop}");
    let proof = world.proof(&token);
    for fields in [
        &[("Authorization", dpop.as_str()), ("Authorization", &bearer), ("DPoP", &proof)][..],
        &[("Authorization", &dpop), ("AUTHORIZATION", &dpop), ("DPoP", &proof)],
        &[("Authorization", &folded), ("DPoP", &proof)],
    ] {
        let refusal = world.ask(fields).unwrap_err();
        assert_eq!((refusal.status(), refusal.error()), (400, Some("invalid_request")));
        assert_eq!(error(&refusal, "DPoP").as_deref(), Some("invalid_request"));
        assert_eq!(error(&refusal, "Bearer").as_deref(), Some("invalid_request"));
    }
}

/// R9449-9-2.
#[test]
fn a_wanted_nonce_is_asked_for_by_its_own_error() {
    let world = World::with_nonces();
    let token = world.bound_token();
    let refusal = world.dpop(&token, &world.proof(&token)).unwrap_err();
    assert_eq!((refusal.status(), refusal.error(), refusal.reason()), (401, Some("use_dpop_nonce"), "nonce_missing"));
    assert_eq!(error(&refusal, "DPoP").as_deref(), Some("use_dpop_nonce"));
    let nonce = refusal.dpop_nonce().unwrap().as_str();
    assert!(refusal.headers().contains(&("DPoP-Nonce", nonce.to_string())));
    let proof = world.make(ProofBuilder::new("GET", URL).access_token(&token).nonce(nonce));
    assert_eq!(reason(world.dpop(&token, &proof)), "admitted");
    let foreign = nonces("other").issue(Role::ResourceServer, None, world.store.epoch(), NOW).unwrap();
    let token_side = nonces("api").issue(Role::AuthorizationServer, None, world.store.epoch(), NOW).unwrap();
    for wrong in ["made-up", foreign.as_str(), token_side.as_str()] {
        let proof = world.make(ProofBuilder::new("GET", URL).access_token(&token).nonce(wrong));
        let refusal = world.dpop(&token, &proof).unwrap_err();
        assert_eq!((refusal.error(), refusal.dpop_nonce().is_some()), (Some("use_dpop_nonce"), true));
    }
}

/// A client is asked for a nonce only if it would be let in with one.
#[test]
fn form_token_and_signature_are_judged_before_a_nonce_is_asked_for() {
    let world = World::with_nonces();
    let thief = World::with_nonces();
    let token = world.bound_token();
    let late = world.issuer.token(world.bound().with("exp", NOW.saturating_sub(60)));
    let tampered = resigned(&world.proof(&token), &[1; 64]);
    for (token, proof, expected) in [
        (&token, String::from("a.b.c"), "invalid_dpop_proof"),
        (&token, world.make(ProofBuilder::new("PUT", URL).access_token(&token)), "invalid_dpop_proof"),
        (&token, world.make(ProofBuilder::new("GET", URL)), "invalid_dpop_proof"),
        (&token, tampered, "invalid_dpop_proof"),
        (&late, world.proof(&late), "invalid_token"),
        (&token, thief.proof(&token), "invalid_token"),
    ] {
        assert_eq!(world.dpop(token, &proof).unwrap_err().error(), Some(expected));
    }
}

/// R9449-8.2: the next nonce comes with an answer, which is then not to be cached.
#[test]
fn a_nonce_that_ends_soon_is_followed_by_the_next() {
    let world = World::with_nonces();
    let token = world.bound_token();
    let early = nonces("api").issue(Role::ResourceServer, None, world.store.epoch(), NOW.saturating_sub(30)).unwrap();
    let proof = world.make(ProofBuilder::new("GET", URL).access_token(&token).nonce(early.as_str()));
    let principal = world.dpop(&token, &proof).unwrap();
    let next = principal.next_nonce().unwrap().as_str();
    assert_ne!(next, early.as_str());
    assert_eq!(principal.headers(), [("DPoP-Nonce", next), ("Cache-Control", "no-store")]);
}

/// R6750-3.1.
#[test]
fn errors_have_the_status_of_rfc_6750() {
    let world = World::new(policy().with_schemes(Schemes::Both));
    let token = world.bound_token();
    let principal = world.dpop(&token, &world.proof(&token)).unwrap();
    assert!(world.server.require_scopes(&principal, &["read", "write"]).is_ok());
    let refusal = world.server.require_scopes(&principal, &["read", "admin"]).unwrap_err();
    assert_eq!((refusal.status(), refusal.error()), (403, Some("insufficient_scope")));
    assert!(params(&refusal, "DPoP").contains(&("scope".into(), "read admin".into())));
    assert_eq!(error(&refusal, "Bearer"), None);
    for rejection in TokenRejection::ALL {
        let text = rejection.to_string();
        let expected = match rejection.error() {
            None => 401,
            Some("invalid_request") => 400,
            Some("invalid_token") => 401,
            Some("insufficient_scope") => 403,
            Some(other) => panic!("{other}"),
        };
        assert_eq!(rejection.status(), expected, "{text}");
        assert!(!text.ends_with('.') && text.chars().next().is_some_and(char::is_lowercase), "{text}");
    }
    assert_eq!(world.server.refuse_target().status(), 400);
}
