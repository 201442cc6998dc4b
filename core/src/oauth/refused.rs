//! A refused response, explained to the developer of the client: what is wrong, what led to it, what to do next.
//!
//! It knows what browsers hide from scripts of other origins (CORS), and compares clocks. What is wrong with a proof itself is
//! for [`Verifier::explain`](crate::Verifier::explain), which needs the proof.
//!
//! ```
//! use keybound::UnixTime;
//! use keybound::oauth::refused::{Advice, RefusedResponse};
//!
//! let challenge: &[u8] = br#"DPoP error="use_dpop_nonce", algs="ES256""#;
//! let fields = [("www-authenticate", challenge)];
//! let mut response = RefusedResponse::new(401, &fields);
//! response.cross_origin = true;
//! let advice = Advice::of(&response);
//! assert_eq!(advice.hidden, ["DPoP-Nonce", "Date"]);
//! assert!(advice.next.contains("Access-Control-Expose-Headers"));
//! ```

mod challenge;
mod text;

use alloc::string::String;
use alloc::vec::Vec;

use crate::http::challenge::{Challenge, ChallengeError};
use crate::http::date;
use crate::json::Value;
use crate::{Spelling, UnixTime};

pub use challenge::ChallengeAdvice;

/// The longest body that is looked at for an OAuth error, in bytes.
const MAX_BODY: usize = 64 * 1024;
/// Clocks that differ by less than this are no explanation for a refusal, in seconds.
const MIN_OFFSET: u64 = 5;
/// Clocks that differ by this much explain a refused proof for which no reason is given, in seconds.
const LIKELY_OFFSET: u64 = 55;

/// A response that refused a request, and what the client knows besides.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct RefusedResponse<'a> {
    /// The status; 0 where the host was shown no response at all, as a browser does when CORS forbids it.
    pub status: u16,
    /// The fields that the host was shown, one element for each field line.
    pub fields: &'a [(&'a str, &'a [u8])],
    /// The body of an authorization server's answer, which holds its error; empty where it was not read.
    pub body: &'a [u8],
    /// Whether a browser received it from another origin than the page's, so that fields may be hidden.
    pub cross_origin: bool,
    /// The client's clock when the response came.
    pub now: Option<UnixTime>,
    /// The `iat` of the proof that was sent.
    pub proof_iat: Option<UnixTime>,
}

/// What is wrong with a request that was refused.
///
/// Text of the server's in it is escaped and cut to 200 characters.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Advice {
    /// The status that was received.
    pub status: u16,
    /// What is wrong, in a sentence.
    pub wrong: String,
    /// What most likely led to it.
    pub cause: String,
    /// What to do.
    pub next: String,
    /// The error on the wire, for example `use_dpop_nonce`: of the challenge that counts, or of the body.
    pub error: Option<String>,
    /// The stable name of the defect, where the server is one of this library's and says it.
    pub reason: Option<&'static str>,
    /// Each challenge, in order.
    pub challenges: Vec<ChallengeAdvice>,
    /// Why a line of the challenges was ignored: it is malformed.
    pub malformed: Option<ChallengeError>,
    /// What is known about the server's nonce.
    pub nonce: NonceSeen,
    /// Fields that the server most likely sent and the browser does not show.
    pub hidden: Vec<&'static str>,
    /// How far the server's clock is ahead of the client's, in seconds.
    pub clock_offset: Option<i64>,
    /// How old the proof was by the server's clock, in seconds; negative if it came from the future.
    pub proof_age: Option<i64>,
}

/// What a response shows of the server's nonce.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum NonceSeen {
    /// This one.
    Present(String),
    /// There is none.
    Absent,
    /// There is more than one, which is as good as none (RFC 9449 section 8).
    Repeated,
    /// The server asks for it, so it sent one, and the browser does not show it.
    Hidden,
}

impl<'a> RefusedResponse<'a> {
    /// A response about which nothing else is known.
    pub const fn new(status: u16, fields: &'a [(&'a str, &'a [u8])]) -> Self {
        Self { status, fields, body: &[], cross_origin: false, now: None, proof_iat: None }
    }

    fn all(&self, name: &'static str) -> impl Iterator<Item = &'a [u8]> {
        self.fields.iter().filter(move |(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
    }

    fn has(&self, name: &'static str) -> bool {
        self.all(name).next().is_some()
    }

    /// The server's clock; an answer with an age comes from a cache, and its date with it.
    fn date(&self) -> Option<UnixTime> {
        let mut dates = self.all("date");
        let (date, None, false) = (dates.next()?, dates.next(), self.has("age")) else { return None };
        date::parse(core::str::from_utf8(date).ok()?)
    }

    /// The error and its description in the JSON body of an authorization server (RFC 6749 section 5.2).
    fn body_error(&self) -> Option<(String, Option<String>)> {
        let document = Some(self.body).filter(|body| !body.is_empty() && body.len() <= MAX_BODY)?;
        let document = Value::parse_object(document).ok()?;
        Some((document.text("error")?.into(), document.text("error_description").map(Into::into)))
    }
}

impl NonceSeen {
    /// `present`, `absent`, `repeated` or `hidden`.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Present(_) => "present",
            Self::Absent => "absent",
            Self::Repeated => "repeated",
            Self::Hidden => "hidden",
        }
    }
}

impl Advice {
    /// Explains a response.
    pub fn of(response: &RefusedResponse<'_>) -> Self {
        let fields: Vec<&[u8]> = response.all("www-authenticate").collect();
        let read = Challenge::parse_fields(&fields);
        let challenges: Vec<ChallengeAdvice> = read.list.iter().map(ChallengeAdvice::of).collect();
        let from_body = response.body_error().filter(|_| challenges.iter().all(|known| known.error.is_none()));
        let from_body = from_body.map(|(error, description)| ChallengeAdvice::of_body(&error, description.as_deref()));
        let main = from_body.as_ref().or_else(|| main_challenge(&challenges));
        let mut advice = Self {
            status: response.status,
            wrong: String::new(),
            cause: String::new(),
            next: String::new(),
            error: main.and_then(|main| main.error.clone()),
            reason: main.and_then(|main| main.reason),
            nonce: NonceSeen::Absent,
            hidden: Vec::new(),
            clock_offset: None,
            proof_age: None,
            malformed: read.ignored,
            challenges: Vec::new(),
        };
        advice.look(response);
        let (wrong, cause, next) = text::of(&advice, main, response);
        (advice.wrong, advice.cause, advice.next) = (wrong, cause, next);
        advice.challenges = challenges;
        advice
    }

    /// Nonce, clock and what is hidden.
    fn look(&mut self, response: &RefusedResponse<'_>) {
        let mut nonces = response.all(crate::proof::DPOP_NONCE);
        let asked = self.error.as_deref() == Some("use_dpop_nonce");
        self.nonce = match (nonces.next(), nonces.next()) {
            (Some(nonce), None) => NonceSeen::Present(challenge::shown(&String::from_utf8_lossy(nonce))),
            (Some(_), Some(_)) => NonceSeen::Repeated,
            // A server that asks for its nonce has sent it.
            (None, _) if asked && response.cross_origin => NonceSeen::Hidden,
            (None, _) => NonceSeen::Absent,
        };
        if response.cross_origin && response.status != 0 {
            // RFC 9110 section 15.5.2: a 401 has a challenge. Servers with a clock send Date (section 6.6.1).
            if response.status == 401 && !response.has("www-authenticate") {
                self.hidden.push("WWW-Authenticate");
            }
            if self.nonce == NonceSeen::Hidden {
                self.hidden.push("DPoP-Nonce");
            }
            if !response.has("date") {
                self.hidden.push("Date");
            }
        }
        let date = response.date();
        self.clock_offset = date.zip(response.now).map(|(server, client)| server.secs().saturating_sub(client.secs()));
        let made = response.proof_iat.map(UnixTime::secs);
        self.proof_age = made.zip(date.or(response.now)).map(|(made, seen)| seen.secs().saturating_sub(made));
    }

    /// Whether clocks explain why the proof was refused.
    fn blames_clock(&self) -> bool {
        let offset = self.clock_offset.unwrap_or_default().unsigned_abs();
        match (self.reason, self.error.as_deref()) {
            (Some("iat_too_old" | "iat_in_future" | "expired" | "not_yet_valid"), _) => offset >= MIN_OFFSET,
            (None, Some("invalid_dpop_proof")) => offset >= LIKELY_OFFSET,
            _ => false,
        }
    }

    /// The same with the names of options in this spelling: they are between backticks otherwise.
    #[must_use]
    pub fn spelled(mut self, spelling: Spelling) -> Self {
        self.next = spelling.spelled(&self.next);
        for challenge in &mut self.challenges {
            challenge.next = spelling.spelled(&challenge.next);
        }
        self
    }

    /// The advice as a JSON object: `status`, `wrong`, `cause`, `next`; `error`, `reason` and `nonce` (`null` where there is
    /// none), `nonce_state`, `hidden`, `clock_offset` and `proof_age` (seconds or `null`), and `challenges`.
    pub fn to_json(&self) -> String {
        let text = |value: Option<&str>| value.map_or(Value::Null, Value::from);
        let number = |value: Option<i64>| value.map_or(Value::Null, Value::from);
        let nonce = match &self.nonce {
            NonceSeen::Present(nonce) => Some(nonce.as_str()),
            NonceSeen::Absent | NonceSeen::Repeated | NonceSeen::Hidden => None,
        };
        Value::object()
            .with("status", u64::from(self.status))
            .with("wrong", self.wrong.as_str())
            .with("cause", self.cause.as_str())
            .with("next", self.next.as_str())
            .with("error", text(self.error.as_deref()))
            .with("reason", text(self.reason))
            .with("nonce", text(nonce))
            .with("nonce_state", self.nonce.name())
            .with("hidden", self.hidden.iter().copied().collect::<Value>())
            .with("clock_offset", number(self.clock_offset))
            .with("proof_age", number(self.proof_age))
            .with("challenges", self.challenges.iter().map(ChallengeAdvice::to_value).collect::<Vec<_>>())
            .to_json()
    }
}

/// The challenge that says most: DPoP's before others', one with an error before one without.
fn main_challenge(challenges: &[ChallengeAdvice]) -> Option<&ChallengeAdvice> {
    let dpop = |challenge: &&ChallengeAdvice| challenge.scheme.eq_ignore_ascii_case("DPoP");
    let failed = |challenge: &&ChallengeAdvice| challenge.error.is_some();
    challenges
        .iter()
        .find(|challenge| dpop(challenge) && failed(challenge))
        .or_else(|| challenges.iter().find(failed))
        .or_else(|| challenges.iter().find(dpop))
        .or_else(|| challenges.first())
}

#[cfg(test)]
mod tests;
