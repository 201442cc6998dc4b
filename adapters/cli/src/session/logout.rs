//! The command `keybound logout`.

use clap::Args as Arguments;
use keybound::oauth::FlowError;
use keybound_reqwest::Error;
use serde_json::json;

use super::{Caller, Setup, failure};
use crate::failure::{Failure, Outcome};
use crate::output::Output;

const EXAMPLES: &str = "\
Examples:
  keybound logout https://api.example.com/items";

/// End a session: revoke its tokens, delete it and its key.
#[derive(Arguments)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The API, or any URL of it.
    url: String,
    #[command(flatten)]
    setup: Setup,
}

pub(crate) fn run(args: &Args, output: &Output) -> Result<Outcome, Failure> {
    let caller = Caller::new(&args.setup, &args.url, output)?;
    let session = caller.open().map_err(|error| match error {
        Error::Flow(FlowError::NoSession) => Failure::failed(match &caller.name {
            Some(name) => format!("there is no session {name} to end"),
            None => format!("there is no session for {} to end", caller.url.without_query()),
        }),
        other => caller.failure(other),
    })?;
    let name = session.name();
    let revoked = caller.client.end(&session).map_err(|error| {
        // The session goes before its key, which may be in a token that is away.
        let is_ended = caller.host.sessions().is_ok_and(|stored| stored.iter().all(|stored| stored != name));
        if let Some(key) = session.thumbprint().filter(|_| is_ended) {
            output.note(format_args!(
                "session {name} has ended here, but its tokens were not revoked: the server takes them until they end"
            ));
            if caller.has_key_in_token() {
                output.note(format_args!(
                    "its key, if it is still in the token, can be deleted: `keybound key delete {key} --pkcs11 MODULE --token LABEL`"
                ));
            }
        }
        failure(error)
    })?;
    if output.is_json() {
        output.json(&json!({ "session": name, "ended": true, "revoked": revoked }))?;
    }
    output.note(format_args!("session {name} has ended"));
    if !revoked {
        output.note("the server has no revocation: its tokens are good until they end");
    }
    Ok(Outcome::Accepted)
}
