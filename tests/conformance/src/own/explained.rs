//! Proofs with several mistakes, and what an explanation says of the checks that they do not pass.

use serde_json::{Map, Value, json};

use super::{Maker, P256, thumbprint};
use crate::raw::{self, Claims};
use crate::{NOW, TOKEN, URL};

/// The file by its name.
pub(super) fn files(maker: &Maker) -> impl Iterator<Item = (String, Value)> {
    let entries = [together(maker), blocked(maker), stores(maker)].concat();
    [("explained/mistakes.json".to_owned(), Value::from(entries))].into_iter()
}

/// What becomes of a check that is not passed.
#[derive(Clone, Copy)]
enum Unmet {
    Failed(&'static str),
    Because(&'static str),
}
use Unmet::{Because, Failed};

/// An entry: a GET by the ES256 key for which `unmet` is all that is not passed, replay left out where no store is asked.
fn entry(id: &str, proof: &str, unmet: &[(&str, Unmet)]) -> Value {
    let unmet: Vec<Value> = unmet
        .iter()
        .map(|(check, unmet)| match unmet {
            Failed(reason) => json!({ "check": check, "reason": reason }),
            Because(failed) => json!({ "check": check, "because": failed }),
        })
        .collect();
    json!({
        "id": id,
        "proof": proof,
        "method": "GET",
        "url": URL,
        "now": NOW.secs(),
        "access_token": TOKEN,
        "jkt": thumbprint(&format!("{P256}}}")),
        "unmet": unmet,
    })
}

fn with(entry: Value, members: Value) -> Value {
    let object = |value| match value {
        Value::Object(members) => members,
        _ => Map::new(),
    };
    Value::Object(object(entry).into_iter().chain(object(members)).collect())
}

fn old() -> String {
    (NOW.secs() - 1000).to_string()
}

/// Claims with the hash of another token, made long ago.
fn stale(maker: &Maker) -> Claims {
    maker.claims().with("iat", &old()).with("ath", "\"47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU\"")
}

/// Mistakes that have nothing to do with one another are found together.
fn together(maker: &Maker) -> Vec<Value> {
    let three = [
        ("method", Failed("method_mismatch")),
        ("time", Failed("iat_too_old")),
        ("token_hash", Failed("ath_mismatch")),
        ("replay", Because("method")),
    ];
    let another_header = maker.header().replace("dpop+jwt", "jwt");
    let everything = [
        ("type", Failed("typ_mismatch")),
        ("method", Failed("method_mismatch")),
        ("target", Failed("target_mismatch")),
        ("time", Failed("iat_too_old")),
        ("binding", Failed("binding_mismatch")),
        ("token_hash", Failed("ath_mismatch")),
        ("signature", Failed("signature_malformed")),
        ("replay", Because("type")),
    ];
    let long = format!("{}AA", maker.sign(&another_header, &stale(maker)));
    let elsewhere = json!({ "method": "POST", "url": "https://api.example.com/other", "jkt": "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU" });
    vec![
        with(entry("three-mistakes", &maker.sign_claims(&stale(maker)), &three), json!({ "method": "POST" })),
        with(entry("seven-mistakes", &long, &everything), elsewhere),
        entry("none", &maker.good(), &[]),
    ]
}

/// A check is not judged where one failed that finds what it looks at.
fn blocked(maker: &Maker) -> Vec<Value> {
    let of_key = |failed| ["curve", "binding", "signature"].map(|check| (check, Because(failed)));
    let unknown =
        [("algorithm", Failed("alg_unknown")), ("key", Because("algorithm")), ("time", Failed("iat_too_old"))];
    let unknown = [&unknown[..], &of_key("algorithm"), &[("replay", Because("algorithm"))]].concat();
    let missing = [("key", Failed("jwk_malformed")), ("time", Failed("iat_too_old"))];
    let missing = [&missing[..], &of_key("key"), &[("replay", Because("key"))]].concat();
    let claims = [
        ("claims", Failed("htm_missing")),
        ("method", Because("claims")),
        ("time", Failed("iat_too_old")),
        ("replay", Because("claims")),
    ];
    let all = ["type", "algorithm", "key", "claims", "method", "target", "time", "nonce", "curve", "binding"];
    let all = all.into_iter().chain(["token_hash", "signature", "replay"]).map(|check| (check, Because("shape")));
    let cut: Vec<_> = [("shape", Failed("jwt_malformed"))].into_iter().chain(all).collect();
    let late = maker.claims().with("iat", &old());
    let (good, header) = (maker.good(), maker.header().replace("ES256", "es256"));
    vec![
        entry("unknown-algorithm", &maker.sign(&header, &late), &unknown),
        entry("key-is-text", &maker.sign(&raw::header_with("ES256", "\"key\""), &late), &missing),
        entry("claim-missing", &maker.sign_claims(&late.clone().without("htm")), &claims),
        entry("cut", good.rsplit_once('.').map_or("", |(cut, _)| cut), &cut),
    ]
}

/// The floor of a memory store is one of the checks.
fn stores(maker: &Maker) -> Vec<Value> {
    let (good, floor) = (maker.good(), json!({ "store_floor": NOW.secs() }));
    let late = [("method", Failed("method_mismatch")), ("replay", Failed("before_store_floor"))];
    let first = json!({ "store_floor": NOW.secs(), "first_start": true });
    vec![
        with(entry("before-the-floor", &good, &late[1..]), floor.clone()),
        with(with(entry("another-method-before-the-floor", &good, &late), floor), json!({ "method": "POST" })),
        with(entry("first-start", &good, &[]), first),
        with(entry("after-the-floor", &good, &[]), json!({ "store_floor": NOW.secs() - 11 })),
    ]
}
