//! From a connection to an endpoint and back.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State as Shared};
use axum::response::Response;
use keybound_serve::{Incoming, Outgoing, Server};

use super::{Listening, browser, described};

/// The longest body that is read, in bytes.
const MAX_BODY: usize = 256 * 1024;
/// For how long a body is waited for.
const MAX_WAIT: Duration = Duration::from_secs(10);

/// Answers every request.
pub(super) async fn answer(Shared(listening): Shared<Arc<Listening>>, request: Request) -> Response {
    let server = &listening.server;
    let slow = server.faults().slow;
    if !slow.is_zero() {
        tokio::time::sleep(slow).await;
    }
    let checked = browser::check(server.issuer(), &request);
    let (incoming, read) = read(server, request).await;
    let answer = match read.and(checked) {
        Ok(()) => {
            described::fetch(&listening, &incoming).await;
            server.answer(&incoming)
        }
        Err(answer) => server.refuse(&incoming, answer),
    };
    sent(answer)
}

/// Reads a request whole. One that cannot be read comes without its body.
async fn read(server: &Server, request: Request) -> (Incoming, Result<(), Outgoing>) {
    let (head, body) = request.into_parts();
    let late = |_| Outgoing::error(408, "invalid_request", "the body took longer than ten seconds");
    let long = |_| Outgoing::error(413, "invalid_request", "the body is longer than 256 KiB, or broke off");
    let read = tokio::time::timeout(MAX_WAIT, to_bytes(body, MAX_BODY)).await;
    let (body, read) = match read.map_err(late).and_then(|body| body.map_err(long)) {
        Ok(body) => (body.to_vec(), Ok(())),
        Err(answer) => (Vec::new(), Err(answer)),
    };
    let fields = head.headers.iter().map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()));
    let (path, query) = (head.uri.path(), head.uri.query().unwrap_or_default());
    let url = format!("{}{path}?{query}", server.issuer());
    (server.request(head.method.as_str(), &url, fields.collect(), body), read)
}

fn sent(answer: Outgoing) -> Response {
    let mut builder = Response::builder().status(answer.status);
    for (name, value) in &answer.fields {
        builder = builder.header(name, value);
    }
    builder.body(Body::from(answer.body)).unwrap_or_default()
}
