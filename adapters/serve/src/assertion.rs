//! Assertions: JWTs by which clients show who they are, or for whom they ask (RFC 7523).

use keybound::jose::jwk::PublicJwk;
use keybound::json::Value;
use keybound::{Algorithm, RUSTCRYPTO, UnixTime, base64url};

use super::client::Keys;
use super::http::Outgoing;
use super::metadata::ASSERTION_ALGORITHMS;
use super::state::State;

/// How long after its end an assertion's identifier is remembered, in seconds.
const MARGIN: u64 = 60;
/// The longest life of an assertion, in seconds.
const MAX_LIFETIME: u64 = 600;
/// How far ahead an assertion may be dated, in seconds.
const MAX_AHEAD: u64 = 60;

/// An assertion that is good, if it was not used before.
#[derive(Clone, Debug)]
pub(super) struct Assertion {
    pub(super) claims: Value,
    name: String,
    until: UnixTime,
}

impl Assertion {
    /// Reads an assertion by `issuer`, who has these keys, for this server; `endpoint` is where it was sent.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn read(
        state: &State,
        endpoint: &str,
        text: &str,
        issuer: &str,
        keys: &Keys,
    ) -> Result<Self, &'static str> {
        let (header, claims) = parts(text).ok_or("the assertion is no JWT")?;
        if claims.text("iss") != Some(issuer) {
            return Err("iss of the assertion is not the client");
        }
        if header.member("crit").is_some() || header.member("b64").is_some() {
            return Err("the assertion's header asks for what is not understood here");
        }
        // Other kinds of JWTs are no assertions, whoever signed them (RFC 8725 section 3.11).
        let kinds = ["jwt", "client-authentication+jwt", "authorization-grant+jwt"];
        let kind = header.member("typ").map(|typ| typ.as_text().unwrap_or_default().to_ascii_lowercase());
        if kind.is_some_and(|kind| !kinds.contains(&kind.strip_prefix("application/").unwrap_or(&kind))) {
            return Err("the assertion's typ is not that of an assertion");
        }
        let algorithm = header.text("alg").filter(|name| ASSERTION_ALGORITHMS.contains(name));
        let algorithm = algorithm.and_then(Algorithm::from_name).ok_or("the assertion's alg is not taken")?;
        let kid = header.text("kid");
        let fits = |known: &Option<String>| kid.is_none() || known.is_none() || known.as_deref() == kid;
        let mut candidates = keys.iter().filter(|(known, key)| fits(known) && key.key_type() == algorithm.key_type());
        // One signature is checked, however many keys the client registered: each costs as much as all the rest of a request.
        match (candidates.next(), candidates.next()) {
            (Some((_, key)), None) if is_signed(text, key, algorithm) => {}
            (Some(_), Some(_)) => return Err("several keys of the client fit; name one of them with kid"),
            _ => return Err("the assertion's signature does not verify"),
        }
        let now = state.now();
        let (until, name) = check(&claims, &audiences(state, endpoint), issuer, now)?;
        if state.kept().assertions.get(&name, now).is_some() {
            return Err("the assertion was used before");
        }
        Ok(Self { claims, name, until })
    }

    /// Uses it up. That comes when everything else about the request is good, so that a retry with a nonce may bring it again;
    /// `false` if another request was faster.
    pub(super) fn use_up(&self, state: &State) -> Result<bool, Outgoing> {
        let now = state.now();
        let mut kept = state.kept();
        if kept.assertions.get(&self.name, now).is_some() {
            return Ok(false);
        }
        kept.assertions.insert(&self.name, (), self.until.saturating_add(MARGIN), now)?;
        Ok(true)
    }
}

/// The names under which assertions may know this server (RFC 7523 section 3, RFC 9126 section 2).
fn audiences(state: &State, endpoint: &str) -> [String; 3] {
    [state.issuer.clone(), format!("{}/token", state.issuer), endpoint.to_owned()]
}

/// The end of an assertion and the name it is remembered by, if its claims hold.
fn check(
    claims: &Value,
    audiences: &[String],
    issuer: &str,
    now: UnixTime,
) -> Result<(UnixTime, String), &'static str> {
    let ours = |name: &str| audiences.iter().any(|audience| audience == name);
    if !claims.text("aud").is_some_and(ours) && !claims.texts("aud").any(ours) {
        return Err("the assertion's aud is not this server");
    }
    let expires = claims.time("exp").ok_or("the assertion has no exp")?;
    if expires <= now {
        return Err("the assertion is over");
    }
    if expires.since(now) > MAX_LIFETIME {
        return Err("the assertion is good for more than ten minutes");
    }
    let ahead = now.saturating_add(MAX_AHEAD);
    for name in ["nbf", "iat"] {
        if claims.member(name).is_some() && claims.time(name).is_none_or(|time| time > ahead) {
            return Err("the assertion is not good yet");
        }
    }
    let jti = claims.text("jti").filter(|jti| !jti.is_empty() && jti.len() <= 512);
    let jti = jti.ok_or("the assertion has no jti, or one of more than 512 bytes")?;
    Ok((expires, format!("{issuer}\n{jti}")))
}

/// Header and claims of a JWT, unverified.
pub(super) fn parts(jwt: &str) -> Option<(Value, Value)> {
    if jwt.len() > 16 * 1024 || jwt.split('.').count() != 3 {
        return None;
    }
    let mut segments = jwt.split('.');
    let mut object = || Value::parse_request(&base64url::decode(segments.next()?.as_bytes()).ok()?).ok();
    Some((object()?, object()?))
}

/// Whether a JWT is signed by this key.
pub(super) fn is_signed(jwt: &str, key: &PublicJwk, algorithm: Algorithm) -> bool {
    let Some((message, signature)) = jwt.rsplit_once('.') else { return false };
    let (Ok(signature), Some(verifier)) = (base64url::decode(signature.as_bytes()), RUSTCRYPTO.verifier(algorithm))
    else {
        return false;
    };
    verifier.verify(key, message.as_bytes(), &signature).is_ok()
}

/// The keys of a JWK set; none if one of them cannot be used, for example because it is private.
pub(super) fn keys(set: &Value) -> Option<Keys> {
    let keys = set.array("keys").filter(|keys| (1..=20).contains(&keys.len()))?;
    keys.iter().map(|key| Some((key.text("kid").map(str::to_owned), PublicJwk::parse(&key.to_json()).ok()?))).collect()
}

#[cfg(test)]
mod tests {
    use super::check;
    use keybound::UnixTime;
    use keybound::json::Value;

    #[test]
    fn claims_of_an_assertion_are_checked() {
        let now = UnixTime::from_secs(1_000);
        let audiences = ["http://127.0.0.1:1".to_owned()];
        let good = r#"{"aud":"http://127.0.0.1:1","exp":1060,"iat":1000,"jti":"a"}"#;
        let checked = |text: &str| check(&Value::parse(text.as_bytes()).expect(text), &audiences, "c", now);
        assert_eq!(checked(good), Ok((UnixTime::from_secs(1_060), "c\na".to_owned())));
        assert!(checked(r#"{"aud":["x","http://127.0.0.1:1"],"exp":1060,"jti":"a"}"#).is_ok());
        for text in [
            r#"{"aud":"http://127.0.0.1:1/","exp":1060,"jti":"a"}"#,
            r#"{"exp":1060,"jti":"a"}"#,
            r#"{"aud":"http://127.0.0.1:1","jti":"a"}"#,
            r#"{"aud":"http://127.0.0.1:1","exp":1000,"jti":"a"}"#,
            r#"{"aud":"http://127.0.0.1:1","exp":-9223372036854775808,"jti":"a"}"#,
            r#"{"aud":"http://127.0.0.1:1","exp":1e400,"jti":"a"}"#,
            r#"{"aud":"http://127.0.0.1:1","exp":1601,"jti":"a"}"#,
            r#"{"aud":"http://127.0.0.1:1","exp":1060,"nbf":1061,"jti":"a"}"#,
            r#"{"aud":"http://127.0.0.1:1","exp":1060,"iat":"soon","jti":"a"}"#,
            r#"{"aud":"http://127.0.0.1:1","exp":1060}"#,
            r#"{"aud":"http://127.0.0.1:1","exp":1060,"jti":""}"#,
        ] {
            assert!(checked(text).is_err(), "{text}");
        }
    }
}
