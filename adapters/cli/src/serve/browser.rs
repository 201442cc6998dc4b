//! What protects the user's browser: pages of other origins may neither read nor send what the user does here.

use std::net::IpAddr;

use axum::extract::Request;
use axum::http::{HeaderName, header};
use keybound_serve::Outgoing;

/// Paths that take what the user decided on a page.
const DECISIONS: [&str; 2] = ["/decide", "/device"];

/// Refuses what another page makes the browser send.
///
/// # Errors
/// The answer.
pub(super) fn check(issuer: &str, request: &Request) -> Result<(), Outgoing> {
    // The host of an absolute request target counts instead of `Host` (RFC 9112 section 3.2.2).
    let authority = request.uri().authority().map(|authority| authority.as_str());
    // A name that its owner points here would make another page one of this origin (DNS rebinding).
    if !is_ours(issuer, authority.or(text(request, header::HOST))) {
        return Err(Outgoing::error(421, "invalid_request", "Host is not the address that this server listens on"));
    }
    let decides = request.method() == "POST" && DECISIONS.contains(&request.uri().path());
    if decides && text(request, header::ORIGIN) != Some(issuer) {
        return Err(Outgoing::error(403, "invalid_request", "decisions are sent from this server's own pages alone"));
    }
    Ok(())
}

/// The value of a field that occurs once and is text.
fn text(request: &Request, name: HeaderName) -> Option<&str> {
    let mut values = request.headers().get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => std::str::from_utf8(value.as_bytes()).ok(),
        _ => None,
    }
}

/// Whether a host with its port is where the issuer listens: its address, or `localhost` for one on loopback. A server on all
/// addresses takes any address, and still no name.
fn is_ours(issuer: &str, host: Option<&str>) -> bool {
    let (Some(host), Some(own)) = (host, issuer.strip_prefix("http://")) else { return false };
    let (Some((name, port)), Some((address, own_port))) = (split(host), split(own)) else { return false };
    let address_of = |text: &str| text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok();
    let Some(listening) = address_of(address) else { return false };
    port == own_port
        && match address_of(name) {
            Some(named) => named == listening || listening.is_unspecified(),
            None => name.eq_ignore_ascii_case("localhost") && (listening.is_loopback() || listening.is_unspecified()),
        }
}

/// Host and port; 80 if it names none.
fn split(authority: &str) -> Option<(&str, u16)> {
    match authority.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => Some((name, port.parse().ok()?)),
        _ => Some((authority, 80)),
    }
}

#[cfg(test)]
mod tests {
    use super::is_ours;

    #[test]
    fn a_host_is_the_listeners_address() {
        let loopback = "http://127.0.0.1:9449";
        for host in ["127.0.0.1:9449", "localhost:9449", "LocalHost:9449"] {
            assert!(is_ours(loopback, Some(host)), "{host}");
        }
        for host in [
            "evil.example:9449",
            "127.0.0.1",
            "127.0.0.1:80",
            "127.0.0.2:9449",
            "localhost.evil.example:9449",
            "",
            ":9449",
        ] {
            assert!(!is_ours(loopback, Some(host)), "{host}");
        }
        assert!(!is_ours(loopback, None));
        assert!(is_ours("http://[::1]:9449", Some("[::1]:9449")) && is_ours("http://127.0.0.1:80", Some("127.0.0.1")));
        assert!(is_ours("http://0.0.0.0:9449", Some("192.168.0.7:9449")));
        assert!(!is_ours("http://0.0.0.0:9449", Some("evil.example:9449")));
        assert!(!is_ours("http://192.168.0.7:9449", Some("localhost:9449")));
    }
}
