//! The command `keybound login`.

use clap::Args as Arguments;
use serde_json::json;

use super::{Caller, Setup};
use crate::failure::{Failure, Outcome};
use crate::output::{GOOD, Output, styled};

const EXAMPLES: &str = "\
Examples:
  keybound login https://api.example.com/mcp
  keybound login https://api.example.com/mcp --device --session work
  keybound login https://api.example.com/mcp --machine --client-id service

Session and key are kept in a folder that you alone can read; `keybound call` uses and refreshes them.";

/// Log in to a protected API, in the browser or on another device.
#[derive(Arguments)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The API, or any URL of it.
    url: String,
    #[command(flatten)]
    setup: Setup,
}

pub(crate) fn run(args: &Args, output: &Output) -> Result<Outcome, Failure> {
    let mut caller = Caller::new(&args.setup, &args.url, output)?;
    let session = caller.log_in()?;
    if output.is_json() {
        output.json(&json!({
            "session": session.name(),
            "level": session.level().name(),
            "issuer": session.issuer(),
            "subject": session.subject().map(|subject| subject.sub),
            "resource": session.resource(),
            "scope": session.scope(),
            "thumbprint": session.thumbprint().map(|key| key.to_string()),
            "expires_at": session.expires_at().map(|time| time.secs()),
        }))?;
    } else {
        let scope = session.scope().unwrap_or_else(|| "what the server thinks right".into());
        output.line(format_args!(
            "{} to {} as session {}",
            styled(GOOD, "logged in"),
            session.issuer(),
            session.name()
        ))?;
        output.line(format_args!("level {}, scope {scope}", session.level()))?;
        if let Some(key) = session.thumbprint() {
            output.line(format_args!("tokens are bound to the key {key}"))?;
        }
    }
    Ok(Outcome::Accepted)
}
