//! The Model Context Protocol over streamable HTTP, as far as a server without sessions and streams needs it.

use axum::body::Bytes;
use axum::http::header::{CONTENT_TYPE, HeaderMap, ORIGIN};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use keybound_tower::Principal;
use serde_json::{Value, json};

use crate::tools;

/// The versions of the protocol that are spoken, the newest first.
const VERSIONS: [&str; 3] = ["2025-11-25", "2025-06-18", "2025-03-26"];

/// Why a request is answered with an error (JSON-RPC 2.0 section 5.1).
pub(crate) struct Fault {
    code: i32,
    message: &'static str,
}

impl Fault {
    pub(crate) const PARAMS: Self = Self { code: -32602, message: "invalid params" };
    pub(crate) const TOOL: Self = Self { code: -32602, message: "unknown tool" };
    const METHOD: Self = Self { code: -32601, message: "method not found" };
    const REQUEST: Self = Self { code: -32600, message: "invalid request" };
    const PARSE: Self = Self { code: -32700, message: "parse error" };
}

/// Answers `POST /mcp`: one message, whose principal is known.
pub(crate) async fn answer(principal: Principal, headers: HeaderMap, body: Bytes) -> Response {
    if !is_own_origin(&headers) {
        return StatusCode::FORBIDDEN.into_response();
    }
    let Ok(message) = serde_json::from_slice::<Value>(&body) else {
        return reply(StatusCode::BAD_REQUEST, Value::Null, Err(Fault::PARSE));
    };
    let id = message.get("id").filter(|id| id.is_string() || id.is_number());
    match (message.get("method").and_then(Value::as_str), id) {
        _ if message.get("jsonrpc") != Some(&json!("2.0")) => {
            reply(StatusCode::BAD_REQUEST, Value::Null, Err(Fault::REQUEST))
        }
        (Some(method), Some(id)) => {
            let params = message.get("params").unwrap_or(&Value::Null);
            reply(StatusCode::OK, id.clone(), call(method, params, &principal))
        }
        // Notifications, and responses to requests that this server never sends, are taken note of.
        _ if message.get("id").is_none() || message.get("result").is_some() || message.get("error").is_some() => {
            StatusCode::ACCEPTED.into_response()
        }
        _ => reply(StatusCode::BAD_REQUEST, Value::Null, Err(Fault::REQUEST)),
    }
}

fn call(method: &str, params: &Value, principal: &Principal) -> Result<Value, Fault> {
    match method {
        "initialize" => Ok(initialize(params)),
        "ping" => Ok(json!({})),
        "tools/list" => Ok(json!({ "tools": tools::list() })),
        "tools/call" => tools::call(params, principal),
        _ => Err(Fault::METHOD),
    }
}

/// Agrees on a version: the client's if it is spoken here, else the newest.
fn initialize(params: &Value) -> Value {
    let wanted = params.get("protocolVersion").and_then(Value::as_str).unwrap_or_default();
    let version = VERSIONS.iter().find(|version| **version == wanted).unwrap_or(&VERSIONS[0]);
    json!({
        "protocolVersion": version,
        "capabilities": { "tools": {} },
        "serverInfo": { "name": "keybound-example", "version": env!("CARGO_PKG_VERSION") },
    })
}

fn reply(status: StatusCode, id: Value, result: Result<Value, Fault>) -> Response {
    let body = match result {
        Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
        Err(Fault { code, message }) => {
            json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": message } })
        }
    };
    (status, [(CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

/// Whether no browser sent the request for a page of elsewhere: the protocol asks servers to check, against DNS rebinding.
fn is_own_origin(headers: &HeaderMap) -> bool {
    headers.get_all(ORIGIN).iter().all(|origin| {
        let uri = origin.to_str().ok().and_then(|origin| origin.parse::<Uri>().ok());
        let host = uri.as_ref().and_then(Uri::host).unwrap_or_default();
        matches!(host, "localhost" | "127.0.0.1" | "[::1]")
    })
}
