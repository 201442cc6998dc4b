//! What a server's 401 says, rendered for a terminal.

use std::fmt;

use keybound::Spelling;
use keybound::oauth::refused::{Advice, ChallengeAdvice, NonceSeen, RefusedResponse};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::input;
use crate::output::{STRONG, styled};

/// One challenge, explained, with the nonce of its response.
#[derive(Debug)]
pub(super) struct Explained {
    challenge: ChallengeAdvice,
    nonce: Option<String>,
}

/// Whether a text is a response or its challenge, rather than a proof.
pub(super) fn is_response(text: &[u8]) -> bool {
    let begins = |with: &str| {
        text.trim_ascii_start().get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with.as_bytes()))
    };
    ["http/", "< http/", "www-authenticate:", "< www-authenticate:"].into_iter().any(begins)
}

/// Explains the value of a `WWW-Authenticate` field, or each such field of a response.
pub(super) fn explain(text: &[u8]) -> Result<Vec<Explained>, Failure> {
    let text = unfolded(&input::text(text, "challenge")?);
    let field = |line| str::split_once(str::trim_start_matches(line, "< "), ':');
    let mut fields: Vec<(&str, &[u8])> =
        text.lines().filter_map(field).map(|(name, value)| (name.trim(), value.trim().as_bytes())).collect();
    let has_challenge = fields.iter().any(|(name, _)| name.eq_ignore_ascii_case("www-authenticate"));
    if !has_challenge && !is_response(text.as_bytes()) {
        fields = vec![("WWW-Authenticate", text.trim().as_bytes())];
    }
    let advice = Advice::of(&RefusedResponse::new(401, &fields)).spelled(Spelling::Snake);
    if let Some(error) = advice.malformed {
        return Err(Failure::usage(format!("the challenge is malformed: {error}; paste the field as received")));
    }
    if advice.challenges.is_empty() {
        return Err(Failure::usage(
            "there is no challenge in this; paste the WWW-Authenticate field, or the whole response",
        ));
    }
    let nonce = match advice.nonce {
        NonceSeen::Present(nonce) => Some(nonce),
        _ => None,
    };
    let explained = |challenge| Explained { challenge, nonce: nonce.clone() };
    Ok(advice.challenges.into_iter().map(explained).collect())
}

/// The text with each field in one line: older servers fold long ones (RFC 9112 section 5.2), and so do people who paste them.
fn unfolded(text: &str) -> String {
    let mut unfolded = String::new();
    for line in text.lines() {
        let folded = line.starts_with([' ', '\t']) && !unfolded.is_empty();
        unfolded.push_str(match (folded, unfolded.is_empty()) {
            (true, _) => " ",
            (false, true) => "",
            (false, false) => "\n",
        });
        unfolded.push_str(if folded { line.trim_start() } else { line });
    }
    unfolded
}

impl Explained {
    pub(super) fn to_json(&self) -> Value {
        json!({
            "scheme": self.challenge.scheme,
            "error": self.challenge.error,
            "algs": self.challenge.algs,
            "nonce": self.nonce,
            "reason": self.challenge.reason,
            "meaning": self.challenge.meaning,
            "cause": self.challenge.cause,
            "next": self.challenge.next,
        })
    }
}

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let challenge = &self.challenge;
        let title = match &challenge.error {
            Some(error) => format!("{}: {error}", challenge.scheme),
            None => challenge.scheme.clone(),
        };
        write!(f, "{}\n  meaning  {}", styled(STRONG, title), challenge.meaning)?;
        write!(f, "\n  cause    {}", challenge.cause)?;
        if let Some(reason) = challenge.reason {
            write!(f, "\n  reason   {reason}")?;
            if keybound::Rejection::from_reason(reason).is_some() {
                write!(f, "; more: keybound reasons {reason}")?;
            }
        }
        write!(f, "\n  next     {}", challenge.next)?;
        if let Some(scope) = &challenge.scope {
            write!(f, "\n  scope    {scope}")?;
        }
        if !challenge.algs.is_empty() {
            write!(f, "\n  algs     sign with one of {}", challenge.algs.join(", "))?;
        }
        let unknown = challenge.unknown_algs();
        if !unknown.is_empty() {
            write!(f, " (no algorithms of proofs: {})", unknown.join(", "))?;
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
        assert_eq!(advice[1].challenge.error.as_deref(), Some("x\\\"y"));
        assert_eq!((advice[1].challenge.algs.len(), advice[1].challenge.unknown_algs()), (2, vec!["none"]));
    }

    #[test]
    fn a_pasted_response_gives_error_and_nonce() {
        let text =
            b"HTTP/1.1 401 Unauthorized\r\nDPoP-Nonce: abc\r\nWWW-Authenticate: DPoP error=\"use_dpop_nonce\"\r\n\r\n";
        assert!(is_response(text));
        let advice = explain(text).unwrap();
        assert_eq!(advice[0].challenge.error.as_deref(), Some("use_dpop_nonce"));
        assert_eq!(advice[0].nonce.as_deref(), Some("abc"));
        assert!(advice[0].challenge.next.contains("DPoP-Nonce"));
    }

    #[test]
    fn an_answer_without_a_challenge_is_said_to_be_one() {
        assert!(explain(b"HTTP/1.1 401 Unauthorized\r\nDate: now\r\n").is_err());
        assert!(explain(b"").is_err());
        assert!(!is_response(b"eyJ0eXAi.e30.AA"));
    }

    #[test]
    fn a_folded_field_is_one_field() {
        for text in [
            "DPoP error=\"use_dpop_nonce\",\n  algs=\"ES256\"",
            "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: DPoP error=\"use_dpop_nonce\",\r\n\talgs=\"ES256\"\r\nDate: x\r\n",
        ] {
            let advice = explain(text.as_bytes()).unwrap();
            assert_eq!((advice.len(), advice[0].challenge.algs.len()), (1, 1), "{text:?}");
        }
    }

    #[test]
    fn our_own_sentences_lead_back_to_the_reason() {
        let text =
            format!("DPoP error=\"invalid_dpop_proof\", error_description=\"{}\"", keybound::Rejection::Replayed);
        let advice = explain(text.as_bytes()).unwrap();
        assert_eq!(advice[0].challenge.reason, Some("replayed"));
    }

    #[test]
    fn terminals_are_not_fed_escapes() {
        assert!(explain(b"DPoP error=\"\x1b[31mred\"").is_err());
        let advice = explain(b"DPoP error=\"\xc2\x9b31mred\"").unwrap();
        assert!(!advice[0].to_string().contains('\u{9b}'));
    }
}
