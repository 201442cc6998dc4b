//! `htu`: is the proof for this URI? Most often it is, and the server does not know its own address.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::Case;
use super::shown::bare;
use crate::json::Text;
use crate::verify::explain::Failure;
use crate::verify::rejection::Rejection;

pub(super) fn diagnose(case: &Case<'_>) -> Failure {
    let htu = case.claims.htu.value().map(Text::to_cow).unwrap_or_default();
    let target = case.presentation.target.as_str();
    let valid = case.presentation.target.equals(&htu);
    let failure = case.general().expecting(format!("htu {}", case.shown.uri(target, true)));
    match (case.rejection, valid) {
        (Rejection::HtuNotBare, _) => failure.finding("an htu with a query or fragment"),
        (Rejection::HtuMalformed, Err(error)) => {
            malformed(failure.finding(format!("htu {}: {error}", case.shown.uri(&htu, false))), &htu)
        }
        _ => {
            let failure = failure.finding(format!("htu {}", case.shown.uri(&htu, true)));
            mismatch(case, failure, &htu, target)
        }
    }
}

fn malformed(failure: Failure, htu: &str) -> Failure {
    let scheme = htu.split_once("://").map(|(scheme, _)| scheme);
    let is_web =
        scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https"));
    if htu.is_empty() {
        failure.because("htu is empty: the URL was not known where the proof was made.")
    } else if htu.trim() != htu {
        failure.because("htu has white space around the URI.").fixed_by("Trim htu.")
    } else if htu.starts_with('/') && !htu.starts_with("//") {
        failure
            .because("htu is relative: it holds only the path.")
            .fixed_by("Put scheme and host in front, for example https://api.example.com/items.")
    } else if is_web && bare(htu).contains('@') {
        failure
            .because("htu holds a user name or password, which are refused.")
            .fixed_by("Remove everything between // and @, and replace the password: it was sent in a proof.")
    } else if let (Some(_), false) = (scheme, is_web) {
        failure
            .because("htu has another scheme than http and https.")
            .fixed_by("Set htu to the http or https URI that is requested; for a WebSocket that of its handshake.")
    } else if scheme.is_none() {
        failure.because("htu lacks its scheme.").fixed_by("Put https:// in front.")
    } else {
        failure.because("htu has characters or a port that a URI must not have, or was not percent-encoded.")
    }
}

/// A URI in parts, read leniently: it is known to be valid, and nothing is decided by it.
struct Parts<'a> {
    scheme: String,
    host: String,
    port: &'a str,
    path: &'a str,
}

impl<'a> Parts<'a> {
    fn of(uri: &'a str) -> Self {
        let (scheme, rest) = bare(uri).split_once("://").unwrap_or_default();
        let (authority, path) = match rest.find('/').and_then(|slash| rest.split_at_checked(slash)) {
            Some((authority, path)) => (authority, path),
            None => (rest, "/"),
        };
        let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        // The colons of an IPv6 address stand before its bracket.
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, port),
            _ => (authority, ""),
        };
        let scheme = scheme.to_ascii_lowercase();
        let port = match (&*scheme, port) {
            ("https", "") => "443",
            ("http", "") => "80",
            _ => port,
        };
        Self { scheme, host: host.to_ascii_lowercase(), port, path }
    }

    fn is_internal(&self) -> bool {
        let host = &*self.host;
        let is_private_16 = || {
            let second = host.strip_prefix("172.").and_then(|rest| rest.split('.').next()?.parse::<u8>().ok());
            second.is_some_and(|second| (16..=31).contains(&second))
        };
        let is_address = host.starts_with('[') || host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        let ends = [".local", ".internal", ".svc", ".lan", ".localhost", ".docker"];
        let starts = ["127.", "10.", "192.168.", "169.254.", "[", "0.0.0.0"];
        !host.contains('.')
            || ends.iter().any(|end| host.ends_with(end))
            || (is_address && starts.iter().any(|start| host.starts_with(start)))
            || (is_address && is_private_16())
    }
}

fn mismatch(case: &Case<'_>, failure: Failure, htu: &str, target: &str) -> Failure {
    let (claimed, own) = (Parts::of(htu), Parts::of(target));
    const CONFIGURE: &str = "Operators: configure the public origin that clients use as the target, or the trusted proxy whose forwarded header names it.";
    if claimed.host != own.host {
        return if own.is_internal() {
            failure
                .because("The hosts differ, and the server's own looks like an internal name: it stands behind a proxy and does not know its public origin.")
                .fixed_by(CONFIGURE)
        } else if claimed.is_internal() {
            failure
                .because("The hosts differ: the client uses an internal name, the server expects its public one.")
                .fixed_by(
                    "Request the server by its public name, or let operators configure the internal origin as well.",
                )
        } else {
            failure
                .because("The hosts differ: the proof was made for another server, or a proxy changes the host and the server does not know its public origin.")
                .fixed_by(format!("Make the proof for the host that is requested. {CONFIGURE}"))
        };
    }
    if claimed.scheme != own.scheme {
        return if claimed.scheme == "https" {
            failure
                .because("The scheme differs: the client uses https, and a proxy in front terminates TLS, so that the server sees http.")
                .fixed_by(CONFIGURE)
        } else {
            failure
                .because("The scheme differs: htu says http, and the server is reached by https.")
                .fixed_by("Use the https URL in the client; if a redirect leads from http to https, start at https.")
        };
    }
    if claimed.port != own.port {
        return failure
            .because(format!(
                "The port differs: {} in htu, {} at the server. A proxy or container maps one to the other, or the client left the port out.",
                case.shown.peer(claimed.port),
                case.shown.peer(own.port)
            ))
            .fixed_by(format!("Put the port that is requested into htu. {CONFIGURE}"));
    }
    path(case, failure, claimed.path, own.path)
}

fn path(case: &Case<'_>, failure: Failure, claimed: &str, own: &str) -> Failure {
    if claimed == own {
        return failure;
    }
    if claimed.trim_end_matches('/') == own.trim_end_matches('/') {
        return failure.because("The paths differ by a trailing slash only, which makes them two URIs.").fixed_by(
            "Write htu exactly as the URL is requested. If a redirect adds the slash, request the final URL.",
        );
    }
    if let Some(prefix) = claimed.strip_suffix(own).filter(|_| own.len() > 1) {
        return failure
            .because(format!(
                "The path differs by the prefix {}: a proxy strips it before it passes the request on.",
                case.shown.peer(prefix)
            ))
            .fixed_by("Operators: configure this path prefix together with the public origin.");
    }
    if let Some(prefix) = own.strip_suffix(claimed).filter(|_| claimed.len() > 1) {
        return failure
            .because(format!("The path differs by the prefix {}: htu was made without it, or a proxy adds it.", case.shown.peer(prefix)))
            .fixed_by("Put the whole path of the URL into htu. Operators: if a proxy adds the prefix, configure the path that clients use.");
    }
    if claimed.eq_ignore_ascii_case(own) {
        return failure
            .because("The paths differ by upper and lower case, which count in paths.")
            .fixed_by("Write htu exactly as the URL is requested.");
    }
    let (claimed_once, own_once) = (percent_decode(claimed.as_bytes()), percent_decode(own.as_bytes()));
    if claimed_once == own_once {
        return failure
            .because("The paths differ by percent-encoding only: one side encodes a character (such as / as %2F) that the other leaves, or a proxy decodes it.")
            .fixed_by("Build htu from the very text of the URL that is sent. Operators: pass the raw, undecoded path on.");
    }
    if percent_decode(&claimed_once) == own_once || claimed_once == percent_decode(&own_once) {
        return failure
            .because("One side was percent-encoded twice (%25 in place of %).")
            .fixed_by("Encode the path once and use the same text for htu and for the request.");
    }
    failure
        .because("The paths differ: the proof was made for another endpoint, or a proxy rewrites the path.")
        .fixed_by("Make one proof for each request, from the URL that is requested. Operators: configure the path prefix that the proxy changes.")
}

/// Percent-decodes once, for comparing in explanations only: the check itself never decodes what is reserved.
fn percent_decode(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, tail)) = rest.split_first() {
        let digit = |position: usize| char::from(*tail.get(position)?).to_digit(16);
        match (*first, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                out.push(u8::try_from(high << 4 | low).unwrap_or(0));
                rest = tail.get(2..).unwrap_or_default();
            }
            (byte, ..) => {
                out.push(byte);
                rest = tail;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{Parts, malformed};
    use crate::Rejection;
    use crate::verify::explain::Failure;

    #[test]
    fn malformed_uris_are_told_apart() {
        for (htu, fact) in [
            ("", "empty"),
            (" https://h.example/", "white space"),
            ("/items", "relative"),
            ("h.example/items", "lacks its scheme"),
            ("//h.example/items", "lacks its scheme"),
            ("wss://h.example/items", "another scheme"),
            ("https://u:p@h.example/", "user name or password"),
            ("https://h.example/a b", "characters"),
        ] {
            let cause = malformed(Failure::general(Rejection::HtuMalformed), htu).cause;
            assert!(cause.contains(fact), "{htu}: {cause}");
        }
    }

    #[test]
    fn internal_hosts_are_recognised() {
        for (uri, internal) in [
            ("http://localhost:3000/", true),
            ("http://[::1]:8080/", true),
            ("http://172.20.0.5/", true),
            ("http://172.200.0.5/", false),
            ("http://orders.default.svc/", true),
            ("https://api.example.com/", false),
            ("https://10.example.com.example/", false),
        ] {
            assert_eq!(Parts::of(uri).is_internal(), internal, "{uri}");
        }
        let parts = Parts::of("https://[2001:db8::1]/x");
        assert_eq!((&*parts.host, parts.port, parts.path), ("[2001:db8::1]", "443", "/x"));
    }
}
