//! What the proof alone does not decide: its fields, the policy, the server's nonces, and what was used before.

use keybound::Rejection::{
    AlgNotPermitted, AlgUnavailable, BeforeStoreFloor, BindingMismatch, MultipleProofs, NonceMismatch, NonceMissing,
    NonceStale, ProofMissing, Replayed,
};
use keybound::base64url;
use keybound::nonce::Role::{self, AuthorizationServer, ResourceServer};
use keybound::nonce::issuer::{NonceIssuer, NonceKey, NonceKeys};
use keybound::replay::StoreEpoch;
use serde_json::{Value, json};

use super::{CRYPTO, ED25519, Maker, Vector, quoted, thumbprint};
use crate::{NOW, raw, shifted};

pub(super) fn vectors(maker: &Maker) -> Vec<Vector> {
    let mut vectors = fields(maker);
    vectors.extend(policies(maker));
    vectors.extend(nonces(maker));
    vectors.extend(replays(maker));
    vectors.extend(floors(maker));
    vectors
}

fn fields(maker: &Maker) -> Vec<Vector> {
    let (one, other) = (maker.good(), maker.sign_claims(&maker.claims().with("jti", "\"another\"")));
    let single = "4.3 check 1: exactly one DPoP field with one value";
    let several = |id, proofs: Value| Vector::refused(id, MultipleProofs, proofs, single);
    let elsewhere = Vector::refused("code-of-another-key", BindingMismatch, one.clone(), "10: dpop_jkt is another key");
    vec![
        Vector::refused("no-field", ProofMissing, Value::Null, "7.1: a bound token comes with a proof"),
        several("two-fields", json!([one, other])),
        several("two-fields-same-proof", json!([one, one])),
        several("two-fields-first-empty", json!(["", one])),
        several("two-fields-second-no-proof", json!([one, "x"])),
        several("folded-fields", json!(format!("{one},{other}"))),
        several("folded-fields-with-space", json!(format!("{one}, {one}"))),
        several("trailing-comma", json!(format!("{one},"))),
        Vector::accepted("one-field", json!([one]), single),
        elsewhere
            .set("access_token", Value::Null)
            .set("ath", Value::Null)
            .set("jkt", thumbprint(&format!("{ED25519}}}"))),
    ]
}

fn policies(maker: &Maker) -> Vec<Vector> {
    let allowed = "4.3 check 5: alg is acceptable by local policy";
    vec![
        Vector::refused("alg-outside-policy", AlgNotPermitted, maker.good(), allowed)
            .set("allowed_algs", json!(["EdDSA"])),
        Vector::accepted("alg-in-policy", maker.good(), allowed).set("allowed_algs", json!(["EdDSA", "ES256"])),
        Vector::refused("alg-not-in-build", AlgUnavailable, maker.good(), "4.3 check 5: alg is supported")
            .set("without_verifiers", true),
    ]
}

const SECRET: [u8; 32] = [0x17; 32];
const SERVICE: &str = "https://api.example.com";

/// Nonces that the server recognises without remembering them. They say in which steps of 30 s they are good.
fn nonces(maker: &Maker) -> Vec<Vector> {
    let issue = |secret, service: &str, role: Role, seconds| {
        let keys = NonceKeys::new(NonceKey::from_secret(1, secret).expect("a secret"));
        let issuer = NonceIssuer::new(CRYPTO.mac, keys, service);
        issuer.issue(role, None, StoreEpoch::from_u64(0), shifted(NOW, seconds)).expect("a nonce").as_str().to_owned()
    };
    let mine = |seconds| issue(SECRET, SERVICE, ResourceServer, seconds);
    let sign = |nonce: &str| maker.sign_claims(&maker.claims().with("nonce", &quoted(nonce)));
    let setup = json!({"secret": base64url::encode(&SECRET), "key_id": 1, "namespace": SERVICE});
    let ours = "8: the nonce is one that this server provided to clients in this role";
    let recent = "8: the nonce is recent";
    let changed = {
        let nonce = mine(0);
        let last = if nonce.ends_with('A') { "B" } else { "A" };
        format!("{}{last}", &nonce[..nonce.len() - 1])
    };
    let foreign_role = issue(SECRET, SERVICE, AuthorizationServer, 0);
    let elsewhere = issue(SECRET, "https://other.example", ResourceServer, 0);
    [
        Vector::accepted("nonce-of-this-server", sign(&mine(0)), ours),
        Vector::accepted("nonce-of-the-step-before", sign(&mine(-30)), recent),
        Vector::refused("nonce-stale", NonceStale, sign(&mine(-60)), recent),
        Vector::refused("nonce-of-an-hour-ago", NonceStale, sign(&mine(-3600)), recent),
        Vector::refused("nonce-of-an-hour-ahead", NonceStale, sign(&mine(3600)), recent),
        Vector::refused("nonce-missing-for-issuer", NonceMissing, maker.good(), ours),
        Vector::refused("nonce-of-other-role", NonceMismatch, sign(&foreign_role), ours),
        Vector::refused("nonce-of-other-service", NonceMismatch, sign(&elsewhere), ours),
        Vector::refused(
            "nonce-of-other-secret",
            NonceMismatch,
            sign(&issue([9; 32], SERVICE, ResourceServer, 0)),
            ours,
        ),
        Vector::refused("nonce-changed", NonceMismatch, sign(&changed), ours),
        Vector::refused("nonce-empty-for-issuer", NonceMismatch, sign(""), ours),
    ]
    .map(|vector| vector.set("nonce_issuer", setup.clone()))
    .into()
}

/// Proofs that come after another one.
fn replays(maker: &Maker) -> Vec<Vector> {
    let once = "11.1: a proof is accepted once";
    let burnt = "11.1: a proof that fails uses up nothing";
    let claims = |name: &str, json: &str| maker.sign_claims(&maker.claims().with(name, json));
    let good = maker.good();
    let ed25519 = maker.sign_ed25519(&raw::header_with("EdDSA", &format!("{ED25519}}}")));
    let (message, _) = good.rsplit_once('.').expect("a proof has dots");
    let foreign = raw::sign(&maker.ed25519, &CRYPTO, &maker.header(), &maker.claims().json());
    let unsigned = format!("{message}.{}", base64url::encode(&[1; 64]));
    let spaced = maker.sign(&format!("{} ", maker.header()), &maker.claims());
    vec![
        Vector::refused("replayed", Replayed, good.clone(), once).set("already_used", true),
        Vector::refused("replayed-with-later-iat", Replayed, claims("iat", "1700000005"), once)
            .set("already_used", good.clone()),
        Vector::refused("replayed-in-another-spelling", Replayed, spaced, once).set("already_used", good.clone()),
        Vector::refused("replayed-jti-escaped", Replayed, claims("jti", r#""\u00651j3V_bKic8-LAEB""#), once)
            .set("already_used", good.clone()),
        Vector::accepted("same-jti-of-another-key", good.clone(), "11.1: a jti belongs to its key")
            .set("already_used", ed25519),
        Vector::accepted("another-jti-of-the-same-key", claims("jti", "\"another\""), once)
            .set("already_used", good.clone()),
        Vector::accepted("jti-not-used-up-by-method", good.clone(), burnt)
            .set("already_used", claims("htm", "\"PUT\"")),
        Vector::accepted("jti-not-used-up-by-token-hash", good.clone(), burnt)
            .set("already_used", claims("ath", &quoted(&"A".repeat(43)))),
        Vector::accepted("jti-not-used-up-by-signature", good.clone(), burnt).set("already_used", unsigned),
        Vector::accepted("jti-not-used-up-by-foreign-key", good, burnt).set("already_used", foreign),
    ]
}

/// Stores that have forgotten everything before they were started.
fn floors(maker: &Maker) -> Vec<Vector> {
    let floor = "11.1: a store that has just started cannot know what was used before";
    let started = |vector: Vector, seconds: i64| {
        vector.set("store_floor", NOW.secs() + seconds).set("max_age", 60).set("max_ahead", 10)
    };
    vec![
        started(Vector::refused("before-store", BeforeStoreFloor, maker.good(), floor), 0),
        started(Vector::refused("ten-seconds-after-store", BeforeStoreFloor, maker.good(), floor), -10),
        started(Vector::accepted("eleven-seconds-after-store", maker.good(), floor), -11),
    ]
}
