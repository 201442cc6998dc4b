//! The command `keybound call`.

use std::io::Read as _;
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use clap::Args as Arguments;
use keybound::http::challenge::Challenge;
use keybound::oauth::refused::{Advice, RefusedResponse};
use keybound::oauth::{Demand, Session, shown};
use keybound_reqwest::{Error, IgnoredChallenge, Needs};
use reqwest::blocking::{RequestBuilder, Response};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode};
use serde_json::{Map, Value, json};

use super::{Caller, Setup, failure};
use crate::failure::{Failure, Outcome};
use crate::output::Output;

const EXAMPLES: &str = "\
Examples:
  keybound call https://api.example.com/items
  keybound call https://api.example.com/items --data '{\"name\":\"one\"}' --header 'Content-Type: application/json'
  keybound call https://api.example.com/items/1 --method DELETE --include

Without a session it logs in first if the API asks for a token. Nonces, fresh tokens and more scope are handled where the API asks for them.

Exit code 0 for an answer below 400, 1 for one above, 3 if there was none.";

/// Call a protected API, logging in where that is needed.
#[derive(Arguments)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The URL to call.
    url: String,
    /// The method; POST with data, else GET.
    #[arg(long, short = 'X', value_name = "METHOD")]
    method: Option<Method>,
    /// A field to send, `Name: value`.
    #[arg(long, short = 'H', value_name = "FIELD")]
    header: Vec<String>,
    /// The body: a text, @FILE for a file's content, or @- for standard input.
    #[arg(long, short = 'd', value_name = "DATA")]
    data: Option<String>,
    /// Write status and fields before the body.
    #[arg(long, short = 'i')]
    include: bool,
    /// Write the body into this file.
    #[arg(long, short = 'o', value_name = "FILE")]
    out: Option<PathBuf>,
    /// Fail rather than log in.
    #[arg(long)]
    no_login: bool,
    #[command(flatten)]
    setup: Setup,
}

/// How often more scope is asked for. A refusal of the token is answered by one login: a second would bring the same token.
const MAX_STEPS: u8 = 2;

/// How long an API may take to begin the answer to a request without a token; the login asks it again then.
const PROBE_TIMEOUT: Duration = Duration::from_secs(30);

pub(crate) fn run(args: &Args, output: &Output) -> Result<Outcome, Failure> {
    let body = args.data.as_deref().map(read).transpose()?;
    let headers = args.header.iter().map(|field| header(field)).collect::<Result<Vec<_>, _>>()?;
    let mut caller = Caller::new(&args.setup, &args.url, output)?;
    let (mut session, mut is_fresh) = match caller.open() {
        Ok(session) => (session, false),
        Err(error) if error.needs_login() && !args.no_login => {
            if let Some(answer) = open_answer(&caller, args, &headers, body.as_deref()) {
                output
                    .note("the API asked for no token, so that none was sent; `keybound login` makes a session anyway");
                return write(args, answer, output);
            }
            (caller.log_in()?, true)
        }
        Err(error) => return Err(caller.failure(error)),
    };
    let mut steps = 0;
    loop {
        let answer = send(&caller, &session, args, &headers, body.as_deref());
        let may_log_in = !args.no_login && !is_fresh;
        session = match answer {
            Err(error) if error.needs_login() && may_log_in => {
                is_fresh = true;
                caller.log_in()?
            }
            Err(error) => return Err(failure(error)),
            Ok(response) => {
                if let Some(IgnoredChallenge(error)) = response.extensions().get() {
                    output.note(format_args!("a challenge of the API was ignored: {error}"));
                }
                match response.extensions().get::<Needs>() {
                    Some(Needs(Demand::StepUp(scope))) if !args.no_login && steps < MAX_STEPS => {
                        let scope = scope.clone();
                        steps += 1;
                        caller.step_up(&session, &scope)?
                    }
                    Some(Needs(Demand::StepUp(scope))) => {
                        output.note(format_args!("the API needs the scope {}", shown(scope, 300)));
                        return write(args, response, output);
                    }
                    Some(Needs(Demand::Login(_))) if may_log_in => {
                        is_fresh = true;
                        caller.log_in()?
                    }
                    Some(Needs(Demand::Login(_))) if is_fresh => {
                        output.note(
                            "the API refuses the token of a login that was made just now; another would not help",
                        );
                        return write(args, response, output);
                    }
                    _ => return write(args, response, output),
                }
            }
        };
    }
}

/// The answer to the request without a token, where that is not a refusal which a login would help: the URL is public, or nothing is there.
/// Only for requests that change nothing, and where the options name no server to log in at.
fn open_answer(
    caller: &Caller<'_>,
    args: &Args,
    headers: &[(String, String)],
    body: Option<&[u8]>,
) -> Option<Response> {
    let is_safe = body.is_none() && args.method.as_ref().is_none_or(Method::is_safe);
    // The login refuses other URLs: nothing is sent in the clear over a network.
    let may_be_asked = caller.url.is_https() || caller.url.is_loopback();
    if !is_safe || !may_be_asked || caller.knows_server() {
        return None;
    }
    // A failure of the network is told by the login.
    let answer = begun_within(PROBE_TIMEOUT, request(caller, args, headers, body))?;
    let fields: Vec<&[u8]> = answer.headers().get_all("www-authenticate").iter().map(HeaderValue::as_bytes).collect();
    let asks =
        |challenge: &Challenge| ["DPoP", "Bearer"].iter().any(|scheme| challenge.scheme().eq_ignore_ascii_case(scheme));
    // Other refusals, redirects and faults may be what a request without a token gets.
    let status = answer.status();
    let is_served = status.is_success()
        || matches!(status, StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::GONE);
    let is_open = is_served && !Challenge::parse_fields(&fields).list.iter().any(asks);
    is_open.then_some(answer)
}

/// The answer, if it begins within this time. Its body may take longer.
fn begun_within(time: Duration, request: RequestBuilder) -> Option<Response> {
    let (tell, told) = mpsc::sync_channel(1);
    thread::spawn(move || drop(tell.send(request.send())));
    told.recv_timeout(time).ok()?.ok()
}

fn send(
    caller: &Caller<'_>,
    session: &Session,
    args: &Args,
    headers: &[(String, String)],
    body: Option<&[u8]>,
) -> Result<Response, Error> {
    caller.client.call(session, request(caller, args, headers, body))
}

fn request(caller: &Caller<'_>, args: &Args, headers: &[(String, String)], body: Option<&[u8]>) -> RequestBuilder {
    let method = args.method.clone().unwrap_or(if body.is_some() { Method::POST } else { Method::GET });
    let mut request = caller.client.request(method, &args.url);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    if let Some(body) = body {
        request = request.body(body.to_vec());
    }
    request
}

fn read(data: &str) -> Result<Vec<u8>, Failure> {
    match data.strip_prefix('@') {
        None => Ok(data.as_bytes().to_vec()),
        Some("-") => {
            let mut bytes = Vec::new();
            let done = std::io::stdin().read_to_end(&mut bytes);
            done.map(|_| bytes).map_err(|error| Failure::undecided(format!("cannot read standard input: {error}")))
        }
        Some(path) => std::fs::read(path).map_err(|error| Failure::file("read the body from", path.as_ref(), &error)),
    }
}

fn header(field: &str) -> Result<(String, String), Failure> {
    let (name, value) =
        field.split_once(':').ok_or_else(|| Failure::usage(format!("{field:?} is not a field; write Name: value")))?;
    let name = name.trim();
    if ["authorization", "dpop"].iter().any(|own| name.eq_ignore_ascii_case(own)) {
        return Err(Failure::usage(format!("{name} is set by the session; leave it out")));
    }
    HeaderName::try_from(name).map_err(|_| Failure::usage(format!("{name:?} is not the name of a field")))?;
    HeaderValue::try_from(value.trim()).map_err(|_| {
        Failure::usage(format!(
            "the value of {name} has a line break or another control character, which no field can have"
        ))
    })?;
    Ok((name.into(), value.trim().into()))
}

/// What the answer's challenges give as the reason, each after a colon.
fn reasons(headers: &HeaderMap) -> String {
    let shown = |text: &str| shown(text, 300);
    let mut reasons = Vec::new();
    for field in headers.get_all("www-authenticate") {
        for challenge in Challenge::parse_fields(&[field.as_bytes()]).list {
            let Some(error) = challenge.param("error") else { continue };
            let reason = match challenge.param("error_description") {
                Some(description) => format!(": {} ({})", shown(error), shown(description)),
                None => format!(": {}", shown(error)),
            };
            if !reasons.contains(&reason) {
                reasons.push(reason);
            }
        }
    }
    reasons.concat()
}

fn write(args: &Args, response: Response, output: &Output) -> Result<Outcome, Failure> {
    let status = response.status();
    let headers = response.headers().clone();
    let unread = |error: reqwest::Error| Failure::undecided(format!("the answer broke off: {error}"));
    let body = response.bytes().map_err(unread)?;
    let outcome = if status.as_u16() < 400 { Outcome::Accepted } else { Outcome::Refused };
    if let Some(path) = &args.out {
        std::fs::write(path, &body).map_err(|error| Failure::file("write the body into", path, &error))?;
    }
    let shown: Vec<(String, String)> = headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    if output.is_json() {
        let mut fields = Map::new();
        for (name, value) in shown {
            if let Some(values) = fields.entry(name).or_insert_with(|| json!([])).as_array_mut() {
                values.push(json!(value));
            }
        }
        let body = match std::str::from_utf8(&body) {
            _ if args.out.is_some() => Value::Null,
            Ok(text) => json!(text),
            Err(_) => json!({ "base64url": keybound::base64url::encode(&body) }),
        };
        output.json(&json!({ "status": status.as_u16(), "headers": fields, "body": body }))?;
        return Ok(outcome);
    }
    if args.include {
        output.line(format_args!("{status}"))?;
        for (name, value) in &shown {
            output.line(format_args!("{name}: {value}"))?;
        }
        output.line("")?;
    } else if outcome == Outcome::Refused {
        output.note(format_args!("the API answered {status}{}", reasons(&headers)));
        let fields: Vec<(&str, &[u8])> =
            headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        if let Some(reason) = Advice::of(&RefusedResponse::new(status.as_u16(), &fields)).reason {
            output.note(format_args!("more: keybound reasons {reason}"));
        }
    }
    if args.out.is_none() {
        output.raw(&body)?;
        if !body.is_empty() && !body.ends_with(b"\n") && std::io::IsTerminal::is_terminal(&std::io::stdout()) {
            output.line("")?;
        }
    }
    Ok(outcome)
}
