//! `keybound verify`: the verdict about a proof, in one line.

use keybound::{Rejection, verify::pending::VerifiedProof};
use serde_json::json;

use crate::failure::{Failure, Outcome};
use crate::output::{BAD, FAINT, GOOD, Output, styled};
use crate::request::{JktSource, RequestArgs};
use crate::sent::Sent;

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  keybound verify --method GET --url https://api.example.com/items --access-token @token.txt @proof.txt
  pbpaste | keybound verify --method POST --url https://server.example.com/token
  keybound verify --method GET --url $URL --access-token $TOKEN --jkt $JKT --policy fapi2 --nonce $NONCE \"$PROOF\"

Every check is made but one: whether the proof was used before is for the server's replay store to say.")]
pub(crate) struct Args {
    #[command(flatten)]
    request: RequestArgs,
}

pub(crate) fn run(args: &Args, output: &Output) -> Result<Outcome, Failure> {
    let request = args.request.request(Sent::read(&args.request.read()?)?)?;
    let (verdict, source) = request.judged(output, |verifier, presentation, now| verifier.check(presentation, now));
    match verdict {
        Ok(pending) => accepted(&pending.danger_skip_replay_check(), source, output),
        Err(rejection) => refused(rejection, source, output),
    }
}

fn accepted(proof: &VerifiedProof, source: JktSource, output: &Output) -> Result<Outcome, Failure> {
    let (thumbprint, iat) = (proof.thumbprint().to_string(), proof.issued_at().secs());
    if output.is_json() {
        output.json(&json!({
            "accepted": true,
            "thumbprint": thumbprint,
            "algorithm": proof.algorithm().name(),
            "iat": iat,
            "jkt_source": source.name(),
            "replay": "not_checked",
        }))?;
    } else {
        output.line(styled(GOOD, "accepted"))?;
        output
            .line(format_args!("  key        {thumbprint}\n  algorithm  {}\n  iat        {iat}", proof.algorithm()))?;
        output.note("replay was not checked: whether the proof was used before is for the server's store to say");
    }
    Ok(Outcome::Accepted)
}

fn refused(rejection: Rejection, source: JktSource, output: &Output) -> Result<Outcome, Failure> {
    let (reason, section) = (rejection.reason(), rejection.section());
    let page = format!("docs/errors/{reason}.md");
    if output.is_json() {
        output.json(&json!({
            "accepted": false,
            "reason": reason,
            "check": rejection.check().name(),
            "section": section,
            "message": rejection.to_string(),
            "page": page,
            "jkt_source": source.name(),
        }))?;
    } else {
        output.line(format_args!("{} {reason}: {rejection}", styled(BAD, "refused:")))?;
        output.line(styled(
            FAINT,
            format_args!(
                "  {section}; `keybound explain` shows what differs, `keybound reasons {reason}` the usual causes"
            ),
        ))?;
    }
    Ok(Outcome::Refused)
}
