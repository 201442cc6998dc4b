//! Clients whose identifier is the URL of a document about them (Client ID Metadata Document).
//!
//! Anyone can name a URL here, so what is fetched is bounded: one document at a time, public addresses alone (and this machine's
//! while the server is for this machine), no redirects, and none again that failed a moment ago.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use keybound::http::form::Form;
use keybound::http::url::Url;
use keybound::json::Value;

use super::http::Incoming;
use super::register;
use super::state::State;

/// The longest document that is read, in bytes.
const MAX_LEN: usize = 8 * 1024;
/// For how long a document is waited for, the wait for one's turn included.
const MAX_WAIT: Duration = Duration::from_secs(5);
/// For how long a document is good, in seconds.
const LIFETIME: u64 = 300;
/// For how long one that could not be had is not asked for again, in seconds.
const FAILURE_LIFETIME: u64 = 10;
/// The longest identifier that is looked up, in bytes.
const MAX_URL_LEN: usize = 1_024;

/// Makes the client that a request names known, if its identifier is a URL. A document that cannot be had or is no good leaves
/// it unknown, which the request is then told.
pub(super) async fn fetch(state: &State, request: &Incoming) {
    if !["/authorize", "/par", "/token", "/device_authorization", "/revoke"].contains(&request.path.as_str()) {
        return;
    }
    let sent = if request.method == "GET" { request.query.as_bytes() } else { &request.body };
    let Ok(form) = Form::parse(sent) else { return };
    let Ok(Some(id)) = form.get("client_id") else { return };
    if is_identifier(id) {
        // Without a turn in time the client stays unknown.
        drop(tokio::time::timeout(MAX_WAIT, learn(state, id)).await);
    }
}

async fn learn(state: &State, id: &str) {
    let is_settled = || state.client(id).is_some() || state.kept().undescribed.get(id, state.now()).is_some();
    if is_settled() {
        return;
    }
    let _turn = state.describing.lock().await;
    if is_settled() {
        return;
    }
    let now = state.now();
    // Remembered before it is tried: a request that breaks off must not be tried again at once either. Without room for either
    // the client stays unknown.
    if state.kept().undescribed.insert(id, (), now.saturating_add(FAILURE_LIFETIME), now).is_err() {
        return;
    }
    let for_this_machine = state.options.listen.ip().is_loopback();
    let Some(document) = get(id, for_this_machine).await else { return };
    let Ok(client) = register::described(&document, id) else { return };
    let mut kept = state.kept();
    if kept.clients.insert(id, client, now.saturating_add(LIFETIME), now).is_ok() {
        kept.undescribed.take(id, now);
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

/// The document at `url`, without following redirects.
async fn get(url: &str, for_this_machine: bool) -> Option<Value> {
    let place = reqwest::Url::parse(url).ok()?;
    let (host, port) = (place.host_str()?, place.port_or_known_default()?);
    // Looked up once: a name that changes its address cannot lead elsewhere than was checked.
    let name = host.trim_start_matches('[').trim_end_matches(']');
    let addresses: Vec<SocketAddr> = tokio::net::lookup_host((name, port)).await.ok()?.collect();
    let names_this_machine = Url::parse(url).is_ok_and(|url| url.is_loopback());
    let is_permitted = |address: &SocketAddr| match names_this_machine {
        true => for_this_machine && address.ip().is_loopback(),
        false => is_public(address.ip()),
    };
    if addresses.is_empty() || !addresses.iter().all(is_permitted) {
        return None;
    }
    let builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy();
    let client = builder.resolve_to_addrs(host, &addresses).build().ok()?;
    let mut response = client.get(place.clone()).header("Accept", "application/json").send().await.ok()?;
    let kind = response.headers().get("content-type")?.to_str().ok()?.split(';').next()?.trim().to_ascii_lowercase();
    if response.status() != 200 || !(kind == "application/json" || kind.ends_with("+json")) {
        return None;
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.ok()? {
        if body.len() + chunk.len() > MAX_LEN {
            return None;
        }
        body.extend_from_slice(&chunk);
    }
    Value::parse_object(&body).ok()
}

/// Whether an address is one of the internet's, rather than of a machine, a network or a purpose (IANA's special registries).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(mapped) => is_public_v4(mapped),
            None => is_public_v6(address),
        },
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let is_special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        // This network, multicast, reserved, broadcast.
        || a == 0
        || a >= 224
        // Carriers' networks (RFC 6598), benchmarks (RFC 2544), protocol assignments, relays to IPv6.
        || (a == 100 && (64..128).contains(&b))
        || (a == 198 && (b == 18 || b == 19))
        || (a, b, c) == (192, 0, 0)
        || (a, b, c) == (192, 88, 99);
    !is_special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    let is_global = (0x2000..0x4000).contains(&a);
    // Protocol assignments with Teredo, documentation, 6to4, documentation.
    let is_special = (a == 0x2001 && (b < 0x200 || b == 0xdb8)) || a == 0x2002 || (a == 0x3fff && b < 0x1000);
    is_global && !is_special
}

#[cfg(test)]
mod tests {
    use super::{get, is_identifier, is_public};

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

    #[test]
    fn private_addresses_are_not_public() {
        let addresses = "0.0.0.0 0.1.2.3 10.0.0.1 100.64.0.1 127.0.0.1 169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.8 \
            192.0.2.1 192.88.99.1 192.168.1.1 198.18.0.1 198.51.100.1 203.0.113.1 224.0.0.1 240.0.0.1 255.255.255.255 :: ::1 \
            ::ffff:10.0.0.1 ::ffff:127.0.0.1 ::7f00:1 64:ff9b::a00:1 100::1 2001::1 2001:db8::1 2002:a00:1:: 3fff::1 fc00::1 \
            fd12::1 fe80::1 fec0::1 ff02::1";
        for address in addresses.split_whitespace() {
            assert!(!is_public(address.parse().expect(address)), "{address}");
        }
        for address in ["1.1.1.1", "100.128.0.1", "172.32.0.1", "192.0.1.1", "2606:4700::1111", "2001:4860:4860::8888"]
        {
            assert!(is_public(address.parse().expect(address)), "{address}");
        }
    }

    /// A listener on loopback, reached under names and addresses that are not this machine's own, hears of none of it.
    #[tokio::test]
    async fn loopback_is_reached_by_a_server_for_this_machine_alone() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("a listener that does not wait");
        let port = listener.local_addr().expect("an address").port();
        assert!(get(&format!("http://127.0.0.1:{port}/c"), false).await.is_none());
        for host in ["127.0.0.1.", "0.0.0.0", "[::ffff:127.0.0.1]", "[::]"] {
            assert!(get(&format!("https://{host}:{port}/c"), true).await.is_none(), "{host}");
        }
        assert!(listener.accept().is_err(), "something was fetched");
    }
}
