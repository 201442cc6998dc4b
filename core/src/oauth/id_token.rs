//! ID tokens (OpenID Connect Core 1.0): whose login it was, checked before a session says so.

use alloc::string::String;

use super::client::Inner;
use super::credentials::Credentials;
use super::error::{Endpoint, FlowError};
use super::flow::Io;
use super::members::is_sub;
use super::metadata::AuthorizationServer;
use super::pkce;
use super::post::TIMEOUT;
use super::request::SessionRequest;
use super::token::Issued;
use crate::UnixTime;
use crate::base64url;
use crate::crypto::Digest;
use crate::http::date;
use crate::http::message::Response;
use crate::issuer::{JwtDefect, SignatureDefect, UnverifiedJwt, fetch_set};
use crate::jose::algorithm::AlgorithmSet;
use crate::json::Value;

#[cfg(test)]
#[cfg(all(feature = "std", feature = "rustcrypto"))]
mod tests;

/// How far the clocks of client and server may differ, in seconds, where the response does not say the server's.
const LEEWAY: u64 = 300;
/// The claims that are looked at.
const CLAIMS: [&str; 8] = ["iss", "sub", "aud", "azp", "exp", "iat", "nonce", "at_hash"];

/// What is wrong with an ID token.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum IdTokenDefect {
    /// It is not a signed JWT that can be read here; one that is encrypted cannot.
    Malformed,
    /// It is not signed (`none`), signed with the client's secret (`HS256`), or with an algorithm that is not known.
    Algorithm,
    /// A required claim is missing, or a claim is of the wrong type.
    Claim(&'static str),
    /// `iss` is another issuer than the session's.
    Issuer,
    /// `aud` does not name this client, or names others without saying by `azp` that it was issued to this one.
    Audience,
    /// `azp` is another client.
    AuthorizedParty,
    /// `exp` has passed.
    Expired,
    /// `iat` is in the future.
    NotYetValid,
    /// `nonce` is not the one that was sent: the token is of another login.
    Nonce,
    /// `at_hash` is not the hash of the access token that came with it.
    AccessToken,
    /// The issuer's keys cannot be read now.
    KeysUnavailable,
    /// None of the issuer's keys is the one it is signed with.
    KeyUnknown,
    /// The signature does not verify.
    Signature,
}

/// What an ID token has to agree with.
pub(super) struct Login<'a> {
    pub(super) server: &'a AuthorizationServer,
    pub(super) credentials: &'a Credentials,
    /// The `nonce` of the authorization request, if one was sent.
    pub(super) nonce: Option<&'a str>,
}

impl SessionRequest {
    /// Whether it asks who the user is (section 3.1.2.1). An ID token that was not asked for is not looked at.
    pub(super) fn asks_who(&self) -> bool {
        self.scope.as_deref().is_some_and(|scope| scope.split(' ').any(|name| name == "openid"))
    }

    /// The `nonce` for an authorization request: one that the caller gave, else a random one. None if no ID token is asked for.
    pub(super) fn nonce(&self, client: &Inner) -> Result<Option<String>, FlowError> {
        if !self.asks_who() {
            return Ok(None);
        }
        let given = self.parameters.iter().find(|(name, _)| name == "nonce").map(|(_, value)| value.clone());
        Ok(Some(given.map_or_else(|| pkce::random_text::<32>(&client.crypto), Ok)?))
    }
}

impl Login<'_> {
    /// Checks the ID token of the response to a login, and its signature where this build can (section 3.1.3.7); its `sub` is the
    /// response's from then on. Gives whether there was one.
    ///
    /// # Security
    /// A build without the verifier, a browser's whose keys are WebCrypto's, relies on TLS to the token endpoint instead, as
    /// section 3.1.3.7 (item 6) permits.
    pub(super) async fn check(
        &self,
        io: &Io,
        client: &Inner,
        response: &Response,
        issued: &mut Issued,
    ) -> Result<bool, FlowError> {
        let Some((text, jwt, sub)) = self.read(client, response, issued, io.now())? else { return Ok(false) };
        if client.crypto.verifier(jwt.algorithm).is_some() {
            let keys = match self.server.require(Endpoint::Keys, client.rule) {
                Ok(url) => fetch_set(io, client.crypto.random, &url, TIMEOUT).await,
                Err(error) => Err(error),
            };
            let keys = keys.map_err(|error| match error {
                FlowError::Interrupted => error,
                _ => IdTokenDefect::KeysUnavailable.into(),
            })?;
            jwt.verify(&text, &keys, &client.crypto).map_err(IdTokenDefect::from)?;
        }
        issued.members.identify(&sub)?;
        Ok(true)
    }

    /// Checks the ID token of the response to a refresh (section 12.2), if there is one. That its `sub` is the one of before is
    /// checked with the response's.
    ///
    /// Its signature is not: it can change nothing that the session says, and a refresh token that was used up must not be lost
    /// because keys cannot be fetched.
    pub(super) fn check_renewed(
        &self,
        client: &Inner,
        response: &Response,
        issued: &mut Issued,
        now: UnixTime,
    ) -> Result<(), FlowError> {
        match self.read(client, response, issued, now)? {
            Some((_, _, sub)) => issued.members.identify(&sub),
            None => Ok(()),
        }
    }

    fn read(
        &self,
        client: &Inner,
        response: &Response,
        issued: &Issued,
        now: UnixTime,
    ) -> Result<Option<(String, UnverifiedJwt, String)>, IdTokenDefect> {
        let Some(text) = issued.members.other("id_token").filter(|text| !text.expose().is_empty()) else {
            return Ok(None);
        };
        // The server's own clock, where it says it or said it: the user's may be wrong.
        let known = || client.server_time(self.server.issuer(), now);
        let now = response.text("date").and_then(date::parse).unwrap_or_else(known);
        let expected = Expected {
            issuer: self.server.issuer(),
            client_id: self.credentials.client_id(),
            nonce: self.nonce,
            access_token: issued.access.expose(),
            digest: client.crypto.digest,
        };
        let (jwt, sub) = expected.read(text.expose(), now)?;
        Ok(Some((text.expose().into(), jwt, sub)))
    }
}

/// What the claims of an ID token are compared with.
#[derive(Clone, Copy)]
struct Expected<'a> {
    issuer: &'a str,
    client_id: &'a str,
    nonce: Option<&'a str>,
    access_token: &'a str,
    digest: &'static dyn Digest,
}

impl Expected<'_> {
    /// Reads an ID token and checks all but its signature; gives its `sub`.
    fn read(self, text: &str, now: UnixTime) -> Result<(UnverifiedJwt, String), IdTokenDefect> {
        let (jwt, claims) = UnverifiedJwt::read(text, AlgorithmSet::ALL, &CLAIMS)?;
        let text = |name: &'static str| match claims.member(name) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text.as_str())),
            Some(_) => Err(IdTokenDefect::Claim(name)),
        };
        if text("iss")?.ok_or(IdTokenDefect::Claim("iss"))? != self.issuer {
            return Err(IdTokenDefect::Issuer);
        }
        let sub = text("sub")?.filter(|sub| is_sub(sub)).ok_or(IdTokenDefect::Claim("sub"))?;
        self.check_audience(&claims, text("azp")?)?;
        let time = |name| claims.time(name).ok_or(IdTokenDefect::Claim(name));
        if now >= time("exp")?.saturating_add(LEEWAY) {
            return Err(IdTokenDefect::Expired);
        }
        if time("iat")? > now.saturating_add(LEEWAY) {
            return Err(IdTokenDefect::NotYetValid);
        }
        let nonce = text("nonce")?;
        if self.nonce.is_some() && nonce != self.nonce {
            return Err(IdTokenDefect::Nonce);
        }
        if text("at_hash")?.is_some_and(|hash| !self.is_hash_of_token(hash)) {
            return Err(IdTokenDefect::AccessToken);
        }
        Ok((jwt, sub.into()))
    }

    /// The token is for this client, and for others only if it says that it was issued to this one.
    fn check_audience(self, claims: &Value, azp: Option<&str>) -> Result<(), IdTokenDefect> {
        if azp.is_some_and(|azp| azp != self.client_id) {
            return Err(IdTokenDefect::AuthorizedParty);
        }
        let others = match claims.member("aud") {
            Some(Value::Text(aud)) if aud == self.client_id => false,
            Some(Value::Array(all)) if all.iter().any(|aud| aud.as_text() == Some(self.client_id)) => {
                all.iter().any(|aud| aud.as_text() != Some(self.client_id))
            }
            Some(Value::Text(_) | Value::Array(_)) => return Err(IdTokenDefect::Audience),
            _ => return Err(IdTokenDefect::Claim("aud")),
        };
        if others && azp.is_none() { Err(IdTokenDefect::Audience) } else { Ok(()) }
    }

    /// Whether `hash` is the left half of a hash of the access token (section 3.1.3.6). Its length says of which: for EdDSA and ML-DSA
    /// the specification does not.
    fn is_hash_of_token(self, hash: &str) -> bool {
        let token = [self.access_token.as_bytes()];
        let (short, medium, long) =
            (self.digest.sha256(&token), self.digest.sha384(&token), self.digest.sha512(&token));
        let halves = [short.split_at(16).0, medium.split_at(24).0, long.split_at(32).0];
        halves.into_iter().any(|half| base64url::encode(half) == hash)
    }
}

impl From<JwtDefect> for IdTokenDefect {
    fn from(defect: JwtDefect) -> Self {
        match defect {
            JwtDefect::Algorithm => Self::Algorithm,
            JwtDefect::Malformed | JwtDefect::Extension => Self::Malformed,
        }
    }
}

impl From<SignatureDefect> for IdTokenDefect {
    fn from(defect: SignatureDefect) -> Self {
        match defect {
            SignatureDefect::NoKey => Self::KeyUnknown,
            SignatureDefect::Invalid => Self::Signature,
        }
    }
}
