//! Clients whose identifier is the URL of a document about them (Client ID Metadata Document).
//!
//! Anyone can name a URL here, so what is fetched is bounded: one document at a time, public addresses alone (and this machine's
//! while the server is for this machine), no redirects, and none again that failed a moment ago.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use keybound::http::url::Url;
use keybound::json::Value;
use keybound_serve::Incoming;

use super::Listening;

/// The longest document that is read, in bytes.
const MAX_LEN: usize = 8 * 1024;
/// For how long a document is waited for, the wait for one's turn included.
const MAX_WAIT: Duration = Duration::from_secs(5);

/// Makes the client that a request names known, if its identifier is a URL. A document that cannot be had or is no good leaves
/// it unknown, which the request is then told.
pub(super) async fn fetch(listening: &Listening, request: &Incoming) {
    let Some(id) = listening.server.wanted_document(request) else { return };
    // Without a turn in time the client stays unknown.
    drop(tokio::time::timeout(MAX_WAIT, learn(listening, &id)).await);
}

async fn learn(listening: &Listening, id: &str) {
    let _turn = listening.describing.lock().await;
    if !listening.server.begin_document(id) {
        return;
    }
    if let Some(document) = get(id, listening.for_this_machine).await {
        listening.server.take_document(id, &document);
    }
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
    use super::{get, is_public};

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
