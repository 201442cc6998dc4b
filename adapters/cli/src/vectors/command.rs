//! `keybound vectors`: runs a vector file and counts.

use std::io::Read;
use std::path::{Path, PathBuf};

use keybound_aws_lc::AWS_LC;
use serde_json::json;

use super::{Outcome as Judged, Settings, Verdict};
use crate::failure::{Failure, Outcome};
use crate::output::{BAD, FAINT, Output, styled};
use crate::policy::algorithm_set;

#[derive(clap::Args)]
#[command(after_help = "\
A vector file is a JSON array of objects with proof, method, url, now, access_token, nonce, jkt, expect
(accept, reject or either) and, if wanted, rejection (the reason) and members that set the verifier up, such as
allowed_algs; tests/vectors/README.md lists them. What is missing or null is taken from the proof itself. Entries to
accept whose algorithm is not there count as skipped. Replay is checked where an entry asks for it.

Examples:
  keybound vectors tests/vectors/header.json
  keybound vectors --provider rustcrypto --max-age 300 --max-ahead 60 vectors.json
  keybound vectors --algorithms ES256,EdDSA --format json - < vectors.json")]
pub(crate) struct Args {
    /// The vector file; - for standard input.
    file: PathBuf,
    /// How old a proof may be, in seconds (1 to 300).
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    max_age: u64,
    /// How far ahead of the clock a proof may be dated, in seconds (0 to 60).
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    max_ahead: u64,
    /// The algorithms to permit: all, or names separated by commas. Reasons are compared with all only.
    #[arg(long, value_name = "LIST", default_value = "all")]
    algorithms: String,
    /// The crypto provider.
    #[arg(long, value_enum, default_value_t)]
    provider: Provider,
}

#[derive(Clone, Copy, Default, clap::ValueEnum)]
enum Provider {
    /// aws-lc-rs.
    #[default]
    AwsLc,
    /// The portable one.
    Rustcrypto,
}

pub(crate) fn run(args: &Args, output: &Output) -> Result<Outcome, Failure> {
    let settings =
        Settings { max_age: args.max_age, max_ahead: args.max_ahead, algorithms: algorithm_set(&args.algorithms)? };
    let crypto = match args.provider {
        Provider::AwsLc => AWS_LC,
        Provider::Rustcrypto => keybound::RUSTCRYPTO,
    };
    let text = read(&args.file).map_err(|error| Failure::file("read", &args.file, &error))?;
    let entries =
        super::parse(&text).map_err(|error| Failure::undecided(format!("{}: {error}", args.file.display())))?;
    let outcomes = super::run(&entries, &crypto, &settings)?;
    let count = |kind: fn(&Verdict) -> bool| outcomes.iter().filter(|outcome| kind(&outcome.verdict)).count();
    let passed = count(|verdict| *verdict == Verdict::Passed);
    let failed = count(|verdict| matches!(verdict, Verdict::Failed(_)));
    let skipped = count(|verdict| matches!(verdict, Verdict::Skipped(_)));
    if output.is_json() {
        let entries: Vec<_> = outcomes.iter().map(to_json).collect();
        output.json(&json!({"passed": passed, "failed": failed, "skipped": skipped, "entries": entries}))?;
    } else {
        for Judged { id, verdict, .. } in &outcomes {
            match verdict {
                Verdict::Passed => {}
                Verdict::Failed(how) => output.line(format_args!("{}  {id}: {how}", styled(BAD, "failed")))?,
                Verdict::Skipped(why) => output.line(format_args!("{} {id}: {why}", styled(FAINT, "skipped")))?,
            }
        }
        output.line(format_args!("{passed} passed, {failed} failed, {skipped} skipped"))?;
    }
    Ok(if failed == 0 { Outcome::Accepted } else { Outcome::Refused })
}

fn to_json(outcome: &Judged) -> serde_json::Value {
    let (verdict, detail) = match &outcome.verdict {
        Verdict::Passed => ("passed", None),
        Verdict::Failed(how) => ("failed", Some(how)),
        Verdict::Skipped(why) => ("skipped", Some(why)),
    };
    let reason = outcome.rejection.map(|rejection| rejection.reason());
    json!({"id": outcome.id, "verdict": verdict, "reason": reason, "detail": detail})
}

fn read(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    if path.as_os_str() == "-" {
        std::io::stdin().read_to_string(&mut text)?;
    } else {
        std::fs::File::open(path)?.read_to_string(&mut text)?;
    }
    Ok(text)
}
