//! The command `keybound logout`.

use clap::Args as Arguments;
use keybound::oauth::FlowError;
use keybound_reqwest::Error;
use serde_json::json;

use super::stored::open_folder;
use super::{Caller, Setup, failure};
use crate::failure::{Failure, Outcome};
use crate::output::Output;

const EXAMPLES: &str = "\
Examples:
  keybound logout https://api.example.com/items
  keybound logout --session work
  keybound logout                     # names the sessions that are stored";

/// End a session: revoke its tokens, delete it and its key.
#[derive(Arguments)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The API, or any URL of it; may be left out beside --session.
    url: Option<String>,
    #[command(flatten)]
    setup: Setup,
}

/// What stands for the API where a session is named alone: nothing is sent there, and the session may be of a server on this machine.
const NO_URL: &str = "http://127.0.0.1/";

/// Asks for a session by the names of those that are stored.
fn which(setup: &Setup) -> Result<Failure, Failure> {
    let stored = open_folder(setup.folder.as_ref())?.sessions();
    let mut names = stored.map_err(|error| Failure::undecided(format!("cannot list the sessions: {error}")))?;
    names.sort();
    Ok(Failure::usage(match names.as_slice() {
        [] => "no session is stored".to_owned(),
        names => format!("give the URL of the API or --session NAME; stored are: {}", names.join(", ")),
    }))
}

pub(crate) fn run(args: &Args, output: &Output) -> Result<Outcome, Failure> {
    let url = match (&args.url, &args.setup.session) {
        (Some(url), _) => url,
        (None, Some(_)) if args.setup.client_id.is_none() || args.setup.issuer.is_some() => NO_URL,
        (None, Some(_)) => return Err(Failure::usage("give --issuer beside --client-id, or the URL of the API")),
        (None, None) => return Err(which(&args.setup)?),
    };
    let caller = Caller::new(&args.setup, url, output)?;
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
