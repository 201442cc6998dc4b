//! Clients whose identifier is the URL of a document about them (Client ID Metadata Document).

use std::time::Duration;

use keybound::http::form::Form;
use keybound::http::url::Url;
use keybound::json::Value;

use super::client;
use super::http::Incoming;
use super::register;
use super::state::State;

/// The longest document that is read, in bytes.
const MAX_LEN: usize = 8 * 1024;
/// For how long a document is waited for.
const MAX_WAIT: Duration = Duration::from_secs(5);
/// For how long a document is good, in seconds.
const LIFETIME: u64 = 300;
/// The longest identifier that is looked up, in bytes.
const MAX_URL_LEN: usize = 1_024;

/// Makes the client that a request names known, if its identifier is a URL. A document that cannot be had or is no good leaves
/// it unknown, which the request is then told.
pub(super) async fn fetch(state: &State, request: &Incoming) {
    if !["/authorize", "/par", "/token", "/device_authorization", "/revoke"].contains(&request.path.as_str()) {
        return;
    }
    let sent = if request.method == "GET" { request.query.as_bytes() } else { &request.body };
    let Ok(form) = Form::parse(sent) else { return };
    let Ok(Some(id)) = form.get("client_id") else { return };
    if !is_identifier(id) || client::find(state, id).is_some() {
        return;
    }
    let Some(document) = tokio::time::timeout(MAX_WAIT, get(id)).await.ok().flatten() else { return };
    let Ok(client) = register::described(&document, id) else { return };
    let now = state.now();
    // Without room the client stays unknown.
    let _ = state.kept().clients.insert(id, client, now.saturating_add(LIFETIME), now);
}

/// Whether an identifier is a URL with a path, as such identifiers are; plain http is for this machine alone.
fn is_identifier(id: &str) -> bool {
    let Ok(url) = Url::parse(id) else { return false };
    let plain = id.len() <= MAX_URL_LEN && !id.contains(['#', '@']) && url.query().is_none();
    plain
        && url.path().len() > 1
        && !url.path().split('/').any(|segment| [".", ".."].contains(&segment))
        && (url.is_https() || url.is_loopback())
}

/// The document at `url`, without following redirects.
async fn get(url: &str) -> Option<Value> {
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().ok()?;
    let mut response = client.get(url).header("Accept", "application/json").send().await.ok()?;
    let kind = response.headers().get("content-type")?.to_str().ok()?.split(';').next()?.trim().to_ascii_lowercase();
    if response.status() != 200 || !(kind == "application/json" || kind.ends_with("+json")) {
        return None;
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.ok()? {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_LEN {
            return None;
        }
    }
    Value::parse_object(&body).ok()
}

#[cfg(test)]
mod tests {
    use super::is_identifier;

    #[test]
    fn identifiers_are_urls_with_a_path() {
        for id in ["https://app.example/client.json", "http://127.0.0.1:80/c"] {
            assert!(is_identifier(id), "{id}");
        }
        for id in [
            "keybound-demo",
            "https://app.example",
            "https://app.example/",
            "http://app.example/client.json",
            "https://u@app.example/client.json",
            "https://app.example/client.json#x",
            "https://app.example/client.json?x",
            "https://app.example/a/../client.json",
        ] {
            assert!(!is_identifier(id), "{id}");
        }
    }
}
