//! `keybound key generate`, `list` and `delete` for keys in an HSM.

use keybound::key::Signer as _;
use keybound::oauth::step::KeyOwner;
use keybound::{Algorithm, AlgorithmSet, Thumbprint};
use keybound_pkcs11::Pkcs11Keys;
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::hsm::{self, Token};
use crate::output::Output;

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  keybound key list --pkcs11 /usr/lib/softhsm/libsofthsm2.so --token keybound --pin-file pin")]
pub(super) struct ListArgs {
    #[command(flatten)]
    token: Token,
}

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  keybound key delete sQ3k…OZI --pkcs11 /usr/lib/softhsm/libsofthsm2.so --token keybound --pin-file pin

Keys that came from elsewhere are deleted with the token's own program.")]
pub(super) struct DeleteArgs {
    /// The key's thumbprint, as `keybound key list` shows it.
    #[arg(value_name = "THUMBPRINT", allow_hyphen_values = true)]
    thumbprint: String,
    #[command(flatten)]
    token: Token,
}

/// A new pair in the token. Only its public side is shown: the private one cannot leave.
pub(super) fn generate(keys: &Pkcs11Keys, algorithm: Algorithm, output: &Output) -> Result<(), Failure> {
    let key = keys.create(AlgorithmSet::of(&[algorithm]), KeyOwner::Host).map_err(hsm::failure)?;
    let thumbprint = key.thumbprint().to_string();
    if output.is_json() {
        let public: Value = serde_json::from_str(&key.public_key().to_json()).unwrap_or(Value::Null);
        return output.json(&json!({ "jkt": thumbprint, "alg": algorithm.name(), "public_key": public }));
    }
    output.note(format_args!("made a new {algorithm} key in the token; name it by its thumbprint"));
    output.line(thumbprint)
}

pub(super) fn list(args: &ListArgs, output: &Output) -> Result<(), Failure> {
    let keys = args.token.required()?.list().map_err(hsm::failure)?;
    if output.is_json() {
        let keys: Vec<Value> = keys
            .iter()
            .map(|key| {
                json!({
                    "jkt": key.thumbprint.to_string(),
                    "alg": key.algorithm.name(),
                    "label": key.label,
                    "application": key.application,
                    "owner": key.made.map(|(owner, _)| owner.name()),
                    "created_at": key.made.map(|(_, at)| at.secs()),
                    "protected": key.is_protected,
                    "public_key": serde_json::from_str::<Value>(&key.public_key.to_json()).unwrap_or(Value::Null),
                })
            })
            .collect();
        return output.json(&json!({ "keys": keys }));
    }
    if keys.is_empty() {
        output.note("the token has no key that signs; `keybound key generate` makes one in it");
    }
    for key in keys {
        let name = match key.made {
            Some((owner, _)) => {
                let application = key.application.unwrap_or_default();
                match owner {
                    KeyOwner::Session => format!("made by Keybound ({application}) for one session, deleted with it"),
                    KeyOwner::Host => format!("made by Keybound ({application})"),
                }
            }
            None => format!("from elsewhere, labelled {:?}", key.label),
        };
        let usable = if key.is_protected { "" } else { ", not protected by the token: it is not used" };
        output.line(format_args!("{} {} {name}{usable}", key.thumbprint, key.algorithm))?;
    }
    Ok(())
}

pub(super) fn delete(args: &DeleteArgs, output: &Output) -> Result<(), Failure> {
    let thumbprint = Thumbprint::parse(&args.thumbprint).ok_or_else(|| {
        Failure::usage("a key is named by its thumbprint, 43 characters; `keybound key list` shows those of the token")
    })?;
    let keys = args.token.required()?;
    if !keys.delete(thumbprint).map_err(hsm::failure)? {
        // It is likely mistyped.
        return Err(hsm::failure(keybound_pkcs11::Error::KeyGone(thumbprint)));
    }
    if output.is_json() {
        return output.json(&json!({ "jkt": thumbprint.to_string(), "deleted": true }));
    }
    output.note(format_args!("deleted the key {thumbprint}"));
    Ok(())
}
