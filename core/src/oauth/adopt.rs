//! Sessions for tokens that were obtained elsewhere: by another library, another process, a person.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::binding::Binding;
use super::client::{Client, Inner};
use super::credentials::Credentials;
use super::error::FlowError;
use super::kept::{Claimed, Unfit};
use super::members::Members;
use super::metadata::AuthorizationServer;
use super::secret::Secret;
use super::session::Session;
use super::state::{Renewal, State};
use super::step::CreatedKey;
use super::switches::Switches;
use super::token::Token;
use crate::{SecurityLevel, UnixTime};

/// A bound access token that this client did not get itself.
#[derive(Clone, Debug)]
pub struct HeldToken {
    /// What the session is called: its lock has this name.
    pub session: String,
    /// The access token.
    pub token: Secret,
    /// The resource that it is for: requests go there alone, and to origins that the client lists.
    pub resource: String,
    /// The key that it is bound to, which the host signs with.
    pub key: CreatedKey,
    /// When it ends, if that is known.
    pub expires_at: Option<UnixTime>,
}

impl Client {
    /// A session for a token that another program obtained: Keybound handles proofs, nonces and clocks of its calls.
    ///
    /// Nobody can renew it and nothing of it is stored. Its issuer is unknown, and its [`issuer`](Session::issuer) empty.
    /// A client at [`SecurityLevel::Maximum`] adopts none: there, tokens are for one intent that the client itself asked for.
    ///
    /// # Errors
    /// [`Misuse`](crate::Misuse), if the resource is no URL to talk to, or if the key is of another type than its algorithm's or
    /// for one that client and level do not take; [`Downgrade::KeyProtection`](super::Downgrade::KeyProtection), if they do not take the place of the key;
    /// [`Downgrade::NoIntent`](super::Downgrade::NoIntent) at Maximum.
    pub fn adopt(&self, held: HeldToken) -> Result<Session, FlowError> {
        adopt(&self.0, held)
    }
}

pub(super) fn adopt(client: &Inner, held: HeldToken) -> Result<Session, FlowError> {
    client.rule.given(&held.resource)?;
    let binding = Binding::given(client, held.key)?;
    let level = client.level.max(SecurityLevel::Enhanced);
    let claimed = Claimed { level, server: None, binding: Some(&binding), has_intent: false, is_pending: false };
    claimed.check(client).map_err(Unfit::given)?;
    let token = Token { access: held.token, expires: held.expires_at, scope: None, details: None };
    let state = State {
        level,
        server: Arc::new(AuthorizationServer::unknown()),
        resource: Some(held.resource),
        client_id: String::new(),
        binding: Some(binding),
        token: Some(token),
        refresh: None,
        renewal: Renewal::RefreshToken,
        scope: None,
        details: None,
        parameters: Vec::new(),
        step_ups: 0,
        members: Members::default(),
        switches: Switches::default(),
        intent: None,
    };
    Ok(Session::of(client, held.session, Credentials::public(""), state))
}

#[cfg(test)]
#[cfg(feature = "rustcrypto")]
mod tests {
    use alloc::string::String;
    use alloc::vec::Vec;

    use super::HeldToken;
    use crate::http::message::{Request, Response};
    use crate::key::soft::SoftKey;
    use crate::key::{KeyProtection, Signer as _};
    use crate::oauth::step::{CreatedKey, KeyOwner};
    use crate::oauth::{Client, Demand, Downgrade, FlowError, Secret, Step};
    use crate::{Algorithm, Misuse, RUSTCRYPTO, SecurityLevel, UnixTime};

    const NOW: UnixTime = UnixTime::from_secs(1_700_000_000);

    fn held(key: &SoftKey) -> HeldToken {
        let (public_key, algorithm) = (key.public_key().clone(), key.algorithm());
        HeldToken {
            session: "held".into(),
            token: Secret::new("t0ken"),
            resource: "https://api.example.com/v1".into(),
            key: CreatedKey { public_key, algorithm, protection: KeyProtection::Software, owner: KeyOwner::Session },
            expires_at: None,
        }
    }

    /// Signs, answers each request with the next of `answers`, and gives what was sent.
    fn play<T>(mut step: Step<T>, key: &SoftKey, answers: &[(u16, &[(&str, &str)])]) -> (Result<T, FlowError>, usize) {
        let mut sent = Vec::new();
        loop {
            let next = match step {
                Step::Done(done) => return (Ok(done), sent.len()),
                Step::Sign(wanted) => {
                    let signature = key.sign(&wanted.input()).unwrap();
                    wanted.resume(Ok(signature), NOW)
                }
                Step::Fetch(wanted) => {
                    let request = wanted.request();
                    let token = request.fields.iter().find(|(name, _)| name == "Authorization");
                    assert_eq!(token.map(|(_, value)| value.as_str()), Some("DPoP t0ken"));
                    let (status, fields) = answers[sent.len()];
                    sent.push(request.url.clone());
                    let fields = fields.iter().map(|(name, value)| (String::from(*name), value.as_bytes().to_vec()));
                    wanted.resume(Ok(Response { status, fields: fields.collect(), body: Vec::new() }), NOW)
                }
                Step::Lock(wanted) => wanted.resume(Ok(()), NOW),
                Step::Unlock(wanted) => wanted.resume(Ok(()), NOW),
                Step::Load(wanted) => wanted.resume(Ok(None), NOW),
                _ => panic!("nothing else is asked for"),
            };
            match next {
                Ok(next) => step = next,
                Err(error) => return (Err(error), sent.len()),
            }
        }
    }

    #[test]
    fn a_token_from_elsewhere_is_sent_with_proofs() {
        let key = SoftKey::generate(Algorithm::Es256, &RUSTCRYPTO).unwrap();
        let client = Client::builder(SecurityLevel::Enhanced, &RUSTCRYPTO).build().unwrap();
        let session = client.adopt(held(&key)).unwrap();
        assert_eq!((session.is_bound(), session.issuer().as_str()), (true, ""));
        let nonce = [("WWW-Authenticate", "DPoP error=\"use_dpop_nonce\""), ("DPoP-Nonce", "n1")];
        let step = client.call(&session, Request::new("GET", "https://api.example.com/v1/a"), NOW).unwrap();
        let (answer, sent) = play(step, &key, &[(401, &nonce[..]), (200, &[])]);
        assert_eq!((answer.unwrap().status, sent), (200, 2));
        // Refused, it cannot be renewed.
        let refused = [("WWW-Authenticate", "DPoP error=\"invalid_token\"")];
        let step = client.call(&session, Request::new("GET", "https://api.example.com/v1/a"), NOW).unwrap();
        let (answer, _) = play(step, &key, &[(401, &refused[..])]);
        assert!(matches!(answer.unwrap().demand, Some(Demand::Login(_))));
    }

    #[test]
    fn it_goes_to_its_resource_while_it_lasts() {
        let key = SoftKey::generate(Algorithm::Es256, &RUSTCRYPTO).unwrap();
        let client = Client::builder(SecurityLevel::Enhanced, &RUSTCRYPTO).build().unwrap();
        let session = client.adopt(held(&key)).unwrap();
        for elsewhere in ["https://evil.example/v1", "https://api.example.com/v2", "http://api.example.com/v1"] {
            let begun = client.call(&session, Request::new("GET", elsewhere), NOW);
            assert!(matches!(begun, Err(FlowError::Misuse(_))), "{elsewhere}");
        }
        let over = client.adopt(HeldToken { expires_at: Some(NOW), ..held(&key) }).unwrap();
        let step = client.call(&over, Request::new("GET", "https://api.example.com/v1"), NOW).unwrap();
        assert!(matches!(play(step, &key, &[]), (Err(FlowError::LoginRequired), 0)));
    }

    #[test]
    fn a_key_that_cannot_be_used_is_refused() {
        let key = SoftKey::generate(Algorithm::Es256, &RUSTCRYPTO).unwrap();
        let client = Client::builder(SecurityLevel::Enhanced, &RUSTCRYPTO).build().unwrap();
        let mut wrong = held(&key);
        wrong.key.algorithm = Algorithm::Ed25519;
        assert!(matches!(client.adopt(wrong), Err(FlowError::Misuse(Misuse::AlgorithmKey(_)))));
        let maximum = Client::builder(SecurityLevel::Maximum, &RUSTCRYPTO).build().unwrap();
        assert!(matches!(maximum.adopt(held(&key)), Err(FlowError::Downgrade(Downgrade::KeyProtection))));
    }
}
