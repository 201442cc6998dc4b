//! What one challenge says, in plain words.

use alloc::borrow::ToOwned;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use crate::http::challenge::Challenge;
use crate::json::Value;
use crate::server::resource::TokenRejection;
use crate::{Algorithm, Rejection};

/// One challenge of a response, explained.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct ChallengeAdvice {
    /// Its scheme; empty for the error in an authorization server's body.
    pub scheme: String,
    /// Its `error`.
    pub error: Option<String>,
    /// The algorithms it names.
    pub algs: Vec<String>,
    /// The scope it asks for.
    pub scope: Option<String>,
    /// The stable name of the defect, where the server says it in one of this library's fixed sentences.
    pub reason: Option<&'static str>,
    /// What is wrong.
    pub meaning: &'static str,
    /// What usually leads to it.
    pub cause: &'static str,
    /// What to do.
    pub next: String,
}

/// Meaning, usual cause and next step.
type Texts = (&'static str, &'static str, &'static str);

impl ChallengeAdvice {
    pub(super) fn of(challenge: &Challenge) -> Self {
        let texts = if challenge.is("Bearer") && challenge.param("error").is_none() {
            (
                "the server asks for a bearer token",
                "the server, or this path of it, does not know DPoP",
                "send Authorization: Bearer, or check that the server supports DPoP",
            )
        } else {
            texts(challenge.param("error"))
        };
        Self {
            scheme: shown(challenge.scheme()),
            algs: challenge.algs().map(shown).collect(),
            scope: challenge.param("scope").map(shown),
            ..Self::new(challenge.param("error"), challenge.param("error_description"), texts)
        }
    }

    pub(super) fn of_body(error: &str, description: Option<&str>) -> Self {
        Self::new(Some(error), description, texts(Some(error)))
    }

    fn new(error: Option<&str>, description: Option<&str>, (meaning, cause, next): Texts) -> Self {
        let mut advice = Self {
            scheme: String::new(),
            error: error.map(shown),
            algs: Vec::new(),
            scope: None,
            reason: None,
            meaning,
            cause,
            next: next.to_owned(),
        };
        // This library's servers say the defect in a fixed sentence.
        let said = |text: &str| description == Some(text);
        if let Some(rejection) = Rejection::ALL.iter().find(|known| said(&known.to_string())) {
            advice.reason = Some(rejection.reason());
            if error != Some("use_dpop_nonce") {
                advice.cause = rejection.cause();
                advice.next = rejection.fix().to_owned();
            }
        } else if let Some(rejection) = TokenRejection::ALL.iter().find(|known| said(&known.to_string())) {
            advice.reason = Some(rejection.reason());
            if let Some((cause, next)) = of_token(*rejection) {
                advice.cause = cause;
                advice.next = next.to_owned();
            }
        }
        advice
    }

    /// The algorithms it names of which none can sign a proof, as far as this library knows.
    pub fn unknown_algs(&self) -> Vec<&str> {
        self.algs.iter().map(String::as_str).filter(|name| Algorithm::from_name(name).is_none()).collect()
    }

    pub(super) fn to_value(&self) -> Value {
        let text = |value: Option<&str>| value.map_or(Value::Null, Value::from);
        Value::object()
            .with("scheme", self.scheme.as_str())
            .with("error", text(self.error.as_deref()))
            .with("algs", self.algs.iter().map(String::as_str).collect::<Value>())
            .with("scope", text(self.scope.as_deref()))
            .with("reason", text(self.reason))
            .with("meaning", self.meaning)
            .with("cause", self.cause)
            .with("next", self.next.as_str())
    }
}

const fn texts(error: Option<&str>) -> Texts {
    let Some(error) = error else {
        return (
            "the server asks for an access token bound to a key, and for a proof of that key",
            "the request had no credentials that the server looked at",
            "send Authorization: DPoP with the token, and a new proof in DPoP",
        );
    };
    match error.as_bytes() {
        b"use_dpop_nonce" => (
            "the server wants its latest nonce in the proof",
            "the proof carried no nonce of this server, or one whose time is over; this is how a server hands one out",
            "take DPoP-Nonce from the response, make a new proof with it (and a new jti), and send the request again, once",
        ),
        b"invalid_dpop_proof" => (
            "the proof is missing or was refused; the token may be fine",
            "the server does not say which of its checks failed",
            "run `keybound explain` with the proof and the request, then send a corrected one",
        ),
        b"invalid_token" => (
            "the token is expired, revoked, unknown or bound to another key, or was sent as Bearer although it is bound",
            "most often its time is over, or the key it was issued for is gone",
            "send it as Authorization: DPoP with a proof of the key it was issued for; else get a new token",
        ),
        b"insufficient_scope" => (
            "token and proof are fine, but the token does not permit this",
            "the token was asked for with less scope than this request needs",
            "ask for a token with the scope that is named",
        ),
        b"invalid_request" => (
            "the request is malformed",
            "most often a field or parameter is missing or occurs twice",
            "send exactly one Authorization field and one DPoP field, and each parameter once",
        ),
        b"invalid_grant" => (
            "the code or refresh token is not accepted",
            "it was used before, its time is over, or it is bound to another key than the proof's",
            "log in again, with the key that will make the proofs",
        ),
        b"invalid_client" => (
            "the server does not know this client, or its credentials are wrong",
            "the client is not registered here, or authenticates in another way than it registered",
            "compare client_id and credentials with the registration",
        ),
        _ => (
            "this error is none of RFC 9449 or RFC 6750",
            "the server has errors of its own, or the request ended at another server on the way",
            "see the documentation of the server",
        ),
    }
}

/// What led to a token that was refused, and what to do, where the general advice about `invalid_token` would mislead: such a token is
/// neither expired nor of another key.
const fn of_token(rejection: TokenRejection) -> Option<(&'static str, &'static str)> {
    Some(match rejection {
        TokenRejection::SchemeNotAccepted => (
            "the token was sent with the scheme Bearer, as one that is not bound to a key",
            "send it as Authorization: DPoP <token>, with a proof by its key in the field DPoP",
        ),
        TokenRejection::IssuerMismatch => (
            "the token comes from an authorization server that this resource does not trust, for example that of another environment",
            "log in at an authorization server that the resource's metadata names, or have the resource trust this issuer; the same \
             token will be refused again",
        ),
        TokenRejection::AudienceMismatch => (
            "the token was asked for without the resource parameter, or for another resource: its aud names no identifier of this one",
            "ask for a token with resource set to this resource's identifier (RFC 8707), or have the resource accept the aud that the \
             issuer writes",
        ),
        TokenRejection::AudienceIsClient => (
            "an ID token was sent, or an access token whose aud is the client's own identifier",
            "send the access token; and ask for one whose audience is this resource",
        ),
        TokenRejection::TokenKeyUnknown => (
            "the issuer's published keys do not include the one that signed the token: it was rotated out, or the token is from \
             another issuer that uses the same name",
            "compare the kid in the token's header with the keys at the issuer's jwks_uri, and get a new token after a rotation",
        ),
        TokenRejection::TokenSignatureInvalid => (
            "the token was changed on its way, or was signed with a key that only has the same kid",
            "send the token byte for byte as it was issued; if it still fails, get a new one",
        ),
        TokenRejection::NotAccessToken | TokenRejection::TokenTypMismatch => (
            "an ID token or another JWT was sent, or the issuer writes its access tokens in a form of its own",
            "send the access token; if it is one, have the resource use the profile of its issuer",
        ),
        TokenRejection::TokenAlgNotPermitted => (
            "the issuer signs with an algorithm that this resource does not accept",
            "have the issuer sign with one that the resource accepts, for example ES256, or have the resource accept this one",
        ),
        TokenRejection::TokenClaimInvalid => (
            "the issuer leaves out a claim that access tokens have (RFC 9068 section 2.2), or writes it with another type",
            "have the issuer write iss, aud, sub, client_id, exp, iat and jti, or have the resource use the profile of its issuer",
        ),
        _ => return None,
    })
}

/// Text of the server's, safe to show.
pub(super) fn shown(text: &str) -> String {
    crate::spelling::foreign(text).chars().take(200).flat_map(char::escape_debug).collect()
}
