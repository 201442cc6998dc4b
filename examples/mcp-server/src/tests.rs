//! The application with `keybound-testing`, without sockets: what a test of a protected application looks like.

use std::error::Error;

use axum::Router;
use axum::body::to_bytes;
use axum::http::{Request, header::CONTENT_TYPE};
use keybound_testing::{TestClient, TestIssuer, TestToken};
use serde_json::{Value, json};

use crate::settings::{Keys, Settings};
use crate::{app, protect};

const RESOURCE: &str = "https://mcp.example.com/mcp";
const ISSUER: &str = "https://as.example.com";

type Tested = Result<(), Box<dyn Error + Send + Sync>>;

/// What production reads from the environment.
fn settings() -> Settings {
    let listen = "127.0.0.1:0".parse().expect("an address");
    Settings { listen, issuer: ISSUER.into(), keys: Keys::Published, resource: Some(RESOURCE.into()), nonces: true }
}

fn issuer() -> TestIssuer {
    TestIssuer::for_resource(RESOURCE).expect("a URL").named(ISSUER)
}

/// A call of a tool: the status, and the text of its answer.
async fn tool(
    client: &TestClient,
    app: &Router,
    name: &str,
    arguments: Value,
) -> Result<(u16, String), Box<dyn Error + Send + Sync>> {
    let params = json!({ "name": name, "arguments": arguments });
    let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
    let request = Request::post("/mcp").header(CONTENT_TYPE, "application/json").body(message.to_string())?;
    let response = client.call(app.clone(), request).await?;
    let status = response.status().as_u16();
    let answer: Value = serde_json::from_slice(&to_bytes(response.into_body(), 4096).await?).unwrap_or_default();
    Ok((status, answer["result"]["content"][0]["text"].as_str().unwrap_or_default().to_owned()))
}

#[tokio::test]
async fn tools_answer_a_client_and_no_thief() -> Tested {
    let issuer = issuer();
    let app = app(&issuer.trusted_by(protect(RESOURCE, settings())?)?.build()?);
    let alice = issuer.client(TestToken::of("alice").client_id("app"))?;

    assert_eq!(tool(&alice, &app, "echo", json!({ "text": "hello" })).await?, (200, "hello".into()));
    let (_, told) = tool(&alice, &app, "whoami", json!({})).await?;
    let who: Value = serde_json::from_str(&told)?;
    assert_eq!((who["subject"].as_str(), who["client_id"].as_str()), (Some("alice"), Some("app")));
    assert_eq!(who["thumbprint"], alice.thumbprint().to_string());

    assert_eq!(tool(&alice.thief()?, &app, "whoami", json!({})).await?.0, 401);
    issuer.clock().advance(3600);
    assert_eq!(tool(&alice, &app, "whoami", json!({})).await?.0, 401, "the token has expired");
    Ok(())
}

#[tokio::test]
async fn the_keys_are_found_from_the_metadata_on() -> Tested {
    let issuer = issuer();
    let builder = protect(RESOURCE, settings())?.transport(issuer.transport()?).clock(issuer.clock().reader());
    let alice = issuer.client(TestToken::of("alice"))?;
    assert_eq!(tool(&alice, &app(&builder.build()?), "echo", json!({ "text": "hello" })).await?.0, 200);
    Ok(())
}

#[tokio::test]
async fn without_nonces_the_first_request_is_answered() -> Tested {
    let issuer = issuer();
    let settings = Settings { nonces: false, ..settings() };
    let app = app(&issuer.trusted_by(protect(RESOURCE, settings)?)?.build()?);
    let alice = issuer.client(TestToken::of("alice"))?;
    let mut request = Request::post("/mcp").body(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#.to_owned())?;
    alice.sign(&mut request)?;
    let response = tower::ServiceExt::oneshot(app, request).await?;
    assert_eq!(response.status(), 200);
    Ok(())
}
