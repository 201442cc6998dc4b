//! Requests to servers as short stories, each of which is a vector in `tests/vectors/requests`: what arrives, what the server asks of its
//! host, what it is answered, and whether the request is admitted. Every language plays them back.

mod authorization;
mod coverage;
mod gateways;
mod intents;
mod introspection;
mod keys;
mod limits;
mod nonces;
mod proofs;
mod replay;
mod schemes;
mod targets;
mod tokens;

use keybound_conformance::request::world::{ISSUER, ISSUER_KEY, RESOURCE, jwk_set};
use serde_json::{Value, json};

/// A resource that knows the keys of its issuer.
fn resource() -> Value {
    json!({ "resource": RESOURCE, "issuers": [{ "issuer": ISSUER, "keys": jwk_set(&[ISSUER_KEY]) }] })
}
