//! The metadata of an authorization server (RFC 8414), as far as this crate knows it.

use super::AuthorizationServer;
use crate::json::Value;

impl AuthorizationServer {
    /// The metadata document of a server with the issuer identifier `issuer`: to be completed with the endpoints it has.
    ///
    /// It names the algorithms of proofs, which are those of the policy (RFC 9449 section 5.1), PKCE with S256 alone (OAuth 2.1
    /// section 4.1.1), and `iss` in authorization responses (RFC 9207).
    pub fn metadata(&self, issuer: &str) -> Value {
        let algorithms: Value =
            self.verifier().policy().algorithms().iter().map(|algorithm| algorithm.name()).collect();
        Value::object()
            .with("issuer", issuer)
            .with("response_types_supported", Value::from_iter(["code"]))
            .with("code_challenge_methods_supported", Value::from_iter(["S256"]))
            .with("authorization_response_iss_parameter_supported", true)
            .with("dpop_signing_alg_values_supported", algorithms)
    }
}
