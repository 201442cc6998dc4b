//! The command `keybound logout`.

use clap::Args as Arguments;

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
    let session = caller.open().map_err(|error| caller.failure(error))?;
    let name = session.name();
    let revoked = caller.client.end(&session).map_err(|error| {
        // The session goes before its key, which may be in a token that is away.
        let is_ended = caller.host.sessions().is_ok_and(|stored| stored.iter().all(|stored| stored != name));
        if let Some(key) = session.thumbprint().filter(|_| is_ended) {
            output.note(format_args!("session {name} has ended here; not everything else was done"));
            output.note(format_args!(
                "its key, if it is still there, can be deleted: `keybound key list`, `keybound key delete {key}`"
            ));
        }
        failure(error)
    })?;
    output.note(format_args!("session {name} has ended"));
    if !revoked {
        output.note("the server has no revocation: its tokens are good until they end");
    }
    Ok(Outcome::Accepted)
}
