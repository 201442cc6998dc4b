//! What a server's 401 says, in plain words.

use std::fmt;

use keybound::http::challenge::Challenge;
use keybound::{AlgorithmSet, Rejection};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::input;
use crate::output::{STRONG, styled};

/// One challenge, explained.
#[derive(Debug)]
pub(super) struct ChallengeAdvice {
    scheme: String,
    error: Option<String>,
    algs: Vec<String>,
    nonce: Option<String>,
    reason: Option<&'static str>,
    meaning: &'static str,
    next: String,
}

/// Whether a text is a response or its challenge, rather than a proof.
pub(super) fn is_response(text: &[u8]) -> bool {
    let begins = |with: &str| {
        text.trim_ascii_start().get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with.as_bytes()))
    };
    ["http/", "< http/", "www-authenticate:", "< www-authenticate:"].into_iter().any(begins)
}

/// Explains the value of a `WWW-Authenticate` field, or each such field of a response.
pub(super) fn explain(text: &[u8]) -> Result<Vec<ChallengeAdvice>, Failure> {
    let text = input::text(text, "challenge")?;
    let named = |name: &'static str| {
        text.lines().filter_map(move |line| {
            let (field, value) = line.trim_start_matches("< ").split_once(':')?;
            field.trim().eq_ignore_ascii_case(name).then(|| value.trim())
        })
    };
    let nonce = named("dpop-nonce").next();
    let fields: Vec<&str> = named("www-authenticate").collect();
    let values = if fields.is_empty() && !is_response(text.as_bytes()) { vec![text.trim()] } else { fields };
    let values: Vec<&[u8]> = values.iter().map(|value| value.as_bytes()).collect();
    let challenges = Challenge::parse_fields(&values)
        .map_err(|error| Failure::usage(format!("the challenge is malformed: {error}; paste the field as received")))?;
    let advice: Vec<_> = challenges.iter().map(|challenge| advise(challenge, nonce)).collect();
    if advice.is_empty() {
        return Err(Failure::usage(
            "there is no challenge in this; paste the WWW-Authenticate field, or the whole response",
        ));
    }
    Ok(advice)
}

fn advise(challenge: &Challenge, nonce: Option<&str>) -> ChallengeAdvice {
    let error = challenge.param("error");
    // Keybound's servers say the defect in a fixed sentence.
    let description = challenge.param("error_description");
    let reason = description.and_then(|text| Rejection::ALL.iter().find(|rejection| rejection.to_string() == text));
    let (meaning, next) = match error {
        None if challenge.is("Bearer") => {
            ("the server asks for a bearer token", "send Authorization: Bearer, or check that the server supports DPoP")
        }
        None => (
            "the server asks for an access token bound to a key, and for a proof of that key",
            "send Authorization: DPoP with the token, and a new proof in DPoP",
        ),
        Some("use_dpop_nonce") => (
            "the server wants its latest nonce in the proof",
            "take DPoP-Nonce from the response, make a new proof with it (and a new jti), and send the request again, once",
        ),
        Some("invalid_dpop_proof") => (
            "the proof is missing or was refused; the token may be fine",
            "run `keybound explain` with the proof and the request, then send a corrected one",
        ),
        Some("invalid_token") => (
            "the token is expired, revoked, unknown or bound to another key, or was sent as Bearer although it is bound",
            "send it as Authorization: DPoP with a proof of the key it was issued for; else get a new token",
        ),
        Some("insufficient_scope") => (
            "token and proof are fine, but the token does not permit this",
            "ask for a token with the scope that is named",
        ),
        Some("invalid_request") => {
            ("the request is malformed", "send exactly one Authorization field and one DPoP field")
        }
        Some(_) => ("this error is none of RFC 9449 or RFC 6750", "see the documentation of the server"),
    };
    let next = match reason {
        Some(rejection) if error != Some("use_dpop_nonce") => rejection.fix().to_owned(),
        _ => next.to_owned(),
    };
    ChallengeAdvice {
        scheme: shown(challenge.scheme()),
        error: error.map(shown),
        algs: challenge.algs().map(shown).collect(),
        nonce: nonce.map(shown),
        reason: reason.map(|rejection| rejection.reason()),
        meaning,
        next,
    }
}

/// Text of the server's, safe to show on a terminal.
fn shown(text: &str) -> String {
    text.chars().take(200).flat_map(char::escape_debug).collect()
}

impl ChallengeAdvice {
    pub(super) fn to_json(&self) -> Value {
        json!({
            "scheme": self.scheme,
            "error": self.error,
            "algs": self.algs,
            "nonce": self.nonce,
            "reason": self.reason,
            "meaning": self.meaning,
            "next": self.next,
        })
    }

    /// Algorithms that this program cannot use.
    fn unknown(&self) -> Vec<&str> {
        let known: Vec<&str> = AlgorithmSet::ALL.iter().map(|algorithm| algorithm.name()).collect();
        self.algs.iter().map(String::as_str).filter(|name| !known.contains(name)).collect()
    }
}

impl fmt::Display for ChallengeAdvice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let title = match &self.error {
            Some(error) => format!("{}: {error}", self.scheme),
            None => self.scheme.clone(),
        };
        write!(f, "{}\n  meaning  {}", styled(STRONG, title), self.meaning)?;
        if let Some(reason) = self.reason {
            write!(f, "\n  reason   {reason}; more in docs/errors/{reason}.md")?;
        }
        write!(f, "\n  next     {}", self.next)?;
        if !self.algs.is_empty() {
            write!(f, "\n  algs     sign with one of {}", self.algs.join(", "))?;
        }
        if !self.unknown().is_empty() {
            write!(f, " (no algorithms of proofs: {})", self.unknown().join(", "))?;
        }
        if let Some(nonce) = &self.nonce {
            write!(f, "\n  nonce    {nonce}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{explain, is_response};

    #[test]
    fn two_challenges_in_one_field_and_commas_in_quotes() {
        let advice = explain(br#"Bearer realm="a, b", DPoP error="x\"y", algs="ES256 none""#).unwrap();
        assert_eq!(advice.len(), 2);
        assert_eq!(advice[1].error.as_deref(), Some("x\\\"y"));
        assert_eq!((advice[1].algs.len(), advice[1].unknown()), (2, vec!["none"]));
    }

    #[test]
    fn a_pasted_response_gives_error_and_nonce() {
        let text =
            b"HTTP/1.1 401 Unauthorized\r\nDPoP-Nonce: abc\r\nWWW-Authenticate: DPoP error=\"use_dpop_nonce\"\r\n\r\n";
        assert!(is_response(text));
        let advice = explain(text).unwrap();
        assert_eq!(advice[0].error.as_deref(), Some("use_dpop_nonce"));
        assert_eq!(advice[0].nonce.as_deref(), Some("abc"));
        assert!(advice[0].next.contains("DPoP-Nonce"));
    }

    #[test]
    fn an_answer_without_a_challenge_is_said_to_be_one() {
        assert!(explain(b"HTTP/1.1 401 Unauthorized\r\nDate: now\r\n").is_err());
        assert!(explain(b"").is_err());
        assert!(!is_response(b"eyJ0eXAi.e30.AA"));
    }

    #[test]
    fn our_own_sentences_lead_back_to_the_reason() {
        let text =
            format!("DPoP error=\"invalid_dpop_proof\", error_description=\"{}\"", keybound::Rejection::Replayed);
        let advice = explain(text.as_bytes()).unwrap();
        assert_eq!(advice[0].reason, Some("replayed"));
    }

    #[test]
    fn terminals_are_not_fed_escapes() {
        assert!(explain(b"DPoP error=\"\x1b[31mred\"").is_err());
        let advice = explain(b"DPoP error=\"\xc2\x9b31mred\"").unwrap();
        assert!(!advice[0].to_string().contains('\u{9b}'));
    }
}
