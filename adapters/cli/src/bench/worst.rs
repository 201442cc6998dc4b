//! The worst that strangers can write: for each reader, texts of the permitted size that keep it busy longest.
//!
//! What is quadratic, what allocates for each byte, what branches on each byte, and all that together. If you find a text that is
//! worse, add it here.

use keybound::base64url::encode;
use keybound::http::challenge::{self, Challenge};
use keybound::http::form::{Form, MAX_FORM_LEN};
use keybound::http::uri::MAX_URI_LEN;
use keybound::jose::jwk::{MAX_JWK_LEN, PublicJwk};
use keybound::json::{MAX_REQUEST_LEN, Value};
use keybound::server::resource::{IncomingRequest, MAX_TOKEN_LEN, ResourcePolicy, ResourceServer};
use keybound::server::{Consumption, JwkSet, KeySource};
use keybound::{Context, Policy, Presentation, TargetUri, Thumbprint, UnixTime, Verifier};
use keybound_aws_lc::AWS_LC;

use super::proofs::NOW;

/// The readers that strangers' texts come to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reader {
    /// A JSON document: client metadata to be registered, `authorization_details`.
    Json,
    /// A key.
    Jwk,
    /// A URI, compared with a target.
    Uri,
    /// The challenges of a response.
    Challenge,
    /// The parameters of a body.
    Form,
    /// A whole request to a protected resource, with a token and a proof, up to where a signature would be checked.
    Request,
}

impl Reader {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Json, Self::Jwk, Self::Uri, Self::Challenge, Self::Form, Self::Request];

    /// A name for figures.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Json => "worst_json",
            Self::Jwk => "worst_jwk",
            Self::Uri => "worst_uri",
            Self::Challenge => "worst_challenge",
            Self::Form => "worst_form",
            Self::Request => "worst_request",
        }
    }
}

/// One text, or two, for one reader.
pub struct Worst {
    /// Who reads it.
    pub reader: Reader,
    /// What is bad about it.
    pub name: String,
    text: String,
    proof: String,
}

/// What reads: made once, since a server does.
pub struct Readers {
    target: TargetUri,
    uri: Verifier,
    server: ResourceServer,
}

const URL: &str = "https://api.example.com/items";
const ISSUER: &str = "https://as.example.com";

impl Default for Readers {
    fn default() -> Self {
        let verifier = || Verifier::new(Policy::default(), &AWS_LC);
        let policy = ResourcePolicy::new("https://api.example.com/")
            .and_then(|policy| policy.with_issuer_keys(ISSUER, KeySource::Given(JwkSet::default())));
        let server = ResourceServer::new(policy.expect("a policy"), verifier(), Consumption::by_host());
        Self { target: TargetUri::parse(URL).expect("a target"), uri: verifier(), server: server.expect("a server") }
    }
}

impl Readers {
    /// Reads it. Whether it is accepted does not matter here: no signature is checked.
    pub fn read(&self, worst: &Worst) -> bool {
        let bytes = worst.text.as_bytes();
        match worst.reader {
            Reader::Json => Value::parse_request(bytes).is_ok(),
            Reader::Jwk => PublicJwk::parse(&worst.text).is_ok(),
            Reader::Uri => {
                let context = Context::Resource { access_token: "t", bound_to: Thumbprint::from_bytes([7; 32]) };
                let proofs = [bytes];
                self.uri.check(&Presentation::new("GET", &self.target, &proofs, context), NOW).is_ok()
            }
            Reader::Challenge => Challenge::parse_fields(&[bytes]).ignored.is_none(),
            Reader::Form => Form::parse(bytes).is_ok(),
            Reader::Request => {
                let fields = [("Authorization", bytes), ("DPoP", worst.proof.as_bytes())];
                let step = self.server.admit(&IncomingRequest::new("GET", &self.target, &fields), NOW);
                step.is_ok_and(|step| matches!(step.finished(), Some(Ok(_))))
            }
        }
    }
}

/// All texts, each as long as its reader permits.
pub fn worst() -> Vec<Worst> {
    let one = |reader, name: &str, text: String| Worst { reader, name: name.into(), text, proof: String::new() };
    let mut all = Vec::new();
    for (name, fill) in values() {
        all.push(one(Reader::Json, &name, format!("{{\"a\":{}}}", fill(MAX_REQUEST_LEN - 6))));
        all.push(one(Reader::Jwk, &name, format!("{{\"kty\":\"EC\",\"a\":{}}}", fill(MAX_JWK_LEN - 17))));
    }
    for (name, text) in members(MAX_REQUEST_LEN) {
        all.push(one(Reader::Json, &name, text));
    }
    for (name, text) in members(MAX_JWK_LEN) {
        all.push(one(Reader::Jwk, &name, text));
    }
    for (name, fill) in texts() {
        for kty in ["\"RSA\",\"e\":\"AQAB\",\"n\"", "\"EC\",\"crv\":\"P-256\",\"y\":\"AA\",\"x\""] {
            all.push(one(Reader::Jwk, &name, format!("{{\"kty\":{kty}:\"{}\"}}", fill(MAX_JWK_LEN - 60))));
        }
    }
    for (name, htu) in uris() {
        all.push(one(Reader::Uri, &name, proof(&claims(&htu, ""))));
    }
    for (name, text) in challenges() {
        all.push(one(Reader::Challenge, &name, text));
    }
    for (name, text) in forms() {
        all.push(one(Reader::Form, &name, text));
    }
    all.extend(requests());
    all
}

type Fill = Box<dyn Fn(usize) -> String>;

/// `part` again and again, as often as it fits.
fn repeated(part: &str, length: usize) -> String {
    part.repeat(length / part.len())
}

/// One of two parts after the other, as if by chance, so that no branch can be foreseen.
fn mixed(parts: [&str; 2], length: usize) -> String {
    let mut text = String::with_capacity(length);
    let mut state = 0x9e37_79b9_u32;
    while text.len() + parts[0].len().max(parts[1].len()) <= length {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        text.push_str(parts[(state >> 31) as usize]);
    }
    text
}

/// Insides of JSON strings.
fn texts() -> Vec<(String, Fill)> {
    let mut all: Vec<(String, Fill)> = Vec::new();
    for part in ["a", "\\n", "\\u0061", "\\u00e9", "\\ud83d\\ude00", "a\\n", "abcdefg\\n", "é", "漢", "😀"] {
        all.push((format!("text of {part}"), Box::new(move |length| repeated(part, length))));
    }
    for parts in [["a", "\\n"], ["a", "\\u0061"], ["\\n", "\\u0061"], ["a", "é"], ["\\u0061", "\\u00E9"]] {
        let name = format!("text of {} and {}", parts[0], parts[1]);
        all.push((name, Box::new(move |length| mixed(parts, length))));
    }
    all
}

/// JSON values.
fn values() -> Vec<(String, Fill)> {
    let mut all: Vec<(String, Fill)> = texts()
        .into_iter()
        .map(|(name, fill)| (name, Box::new(move |length: usize| format!("\"{}\"", fill(length - 2))) as Fill))
        .collect();
    let list = |element: &'static str| -> (String, Fill) {
        (
            format!("list of {element:.20}"),
            Box::new(move |length| {
                format!("[{element}{}]", repeated(&format!(",{element}"), length - element.len() - 2))
            }),
        )
    };
    all.extend(
        ["0", "\"\"", "[]", "{}", "{\"\":0}", "true", "1.5e9", "\"\\n\"", "{\"\\u0061\":\"\\u0061\"}", "[[[[0]]]]"]
            .map(list),
    );
    // As many values as are counted, and the rest one dear text.
    for (element, count) in
        [("{\"\":\"\"}", 60), ("{\"\":\"\"}", 120), ("{\"\":\"\"}", 240), ("\"\\n\"", 240), ("0", 480)]
    {
        for part in ["\\n", "\\u0061", "a\\n", " "] {
            all.push((
                format!("{count} of {element} and {part}"),
                Box::new(move |length| {
                    let first = repeated(&format!("{element},"), count * (element.len() + 1));
                    let rest = length - first.len() - 4;
                    if part == " " {
                        format!("[{first}{}0]", repeated(part, rest))
                    } else {
                        format!("[{first}\"{}\"]", repeated(part, rest))
                    }
                }),
            ));
        }
    }
    let number = Box::leak("1".repeat(250).into_boxed_str());
    all.push(list(number));
    all.push(("digits".into(), Box::new(|length| repeated("1", length))));
    all.push(("space".into(), Box::new(|length| format!("{}0", repeated(" ", length - 1)))));
    all.push(("lines and space".into(), Box::new(|length| format!("{}0", mixed([" ", "\n"], length - 1)))));
    all
}

/// JSON objects whose names are what is dear.
fn members(length: usize) -> Vec<(String, String)> {
    let object = |count: usize, name: &dyn Fn(usize, usize) -> String| {
        let room = length / count - 5;
        let members: Vec<String> = (0..count).map(|i| format!("\"{}\":0", name(i, room))).collect();
        format!("{{{}}}", members.join(","))
    };
    let plain = |i: usize, room: usize| format!("{}{i:03}", "a".repeat(room - 3));
    let escaped = |i: usize, room: usize| format!("{}{i:03}", repeated("\\u0061", room - 3));
    let short = |i: usize, _: usize| format!("{i:03}");
    let lines = |i: usize, room: usize| format!("{}{i:03}", repeated("\\n", room - 3));
    let falling = |i: usize, room: usize| format!("{}{:03}", repeated("\\n", room - 3), 999 - i);
    let mut all = Vec::new();
    for count in [12, 13, 64, 256] {
        all.push((format!("{count} long names"), object(count, &plain)));
        all.push((format!("{count} escaped names"), object(count, &escaped)));
        all.push((format!("{count} names of lines"), object(count, &lines)));
        all.push((format!("{count} names of lines, falling"), object(count, &falling)));
        all.push((format!("{count} short names"), object(count, &short)));
    }
    let wide = |count: usize| object(count, &short);
    all.push(("objects of 64 names".into(), format!("{{\"a\":[{}0]}}", format!("{},", wide(64)).repeat(length / 600))));
    all.push(("objects of 255 names".into(), format!("{{\"a\":[{}0]}}", format!("{},", wide(255)).repeat(2))));
    all
}

fn uris() -> Vec<(String, String)> {
    let mut all = Vec::new();
    for origin in ["https://api.example.com/", "HTTPS://API.example.com:443/"] {
        let room = MAX_URI_LEN - origin.len();
        for part in
            ["a", "%41", "%2f", "%e9", "./", "../", "a/", "a/../", "a/./", ".a/", "a.", "%2e/", "%2E%2e/", ".../"]
        {
            all.push((format!("{origin} and {part}"), format!("{origin}{}", repeated(part, room))));
        }
        for parts in [["a", "%41"], ["a", "."], ["a/", "../"], ["%41", "%2F"], ["./", "../"], ["a", "/"]] {
            all.push((format!("{origin} and {parts:?}"), format!("{origin}{}", mixed(parts, room))));
        }
        all.push((format!("{origin} and a query"), format!("{origin}?{}", "a".repeat(room - 1))));
    }
    for part in ["%41", "%2d", "a", "%2D"] {
        let host = repeated(part, MAX_URI_LEN - 10);
        all.push((format!("a host of {part}"), format!("https://{host}/")));
    }
    all
}

fn challenges() -> Vec<(String, String)> {
    let length = challenge::MAX_FIELDS_LEN;
    let params = |count: usize, value: &str| {
        let params: Vec<String> = (0..count).map(|i| format!("aaaa{i:02}={value}")).collect();
        format!("DPoP {}", params.join(","))
    };
    let mut all = vec![
        ("64 parameters".into(), params(64, "\"\"")),
        ("one more than is read".into(), repeated(&format!("{},", params(64, "x")), length)),
        ("spaces".into(), format!("DPoP{}", " ".repeat(length - 4))),
        ("commas".into(), ", ".repeat(length / 2)),
        ("schemes".into(), repeated("a,", length)),
        ("a token68".into(), format!("a {}", "b".repeat(length - 2))),
        ("a token68 and padding".into(), format!("a {}=", repeated("b=", length - 4))),
        ("a long scheme".into(), "a".repeat(length)),
        ("a long name".into(), format!("a {}=1", "b".repeat(length - 5))),
        ("a long token".into(), format!("a b={}", "c".repeat(length - 5))),
        ("words".into(), repeated("a b, ", length)),
    ];
    for part in ["a", "\\a", "é", "\\\"", "\t", "\u{80}", "a\\\\"] {
        all.push((format!("quoted {part}"), format!("a b=\"{}\"", repeated(part, length - 7))));
    }
    for parts in [["a", "\\\""], ["a", "é"]] {
        all.push((format!("quoted {parts:?}"), format!("a b=\"{}\"", mixed(parts, length - 7))));
    }
    all
}

fn forms() -> Vec<(String, String)> {
    let mut all = Vec::new();
    for part in ["a", "%41", "+", "%C3%A9", "a+", "%f0%9f%98%80", "é", "abcdefg+"] {
        all.push((format!("one value of {part}"), format!("a={}", repeated(part, MAX_FORM_LEN - 2))));
        let value = repeated(part, MAX_FORM_LEN / 128 - 3);
        all.push((format!("128 values of {part}"), repeated(&format!("a={value}&"), MAX_FORM_LEN)));
        all.push((format!("{part} and an error"), format!("a={}%", repeated(part, MAX_FORM_LEN - 3))));
    }
    for parts in [["a", "%41"], ["a", "+"], ["%41", "%C3%A9"]] {
        all.push((format!("one value of {parts:?}"), format!("a={}", mixed(parts, MAX_FORM_LEN - 2))));
    }
    all.push(("separators".into(), "&".repeat(MAX_FORM_LEN)));
    all
}

/// Header of proofs: with a key that is on its curve, which is checked.
const HEADER: &str = r#"{"typ":"dpop+jwt","alg":"ES256","jwk":{"kty":"EC","crv":"P-256","x":"axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY","y":"T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU"}}"#;

fn claims(htu: &str, more: &str) -> String {
    format!(r#"{{"jti":"j","htm":"GET","htu":"{htu}","iat":{},"ath":"{}"{more}}}"#, NOW.secs(), encode(&[0; 32]))
}

fn proof(claims: &str) -> String {
    signed(HEADER, claims)
}

fn signed(header: &str, claims: &str) -> String {
    format!("{}.{}.{}", encode(header.as_bytes()), encode(claims.as_bytes()), encode(&[1; 64]))
}

/// Whole requests: the dearest token beside the dearest proof.
fn requests() -> Vec<Worst> {
    let token_header = r#"{"typ":"at+jwt","alg":"ES256","kid":"k"}"#;
    let room = MAX_TOKEN_LEN / 4 * 3 - 200;
    let token = |value: &str| {
        let (exp, iat) = (NOW.saturating_add(60).secs(), UnixTime::from_secs(0).secs());
        let claims = format!(
            r#"{{"iss":"{ISSUER}","aud":"https://api.example.com/","sub":"s","exp":{exp},"iat":{iat},"x":{value}}}"#
        );
        signed(token_header, &claims)
    };
    let proof_for = |token: &str, htu: &str, more: &str| {
        let hash = encode(&AWS_LC.digest.sha256(&[token.as_bytes()]));
        proof(&claims(htu, more).replacen(&encode(&[0; 32]), &hash, 1))
    };
    let mut all = Vec::new();
    let mut add = |name: String, token: String, proof: String| {
        all.push(Worst { reader: Reader::Request, name, text: format!("DPoP {token}"), proof });
    };
    for (name, fill) in values() {
        let (long, short) = (token(&fill(room - 200)), token("0"));
        let rest = fill(room - 700);
        add(format!("token: {name}"), long.clone(), proof_for(&long, URL, ""));
        add(format!("proof: {name}"), short.clone(), proof_for(&short, URL, &format!(",\"y\":{rest}")));
        add(format!("both: {name}"), long.clone(), proof_for(&long, URL, &format!(",\"y\":{rest}")));
        let header = HEADER.replacen('{', &format!("{{\"y\":{rest},"), 1);
        add(format!("header: {name}"), short.clone(), signed(&header, &claims(URL, "")));
        let header = token_header.replacen('{', &format!("{{\"y\":{},", fill(room - 400)), 1);
        let claims = format!(r#"{{"iss":"{ISSUER}"}}"#);
        let long = signed(&header, &claims);
        add(format!("token's header: {name}"), long.clone(), proof_for(&long, URL, ""));
    }
    let long = token(&format!("\"{}\"", repeated("\\n", room - 300)));
    for (name, htu) in uris() {
        add(format!("htu: {name}"), long.clone(), proof_for(&long, &htu, ""));
        // A claim may spell the URI in escapes, too.
        let escaped: String = htu.bytes().take(1_800).map(|byte| format!("\\u00{byte:02x}")).collect();
        add(format!("escaped htu: {name}"), long.clone(), proof_for(&long, &escaped, ""));
    }
    for claim in ["jti", "htm", "nonce", "iat", "exp"] {
        let text = if matches!(claim, "iat" | "exp") {
            "1".repeat(250)
        } else {
            format!("\"{}\"", repeated("\\u0061", room - 800))
        };
        let replaced = claims(URL, "").replacen("\"jti\":\"j\",\"htm\":\"GET\",", "", 1);
        let others =
            ["jti", "htm"].iter().filter(|known| **known != claim).map(|known| format!("\"{known}\":\"GET\","));
        let others: String = others.collect();
        let made = replaced.replacen('{', &format!("{{{others}\"{claim}\":{text},"), 1);
        add(format!("{claim} in escapes"), long.clone(), proof(&made));
    }
    let aud = |element: &str| format!("[{}]", repeated(&format!("{element},"), 8_000).trim_end_matches(','));
    for (name, value) in
        [("aud", aud("\"\"")), ("aud of lines", aud("\"\\n\"")), ("scope", format!("\"{}\"", "a ".repeat(5_000)))]
    {
        let claim = name.split(' ').next().unwrap_or_default();
        let made = format!(r#"{{"iss":"{ISSUER}","sub":"s","exp":{},"{claim}":{value}}}"#, NOW.secs() + 60);
        let made =
            if claim == "scope" { made.replacen('{', "{\"aud\":\"https://api.example.com/\",", 1) } else { made };
        let token = signed(token_header, &made);
        add(format!("token with {name}"), token.clone(), proof_for(&token, URL, ""));
    }
    all.retain(|worst| worst.text.len() <= MAX_TOKEN_LEN + 5 && worst.proof.len() <= keybound::proof::MAX_PROOF_LEN);
    all
}
