mod audit;
mod guards;

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{
    Admitted, AuthorizationServer, ClientType, EndpointPolicy, EndpointRequest, Grant, LONG_LIFETIME,
    MAX_CODE_LIFETIME, TokenAnswer, Weakness, confirmation, introspection,
};
use crate::flow::step::Step;
use crate::http::form::Form;
use crate::json::Value;
use crate::key::{Signer, soft::SoftKey};
use crate::nonce::Role;
use crate::nonce::issuer::{NonceIssuer, NonceKey, NonceKeys};
use crate::replay::memory::MemoryStore;
use crate::replay::{Inserted, Insertion, ReplayStore, StoreEpoch};
use crate::server::{Arrival, Consumption};
use crate::verify::policy::TimeSource;
use crate::{
    Algorithm, Misuse, Policy, ProofBuilder, RUSTCRYPTO, Refusal, StoreDifference, TargetUri, Thumbprint, UnixTime,
    Verifier,
};

const NOW: UnixTime = UnixTime::from_secs(1_700_000_000);
const TOKEN: &str = "https://as.example.com/token";
const PAR: &str = "https://as.example.com/par";

struct Setting {
    server: AuthorizationServer,
    store: Arc<MemoryStore>,
    key: SoftKey,
}

fn issuer() -> NonceIssuer {
    let keys = NonceKeys::new(NonceKey::generate(1, RUSTCRYPTO.random).unwrap());
    NonceIssuer::new(RUSTCRYPTO.mac, keys, "https://as.example.com")
}

fn verifier() -> Verifier {
    Verifier::new(Policy::default(), &RUSTCRYPTO)
}

fn setting(policy: EndpointPolicy, verifier: Verifier) -> Setting {
    let floor = NOW.saturating_sub(1_000);
    let store = MemoryStore::new(1_000, verifier.replay_agreement(), RUSTCRYPTO.random, floor).unwrap();
    let store = Arc::new(store);
    let server = AuthorizationServer::new(policy, verifier, Consumption::local(store.clone())).unwrap();
    Setting { server, store, key: key() }
}

fn plain() -> Setting {
    setting(EndpointPolicy::new(), verifier())
}

fn with_nonces() -> Setting {
    setting(EndpointPolicy::new(), verifier().with_nonces(issuer()))
}

/// A server that needs no store, as far as it can be made.
fn storeless(policy: EndpointPolicy, verifier: Verifier) -> Result<AuthorizationServer, Misuse> {
    AuthorizationServer::new(policy, verifier, Consumption::danger_nowhere())
}

fn key() -> SoftKey {
    SoftKey::generate(Algorithm::Es256, &RUSTCRYPTO).unwrap()
}

fn thumbprint(key: &SoftKey) -> Thumbprint {
    key.public_key().thumbprint(RUSTCRYPTO.digest)
}

fn proof(key: &SoftKey, url: &str, nonce: Option<&str>) -> String {
    let builder = ProofBuilder::new("POST", url);
    let builder = nonce.map_or(builder.clone(), |nonce| builder.nonce(nonce));
    builder.sign(&RUSTCRYPTO, key, NOW).unwrap().into_string()
}

impl Setting {
    fn jkt(&self) -> Thumbprint {
        thumbprint(&self.key)
    }

    fn admit(&self, url: &str, client: ClientType, grant: Grant<'_>, proofs: &[String]) -> Result<Admitted, Refusal> {
        self.admit_of(url, client, grant, proofs, false)
    }

    fn admit_of(
        &self,
        url: &str,
        client: ClientType,
        grant: Grant<'_>,
        proofs: &[String],
        must_bind: bool,
    ) -> Result<Admitted, Refusal> {
        let target = TargetUri::parse(url).unwrap();
        let proofs: Vec<&[u8]> = proofs.iter().map(|proof| proof.as_bytes()).collect();
        let request = EndpointRequest::new("POST", &target, &proofs, client, grant).must_bind(must_bind);
        self.ask(&request, NOW)
    }

    fn ask(&self, request: &EndpointRequest<'_>, now: UnixTime) -> Result<Admitted, Refusal> {
        self.server.admit(request, now).unwrap().finished().unwrap().map_err(|refusal| *refusal)
    }

    fn own_proof(&self) -> Vec<String> {
        Vec::from([proof(&self.key, TOKEN, None)])
    }
}

fn error(outcome: Result<Admitted, Refusal>) -> (u16, Option<&'static str>) {
    let refusal = outcome.unwrap_err();
    (refusal.status(), refusal.error())
}

const CODE: Grant<'_> = Grant::AuthorizationCode { dpop_jkt: None };

#[test]
fn a_token_is_bound_to_the_key_of_its_proof() {
    // R9449-5-3, R9449-5-4, R9449-6.1-1.
    let setting = plain();
    let admitted = setting.admit(TOKEN, ClientType::Public, CODE, &setting.own_proof()).unwrap();
    assert_eq!(admitted.access_binding(), Some(setting.jkt()));
    let answer = TokenAnswer::new("at", &admitted).expires_in(60).finish();
    assert_eq!(answer.body(), r#"{"access_token":"at","token_type":"DPoP","expires_in":60}"#);
    assert_eq!(confirmation(setting.jkt()).to_json(), format!(r#"{{"jkt":"{}"}}"#, setting.jkt()));
    let unbound = setting.admit(TOKEN, ClientType::Public, CODE, &[]).unwrap();
    assert!(TokenAnswer::new("at", &unbound).finish().body().contains("Bearer"));
}

#[test]
fn an_answer_with_details_names_no_scope_beside_them() {
    let setting = plain();
    let admitted = setting.admit(TOKEN, ClientType::Public, CODE, &setting.own_proof()).unwrap();
    let details = crate::json::Value::parse(br#"[{"type":"payment"}]"#).unwrap();
    let answer = || TokenAnswer::new("at", &admitted).scope("read write admin");
    assert!(answer().finish().body().contains(r#""scope":"read write admin""#));
    let answer = answer().authorization_details(details).finish();
    assert!(answer.body().contains("payment") && !answer.body().contains("scope"), "{}", answer.body());
}

#[test]
fn a_client_registered_for_bound_tokens_must_prove() {
    // R9449-5.2-1, R9449-5.2-2.
    let setting = plain();
    let outcome = setting.admit_of(TOKEN, ClientType::Confidential, Grant::ClientCredentials, &[], true);
    assert_eq!(error(outcome), (400, Some("invalid_dpop_proof")));
    let outcome = setting.admit_of(TOKEN, ClientType::Confidential, Grant::ClientCredentials, &[], false);
    assert_eq!(outcome.unwrap().access_binding(), None);
}

#[test]
fn a_code_goes_to_the_key_that_was_announced() {
    // R9449-10-2, R9449-10-3, FAPI2-5.3.2.1-12.
    let setting = plain();
    let announced = Grant::AuthorizationCode { dpop_jkt: Some(setting.jkt()) };
    assert!(setting.admit(TOKEN, ClientType::Public, announced, &setting.own_proof()).is_ok());
    let other = Vec::from([proof(&key(), TOKEN, None)]);
    for client in [ClientType::Public, ClientType::Confidential] {
        assert_eq!(error(setting.admit(TOKEN, client, announced, &other)), (400, Some("invalid_grant")));
        assert_eq!(error(setting.admit(TOKEN, client, announced, &[])), (400, Some("invalid_dpop_proof")));
    }
}

#[test]
fn refresh_tokens_of_public_clients_are_bound() {
    // R9449-5-5, R9449-5-6, R9449-5-10.
    let setting = plain();
    let issued = setting.admit(TOKEN, ClientType::Public, CODE, &setting.own_proof()).unwrap();
    let bound = Grant::RefreshToken { bound_to: issued.refresh_binding() };
    let other = || Vec::from([proof(&key(), TOKEN, None)]);
    assert!(setting.admit(TOKEN, ClientType::Public, bound, &setting.own_proof()).is_ok());
    assert_eq!(error(setting.admit(TOKEN, ClientType::Public, bound, &other())), (400, Some("invalid_grant")));
    assert_eq!(error(setting.admit(TOKEN, ClientType::Public, bound, &[])), (400, Some("invalid_dpop_proof")));

    let issued = setting.admit(TOKEN, ClientType::Confidential, CODE, &setting.own_proof()).unwrap();
    assert_eq!(issued.refresh_binding(), None);
    let second = key();
    let proofs = Vec::from([proof(&second, TOKEN, None)]);
    let free = Grant::RefreshToken { bound_to: Some(setting.jkt()) };
    let refreshed = setting.admit(TOKEN, ClientType::Confidential, free, &proofs).unwrap();
    assert_eq!(refreshed.access_binding(), Some(thumbprint(&second)), "the new access token has the new key");
}

#[test]
fn access_tokens_can_be_left_unbound() {
    // R9449-5-8.
    let setting = setting(EndpointPolicy::new().issuing_unbound_access_tokens(), verifier());
    let admitted = setting.admit(TOKEN, ClientType::Public, CODE, &setting.own_proof()).unwrap();
    assert_eq!((admitted.access_binding(), admitted.refresh_binding()), (None, Some(setting.jkt())));
    assert!(TokenAnswer::new("at", &admitted).finish().body().contains("Bearer"));
}

#[test]
fn device_codes_go_to_the_key_that_asked() {
    let setting = plain();
    let bound = Grant::DeviceCode { bound_to: Some(setting.jkt()) };
    for client in [ClientType::Public, ClientType::Confidential] {
        assert!(setting.admit(TOKEN, client, bound, &setting.own_proof()).is_ok());
        let other = Vec::from([proof(&key(), TOKEN, None)]);
        assert_eq!(error(setting.admit(TOKEN, client, bound, &other)), (400, Some("invalid_grant")));
    }
}

#[test]
fn bound_tokens_are_exchanged_by_their_own_key() {
    // Design section 10.
    let setting = plain();
    let (own, other) = (setting.jkt(), thumbprint(&key()));
    let admit = |client, confirmed: &[Thumbprint], may_rebind| {
        setting.admit(TOKEN, client, Grant::Derived { confirmed, may_rebind }, &setting.own_proof())
    };
    assert!(admit(ClientType::Public, &[own], false).is_ok());
    assert!(admit(ClientType::Public, &[own, own], false).is_ok());
    assert!(admit(ClientType::Public, &[], false).is_ok());
    assert!(admit(ClientType::Confidential, &[other], true).is_ok());
    assert_eq!(error(admit(ClientType::Public, &[other], true)), (400, Some("invalid_grant")));
    assert_eq!(error(admit(ClientType::Confidential, &[other], false)), (400, Some("invalid_grant")));
    assert_eq!(error(admit(ClientType::Confidential, &[own, other], false)), (400, Some("invalid_request")));
    let bound = Grant::Derived { confirmed: &[own], may_rebind: false };
    let without = setting.admit(TOKEN, ClientType::Confidential, bound, &[]);
    assert_eq!(error(without), (400, Some("invalid_dpop_proof")));
}

#[test]
fn pushed_requests_name_the_key_by_parameter_or_proof() {
    // R9449-10.1-3, R9449-10.1-4, R9449-10.1-5, R9449-10.1-6: four cases, and a bad proof.
    let setting = plain();
    let form = |jkt: Option<Thumbprint>| {
        let mut form = Form::new();
        if let Some(jkt) = jkt {
            form.push("dpop_jkt", &format!("{jkt}"));
        }
        form
    };
    let admit = |jkt, proofs: &[String]| {
        let form = form(jkt);
        setting.admit(PAR, ClientType::Public, Grant::announcement(&form)?, proofs)
    };
    let own = || Vec::from([proof(&setting.key, PAR, None)]);
    let jkt = setting.jkt();
    assert_eq!(admit(None, &[]).unwrap().announced(), None);
    assert_eq!(admit(Some(jkt), &[]).unwrap().announced(), Some(jkt));
    assert_eq!(admit(None, &own()).unwrap().announced(), Some(jkt));
    assert_eq!(admit(Some(jkt), &own()).unwrap().announced(), Some(jkt));
    assert_eq!(error(admit(Some(thumbprint(&key())), &own())), (400, Some("invalid_request")));
    // A proof for the token endpoint is none for this one.
    assert_eq!(error(admit(None, &setting.own_proof())), (400, Some("invalid_dpop_proof")));
    for text in ["x", "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4", "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I="] {
        let mut form = Form::new();
        form.push("dpop_jkt", text);
        assert_eq!(Grant::announcement(&form).unwrap_err().error(), Some("invalid_request"), "{text}");
    }
}

#[test]
fn nonces_are_asked_for_before_anything_is_used() {
    // R9449-8-2, R9449-8-4, R9449-8-8, OURS-8: what is refused here leaves the grant to the retry.
    let setting = with_nonces();
    let refusal = setting.admit(TOKEN, ClientType::Public, CODE, &setting.own_proof()).unwrap_err();
    assert_eq!((refusal.status(), refusal.error()), (400, Some("use_dpop_nonce")));
    let fields: Vec<_> = refusal.headers().iter().filter(|(name, _)| *name == "DPoP-Nonce").collect();
    assert_eq!(fields.len(), 1, "R9449-8-5");
    let nonce = refusal.dpop_nonce().unwrap().as_str();
    let with_nonce = Vec::from([proof(&setting.key, TOKEN, Some(nonce))]);
    assert!(setting.admit(TOKEN, ClientType::Public, CODE, &with_nonce).is_ok());
    let foreign = Vec::from([proof(&setting.key, TOKEN, Some("made-up"))]);
    assert_eq!(error(setting.admit(TOKEN, ClientType::Public, CODE, &foreign)), (400, Some("use_dpop_nonce")));
    // A nonce of a resource server is worthless here.
    let theirs = issuer().issue(Role::ResourceServer, None, setting.store.epoch(), NOW).unwrap();
    let mixed = Vec::from([proof(&setting.key, TOKEN, Some(theirs.as_str()))]);
    assert_eq!(error(setting.admit(TOKEN, ClientType::Public, CODE, &mixed)), (400, Some("use_dpop_nonce")));
}

#[test]
fn confidential_clients_can_be_spared_nonces() {
    let setting = setting(EndpointPolicy::new().nonces_for_public_clients(), verifier().with_nonces(issuer()));
    assert!(setting.admit(TOKEN, ClientType::Confidential, CODE, &setting.own_proof()).is_ok());
    assert_eq!(
        error(setting.admit(TOKEN, ClientType::Public, CODE, &setting.own_proof())),
        (400, Some("use_dpop_nonce"))
    );
}

#[test]
fn settings_that_lock_confidential_clients_out_are_refused_at_the_start() {
    let by_nonces = || Policy::default().with_time_source(TimeSource::Nonce);
    for policy in [Policy::fapi2(), Policy::atproto(), Policy::default().requiring_nonces(), by_nonces()] {
        let judging = || Verifier::new(policy.clone(), &RUSTCRYPTO);
        let error = |policy, verifier| storeless(policy, verifier).err();
        let sparing = error(EndpointPolicy::new().nonces_for_public_clients(), judging().with_nonces(issuer()));
        assert_eq!(sparing, Some(Misuse::NoncesOfSome), "{policy:?}");
        assert_eq!(error(EndpointPolicy::new(), judging()), Some(Misuse::NonceIssuerMissing), "{policy:?}");
        assert_eq!(error(EndpointPolicy::new(), judging().with_nonces(issuer())), None, "{policy:?}");
    }
    let sparing = EndpointPolicy::new().nonces_for_public_clients();
    assert!(storeless(sparing, verifier().with_nonces(issuer())).is_ok());
}

#[test]
fn a_flood_of_announcements_leaves_token_requests_alone() {
    // The store holds 1,000 proofs, and a stranger with fresh keys announces more than that.
    let setting = plain();
    for _ in 0..1_100 {
        let stranger = key();
        let form = Form::new();
        let proofs = Vec::from([proof(&stranger, PAR, None)]);
        let admitted = setting.admit(PAR, ClientType::Public, Grant::announcement(&form).unwrap(), &proofs).unwrap();
        assert_eq!(admitted.announced(), Some(thumbprint(&stranger)));
    }
    assert_eq!(setting.store.held(), 0, "what uses nothing up takes no room");
    for _ in 0..100 {
        let honest = Vec::from([proof(&key(), TOKEN, None)]);
        assert!(setting.admit(TOKEN, ClientType::Public, CODE, &honest).is_ok());
    }
    // A client that authenticates is no stranger: its announcement counts once.
    let once = Vec::from([proof(&setting.key, PAR, None)]);
    let announcement = || Grant::Announcement { dpop_jkt: None };
    assert!(setting.admit(PAR, ClientType::Confidential, announcement(), &once).is_ok());
    let again = setting.admit(PAR, ClientType::Confidential, announcement(), &once);
    assert_eq!(error(again), (400, Some("invalid_dpop_proof")));
}

#[test]
fn a_proof_is_admitted_once() {
    let setting = plain();
    let proofs = setting.own_proof();
    assert!(setting.admit(TOKEN, ClientType::Public, CODE, &proofs).is_ok());
    assert_eq!(error(setting.admit(TOKEN, ClientType::Public, CODE, &proofs)), (400, Some("invalid_dpop_proof")));
}

#[test]
fn answers_are_not_cached_and_show_their_nonce() {
    // R9449-8.2-3, R9449-8.2-5, R9449-8-11.
    let setting = with_nonces();
    let nonce = setting.admit(TOKEN, ClientType::Public, CODE, &setting.own_proof()).unwrap_err();
    let nonce = nonce.dpop_nonce().unwrap().as_str();
    let target = TargetUri::parse(TOKEN).unwrap();
    // In the last seconds of its life the nonce is replaced.
    let late = NOW.saturating_add(31);
    let text =
        ProofBuilder::new("POST", TOKEN).nonce(nonce).sign(&RUSTCRYPTO, &setting.key, late).unwrap().into_string();
    let proofs = [text.as_bytes()];
    let request = EndpointRequest::new("POST", &target, &proofs, ClientType::Public, CODE);
    let admitted = setting.ask(&request, late).unwrap();
    let next = admitted.next_nonce().expect("a new nonce").as_str();
    let answer = TokenAnswer::new("at", &admitted).finish();
    let field = |name: &str| answer.headers().iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str());
    assert_eq!(field("DPoP-Nonce"), Some(next));
    assert_eq!(field("Cache-Control"), Some("no-store"));
    assert_eq!(field("Access-Control-Expose-Headers"), Some("WWW-Authenticate, DPoP-Nonce, Date"));
}

#[test]
fn introspection_shows_the_key() {
    // R9449-6.2-1, R9449-6.2-3.
    let setting = plain();
    let claims = Value::object().with("scope", "read");
    let answer = introspection(Some(claims.clone()), Some(setting.jkt()));
    assert_eq!(answer.text("token_type"), Some("DPoP"));
    assert_eq!(answer.member("cnf").and_then(|cnf| cnf.text("jkt")), Some(&*format!("{}", setting.jkt())));
    assert_eq!(introspection(Some(claims), None).text("token_type"), Some("Bearer"));
    assert_eq!(introspection(None, Some(setting.jkt())).to_json(), r#"{"active":false}"#);
}

#[test]
fn metadata_names_the_algorithms_of_the_policy() {
    // R9449-5.1-2, FAPI2-5.4.1-1.2.
    let judging = Verifier::new(Policy::fapi2(), &RUSTCRYPTO).with_nonces(issuer());
    let server = storeless(EndpointPolicy::new(), judging).unwrap();
    let document = server.metadata("https://as.example.com");
    let listed: Vec<_> = document.texts("dpop_signing_alg_values_supported").collect();
    let permitted: Vec<_> = Policy::fapi2().algorithms().iter().map(Algorithm::name).collect();
    assert_eq!(listed, permitted);
    assert!(["ES256", "PS256", "Ed25519"].iter().all(|name| listed.contains(name)) && !listed.contains(&"RS256"));
}

#[test]
fn nonces_of_two_servers_differ_and_count_for_a_while() {
    // R9449-8-3, R9449-8-9.
    let (ours, theirs) = (issuer(), issuer());
    let epoch = StoreEpoch::from_u64(7);
    let nonce = |issuer: &NonceIssuer, now| issuer.issue(Role::AuthorizationServer, None, epoch, now).unwrap();
    assert_ne!(nonce(&ours, NOW).as_str(), nonce(&theirs, NOW).as_str(), "two keys, one moment");
    let (older, current) = (nonce(&ours, NOW), nonce(&ours, NOW.saturating_add(30)));
    assert_ne!(older.as_str(), current.as_str());
    let setting = setting(EndpointPolicy::new(), verifier().with_nonces(ours));
    let target = TargetUri::parse(TOKEN).unwrap();
    let admit = |nonce: &str, seconds| {
        let now = NOW.saturating_add(seconds);
        let builder = ProofBuilder::new("POST", TOKEN).nonce(nonce);
        let proof = builder.sign(&RUSTCRYPTO, &setting.key, now).unwrap().into_string();
        let proofs = [proof.as_bytes()];
        let request = EndpointRequest::new("POST", &target, &proofs, ClientType::Public, CODE);
        setting.ask(&request, now)
    };
    assert!(admit(current.as_str(), 30).is_ok());
    assert!(admit(older.as_str(), 30).is_ok(), "the one before");
    assert_eq!(error(admit(older.as_str(), 300)), (400, Some("use_dpop_nonce")));
    assert_eq!(error(admit(nonce(&theirs, NOW).as_str(), 0)), (400, Some("use_dpop_nonce")));
}

#[test]
fn long_lives_without_nonces_are_a_weakness() {
    // R9449-11.2-1, FAPI2-5.3.2.1-11.
    let (plain, asking) = (plain().server, with_nonces().server);
    assert_eq!(plain.weakness(LONG_LIFETIME), None);
    assert_eq!(plain.weakness(LONG_LIFETIME + 1), Some(Weakness::LongLivedWithoutNonces));
    assert_eq!(asking.weakness(u64::MAX), None);
    let sparing = EndpointPolicy::new().nonces_for_public_clients();
    let sparing = storeless(sparing, verifier().with_nonces(issuer())).unwrap();
    assert_eq!(sparing.weakness(u64::MAX), Some(Weakness::LongLivedWithoutNonces));
    const { assert!(MAX_CODE_LIFETIME <= 60) };
}

#[test]
fn a_store_of_another_policy_is_refused_at_the_start() {
    let check = |agreement| {
        let consumption = Consumption::by_host().agreeing_on(Some(agreement));
        AuthorizationServer::new(EndpointPolicy::new(), verifier(), consumption).map(drop)
    };
    assert_eq!(check(verifier().replay_agreement()), Ok(()));
    let other = Policy::default().with_max_age(20).unwrap().replay_agreement(RUSTCRYPTO.digest);
    let difference = StoreDifference::Seconds { name: "max_age", store: 20, verifier: 60 };
    assert_eq!(check(other), Err(Misuse::StoreDisagreement(difference)));
}

/// A server whose store is the host's.
fn by_host(key: SoftKey) -> (AuthorizationServer, SoftKey) {
    let verifier = verifier().with_nonces(issuer());
    (AuthorizationServer::new(EndpointPolicy::new(), verifier, Consumption::by_host()).unwrap(), key)
}

/// What the host's store of this life answers.
fn said(insertion: Insertion, epoch: u64) -> Inserted {
    Inserted::new(insertion, StoreEpoch::from_u64(epoch))
}

#[test]
fn a_loss_noticed_by_the_insert_costs_one_challenge() {
    let (server, key) = by_host(key());
    let target = TargetUri::parse(TOKEN).unwrap();
    // One request in the life that the host knows of; the store answers in another.
    let ask = |nonce: &str, known: u64, answer: Inserted| {
        let proof = proof(&key, TOKEN, Some(nonce));
        let proofs = [proof.as_bytes()];
        let request = EndpointRequest::new("POST", &target, &proofs, ClientType::Public, CODE)
            .arriving(Arrival::in_epoch(StoreEpoch::from_u64(known)));
        let Step::Insert(insert) = server.admit(&request, NOW).unwrap() else { panic!("the store is the host's") };
        let vouched = insert.entry().nonce_epoch();
        (vouched, insert.resume(answer, NOW).unwrap().finished().unwrap())
    };
    let first = server.fresh_nonce(StoreEpoch::from_u64(1), NOW).unwrap();
    let (vouched, lost) = ask(first.as_str(), 1, said(Insertion::BeforeFloor, 2));
    assert_eq!(vouched, Some(StoreEpoch::from_u64(1)));
    let refusal = lost.unwrap_err();
    assert_eq!((refusal.error(), refusal.reason()), (Some("use_dpop_nonce"), "before_store_floor"));
    // The nonce is one of the new life, although the request came in the old one.
    let nonce = refusal.dpop_nonce().unwrap();
    assert_eq!(*nonce, server.fresh_nonce(StoreEpoch::from_u64(2), NOW).unwrap());
    let (vouched, admitted) = ask(nonce.as_str(), 2, said(Insertion::Fresh, 2));
    assert_eq!(vouched, Some(StoreEpoch::from_u64(2)));
    assert!(admitted.is_ok());
    // A proof that is taken although the life ended meanwhile brings the next nonce along.
    let (_, admitted) = ask(nonce.as_str(), 2, said(Insertion::Fresh, 3));
    assert_eq!(admitted.unwrap().next_nonce(), server.fresh_nonce(StoreEpoch::from_u64(3), NOW).as_ref());
}

#[test]
fn an_undecided_store_is_503_and_a_dropped_step_uses_nothing_up() {
    let (server, key) = by_host(key());
    let target = TargetUri::parse(TOKEN).unwrap();
    let nonce = server.fresh_nonce(StoreEpoch::from_u64(0), NOW).unwrap();
    let sent = proof(&key, TOKEN, Some(nonce.as_str()));
    let proofs = [sent.as_bytes()];
    let request = EndpointRequest::new("POST", &target, &proofs, ClientType::Public, CODE);
    let ask = |insertion| {
        let Step::Insert(insert) = server.admit(&request, NOW).unwrap() else { panic!("the store is the host's") };
        let refusal = insert.resume(said(insertion, 0), NOW).unwrap().finished().unwrap().unwrap_err();
        (refusal.status(), refusal.reason())
    };
    assert_eq!(ask(Insertion::Unavailable), (503, "store_unavailable"));
    assert_eq!(ask(Insertion::Full), (503, "store_full"));
    assert_eq!(ask(Insertion::Seen), (400, "replayed"));
    // Longer in the store than the proof is good for.
    let Step::Insert(insert) = server.admit(&request, NOW).unwrap() else { panic!("the store is the host's") };
    let late = insert.resume(said(Insertion::Fresh, 0), NOW.saturating_add(1_000)).unwrap().finished().unwrap();
    let refusal = late.unwrap_err();
    assert_eq!((refusal.error(), refusal.reason()), (Some("use_dpop_nonce"), "iat_too_old"));
    // What is announced by a public client is not stored, so there is no step.
    let announced = proof(&key, PAR, Some(nonce.as_str()));
    let (target, proofs) = (TargetUri::parse(PAR).unwrap(), [announced.as_bytes()]);
    let grant = Grant::Announcement { dpop_jkt: None };
    let request = EndpointRequest::new("POST", &target, &proofs, ClientType::Public, grant);
    assert!(server.admit(&request, NOW).unwrap().finished().unwrap().is_ok());
}
