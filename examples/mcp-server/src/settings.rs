//! What the environment says.

use std::env;
use std::error::Error;
use std::fs;
use std::net::SocketAddr;

use keybound::server::JwkSet;

pub(crate) struct Settings {
    pub(crate) listen: SocketAddr,
    pub(crate) issuer: String,
    pub(crate) keys: Keys,
    /// The resource identifier; without one it is the address the server listens on.
    pub(crate) resource: Option<String>,
    pub(crate) nonces: bool,
}

/// Where the issuer's keys are.
pub(crate) enum Keys {
    Given(JwkSet),
    /// Where the issuer's metadata says.
    Published,
}

impl Settings {
    pub(crate) fn from_env() -> Result<Self, Box<dyn Error>> {
        let listen = variable("MCP_LISTEN").unwrap_or_else(|| "127.0.0.1:0".into());
        let nonces = match variable("MCP_NONCES").as_deref() {
            None | Some("on") => true,
            Some("off") => false,
            Some(_) => return Err("MCP_NONCES is neither `on` nor `off`".into()),
        };
        Ok(Self {
            listen: listen.parse().map_err(|_| "MCP_LISTEN is no address and port, such as 127.0.0.1:8080")?,
            issuer: variable("MCP_ISSUER").ok_or("MCP_ISSUER is missing: the URL of the authorization server")?,
            keys: variable("MCP_ISSUER_JWKS").map_or(Ok(Keys::Published), |given| read_keys(&given))?,
            resource: variable("MCP_RESOURCE"),
            nonces,
        })
    }
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// A JWK Set, or a single key, as JSON or in a file.
fn read_keys(given: &str) -> Result<Keys, Box<dyn Error>> {
    let json = if given.trim_start().starts_with('{') {
        given.to_owned()
    } else {
        fs::read_to_string(given).map_err(|error| format!("MCP_ISSUER_JWKS: {given}: {error}"))?
    };
    let is_single = keybound::json::Value::parse_object(json.as_bytes())?.member("keys").is_none();
    let set = if is_single { format!("{{\"keys\":[{json}]}}") } else { json };
    let keys = JwkSet::parse(set.as_bytes())?;
    if keys.is_empty() {
        return Err("MCP_ISSUER_JWKS has no public key that can verify signatures".into());
    }
    Ok(Keys::Given(keys))
}
