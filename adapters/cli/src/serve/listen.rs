//! From a connection to an endpoint and back.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State as Shared};
use axum::response::Response;
use keybound::server::resource::EXPOSED_FIELDS;

use super::browser;
use super::described;
use super::http::{Incoming, Outgoing};
use super::route::route;
use super::state::State;

/// The longest body that is read, in bytes.
const MAX_BODY: usize = 256 * 1024;
/// For how long a body is waited for.
const MAX_WAIT: Duration = Duration::from_secs(10);

/// Answers every request.
pub(super) async fn answer(Shared(state): Shared<Arc<State>>, request: Request) -> Response {
    let faults = state.faults();
    if !faults.slow.is_zero() {
        tokio::time::sleep(faults.slow).await;
    }
    let is_visited = browser::is_visited(request.uri().path());
    let answered = match read(request).await {
        Ok(incoming) => match browser::check(&state, &incoming) {
            Ok(()) => {
                described::fetch(&state, &incoming).await;
                route(&state, &incoming)
            }
            Err(answer) => answer,
        },
        Err(answer) => answer,
    };
    finish(answered, &state, !is_visited)
}

/// Reads a request whole.
async fn read(request: Request) -> Result<Incoming, Outgoing> {
    let (head, body) = request.into_parts();
    let late = |_| Outgoing::error(408, "invalid_request", "the body took longer than ten seconds");
    let long = |_| Outgoing::error(413, "invalid_request", "the body is longer than 256 KiB, or broke off");
    let body = tokio::time::timeout(MAX_WAIT, to_bytes(body, MAX_BODY)).await.map_err(late)?.map_err(long)?;
    let fields = head.headers.iter().map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()));
    Ok(Incoming {
        method: head.method.as_str().to_owned(),
        authority: head.uri.authority().map(|authority| authority.as_str().to_owned()),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        fields: fields.collect(),
        body: body.to_vec(),
    })
}

fn finish(answered: Outgoing, state: &State, is_for_scripts: bool) -> Response {
    let faults = state.faults();
    let mut builder = Response::builder().status(answered.status);
    // Every answer to scripts exposes the same fields and is open to all, whatever its status.
    let for_scripts = ["access-control-allow-origin", "access-control-expose-headers"];
    for (name, value) in &answered.fields {
        if !for_scripts.iter().any(|known| name.eq_ignore_ascii_case(known)) {
            builder = builder.header(name, value);
        }
    }
    let clock = SystemTime::UNIX_EPOCH + Duration::from_secs(state.now().secs().unsigned_abs());
    builder = builder.header("Date", httpdate::fmt_http_date(clock));
    if is_for_scripts {
        builder = builder.header("Access-Control-Allow-Origin", "*");
        if !faults.drop_cors {
            builder = builder.header("Access-Control-Expose-Headers", EXPOSED_FIELDS);
        }
    }
    builder.body(Body::from(answered.body)).unwrap_or_default()
}
