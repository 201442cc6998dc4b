//! The tools: one that repeats what it is told, one that says who asks.

use keybound_tower::Principal;
use serde_json::{Value, json};

use crate::mcp::Fault;

/// What the tools are called and what they take.
pub(crate) fn list() -> Value {
    json!([
        {
            "name": "echo",
            "description": "Repeats a text",
            "inputSchema": {
                "type": "object",
                "properties": { "text": { "type": "string", "description": "the text" } },
                "required": ["text"],
            },
        },
        {
            "name": "whoami",
            "description": "Says whom the request is attributed to, and the thumbprint of the key that the token is bound to",
            "inputSchema": { "type": "object" },
        },
    ])
}

/// Calls the tool that `params` names.
pub(crate) fn call(params: &Value, principal: &Principal) -> Result<Value, Fault> {
    let argument = |name: &str| params.get("arguments").and_then(|arguments| arguments.get(name));
    let text = match params.get("name").and_then(Value::as_str) {
        Some("echo") => argument("text").and_then(Value::as_str).ok_or(Fault::PARAMS)?.to_owned(),
        Some("whoami") => whoami(principal).to_string(),
        Some(_) => return Err(Fault::TOOL),
        None => return Err(Fault::PARAMS),
    };
    Ok(json!({ "content": [{ "type": "text", "text": text }] }))
}

fn whoami(principal: &Principal) -> Value {
    json!({
        "subject": principal.subject(),
        "client_id": principal.client_id(),
        "scopes": principal.scopes().collect::<Vec<_>>(),
        "thumbprint": principal.thumbprint().map(|thumbprint| thumbprint.to_string()),
    })
}
