//! Fetching an issuer's key set.

use super::JwkSet;
use crate::crypto::SecureRandom;
use crate::flow::Io;
use crate::flow::repeat::After;
use crate::flow::step::Fetching;
use crate::http::message::Request;
use crate::http::url::Url;
use crate::oauth::{AnswerDefect, Endpoint, FlowError, send};

/// Fetches the key set at `url`, with `timeout` seconds for each answer; again where the network failed.
pub(crate) async fn fetch_set(
    io: &Io,
    random: &'static dyn SecureRandom,
    url: &Url,
    timeout: u64,
) -> Result<JwkSet, FlowError> {
    const AT: Endpoint = Endpoint::Keys;
    let request = Request::new("GET", url.as_str()).with_field("Accept", "application/json");
    let wanted = Fetching { request, max_body: Some(JwkSet::MAX_LEN), timeout: Some(timeout) };
    let response = send(io, random, wanted, After::AnyFailure).await?;
    if response.status != 200 {
        return Err(FlowError::Answer(AT, AnswerDefect::Status(response.status)));
    }
    JwkSet::parse(&response.body).map_err(|_| FlowError::Answer(AT, AnswerDefect::NotJson))
}
