//! The command line: its commands and what is common to them.

use clap::{Parser, Subcommand};

use crate::output::Format;
use crate::{bench, completions, demo, explain, key, man, proof, reasons, serve, session, vectors, verify};

const EXIT_CODES: &str = "\
Exit codes:
  0  accepted, or done
  1  refused, or failed: a proof or login was refused, an API answered 400 or above, a test failed
  2  wrong usage: an option is wrong or missing, or what was given as a proof is not one
  3  could not decide: a file cannot be read, a key cannot be used, a server cannot be reached

Examples:
  keybound demo
  keybound key generate --out key.json
  keybound proof --key key.json --method GET --url https://api.example.com/items
  keybound explain --method GET --url https://api.example.com/items @proof.txt

`keybound COMMAND --help` has examples of every command.";

/// Makes, verifies and explains DPoP proofs (RFC 9449).
#[derive(Parser)]
#[command(name = "keybound", version, after_help = EXIT_CODES, disable_help_subcommand = true)]
pub(crate) struct Cli {
    /// What to write: human (text) or json; errors in JSON are {"error":...} on standard error.
    #[arg(long, global = true, value_enum, default_value_t, hide_possible_values = true, value_name = "FORMAT")]
    pub(crate) format: Format,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Watch a login, calls, and a stolen token refused in five ways, on this machine alone.
    Demo(demo::Args),
    /// Make a key, or show the public side of one.
    Key(key::Args),
    /// Make a proof for one request.
    Proof(proof::Args),
    /// Verify a proof, with the verdict in one line.
    Verify(verify::Args),
    /// Verify a proof check by check, and say how to fix what failed.
    Explain(explain::Args),
    /// List the reasons why requests are refused, or show the page about one.
    Reasons(reasons::Args),
    /// Log in to a protected API, in the browser or on another device.
    Login(session::login::Args),
    /// Call a protected API, logging in where that is needed.
    Call(session::call::Args),
    /// End a session: revoke its tokens, delete it and its key.
    Logout(session::logout::Args),
    /// Run an authorization server and an API that echoes, for development.
    Serve(serve::command::Args),
    /// Run a file of test vectors.
    Vectors(vectors::command::Args),
    /// Measure the project's own performance figures.
    Bench(bench::command::Args),
    /// Write a completion script for a shell.
    Completions(completions::Args),
    /// Write manual pages.
    Man(man::Args),
}
