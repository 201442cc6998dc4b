//! Scheme and host from the fields of trusted proxies: `Forwarded` (RFC 7239) or `X-Forwarded-*`.

use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv6Addr, SocketAddrV4};

use super::source::{RequestHead, TargetError};

/// Which peers are proxies of ours, which fields they set, and how to read them.
///
/// One family of fields is read, by one rule. A field that is missing, repeated or malformed, or that holds another number of
/// values than the rule says, refuses the request; nothing falls back to `Host`.
///
/// ```
/// use keybound::server::forwarded::{Family, Hop, TrustedProxies};
/// let proxies = TrustedProxies::new(Family::XForwarded, Hop::Only).network([10, 0, 0, 0], 8);
/// ```
#[derive(Clone, Debug)]
pub struct TrustedProxies {
    networks: Vec<(IpAddr, u8)>,
    family: Family,
    hop: Hop,
    client_addresses: bool,
}

/// The fields that proxies set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Family {
    /// `Forwarded` with `proto` and `host` (RFC 7239).
    Forwarded,
    /// `X-Forwarded-Proto` and `X-Forwarded-Host`.
    XForwarded,
    /// `X-Forwarded-Proto`, `X-Forwarded-Host` and `X-Forwarded-Port`.
    XForwardedWithPort,
}

/// Which value counts where proxies append theirs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hop {
    /// The only one: the proxy replaces what came in.
    Only,
    /// The one this many places from the right, 1 being the last; there must be at least so many.
    FromRight(u8),
}

impl TrustedProxies {
    /// Proxies that set `family`, read by `hop`; no peer is trusted until its address is given.
    pub const fn new(family: Family, hop: Hop) -> Self {
        Self { networks: Vec::new(), family, hop, client_addresses: false }
    }

    /// Trusts one address.
    #[must_use]
    pub fn address(self, address: impl Into<IpAddr>) -> Self {
        self.network(address, 128)
    }

    /// Trusts the addresses whose first `bits` bits are those of `network`.
    #[must_use]
    pub fn network(mut self, network: impl Into<IpAddr>, bits: u8) -> Self {
        self.networks.push((network.into().to_canonical(), bits));
        self
    }

    /// Takes the address of the client from `X-Forwarded-For`, for [limits by address](crate::guard::Guards::limit_addresses): the
    /// proxies set that field too. Where they append, the value of [`Hop`] counts; with [`Hop::Only`] the last one.
    ///
    /// `for` in `Forwarded` needs no mention: a proxy writes an element whole.
    ///
    /// # Security
    /// Where the proxies pass this field on as clients sent it, every client chooses its own address.
    #[must_use]
    pub fn client_addresses(self) -> Self {
        Self { client_addresses: true, ..self }
    }

    /// Whether the proxies say from which address a request came.
    pub(super) const fn name_clients(&self) -> bool {
        self.client_addresses || matches!(self.family, Family::Forwarded)
    }

    /// The address that the client has, by the word of the proxies; none if the request did not come through them, or they do not say.
    pub(super) fn client(&self, request: &RequestHead<'_>) -> Option<IpAddr> {
        if !self.name_clients() || !self.trusts(request.peer) {
            return None;
        }
        match self.family {
            Family::Forwarded => {
                let element = self.choose(&elements(single(request, "forwarded").ok()?)).ok()?;
                address(parameter(element, "for").ok()?)
            }
            Family::XForwarded | Family::XForwardedWithPort => {
                let values = elements(single(request, "x-forwarded-for").ok()?);
                let places = match self.hop {
                    Hop::Only => 1,
                    Hop::FromRight(places) => usize::from(places),
                };
                address(values.get(values.len().checked_sub(places)?)?)
            }
        }
    }

    fn trusts(&self, peer: Option<IpAddr>) -> bool {
        let Some(peer) = peer.map(|peer| peer.to_canonical()) else { return false };
        self.networks.iter().any(|(network, bits)| contains(*network, *bits, peer))
    }

    /// The origin that the client used, by the word of the proxies.
    pub(super) fn origin(&self, request: &RequestHead<'_>) -> Result<String, TargetError> {
        if !self.trusts(request.peer) {
            return Err(TargetError::UntrustedPeer);
        }
        let (proto, host, port) = match self.family {
            Family::Forwarded => {
                let element = self.choose(&elements(single(request, "forwarded")?))?;
                (parameter(element, "proto")?, parameter(element, "host")?, None)
            }
            Family::XForwarded | Family::XForwardedWithPort => {
                let protos = elements(single(request, "x-forwarded-proto")?);
                let hosts = elements(single(request, "x-forwarded-host")?);
                if protos.len() != hosts.len() {
                    return Err(TargetError::ForwardedCount);
                }
                let port = if self.family == Family::XForwardedWithPort {
                    let ports = elements(single(request, "x-forwarded-port")?);
                    if ports.len() != hosts.len() {
                        return Err(TargetError::ForwardedCount);
                    }
                    Some(self.choose(&ports)?)
                } else {
                    None
                };
                (self.choose(&protos)?, self.choose(&hosts)?, port)
            }
        };
        if !proto.eq_ignore_ascii_case("https") && !proto.eq_ignore_ascii_case("http") {
            return Err(TargetError::ForwardedMalformed);
        }
        if host.is_empty() || host.contains(['/', '?', '#', '@', '"']) {
            return Err(TargetError::ForwardedMalformed);
        }
        let mut origin = String::from(proto);
        origin.push_str("://");
        origin.push_str(host);
        if let Some(port) = port {
            // A host that brings its own port would leave two, which may differ.
            let bare_host = host.rsplit_once(']').map_or(host, |(_, rest)| rest);
            if port.is_empty() || !port.bytes().all(|byte| byte.is_ascii_digit()) || bare_host.contains(':') {
                return Err(TargetError::ForwardedMalformed);
            }
            origin.push(':');
            origin.push_str(port);
        }
        Ok(origin)
    }

    fn choose<'v>(&self, values: &[&'v str]) -> Result<&'v str, TargetError> {
        let value = match (self.hop, values) {
            (Hop::Only, [only]) => Some(*only),
            (Hop::Only, _) => None,
            (Hop::FromRight(places), values) => {
                let index = values.len().checked_sub(usize::from(places)).filter(|_| places > 0);
                index.and_then(|index| values.get(index)).copied()
            }
        };
        match value {
            Some("") => Err(TargetError::ForwardedMalformed),
            Some(value) => Ok(value),
            None => Err(TargetError::ForwardedCount),
        }
    }
}

/// The value of a field that must occur exactly once.
fn single<'r>(request: &RequestHead<'r>, name: &str) -> Result<&'r str, TargetError> {
    let mut values = request.fields.iter().filter(|(field, _)| field.eq_ignore_ascii_case(name));
    let (_, value) = values.next().ok_or(TargetError::ForwardedMissing)?;
    if values.next().is_some() {
        return Err(TargetError::ForwardedCount);
    }
    core::str::from_utf8(value).map_err(|_| TargetError::ForwardedMalformed)
}

/// The elements of a comma-separated list. Quoted strings with commas do not occur in the parameters read here; one
/// that does is torn apart and found malformed.
fn elements(value: &str) -> Vec<&str> {
    value.split(',').map(|element| element.trim_matches([' ', '\t'])).collect()
}

/// The value of a parameter of one `Forwarded` element, which must occur exactly once.
fn parameter<'v>(element: &'v str, name: &str) -> Result<&'v str, TargetError> {
    let mut values = element.split(';').filter_map(|pair| {
        let (found, value) = pair.trim_matches([' ', '\t']).split_once('=')?;
        found.eq_ignore_ascii_case(name).then_some(value)
    });
    let value = values.next().ok_or(TargetError::ForwardedMissing)?;
    if values.next().is_some() {
        return Err(TargetError::ForwardedCount);
    }
    match value.strip_prefix('"') {
        Some(quoted) => {
            quoted.strip_suffix('"').filter(|text| !text.contains(['"', '\\'])).ok_or(TargetError::ForwardedMalformed)
        }
        None => Ok(value),
    }
}

/// An address as forwarding fields have it (RFC 7239 section 6): with or without brackets and a port.
fn address(value: &str) -> Option<IpAddr> {
    if let Some(rest) = value.strip_prefix('[') {
        let (address, port) = rest.split_once(']')?;
        let is_port = port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok());
        return is_port.then(|| address.parse::<Ipv6Addr>().ok()).flatten().map(IpAddr::V6);
    }
    value.parse().ok().or_else(|| value.parse::<SocketAddrV4>().ok().map(|whole| IpAddr::V4(*whole.ip())))
}

fn contains(network: IpAddr, bits: u8, address: IpAddr) -> bool {
    let (network, address, width) = match (network, address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            (u128::from(network.to_bits()), u128::from(address.to_bits()), 32)
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => (network.to_bits(), address.to_bits(), 128_u32),
        _ => return false,
    };
    let host_bits = width.saturating_sub(u32::from(bits));
    network.checked_shr(host_bits).unwrap_or(0) == address.checked_shr(host_bits).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{Family, Hop, TrustedProxies};
    use crate::TargetUri;
    use crate::server::source::{RequestHead, TargetError};
    use alloc::vec::Vec;
    use core::net::IpAddr;

    const PROXY: [u8; 4] = [10, 1, 2, 3];

    fn resolve(
        family: Family,
        hop: Hop,
        peer: [u8; 4],
        fields: &[(&str, &str)],
    ) -> Result<alloc::string::String, TargetError> {
        let proxies = TrustedProxies::new(family, hop).network([10, 0, 0, 0], 8);
        let source = TargetUri::fixed("https://api.example.com").unwrap().also_origin("https://two.example.com:8443");
        let source = source.unwrap().path_prefix("/v1").unwrap().behind(proxies);
        let fields: Vec<(&str, &[u8])> = fields.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
        let head = RequestHead { peer: Some(IpAddr::from(peer)), raw_target: b"/items?x", fields: &fields };
        source.resolve(&head).map(|target| target.as_str().into())
    }

    #[test]
    fn the_proxy_says_scheme_and_host() {
        let one = Ok("https://api.example.com/v1/items".into());
        let two = Ok("https://two.example.com:8443/v1/items".into());
        let x = [("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "API.example.com"), ("Host", "internal")];
        assert_eq!(resolve(Family::XForwarded, Hop::Only, PROXY, &x), one);
        let forwarded = [("forwarded", "for=1.2.3.4;proto=https;host=\"two.example.com:8443\"")];
        assert_eq!(resolve(Family::Forwarded, Hop::Only, PROXY, &forwarded), two);
        let with_port =
            [("x-forwarded-proto", "https"), ("x-forwarded-host", "two.example.com"), ("x-forwarded-port", "8443")];
        assert_eq!(resolve(Family::XForwardedWithPort, Hop::Only, PROXY, &with_port), two);
        let chain = [("X-Forwarded-Proto", "http, https"), ("X-Forwarded-Host", "evil.com, api.example.com")];
        assert_eq!(resolve(Family::XForwarded, Hop::FromRight(1), PROXY, &chain), one);
    }

    #[test]
    fn anything_else_refuses() {
        let proto = ("X-Forwarded-Proto", "https");
        let host = ("X-Forwarded-Host", "api.example.com");
        for (hop, peer, fields, error) in [
            (Hop::Only, [11, 1, 2, 3], &[proto, host][..], TargetError::UntrustedPeer),
            (Hop::Only, PROXY, &[proto], TargetError::ForwardedMissing),
            (Hop::Only, PROXY, &[host, ("Host", "api.example.com")], TargetError::ForwardedMissing),
            (Hop::Only, PROXY, &[proto, host, host], TargetError::ForwardedCount),
            (Hop::Only, PROXY, &[proto, ("X-Forwarded-Host", "a, api.example.com")], TargetError::ForwardedCount),
            (Hop::FromRight(1), PROXY, &[("X-Forwarded-Proto", "https, https"), host], TargetError::ForwardedCount),
            (Hop::FromRight(2), PROXY, &[proto, host], TargetError::ForwardedCount),
            (Hop::FromRight(0), PROXY, &[proto, host], TargetError::ForwardedCount),
            (Hop::Only, PROXY, &[("X-Forwarded-Proto", "wss"), host], TargetError::ForwardedMalformed),
            (Hop::Only, PROXY, &[proto, ("X-Forwarded-Host", "a@api.example.com")], TargetError::ForwardedMalformed),
            (Hop::Only, PROXY, &[proto, ("X-Forwarded-Host", "")], TargetError::ForwardedMalformed),
            (Hop::Only, PROXY, &[proto, ("X-Forwarded-Host", "evil.com")], TargetError::UnknownOrigin),
            (Hop::Only, PROXY, &[("X-Forwarded-Proto", "http"), host], TargetError::UnknownOrigin),
        ] {
            assert_eq!(resolve(Family::XForwarded, hop, peer, fields), Err(error), "{fields:?}");
        }
        let element = |value| resolve(Family::Forwarded, Hop::Only, PROXY, &[("Forwarded", value)]);
        for (value, error) in [
            ("host=api.example.com", TargetError::ForwardedMissing),
            ("proto=https;proto=http;host=api.example.com", TargetError::ForwardedCount),
            ("proto=https;host=\"api.example.com", TargetError::ForwardedMalformed),
        ] {
            assert_eq!(element(value), Err(error), "{value}");
        }
    }

    #[test]
    fn the_client_has_the_address_that_its_proxy_vouches_for() {
        let of = |proxies: TrustedProxies, peer: [u8; 4], name: &str, value: &str| {
            let source = TargetUri::fixed("https://api.example.com").unwrap().behind(proxies.network([10, 0, 0, 0], 8));
            let fields = [(name, value.as_bytes())];
            let head = RequestHead { peer: Some(IpAddr::from(peer)), raw_target: b"/", fields: &fields };
            source.client(&head).map(|address| alloc::string::ToString::to_string(&address)).unwrap_or_default()
        };
        let x = |hop| TrustedProxies::new(Family::XForwarded, hop).client_addresses();
        let name = "X-Forwarded-For";
        for (hop, value, expected) in [
            (Hop::Only, "192.0.2.1", "192.0.2.1"),
            (Hop::Only, "6.6.6.6, 192.0.2.1", "192.0.2.1"),
            (Hop::Only, "2001:db8::1", "2001:db8::1"),
            (Hop::Only, "192.0.2.1:4711", "192.0.2.1"),
            (Hop::Only, "[2001:db8::1]:4711", "2001:db8::1"),
            (Hop::FromRight(2), "6.6.6.6, 192.0.2.1, 10.9.9.9", "192.0.2.1"),
            // What no address is, or is missing, counts for nothing: the proxy's own address does.
            (Hop::FromRight(2), "192.0.2.1", "10.1.2.3"),
            (Hop::FromRight(0), "192.0.2.1", "10.1.2.3"),
            (Hop::Only, "192.0.2.1, unknown", "10.1.2.3"),
            (Hop::Only, "[2001:db8::1]:x", "10.1.2.3"),
            (Hop::Only, "", "10.1.2.3"),
        ] {
            assert_eq!(of(x(hop), PROXY, name, value), expected, "{hop:?} {value}");
        }
        // Nobody vouches: not the proxies, unless they are said to; not a peer that is none of them; not another field.
        assert_eq!(of(TrustedProxies::new(Family::XForwarded, Hop::Only), PROXY, name, "192.0.2.1"), "10.1.2.3");
        assert_eq!(of(x(Hop::Only), [11, 1, 2, 3], name, "192.0.2.1"), "11.1.2.3");
        assert_eq!(of(x(Hop::Only), PROXY, "Forwarded", "for=192.0.2.1"), "10.1.2.3");
        let forwarded = |hop| TrustedProxies::new(Family::Forwarded, hop);
        for (hop, value, expected) in [
            (Hop::Only, "for=192.0.2.1;proto=https;host=a", "192.0.2.1"),
            (Hop::Only, "For=\"[2001:db8::1]:4711\"", "2001:db8::1"),
            (Hop::FromRight(1), "for=6.6.6.6, for=192.0.2.1", "192.0.2.1"),
            (Hop::Only, "for=6.6.6.6, for=192.0.2.1", "10.1.2.3"),
            (Hop::Only, "for=_hidden", "10.1.2.3"),
            (Hop::Only, "for=192.0.2.1;for=192.0.2.2", "10.1.2.3"),
        ] {
            assert_eq!(of(forwarded(hop), PROXY, "forwarded", value), expected, "{hop:?} {value}");
        }
        assert_eq!(of(forwarded(Hop::Only), PROXY, name, "192.0.2.1"), "10.1.2.3");
    }

    #[test]
    fn a_fixed_origin_believes_nobody() {
        let source = TargetUri::fixed("https://api.example.com/").unwrap();
        let fields: [(&str, &[u8]); 2] = [("Host", b"evil.com"), ("X-Forwarded-Host", b"evil.com")];
        let resolve = |raw_target| source.resolve(&RequestHead { peer: None, raw_target, fields: &fields });
        assert_eq!(resolve(b"/a%2Fb/c").unwrap().as_str(), "https://api.example.com/a%2Fb/c");
        assert_eq!(resolve(b"/a%2Fb/../c"), Err(TargetError::DotSegment));
        assert_eq!(resolve(b"//evil.com/x").unwrap().as_str(), "https://api.example.com//evil.com/x");
        assert_eq!(resolve(b"https://API.example.com:443/x?y").unwrap().as_str(), "https://api.example.com/x");
        assert_eq!(resolve(b"https://evil.com/x"), Err(TargetError::UnknownOrigin));
        for raw in [&b"*"[..], b"api.example.com:443", b"x", b""] {
            assert!(resolve(raw).is_err(), "{raw:?}");
        }
        assert!(TargetUri::fixed("https://api.example.com/v1").is_err());
    }
}
