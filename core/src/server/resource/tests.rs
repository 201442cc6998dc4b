//! A protected resource, its issuer and its clients, played with a fake clock.

mod intents;

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::{Access, IncomingRequest, Principal, ResourcePolicy, ResourceServer, Schemes, TokenRejection};
use crate::base64url;
use crate::crypto::SigningKey;
use crate::http::challenge::Challenge;
use crate::json::Value;
use crate::key::Signer;
use crate::key::soft::SoftKey;
use crate::nonce::Role;
use crate::nonce::issuer::NonceIssuer;
use crate::replay::{Insertion, ReplayStore, memory::MemoryStore};
use crate::server::JwkSet;
use crate::{
    Algorithm, AlgorithmSet, Misuse, Policy, ProofBuilder, RUSTCRYPTO, Refusal, TargetUri, UnixTime, Verifier,
};

const NOW: UnixTime = UnixTime::from_secs(1_700_000_000);
const RESOURCE: &str = "https://api.example.com/";
const URL: &str = "https://api.example.com/items";
const ISSUER: &str = "https://as.example.com";
const ALGS: &str = "ES256 Ed25519 EdDSA PS256";
const CERTIFICATE: [u8; 32] = [7; 32];

struct Issuer(Box<dyn SigningKey>);

impl Issuer {
    fn new() -> Self {
        let signer = RUSTCRYPTO.signer(Algorithm::Es256).unwrap();
        let key = signer.generate(RUSTCRYPTO.random).unwrap();
        Self(signer.load(&key).unwrap())
    }

    fn keys(&self) -> JwkSet {
        JwkSet::default().with_key(Some("k1"), self.0.public_key().clone())
    }

    fn sign(&self, header: &str, claims: &str) -> String {
        let input = format!("{}.{}", base64url::encode(header.as_bytes()), base64url::encode(claims.as_bytes()));
        let signature = self.0.sign(input.as_bytes(), RUSTCRYPTO.random).unwrap();
        format!("{input}.{}", base64url::encode(signature.as_bytes()))
    }

    fn token(&self, claims: Value) -> String {
        self.sign(r#"{"typ":"at+jwt","alg":"ES256","kid":"k1"}"#, &claims.to_json())
    }
}

/// Claims that pass, bound to nothing.
fn claims() -> Value {
    Value::object()
        .with("iss", ISSUER)
        .with("aud", RESOURCE)
        .with("sub", "alice")
        .with("client_id", "app")
        .with("scope", "read write")
        .with("iat", NOW)
        .with("exp", NOW.saturating_add(300))
}

fn without(claims: &Value, name: &str) -> Value {
    let Value::Object(members) = claims else { return Value::Null };
    Value::Object(members.iter().filter(|(known, _)| known != name).cloned().collect())
}

struct World {
    issuer: Issuer,
    client: SoftKey,
    server: ResourceServer,
    store: MemoryStore,
    certificate: Option<[u8; 32]>,
    answer: Option<String>,
}

fn policy() -> ResourcePolicy {
    ResourcePolicy::new(RESOURCE).unwrap().with_issuer(ISSUER).unwrap()
}

fn nonces(namespace: &str) -> NonceIssuer {
    let key = crate::nonce::issuer::NonceKey::from_secret(1, [9; 32]).unwrap();
    NonceIssuer::new(RUSTCRYPTO.mac, crate::nonce::issuer::NonceKeys::new(key), namespace)
}

impl World {
    fn new(policy: ResourcePolicy) -> Self {
        Self::judging(policy, Verifier::new(Policy::default(), &RUSTCRYPTO))
    }

    fn with_nonces() -> Self {
        Self::judging(policy(), Verifier::new(Policy::default(), &RUSTCRYPTO).with_nonces(nonces("api")))
    }

    fn judging(policy: ResourcePolicy, verifier: Verifier) -> Self {
        let before = NOW.saturating_sub(1000);
        let store = MemoryStore::new(1000, verifier.replay_agreement(), RUSTCRYPTO.random, before).unwrap();
        Self {
            issuer: Issuer::new(),
            client: SoftKey::generate(Algorithm::Es256, &RUSTCRYPTO).unwrap(),
            server: ResourceServer::new(policy, verifier),
            store,
            certificate: None,
            answer: None,
        }
    }

    /// Claims bound to the client's key.
    fn bound(&self) -> Value {
        claims().with("cnf", Value::object().with("jkt", self.jkt()))
    }

    fn jkt(&self) -> String {
        self.client.public_key().thumbprint(RUSTCRYPTO.digest).to_string()
    }

    fn bound_token(&self) -> String {
        self.issuer.token(self.bound())
    }

    fn proof(&self, token: &str) -> String {
        self.make(ProofBuilder::new("GET", URL).access_token(token))
    }

    fn make(&self, builder: ProofBuilder<'_>) -> String {
        builder.sign(&RUSTCRYPTO, &self.client, NOW).unwrap().into_string()
    }

    fn ask(&self, fields: &[(&str, &str)]) -> Result<Principal, Refusal> {
        self.ask_for("GET", URL, fields, NOW)
    }

    fn ask_for(&self, method: &str, url: &str, fields: &[(&str, &str)], now: UnixTime) -> Result<Principal, Refusal> {
        let fields: Vec<(&str, &[u8])> = fields.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
        let target = TargetUri::parse(url).unwrap();
        let mut request = IncomingRequest::new(method, &target, &fields);
        request.client_certificate = self.certificate;
        let mut access = self.server.receive(&request, now);
        loop {
            access = match access {
                Access::NeedsKeys(needs) => {
                    assert_eq!(needs.issuer(), ISSUER);
                    needs.resume(&self.issuer.keys(), now)
                }
                Access::NeedsIntrospection(needs) => match &self.answer {
                    Some(answer) => needs.resume(answer.as_bytes(), now),
                    None => return Err(needs.unavailable()),
                },
                Access::Pending(pending) => {
                    let Ok(insertion) = self.store.insert(pending.replay_entry(), now);
                    return pending.settle(insertion, now);
                }
                Access::Granted(principal) => return Ok(*principal),
                Access::Refused(refusal) => return Err(refusal),
            }
        }
    }

    fn dpop(&self, token: &str, proof: &str) -> Result<Principal, Refusal> {
        self.ask(&[("Authorization", &format!("DPoP {token}")), ("DPoP", proof)])
    }

    fn bearer(&self, token: &str) -> Result<Principal, Refusal> {
        self.ask(&[("authorization", &format!("bearer {token}"))])
    }

    /// What is said of a token with these claims and a proof for it.
    fn verdict(&self, claims: Value) -> &'static str {
        let token = self.issuer.token(claims);
        reason(self.dpop(&token, &self.proof(&token)))
    }
}

fn reason(result: Result<Principal, Refusal>) -> &'static str {
    match result {
        Ok(_) => "admitted",
        Err(refusal) => refusal.reason(),
    }
}

/// The same JWT with another signature.
fn resigned(jwt: &str, signature: &[u8]) -> String {
    let (signed, _) = jwt.rsplit_once('.').unwrap();
    format!("{signed}.{}", base64url::encode(signature))
}

fn challenges(refusal: &Refusal) -> Vec<Challenge> {
    Challenge::parse_fields(&[refusal.www_authenticate().unwrap_or_default().as_bytes()]).unwrap()
}

fn params(refusal: &Refusal, scheme: &str) -> Vec<(String, String)> {
    let challenges = challenges(refusal);
    let found = challenges.iter().find(|challenge| challenge.is(scheme)).unwrap();
    found.params().map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

fn error(refusal: &Refusal, scheme: &str) -> Option<String> {
    params(refusal, scheme).into_iter().find(|(name, _)| name == "error").map(|(_, value)| value)
}

#[test]
fn a_bound_token_with_its_proof_makes_a_principal() {
    let world = World::new(policy().with_intents_at("/items").unwrap());
    let details = Value::parse(br#"[{"type":"payment","amount":"5"}]"#).unwrap();
    let token = world.issuer.token(world.bound().with("authorization_details", details.clone()));
    let principal = world.dpop(&token, &world.proof(&token)).unwrap();
    assert_eq!((principal.subject(), principal.client_id()), (Some("alice"), Some("app")));
    assert_eq!((principal.issuer(), principal.expires_at()), (Some(ISSUER), Some(NOW.saturating_add(300))));
    assert_eq!(principal.scopes().collect::<Vec<_>>(), ["read", "write"]);
    assert_eq!(principal.audience().collect::<Vec<_>>(), [RESOURCE]);
    assert_eq!(principal.thumbprint(), Some(world.client.public_key().thumbprint(RUSTCRYPTO.digest)));
    assert_eq!(principal.authorization_details(), Some(&details));
    assert_eq!(principal.claims().text("sub"), Some("alice"));
    assert!(!format!("{principal:?}").contains("alice"));
}

/// R9449-6-1, R9449-6-2, R9449-7.1-4.
#[test]
fn the_key_of_the_proof_is_the_one_the_token_is_bound_to() {
    let world = World::new(policy());
    let thief = World::new(policy());
    let token = world.bound_token();
    let refusal = world.dpop(&token, &thief.proof(&token)).unwrap_err();
    assert_eq!((refusal.status(), refusal.error(), refusal.reason()), (401, Some("invalid_token"), "binding_mismatch"));
    assert_eq!(world.verdict(claims()), "token_unbound");
    assert_eq!(world.verdict(world.bound()), "admitted");
}

/// R9449-7.1-2, R9449-7.1-5.
#[test]
fn under_the_dpop_scheme_a_proof_is_needed() {
    let world = World::new(policy());
    let refusal = world.ask(&[("Authorization", &format!("DPoP {}", world.bound_token()))]).unwrap_err();
    assert_eq!((refusal.status(), refusal.reason()), (401, "proof_missing"));
    assert_eq!(error(&refusal, "DPoP").as_deref(), Some("invalid_dpop_proof"));
}

/// R9449-7.1-3, R9449-7.1-5.
#[test]
fn a_proof_that_is_not_for_this_request_is_refused() {
    let world = World::new(policy());
    let token = world.bound_token();
    let good = || ProofBuilder::new("GET", URL).access_token(&token);
    let twice = world.make(good());
    assert_eq!(reason(world.dpop(&token, &twice)), "admitted");
    let old = good().sign(&RUSTCRYPTO, &world.client, NOW.saturating_sub(61)).unwrap().into_string();
    let tampered = resigned(&world.make(good()), &[1; 64]);
    let two = format!("{twice}, {twice}");
    for (proof, expected) in [
        (world.make(ProofBuilder::new("POST", URL).access_token(&token)), "method_mismatch"),
        (world.make(ProofBuilder::new("GET", "https://api.example.com/").access_token(&token)), "target_mismatch"),
        (world.make(ProofBuilder::new("GET", URL)), "ath_missing"),
        (world.make(ProofBuilder::new("GET", URL).access_token("other")), "ath_mismatch"),
        (old, "iat_too_old"),
        (tampered, "signature_invalid"),
        (twice, "replayed"),
        (two, "multiple_proofs"),
        (String::from("a.b"), "jwt_malformed"),
        (String::new(), "jwt_malformed"),
        (token.clone(), "typ_mismatch"),
    ] {
        let refusal = world.dpop(&token, &proof).unwrap_err();
        assert_eq!((refusal.status(), refusal.reason()), (401, expected));
        assert_eq!(error(&refusal, "DPoP").as_deref(), Some("invalid_dpop_proof"), "{expected}");
        assert!(params(&refusal, "DPoP").contains(&("algs".into(), ALGS.into())), "{expected}");
    }
    let proof = world.proof(&token);
    let header = format!("DPoP {token}");
    let refusal = world.ask(&[("Authorization", &header), ("DPoP", &proof), ("dpop", &proof)]).unwrap_err();
    assert_eq!(refusal.reason(), "multiple_proofs");
}

/// R9449-7.2-1, and fault N26: a bound token as Bearer.
#[test]
fn a_bound_token_is_no_bearer_token_with_or_without_a_proof() {
    for schemes in [Schemes::Both, Schemes::BearerOnly, Schemes::DpopOnly] {
        let world = World::new(policy().with_schemes(schemes));
        let token = world.bound_token();
        let expected = if schemes == Schemes::DpopOnly { "scheme_not_accepted" } else { "token_bound" };
        let header = format!("Bearer {token}");
        for refusal in [
            world.bearer(&token).unwrap_err(),
            world.ask(&[("Authorization", &header), ("DPoP", &world.proof(&token))]).unwrap_err(),
        ] {
            assert_eq!((refusal.status(), refusal.error(), refusal.reason()), (401, Some("invalid_token"), expected));
        }
    }
}

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
    let foreign = nonces("other").issue(Role::ResourceServer, None, NOW).unwrap();
    let token_side = nonces("api").issue(Role::AuthorizationServer, None, NOW).unwrap();
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
    let early = nonces("api").issue(Role::ResourceServer, None, NOW.saturating_sub(30)).unwrap();
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
fn every_confirmation_must_hold_and_unknown_ones_refuse() {
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
        (Value::object().with("jkt", world.jkt()).with("kid", "x"), "confirmation_unknown"),
        (Value::object().with("jwk", Value::object()), "confirmation_unknown"),
        (Value::object(), "confirmation_invalid"),
        (Value::Null, "confirmation_invalid"),
        (Value::object().with("jkt", format!("{}=", world.jkt())), "confirmation_invalid"),
        (Value::object().with("jkt", Value::Null), "confirmation_invalid"),
        (Value::object().with("x5t#S256", "AAAA"), "confirmation_invalid"),
    ] {
        let shown = cnf.to_json();
        assert_eq!(with(&world, cnf), expected, "{shown}");
    }
}

/// R9449-6-1: `cnf.jkt` of an introspection answer.
#[test]
fn introspection_says_whether_a_token_is_active_and_bound() {
    let policy = ResourcePolicy::new(RESOURCE).unwrap().with_introspection().with_schemes(Schemes::Both);
    let mut world = World::new(policy);
    let proof = |world: &World| world.proof("opaque-1");
    assert_eq!(reason(world.dpop("opaque-1", &proof(&world))), "introspection_unavailable");
    let active = Value::object().with("active", true);
    let bound = active.clone().with("cnf", Value::object().with("jkt", world.jkt()));
    let at = |seconds: i64| Value::from(NOW.secs().saturating_add(seconds));
    for (answer, dpop, bearer) in [
        (bound.clone(), "admitted", "token_bound"),
        (bound.clone().with("token_type", "dpop"), "admitted", "token_bound"),
        (bound.clone().with("token_type", "Bearer"), "token_unbound", "token_bound"),
        (active.clone(), "token_unbound", "admitted"),
        (active.clone().with("token_type", "DPoP"), "token_unbound", "token_bound"),
        (bound.clone().with("active", false), "token_inactive", "token_inactive"),
        (bound.clone().with("active", "true"), "token_inactive", "token_inactive"),
        (Value::object(), "token_inactive", "token_inactive"),
        (Value::Null, "token_inactive", "token_inactive"),
        (bound.clone().with("aud", RESOURCE), "admitted", "token_bound"),
        (bound.clone().with("aud", "https://other.example"), "audience_mismatch", "audience_mismatch"),
        (bound.clone().with("exp", at(-10)), "token_expired", "token_expired"),
        (bound.clone().with("nbf", at(11)), "token_not_yet_valid", "token_not_yet_valid"),
    ] {
        world.answer = Some(answer.to_json());
        assert_eq!(reason(world.dpop("opaque-1", &proof(&world))), dpop, "{}", answer.to_json());
        assert_eq!(reason(world.bearer("opaque-1")), bearer, "{}", answer.to_json());
    }
    world.answer = Some(bound.with("pad", " ".repeat(super::MAX_ANSWER_LEN)).to_json());
    assert_eq!(reason(world.dpop("opaque-1", &proof(&world))), "token_inactive");
}

#[test]
fn jwts_of_known_issuers_are_not_introspected() {
    let mut world = World::new(policy().with_introspection());
    world.answer = Some(String::from(r#"{"active":false}"#));
    assert_eq!(world.verdict(world.bound()), "admitted");
    assert_eq!(world.verdict(world.bound().with("iss", "https://other.example")), "token_inactive");
    assert_eq!(reason(world.dpop("opaque", &world.proof("opaque"))), "token_inactive");
}

#[test]
fn an_introspection_answer_of_another_issuer_is_refused() {
    // One endpoint may answer for several issuers: without this check a token of any of them would open this resource.
    let verdict = |policy: ResourcePolicy, iss: Option<&str>| {
        let mut world = World::new(policy.with_introspection());
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

#[test]
fn a_resource_without_issuer_is_refused_at_the_start() {
    let verifier = || Verifier::new(Policy::default(), &RUSTCRYPTO);
    let any = || ResourcePolicy::new(RESOURCE).unwrap();
    let check = |policy, verifier| ResourceServer::new(policy, verifier).check_configuration();
    assert_eq!(check(any(), verifier()), Err(Misuse::NoIssuer));
    assert_eq!(check(any().with_introspection(), verifier()), Ok(()));
    assert_eq!(check(policy(), verifier()), Ok(()));
    let demanding = || Verifier::new(Policy::fapi2(), &RUSTCRYPTO);
    assert_eq!(check(policy(), demanding()), Err(Misuse::NonceIssuerMissing));
    assert_eq!(check(policy(), demanding().with_nonces(nonces("api"))), Ok(()));
}

#[test]
fn sizes_are_bounded_before_anything_is_read() {
    let world = World::new(policy().with_schemes(Schemes::Both));
    let longest = "a".repeat(super::MAX_TOKEN_LEN);
    assert_eq!(reason(world.bearer(&longest)), "token_malformed");
    assert_eq!(reason(world.bearer(&format!("{longest}a"))), "token_too_large");
    assert_eq!(reason(world.dpop("token", &"a".repeat(crate::proof::MAX_PROOF_LEN + 1))), "proof_too_large");
    for malformed in ["", "a b", "a=b", "é", "\"a\""] {
        let refusal = world.bearer(malformed).unwrap_err();
        assert_eq!((refusal.status(), refusal.reason()), (401, "token_malformed"), "{malformed}");
    }
}

#[test]
fn a_store_that_cannot_decide_refuses() {
    let world = World::new(policy());
    let token = world.bound_token();
    for (insertion, status, expected) in [
        (Insertion::Unavailable, 503, "store_unavailable"),
        (Insertion::Full, 503, "store_full"),
        (Insertion::BeforeFloor, 503, "before_store_floor"),
        (Insertion::Seen, 401, "replayed"),
    ] {
        let target = TargetUri::parse(URL).unwrap();
        let (authorization, proof) = (format!("DPoP {token}"), world.proof(&token));
        let fields = [("Authorization", authorization.as_bytes()), ("DPoP", proof.as_bytes())];
        let Access::NeedsKeys(needs) = world.server.receive(&IncomingRequest::new("GET", &target, &fields), NOW) else {
            panic!("the token is a JWT")
        };
        assert!(needs.is_answered_by(&world.issuer.keys()) && !needs.is_answered_by(&JwkSet::default()));
        let Access::Pending(pending) = needs.resume(&world.issuer.keys(), NOW) else { panic!("all is well") };
        let refusal = pending.settle(insertion, NOW).unwrap_err();
        assert_eq!((refusal.status(), refusal.reason()), (status, expected));
    }
}

/// R9728-2.
#[test]
fn the_metadata_tells_what_the_policies_say() {
    let policy = policy().with_scopes(&["read", "write"]).with_name("Items");
    let server = |schemes| {
        let verifier = Verifier::new(Policy::haip(), &RUSTCRYPTO);
        ResourceServer::new(policy.clone().with_schemes(schemes), verifier).metadata().to_json()
    };
    let common = concat!(
        r#"{"resource":"https://api.example.com/","authorization_servers":["https://as.example.com"],"#,
        r#""scopes_supported":["read","write"],"bearer_methods_supported":["header"],"resource_name":"Items""#
    );
    let dpop = |required| {
        format!(
            "{common},\"dpop_signing_alg_values_supported\":[\"ES256\"],\"dpop_bound_access_tokens_required\":{required}}}"
        )
    };
    assert_eq!(server(Schemes::DpopOnly), dpop(true));
    assert_eq!(server(Schemes::Both), dpop(false));
    assert_eq!(server(Schemes::BearerOnly), format!("{common}}}"));
    for (resource, path) in [
        ("https://api.example.com", "/.well-known/oauth-protected-resource"),
        ("https://api.example.com/", "/.well-known/oauth-protected-resource"),
        ("https://api.example.com/a/mcp", "/.well-known/oauth-protected-resource/a/mcp"),
    ] {
        assert_eq!(ResourcePolicy::new(resource).unwrap().metadata_path(), path);
    }
}

#[test]
fn a_websocket_handshake_is_a_get_of_the_https_url() {
    let world = World::new(policy());
    let token = world.bound_token();
    let proof = world.proof(&token);
    let authorization = format!("DPoP {token}");
    let upgrade =
        [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Authorization", &authorization), ("DPoP", &proof)];
    assert_eq!(reason(world.ask_for("GET", URL, &upgrade, NOW)), "admitted");
}

#[test]
fn identifiers_must_be_secure_urls() {
    for text in ["http://api.example.com", "api", "ftp://x", ""] {
        assert!(ResourcePolicy::new(text).is_err() && policy().with_issuer(text).is_err(), "{text}");
    }
    assert!(ResourcePolicy::new("http://127.0.0.1:8080/mcp").is_ok());
    assert!(policy().with_realm("a\r\nb").is_err() && policy().with_leeway(61).is_err());
}
