//! The three sentences about a refused response as a whole.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};

use super::{Advice, ChallengeAdvice, NonceSeen, RefusedResponse};
use crate::Rejection;
use crate::server::resource::TokenRejection;

/// What a server of another origin has to say so that scripts can read it.
const EXPOSE: &str = "have the server send Access-Control-Expose-Headers: WWW-Authenticate, DPoP-Nonce, Date with every \
                      answer, the refusals among them";
/// Why fields are not seen.
const HIDDEN: &str =
    "scripts read of another origin's answers only what the server names in Access-Control-Expose-Headers";

/// What is wrong, the cause, the next step.
pub(super) fn of(
    advice: &Advice,
    main: Option<&ChallengeAdvice>,
    response: &RefusedResponse<'_>,
) -> (String, String, String) {
    let fixed = |(wrong, cause, next): (&str, &str, &str)| (wrong.to_owned(), cause.to_owned(), next.to_owned());
    if let (Some(error), None) = (advice.malformed, main) {
        return (
            format!("the challenge is malformed: {error}"),
            "the server, or a proxy before it, writes WWW-Authenticate wrongly (RFC 9110 section 11.6.1)".to_owned(),
            "correct the field at the server; nothing is guessed from it".to_owned(),
        );
    }
    let Some(main) = main else { return fixed(without_challenge(advice, response)) };
    if advice.error.as_deref() == Some("use_dpop_nonce") {
        match advice.nonce {
            NonceSeen::Hidden => {
                return fixed((
                    "the server wants its nonce in the proof, and the browser hides the nonce",
                    HIDDEN,
                    EXPOSE,
                ));
            }
            NonceSeen::Absent => {
                return fixed((
                    "the server wants a nonce in the proof and sends none",
                    "the answer has no DPoP-Nonce field (RFC 9449 sections 8 and 9), or a proxy removed it",
                    "have the server send DPoP-Nonce with this answer, and proxies pass it on",
                ));
            }
            NonceSeen::Repeated => {
                return fixed((
                    "the server wants a nonce in the proof and sends more than one",
                    "the answer has several DPoP-Nonce fields, and only one is allowed (RFC 9449 section 8)",
                    "have the server, or the proxy that adds one, send a single DPoP-Nonce",
                ));
            }
            NonceSeen::Present(_) => {}
        }
    }
    let (mut cause, mut next) = (main.cause.to_owned(), main.next.clone());
    if advice.blames_clock() {
        let offset = advice.clock_offset.unwrap_or_default();
        let direction = if offset > 0 { "behind" } else { "ahead of" };
        cause = format!("this machine's clock is {} s {direction} the server's", offset.unsigned_abs());
        next = "set the clock, or make proofs by the server's Date; Keybound's client does that by itself".to_owned();
    } else if is_about_time(advice) && advice.hidden.contains(&"Date") {
        cause = format!("{cause}; whether the clocks differ cannot be seen, because the browser hides Date");
        next = format!("{next}; {EXPOSE}");
    }
    if let Some(scope) = main.scope.as_deref().filter(|_| advice.error.as_deref() == Some("insufficient_scope")) {
        next = format!("{next}: {scope}");
    }
    if advice.nonce == NonceSeen::Repeated {
        cause = format!("{cause}; besides, the answer has several DPoP-Nonce fields, of which none counts");
    }
    if let Some(error) = advice.malformed {
        cause = format!("{cause}; besides, a malformed challenge was ignored: {error}");
    }
    (defect(advice).unwrap_or_else(|| main.meaning.to_owned()), cause, next)
}

/// The sentence of the defect, where the server says which it is.
fn defect(advice: &Advice) -> Option<String> {
    let reason = advice.reason.filter(|_| advice.error.as_deref() != Some("use_dpop_nonce"))?;
    let of_token = || TokenRejection::ALL.iter().find(|known| known.reason() == reason).map(ToString::to_string);
    Rejection::from_reason(reason).map(|rejection| rejection.to_string()).or_else(of_token)
}

fn is_about_time(advice: &Advice) -> bool {
    matches!(advice.reason, Some("iat_too_old" | "iat_in_future"))
}

/// Where neither a challenge nor an OAuth error is seen.
fn without_challenge(advice: &Advice, response: &RefusedResponse<'_>) -> (&'static str, &'static str, &'static str) {
    match response.status {
        0 => (
            "the browser shows no answer at all",
            "the server cannot be reached; or its answer to the preflight does not permit the request; or the page's \
             Content-Security-Policy does not name the server in connect-src",
            "look at the network panel; for another origin the server answers OPTIONS with Access-Control-Allow-Origin, the \
             method in Access-Control-Allow-Methods, and Authorization and DPoP in Access-Control-Allow-Headers",
        ),
        401 if advice.hidden.contains(&"WWW-Authenticate") => {
            ("the server refused the request, and the browser hides why", HIDDEN, EXPOSE)
        }
        401 => (
            "the server refused the request and does not say why",
            "a 401 must have a WWW-Authenticate field (RFC 9110 section 15.5.2); the server leaves it out, or a proxy removed it",
            "have the server send its challenge; until then look into its log",
        ),
        403 => (
            "the server understood who calls, and does not permit it",
            "token and proof are most likely fine; the user or client has no right to this",
            "ask the administrator of this server for the right",
        ),
        429 => (
            "there were too many requests",
            "the server limits how often an address, a key or a client may ask",
            "send the request again with a new proof after Retry-After seconds",
        ),
        503 => (
            "the server could not decide",
            "something it depends on, for example its replay store, does not answer: it refuses rather than guess",
            "send the request again with a new proof after Retry-After seconds",
        ),
        500..=599 => {
            ("the server failed", "the fault is the server's", "try again with a new proof, or look into its log")
        }
        400..=499 => (
            "the server refused the request",
            "there is neither a challenge nor an OAuth error in what can be seen of the answer",
            "read the body of the answer; it is most likely not about DPoP",
        ),
        _ => ("this is not a refusal", "the status says that the server did what was asked", "there is nothing to fix"),
    }
}
