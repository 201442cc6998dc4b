//! A client of the Model Context Protocol: logs in where the server asks for it, lists the tools and calls each once.
//!
//! ```console
//! $ cargo run -p keybound-example-mcp-client -- https://mcp.example.com/mcp
//! ```

mod login;
mod mcp;

use std::process::ExitCode;

use serde_json::{Map, Value, json};

#[tokio::main]
async fn main() -> ExitCode {
    let Some(url) = std::env::args().nth(1) else {
        eprintln!("usage: keybound-example-mcp-client URL");
        return ExitCode::from(2);
    };
    match run(&url).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(url: &str) -> Result<(), mcp::Failure> {
    let mut server = mcp::Server::connect(url).await?;
    println!("connected to {}", server.name());
    let tools = server.request("tools/list", json!({})).await?;
    for tool in tools["tools"].as_array().into_iter().flatten() {
        let name = tool["name"].as_str().unwrap_or_default();
        let answer = server.request("tools/call", json!({ "name": name, "arguments": arguments(tool) })).await?;
        println!("{name}: {}", answer["content"]);
    }
    Ok(())
}

/// Something that fits the tool's schema: an example of each required argument.
fn arguments(tool: &Value) -> Value {
    let schema = &tool["inputSchema"];
    let mut arguments = Map::new();
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        let example = match schema["properties"][name]["type"].as_str() {
            Some("number" | "integer") => json!(1),
            Some("boolean") => json!(true),
            Some("array") => json!([]),
            Some("object") => json!({}),
            _ => json!("example"),
        };
        arguments.insert(name.into(), example);
    }
    Value::Object(arguments)
}
