//! `keybound key generate`: a new private key, to standard output or into a file of its own.

use std::path::{Path, PathBuf};

use keybound::Algorithm;
use keybound::key::Signer;
use keybound::key::soft::SoftKey;
use keybound_aws_lc::AWS_LC;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::file;
use crate::failure::Failure;
use crate::output::Output;
use crate::policy::algorithm_parser;

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  keybound key generate --out key.json
  keybound key generate --alg Ed25519
  keybound key generate --alg PS256 --pem --out key.pem
  keybound key generate --pkcs11 /usr/lib/softhsm/libsofthsm2.so --token keybound --pin-file pin

A file is readable by you alone (0600) and never overwritten without --force.")]
pub(super) struct Args {
    /// The algorithm that the key signs with.
    #[arg(long, default_value = "ES256", ignore_case = true, value_parser = algorithm_parser(), value_name = "ALG")]
    alg: Algorithm,
    /// Write the key into this file instead of standard output.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write PKCS #8 in PEM instead of a JWK.
    #[arg(long)]
    pem: bool,
    /// Replace the file if there is one. The key in it is lost.
    #[arg(long, requires = "out")]
    force: bool,
    #[cfg(feature = "pkcs11")]
    #[command(flatten)]
    token: crate::hsm::Token,
}

pub(super) fn run(args: &Args, output: &Output) -> Result<(), Failure> {
    #[cfg(feature = "pkcs11")]
    if let Some(keys) = args.token.open()? {
        if args.out.is_some() || args.pem {
            return Err(Failure::usage("a key in a token cannot leave it; leave --out and --pem out"));
        }
        return super::token::generate(&keys, args.alg, output);
    }
    let key = SoftKey::generate(args.alg, &AWS_LC)?;
    let secret = if args.pem { key.to_pkcs8_pem()? } else { key.to_jwk()? };
    let secret = Zeroizing::new(format!("{}\n", secret.expose().trim_end()));
    let thumbprint = key.public_key().thumbprint(AWS_LC.digest).to_string();

    let mut answer = json!({ "jkt": thumbprint, "alg": args.alg.name() });
    match args.out.as_deref().filter(|path| *path != Path::new("-")) {
        Some(path) => {
            file::write_private(path, secret.as_bytes(), args.force)?;
            answer["file"] = json!(path.display().to_string());
            output.note(format_args!("wrote a new {} key to {}", args.alg, path.display()));
        }
        None if output.is_json() => {
            answer["key"] =
                if args.pem { json!(*secret) } else { serde_json::from_str(&secret).unwrap_or(Value::Null) };
        }
        None => output.raw(secret.as_bytes())?,
    }
    if output.is_json() {
        return output.json(&answer);
    }
    output.note(format_args!("thumbprint {thumbprint}"));
    Ok(())
}
