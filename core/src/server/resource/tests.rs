//! A protected resource, its issuer and its clients, played with a fake clock.

mod answers;
mod audit;
mod guards;
mod intents;
mod issuers;
mod tokens;

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{IncomingRequest, Introspection, Principal, ResourcePolicy, ResourceServer, Schemes, TokenRejection};
use crate::base64url;
use crate::crypto::SigningKey;
use crate::flow::step::{Question, Step};
use crate::http::challenge::Challenge;
use crate::http::uri::UriError;
use crate::json::Value;
use crate::key::Signer;
use crate::key::soft::SoftKey;
use crate::nonce::Role;
use crate::nonce::issuer::NonceIssuer;
use crate::oauth::Credentials;
use crate::replay::{Inserted, Insertion, ReplayStore, memory::MemoryStore};
use crate::server::{Arrival, Consumption, JwkSet, KeySource};
use crate::{
    Algorithm, AlgorithmSet, Misuse, Policy, ProofBuilder, RUSTCRYPTO, Refusal, StoreDifference, TargetUri, UnixTime,
    Verifier,
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
    store: Arc<MemoryStore>,
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
        let (store, issuer) = (Arc::new(store), Issuer::new());
        let known = policy.issuers().any(|known| known == ISSUER);
        let policy = match known {
            true => policy.with_issuer_keys(ISSUER, KeySource::Given(issuer.keys())).unwrap(),
            false => policy,
        };
        Self {
            issuer,
            client: SoftKey::generate(Algorithm::Es256, &RUSTCRYPTO).unwrap(),
            server: ResourceServer::new(policy, verifier, Consumption::local(store.clone())).unwrap(),
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
        request.arrival = Arrival::in_epoch(self.store.epoch());
        self.finish(self.server.admit(&request, now).unwrap(), now)
            .map(|principal| *principal)
            .map_err(|refusal| *refusal)
    }

    /// Carries out a flow: what is asked about tokens is answered with `answer`.
    fn finish<T>(&self, step: Step<T>, now: UnixTime) -> T {
        let answer = |question, subject: &str| match (question, &self.answer) {
            (Question::Keys, _) => panic!("{subject}'s keys are given"),
            (_, Some(answer)) => Ok(answer.clone().into_bytes()),
            (_, None) => Err("no one answers".into()),
        };
        step.answered(now, &mut { answer }).unwrap()
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
    Challenge::parse_fields(&[refusal.www_authenticate().unwrap_or_default().as_bytes()]).list
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

#[test]
fn a_resource_without_issuer_is_refused_at_the_start() {
    let verifier = || Verifier::new(Policy::default(), &RUSTCRYPTO);
    let any = || ResourcePolicy::new(RESOURCE).unwrap();
    let check = |policy, verifier| ResourceServer::new(policy, verifier, Consumption::by_host()).map(drop);
    assert_eq!(check(any(), verifier()), Err(Misuse::NoIssuer));
    assert_eq!(check(any().with_introspection(Introspection::by_host()), verifier()), Ok(()));
    assert_eq!(check(policy(), verifier()), Ok(()));
    let demanding = || Verifier::new(Policy::fapi2(), &RUSTCRYPTO);
    assert_eq!(check(policy(), demanding()), Err(Misuse::NonceIssuerMissing));
    assert_eq!(check(policy(), demanding().with_nonces(nonces("api"))), Ok(()));
}

#[test]
fn a_store_of_another_policy_is_refused_at_the_start() {
    let verifier = || Verifier::new(Policy::default(), &RUSTCRYPTO);
    let (own, other) = (verifier().replay_agreement(), Policy::fapi2().with_max_age(20).unwrap());
    let other = other.replay_agreement(RUSTCRYPTO.digest);
    let memory = |agreement| {
        let store = MemoryStore::new(10, agreement, RUSTCRYPTO.random, NOW).unwrap();
        Consumption::local(Arc::new(store))
    };
    let by_host = |agreement| Consumption::by_host().agreeing_on(agreement);
    let check = |consumption| ResourceServer::new(policy(), verifier(), consumption).map(drop);
    for consumption in [memory(other), by_host(Some(other))] {
        let difference = StoreDifference::Seconds { name: "max_age", store: 20, verifier: 60 };
        assert_eq!(check(consumption), Err(Misuse::StoreDisagreement(difference)));
    }
    // Of a host's store whose agreement is not known nothing is said.
    for consumption in [memory(own), by_host(Some(own)), by_host(None), Consumption::danger_nowhere()] {
        assert_eq!(check(consumption), Ok(()));
    }
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
    let keys = policy().with_issuer_keys(ISSUER, KeySource::Given(world.issuer.keys())).unwrap();
    let server = ResourceServer::new(keys, Verifier::new(Policy::default(), &RUSTCRYPTO), Consumption::by_host());
    let (server, token) = (server.unwrap(), world.bound_token());
    for (insertion, status, expected) in [
        (Insertion::Unavailable, 503, "store_unavailable"),
        (Insertion::Full, 503, "store_full"),
        (Insertion::BeforeFloor, 503, "before_store_floor"),
        (Insertion::Seen, 401, "replayed"),
    ] {
        let target = TargetUri::parse(URL).unwrap();
        let (authorization, proof) = (format!("DPoP {token}"), world.proof(&token));
        let fields = [("Authorization", authorization.as_bytes()), ("DPoP", proof.as_bytes())];
        let Step::Insert(insert) = server.admit(&IncomingRequest::new("GET", &target, &fields), NOW).unwrap() else {
            panic!("all is well but replay")
        };
        let settled = insert.resume(Inserted::new(insertion, world.store.epoch()), NOW).unwrap();
        let refusal = settled.finished().unwrap().unwrap_err();
        assert_eq!((refusal.status(), refusal.reason()), (status, expected));
    }
}

/// Keys may take their time. A gateway settles nothing, so that the age is looked at again before.
#[test]
fn a_proof_that_goes_stale_while_its_token_is_judged_is_refused() {
    let world = World::new(policy());
    let max_age = Policy::default().max_age();
    let token = world.bound_token();
    let (authorization, proof) = (format!("DPoP {token}"), world.proof(&token));
    let fields = [("Authorization", authorization.as_bytes()), ("DPoP", proof.as_bytes())];
    let target = TargetUri::parse(URL).unwrap();
    let jwk = world.issuer.0.public_key().to_json();
    let set = format!(r#"{{"keys":[{{"kid":"k1",{}]}}"#, jwk.strip_prefix('{').unwrap());
    for (late, expected) in [(max_age, None), (max_age + 1, Some("iat_too_old"))] {
        let keys = policy().with_issuer_keys(ISSUER, KeySource::Host).unwrap();
        let verifier = Verifier::new(Policy::default(), &RUSTCRYPTO);
        let server = ResourceServer::new(keys, verifier, Consumption::by_host()).unwrap();
        let step = server.check(&IncomingRequest::new("GET", &target, &fields), NOW).unwrap();
        let now = NOW.saturating_add(late);
        let checked = step.answered(now, &mut |_, _| Ok(set.clone().into_bytes())).unwrap();
        assert_eq!(checked.err().map(|refusal| refusal.reason()), expected, "after {late} s");
    }
}

#[test]
fn a_gateway_uses_no_proof_up_and_makes_no_principal() {
    let world = World::new(policy().with_schemes(Schemes::Both));
    let token = world.bound_token();
    let (authorization, proof) = (format!("DPoP {token}"), world.proof(&token));
    let fields = [("Authorization", authorization.as_bytes()), ("DPoP", proof.as_bytes())];
    let target = TargetUri::parse(URL).unwrap();
    let check = |fields| world.server.check(&IncomingRequest::new("GET", &target, fields), NOW).unwrap().finished();
    for _ in 0..2 {
        let unconsumed = check(&fields[..]).unwrap().unwrap();
        assert_eq!(unconsumed.thumbprint().map(|thumbprint| thumbprint.to_string()), Some(world.jkt()));
    }
    assert_eq!(reason(world.dpop(&token, &proof)), "admitted");
    assert_eq!(check(&fields[..1]).unwrap().unwrap_err().reason(), "proof_missing");
}

/// R9728-2.
#[test]
fn the_metadata_tells_what_the_policies_say() {
    let policy = policy().with_scopes(&["read", "write"]).with_name("Items");
    let server = |schemes| {
        let verifier = Verifier::new(Policy::haip(), &RUSTCRYPTO);
        let server = ResourceServer::new(policy.clone().with_schemes(schemes), verifier, Consumption::by_host());
        server.unwrap().metadata().to_json()
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
    // Each names the option.
    assert_eq!(ResourcePolicy::new("api").err(), Some(Misuse::Url("resource", UriError::NotAbsolute)));
    assert_eq!(ResourcePolicy::new("https://a.example/#x").err(), Some(Misuse::Url("resource", UriError::Fragment)));
    assert_eq!(policy().with_issuer("http://0.0.0.0:80").err(), Some(Misuse::NotHttps("issuer")));
    let metadata = "https://as.example.com/.well-known/openid-configuration";
    assert_eq!(policy().with_issuer(metadata).err(), Some(Misuse::IssuerMetadata));
    let asked = |issuer| Introspection::of_issuer(issuer, Credentials::public("api")).err();
    assert_eq!(asked(metadata), Some(Misuse::IssuerMetadata));
    assert_eq!(asked("http://as.example.com"), Some(Misuse::NotHttps("issuer")));
    for origin in ["https://api.example.com/v1", "https://api.example.com/?x", "https://api.example.com#f"] {
        assert_eq!(TargetUri::fixed(origin).err(), Some(UriError::Origin), "{origin}");
    }
    assert!(policy().with_realm("a\r\nb").is_err() && policy().with_leeway(61).is_err());
}
