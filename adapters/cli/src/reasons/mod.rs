//! `keybound reasons`: why requests are refused, with a page about each reason, without a network.

mod pages;

use std::fmt::Write as _;

use keybound::oauth::refused::{Advice, RefusedResponse};
use keybound::server::resource::TokenRejection;
use keybound::{Rejection, Spelling};
use serde_json::{Value, json};

use crate::failure::{Failure, Outcome};
use crate::output::{FAINT, Output, STRONG, styled};

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  keybound reasons
  keybound reasons before_store_floor
  keybound reasons replayed --format json

The reasons are those of `keybound verify`, of logs, audit records and metrics. A 401 response names one in its sentence:
`keybound explain` finds it there.")]
pub(crate) struct Args {
    /// The reason to read about; all are listed otherwise.
    #[arg(value_name = "REASON")]
    reason: Option<String>,
}

pub(crate) fn run(args: &Args, output: &Output) -> Result<Outcome, Failure> {
    match args.reason.as_deref() {
        None if output.is_json() => {
            let proofs = Rejection::ALL.iter().map(|rejection| of_proof(*rejection));
            let tokens = TokenRejection::ALL.iter().map(|rejection| of_token(*rejection));
            output.json(&json!({ "proof": proofs.collect::<Value>(), "token": tokens.collect::<Value>() }))?;
        }
        None => list(output)?,
        Some(reason) => show(reason, output)?,
    }
    Ok(Outcome::Accepted)
}

fn of_proof(rejection: Rejection) -> Value {
    json!({
        "reason": rejection.reason(),
        "check": rejection.check().name(),
        "section": rejection.section(),
        "message": rejection.to_string(),
    })
}

fn of_token(rejection: TokenRejection) -> Value {
    let advice = advice(rejection);
    json!({
        "reason": rejection.reason(),
        "status": rejection.status(),
        "error": rejection.error(),
        "message": rejection.to_string(),
        "cause": advice.cause,
        "fix": advice.next,
    })
}

fn list(output: &Output) -> Result<(), Failure> {
    output.line(styled(STRONG, "Why a proof is refused, in the order of the checks"))?;
    for rejection in Rejection::ALL {
        output.line(format_args!("  {:<24} {rejection}", rejection.reason()))?;
    }
    output.line("")?;
    output.line(styled(STRONG, "Why a request is refused for its credentials or its access token"))?;
    for rejection in TokenRejection::ALL {
        output.line(format_args!("  {:<24} {rejection}", rejection.reason()))?;
    }
    output.line(styled(FAINT, "\n`keybound reasons REASON` shows usual causes and the fix."))
}

fn show(reason: &str, output: &Output) -> Result<(), Failure> {
    if let Some(page) = pages::page(reason) {
        if output.is_json() {
            let mut value = Rejection::from_reason(reason).map_or_else(|| json!({ "reason": reason }), of_proof);
            value["page"] = json!(page);
            return output.json(&value);
        }
        return output.line(rendered(page).trim_end());
    }
    let named = |rejection: &&TokenRejection| rejection.reason() == reason;
    let Some(rejection) = TokenRejection::ALL.iter().find(named) else {
        let nearest = nearest(reason).map_or_else(|| ";".to_owned(), |name| format!("; did you mean {name}?"));
        return Err(Failure::usage(format!("there is no reason {reason:?}{nearest} `keybound reasons` lists all")));
    };
    if output.is_json() {
        return output.json(&of_token(*rejection));
    }
    let answer = match rejection.error() {
        Some(error) => format!("{} with error=\"{error}\"", rejection.status()),
        None => format!("{} without an error code", rejection.status()),
    };
    output.line(format_args!("{}\n\nThe access token or its credentials: {rejection}.", styled(STRONG, reason)))?;
    output.line(format_args!("A protected resource answers {answer}."))?;
    let advice = advice(*rejection);
    for (title, text) in [("Usual cause", advice.cause), ("Fix", advice.next)] {
        output.line(format_args!("\n{}\n\n{text}", styled(STRONG, title)))?;
    }
    Ok(())
}

/// What a client is told about an answer with this reason.
fn advice(rejection: TokenRejection) -> Advice {
    let challenge = match rejection.error() {
        Some(error) => format!("DPoP error=\"{error}\", error_description=\"{rejection}\""),
        None => "DPoP".to_owned(),
    };
    Advice::of(&RefusedResponse::new(rejection.status(), &[("WWW-Authenticate", challenge.as_bytes())]))
        .spelled(Spelling::Snake)
}

/// The reason whose name is most like this one, if one is.
fn nearest(name: &str) -> Option<&'static str> {
    let proofs = Rejection::ALL.iter().map(|rejection| rejection.reason());
    let all = proofs.chain(TokenRejection::ALL.iter().map(|rejection| rejection.reason()));
    let likeness = |known: &'static str| (strsim::normalized_levenshtein(known, name), known);
    let (likeness, nearest) = all.map(likeness).max_by(|one, other| one.0.total_cmp(&other.0))?;
    (likeness >= 0.6).then_some(nearest)
}

/// A page as text for a terminal: headings stand out, and links to other pages become the command that shows them.
fn rendered(page: &str) -> String {
    let mut text = String::new();
    for line in page.lines() {
        let heading = line.trim_start_matches('#');
        let line = if heading.len() < line.len() { styled(STRONG, heading.trim()) } else { without_links(line) };
        let _ = writeln!(text, "{line}");
    }
    text
}

/// `[text](target)` as its text, followed by the target where that is on the web.
fn without_links(line: &str) -> String {
    let mut text = String::new();
    let mut rest = line;
    while let Some((before, link)) = rest.split_once('[') {
        let Some((name, (target, after))) =
            link.split_once("](").and_then(|(name, tail)| Some((name, tail.split_once(')')?)))
        else {
            break;
        };
        text.push_str(before);
        text.push_str(name);
        if target.starts_with("https://") {
            let _ = write!(text, " <{target}>");
        }
        rest = after;
    }
    text + rest
}
