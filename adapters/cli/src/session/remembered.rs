//! The client that a session was made with, kept beside the session so that later commands need no options.

use keybound::jose::jwk::PublicJwk;
use keybound::oauth::{Credentials, Secret};
use keybound::{Algorithm, SecurityLevel};
use keybound_reqwest::Files;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::switches::Switches;
use crate::failure::Failure;

/// How a session was made.
#[derive(Clone)]
pub(super) struct Remembered {
    pub(super) level: SecurityLevel,
    pub(super) grant: Grant,
    /// The client that was named on the command line; none if the program registered itself.
    pub(super) client: Option<RememberedClient>,
    /// The server to ask where the API names none, if one was named on the command line.
    pub(super) issuer: Option<String>,
    pub(super) entra_tenant: Option<String>,
    pub(super) switches: Switches,
    /// The token that the session's key is in; none is named if it is in the folder.
    #[cfg(feature = "pkcs11")]
    pub(super) token: crate::hsm::Token,
}

/// A client that was named on the command line, at the server that knows it.
#[derive(Clone)]
pub(super) struct RememberedClient {
    pub(super) issuer: String,
    pub(super) id: String,
    pub(super) authentication: Authentication,
}

/// How such a client shows who it is.
#[derive(Clone)]
pub(super) enum Authentication {
    Public,
    Secret(Secret),
    /// The private key lies in the folder, under its thumbprint.
    Key(PublicJwk, Algorithm),
}

/// By which grant the session was made, and is made again.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Grant {
    Browser,
    Device,
    Machine,
}

impl Grant {
    const ALL: [Self; 3] = [Self::Browser, Self::Device, Self::Machine];

    const fn name(self) -> &'static str {
        match self {
            Self::Browser => "browser",
            Self::Device => "device",
            Self::Machine => "machine",
        }
    }
}

impl RememberedClient {
    pub(super) fn credentials(&self) -> Credentials {
        match &self.authentication {
            Authentication::Public => Credentials::public(&self.id),
            Authentication::Secret(secret) => Credentials::secret(&self.id, secret.clone()),
            Authentication::Key(public_key, algorithm) => {
                Credentials::private_key(&self.id, public_key.clone(), *algorithm)
            }
        }
    }
}

impl Remembered {
    /// What is known of the session; nothing if there is no such session, or an older version made it.
    pub(super) fn load(host: &Files, session: &str) -> Result<Option<Self>, Failure> {
        let unreadable = |error| Failure::undecided(format!("cannot read how session {session} was made: {error}"));
        let Some(bytes) = host.attachment(session).map_err(unreadable)? else { return Ok(None) };
        // Another version may have written it: then it says nothing here, and options do.
        Ok(serde_json::from_slice(&bytes).ok().and_then(|value| Self::read(&value)))
    }

    pub(super) fn store(&self, host: &Files, session: &str) -> Result<(), Failure> {
        let bytes = Zeroizing::new(self.to_value().to_string());
        host.attach(session, bytes.as_bytes()).map_err(|error| {
            Failure::undecided(format!("the session {session} is stored, but cannot store how it was made: {error}"))
        })
    }

    fn to_value(&self) -> Value {
        let client = self.client.as_ref().map(|client| {
            let mut value = json!({ "issuer": client.issuer, "id": client.id });
            match &client.authentication {
                Authentication::Public => {}
                Authentication::Secret(secret) => value["secret"] = secret.expose().into(),
                Authentication::Key(key, algorithm) => {
                    value["alg"] = algorithm.name().into();
                    value["jwk"] = key.to_json().into();
                }
            }
            value
        });
        #[cfg(feature = "pkcs11")]
        let token = self.token.to_value();
        #[cfg(not(feature = "pkcs11"))]
        let token = Value::Null;
        json!({
            "v": 1,
            "level": self.level.name(),
            "grant": self.grant.name(),
            "client": client,
            "issuer": self.issuer,
            "entra_tenant": self.entra_tenant,
            "switches": self.switches.to_value(),
            "token": token,
        })
    }

    fn read(value: &Value) -> Option<Self> {
        if value["v"] != 1 {
            return None;
        }
        let client = match &value["client"] {
            Value::Null => None,
            client => Some(RememberedClient {
                issuer: client["issuer"].as_str()?.to_owned(),
                id: client["id"].as_str()?.to_owned(),
                authentication: match (client["secret"].as_str(), client["jwk"].as_str()) {
                    (Some(secret), _) => Authentication::Secret(Secret::new(secret)),
                    (None, Some(jwk)) => {
                        let algorithm = Algorithm::from_name(client["alg"].as_str()?)?;
                        Authentication::Key(PublicJwk::parse(jwk).ok()?, algorithm)
                    }
                    (None, None) => Authentication::Public,
                },
            }),
        };
        let grant = value["grant"].as_str()?;
        let text = |name: &str| value[name].as_str().map(str::to_owned);
        Some(Self {
            issuer: text("issuer"),
            entra_tenant: text("entra_tenant"),
            level: SecurityLevel::from_name(value["level"].as_str()?)?,
            grant: Grant::ALL.into_iter().find(|known| known.name() == grant)?,
            client,
            switches: Switches::read(&value["switches"]),
            #[cfg(feature = "pkcs11")]
            token: crate::hsm::Token::read(&value["token"]),
        })
    }
}

#[cfg(test)]
mod tests {
    use keybound::key::Signer as _;
    use keybound::key::soft::SoftKey;
    use keybound::{Algorithm, RUSTCRYPTO, SecurityLevel};

    use super::{Authentication, Grant, Remembered, RememberedClient, Secret, Switches};

    fn made_by(client: Option<RememberedClient>) -> Remembered {
        Remembered {
            level: SecurityLevel::Standard,
            grant: Grant::Machine,
            client,
            issuer: Some("https://as.example".into()),
            entra_tenant: None,
            switches: Switches::default(),
            #[cfg(feature = "pkcs11")]
            token: crate::hsm::Token::default(),
        }
    }

    #[test]
    fn each_kind_of_client_is_remembered() {
        let key = SoftKey::generate(Algorithm::Es256, &RUSTCRYPTO).unwrap();
        for authentication in [
            Authentication::Public,
            Authentication::Secret(Secret::new("s3cr:t%+")),
            Authentication::Key(key.public_key().clone(), Algorithm::Es256),
        ] {
            let client = RememberedClient { issuer: "https://as.example".into(), id: "a".into(), authentication };
            let value = made_by(Some(client)).to_value();
            let read = Remembered::read(&value).expect("a client");
            assert_eq!(read.to_value(), value);
            assert!(read.grant == Grant::Machine && read.level == SecurityLevel::Standard);
        }
        assert!(Remembered::read(&made_by(None).to_value()).is_some_and(|read| read.client.is_none()));
    }

    #[test]
    fn what_another_version_wrote_says_nothing() {
        for text in ["{}", "[]", r#"{"v":2,"level":"enhanced","grant":"browser"}"#, r#"{"v":1,"level":"enhanced"}"#] {
            assert!(Remembered::read(&serde_json::from_str(text).unwrap()).is_none(), "{text}");
        }
    }
}
