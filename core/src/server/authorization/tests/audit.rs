//! What an authorization server keeps for audit records.

use super::*;
use crate::audit::Audit;

#[test]
fn whose_proof_it_was_is_kept_for_records_if_that_is_asked_for() {
    let plain = plain();
    let proofs = [proof(&plain.key, TOKEN, None)];
    let admit = |setting: &Setting| {
        setting.admit(TOKEN, ClientType::Public, Grant::AuthorizationCode { dpop_jkt: None }, &proofs)
    };
    let setting = Setting { server: plain.server.clone().audited(Audit::without_key()), ..plain };
    let admitted = admit(&setting).unwrap();
    assert_eq!(admitted.facts().unwrap().thumbprint(), Some(setting.jkt()));
    let refusal = admit(&setting).unwrap_err();
    assert_eq!((refusal.reason(), refusal.facts().unwrap().thumbprint()), ("replayed", Some(setting.jkt())));

    // Whoever sends a code without its proof claims a key, and shows none.
    let bound_to = Some(setting.jkt());
    let refusal = setting.admit(TOKEN, ClientType::Public, Grant::RefreshToken { bound_to }, &[]).unwrap_err();
    assert_eq!(refusal.facts(), None, "{}", refusal.reason());
}
