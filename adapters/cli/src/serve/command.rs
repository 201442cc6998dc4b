//! The command `keybound serve`.

use std::net::SocketAddr;

use clap::Args as Arguments;
use keybound::SecurityLevel;
use keybound::http::url::Url;
use keybound::oauth::Secret;
use serde_json::json;

use super::{ClientSecret, Faults, Options, start_at};
use crate::failure::{Failure, Outcome};
use crate::output::{GOOD, Output, STRONG, styled};

const EXAMPLES: &str = "\
Examples:
  keybound serve
  keybound serve --listen 127.0.0.1:9449 --consent
  keybound serve --resource http://127.0.0.1:8000       (issues tokens for an API of yours, with any scope)
  keybound serve --fault clock-skew=3600 --fault new-nonce-each-call
  keybound call http://127.0.0.1:9449/api        (in another terminal)

Faults, which can be combined:
  new-nonce-each-call, clock-skew=SECONDS, drop-cors, store-failing, metadata-failing,
  bearer-token-type, wrong-iss, slow=MILLISECONDS

The servers keep everything in memory and know one user, alice, who approves everything at once.
They are for development: do not put them on a network.";

/// Run an authorization server and an API that echoes, for development.
#[derive(Arguments)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The address and port to listen on; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:9449", value_name = "ADDRESS:PORT", value_parser = address)]
    listen: SocketAddr,
    /// What is demanded of clients: standard (Bearer tokens open the API, too), enhanced (bound tokens alone) or maximum
    /// (pushed requests, nonces and the algorithms of FAPI 2.0 as well).
    #[arg(long, default_value = "enhanced", value_name = "LEVEL", value_parser = level)]
    level: SecurityLevel,
    /// Do not ask for nonces.
    #[arg(long)]
    no_nonces: bool,
    /// Ask the user on a page before a login is approved.
    #[arg(long)]
    consent: bool,
    /// Leave device logins to the user, at /device; otherwise they are approved at once.
    #[arg(long)]
    device_consent: bool,
    /// For how long access tokens are good, in seconds.
    #[arg(long, default_value_t = 300, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    token_lifetime: u64,
    /// The secret of the confidential client keybound-service; made anew at each start otherwise.
    #[arg(long, value_name = "SECRET", env = "KEYBOUND_SERVE_SECRET", hide_env_values = true)]
    client_secret: Option<String>,
    /// Issue tokens for this resource, too: an API of yours that takes them, with the scopes that it asks for. Give it as often
    /// as you like.
    #[arg(long, value_name = "URL")]
    resource: Vec<String>,
    /// A scope that is known beside read, write, admin and offline_access. For a --resource every scope is. Give it as often as
    /// you like.
    #[arg(long, value_name = "SCOPE")]
    scope: Vec<String>,
    /// Something to do wrong; see below.
    #[arg(long, value_name = "FAULT")]
    fault: Vec<String>,
    /// Listen on an address that other machines can reach.
    #[arg(long)]
    danger_listen_anywhere: bool,
}

pub(crate) fn run(args: Args, output: &Output) -> Result<Outcome, Failure> {
    if !args.listen.ip().is_loopback() && !args.danger_listen_anywhere {
        return Err(Failure::usage(
            "this server approves every login, so it listens on loopback alone; add --danger-listen-anywhere if a test needs more",
        ));
    }
    if args.level == SecurityLevel::Maximum && args.no_nonces {
        return Err(Failure::usage("the level maximum requires nonces; leave --no-nonces out"));
    }
    for resource in &args.resource {
        Url::parse(resource)
            .map_err(|error| Failure::usage(format!("--resource {resource:?} cannot be used: {error}")))?;
    }
    let mut faults = Faults::default();
    for fault in &args.fault {
        faults.add(fault).map_err(Failure::usage)?;
    }
    // An empty variable is one that is not set.
    let secret = match args.client_secret.filter(|secret| !secret.is_empty()) {
        Some(secret) => secret,
        None => random_secret()?,
    };
    let mut options = Options {
        level: args.level,
        nonces: !args.no_nonces,
        token_lifetime: args.token_lifetime,
        consent: args.consent,
        device_approval: if args.device_consent { None } else { Some(0) },
        also_resources: args.resource,
        faults,
        clients: vec![ClientSecret { client_id: "keybound-service".into(), secret: Secret::new(secret.as_str()) }],
        ..Options::default()
    };
    for scope in args.scope.iter().flat_map(|given| given.split(' ')) {
        options.add_scope(scope).map_err(|why| Failure::usage(format!("--scope {scope:?} cannot be used: {why}")))?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::undecided(format!("no threads could be started: {error}")))?;
    runtime.block_on(async {
        let running = start_at(args.listen, options).await.map_err(|error| {
            Failure::undecided(format!("cannot listen on {}: {error}; give another address with --listen", args.listen))
        })?;
        if let Some(weakness) = running.weakness() {
            output.note(weakness);
        }
        if output.is_json() {
            output.json(&json!({
                "issuer": running.issuer, "resource": running.resource,
                "client_id": "keybound-service", "client_secret": secret,
            }))?;
        } else {
            output.line(format_args!("{} {}", styled(STRONG, "authorization server"), running.issuer))?;
            output.line(format_args!("{} {}", styled(STRONG, "API                 "), running.resource))?;
            output.line(format_args!(
                "{} keybound-demo (public), keybound-service (secret {secret})",
                styled(STRONG, "clients             ")
            ))?;
            output.line(format_args!("\n{} keybound call {}", styled(GOOD, "try"), running.resource))?;
        }
        tokio::select! {
            ended = running.wait() => ended.map_err(|error| Failure::undecided(format!("the server ended: {error}"))),
            _ = tokio::signal::ctrl_c() => Ok(()),
        }
    })?;
    Ok(Outcome::Accepted)
}

fn address(given: &str) -> Result<SocketAddr, String> {
    // The name has two addresses; the servers listen on one.
    let given = given.strip_prefix("localhost:").map_or_else(|| given.to_owned(), |port| format!("127.0.0.1:{port}"));
    given.parse().map_err(|_| "write an address and a port, for example 127.0.0.1:9449".to_owned())
}

fn level(name: &str) -> Result<SecurityLevel, String> {
    SecurityLevel::from_name(name).ok_or_else(|| "there are standard, enhanced and maximum".to_owned())
}

fn random_secret() -> Result<String, Failure> {
    let mut bytes = [0; 18];
    let random = keybound::RUSTCRYPTO.random.fill(&mut bytes);
    random.map_err(|error| Failure::undecided(error.to_string()))?;
    Ok(keybound::base64url::encode(&bytes))
}
