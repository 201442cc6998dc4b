//! Clients whose identifier is the URL of a document about them (Client ID Metadata Document). The host fetches it.

use keybound::http::form::Form;
use keybound::http::url::Url;
use keybound::json::Value;

use super::http::Incoming;
use super::{Server, register};

/// For how long a document is good, in seconds.
const LIFETIME: u64 = 300;
/// For how long one that could not be had is not asked for again, in seconds.
const FAILURE_LIFETIME: u64 = 10;
/// The longest identifier that is looked up, in bytes.
const MAX_URL_LEN: usize = 1_024;

impl Server {
    /// The URL of the document about the client that sends a request, if it has to be fetched. Without it the client is unknown.
    pub fn wanted_document(&self, request: &Incoming) -> Option<String> {
        if !["/authorize", "/par", "/token", "/device_authorization", "/revoke"].contains(&request.endpoint()) {
            return None;
        }
        let sent = if request.method == "GET" { request.query.as_bytes() } else { &request.body };
        let form = Form::parse(sent).ok()?;
        let id = form.get("client_id").ok()??;
        (is_identifier(id) && self.wants_document(id)).then(|| id.to_owned())
    }

    fn wants_document(&self, id: &str) -> bool {
        let state = &self.0;
        state.client(id).is_none() && state.kept().undescribed.get(id, state.now()).is_none()
    }

    /// Begins to fetch a document, if it still has to be. It is remembered before it is tried: a request that breaks off must not be tried
    /// again at once either. Without room for that the client stays unknown.
    pub fn begin_document(&self, id: &str) -> bool {
        let state = &self.0;
        let now = state.now();
        self.wants_document(id)
            && state.kept().undescribed.insert(id, (), now.saturating_add(FAILURE_LIFETIME), now).is_ok()
    }

    /// Makes a client known by its document. One that is no good leaves it unknown, which its request is then told.
    pub fn take_document(&self, id: &str, document: &Value) {
        let Ok(client) = register::described(document, id) else { return };
        let state = &self.0;
        let now = state.now();
        let mut kept = state.kept();
        if kept.clients.insert(id, client, now.saturating_add(LIFETIME), now).is_ok() {
            kept.undescribed.take(id, now);
        }
    }
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
