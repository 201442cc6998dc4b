//! Intents: what a user agreed to, tied to the key that may carry it out, once (RFC 9396 bound by RFC 9449).
//!
//! There is no protocol here but those of the standards. The client pushes `authorization_details` with `dpop_jkt`; the
//! authorization server keeps them as an [`Intent`] and issues a token with the details that were granted and the key's
//! `cnf.jkt`, without a refresh token; the resource compares each request with the token's details and takes the token once.
//!
//! Such a token is good for nothing else: it has no scope, and a resource refuses it at every endpoint that does not compare its
//! details and use it up ([`ResourcePolicy::with_intents_at`](crate::server::resource::ResourcePolicy::with_intents_at)).
//!
//! The resource matches details of the type [`REQUEST_TYPE`] itself. Others are the application's to match; binding, expiry and
//! single use are the same for all.
//!
//! ```
//! # #[cfg(all(feature = "std", feature = "rustcrypto"))] {
//! use keybound::intent::{Intent, IntendedRequest, request_detail};
//! use keybound::json::Value;
//! use keybound::{RUSTCRYPTO, Thumbprint, UnixTime};
//!
//! let now = UnixTime::from_secs(1_700_000_000);
//! let key = Thumbprint::from_bytes([7; 32]);
//! let url = "https://api.example.com/payments";
//! // The client asks for one request with one body.
//! let body: &[u8] = br#"{"to":"alice","eur":"10.00"}"#;
//! let details = Value::from(vec![request_detail("POST", url, Some(body), RUSTCRYPTO.digest)]);
//! // The authorization server declares it, and says what it grants.
//! let intent = Intent::declare(details, key, 300, now).unwrap();
//! let granted = intent.grant(intent.details().clone(), now).unwrap();
//! // The resource lets exactly this request through, by this key.
//! let request = IntendedRequest { method: "POST", url, body, key };
//! assert!(granted.permits(&request, RUSTCRYPTO.digest, now).is_ok());
//! let other = IntendedRequest { body: br#"{"to":"mallory","eur":"9999"}"#, ..request };
//! assert!(granted.permits(&other, RUSTCRYPTO.digest, now).is_err());
//! # }
//! ```

use alloc::string::String;
use core::fmt;

use crate::UnixTime;
use crate::base64url;
use crate::crypto::Digest;
use crate::http::url::Url;
use crate::jose::thumbprint::Thumbprint;
use crate::json::Value;
pub use crate::oauth::details::within;
use crate::replay::{ReplayAgreement, ReplayEntry, ReplayEntryParts, ReplayKey};
use crate::server::authorization::confirmation;
use crate::server::resource::Principal;

/// The `type` of details that name one request: `method`, `locations` with one URL, and `body_sha256`, the base64url SHA-256 of
/// the body, unless the body does not matter.
pub const REQUEST_TYPE: &str = "keybound_request";
/// The longest intent, in seconds.
pub const MAX_LIFETIME: u64 = 3_600;
/// How many details an intent has at most.
pub const MAX_DETAILS: usize = 32;
/// The namespace of used tokens in a replay store.
const NAMESPACE: &str = "keybound intent";

/// Details, the key that may carry them out, and until when.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Intent {
    details: Value,
    key: Thumbprint,
    expires: UnixTime,
}

/// A request as far as an intent is concerned.
#[derive(Clone, Copy)]
pub struct IntendedRequest<'a> {
    /// The method, case significant.
    pub method: &'a str,
    /// The absolute URL, query included.
    pub url: &'a str,
    /// The whole body.
    pub body: &'a [u8],
    /// The key of the proof that came with it, verified.
    pub key: Thumbprint,
}

/// Why an intent does not permit something.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum IntentDefect {
    /// The details are not an array of 1 to 32 objects, each with a `type`.
    Malformed,
    /// The lifetime is zero or above an hour.
    Lifetime,
    /// Its time is over.
    Expired,
    /// The proof's key is not the intent's.
    Key,
    /// More was granted than was declared.
    Exceeded,
    /// None of its details is about this request.
    NoMatch,
    /// The token has no `jti` or no `iat`, so it is unknown whether it was used.
    NoIdentifier,
    /// The token is not bound, has no details or no end.
    NoIntent,
    /// It was carried out before.
    Used,
    /// The replay store began to remember after the token was issued: it is unknown whether it was used.
    BeforeFloor,
}

defects!(IntentDefect {
    Malformed => "intent_malformed", "authorization_details are not an array of 1 to 32 objects, each with a type";
    Lifetime => "intent_lifetime", "the lifetime of an intent is 1 second to an hour";
    Expired => "intent_expired", "the intent is over; declare it again";
    Key => "intent_key", "the proof was made with another key than the intent's";
    Exceeded => "intent_exceeded", "more was granted than was declared";
    NoMatch => "intent_no_match", "none of the intent's details is about this request, its body included";
    NoIdentifier => "intent_no_identifier", "the token has no jti or no iat, without which it is unknown whether it was used";
    NoIntent => "no_intent", "the token carries no intent: it is not bound, has no authorization_details or no end";
    Used => "intent_used", "the intent was carried out before";
    BeforeFloor => "intent_before_floor", "this server began to remember used intents after the token was issued; declare the intent again";
});

impl fmt::Display for IntentDefect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl core::error::Error for IntentDefect {}

/// The detail for one request: its method, its URL and its body, or any body if `body` is `None`.
pub fn request_detail(method: &str, url: &str, body: Option<&[u8]>, digest: &dyn Digest) -> Value {
    Value::object()
        .with("type", REQUEST_TYPE)
        .with("method", method)
        .with("locations", Value::from_iter([url]))
        .with_some("body_sha256", body.map(|body| body_digest(body, digest)))
}

fn body_digest(body: &[u8], digest: &dyn Digest) -> String {
    base64url::encode(&digest.sha256(&[body]))
}

impl Intent {
    /// Declares an intent at the authorization server: what a pushed request asked for, and the key it named.
    ///
    /// # Errors
    /// [`IntentDefect::Malformed`], [`IntentDefect::Lifetime`].
    pub fn declare(details: Value, key: Thumbprint, lifetime: u64, now: UnixTime) -> Result<Self, IntentDefect> {
        if !(1..=MAX_LIFETIME).contains(&lifetime) {
            return Err(IntentDefect::Lifetime);
        }
        Self::new(details, key, now.saturating_add(lifetime))
    }

    fn new(details: Value, key: Thumbprint, expires: UnixTime) -> Result<Self, IntentDefect> {
        let well_formed = match &details {
            Value::Array(elements) => {
                (1..=MAX_DETAILS).contains(&elements.len())
                    && elements.iter().all(|element| element.text("type").is_some_and(|kind| !kind.is_empty()))
            }
            _ => false,
        };
        if well_formed { Ok(Self { details, key, expires }) } else { Err(IntentDefect::Malformed) }
    }

    /// The intent that a verified token carries, for the resource.
    ///
    /// # Errors
    /// [`IntentDefect::NoIntent`] if the token is not bound, has no details or no end, else [`IntentDefect::Malformed`].
    pub fn of_token(principal: &Principal) -> Result<Self, IntentDefect> {
        let parts = (principal.authorization_details(), principal.thumbprint(), principal.expires_at());
        let (Some(details), Some(key), Some(expires)) = parts else { return Err(IntentDefect::NoIntent) };
        Self::new(details.clone(), key, expires)
    }

    /// The intent with the details that are granted, which lie within those that were declared.
    ///
    /// # Errors
    /// [`IntentDefect::Exceeded`], [`IntentDefect::Expired`], [`IntentDefect::Malformed`].
    pub fn grant(&self, granted: Value, now: UnixTime) -> Result<Self, IntentDefect> {
        self.check_time(now)?;
        let narrowed = Self::new(granted, self.key, self.expires)?;
        if within(&narrowed.details, &self.details) { Ok(narrowed) } else { Err(IntentDefect::Exceeded) }
    }

    /// The claims of the token for this intent: `claims` with its details, its key as `cnf` and its end as `exp`, and without a
    /// `scope`, for a token with a scope is good for more than the intent. It gets no refresh token.
    pub fn token_claims(&self, claims: &Value) -> Value {
        let ends = claims.time("exp").map_or(self.expires, |end| end.min(self.expires));
        let mut own = Value::object();
        if let Value::Object(members) = claims {
            let kept = |name: &str| !["scope", "authorization_details", "cnf", "exp"].contains(&name);
            for (name, value) in members.iter().filter(|(name, _)| kept(name)) {
                own.set(name, value.clone());
            }
        }
        own.with("exp", ends).with("authorization_details", self.details.clone()).with("cnf", confirmation(self.key))
    }

    /// The details, for the token and for the user to see.
    pub const fn details(&self) -> &Value {
        &self.details
    }

    /// The key that may carry it out.
    pub const fn key(&self) -> Thumbprint {
        self.key
    }

    /// Until when.
    pub const fn expires_at(&self) -> UnixTime {
        self.expires
    }

    fn check_time(&self, now: UnixTime) -> Result<(), IntentDefect> {
        if now < self.expires { Ok(()) } else { Err(IntentDefect::Expired) }
    }

    /// Whether one of the details of type [`REQUEST_TYPE`] names this request, body included.
    ///
    /// # Errors
    /// [`IntentDefect`] says what does not fit.
    pub fn permits(
        &self,
        request: &IntendedRequest<'_>,
        digest: &dyn Digest,
        now: UnixTime,
    ) -> Result<(), IntentDefect> {
        self.permits_by(request.key, now, |detail| names(detail, request, digest))
    }

    /// Whether one of the details permits something by the application's own rule, for the intent's key, in time.
    ///
    /// # Errors
    /// [`IntentDefect`] says what does not fit.
    pub fn permits_by(
        &self,
        key: Thumbprint,
        now: UnixTime,
        mut rule: impl FnMut(&Value) -> bool,
    ) -> Result<(), IntentDefect> {
        self.check_time(now)?;
        if key != self.key {
            return Err(IntentDefect::Key);
        }
        let Value::Array(details) = &self.details else { return Err(IntentDefect::Malformed) };
        if details.iter().any(&mut rule) { Ok(()) } else { Err(IntentDefect::NoMatch) }
    }

    /// What to insert into the replay store to use the token up: nobody who inserts it again finds it fresh.
    ///
    /// `agreement` is that of the store. It is to be inserted when all else has been checked. The entry lives until the last
    /// instant at which the token is accepted, the policy's leeway included. A store that began to remember after the token was
    /// first accepted cannot know whether it was used, and refuses: by the issuer's clock, which may be ahead by the leeway.
    ///
    /// [`ResourceServer::carry_out`](crate::server::resource::ResourceServer::carry_out) does this and the comparison in one.
    ///
    /// # Errors
    /// [`IntentDefect::NoIdentifier`] if the token has no `jti` or no `iat`.
    pub fn use_up(
        &self,
        principal: &Principal,
        agreement: ReplayAgreement,
        digest: &dyn Digest,
    ) -> Result<ReplayEntry, IntentDefect> {
        let jti = principal.claims().text("jti").filter(|jti| !jti.is_empty()).ok_or(IntentDefect::NoIdentifier)?;
        let issued = principal.claims().time("iat").ok_or(IntentDefect::NoIdentifier)?;
        let namespace = alloc::format!("{NAMESPACE} {}", principal.issuer().unwrap_or_default());
        Ok(ReplayEntry::from_parts(ReplayEntryParts {
            key: ReplayKey::derive(digest, &namespace, &self.key, jti),
            thumbprint: self.key,
            timed_at: issued,
            max_ahead: principal.leeway(),
            expires_at: self.expires.saturating_add(principal.leeway()),
            store_margin: 60,
            nonce_epoch: None,
            agreement,
        }))
    }
}

fn names(detail: &Value, request: &IntendedRequest<'_>, digest: &dyn Digest) -> bool {
    let known = ["type", "method", "locations", "body_sha256"];
    // A member that is not known may restrict: it cannot be passed over.
    let understood = match detail {
        Value::Object(members) => members.iter().all(|(name, _)| known.contains(&name.as_str())),
        _ => false,
    };
    let Ok(url) = Url::parse(request.url) else { return false };
    let same = |location: &str| {
        Url::parse(location).is_ok_and(|known| {
            let parts =
                |url: &Url| (String::from(url.origin()), String::from(path(url)), url.query().map(String::from));
            parts(&known) == parts(&url)
        })
    };
    understood
        && detail.text("type") == Some(REQUEST_TYPE)
        && detail.text("method") == Some(request.method)
        && detail.array("locations").is_some_and(|locations| locations.len() == 1)
        && detail.texts("locations").any(same)
        && match detail.member("body_sha256") {
            None => true,
            Some(wanted) => wanted.as_text() == Some(&body_digest(request.body, digest)),
        }
}

/// The path; that of a bare origin is a slash (RFC 3986 section 6.2.3).
fn path(url: &Url) -> &str {
    if url.path().is_empty() { "/" } else { url.path() }
}

#[cfg(test)]
#[cfg(all(feature = "rustcrypto", feature = "std"))]
mod tests {
    use super::{IntendedRequest, Intent, IntentDefect, MAX_LIFETIME, request_detail};
    use crate::json::Value;
    use crate::{RUSTCRYPTO, Thumbprint, UnixTime};

    const NOW: UnixTime = UnixTime::from_secs(1_700_000_000);
    const URL: &str = "https://api.example.com/payments?dry=0";
    const KEY: Thumbprint = Thumbprint::from_bytes([1; 32]);
    const BODY: &[u8] = b"ten euros";

    fn details() -> Value {
        Value::from(alloc::vec![request_detail("POST", URL, Some(BODY), RUSTCRYPTO.digest)])
    }

    fn intent() -> Intent {
        Intent::declare(details(), KEY, 300, NOW).unwrap()
    }

    const fn request() -> IntendedRequest<'static> {
        IntendedRequest { method: "POST", url: URL, body: BODY, key: KEY }
    }

    #[test]
    fn one_request_is_permitted_and_no_other() {
        let permits = |request: IntendedRequest<'_>| intent().permits(&request, RUSTCRYPTO.digest, NOW);
        assert_eq!(permits(request()), Ok(()));
        assert_eq!(permits(IntendedRequest { url: "https://API.example.com:443/payments?dry=0", ..request() }), Ok(()));
        for other in [
            IntendedRequest { method: "PUT", ..request() },
            IntendedRequest { method: "post", ..request() },
            IntendedRequest { url: "https://api.example.com/payments", ..request() },
            IntendedRequest { url: "https://api.example.com/payments/?dry=0", ..request() },
            IntendedRequest { url: "https://api.example.net/payments?dry=0", ..request() },
            IntendedRequest { url: "http://api.example.com/payments?dry=0", ..request() },
            IntendedRequest { body: b"a thousand euros", ..request() },
            IntendedRequest { body: b"", ..request() },
        ] {
            assert_eq!(permits(other), Err(IntentDefect::NoMatch));
        }
        let thief = IntendedRequest { key: Thumbprint::from_bytes([2; 32]), ..request() };
        assert_eq!(permits(thief), Err(IntentDefect::Key));
    }

    #[test]
    fn an_intent_ends() {
        let at = |seconds| intent().permits(&request(), RUSTCRYPTO.digest, NOW.saturating_add(seconds));
        assert_eq!((at(299), at(300)), (Ok(()), Err(IntentDefect::Expired)));
        assert_eq!(intent().grant(details(), NOW.saturating_add(300)), Err(IntentDefect::Expired));
        for lifetime in [0, MAX_LIFETIME + 1] {
            assert_eq!(Intent::declare(details(), KEY, lifetime, NOW), Err(IntentDefect::Lifetime));
        }
    }

    #[test]
    fn a_grant_lies_within_the_declaration() {
        let any_body = Value::from(alloc::vec![request_detail("POST", URL, None, RUSTCRYPTO.digest)]);
        assert_eq!(intent().grant(details(), NOW), Ok(intent()));
        assert_eq!(intent().grant(any_body, NOW), Err(IntentDefect::Exceeded));
        assert_eq!(intent().grant(Value::from(alloc::vec![]), NOW), Err(IntentDefect::Malformed));
    }

    #[test]
    fn details_that_are_not_understood_permit_nothing() {
        for text in [
            r#"[{"type":"keybound_request","method":"POST","locations":["https://api.example.com/payments?dry=0"],"limit":1}]"#,
            r#"[{"type":"other","method":"POST","locations":["https://api.example.com/payments?dry=0"]}]"#,
            r#"[{"type":"keybound_request","method":"POST","locations":[]}]"#,
            r#"[{"type":"keybound_request","method":"POST","locations":["https://a.example","https://api.example.com/payments?dry=0"]}]"#,
            r#"[{"type":"keybound_request","method":"POST","locations":["https://api.example.com/payments?dry=0"],"body_sha256":1}]"#,
        ] {
            let intent = Intent::declare(Value::parse(text.as_bytes()).unwrap(), KEY, 1, NOW).unwrap();
            assert_eq!(intent.permits(&request(), RUSTCRYPTO.digest, NOW), Err(IntentDefect::NoMatch), "{text}");
        }
        for text in ["[]", "{}", "null", "[1]", "[{}]", r#"[{"type":""}]"#] {
            let outcome = Intent::declare(Value::parse(text.as_bytes()).unwrap(), KEY, 1, NOW);
            assert_eq!(outcome, Err(IntentDefect::Malformed), "{text}");
        }
    }
}
