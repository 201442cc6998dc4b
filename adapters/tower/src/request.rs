//! What is read of a request: its raw target, its peer, its fields.

use std::borrow::Cow;
use std::net::IpAddr;

use http::Version;
use http::request::Parts;
use keybound::TargetUri;
use keybound::server::source::{RequestHead, TargetError, TargetSource};

/// The address of the peer that the connection was accepted from, as an extension of the request, for servers behind
/// trusted proxies. With axum, `into_make_service_with_connect_info::<SocketAddr>()` does the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PeerAddress(pub IpAddr);

/// The SHA-256 hash of the client's certificate (DER), as an extension of the request, for tokens that are bound to it
/// (RFC 8705).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClientCertificate(pub [u8; 32]);

/// The template of the route, such as `/items/{id}`, as an extension of the request, for audit records. With axum, and a layer on its router,
/// the path that a route was registered with is taken without it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RouteTemplate(pub Cow<'static, str>);

/// All fields, one element for each field line.
pub(crate) fn fields(parts: &Parts) -> Vec<(&str, &[u8])> {
    parts.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect()
}

/// The target, from configuration or trusted proxies.
pub(crate) fn target(source: &TargetSource, parts: &Parts, fields: &[(&str, &[u8])]) -> Result<TargetUri, TargetError> {
    let raw = raw_target(parts);
    source.resolve(&RequestHead { peer: peer(parts), raw_target: raw.as_bytes(), fields })
}

/// The address that it came from: what a trusted proxy vouches for, else the connection's peer.
pub(crate) fn client(source: &TargetSource, parts: &Parts, fields: &[(&str, &[u8])]) -> Option<IpAddr> {
    source.client(&RequestHead { peer: peer(parts), raw_target: &[], fields })
}

/// The request target as received. A router that is nested sees what is left of it, so the original is asked for.
fn raw_target(parts: &Parts) -> String {
    #[cfg(feature = "axum")]
    let uri = parts.extensions.get::<axum::extract::OriginalUri>().map_or(&parts.uri, |original| &original.0);
    #[cfg(not(feature = "axum"))]
    let uri = &parts.uri;
    // From HTTP/2 on, scheme and authority are what the client put into `:scheme` and `:authority`: as good as `Host`.
    if parts.version < Version::HTTP_2 && uri.scheme().is_some() {
        return uri.to_string();
    }
    uri.path_and_query().map_or_else(|| uri.to_string(), ToString::to_string)
}

/// The template of the route, if it is known.
pub(crate) fn route(parts: &Parts) -> Option<&str> {
    if let Some(RouteTemplate(template)) = parts.extensions.get() {
        return Some(template);
    }
    #[cfg(feature = "axum")]
    return parts.extensions.get::<axum::extract::MatchedPath>().map(axum::extract::MatchedPath::as_str);
    #[cfg(not(feature = "axum"))]
    None
}

pub(crate) fn peer(parts: &Parts) -> Option<IpAddr> {
    if let Some(PeerAddress(address)) = parts.extensions.get() {
        return Some(*address);
    }
    #[cfg(feature = "axum")]
    if let Some(axum::extract::ConnectInfo(address)) =
        parts.extensions.get::<axum::extract::ConnectInfo<std::net::SocketAddr>>()
    {
        return Some(address.ip());
    }
    None
}
