//! `keybound explain`: every check of a proof, and what to do about each that failed.

mod challenge;

use keybound::Spelling;
use keybound::verify::explain::Explanation;
use serde_json::{Value, json};

use crate::failure::{Failure, Outcome};
use crate::output::{BAD, FAINT, GOOD, Output, styled};
use crate::request::{JktSource, RequestArgs};
use crate::sent::Sent;
use crate::{curl, input};
use challenge::Explained;

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  keybound explain --method GET --url https://api.example.com/items --access-token @token.txt @proof.txt
  pbpaste | keybound explain --method POST --url https://server.example.com/token
  keybound explain --curl \"curl -H 'DPoP: eyJ...' -H 'Authorization: DPoP abc' https://api.example.com/items\"
  keybound explain --challenge 'DPoP error=\"use_dpop_nonce\", algs=\"ES256\"'

A curl command or a 401 response may also be given in place of the proof, for example on standard input.
A proof is explained, never used up: whether it was used before is for the server's replay store to say.
With a challenge alone there is no verdict, and the exit code is 0.")]
pub(crate) struct Args {
    #[command(flatten)]
    request: RequestArgs,
    /// A curl command line that sends the request: its text, @FILE or -.
    #[arg(long, value_name = "COMMAND", conflicts_with_all = ["proof", "file"])]
    curl: Option<String>,
    /// A server's answer: the value of WWW-Authenticate, or a whole 401 response; its text, @FILE or -.
    #[arg(long, value_name = "TEXT")]
    challenge: Option<String>,
}

pub(crate) fn run(args: &Args, output: &Output) -> Result<Outcome, Failure> {
    let challenge = args.challenge.as_deref().map(input::argument).transpose()?;
    let mut advice = challenge.map(|text| challenge::explain(&text)).transpose()?.unwrap_or_default();
    let only_challenge = args.request.is_empty() && args.curl.is_none() && !advice.is_empty();
    let explained = if only_challenge {
        None
    } else {
        let given = match &args.curl {
            Some(curl) => {
                let given = input::argument(curl)?;
                if !curl::is_curl(&given) {
                    return Err(Failure::usage(
                        "--curl takes a command that begins with curl; other tools' are not read",
                    ));
                }
                given
            }
            None => args.request.read()?,
        };
        if challenge::is_response(&given) {
            advice.extend(challenge::explain(&given)?);
            None
        } else {
            let request = args.request.request(Sent::read(&given)?)?;
            Some(request.judged(output, |verifier, presentation, now| {
                verifier.explain(presentation, now).spelled(Spelling::Snake)
            }))
        }
    };
    if output.is_json() {
        output.json(&as_json(&advice, explained.as_ref())?)?;
    } else {
        for part in &advice {
            output.line(part)?;
        }
        if let Some((explanation, _)) = &explained {
            show(explanation, output)?;
        }
    }
    match explained {
        Some((explanation, _)) if explanation.rejection().is_some() => Ok(Outcome::Refused),
        _ => Ok(Outcome::Accepted),
    }
}

/// The explanation's own JSON, with what this program knows beside it.
fn as_json(advice: &[Explained], explained: Option<&(Explanation, JktSource)>) -> Result<Value, Failure> {
    let mut value = match explained {
        Some((explanation, source)) => {
            let mut value: Value = serde_json::from_str(&explanation.to_json())
                .map_err(|_| Failure::undecided("the explanation is not JSON; please report this"))?;
            value["jkt_source"] = json!(source.name());
            value
        }
        None => json!({}),
    };
    if !advice.is_empty() {
        value["challenges"] = advice.iter().map(Explained::to_json).collect();
    }
    Ok(value)
}

fn show(explanation: &Explanation, output: &Output) -> Result<(), Failure> {
    for line in explanation.to_string().lines() {
        let style = match line.split(' ').next() {
            Some("ok") => Some(GOOD),
            Some("FAILED") => Some(BAD),
            Some("-") => Some(FAINT),
            _ => None,
        };
        match (style, line.split_once(' ')) {
            (Some(style), Some((mark, rest))) => output.line(format_args!("{} {rest}", styled(style, mark)))?,
            _ => output.line(line)?,
        }
    }
    match explanation.rejection() {
        None => output.line(format_args!("\n{}", styled(GOOD, "accepted"))),
        Some(rejection) => {
            output.line(format_args!("\n{} {}: {rejection}", styled(BAD, "refused:"), rejection.reason()))?;
            explanation.failures().try_for_each(|failure| {
                output.line(format_args!("more: keybound reasons {}", failure.rejection.reason()))
            })
        }
    }
}
