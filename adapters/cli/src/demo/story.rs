//! The story: a client is served, and a thief with its token is refused in five ways.

use std::collections::HashMap;

use keybound::key::Signer;
use keybound::key::soft::SoftKey;
use keybound::nonce::Nonce;
use keybound::{Algorithm, Proof, ProofBuilder, Rejection, UnixTime};
use keybound_aws_lc::AWS_LC;
use serde_json::{Value, json};

use super::caller::{Answer, Call, Caller};
use super::{random_text, server};
use crate::failure::Failure;
use crate::output::{BAD, FAINT, GOOD, STRONG, styled};

const BALANCE: &str = "/balance";
const TRANSFER: &str = "/transfer?to=thief";

/// One request, its answer, and whether that was the one foretold.
pub(super) struct Step {
    title: &'static str,
    request: String,
    answer: Answer,
    why: Option<&'static str>,
    pub(super) ok: bool,
}

/// What the server must answer for the story to hold.
enum Expected {
    Served,
    /// A challenge that begins so, and the defect it names.
    Refused(&'static str, Option<Rejection>),
}

struct Story<F> {
    caller: Caller,
    token: String,
    steps: Vec<Step>,
    on_step: F,
}

/// Plays the story and hands out each step as it happens.
pub(super) async fn tell<F>(on_step: F) -> Result<Vec<Step>, Failure>
where
    F: FnMut(&Step, usize) -> Result<(), Failure>,
{
    let key = SoftKey::generate(Algorithm::Es256, &AWS_LC)?;
    let thief = SoftKey::generate(Algorithm::Es256, &AWS_LC)?;
    let token = random_text()?;
    let tokens = HashMap::from([(token.clone(), key.public_key().thumbprint(AWS_LC.digest))]);
    let origin = server::start(tokens).await.map_err(|error| {
        Failure::undecided(format!("cannot listen on 127.0.0.1: {error}; the demonstration needs loopback"))
    })?;
    let mut story = Story { caller: Caller::new(origin)?, token, steps: Vec::new(), on_step };

    let proof = story.proof(&key, BALANCE, None)?;
    let title = "The client calls with its token and a proof, and is asked for the server's nonce";
    let nonce = story.step(title, BALANCE, "DPoP", Some(&proof), nonce_asked()).await?;
    let used = story.proof(&key, BALANCE, nonce.as_ref())?;
    let title = "It makes a new proof with the nonce and is served";
    story.step(title, BALANCE, "DPoP", Some(&used), Expected::Served).await?;

    let title = "A thief who has copied the token uses it as a bearer token";
    let bearer = Expected::Refused("Bearer error=\"invalid_token\"", None);
    story.step(title, BALANCE, "Bearer", None, bearer).await?;
    let title = "The thief uses the token without a proof";
    story.step(title, BALANCE, "DPoP", None, refused(Rejection::ProofMissing)).await?;
    let title = "The thief makes a proof with a key of their own";
    let forged = story.proof(&thief, BALANCE, nonce.as_ref())?;
    let other_key = Expected::Refused("DPoP error=\"invalid_token\"", Some(Rejection::BindingMismatch));
    story.step(title, BALANCE, "DPoP", Some(&forged), other_key).await?;
    let title = "The thief sends the client's proof, recorded in step 2, a second time";
    story.step(title, BALANCE, "DPoP", Some(&used), refused(Rejection::Replayed)).await?;
    let unused = story.proof(&key, BALANCE, nonce.as_ref())?;
    let title = "The thief holds up another call of the client and spends its unused proof elsewhere";
    story.step(title, TRANSFER, "DPoP", Some(&unused), refused(Rejection::TargetMismatch)).await?;

    let title = "The call that was held up arrives: an attempt that fails burns nothing, and the client is served";
    story.step(title, BALANCE, "DPoP", Some(&unused), Expected::Served).await?;
    Ok(story.steps)
}

fn refused(rejection: Rejection) -> Expected {
    Expected::Refused("DPoP error=\"invalid_dpop_proof\"", Some(rejection))
}

fn nonce_asked() -> Expected {
    Expected::Refused("DPoP error=\"use_dpop_nonce\"", Some(Rejection::NonceMissing))
}

impl<F: FnMut(&Step, usize) -> Result<(), Failure>> Story<F> {
    fn proof(&self, key: &SoftKey, path: &str, nonce: Option<&Nonce>) -> Result<Proof, Failure> {
        let url = self.caller.url(path);
        let mut builder = ProofBuilder::new("GET", &url).access_token(&self.token);
        if let Some(nonce) = nonce {
            builder = builder.nonce(nonce.as_str());
        }
        Ok(builder.sign(&AWS_LC, key, UnixTime::now())?)
    }

    async fn step(
        &mut self,
        title: &'static str,
        path: &str,
        scheme: &str,
        proof: Option<&Proof>,
        expected: Expected,
    ) -> Result<Option<Nonce>, Failure> {
        let call = Call { path, scheme, token: &self.token, proof: proof.map(Proof::as_str) };
        let answer = self.caller.call(call).await?;
        let nonce = answer.nonce.clone();
        let found = answer.rejection();
        let step =
            Step { title, request: call.shown(), ok: expected.is_met_by(&answer), answer, why: why(scheme, found) };
        (self.on_step)(&step, self.steps.len() + 1)?;
        self.steps.push(step);
        Ok(nonce)
    }
}

/// What a refusal means in this story; defects that do not belong to it are explained as to a developer.
fn why(scheme: &str, found: Option<Rejection>) -> Option<&'static str> {
    Some(match (scheme, found) {
        ("Bearer", _) => "a token that is bound to a key is no bearer token",
        (_, None) => return None,
        (_, Some(Rejection::NonceMissing)) => {
            "the usual first answer of a server that issues nonces; clients follow it"
        }
        (_, Some(Rejection::ProofMissing)) => "without a proof by its key, the token alone opens nothing",
        (_, Some(Rejection::BindingMismatch)) => "the token names the client's key, and no other key's proof counts",
        (_, Some(Rejection::Replayed)) => "each proof is good for one request, and this one was used",
        (_, Some(Rejection::TargetMismatch)) => "the proof names the URL it was made for, and opens no other",
        (_, Some(other)) => other.cause(),
    })
}

impl Expected {
    /// Status, wire code and reason must all be the ones foretold.
    fn is_met_by(&self, answer: &Answer) -> bool {
        match self {
            Self::Served => answer.status == 200 && answer.challenge.is_none(),
            Self::Refused(challenge, rejection) => {
                let begins = answer.challenge.as_deref().is_some_and(|text| text.starts_with(challenge));
                answer.status == 401 && begins && answer.rejection() == *rejection
            }
        }
    }
}

impl Step {
    /// The defect's name, or the wire code where it is no defect of a proof.
    fn reason(&self) -> Option<&str> {
        let wire_code = || self.answer.challenge.as_deref()?.split_once("error=\"")?.1.split('"').next();
        self.answer.rejection().map(Rejection::reason).or_else(wire_code)
    }

    pub(super) fn to_json(&self) -> Value {
        json!({
            "step": self.title,
            "request": self.request,
            "status": self.answer.status,
            "reason": self.reason(),
            "challenge": self.answer.challenge,
            "why": self.why,
            "ok": self.ok,
        })
    }

    /// A paragraph about this step.
    pub(super) fn to_text(&self, number: usize) -> String {
        let mut text = format!("{}\n", styled(STRONG, format_args!("{number}. {}", self.title)));
        text += &format!("   {}\n", styled(FAINT, format_args!("> {}", self.request)));
        let status = if self.answer.status == 200 { styled(GOOD, "200") } else { styled(BAD, self.answer.status) };
        let challenge = self.answer.challenge.as_deref().unwrap_or("served");
        text += &format!("   < {status} {challenge}\n");
        if let (Some(reason), Some(why)) = (self.reason(), self.why) {
            text += &format!("   {}: {why}\n", styled(STRONG, reason));
        }
        if !self.ok {
            text += &format!("   {}\n", styled(BAD, "this is not what should have happened"));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::{Expected, nonce_asked, refused};
    use crate::demo::caller::Answer;
    use keybound::Rejection;

    fn answer(status: u16, challenge: &str) -> Answer {
        Answer { status, challenge: Some(challenge.to_owned()).filter(|text| !text.is_empty()), nonce: None }
    }

    #[test]
    fn status_code_and_reason_are_all_held_against_the_story() {
        let told = format!("DPoP error=\"invalid_dpop_proof\", error_description=\"{}\"", Rejection::Replayed);
        assert!(refused(Rejection::Replayed).is_met_by(&answer(401, &told)));
        assert!(!refused(Rejection::Replayed).is_met_by(&answer(400, &told)));
        assert!(!refused(Rejection::ProofMissing).is_met_by(&answer(401, &told)));
        assert!(!nonce_asked().is_met_by(&answer(401, &told)));
        assert!(!Expected::Served.is_met_by(&answer(401, &told)));
        assert!(Expected::Served.is_met_by(&answer(200, "")));
        assert!(!refused(Rejection::Replayed).is_met_by(&answer(200, "")));
    }
}
