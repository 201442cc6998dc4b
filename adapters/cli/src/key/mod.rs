//! `keybound key`: keys made, and their public side shown.

mod file;
mod generate;
#[cfg(feature = "pkcs11")]
mod token;

use std::path::PathBuf;

use clap::Subcommand;
use keybound::jose::jwk::{JwkError, PublicJwk};
use keybound::key::Signer;
use keybound::key::soft::SoftKey;
use keybound_aws_lc::AWS_LC;
use serde_json::json;

use crate::failure::{Failure, Outcome};
use crate::input;
use crate::output::Output;

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  keybound key generate --out key.json
  keybound key thumbprint key.json
  keybound key public key.json")]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make a new private key.
    Generate(generate::Args),
    /// Show a key's thumbprint (RFC 7638): what `cnf.jkt` and `dpop_jkt` hold.
    #[command(after_help = "\
Examples:
  keybound key thumbprint key.json
  keybound key thumbprint < public.json
  keybound key generate --pem | keybound key thumbprint -")]
    Thumbprint(PublicArgs),
    /// Show the public key, as a JWK.
    #[command(after_help = "\
Examples:
  keybound key public key.json
  keybound key public key.pem > public.json")]
    Public(PublicArgs),
    /// Show the keys in a token of an HSM.
    #[cfg(feature = "pkcs11")]
    List(token::ListArgs),
    /// Delete a key in a token of an HSM that this program made.
    #[cfg(feature = "pkcs11")]
    Delete(token::DeleteArgs),
}

#[derive(clap::Args)]
struct PublicArgs {
    /// A private or public JWK, or a private key as PKCS #8 in PEM; - is standard input.
    #[arg(default_value = "-", value_name = "FILE")]
    file: PathBuf,
}

pub(crate) fn run(args: Args, output: &Output) -> Result<Outcome, Failure> {
    match args.command {
        Command::Generate(args) => generate::run(&args, output)?,
        Command::Thumbprint(args) => {
            let key = read_public(&args.file)?;
            let thumbprint = key.thumbprint(AWS_LC.digest).to_string();
            if output.is_json() {
                output.json(&json!({ "jkt": thumbprint }))?;
            } else {
                output.line(thumbprint)?;
            }
        }
        Command::Public(args) => output.line(read_public(&args.file)?.to_json())?,
        #[cfg(feature = "pkcs11")]
        Command::List(args) => token::list(&args, output)?,
        #[cfg(feature = "pkcs11")]
        Command::Delete(args) => token::delete(&args, output)?,
    }
    Ok(Outcome::Accepted)
}

/// Reads a private key from a file, or from standard input for `-`.
pub(crate) fn read_private(path: &std::path::Path) -> Result<SoftKey, Failure> {
    let bytes = input::read(path)?;
    parse_private(&input::text(&bytes, "key")?)
}

fn parse_private(text: &str) -> Result<SoftKey, Failure> {
    let text = text.trim();
    let key = match text.starts_with("-----BEGIN") {
        true => SoftKey::from_pkcs8_pem(text, &AWS_LC),
        false => SoftKey::from_jwk(text, &AWS_LC),
    };
    key.map_err(|misuse| {
        let wanted = "a private JWK, or PKCS #8 in PEM (`openssl pkcs8 -topk8 -nocrypt` makes it)";
        Failure::undecided(format!("the key cannot be used: {misuse}; give {wanted}"))
    })
}

/// Reads the public side of a private or public key.
fn read_public(path: &std::path::Path) -> Result<PublicJwk, Failure> {
    let bytes = input::read(path)?;
    let text = input::text(&bytes, "key")?;
    if text.trim_start().starts_with("-----BEGIN") {
        return Ok(parse_private(&text)?.public_key().clone());
    }
    match PublicJwk::parse(text.trim()) {
        Ok(key) => Ok(key),
        Err(JwkError::Private) => Ok(parse_private(&text)?.public_key().clone()),
        Err(error) => Err(Failure::undecided(format!(
            "the key cannot be used: {error}; give a private or public JWK, or PKCS #8 in PEM"
        ))),
    }
}
