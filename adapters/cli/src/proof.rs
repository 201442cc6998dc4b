//! `keybound proof`: a proof for one request.

use std::path::PathBuf;
use std::sync::Arc;

use keybound::key::Signer;
use keybound::{Algorithm, ProofBuilder, UnixTime};
use keybound_aws_lc::AWS_LC;
use serde_json::json;

use crate::failure::{Failure, Outcome};
use crate::output::Output;
use crate::policy::algorithm_parser;
use crate::{input, key};

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  keybound proof --key key.json --method POST --url https://server.example.com/token
  keybound proof --key key.json --method GET --url https://api.example.com/items --access-token @token.txt
  keybound proof --key THUMBPRINT --pkcs11 MODULE --token LABEL --pin-file pin --method GET --url https://api.example.com/items
  curl -H \"DPoP: $(keybound proof --key key.json --method GET --url $URL --access-token $TOKEN)\" \\
       -H \"Authorization: DPoP $TOKEN\" $URL

A proof is good for one request: make a new one for each, retries included.")]
pub(crate) struct Args {
    /// The private key: a JWK, or PKCS #8 in PEM; - is standard input. With --pkcs11, the thumbprint or label of a key in the token.
    #[arg(long, value_name = "KEY", allow_hyphen_values = true)]
    key: PathBuf,
    /// The request's method.
    #[arg(long, value_name = "METHOD")]
    method: String,
    /// The request's URL; query and fragment are left out of the proof.
    #[arg(long, value_name = "URL")]
    url: String,
    /// The access token of the request: its text, @FILE, or - for standard input. None for a token endpoint.
    #[arg(long, value_name = "TOKEN", allow_hyphen_values = true)]
    access_token: Option<String>,
    /// The latest DPoP-Nonce of the server.
    #[arg(long, value_name = "NONCE", allow_hyphen_values = true)]
    nonce: Option<String>,
    /// The proof's identifier instead of 128 random bits.
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    jti: Option<String>,
    /// The time in seconds since 1970, instead of the clock's.
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    now: Option<i64>,
    /// Another claim whose value is text.
    #[arg(long, value_name = "NAME=TEXT", allow_hyphen_values = true)]
    claim: Vec<String>,
    /// Another claim whose value is JSON.
    #[arg(long, value_name = "NAME=JSON", allow_hyphen_values = true)]
    claim_json: Vec<String>,
    /// The algorithm, where the key can be used with more than one.
    #[arg(long, ignore_case = true, value_parser = algorithm_parser(), value_name = "ALG")]
    alg: Option<Algorithm>,
    #[cfg(feature = "pkcs11")]
    #[command(flatten)]
    token: crate::hsm::Token,
}

/// The methods of RFC 9110 section 9 and RFC 5789.
const STANDARD: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];

pub(crate) fn run(args: &Args, output: &Output) -> Result<Outcome, Failure> {
    let token = args.access_token.as_deref().map(|token| input::text_argument(token, "access token")).transpose()?;
    let key = signer(args, output)?;
    let key = &*key;

    let upper = args.method.to_ascii_uppercase();
    if upper != args.method && STANDARD.contains(&upper.as_str()) {
        output.note(format_args!("methods are compared with case: {} is not {upper}", args.method));
    }
    let mut builder = ProofBuilder::new(&args.method, &args.url);
    if let Some(token) = &token {
        builder = builder.access_token(token);
    }
    if let Some(nonce) = &args.nonce {
        builder = builder.nonce(nonce);
    }
    for claim in &args.claim {
        let (name, text) = named_value(claim)?;
        builder = builder.claim_text(name, text);
    }
    for claim in &args.claim_json {
        let (name, json) = named_value(claim)?;
        builder = builder.claim_json(name, json);
    }

    let now = args.now.map_or_else(UnixTime::now, UnixTime::from_secs);
    let proof = match &args.jti {
        None => builder.sign(&AWS_LC, key, now)?,
        Some(jti) => {
            let unsigned = builder.prepare(&AWS_LC, key.public_key(), key.algorithm(), jti, now)?;
            let signature = key.sign(&unsigned.signing_input())?;
            unsigned.attach(signature)?
        }
    };
    if output.is_json() {
        let jkt = key.public_key().thumbprint(AWS_LC.digest).to_string();
        output.json(&json!({ "proof": proof.as_str(), "jkt": jkt }))?;
    } else {
        output.line(proof.as_str())?;
    }
    Ok(Outcome::Accepted)
}

/// The key in the token that is named, else that in the file.
fn signer(args: &Args, output: &Output) -> Result<Arc<dyn Signer>, Failure> {
    #[cfg(feature = "pkcs11")]
    if let Some(keys) = args.token.open()? {
        let key = crate::hsm::key(&keys, &args.key.to_string_lossy())?;
        return match args.alg {
            Some(algorithm) if algorithm != key.algorithm() => {
                Err(Failure::usage(format!("the key signs with {}; leave --alg out", key.algorithm())))
            }
            _ => Ok(key),
        };
    }
    let key = key::read_private(&args.key)?;
    input::note_readable(&args.key, output);
    Ok(Arc::new(match args.alg {
        Some(algorithm) => key.for_algorithm(algorithm, &AWS_LC)?,
        None => key,
    }))
}

fn named_value(claim: &str) -> Result<(&str, &str), Failure> {
    match claim.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name, value)),
        _ => Err(Failure::usage("a claim is given as NAME=VALUE, for example --claim tenant=acme")),
    }
}
