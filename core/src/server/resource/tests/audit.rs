//! What a resource server keeps for audit records, and when.

use super::*;
use crate::audit::{Audit, AuditKey, AuditRecord, Facts, Occasion, Operation};

const SECRET: [u8; 32] = [3; 32];

fn audited(world: World) -> World {
    let audit = Audit::with_key(AuditKey::from_secret(&SECRET).unwrap());
    World { server: world.server.clone().audited(audit), ..world }
}

fn name_of(text: &[u8]) -> [u8; 32] {
    RUSTCRYPTO.mac.hmac_sha256(&SECRET, &[text])
}

/// Client, thumbprint and token, as far as they are known.
fn known(facts: Option<&Facts>) -> (Option<&str>, Option<String>, Option<[u8; 32]>) {
    let facts = facts.unwrap();
    (facts.client(), facts.thumbprint().map(|thumbprint| thumbprint.to_string()), facts.token())
}

#[test]
fn an_admitted_request_names_client_key_and_token() {
    let world = audited(World::new(policy()));
    let token = world.issuer.token(world.bound().with("jti", "t1"));
    let principal = world.dpop(&token, &world.proof(&token)).unwrap();
    assert_eq!(known(principal.facts()), (Some("app"), Some(world.jkt()), Some(name_of(b"t1"))));
    assert_eq!(principal.facts().unwrap().clock_offset(), Some(0));

    let token = world.bound_token();
    let principal = world.dpop(&token, &world.proof(&token)).unwrap();
    let hash = RUSTCRYPTO.digest.sha256(&[token.as_bytes()]);
    assert_eq!(principal.facts().unwrap().token(), Some(name_of(&hash)), "a token without jti is named by its hash");
}

/// Each part rests on a signature, and is null before that one is verified.
#[test]
fn what_a_stranger_claims_is_not_known() {
    let world = audited(World::with_nonces());
    let token = world.issuer.token(world.bound().with("jti", "t1"));
    let proof = world.proof(&token);
    let forged = resigned(&token, &[1; 64]);
    let refused = |token: &str, proof: &str| world.dpop(token, proof).unwrap_err();
    for refusal in [
        world.ask(&[]).unwrap_err(),
        refused(&token, "a.b.c"),
        refused(&forged, &world.make(ProofBuilder::new("GET", URL).access_token(&forged))),
    ] {
        assert_eq!(refusal.facts(), None, "{}", refusal.reason());
    }

    let token_alone = (Some("app"), None, Some(name_of(b"t1")));
    let thief = SoftKey::generate(Algorithm::Es256, &RUSTCRYPTO).unwrap();
    let stolen = ProofBuilder::new("GET", URL).access_token(&token).sign(&RUSTCRYPTO, &thief, NOW).unwrap();
    let mismatch = refused(&token, stolen.as_str());
    assert_eq!((mismatch.reason(), known(mismatch.facts())), ("binding_mismatch", token_alone.clone()));
    let unsigned = refused(&token, &resigned(&proof, &[1; 64]));
    assert_eq!((unsigned.reason(), known(unsigned.facts())), ("signature_invalid", token_alone));
    let challenged = refused(&token, &proof);
    assert_eq!(challenged.reason(), "nonce_missing");
    assert_eq!(known(challenged.facts()), (Some("app"), Some(world.jkt()), Some(name_of(b"t1"))));
}

#[test]
fn a_replay_names_whose_request_was_repeated() {
    let world = audited(World::new(policy()));
    let token = world.issuer.token(world.bound().with("jti", "t1"));
    let proof = world.proof(&token);
    world.dpop(&token, &proof).unwrap();
    let refusal = world.dpop(&token, &proof).unwrap_err();
    assert_eq!(known(refusal.facts()), (Some("app"), Some(world.jkt()), Some(name_of(b"t1"))));
    let record = AuditRecord::refused(&Occasion::new(Operation::Admission, NOW), &refusal);
    assert!(record.is_vital() && record.reason == Some("replayed"), "{record}");
}

#[test]
fn a_refused_intent_and_a_missing_scope_name_the_principal() {
    let world = audited(World::new(policy()));
    let token = world.issuer.token(world.bound().with("jti", "t1"));
    let principal = world.dpop(&token, &world.proof(&token)).unwrap();
    let refusal = world.server.carry_out(&principal, "GET", URL, b"", NOW).unwrap().finished().unwrap().unwrap_err();
    assert_eq!(refusal.facts(), principal.facts());
    assert_eq!(world.server.require_scopes(&principal, &["admin"]).unwrap_err().facts(), principal.facts());
}

#[test]
fn nothing_is_kept_unless_it_is_asked_for() {
    let world = World::new(policy());
    let token = world.bound_token();
    let proof = world.proof(&token);
    assert_eq!(world.dpop(&token, &proof).unwrap().facts(), None);
    assert_eq!(world.dpop(&token, &proof).unwrap_err().facts(), None);
    let keyless = World { server: world.server.clone().audited(Audit::without_key()), ..world };
    let refusal = keyless.dpop(&token, &proof).unwrap_err();
    assert_eq!(known(refusal.facts()), (Some("app"), Some(keyless.jkt()), None));
}
