//! Spellings of a URI that browsers mend and careless comparisons take for another, in the claim and in the request.

use keybound::Rejection::{HtuMalformed, HtuNotBare, TargetMalformed, TargetMismatch};

use super::{Maker, Vector, quoted};
use crate::URL;

pub(super) fn vectors(maker: &Maker) -> Vec<Vector> {
    let mut vectors = malformed(maker);
    vectors.extend(other_targets(maker));
    vectors.extend(same_target(maker));
    vectors.extend(raw_characters(maker));
    vectors.extend(bare(maker));
    vectors
}

fn htu(maker: &Maker, htu: &str) -> String {
    maker.sign_claims(&maker.claims().with("htu", &quoted(htu)))
}

/// Texts that are no URI but that a WHATWG parser would mend, once as `htu` and once as the request's own target.
fn malformed(maker: &Maker) -> Vec<Vector> {
    [
        ("backslash", r"https://api.example.com\items\7", "RFC 3986 2: a backslash is no URI character"),
        ("backslash-in-path", r"https://api.example.com/items\7", "RFC 3986 2: a backslash is no URI character"),
        ("tab", "https://api.example.com/it\tems/7", "RFC 3986 2: a tab is no URI character"),
        ("newline", "https://api.example.com/items/7\n", "RFC 3986 2: a newline is no URI character"),
        ("nul", "https://api.example.com/items/7\0", "RFC 3986 2: NUL is no URI character"),
        ("leading-space", " https://api.example.com/items/7", "RFC 3986 2: white space is no part of a URI"),
        ("trailing-space", "https://api.example.com/items/7 ", "RFC 3986 2: white space is no part of a URI"),
        ("one-slash", "https:/api.example.com/items/7", "RFC 9110 4.2: two slashes before the authority"),
        ("no-slash", "https:api.example.com/items/7", "RFC 9110 4.2: two slashes before the authority"),
        ("three-slashes", "https:///api.example.com/items/7", "RFC 9110 4.2.2: no empty host"),
        ("full-width-dot", "https://api\u{ff0e}example\u{ff0e}com/items/7", "RFC 3986 2: ASCII only"),
        ("soft-hyphen", "https://api.exam\u{ad}ple.com/items/7", "RFC 3986 2: ASCII only"),
        ("user-information", "https://user@api.example.com/items/7", "RFC 9110 4.2.4: no user information"),
        ("empty-user-information", "https://@api.example.com/items/7", "RFC 9110 4.2.4: no user information"),
        ("host-after-user", "https://api.example.com:443@evil.example/items/7", "RFC 9110 4.2.4: no user information"),
        ("percent-cut", "https://api.example.com/items/7%2", "RFC 3986 2.1: two hexadecimal digits"),
        ("percent-no-digits", "https://api.example.com/items/%zz", "RFC 3986 2.1: two hexadecimal digits"),
        (
            "port-too-large",
            "https://api.example.com:65979/items/7",
            "RFC 9110 4.2.2: 65979 is no port, and wraps to 443",
        ),
        ("port-sign", "https://api.example.com:+443/items/7", "RFC 3986 3.2.3: digits only"),
        ("scheme-other", "ftp://api.example.com/items/7", "4.3 check 9: an http or https URI"),
        ("no-scheme", "//api.example.com/items/7", "4.3 check 9: an absolute URI"),
        ("ipv6-open", "https://[::1/items/7", "RFC 3986 3.2.2: brackets around IPv6"),
    ]
    .into_iter()
    .flat_map(|(id, text, reason)| {
        [
            Vector::refused(&format!("htu-{id}"), HtuMalformed, htu(maker, text), reason),
            Vector::refused(&format!("url-{id}"), TargetMalformed, maker.good(), reason).set("url", text),
        ]
    })
    .collect()
}

/// Valid URIs that are not the target, although some would read them so.
fn other_targets(maker: &Maker) -> Vec<Vector> {
    [
        ("double-slash", "https://api.example.com//items/7", URL, "RFC 3986 6.2: an empty segment is a segment"),
        ("double-slash-inside", "https://api.example.com/items//7", URL, "RFC 3986 6.2: an empty segment is a segment"),
        ("trailing-slash", "https://api.example.com/items/7/", URL, "RFC 3986 6.2: a trailing slash counts"),
        ("encoded-slash", "https://api.example.com/items%2F7", URL, "RFC 3986 2.2: an encoded slash is no slash"),
        ("hexadecimal-ipv4", "https://0x7f000001/", "https://127.0.0.1/", "RFC 3986 3.2.2: a name, not an address"),
        ("decimal-ipv4", "https://2130706433/", "https://127.0.0.1/", "RFC 3986 3.2.2: a name, not an address"),
        ("octal-ipv4", "https://0177.0.0.1/", "https://127.0.0.1/", "RFC 3986 3.2.2: a name, not an address"),
        ("short-ipv4", "https://127.1/", "https://127.0.0.1/", "RFC 3986 3.2.2: a name, not an address"),
        ("host-dot", "https://api.example.com./items/7", URL, "RFC 3986 6.2: the text of the host is compared"),
        ("port-of-http", "https://api.example.com:80/items/7", URL, "RFC 3986 6.2.3: 80 is not the port of https"),
        ("scheme-http", "http://api.example.com/items/7", URL, "4.3 check 9: another scheme"),
        ("path-case", "https://api.example.com/Items/7", URL, "RFC 3986 6.2.2.1: paths are case sensitive"),
        ("query-before-path", "https://api.example.com?/items/7", URL, "RFC 3986 3.4: the query begins at the mark"),
        ("path-parameter", "https://api.example.com/items/7;v=1", URL, "RFC 3986 3.3: a parameter belongs to the path"),
        ("dot-segment-above", "https://api.example.com/items/../7", URL, "RFC 3986 5.2.4: another path"),
    ]
    .map(|(id, text, url, reason)| {
        Vector::refused(&format!("htu-{id}"), TargetMismatch, htu(maker, text), reason).set("url", url)
    })
    .into()
}

fn same_target(maker: &Maker) -> Vec<Vector> {
    [
        ("unreserved-encoded", "https://api.example.com/i%74ems/%37", URL, "RFC 3986 6.2.2.2: %74 is t"),
        ("lower-case-digits", "https://api.example.com/a%c3%a9", "https://api.example.com/a%C3%A9", "RFC 3986 6.2.2.1"),
        ("encoded-slash-both", "https://api.example.com/a%2fb", "https://api.example.com/a%2Fb", "RFC 3986 6.2.2.1"),
        ("default-port", "https://api.example.com:443/items/7", URL, "RFC 3986 6.2.3: the default port is dropped"),
        ("empty-port", "https://api.example.com:/items/7", URL, "RFC 3986 6.2.3: an empty port is dropped"),
        ("upper-case-host", "HTTPS://API.EXAMPLE.COM/items/7", URL, "RFC 3986 6.2.2.1: scheme and host"),
        ("dot-segments", "https://api.example.com/a/../items/./7", URL, "RFC 3986 6.2.2.3: dot segments"),
        ("encoded-dot-segments", "https://api.example.com/a/%2e%2E/items/7", URL, "RFC 3986 6.2.2: decoded first"),
        ("double-slash-both", "https://api.example.com//items", "https://api.example.com//items", "RFC 3986 6.2"),
        ("ipv4", "https://127.0.0.1:8443/", "https://127.0.0.1:8443/", "RFC 3986 3.2.2"),
        ("json-slashes", URL, URL, "RFC 8259 7: a slash may be escaped"),
    ]
    .map(|(id, text, url, reason)| {
        let json = if id == "json-slashes" { quoted(text).replace('/', "\\/") } else { quoted(text) };
        let proof = maker.sign_claims(&maker.claims().with("htu", &json));
        Vector::accepted(&format!("htu-{id}"), proof, reason).set("url", url)
    })
    .into()
}

/// What browsers and other clients write raw in a path, and others encode: each side in each spelling.
fn raw_characters(maker: &Maker) -> Vec<Vector> {
    const RAW: &str = "https://api.example.com/items[7]|8^9/\"<a>`{b}";
    const ENCODED: &str = "https://api.example.com/items%5B7%5D%7C8%5E9/%22%3Ca%3E%60%7Bb%7D";
    let same = "WHATWG URL: browsers send [ ] | ^ raw in a path; RFC 3986 2.1 encodes them, and means the same";
    let accepted = |id, claim, url| Vector::accepted(id, htu(maker, claim), same).set("url", url);
    let other = "RFC 3986 2.4: a percent sign that is itself encoded is another path";
    let twice = "https://api.example.com/items%255B7%255D";
    let refused = |id, claim, url| Vector::refused(id, TargetMismatch, htu(maker, claim), other).set("url", url);
    vec![
        accepted("htu-raw-characters", RAW, ENCODED),
        accepted("url-raw-characters", ENCODED, RAW),
        accepted("htu-url-raw-characters", RAW, RAW),
        accepted(
            "htu-raw-brackets-lower-case-digits",
            "https://api.example.com/a%5b7%5d",
            "https://api.example.com/a[7]",
        ),
        refused("htu-raw-brackets-encoded-twice", "https://api.example.com/items[7]", twice),
        refused("url-raw-brackets-encoded-twice", twice, "https://api.example.com/items[7]"),
        Vector::refused(
            "htu-raw-brackets-in-host",
            HtuMalformed,
            htu(maker, "https://api[1].example.com/items/7"),
            "RFC 3986 3.2.2: brackets in a host hold an address",
        ),
    ]
}

/// Verifiers that take the letter of section 4.2: `htu` has neither query nor fragment.
fn bare(maker: &Maker) -> Vec<Vector> {
    let letter = "4.2: htu is without query and fragment, where the policy insists";
    let refused = |id, text: &str| {
        let proof = htu(maker, &format!("{URL}{text}"));
        Vector::refused(id, HtuNotBare, proof, letter).set("bare_htu", true)
    };
    vec![
        refused("htu-not-bare-query", "?page=2"),
        refused("htu-not-bare-fragment", "#top"),
        refused("htu-not-bare-empty-query", "?"),
        Vector::accepted("htu-bare", maker.good(), letter).set("url", format!("{URL}?page=2")).set("bare_htu", true),
    ]
}
