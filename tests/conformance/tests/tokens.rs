//! Tokens as real servers write them (`tests/vectors/tokens`), at a resource that accepts Bearer, where nothing but their members
//! tells access tokens from others.
#![allow(missing_docs)]

use std::collections::BTreeSet;
use std::path::PathBuf;

use keybound::server::resource::{
    IncomingRequest, Introspection, IssuerProfile, Principal, ResourcePolicy, ResourceServer, Schemes,
};
use keybound::server::{Consumption, JwkSet, KeySource};
use keybound::{Crypto, Policy, TargetUri, UnixTime, Verifier};
use keybound_conformance::providers;
use serde_json::{Value, json};

fn files() -> Vec<Value> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../vectors/tokens");
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.map(|path| serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()).collect()
}

fn text<'a>(object: &'a Value, name: &str) -> &'a str {
    object[name].as_str().unwrap_or_else(|| panic!("{name} of {object}"))
}

/// A resource that knows the issuer of a file by `profile`.
struct Resource {
    plain: ResourceServer,
    introspecting: ResourceServer,
}

fn resource(file: &Value, profile: IssuerProfile, crypto: &Crypto) -> Resource {
    let (issuer, keys) = (text(file, "issuer"), JwkSet::parse(file["keys"].to_string().as_bytes()).unwrap());
    let mut policy = ResourcePolicy::new(text(file, "resource"))
        .unwrap()
        .with_schemes(Schemes::Both)
        .with_issuer_profile(issuer, profile)
        .unwrap()
        .with_issuer_keys(issuer, KeySource::Given(keys))
        .unwrap();
    for audience in file["audiences"].as_array().unwrap() {
        policy = policy.with_audience(audience.as_str().unwrap());
    }
    let server = |policy| {
        let verifier = Verifier::new(Policy::default(), crypto);
        ResourceServer::new(policy, verifier, Consumption::by_host()).unwrap()
    };
    let introspecting = policy.clone().with_introspection(Introspection::by_host());
    Resource { plain: server(policy), introspecting: server(introspecting) }
}

/// The answer to a request with the token of an entry: what its principal is, or the reason of its refusal.
fn outcome(resource: &Resource, file: &Value, entry: &Value) -> Result<Value, String> {
    let now = UnixTime::from_secs(file["now"].as_i64().unwrap());
    let target = TargetUri::parse(text(file, "resource")).unwrap();
    let field = format!("Bearer {}", text(entry, "token"));
    let server = if entry["answer"].is_null() { &resource.plain } else { &resource.introspecting };
    let fields = [("Authorization", field.as_bytes())];
    let step = server.admit(&IncomingRequest::new("GET", &target, &fields), now).unwrap();
    let admission = step.answered(now, &mut |_, _| Ok(entry["answer"].to_string().into_bytes())).unwrap();
    admission.map(|principal| described(&principal)).map_err(|refusal| refusal.reason().into())
}

fn described(principal: &Principal) -> Value {
    json!({
        "subject": principal.subject(),
        "client_id": principal.client_id(),
        "scopes": principal.scopes().collect::<Vec<_>>(),
    })
}

#[test]
fn every_token_has_its_outcome_with_both_providers() {
    for (provider, crypto) in providers() {
        for file in files() {
            let profile = IssuerProfile::from_name(text(&file, "profile")).unwrap();
            let resource = resource(&file, profile, &crypto);
            for entry in file["entries"].as_array().unwrap() {
                let expected = match text(entry, "expect") {
                    "accept" => Ok(entry["principal"].clone()),
                    _ => Err(text(entry, "rejection").to_owned()),
                };
                assert_eq!(outcome(&resource, &file, entry), expected, "{provider}: {}", text(entry, "id"));
            }
        }
    }
}

/// No profile takes what another server writes, unless it is an access token: by none of them a token of another kind gets in.
#[test]
fn no_profile_accepts_a_token_that_is_none_for_access() {
    let crypto = keybound::RUSTCRYPTO;
    for file in files() {
        for profile in IssuerProfile::ALL {
            let resource = resource(&file, *profile, &crypto);
            for entry in file["entries"].as_array().unwrap().iter().filter(|entry| text(entry, "expect") == "reject") {
                let id = text(entry, "id");
                let is_other = ["id-token", "refresh", "logout", "jarm", "-introspection"].iter();
                if is_other.clone().any(|kind| id.contains(kind)) {
                    assert!(outcome(&resource, &file, entry).is_err(), "{id} by {profile:?}");
                }
            }
        }
    }
}

#[test]
fn each_profile_has_every_kind_of_token() {
    let mut profiles = BTreeSet::new();
    for file in files() {
        let profile = text(&file, "profile");
        profiles.insert(profile.to_owned());
        let ids: Vec<&str> = file["entries"].as_array().unwrap().iter().map(|entry| text(entry, "id")).collect();
        for kind in ["access-token", "id-token", "refresh-token", "logout-token", "jarm", "introspection"] {
            assert!(ids.contains(&format!("{profile}-{kind}").as_str()), "{profile} {kind}");
        }
    }
    assert_eq!(profiles, IssuerProfile::ALL.iter().map(|profile| profile.name().to_owned()).collect());
}
