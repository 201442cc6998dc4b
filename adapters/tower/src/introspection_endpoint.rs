//! Introspection over HTTPS (RFC 7662 section 2), as a client with a secret.

use keybound::http::form::Form;
use keybound::oauth::Secret;
use keybound::replay::BoxFuture;
use keybound::server::resource::MAX_ANSWER_LEN;

use crate::HostError;
use crate::http_client::Http;
use crate::introspection::Introspection;

/// Asks the introspection endpoint of an authorization server with reqwest: `https` with certificates checked, or `http` on
/// loopback; redirects are not followed.
///
/// ```
/// use keybound_tower::{IntrospectionEndpoint, Protection};
/// let endpoint = IntrospectionEndpoint::new("https://as.example.com/introspect", "api", "its-secret");
/// let protection = Protection::of("https://api.example.com")?.introspection(endpoint).build()?;
/// # Ok::<(), keybound::Misuse>(())
/// ```
#[derive(Clone, Debug)]
pub struct IntrospectionEndpoint {
    http: Http,
    url: String,
    client_id: String,
    secret: Secret,
}

impl IntrospectionEndpoint {
    /// The endpoint at `url`, which knows this resource by `client_id` and `secret` (`client_secret_basic`).
    pub fn new(url: &str, client_id: &str, secret: &str) -> Self {
        Self { http: Http::default(), url: url.into(), client_id: client_id.into(), secret: Secret::new(secret) }
    }

    async fn ask(&self, token: &str) -> Result<Vec<u8>, HostError> {
        let mut form = Form::new();
        form.push("token", token);
        form.push("token_type_hint", "access_token");
        // RFC 6749 section 2.3.1: both are encoded as in a form before they are joined.
        let (id, secret) = (encoded(&self.client_id), encoded(self.secret.expose()));
        let prepare = |client: &reqwest::Client| {
            let request = client.post(&self.url).basic_auth(id, Some(secret));
            request.header("content-type", "application/x-www-form-urlencoded").body(form.encode())
        };
        self.http.send(&self.url, MAX_ANSWER_LEN, prepare).await
    }
}

impl Introspection for IntrospectionEndpoint {
    fn introspect<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Result<Vec<u8>, HostError>> {
        Box::pin(self.ask(token))
    }
}

fn encoded(text: &str) -> String {
    let mut form = Form::new();
    form.push("", text);
    form.encode().split_off(1)
}
