//! An MCP server (streamable HTTP) whose tools answer only to DPoP-bound tokens. See `README.md` for how to start it.

mod mcp;
mod settings;
#[cfg(test)]
mod tests;
mod tools;

use std::error::Error;

use axum::Router;
use axum::routing::post;
use keybound::{Misuse, Policy};
use keybound_tower::{Builder, Protection};
use settings::{Keys, Settings};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let settings = Settings::from_env()?;
    let listener = TcpListener::bind(settings.listen).await?;
    let address = listener.local_addr()?;
    let resource = settings.resource.clone().unwrap_or_else(|| format!("http://{address}/mcp"));

    let app = app(&protect(&resource, settings)?.build()?);
    println!("listening on http://{address}/mcp as {resource}");
    axum::serve(listener, app).await?;
    Ok(())
}

/// The application behind its protection, with the metadata that tells clients where tokens come from.
fn app(protection: &Protection) -> Router {
    Router::new().route("/mcp", post(mcp::answer)).layer(protection.layer()).merge(protection.metadata_route())
}

/// Describes what stands in front of the tools.
fn protect(resource: &str, settings: Settings) -> Result<Builder, Misuse> {
    let builder = Protection::of(resource)?.proofs(Policy::mcp());
    let builder = match settings.keys {
        Keys::Given(keys) => builder.issuer_with_keys(&settings.issuer, keys)?,
        Keys::Published => builder.issuer(&settings.issuer)?,
    };
    if settings.nonces {
        return Ok(builder);
    }
    // Without nonces a server cannot vouch for the minute before it started. This one keeps nothing worth a replay, and
    // trying it should not mean waiting.
    Ok(builder.without_nonces().danger_first_start())
}
